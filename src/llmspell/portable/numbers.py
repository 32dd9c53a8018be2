"""Numbers of versions on their way into a store: those they had, unless another artifact was given one here before."""

from __future__ import annotations

from llmspell.journal.journal import Writer

_TAKEN = (
    "SELECT 1 FROM artifact a WHERE session = ? AND name = ? AND version = ? AND id <> ?"
    " AND NOT (digest = ? AND EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id)) LIMIT 1"
)
_OF_LIFE_BEFORE = (
    "SELECT a.id FROM artifact a WHERE a.session = ? AND a.name = ? AND a.version = ? AND a.digest = ?"
    " AND NOT EXISTS (SELECT 1 FROM artifact o WHERE o.id = a.id AND o.until_seq IS NULL)"
    " AND NOT EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id) ORDER BY a.since_seq DESC LIMIT 1"
)
_LAST = "SELECT max(version) FROM artifact WHERE session = ? AND name = ?"


async def is_taken(writer: Writer, session: bytes, name: str, number: int, artifact: bytes, digest: str) -> bool:
    """Whether another artifact of a session has, or had, a number of a name. One of the same content that was deleted
    for good is the same version, of a life of the session before.
    """
    return await writer.one(_TAKEN, (session, name, number, artifact, bytes.fromhex(digest))) is not None


async def id_before(writer: Writer, session: bytes, name: str, number: int, digest: str) -> bytes | None:
    """The id that a version was given here when it came in before, and was deleted with its session since."""
    row = await writer.one(_OF_LIFE_BEFORE, (session, name, number, bytes.fromhex(digest)))
    return None if row is None else bytes(row[0])


async def number_here(
    writer: Writer, session: bytes, name: str, number: int, artifact: bytes, digest: str, others: dict[int, int]
) -> int:
    """The number that a version gets, which had ``number`` where it comes from; ``others`` are those of the same name
    that came before, there and here. They keep their order.
    """
    before = max((here for there, here in others.items() if there < number), default=0)
    free = number > before and number not in others.values()
    if free and not await is_taken(writer, session, name, number, artifact, digest):
        return number
    (last,) = await writer.one(_LAST, (session, name)) or (0,)
    return int(last or 0) + 1
