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
_BEGUN = """
WITH begun AS MATERIALIZED (
  SELECT session, max(seq) AS seq FROM entry WHERE kind = 'session.imported' AND session IS NOT NULL GROUP BY session
)
"""
"""Where sessions began that were imported: what they wrote in an earlier life does not count. A beginning that the
index has not come to yet has taken off what it will count of before; when it was active last is not known then.
"""
_COUNTED = """
SELECT e.session, sum((e.seq <= ?1 AND e.seq >= coalesce(b.seq, 0)) - (e.seq > ?1 AND e.seq < coalesce(b.seq, 0))),
  iif(b.seq > ?1, NULL, max(iif(e.seq <= ?1, e.at, NULL)))
FROM entry e LEFT JOIN begun b ON b.session = e.session WHERE e.session IS NOT NULL GROUP BY e.session
"""
_ACTIVITY = """
SELECT a.session, a.entries, iif(b.seq > ?1, NULL, a.last_at)
FROM session_activity a LEFT JOIN begun b ON b.session = a.session
"""
_DIFFERING = f"""{_BEGUN}, counted (session, entries, last_at) AS MATERIALIZED ({_COUNTED}),
held (session, entries, last_at) AS MATERIALIZED ({_ACTIVITY})
SELECT session FROM (SELECT * FROM held EXCEPT SELECT * FROM counted)
UNION SELECT session FROM (SELECT * FROM counted WHERE entries <> 0 EXCEPT SELECT * FROM held) LIMIT ?2
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
    for (session,) in view.all(_DIFFERING, (watermark, _SHOWN_MAX)):
        name = session.hex() if isinstance(session, bytes) else repr(session)
        found.append(Damage(f"the row session={name} of session_activity differs from the journal", "session_activity"))
    return found
