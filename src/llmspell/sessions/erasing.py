"""Deleting for good what deleted sessions held in artifacts, so that a collect can take the contents.

It follows the session's deletion, in units of bounded size. What the first unit did not come to is marked, and so is
what forks still show: a mark stays until nothing is left, whatever was killed in between, and each cleanup goes through
the marks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from llmspell.journal.room import FreeReserve, making_room
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.ports.database import Reading

_SQL = queries("llmspell.sessions")
_MARK = "erase-session/"
"""The beginning of a watermark's name, before a session's id: what that had up to the seq is to be deleted for good."""
_MARKED = "SELECT substr(name, ?3 + 1) FROM watermark WHERE name > ?1 AND name < ?2 ORDER BY name"
_UNMARK = "DELETE FROM watermark WHERE name = ?"


class Position(Protocol):
    """How far it came in what one session had."""

    @property
    def through(self) -> bool:
        """Whether all was looked at."""
        ...

    @property
    def kept(self) -> bool:
        """Whether forks needed some of it."""
        ...


Erase = Callable[["Writer", bytes, int, Any], Awaitable[Position]]
"""Deletes for good, inside a unit, the next artifacts that a session had up to an entry, so many that it keeps nobody
waiting: (writer, session, entry, the position that it gave before; None at the beginning).
"""


async def begin(writer: Writer, session: bytes, bound: int, erase: Erase) -> Position:
    """The first part, in the unit that deleted the session by the entry ``bound``, or in one of its own. What it did
    not come to, or had to keep, is marked if anything was deleted before this or now.
    """
    at = await erase(writer, session, bound, None)
    if not at.through or (at.kept and writer.appended):
        await writer.run(_SQL["set_indexed"], (_name(session), bound))
    return at


async def step(writer: Writer, session: bytes, after: Position | None, erase: Erase) -> Position | None:
    """The next part; None when it came to the end of it, or somebody else did."""
    row = await writer.one(_SQL["indexed_until"], (_name(session),))
    if row is None:
        return None
    at = await erase(writer, session, row[0], after)
    if not at.through:
        return at
    if not at.kept:
        await writer.run(_UNMARK, (_name(session),))
    return None


async def to_the_end(
    journal: Journal, context: Context, session: bytes, erase: Erase, free_reserve: FreeReserve
) -> None:
    """All parts that are left of a session, a unit each; nothing when it is not marked. They are written in no session,
    because this one is gone, and are no part of a script's record, which has the first one.
    """
    if await journal.database.one(_SQL["indexed_until"], (_name(session),)) is None:
        return
    outside = replace(context, session=None, session_correlation=None, step=None, bounds=None)
    at: Position | None = None
    while True:
        unit = partial(step, session=session, after=at, erase=erase)
        at = await making_room(partial(journal.write, unit, context=outside), free_reserve)
        if at is None:
            return


def marked(view: Reading) -> list[bytes]:
    """Deleted sessions of which something is still to be deleted for good."""
    rows = view.all(_MARKED, (_MARK, _MARK + "g", len(_MARK)))
    return [bytes.fromhex(name) for (name,) in rows]


def _name(session: bytes) -> str:
    return _MARK + session.hex()
