"""Names that are alike: by the groups of three characters that they share, as PostgreSQL's pg_trgm judges."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell.artifacts.finding.terms import folded_name
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.finding")
ALIKE_MIN = 0.3
"""Names are alike from this share of common groups on."""
CANDIDATES_MAX = 2000
"""Names that one group brings up to be compared. A group that more names have says little, and is left out while there
are rarer ones.
"""
ALIKE_MAX = 250
"""So many of the most alike are found."""


def grams_of(name: str) -> frozenset[str]:
    """The groups of a name, its beginning and end among them."""
    return _grams_in(folded_name(name))


def _grams_in(folded: str) -> frozenset[str]:
    return frozenset(folded[at : at + 3] for at in range(len(folded) - 2))


def alike(grams: frozenset[str], name: str) -> float:
    """How alike a name is to what has these groups: 0 to 1."""
    return _likeness(grams, grams_of(name))


def _likeness(grams: frozenset[str], others: frozenset[str]) -> float:
    common = len(grams & others)
    return common / (len(grams) + len(others) - common)


def gram_query(text: str) -> str | None:
    """The groups inside of a text, which a name that holds it has, for FTS5; None when it is too short."""
    folded = text.casefold()
    grams = dict.fromkeys(folded[at : at + 3] for at in range(len(folded) - 2))
    return " AND ".join(map(_quoted, grams)) or None


def numbers_alike(view: Reading, fuzzy: str, terms: Sequence[int], seq: int, most: int) -> list[int]:
    """Numbers of the artifacts in the index, of those stored up to a seq that have all these terms, whose names are
    most alike; at most ``most``.
    """
    grams = grams_of(fuzzy)
    rare: set[int] = set()
    common: list[int] = []
    for gram in sorted(grams):
        rows = view.all(_SQL["grams_matching"], (_quoted(gram), CANDIDATES_MAX))
        if len(rows) < CANDIDATES_MAX:
            rare.update(row[0] for row in rows)
        else:
            common += [row[0] for row in rows]
    candidates = rare if len(rare) >= ALIKE_MAX else rare | set(common)
    for piece in _pieces(fuzzy):
        candidates.update(row[0] for row in view.all(_SQL["grams_matching"], (piece, CANDIDATES_MAX)))
    packed = packed_numbers(sorted(number for number in candidates if number <= seq))
    names = view.all(_SQL["names_of"] + _SQL["with_term"] * len(terms), (packed, *terms))
    known: dict[str, float] = {}
    judged = []
    for number, folded in names:
        if folded not in known:
            known[folded] = _likeness(grams, _grams_in(folded))
        if known[folded] >= ALIKE_MIN:
            judged.append((known[folded], number))
    judged.sort(reverse=True)
    return [number for _, number in judged[:most]]


def _pieces(fuzzy: str) -> list[str]:
    """Queries for halves and thirds of a name. Where every group is frequent, a name with one slip still has one of
    these as it is.
    """
    found = []
    for parts in (2, 3):
        length = -(-len(fuzzy) // parts)
        if length >= 4:
            found += [gram_query(fuzzy[at : at + length]) for at in range(0, len(fuzzy), length)]
    return [query for query in found if query is not None]


def packed_numbers(numbers: list[int]) -> str:
    """Numbers as the JSON that ``json_each`` takes apart."""
    return f"[{','.join(map(str, numbers))}]"


def _quoted(gram: str) -> str:
    escaped = gram.replace('"', '""')
    return f'"{escaped}"'
