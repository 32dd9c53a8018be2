"""Deleting one session, as it is asked for; for good when it is told so, also one that was deleted before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llmspell.errors import Conflict, NotFound
from llmspell.journal.acting import InSession, enter
from llmspell.journal.room import making_room
from llmspell.model.arguments import check_flags
from llmspell.model.ids import id_bytes, id_text
from llmspell.schema import queries
from llmspell.sessions import erasing, units
from llmspell.sessions.info import SessionInfo

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.sessions.steps import Neighbours, Steps

_INFO = queries("llmspell.sessions")["info"]
_LAST = f"{_INFO} WHERE s.id = ? ORDER BY s.since_seq DESC LIMIT 1"
_OPEN = "SELECT 1 FROM session WHERE id = ? AND until_seq IS NULL"


class Deleting:
    """Deletes of one store."""

    def __init__(self, journal: Journal, steps: Steps, neighbours: Neighbours) -> None:
        self._journal = journal
        self._steps = steps
        self._near = neighbours

    async def delete(self, context: Context, session: bytes, *, hard: bool) -> None:
        """See ``AsyncSessions.delete``."""
        check_flags(hard=hard)
        try:
            info, there = await self._steps.info(session), True
        except NotFound as exc:
            last = await self._last(session) if hard and exc.code == "session-not-found" else None
            if last is None:
                raise
            info, there = last, False
        inside = enter(context, InSession(session, id_bytes(info.correlation_id), 0))
        reason = "hard" if hard else None
        await self._steps.point(inside, "before_session_delete", "delete", info, reason)
        near = self._near

        async def unit(writer: Writer) -> None:
            if not hard or there or await writer.one(_OPEN, (session,)) is not None:
                await units.delete(writer, session, near.removers, erase=near.erase if hard else None)
                return
            at = await erasing.begin(writer, session, writer.head_seq, near.erase)
            if at.through and not writer.appended:
                raise _needed(session) if at.kept else units.missing(session)

        write = partial(self._journal.write, unit, context=inside)
        if hard:
            await making_room(write, near.free_reserve)
            await erasing.to_the_end(self._journal, context, session, near.erase, near.free_reserve)
        else:
            await write()
        near.forget(session)
        await self._steps.point(inside, "after_session_delete", "delete", info, reason)

    async def _last(self, session: bytes) -> SessionInfo | None:
        """A session that was deleted, as it was then."""
        row = await self._journal.database.one(_LAST, (session,))
        return None if row is None else SessionInfo(row)


def _needed(session: bytes) -> Conflict:
    return Conflict(
        f"session {id_text(session)} is deleted, and forks show all that is left of it", code="session-needed",
        hint="delete the forks first",
    )  # fmt: skip
