"""``llmspell session``: the sessions of a store and their lifecycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from llmspell.cli import given, printable, session_fork, session_life
from llmspell.cli.asking import confirmed
from llmspell.cli.invocation import running
from llmspell.cli.output import STATUS_STYLES, Column
from llmspell.cli.suggest import open_session, session_id, suggesting_sessions
from llmspell.model.clock import SystemClock
from llmspell.model.limits import PAGE_ROWS_MAX

if TYPE_CHECKING:
    from llmspell.sync.faces import Session

app = App(name="session", help="Sessions: named stretches of work with a lifecycle, state and artifacts of their own.")

Named = Annotated[str, Parameter(help="The session, by name or id.")]
Tags = Annotated[list[str] | None, Parameter(name="--tag", help="A tag; may be given several times.")]
MetaOption = Annotated[list[str] | None, Parameter(help="Only with this in the metadata, NAME=JSON; several times.")]
WhenOption = Annotated[given.Word | None, Parameter(help="A time, or -5m for some time ago.")]
SHOWN_MAX = 20
"""Keys and artifacts that `show` prints to people; --json has them all."""


@app.command(name="list")
def list_(
    *, tags: Tags = None,
    status: Annotated[str | None, Parameter(help="active, suspended, completed, failed or archived.")] = None,
    created_by: Annotated[str | None, Parameter(help="Only what this one created.")] = None,
    parent: Annotated[str | None, Parameter(help="Only what was opened under this session, by name or id.")] = None,
    name: Annotated[str | None, Parameter(help="Only of exactly this name.")] = None,
    meta: MetaOption = None,
    created_after: WhenOption = None, created_before: WhenOption = None,
    updated_after: WhenOption = None, updated_before: WhenOption = None,
    order_by: Annotated[str, Parameter(help="updated_at or created_at; with = and - newest first.")] = "-updated_at",
    limit: Annotated[int, Parameter(help="Sessions of one page.")] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List sessions, the one that changed last first."""
    with running.get().reading() as store:
        above = None if parent is None else session_id(store, parent)
        page = store.sessions.list(
            status=status, tags=tags or (), created_by=created_by, parent=above, name=name,
            metadata=given.pairs(meta, "--meta") or None, order_by=order_by, limit=limit, cursor=cursor,
            **_times(created_after, created_before, updated_after, updated_before),
        )  # fmt: skip
    columns = (
        Column("id", lambda item: item["id"]),
        Column("name", lambda item: item["name"]),
        Column("status", lambda item: item["status"], styles=STATUS_STYLES),
        Column("updated", lambda item: printable.moment(item["updated_at"])),
        Column("artifacts", lambda item: item["artifact_count"], right=True),
        Column("entries", lambda item: item["operation_count"], right=True),
        Column("tags", lambda item: ", ".join(item["tags"])),
    )
    items = [info.to_dict() for info in page]
    running.get().out.items(items, columns, next_cursor=page.next_cursor, nothing="no sessions")


@app.command(name="count")
def count(
    *, tags: Tags = None,
    status: Annotated[str | None, Parameter(help="active, suspended, completed, failed or archived.")] = None,
    created_by: Annotated[str | None, Parameter(help="Only what this one created.")] = None,
    meta: MetaOption = None,
    created_after: WhenOption = None, created_before: WhenOption = None,
    updated_after: WhenOption = None, updated_before: WhenOption = None,
    exact: Annotated[bool, Parameter(help="Also above 1,000.")] = False,
) -> None:  # fmt: skip
    """Count sessions."""
    with running.get().reading() as store:
        found = store.sessions.count(
            status=status, tags=tags or (), created_by=created_by, metadata=given.pairs(meta, "--meta") or None,
            exact=exact, **_times(created_after, created_before, updated_after, updated_before),
        )  # fmt: skip
    told = {"count": found.number, "exact": found.exact}
    running.get().out.done(told, f"{found} session(s)", bare=str(found))


@app.command(name="tree")
def tree(session: Named, /) -> None:
    """Draw a session with all that were opened under it."""
    out = running.get().out
    with running.get().reading() as store:
        found = store.sessions.tree(session_id(store, session))
    if out.json:
        out.one(found.to_dict(), "")
    else:
        out.write("\n".join(printable.line(line) for line in found.picture().splitlines()))


@app.command(name="show")
def show(session: Named, /) -> None:
    """Show everything about a session: its fields, keys, artifacts and checkpoints."""
    out = running.get().out
    with running.get().reading() as store:
        handle = open_session(store, session)
        shown = _whole(handle)
    rows = [(name.replace("_", " "), _field(name, value)) for name, value in handle.info.to_dict().items()]
    keys, artifacts = shown["state_keys"], shown["artifacts"]
    rows += [
        (printable.count(len(keys), "key"), _some(keys)),
        (printable.count(len(artifacts), "artifact"), _some([_artifact(one) for one in artifacts])),
        ("checkpoints", "\n".join(f"{one['label']} (entry {one['seq']})" for one in shown["checkpoints"])),
    ]
    out.fields(shown, rows)


