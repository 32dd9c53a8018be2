"""Checking the index of sessions against their rows: up to its watermark it has each open one, and nothing that is not.

It is a cache, and what is wrong in it shows nowhere but in answers that leave a session out: what is found is looked
at again before it is given. Whether the index of words fits the words beside it is for SQLite's own check to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from llmspell.journal.terms_check import Damage
from llmspell.model.words import words_of_fields
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries
from llmspell.sessions.index import watermark_of
from llmspell.sessions.terms import terms_of

PAGE_ROWS = 500
"""Sessions looked at in one read, so that no read transaction lasts for seconds."""
_SHOWN_MAX = 20
_SQL = queries("llmspell.sessions")


def session_index_damage(read: Callable[[Callable[[Reading], Any]], Any]) -> Iterator[Damage]:
    """Everything that the index has wrong, some twenty of a kind at most. ``read`` runs a query over one consistent
    state. 30 µs a session.
    """
    shown = 0
    after = 0
    while True:
        wrong, after, more = read(partial(_wrong, after))
        yield from wrong[: _SHOWN_MAX - shown]
        shown = min(_SHOWN_MAX, shown + len(wrong))
        if not more:
            break
    yield from read(_left_over)


def _wrong(after: int, view: Reading) -> tuple[list[Damage], int, bool]:
    """What is wrong with the next sessions, the last one looked at, and whether there are more."""
    rows = view.all(_SQL["open_after"], (after, watermark_of(view), PAGE_ROWS))
    found = [damage for row in rows for damage in _wrong_in(view, row)]
    return found, rows[-1][0] if rows else after, len(rows) == PAGE_ROWS


def _wrong_in(view: Reading, row: Row) -> Iterator[Damage]:
    seq, name, description, tags, metadata, created_by = row
    missing = [term for term in terms_of(tags, metadata, created_by) if view.one(_SQL["has_term"], (term, seq)) is None]
    if missing:
        yield Damage(f"the session of entry {seq} is not found by {len(missing)} of its terms", "session_term", seq)
    held = view.one(_SQL["has_words"], (seq,))
    if held is None or held[0] != words_of_fields(name, description, tags, metadata):
        yield Damage(f"the session of entry {seq} is not found by its words", "session_text", seq)


def _left_over(view: Reading) -> list[Damage]:
    watermark = watermark_of(view)
    found = []
    for table, query in (("session_term", "stray_terms"), ("session_text", "stray_words")):
        for (seq,) in view.all(_SQL[query], (watermark, _SHOWN_MAX)):
            found.append(Damage(f"the row {seq} of {table} belongs to no session", table, seq))
    return found
