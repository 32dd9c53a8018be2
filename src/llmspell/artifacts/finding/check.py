"""Checking the lagging index of artifacts: it holds what they were as of its watermark, and nothing else.

It is a cache, and what is wrong in it shows nowhere but in what queries find. Artifacts are compared a page at a time,
each in a read of its own; what belongs to none of them is found by counting, if the watermark stood still meanwhile.
Whether the engine's indexes fit the words and names beside them is for SQLite's own check to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from llmspell.artifacts.finding.index import watermark_of
from llmspell.artifacts.finding.terms import Indexed, indexed
from llmspell.journal.terms_check import Damage
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.finding")
PAGE_ARTIFACTS = 500
_SHOWN_MAX = 20
Read = Callable[[Callable[[Reading], Any]], Any]


def find_damage(read: Read) -> Iterator[Damage]:
    """What the index has wrong, some twenty at most. ``read`` runs a query over one consistent state. Some 60 µs an
    artifact.
    """
    before = read(watermark_of)
    rows = terms = shown = 0
    after = b""
    while True:
        page, after = read(partial(_page, after))
        for number, wanted, wrong in page:
            rows += 1
            terms += len(wanted.terms)
            if wrong is not None and shown < _SHOWN_MAX:
                shown += 1
                what = f"the artifact {wanted.name!r} stored by entry {number} is not found as it is"
                yield Damage(what, wrong, number)
        if not after:
            break
    if not shown:
        yield from read(partial(_strays, before, rows, terms))


def _page(after: bytes, view: Reading) -> tuple[list[tuple[int, Indexed, str | None]], bytes]:
    """The next artifacts that the index should hold, each with the table that is wrong about it; the last one's id, if
    there are more.
    """
    seq = watermark_of(view)
    ids = [row[0] for row in view.all(_SQL["check_page"], (after, PAGE_ARTIFACTS))]
    found = []
    for artifact in ids:
        row = view.one(_SQL["as_of"], (artifact, seq, seq))
        if row is not None:
            number = (view.one(_SQL["number"], (artifact,)) or (0,))[0]
            wanted = indexed(row)
            found.append((number, wanted, _wrong(view, artifact, number, wanted)))
    return found, (ids[-1] if len(ids) == PAGE_ARTIFACTS else b"")


def _wrong(view: Reading, artifact: bytes, number: int, wanted: Indexed) -> str | None:
    """The first table that does not hold it as it is."""
    if view.one(_SQL["found_row"], (number,)) != (artifact, wanted.since_seq, wanted.size):
        return "artifact_found"
    if view.one(_SQL["has_name"], (wanted.name, number)) is None:
        return "artifact_named"
    if any(view.one(_SQL["has_term"], (one, number)) is None for one in wanted.terms):
        return "artifact_term"
    if view.one(_SQL["held_words"], (number,)) != (wanted.words,):
        return "artifact_words"
    return None if view.one(_SQL["held_grams"], (number,)) == (wanted.folded,) else "artifact_grams"


def _strays(before: int, rows: int, terms: int, view: Reading) -> list[Damage]:
    """Tables with more rows than they should have; none when the index went on since."""
    counts = view.one(_SQL["index_counts"])
    if counts is None or watermark_of(view) != before:
        return []
    tables = ("artifact_found", "artifact_named", "artifact_term", "artifact_words", "artifact_grams")
    return [
        Damage(f"the index of artifacts has {held:,} rows in {table}, not {wanted:,}", table)
        for table, held, wanted in zip(tables, counts, (rows, rows, terms, rows, rows), strict=True)
        if held != wanted
    ]
