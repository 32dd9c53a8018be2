"""Checking the lagging index of artifacts: it holds what they were as of its watermark, and nothing else.

It is a cache, and what is wrong in it shows nowhere but in what queries find. Rows are compared a page at a time, each
in a read of its own; words and groups of characters, which the index keeps without their artifacts, by sums over what
it should hold and what it holds. The sums are only compared when the watermark stood still meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from blake3 import blake3

from llmspell.artifacts.finding.index import watermark_of
from llmspell.artifacts.finding.terms import Indexed, indexed
from llmspell.journal.terms_check import Damage
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.finding")
PAGE_ARTIFACTS = 500
_PAGE_WORDS = 20_000
_BUCKET = 4096
"""Artifacts whose words are summed together: damage is told as a range of so many entries."""
_SHOWN_MAX = 20
_MASK = (1 << 64) - 1
Read = Callable[[Callable[[Reading], Any]], Any]


def find_damage(read: Read) -> Iterator[Damage]:
    """What the index has wrong, some twenty of a kind at most. ``read`` runs a query over one consistent state.
    Some 60 µs an artifact.
    """
    before = read(watermark_of)
    sums = _Sums()
    shown = 0
    after = b""
    while True:
        after, found = read(partial(_page, after, sums))
        for damage in found:
            shown += 1
            if shown <= _SHOWN_MAX:
                yield damage
        if not after:
            break
    held = _held_words(read)
    counts = read(partial(_counts, before))
    if counts is None:
        return
    names = ("artifact_found", "artifact_term", "artifact_grams")
    for name, is_, wanted in zip(names, counts, (sums.rows, sums.terms, sums.rows), strict=True):
        if is_ != wanted and not shown:
            yield Damage(f"the index of artifacts has {is_:,} rows in {name}, not {wanted:,}", name)
    for bucket in sorted(held.keys() | sums.words.keys()):
        if held.get(bucket, 0) != sums.words.get(bucket, 0):
            low = bucket * _BUCKET
            yield Damage(
                f"the full text of artifacts stored by entries {low} to {low + _BUCKET - 1} is not what they say",
                "artifact_words",
            )


class _Sums:
    """What the index should hold, as far as it was looked at."""

    def __init__(self) -> None:
        self.rows = 0
        self.terms = 0
        self.words: dict[int, int] = {}

    def add(self, number: int, one: Indexed) -> None:
        self.rows += 1
        self.terms += len(one.terms)
        bucket = number // _BUCKET
        total = self.words.get(bucket, 0)
        for place, word in enumerate(one.words):
            total += _weight(word, number, place)
        self.words[bucket] = total & _MASK


def _weight(word: str, number: int, place: int) -> int:
    return int.from_bytes(blake3(f"{number}\0{place}\0{word}".encode()).digest(8), "big")


def _page(after: bytes, sums: _Sums, view: Reading) -> tuple[bytes, list[Damage]]:
    seq = watermark_of(view)
    ids = [row[0] for row in view.all(_SQL["check_page"], (after, PAGE_ARTIFACTS))]
    found = []
    for artifact in ids:
        row = view.one(_SQL["as_of"], (artifact, seq, seq))
        if row is None:
            continue
        number = (view.one(_SQL["number"], (artifact,)) or (0,))[0]
        wanted = indexed(row)
        sums.add(number, wanted)
        if not _is_held(view, artifact, number, wanted):
            found.append(
                Damage(f"the artifact {wanted.name!r} stored by entry {number} is not found as it is", "artifact_found",
                       number)
            )  # fmt: skip
    return (ids[-1] if len(ids) == PAGE_ARTIFACTS else b""), found


def _is_held(view: Reading, artifact: bytes, number: int, wanted: Indexed) -> bool:
    row = view.one(_SQL["found_row"], (number,))
    if row != (artifact, wanted.since_seq, wanted.name, wanted.size):
        return False
    return all(view.one(_SQL["has_term"], (one, number)) is not None for one in wanted.terms)


def _counts(before: int, view: Reading) -> tuple[int, int, int] | None:
    """Rows of the index; None when it went on since."""
    if watermark_of(view) != before:
        return None
    row = view.one(_SQL["index_counts"])
    return None if row is None else (row[0], row[1], row[2])


def _held_words(read: Read) -> dict[int, int]:
    """Sums over the words that the index holds, read in the order of the words."""
    sums: dict[int, int] = {}
    after = ""
    while True:
        rows = read(partial(_words_from, after))
        for word, number, place in rows:
            bucket = number // _BUCKET
            sums[bucket] = (sums.get(bucket, 0) + _weight(word, number, place)) & _MASK
        if not rows:
            return sums
        after = rows[-1][0]


def _words_from(after: str, view: Reading) -> list[tuple[str, int, int]]:
    """The occurrences of the next words; all of a word are in one page."""
    rows = view.all(_SQL["words_after"], (after, _PAGE_WORDS))
    if len(rows) < _PAGE_WORDS:
        return rows
    last = rows[-1][0]
    whole = [row for row in rows if row[0] != last]
    return whole or view.all(_SQL["words_equal"], (last,))
