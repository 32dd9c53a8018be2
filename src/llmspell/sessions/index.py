"""The index of sessions: by term, and by word. It lags: a maintenance step fills it up to a watermark.

Neither table is a projection: both are derived from the rows of ``session``, kept out of the hot path, and never wrong,
because a query adds a scan of the sessions that changed above the watermark and takes from the index only rows that
still hold. A row is known by the seq it holds from, and the index has at most the newest of a session. What FTS5
deletes stays in its segments until they are merged: ``forget`` merges them all, so that nothing of an erased session is
left.
"""

from __future__ import annotations

import msgspec

from llmspell.journal.maintenance import Task
from llmspell.model.words import words_of_fields
from llmspell.ports.database import Reading, Row, Transaction
from llmspell.schema import queries
from llmspell.sessions.terms import terms_of

WATERMARK = "sessions"
STEP_ROWS = 128
STEP_CHANGED = 32
"""New and changed sessions that one step takes in, so that a writer never waits long for it. A new one costs 10 µs, a
changed one among 100,000 up to half a millisecond: its terms lie apart.
"""
STEP_CHARS = 1 << 18
"""And the text that it takes in, as far as one session's allows."""
TAIL_ROWS_MAX = 400
"""More changed sessions than this are worth indexing."""
_SQL = queries("llmspell.sessions")
_json = msgspec.json.Encoder().encode


def watermark_of(view: Reading) -> int:
    """The seq up to which the index is complete."""
    row = view.one(_SQL["indexed_until"], (WATERMARK,))
    return row[0] if row else 0


def indexing_sessions(tail_rows_max: int = TAIL_ROWS_MAX) -> Task:
    """The task that keeps the index from lagging by more than ``tail_rows_max`` changed sessions."""

    def due(view: Reading) -> bool:
        low = watermark_of(view)
        return any(
            len(view.all(_SQL[changed], (low, tail_rows_max + 1))) > tail_rows_max for changed in ("opened", "closed")
        )

    return Task("index sessions", due, lambda: step, STEP_ROWS)


async def step(tx: Transaction, rows_max: int = STEP_ROWS) -> int:
    """Take in the next changes above the watermark; gives ``rows_max`` while more are left, and less after the last."""
    row = await tx.one(_SQL["indexed_until"], (WATERMARK,))
    low = row[0] if row else 0
    high = await _bound(tx, low, rows_max)
    if high <= low:
        return 0
    # What held at the watermark and does not any more; what came and went above it was never taken in.
    for closed in await tx.all(_SQL["closed_between"], (low, high, low)):
        await _drop(tx, closed)
    await _add(tx, await tx.all(_SQL["open_between"], (low, high)))
    await tx.run(_SQL["set_indexed"], (WATERMARK, high))
    return rows_max if high < tx.head.seq else 0


async def forget(tx: Transaction, session: bytes) -> None:
    """Take a session out of the index, in the transaction that erases what its words come from, and before it does.

    None of its words is left in the file, nor of what it said before: the whole index of words is merged, which takes
    some 300 ms for 100,000 sessions. (Deleting in place, ``secure-delete``, would spare that, but makes every change of
    a session twice as dear, and leaves what was deleted without it.)
    """
    for row in await tx.all(_SQL["every_row"], (session,)):
        await _drop(tx, row)
    await tx.run(_SQL["merge_words"])


async def _bound(tx: Transaction, low: int, rows_max: int) -> int:
    high = tx.head.seq
    opened = await tx.all(_SQL["opened"], (low, rows_max))
    changed_max = min(rows_max, STEP_CHANGED)
    for rows, most in ((opened, rows_max), (await tx.all(_SQL["closed"], (low, changed_max)), changed_max)):
        if len(rows) == most:
            high = min(high, rows[-1][0])
    chars = 0
    for seq, size in opened:
        chars += size
        if chars > STEP_CHARS:
            return int(min(high, seq))
    return high


async def _add(tx: Transaction, rows: list[Row]) -> None:
    """Two statements for all rows: one for each term costs twice as much."""
    terms, words = [], []
    for seq, name, description, tags, metadata, created_by in rows:
        terms += [(term, seq) for term in terms_of(tags, metadata, created_by)]
        words.append((seq, words_of_fields(name, description, tags, metadata)))
    await tx.run(_SQL["add_terms"], (_json(terms),))
    await tx.run(_SQL["add_words"], (_json(words),))


async def _drop(tx: Transaction, row: Row) -> None:
    seq, _, _, tags, metadata, created_by = row
    for term in terms_of(tags, metadata, created_by):
        await tx.run(_SQL["drop_term"], (term, seq))
    await tx.run(_SQL["drop_words"], (seq,))
