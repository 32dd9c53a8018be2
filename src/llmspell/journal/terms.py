"""The lagging indexes: entries by kind, correlation and cause, and the activity counters of sessions.

They are kept out of the hot path. A maintenance step fills them up to a watermark; every query adds a scan of the tail
above it, so that they lag without ever being wrong. ``step`` is a unit of work like any other.
"""

from __future__ import annotations

from llmspell.ports.database import Transaction

STEP_ENTRIES = 2000
"""Entries that one step takes in, so that a writer never waits long for it."""
TAIL_ENTRIES_MAX = 4000
"""A longer tail than this is worth indexing before a store is closed."""


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


async def step(tx: Transaction) -> int:
    """Index the next entries above the watermark; returns how many. 0 means the index is complete."""
    row = await tx.one("SELECT seq FROM watermark WHERE name = 'terms'")
    watermark = row[0] if row else 0
    rows = await tx.all(
        "SELECT seq, kind, correlation, cause, session, at FROM entry WHERE seq > ? ORDER BY seq LIMIT ?",
        (watermark, STEP_ENTRIES),
    )
    if not rows:
        return 0
    activity: dict[bytes, list[int]] = {}
    for seq, kind, correlation, cause, session, at in rows:
        terms = [TERMS.kind(kind), TERMS.correlation(correlation)]
        if cause:
            terms.append(TERMS.cause(cause))
        for term in terms:
            await tx.run("INSERT OR IGNORE INTO term (term, seq) VALUES (?, ?)", (term, seq))
        if session is not None:
            seen = activity.setdefault(session, [0, 0])
            seen[0] += 1
            seen[1] = at
    for session, (entries, last_at) in activity.items():
        await tx.run(
            "INSERT INTO session_activity (session, entries, last_at) VALUES (?, ?, ?) ON CONFLICT (session)"
            " DO UPDATE SET entries = entries + excluded.entries, last_at = excluded.last_at",
            (session, entries, last_at),
        )
    await tx.run(
        "INSERT INTO watermark (name, seq) VALUES ('terms', ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
        (rows[-1][0],),
    )
    return len(rows)
