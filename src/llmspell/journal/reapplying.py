"""Applying the journal once more, to tables that have none of it: for the check of a store, and for its migration.

Both go the same way, so a projection that a migration made is one that a check finds right.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from llmspell.errors import Corrupt
from llmspell.journal.kinds import STORE_CREATED, STORE_MIGRATED, Applied, Kinds
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.model.entry import GENESIS, Entry
from llmspell.ports.database import Row, Transaction

PAGE_ENTRIES = 1000
PAGE_BYTES = 4 << 20
"""Stored bytes of payloads that are in memory at once, unless a single one is larger."""
_SIZES = "SELECT seq, octet_length(payload) FROM entry WHERE seq > ? ORDER BY seq LIMIT ?"
_PAGE = f"SELECT {COLUMNS} FROM entry WHERE seq > ? AND seq <= ? ORDER BY seq"
_TOLD = (STORE_CREATED, STORE_MIGRATED)
ScopeId = Callable[[str], Awaitable[int | None]]


class Chain:
    """How far the journal was read: the seq, hash and time of the entry read last."""

    __slots__ = ("at", "previous", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.previous = GENESIS
        self.at = 0

    def misplaced(self, row: Row) -> list[str]:
        """What is wrong with the place of a row, selected as ``COLUMNS``, behind the one before; mostly nothing."""
        seq, at, previous = row[0], row[2], row[-2]
        wrong = []
        if seq != self.seq + 1:
            wrong.append(f"entries {self.seq + 1} to {seq - 1} are missing")
        elif previous != self.previous:
            wrong.append(f"entry {seq} does not chain to entry {seq - 1}")
        if at < self.at:
            wrong.append(f"entry {seq} is older than the one before it")
        return wrong

    def advance(self, row: Row) -> None:
        """The row is read."""
        self.seq, self.previous, self.at = row[0], row[-1], row[2]


async def apply_again(kinds: Kinds, tx: Transaction, entry: Entry, scope_id: ScopeId) -> Any:
    """Carry an entry into the projections; one whose payload was erased changes none.

    ``scope_id`` finds the number of a scope by its name. Gives the decoded payload of an entry about the store itself,
    else None. Raises NeedsMigration for a kind that only a newer version knows, Corrupt for a scope that is not there.
    """
    if entry.payload is None:
        return None
    kind = kinds.get(entry.kind, entry.kind_version)
    if kind.apply is None:
        return kinds.decode(entry.kind, entry.payload) if kind in _TOLD else None
    payload = kinds.decode(entry.kind, entry.payload)
    name = getattr(payload, "scope", None) if kind.scoped else None
    number = 0 if name is None else await scope_id(name)
    if number is None:
        raise Corrupt(f"its scope {name!r} is not in the table of scopes")
    at = entry.happened_at
    await kind.apply(
        tx, Applied(entry.seq, at, entry.clock, entry.id, entry.session, entry.correlation, number, payload)
    )
    return None


async def apply_all_again(kinds: Kinds, tx: Transaction, projections: Sequence[str]) -> int:
    """Empty the ``projections`` and apply the whole journal to them, in the transaction ``tx``; gives its entries.

    Every hash and the chain are checked on the way: what cannot be trusted is not built upon. Raises Corrupt then.
    Memory is bounded by one page of entries.
    """

    async def scope_id(name: str) -> int | None:
        row = await tx.one("SELECT id FROM scope WHERE name = ?", (name,))
        return None if row is None else int(row[0])

    for table in projections:
        await tx.run(f"DELETE FROM {table}")
    chain = Chain()
    while (last := _page_end(await tx.all(_SIZES, (chain.seq, PAGE_ENTRIES)))) is not None:
        for row in await tx.all(_PAGE, (chain.seq, last)):
            for wrong in chain.misplaced(row):
                raise Corrupt(wrong, seq=row[0])
            await apply_again(kinds, tx, check_row(row), scope_id)
            chain.advance(row)
    return chain.seq


def _page_end(sizes: list[Row]) -> int | None:
    """The last seq that still fits on a page; None when there are no more entries."""
    taken, end = 0, None
    for seq, stored in sizes:
        taken += stored or 0
        if end is not None and taken > PAGE_BYTES:
            break
        end = seq
    return end
