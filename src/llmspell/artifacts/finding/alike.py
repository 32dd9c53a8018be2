"""Names that are alike: by the groups of three characters that they share, as PostgreSQL's pg_trgm judges.

People misspell what they remember of a name, which is seldom its folders or its suffix. So a name is as alike as the
best of it: the whole, its last segment, that one's stem, or a word of the stem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from llmspell.artifacts.finding.terms import folded_name
from llmspell.model.words import without_accents
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.finding")
ALIKE_MIN = 0.3
"""Names are alike from this share of common groups on: what both have, of what either has."""
_PARTS_COUNT = (1.0, 0.98, 0.96)
"""What the share counts for the whole name, its last segment, its stem: of names equally alike, the one that has least
besides comes first.
"""
_WORDS_COUNT = 0.9
_SWAP_COUNTS = 0.9
"""What the share counts once two neighbours of a short name are changed over."""
_WORDS = re.compile(r"[^\W_]{3,}").finditer
_BEFORE, _AFTER = "/-_", ".-_"
"""What stands before and after a part within a name, where a name of its own has blanks."""
CANDIDATES_MAX = 2000
"""Names that one group brings up to be compared. A group that more names have says little, and is left out while there
are rarer ones.
"""
_SHORT = 8
"""In so short a name, most groups have one of two neighbours in them."""
ALIKE_MAX = 250
"""So many of the most alike are found."""


class Sought(NamedTuple):
    """A name that is looked for, without case and accents, with its groups, its beginning and end among them."""

    text: str
    grams: frozenset[str]

    @classmethod
    def of(cls, fuzzy: str) -> Sought:
        """What a person typed."""
        folded = folded_name(fuzzy)
        return cls(folded[2:-1], _grams_in(folded))


def _grams_in(folded: str) -> frozenset[str]:
    return frozenset(folded[at : at + 3] for at in range(len(folded) - 2))


def alike(sought: Sought, name: str) -> float:
    """How alike a name is to what is looked for: 0 to 1."""
    return _best(sought, folded_name(name))


def _best(sought: Sought, folded: str) -> float:
    groups = [folded[at : at + 3] for at in range(len(folded) - 2)]
    best = 0.0
    for (start, end), counts in _parts(folded).items():
        part = folded[start:end]
        # Only what is at its ends is not in the groups of the whole.
        others = frozenset((f"  {part[:1]}", f" {part} "[:3], f" {part} "[-3:], *groups[start : end - 2]))
        best = max(best, counts * _likeness(sought.grams, others))
        swapped = _swapped_as_in(sought.text, part) if len(sought.text) <= _SHORT else None
        if swapped is not None:
            best = max(best, _SWAP_COUNTS * counts * _likeness(_grams_in(f"  {swapped} "), others))
    return best


def _swapped_as_in(text: str, part: str) -> str | None:
    """The text with two neighbours changed over, if those are where it first differs from a part of a name."""
    for at, (mine, other) in enumerate(zip(text, part, strict=False)):
        if mine != other:
            if text[at : at + 2] != part[at : at + 2][::-1]:
                return None
            return f"{text[:at]}{part[at : at + 2]}{text[at + 2 :]}"
    return None


def _parts(folded: str) -> dict[tuple[int, int], float]:
    """Where the parts of a name are in it, with what their likeness counts."""
    end = len(folded) - 1
    segment = folded.rfind("/") + 1 or 2
    dot = folded.rfind(".", segment + 1)
    stem = dot if dot > 0 else end
    words = {word.span(): _WORDS_COUNT for word in _WORDS(folded, segment, stem)}
    whole, last, without_suffix = _PARTS_COUNT
    return words | {(segment, stem): without_suffix} | {(segment, end): last} | {(2, end): whole}


def _likeness(grams: frozenset[str], others: frozenset[str]) -> float:
    common = len(grams & others)
    return common / (len(grams) + len(others) - common)


def gram_query(text: str) -> str | None:
    """The groups inside of a text, which a name that holds it has, for FTS5; None when it is too short."""
    folded = without_accents(text)
    grams = dict.fromkeys(folded[at : at + 3] for at in range(len(folded) - 2))
    return " AND ".join(map(_quoted, grams)) or None


def numbers_alike(view: Reading, fuzzy: str, terms: Sequence[int], seq: int, most: int) -> list[int]:
    """Numbers of the artifacts in the index, of those stored up to a seq that have all these terms, whose names are
    most alike; at most ``most``.
    """
    sought = Sought.of(fuzzy)
    rare: set[int] = set()
    common: list[int] = []
    for gram in sorted(sought.grams | _within(sought.text) | _begun_swapped(sought.text)):
        rows = view.all(_SQL["grams_matching"], (_quoted(gram), CANDIDATES_MAX))
        if len(rows) < CANDIDATES_MAX:
            rare.update(row[0] for row in rows)
        else:
            common += [row[0] for row in rows]
    candidates = rare if len(rare) >= ALIKE_MAX else rare | set(common)
    for piece in _pieces(sought.text):
        candidates.update(row[0] for row in view.all(_SQL["grams_matching"], (piece, CANDIDATES_MAX)))
    packed = packed_numbers(sorted(number for number in candidates if number <= seq))
    names = view.all(_SQL["names_of"] + _SQL["with_term"] * len(terms), (packed, *terms))
    known: dict[str, float] = {}
    judged = []
    for number, folded in names:
        if folded not in known:
            known[folded] = _best(sought, folded)
        if known[folded] >= ALIKE_MIN:
            judged.append((known[folded], number))
    judged.sort(reverse=True)
    return [number for _, number in judged[:most]]


def _within(text: str) -> frozenset[str]:
    """The groups at the beginning and the end of what is looked for, where it is a part of a name."""
    return frozenset(one + text[:2] for one in _BEFORE) | frozenset(text[-2:] + one for one in _AFTER)


def _begun_swapped(text: str) -> frozenset[str]:
    """The groups at the beginning of a short name whose first two letters are changed over: it may share no other."""
    if len(text) > _SHORT:
        return frozenset()
    swapped = text[1::-1]
    return _grams_in(f"  {swapped}") | frozenset(one + swapped for one in _BEFORE)


def _pieces(text: str) -> list[str]:
    """Queries for halves and thirds of a name, and for a short one with two neighbours changed over. Where every group
    is frequent, a name with one slip still has one of these as it is.
    """
    found = []
    for parts in (2, 3):
        length = -(-len(text) // parts)
        if length >= 4:
            found += [gram_query(text[at : at + length]) for at in range(0, len(text), length)]
    if len(text) <= _SHORT:
        swapped = {f"{text[:at]}{text[at + 1]}{text[at]}{text[at + 2 :]}" for at in range(len(text) - 1)}
        found += [gram_query(one) for one in sorted(swapped - {text})]
    return [query for query in found if query is not None]


def packed_numbers(numbers: list[int]) -> str:
    """Numbers as the JSON that ``json_each`` takes apart."""
    return f"[{','.join(map(str, numbers))}]"


def _quoted(gram: str) -> str:
    escaped = gram.replace('"', '""')
    return f'"{escaped}"'
