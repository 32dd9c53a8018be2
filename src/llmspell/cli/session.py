"""``llmspell session``: the sessions of a store and their lifecycle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from llmspell.cli import given, printable, session_fork, session_life, session_marks
from llmspell.cli.asking import confirmed
from llmspell.cli.invocation import running
from llmspell.cli.session_finding import Named, count, history, list_, tree
from llmspell.cli.suggest import open_session, session_id, suggesting_sessions
from llmspell.errors import InvalidInput, NotFound
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.limits import PAGE_ROWS_MAX

if TYPE_CHECKING:
    from llmspell.sync.faces import Session, Store

app = App(name="session", help="Sessions: named stretches of work with a lifecycle, state and artifacts of their own.")

Tags = Annotated[list[str] | None, Parameter(name="--tag", help="A tag; may be given several times.")]
SHOWN_MAX = 20
"""Keys and artifacts that `show` prints to people; --json has them all."""
app.command(list_, name="list")
app.command(count, name="count")
app.command(tree, name="tree")
app.command(history, name="history")


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


@app.command(name="archive")
def archive(session: Named, /) -> None:
    """Put a completed or failed session away; it takes no artifacts any more."""
    _step(session, "archive")


@app.command(name="unarchive")
def unarchive(session: Named, /) -> None:
    """Take a session out of the archive again, as it was before."""
    _step(session, "unarchive")


@app.command(name="delete")
def delete(
    session: Named, /, *,
    hard: Annotated[bool, Parameter(help="For good: `llmspell collect` then frees what its artifacts held.")] = False,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be deleted, and delete nothing.")] = False,
) -> None:  # fmt: skip
    """Delete a session with its state and its artifacts. The journal keeps what happened.

    With --hard also, by its id, what a session that was deleted before left.
    """
    run = running.get()
    with run.reading() if dry_run else run.changing() as store:
        gone = _deleted(store, session) if hard else None
        if gone is not None:
            if confirmed(run.out, {"id": gone}, f"for good what session {gone} left", yes=yes, dry_run=dry_run):
                store.sessions.delete(gone, hard=True)
                run.out.done({"id": gone, "deleted": True}, f"deleted for good what session {gone} left")
            return
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
        store.sessions.delete(info.id, hard=hard)
    run.out.done({**plan, "deleted": True}, f"deleted {told}{' for good' if hard else ''}")


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


for _name, _command in (session_fork.COMMANDS | session_life.COMMANDS | session_marks.COMMANDS).items():
    app.command(_command, name=_name)


def _deleted(store: Store, session: str) -> str | None:
    """The id of a session that was deleted, None for any other."""
    try:
        id_ = id_text(id_bytes(session))
    except InvalidInput:
        return None
    try:
        store.sessions.get(id_)
    except NotFound as exc:
        return id_ if exc.code == "session-not-found" and store.timeline(session=id_, limit=1).items else None
    return None
