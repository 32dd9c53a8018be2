"""Deleting for good what a deleted session held, a bounded part of it at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmspell.artifacts import units
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer

_SQL = queries("llmspell.artifacts")


class Erasing(NamedTuple):
    """How far it came: the version it looked at last, whether that was the last, and whether forks needed any."""

    name: str = ""
    version: int = 0
    id: bytes = b""
    through: bool = False
    kept: bool = False


async def erase_of_session(writer: Writer, session: bytes, bound: int, after: Erasing | None) -> Erasing:
    """Delete for good the next versions of a session that were deleted up to the entry ``bound``, ``UNIT_VERSIONS`` at
    most, as a hard delete of them does; some 70 µs each. What forks of the session show stays for them.
    """
    after = after or Erasing()
    rows = await writer.all(
        _SQL["unerased"], (session, after.name, after.version, after.id, bound, units.UNIT_VERSIONS)
    )
    ids = [row[0] for row in rows]
    free = [one for one in ids if not await writer.all(_SQL["forks_with"], (session, one))]
    await units.delete(writer, free, hard=True, of_many=True)
    kept = after.kept or len(free) < len(ids)
    if len(rows) < units.UNIT_VERSIONS:
        return after._replace(through=True, kept=kept)
    id_, name, version = rows[-1]
    return Erasing(name, version, id_, through=False, kept=kept)
