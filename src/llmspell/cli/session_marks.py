"""``llmspell session fail | update | save | checkpoint | checkpoints | restore | restore-recent``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.asking import confirmed
from llmspell.cli.invocation import running
from llmspell.cli.output import STATUS_STYLES, Column
from llmspell.cli.suggest import open_session, suggesting
from llmspell.errors import InvalidInput, NotFound
from llmspell.model.clock import SystemClock, to_datetime
from llmspell.model.limits import PAGE_ROWS_MAX
from llmspell.model.scope import Scope

if TYPE_CHECKING:
    from llmspell.state.values import StateDifference
    from llmspell.sync.faces import Session, Store

Named = Annotated[str, Parameter(help="The session, by name or id.")]
_NOW = "-0s"


def fail(session: Named, /, *, reason: Annotated[str, Parameter(help="Why.")]) -> None:
    """End an active or suspended session with a reason."""
    with running.get().changing() as store:
        handle = open_session(store, session)
        was = str(handle.info.status)
        info = handle.fail(reason)
    running.get().out.done(info.to_dict(), f"session {info.name} is {info.status} (was {was}): {reason}")


def update(
    session: Named, /, *,
    name: Annotated[str | None, Parameter(help="Its new name.")] = None,
    description: Annotated[str | None, Parameter(help="What it is about.")] = None,
    tags: given.NewTags = None,
    no_tags: given.NoTags = False,
    meta: given.NewMeta = None,
    no_meta: given.NoMeta = False,
) -> None:  # fmt: skip
    """Give a session other descriptive fields; `session history` has the old ones."""
    fields: dict[str, Any] = {
        "name": name,
        "description": description,
        **given.replaced(tags, meta, no_tags=no_tags, no_meta=no_meta),
    }
    with running.get().changing() as store:
        info = open_session(store, session).update(**fields)
    changed = ", ".join(field for field, value in fields.items() if value is not None)
    running.get().out.done(info.to_dict(), f"session {info.name} {info.id} has new {changed}", bare=info.id)


def save(session: Named, /) -> None:
    """Note the session's state by its hash, and make everything written so far durable on disk."""
    with running.get().changing() as store:
        info = open_session(store, session).save()
    running.get().out.done(info.to_dict(), f"saved session {info.name} {info.id}", bare=info.id)


def checkpoint(
    session: Named, label: Annotated[str, Parameter(help="A label that the session has not used yet.")], /
) -> None:
    """Mark this moment of a session, for `session restore` and `session fork --at`."""
    with running.get().changing() as store:
        handle = open_session(store, session)
        seq = handle.checkpoint(label)
    told = {"id": handle.info.id, "name": handle.info.name, "label": label, "seq": seq}
    running.get().out.done(told, f"checkpoint {label} of session {handle.info.name} is entry {seq}", bare=seq)


def checkpoints(session: Named, /) -> None:
    """List the checkpoints of a session, oldest first."""
    with running.get().reading() as store:
        found = open_session(store, session).checkpoints()
    columns = (
        Column("label", lambda item: item["label"]),
        Column("entry", lambda item: f"#{item['seq']}", right=True),
        Column("time", lambda item: printable.moment(item["time"])),
        Column("state hash", lambda item: item["state_hash"][:12]),
    )
    running.get().out.items([one.to_dict() for one in found], columns, next_cursor=None, nothing="no checkpoints")


def restore(
    session: Named,
    to: Annotated[str, Parameter(help="A checkpoint's label, or an entry's number where no checkpoint is called so.")],
    /, *,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say which keys would change, and change nothing.")] = False,
) -> None:  # fmt: skip
    """Set a session's state back to what it was. What was in between stays in the history of each key."""
    run = running.get()
    with run.reading() if dry_run else run.changing() as store:
        handle = open_session(store, session)
        seq, label = _point(handle, to)
        keys = [one.key for one in _differences(store, handle, seq)]
        plan = {"id": handle.info.id, "name": handle.info.name, "seq": seq, "label": label, "keys": keys}
        where = f"entry {seq}" if label is None else f"checkpoint {label} (entry {seq})"
        told = f"session {handle.info.name} {handle.info.id} to {where}"
        if not confirmed(run.out, plan, f"{told}, changing {printable.count(len(keys), 'key')}", yes=yes,
                         dry_run=dry_run, verb=("restore", "restored")):  # fmt: skip
            return
        changed = handle.restore(seq if label is None else label)
    run.out.done({**plan, "changed": changed}, f"restored {told}; {printable.count(changed, 'key')} changed")


def restore_recent(count: Annotated[int, Parameter(help="How many sessions.")], /) -> None:
    """Take up the sessions that changed last and have not ended: suspended ones are active again."""
    with running.get().changing() as store:
        infos = store.sessions.restore_recent(count)
    columns = (
        Column("id", lambda item: item["id"]),
        Column("name", lambda item: item["name"]),
        Column("status", lambda item: item["status"], styles=STATUS_STYLES),
        Column("updated", lambda item: printable.moment(item["updated_at"])),
    )
    items = [info.to_dict() for info in infos]
    running.get().out.items(items, columns, next_cursor=None, nothing="no session that has not ended")


COMMANDS: dict[str, Any] = {
    "fail": fail, "update": update, "save": save, "checkpoint": checkpoint, "checkpoints": checkpoints,
    "restore": restore, "restore-recent": restore_recent,
}  # fmt: skip


def _point(handle: Session, to: str) -> tuple[int, str | None]:
    """The entry that is meant, and its label when it is a checkpoint."""
    labels = {one.label: one.seq for one in handle.checkpoints()}
    if to in labels:
        return labels[to], to
    if not (to.isascii() and to.isdigit() and len(to) < 20):
        hint = "`llmspell session checkpoints SESSION` shows what there is"
        with suggesting(to, lambda: labels, hint):
            raise NotFound(f"session {handle.info.name} has no checkpoint {to!r}", code="checkpoint-not-found")
    first = handle.timeline(limit=1).items[0].seq
    if int(to) < first:
        raise InvalidInput(
            f"session {handle.info.name} begins with entry {first}: it is restored to that or a later one",
            code="invalid-seq",
        )
    return int(to), None


def _differences(store: Store, handle: Session, seq: int) -> list[StateDifference]:
    """What restoring would change: a key whose value of then has expired since is not set again."""
    found: list[StateDifference] = []
    cursor, now = None, to_datetime(SystemClock().now_ns())
    while True:
        page = store.diff(seq, _NOW, scope=Scope.session(handle.info.id), limit=PAGE_ROWS_MAX, cursor=cursor)
        found += [
            one for one in page
            if one.after is not None or one.before is None or one.before.expires_at is None
            or one.before.expires_at > now
        ]  # fmt: skip
        cursor = page.next_cursor
        if cursor is None:
            return found
