"""Checking the lagging indexes against the journal: up to the watermark they hold each entry, and nothing else.

They are caches, and what is wrong in them shows nowhere but in answers: a timeline that leaves entries out, a session
whose count of operations is not true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from llmspell.journal.reading import watermark_of
from llmspell.ports.database import Reading

PAGE_ENTRIES = 5000
"""Entries looked up in one read, so that no read transaction lasts for seconds."""
_SHOWN_MAX = 20
_MISSING = """
SELECT seq FROM entry e WHERE seq > ? AND seq <= ? AND (
  NOT EXISTS (SELECT 1 FROM term WHERE term = 'k:' || e.kind AND seq = e.seq)
  OR NOT EXISTS (SELECT 1 FROM term WHERE term = 'r:' || lower(hex(e.correlation)) AND seq = e.seq)
  OR (e.cause <> 0 AND NOT EXISTS (SELECT 1 FROM term WHERE term = 'c:' || e.cause AND seq = e.seq))
) LIMIT ?
"""
_COUNTS = """
SELECT (SELECT count(*) FROM term), (SELECT coalesce(sum(2 + (cause <> 0)), 0) FROM entry WHERE seq <= ?)
"""
_COUNTED = """
SELECT session, count(*), max(at) FROM entry WHERE session IS NOT NULL AND seq <= ? GROUP BY session
"""
_ACTIVITY = "SELECT session, entries, last_at FROM session_activity"
_DIFFERING = f"""
SELECT session FROM (SELECT * FROM ({_ACTIVITY}) EXCEPT SELECT * FROM ({_COUNTED}))
UNION SELECT session FROM (SELECT * FROM ({_COUNTED}) EXCEPT SELECT * FROM ({_ACTIVITY})) LIMIT ?
"""


class Damage(NamedTuple):
    """What is wrong in the table ``where``; ``seq`` of the entry it is about, if it is about one."""

    what: str
    where: str
    seq: int | None = None


def index_damage(read: Callable[[Callable[[Reading], Any]], Any]) -> Iterator[Damage]:
    """Everything that the lagging indexes have wrong, some twenty of a kind at most. ``read`` runs a query over one
    consistent state. 2 µs an entry.
    """
    watermark = read(watermark_of)
    missing = 0
    for after in range(0, watermark, PAGE_ENTRIES):
        for (seq,) in read(partial(_missing, after, min(after + PAGE_ENTRIES, watermark))):
            missing += 1
            if missing <= _SHOWN_MAX:
                yield Damage(f"entry {seq} is not found by the index of kinds, correlations and causes", "term", seq)
    yield from read(partial(_totals, missing))


def _missing(after: int, through: int, view: Reading) -> list[tuple[int]]:
    return view.all(_MISSING, (after, through, _SHOWN_MAX))


def _totals(missing: int, view: Reading) -> list[Damage]:
    watermark = watermark_of(view)
    found = []
    held, wanted = view.one(_COUNTS, (watermark,)) or (0, 0)
    if not missing and held != wanted:
        found.append(Damage(f"the index of kinds, correlations and causes has {held} rows, not {wanted}", "term"))
    for (session,) in view.all(_DIFFERING, (watermark, watermark, _SHOWN_MAX)):
        name = session.hex() if isinstance(session, bytes) else repr(session)
        found.append(Damage(f"the row session={name} of session_activity differs from the journal", "session_activity"))
    return found
