"""Session, one that goes on from another: forks, and what two sessions differ in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell.hooks.moment import run_point
from llmspell.model.context import current
from llmspell.operations.host import Host
from llmspell.operations.operation import Operation
from llmspell.operations.types import INT, LABEL_OR_NUMBER, NAME, SESSION, Param, options

if TYPE_CHECKING:
    from llmspell.model.entry import Entry


async def _fork(host: Host, session: str | None = None, options: Mapping[str, Any] | None = None) -> str:
    handle = await host.session(session)
    return (await host.store.sessions.fork(handle.id, **(options or {}))).id


async def _forked(host: Host, values: Mapping[str, Any], entries: list[Entry]) -> str:
    """The id is in the entry that the interrupted step wrote; its after-hooks are still to be asked."""
    session = str(entries[-1].data["id"])
    info = await host.store.sessions.get(session)
    data = {"id": session, "info": info.to_dict(), "reason": None}
    await run_point(host.store.hooks, current.get(), "after_session_fork", "session", "fork", data)
    return session


async def _compare(host: Host, a: str, session: str | None = None, options: Mapping[str, Any] | None = None) -> Any:
    one, other = await host.session(a), await host.session(session)
    return (await host.store.sessions.compare(one.id, other.id, **(options or {}))).to_dict()


_SESSION = Param("session", SESSION, "id or unique name; nil or '' is the current one", optional=True)
_AT = Param(
    "options",
    options(
        Param("at", LABEL_OR_NUMBER, "a seq, an RFC 3339 time, `-5m`, or a checkpoint's label; now by default",
              optional=True),
        Param("name", NAME, "its name; that of the session with ` (fork)` by default", optional=True),
    ),
    "from when, and its name",
    optional=True,
)  # fmt: skip
_PAGE = options(
    Param("limit", INT, "at most so many keys and artifacts; 100 by default", optional=True),
    Param("cursor", NAME, "goes on where a page ended", optional=True),
)
OPERATIONS = (
    Operation(
        "Session", ("fork",), ((_SESSION, _AT), (_AT,)), "the new session's id",
        "A session that goes on from a moment of another one, with a future of its own. Nothing is copied.", _fork,
        errors=("session-not-found", "invalid-moment", "invalid-seq", "migration-running", "fork-depth", "vetoed"),
        lua_returns="string", made=("session.forked", _forked),
    ),
    Operation(
        "Session", ("compare",),
        ((Param("a", NAME, "id or unique name"), _SESSION, Param("options", _PAGE, "which page", optional=True)),),
        "a table {identical, ancestor, fields, state, artifacts, next_cursor}",
        "What the second session has otherwise than the first: fields, keys and artifacts.", _compare,
        errors=("session-not-found",), lua_returns="table",
    ),
)  # fmt: skip
