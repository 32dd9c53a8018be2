"""Steps of many sessions at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmspell.errors import Conflict, NotFound
from llmspell.journal.acting import InSession, enter
from llmspell.model.arguments import check_function
from llmspell.model.ids import id_bytes
from llmspell.schema import queries
from llmspell.sessions.info import SessionInfo
from llmspell.sessions.saving import save_all

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal
    from llmspell.model.context import Context
    from llmspell.sessions.ported import PortProgress
    from llmspell.sessions.steps import Steps

_INFO = queries("llmspell.sessions")["info"]
_ACTIVE = f"{_INFO} WHERE s.until_seq IS NULL AND s.status = 'active' ORDER BY s.id"
_RECENT = (
    f"{_INFO} WHERE (s.id, s.since_seq) IN (SELECT id, since_seq FROM session INDEXED BY session_status"
    " WHERE status IN ('active', 'suspended') AND until_seq IS NULL ORDER BY since_seq DESC LIMIT ?)"
    " ORDER BY s.since_seq DESC"
)


class Batches:
    """What ``AsyncSessions`` asks for."""

    def __init__(self, journal: Journal, steps: Steps) -> None:
        self._journal = journal
        self._steps = steps

    async def save_all_active(self, context: Context, progress: PortProgress | None) -> tuple[SessionInfo, ...]:
        """See ``AsyncSessions``."""
        check_function(progress)
        rows = await self._journal.database.read(lambda view: view.all(_ACTIVE))
        infos = [SessionInfo(row) for row in rows]
        for info in infos:
            await self._point("before", context, info)
        saved = await self._journal.write(
            lambda writer: save_all(writer, [(id_bytes(info.id), id_bytes(info.correlation_id)) for info in infos]),
            context=context,
            strong=True,
        )
        found = []
        for done, session in enumerate(saved, 1):
            with suppress(NotFound):  # It was saved, and somebody deleted it since.
                found.append(await self._steps.info(session))
                await self._point("after", context, found[-1])
            if progress is not None:
                progress("sessions", done)
        return tuple(found)

    async def restore_recent(
        self, open_: Callable[[str], Awaitable[Any]], count: int, progress: PortProgress | None
    ) -> tuple[SessionInfo, ...]:
        """See ``AsyncSessions``. ``open_`` gives the handle of a session."""
        check_function(progress)
        rows = await self._journal.database.read(lambda view: view.all(_RECENT, (count,)))
        found = []
        for done, row in enumerate(rows, 1):
            info = await _taken_up(open_, SessionInfo(row).id)
            if info is not None:
                found.append(info)
            if progress is not None:
                progress("sessions", done)
        return tuple(found)

    async def _point(self, moment: str, context: Context, info: SessionInfo) -> None:
        inside = enter(context, InSession(id_bytes(info.id), id_bytes(info.correlation_id), 0))
        await self._steps.point(inside, f"{moment}_session_save", "save", info)


async def _taken_up(open_: Callable[[str], Awaitable[Any]], id_: str) -> SessionInfo | None:
    """A session that is active again, by this or by somebody else meanwhile; None when it ended or went meanwhile."""
    try:
        handle = await open_(id_)
        if str(handle.info.status) == "suspended":
            with suppress(Conflict):  # Somebody else was first; what it is now says whether that was the same.
                await handle.resume()
        info: SessionInfo = await handle.refresh()
    except NotFound:
        return None
    return info if str(info.status) == "active" else None