@app.command(name="create")
def create(
    name: str, /, *, tags: Tags = None,
    description: Annotated[str, Parameter(help="What it is about.")] = "",
    created_by: Annotated[str | None, Parameter(help="Who creates it.")] = None,
    parent: Annotated[str | None, Parameter(help="The session it belongs under, by name or id.")] = None,
    meta: Annotated[list[str] | None, Parameter(help="A field of the metadata, NAME=JSON; several times.")] = None,
    config: Annotated[list[str] | None, Parameter(help="A setting kept with it, NAME=JSON; several times.")] = None,
    state: Annotated[list[str] | None, Parameter(help="A key of its first state, KEY=JSON; several times.")] = None,
    template: Annotated[str | None, Parameter(help="A registered template that it begins with.")] = None,
) -> None:  # fmt: skip
    """Begin a session."""
    fields: dict[str, Any] = {
        "metadata": given.pairs(meta, "--meta"), "config": given.pairs(config, "--config"),
        "state": given.pairs(state, "--state"),
    }  # fmt: skip
    with running.get().changing(create=parent is None) as store:
        above = None if parent is None else session_id(store, parent)
        info = store.sessions.create(
            name,
            description=description,
            tags=tags or (),
            created_by=created_by,
            parent=above,
            template=template,
            **fields,
        ).info
    running.get().out.done(info.to_dict(), f"created session {info.name} {info.id}", bare=info.id)


@app.command(name="suspend")
def suspend(session: Named, /) -> None:
    """Set an active session aside."""
    _step(session, "suspend")


@app.command(name="resume")
def resume(session: Named, /) -> None:
    """Take a suspended or failed session up again."""
    _step(session, "resume")


@app.command(name="complete")
def complete(session: Named, /) -> None:
    """End a session well."""
    _step(session, "complete")


@app.command(name="delete")
def delete(
    session: Named, /, *,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be deleted, and delete nothing.")] = False,
) -> None:  # fmt: skip
    """Delete a session with its state and its artifacts. The journal keeps what happened."""
    run = running.get()
    with run.reading() if dry_run else run.changing() as store:
        handle = open_session(store, session)
        info, keys = handle.info, len(handle.state.keys())
        plan = {
            "id": info.id, "name": info.name, "status": str(info.status), "state_keys": keys,
            "artifact_versions": info.artifact_count, "artifact_bytes": info.artifact_bytes,
        }  # fmt: skip
        told = (
            f"session {info.name} {info.id} with {printable.count(keys, 'key')} and"
            f" {printable.count(info.artifact_count, 'artifact version')} ({printable.size(info.artifact_bytes)})"
        )
        if not confirmed(run.out, plan, told, yes=yes, dry_run=dry_run):
            return
        store.sessions.delete(info.id)
    run.out.done({**plan, "deleted": True}, f"deleted {told}")


@app.command(name="shred")
def shred(
    session: Named, /, *,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be destroyed, and destroy nothing.")] = False,
    detach: Annotated[bool, Parameter(help="Also when other sessions are under it, or were made from it.")] = False,
) -> None:  # fmt: skip
    """Destroy a session for good: no byte of it stays in the store, only that there was one.

    Begun and interrupted, it is finished by doing it again. Both files of the store are written anew.
    """
    run = running.get()
    with run.reading() if dry_run else run.changing() as store:
        with suggesting_sessions(store, session):
            plan = store.sessions.shred(session, detach=detach, dry_run=True)
        keys, versions = (
            printable.count(plan.state_keys, "key"), printable.count(plan.artifact_versions, "artifact version"),
        )  # fmt: skip
        told = f"session {plan.id} with {printable.count(plan.payloads, 'payload')}, {keys} and {versions}"
        if not confirmed(run.out, plan.to_dict(), told, yes=yes, dry_run=dry_run, verb=("shred", "shredded")):
            return
        done = store.sessions.shred(plan.id, detach=detach)
    kept = sum(done.kept.values())
    about = f"; {printable.count(kept, 'entry')} about other things stay" if kept else ""
    shared = f"; others have the content of {', '.join(done.shared)}" if done.shared else ""
    run.out.done({**done.to_dict(), "shredded": True}, printable.line(f"shredded {told}{about}{shared}"))


def _step(session: str, verb: str) -> None:
    with running.get().changing() as store:
        handle = open_session(store, session)
        was = str(handle.info.status)
        info = getattr(handle, verb)()
    running.get().out.done(info.to_dict(), f"session {info.name} is {info.status} (was {was})")


def _whole(handle: Session) -> dict[str, Any]:
    artifacts, cursor = [], None
    while True:
        page = handle.artifacts.list(limit=PAGE_ROWS_MAX, cursor=cursor)
        artifacts += [
            {"name": one.name, "version": one.version, "id": one.id, "type": one.type, "size": one.size} for one in page
        ]
        cursor = page.next_cursor
        if cursor is None:
            break
    return {
        **handle.info.to_dict(), "state_keys": handle.state.keys(), "artifacts": artifacts,
        "checkpoints": [one.to_dict() for one in handle.checkpoints()],
    }  # fmt: skip


def _field(name: str, value: Any) -> object:
    if value is not None and name.endswith("_at"):
        return printable.moment(value)
    if name == "artifact_bytes":
        return printable.size(value)
    if name == "tags":
        return ", ".join(value)
    return printable.json_text(value) if isinstance(value, dict) and value else value


def _artifact(one: dict[str, Any]) -> str:
    return f"{one['name']} v{one['version']} ({printable.size(one['size'])})"


def _some(lines: list[str]) -> str:
    shown = [printable.line(one) for one in lines[:SHOWN_MAX]]
    return "\n".join([*shown, f"… and {len(lines) - SHOWN_MAX:,} more"] if len(lines) > SHOWN_MAX else shown)


def _times(
    created_after: str | None, created_before: str | None, updated_after: str | None, updated_before: str | None
) -> dict[str, Any]:
    clock = SystemClock()
    return {
        "created_after": given.time(created_after, clock), "created_before": given.time(created_before, clock),
        "updated_after": given.time(updated_after, clock), "updated_before": given.time(updated_before, clock),
    }  # fmt: skip


for _name, _command in (session_fork.COMMANDS | session_life.COMMANDS).items():
    app.command(_command, name=_name)
