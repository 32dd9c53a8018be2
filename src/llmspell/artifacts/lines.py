"""Lines that two texts have in common, found in a time that grows with their length, whatever they hold.

What is common at both ends is taken off, then what each text has once, in the order that both have it (patience diff,
Bram Cohen), then the same between those. ``difflib`` alone looks at every pair of lines in the worst case: minutes for
a megabyte. It finds what is left in between, where that is little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from difflib import Match, SequenceMatcher
from itertools import groupby, islice
from typing import NamedTuple

_PAIRS_MAX = 4096
"""Lines of the one text times lines of the other that ``difflib`` is asked about at once."""
_PAIRS_IN_ALL = 2_000_000
_WIDTHS = (1, 6, 24)
_ROUNDS_MAX = 24
"""How often what lies between common lines is looked at again."""


class _Gap(NamedTuple):
    """Parts of both texts that are not matched yet, and how often that was tried."""

    a_low: int
    a_high: int
    b_low: int
    b_high: int
    rounds: int = 0


class Lines(SequenceMatcher[str]):
    """A matcher of lines whose blocks are found as this module says."""

    matching_blocks: list[Match] | None

    def __init__(self, a: Sequence[str], b: Sequence[str]) -> None:
        super().__init__(None, "", "", autojunk=False)  # Given the lines, it would go through them all.
        self.a, self.b = a, b

    def get_matching_blocks(self) -> list[Match]:
        """Common lines in order, as runs; a last one is empty."""
        if self.matching_blocks is None:
            pairs = sorted(_common(self.a, self.b))
            self.matching_blocks = [*_runs(pairs), Match(len(self.a), len(self.b), 0)]
        return self.matching_blocks


def _common(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[int, int]]:
    waiting, left = [_Gap(0, len(a), 0, len(b))], _PAIRS_IN_ALL
    while waiting:
        gap = waiting.pop()
        ends = list(_ends(a, b, gap))
        yield from ends
        gap = _inner(gap, ends)
        pairs = (gap.a_high - gap.a_low) * (gap.b_high - gap.b_low)
        if not pairs:
            continue
        found = _unique_of_some_width(a, b, gap) if gap.rounds < _ROUNDS_MAX else []
        if found:
            waiting += _between(gap, found)
        elif pairs <= min(_PAIRS_MAX, left):
            left -= pairs
            found = _by_pairs(a, b, gap)
        else:
            found = _in_turn(a, b, gap)
        yield from found


def _ends(a: Sequence[str], b: Sequence[str], gap: _Gap) -> Iterator[tuple[int, int]]:
    """Lines that both begin with, and then those that both end with."""
    i, a_high, j, b_high, _ = gap
    while i < a_high and j < b_high and a[i] == b[j]:
        yield i, j
        i, j = i + 1, j + 1
    while i < a_high and j < b_high and a[a_high - 1] == b[b_high - 1]:
        a_high, b_high = a_high - 1, b_high - 1
        yield a_high, b_high


def _inner(gap: _Gap, ends: list[tuple[int, int]]) -> _Gap:
    """What is left of a gap between its ends."""
    first = 0
    while first < len(ends) and ends[first] == (gap.a_low + first, gap.b_low + first):
        first += 1
    last = len(ends) - first
    return _Gap(gap.a_low + first, gap.a_high - last, gap.b_low + first, gap.b_high - last, gap.rounds)


def _unique_of_some_width(a: Sequence[str], b: Sequence[str], gap: _Gap) -> list[tuple[int, int]]:
    """Lines that each has once, or where there are none the first of so many together."""
    for width in _WIDTHS:
        found = _unique(_windows(a[gap.a_low : gap.a_high], width), _windows(b[gap.b_low : gap.b_high], width))
        at = [(gap.a_low + i, gap.b_low + j) for i, j in found]
        if same := [(i, j) for i, j in at if a[i] == b[j]]:
            return same
    return []


def _windows(lines: Sequence[str], width: int) -> Sequence[Hashable]:
    """Lines, or the hashes of so many together: they take a tenth of the memory, and who finds two alike looks."""
    if width == 1:
        return lines
    return list(map(hash, zip(*(islice(lines, at, None) for at in range(width)), strict=False)))


def _unique(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """What each has once, in the order of both."""
    counts, others = Counter(a), Counter(b)
    where = {one: j for j, one in enumerate(b) if others[one] == 1 == counts[one]}
    return _rising((i, where[one]) for i, one in enumerate(a) if one in where)


def _in_turn(a: Sequence[str], b: Sequence[str], gap: _Gap) -> list[tuple[int, int]]:
    """Lines that both have, the first of each with the other's first, the second with its second."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for j in range(gap.b_high - 1, gap.b_low - 1, -1):
        places[b[j]].append(j)
    return _rising((i, places[a[i]].pop()) for i in range(gap.a_low, gap.a_high) if places.get(a[i]))


def _by_pairs(a: Sequence[str], b: Sequence[str], gap: _Gap) -> list[tuple[int, int]]:
    matcher = SequenceMatcher(None, a[gap.a_low : gap.a_high], b[gap.b_low : gap.b_high], autojunk=False)
    blocks = matcher.get_matching_blocks()
    return [(gap.a_low + i + n, gap.b_low + j + n) for i, j, size in blocks for n in range(size)]


def _rising(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of pairs, in order of the first, in which the second rises, too."""
    tails: list[int] = []
    ends: list[int] = []
    kept: list[tuple[int, int]] = []
    before: list[int] = []
    for number, pair in enumerate(pairs):
        at = bisect_left(tails, pair[1])
        kept.append(pair)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1] = [pair[1]]
        ends[at : at + 1] = [number]
    found = []
    number = ends[-1] if ends else -1
    while number >= 0:
        found.append(kept[number])
        number = before[number]
    return found[::-1]


def _between(gap: _Gap, found: list[tuple[int, int]]) -> Iterator[_Gap]:
    """What lies before, between and after common lines."""
    i, j = gap.a_low, gap.b_low
    for at, other in [*found, (gap.a_high, gap.b_high)]:
        if at > i and other > j:
            yield _Gap(i, at, j, other, gap.rounds + 1)
        i, j = at + 1, other + 1


def _runs(pairs: list[tuple[int, int]]) -> Iterator[Match]:
    """Pairs in order, those that follow each other in both texts together."""
    for _, run in groupby(enumerate(pairs), lambda one: (one[1][0] - one[0], one[1][1] - one[0])):
        members = [pair for _, pair in run]
        yield Match(*members[0], len(members))
