"""Session: counting, families and history; what finds sessions beside ``Session.list``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell.operations.host import Host
from llmspell.operations.operation import Form, Operation
from llmspell.operations.sessions import CONDITIONS
from llmspell.operations.shapes import present, session_table
from llmspell.operations.types import BOOL, INT, SESSION, Param, options
from llmspell.sessions.family import SessionTree

_SESSION = Param("session", SESSION, "id or unique name; nil or '' is the current one", optional=True)
_ONE: tuple[Form, ...] = ((_SESSION,),)
_DEPTH_DEFAULT = 32
"""Levels of a tree that a script gets: tables within tables have a bound."""


async def _count(host: Host, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return (await host.store.sessions.count(**(options or {}))).to_dict()


async def _recent(host: Host, n: int = 10) -> list[dict[str, Any]]:
    return [session_table(info) for info in await host.store.sessions.recent(n)]


async def _children(host: Host, session: str | None = None) -> list[dict[str, Any]]:
    return [session_table(info) for info in await host.store.sessions.children((await host.session(session)).id)]


async def _parents(host: Host, session: str | None = None) -> list[dict[str, Any]]:
    return [session_table(info) for info in await host.store.sessions.parents((await host.session(session)).id)]


async def _tree(host: Host, session: str | None = None, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    bounds = {"depth": _DEPTH_DEFAULT, **(options or {})}
    tree = await host.store.sessions.tree((await host.session(session)).id, **bounds)
    return {**_tree_table(tree), "picture": tree.picture()}


def _tree_table(top: SessionTree) -> dict[str, Any]:
    """A tree as nested tables, made without recursion: a chain of sessions may be deep."""
    made = session_table(top.info)
    waiting = [(top, made)]
    while waiting:
        tree, table = waiting.pop()
        below = [session_table(child.info) for child in tree.children]
        table["children"] = below
        table["cut"], table["more"] = tree.cut, tree.more
        waiting.extend(zip(tree.children, below, strict=True))
    return made


async def _history(host: Host, session: str | None = None, options: Mapping[str, Any] | None = None) -> Any:
    changes = await (await host.session(session)).history(**(options or {}))
    return [present(change.to_dict()) for change in changes]


_COUNTED = Param(
    "options",
    options(*CONDITIONS, Param("exact", BOOL, "counts on above 1,000", optional=True)),
    "conditions as of `list`",
    optional=True,
)
_BOUNDS = Param(
    "options",
    options(
        Param("limit", INT, "at most so many sessions; 1,000 by default", optional=True),
        Param("depth", INT, "at most so many levels below; 32 by default", optional=True),
    ),
    "how much of it",
    optional=True,
)
_CHANGES = Param(
    "options",
    options(
        Param("limit", INT, "changes of at most so many entries; 100 by default", optional=True),
        Param("before", INT, "only entries before this seq", optional=True),
    ),
    "which changes",
    optional=True,
)
_N = Param("n", INT, "how many; 10 by default", optional=True)

OPERATIONS = (
    Operation(
        "Session", ("count",), ((_COUNTED,),), "a table {number, exact, text}",
        "How many sessions fit; above 1,000 the count stops, and `text` says `1000+`.", _count, lua_returns="table",
    ),
    Operation(
        "Session", ("recent",), ((_N,),), "a list of tables as `get` gives",
        "The sessions that changed last, newest first.", _recent, lua_returns="table[]",
    ),
    Operation(
        "Session", ("children",), _ONE, "a list of tables as `get` gives",
        "The sessions directly below one, the oldest first.", _children, errors=("session-not-found",),
        lua_returns="table[]",
    ),
    Operation(
        "Session", ("parents",), _ONE, "a list of tables as `get` gives",
        "The session above one, the one above that, and so on.", _parents, errors=("session-not-found",),
        lua_returns="table[]",
    ),
    Operation(
        "Session", ("tree",), ((_SESSION, _BOUNDS), (_BOUNDS,)),
        "a table as `get` gives, with `children` (such tables), `cut` and, at the top, `picture`",
        "A session and all below it.", _tree, errors=("session-not-found",), lua_returns="table",
    ),
    Operation(
        "Session", ("history", "get_history"), ((_SESSION, _CHANGES), (_CHANGES,)),
        "a list of {field, before, after, actor, seq, time, reason}",
        "Who changed which field of a session from what to what, newest first.", _history, lua_returns="table[]",
    ),
)  # fmt: skip
