"""The lagging indexes: entries by kind, correlation and cause, and the activity counters of sessions.

They are kept out of the hot path. A maintenance step fills them up to a watermark; every query adds a scan of the tail
above it, so that they lag without ever being wrong. ``step`` is a unit of work like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from llmspell.ports.database import Row, Transaction

STEP_ENTRIES = 2000
"""Entries that one step takes in, so that a writer never waits long for it."""
TAIL_ENTRIES_MAX = 4000
"""A longer tail than this is worth indexing."""


class TERMS:
    """The text under which the index finds an entry."""

    @staticmethod
    def kind(name: str) -> str:
        """Entries of a kind."""
        return f"k:{name}"

    @staticmethod
    def correlation(correlation: bytes) -> str:
        """Entries of a correlation."""
        return f"r:{correlation.hex()}"

    @staticmethod
    def cause(seq: int) -> str:
        """Entries caused by an entry."""
        return f"c:{seq}"


_RANGE = "FROM entry WHERE seq > ? AND seq <= ?"
_FILL = (
    f"INSERT OR IGNORE INTO term (term, seq) SELECT 'k:' || kind, seq {_RANGE}",
    f"INSERT OR IGNORE INTO term (term, seq) SELECT 'r:' || lower(hex(correlation)), seq {_RANGE}",
    f"INSERT OR IGNORE INTO term (term, seq) SELECT 'c:' || cause, seq {_RANGE} AND cause <> 0",
    # The plus keeps the planner from walking the whole index of sessions instead of these entries.
    (
        f"INSERT INTO session_activity (session, entries, last_at) SELECT session, count(*), max(at) {_RANGE}"
        " AND +session IS NOT NULL GROUP BY session ON CONFLICT (session)"
        " DO UPDATE SET entries = entries + excluded.entries, last_at = excluded.last_at"
    ),
)


class Changing(Protocol):
    """A transaction, or the writer of a unit."""

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row."""
        ...

    async def run(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """Change something."""
        ...


_TAIL = (
    "SELECT count(*), max(at) FROM entry WHERE session = ?"
    " AND seq > coalesce((SELECT seq FROM watermark WHERE name = 'terms'), 0)"
)
_BEGIN = "INSERT OR REPLACE INTO session_activity (session, entries, last_at) VALUES (?, ?, ?)"


async def count_anew(tx: Changing, session: bytes) -> None:
    """Count the entries of a session from here on, in the transaction that begins another life of it: what it wrote in
    an earlier one and is in the tail, where it will be counted, is taken off already. Whoever asks need not know of it.
    """
    tail, last_at = await tx.one(_TAIL, (session,)) or (0, None)
    if tail:
        await tx.run(_BEGIN, (session, -tail, last_at))
    else:
        await tx.run("DELETE FROM session_activity WHERE session = ?", (session,))


async def step(tx: Transaction, entries_max: int = STEP_ENTRIES) -> int:
    """Index the next entries above the watermark; returns how many. 0 means the index is complete. 4 µs an entry."""
    row = await tx.one("SELECT seq FROM watermark WHERE name = 'terms'")
    watermark = row[0] if row else 0
    row = await tx.one(
        "SELECT max(seq), count(*) FROM (SELECT seq FROM entry WHERE seq > ? ORDER BY seq LIMIT ?)",
        (watermark, entries_max),
    )
    if row is None or not row[1]:
        return 0
    last, count = row
    for sql in _FILL:
        await tx.run(sql, (watermark, last))
    await tx.run(
        "INSERT INTO watermark (name, seq) VALUES ('terms', ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
        (last,),
    )
    return int(count)
