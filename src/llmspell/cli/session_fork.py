"""``llmspell session fork | compare``."""

from __future__ import annotations

from operator import itemgetter
from typing import Annotated, Any

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.cli.suggest import session_id

Named = Annotated[str, Parameter(help="The session, by name or id.")]


def fork(
    session: Named, /, *,
    at: Annotated[
        given.Word | None,
        Parameter(help="An entry's number, a time, a time ago (-5m), or a checkpoint's label; now by default."),
    ] = None,
    name: Annotated[str | None, Parameter(help="Its name; that of the session with (fork) behind by default.")] = None,
) -> None:  # fmt: skip
    """Begin a session that goes on from a moment of another one, with a future of its own. Nothing is copied."""
    with running.get().changing() as store:
        origin = store.sessions.get(session_id(store, session))
        info = store.sessions.fork(origin.id, at, name).info
    running.get().out.done(
        info.to_dict(),
        printable.line(f"forked session {origin.name} at entry {info.forked_at}: {info.name} {info.id}"),
        bare=info.id,
    )


def compare(
    a: Named, b: Named, /, *,
    limit: Annotated[int, Parameter(help="Keys and artifacts of one page.")] = 100,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List what session B has otherwise than session A: fields, keys and artifacts."""
    out = running.get().out
    with running.get().reading() as store:
        found = store.sessions.compare(session_id(store, a), session_id(store, b), limit=limit, cursor=cursor)
    told = found.to_dict()
    if out.json:
        out.one(told, "")
        return
    rows = [
        ("field", name, "changed", printable.short(one["a"]), printable.short(one["b"]))
        for name, one in told["fields"].items()
        if cursor is None
    ]
    rows += [("key", one["key"], one["change"], _value(one["before"]), _value(one["after"])) for one in told["state"]]
    rows += [
        ("artifact", one["name"], one["change"], _version(one["before"]), _version(one["after"]))
        for one in told["artifacts"]
    ]
    columns = (
        Column("what", itemgetter("what")), Column("name", itemgetter("name")), Column("change", itemgetter("change")),
        Column("in a", itemgetter("a")), Column("in b", itemgetter("b")),
    )  # fmt: skip
    names = "what", "name", "change", "a", "b"
    out.items(
        [dict(zip(names, row, strict=True)) for row in rows],
        columns,
        next_cursor=found.next_cursor,
        nothing="nothing differs",
    )
    if found.ancestor is not None:
        out.note(f"both go back to session {found.ancestor.session}, up to entry {found.ancestor.seq}")


def _value(held: dict[str, Any] | None) -> str:
    return "" if held is None else printable.short(held["value"])


def _version(info: dict[str, Any] | None) -> str:
    return "" if info is None else f"v{info['version']} {info['digest'][:12]}"


COMMANDS = {"fork": fork, "compare": compare}
