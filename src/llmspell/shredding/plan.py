"""Looking before shredding: may it be, what would go, and what has to be remembered to finish it after a crash."""

from __future__ import annotations

import msgspec

from llmspell.artifacts.blob import unpack_ids
from llmspell.errors import Conflict, NotFound
from llmspell.journal.asking import Asks
from llmspell.model.ids import id_text
from llmspell.ports.content import Place

_SESSION = "SELECT status, until_seq FROM session WHERE id = ? ORDER BY since_seq DESC LIMIT 1"
_CHILDREN = "SELECT id FROM session WHERE parent = ? AND until_seq IS NULL LIMIT 20"
_DERIVED = (
    "SELECT DISTINCT a.session FROM artifact a, json_each(a.derived_from) d"
    " WHERE a.session <> ?1 AND a.until_seq IS NULL"
    " AND unhex(replace(d.value, '-', '')) IN (SELECT id FROM artifact WHERE session = ?1) LIMIT 20"
)
_FORKS = "SELECT session FROM fork_level WHERE ancestor = ? AND until_seq IS NULL ORDER BY session LIMIT 20"
_OTHER_HAS = "EXISTS (SELECT 1 FROM artifact o WHERE o.digest = a.digest AND o.session <> ?1)"
_COUNTS = (
    "SELECT (SELECT count(*) FROM state s JOIN scope c ON c.id = s.scope WHERE c.name = ?2 AND s.deleted = 0),"
    " (SELECT count(DISTINCT id) FROM artifact WHERE session = ?1), (SELECT count(*) FROM run WHERE session = ?1),"
    f" (SELECT count(DISTINCT a.digest) FROM artifact a WHERE a.session = ?1 AND NOT {_OTHER_HAS})"
)
_SHARED = f"SELECT DISTINCT name FROM artifact a WHERE a.session = ?1 AND {_OTHER_HAS} ORDER BY name"
_LISTS = (
    "SELECT chunk_ids, chunk_count FROM blob WHERE chunk_count > 0 AND digest IN"
    f" (SELECT a.digest FROM artifact a WHERE a.session = ?1 AND NOT {_OTHER_HAS})"
)
_LEFT = (
    "SELECT EXISTS (SELECT 1 FROM state s JOIN scope c ON c.id = s.scope WHERE c.name = ?2)"
    " OR EXISTS (SELECT 1 FROM artifact WHERE session = ?1) OR EXISTS (SELECT 1 FROM run WHERE session = ?1)"
    " OR EXISTS (SELECT 1 FROM checkpoint WHERE session = ?1)"
)
_SEALED = (
    "SELECT EXISTS (SELECT 1 FROM state s JOIN scope c ON c.id = s.scope WHERE c.name = ? AND s.class = 'sensitive')"
)
_SHREDDED = "SELECT 1 FROM entry WHERE session = ? AND +kind = 'session.shredded' LIMIT 1"
_PENDING = "SELECT value FROM meta WHERE name = ?"
PENDING = "shredding:"
"""Names of the rows in ``meta`` that say what is left to do, before the session's id."""


class Pending(msgspec.Struct):
    """What is left to do once the rows are gone: chunks and their places in packs, entries written elsewhere."""

    chunks: list[int] = []
    places: list[Place] = []
    elsewhere: list[int] = []
    keys: list[str] = []

    def joined(self, other: Pending) -> Pending:
        """Both: what a shredding that was begun left, and what came into the session's scope since."""
        return Pending(
            sorted({*self.chunks, *other.chunks}), list(dict.fromkeys([*self.places, *other.places])),
            sorted({*self.elsewhere, *other.elsewhere}), list(dict.fromkeys([*self.keys, *other.keys])),
        )  # fmt: skip


class Counts(msgspec.Struct):
    """What leaves the tables."""

    state_keys: int
    artifact_versions: int
    runs: int
    contents: int


async def demand_shreddable(asks: Asks, session: bytes, *, detach: bool) -> bool:
    """Whether it is still to be done; False when it was begun or done before.

    Raises NotFound (``session-not-found``), Conflict (``session-active``, ``session-needed``).
    """
    row = await asks.one(_SESSION, (session,))
    if row is None:
        if await asks.one(_PENDING, (f"{PENDING}{id_text(session)}",)) is None and not await was_shredded(
            asks, session
        ):
            raise NotFound(f"there is no session {id_text(session)}", code="session-not-found")
        return False
    if row[1] is None and row[0] == "active":
        raise Conflict(
            f"session {id_text(session)} is active: whoever works in it would go on writing",
            code="session-active",
            hint="complete or suspend it first",
        )
    if not detach:
        await _demand_unneeded(asks, session)
    return True


async def was_shredded(asks: Asks, session: bytes) -> bool:
    """Whether the journal says so."""
    return await asks.one(_SHREDDED, (session,)) is not None


async def has_rows(asks: Asks, session: bytes) -> bool:
    """Whether anything is in the tables: a scope can be written to when its session is gone, by a handle of before."""
    row = await asks.one(_LEFT, (session, f"session:{id_text(session)}"))
    return row is not None and bool(row[0])


async def has_sealed(asks: Asks, session: bytes) -> bool:
    """Whether a key of the session's holds, or held, a sealed value."""
    row = await asks.one(_SEALED, (f"session:{id_text(session)}",))
    return row is not None and bool(row[0])


async def _demand_unneeded(asks: Asks, session: bytes) -> None:
    for sql, what in (
        (_FORKS, "was forked from it and has its past"), (_CHILDREN, "was opened under it"),
        (_DERIVED, "has artifacts made from its artifacts"),
    ):  # fmt: skip
        rows = await asks.all(sql, (session,))
        if rows:
            ids = [id_text(one) for (one,) in rows]
            raise Conflict(
                f"session {id_text(session)} is needed: session {ids[0]} {what}"
                + (f", and {len(ids) - 1} more" if len(ids) > 1 else ""),
                code="session-needed",
                hint="shred those first, or shred it with detach: they keep no more than its ids, and a fork no past",
                sessions=ids,
            )


async def counts_of(asks: Asks, session: bytes) -> tuple[Counts, list[str]]:
    """What would leave the tables, and names of artifacts whose content others have too."""
    row = await asks.one(_COUNTS, (session, f"session:{id_text(session)}"))
    return Counts(*(row or (0, 0, 0, 0))), [name for (name,) in await asks.all(_SHARED, (session,))]


async def chunks_of(asks: Asks, session: bytes) -> set[int]:
    """Chunks of contents that no other session's artifact has; other contents may still share some of them."""
    found: set[int] = set()
    for packed, count in await asks.all(_LISTS, (session,)):
        found.update(unpack_ids(packed, count))
    return found


async def pending_of(asks: Asks, session: bytes) -> Pending:
    """What is left to do of a shredding that was begun."""
    row = await asks.one(_PENDING, (f"{PENDING}{id_text(session)}",))
    return Pending() if row is None else msgspec.json.decode(row[0], type=Pending)
