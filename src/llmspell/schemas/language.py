"""What can be known about all texts of a pattern: which lengths they have, a text of a length, and whether all of them
are texts of another pattern too.

Exact, by walking automata (``pattern``), within a bound on the number of steps; beyond it the answer is "undecided" and
never a guess.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from random import Random
from typing import Any, Protocol

from llmspell.schemas.expression import Intervals
from llmspell.schemas.pattern import Pattern, bits

STEPS_MAX = 50_000
"""Steps of the search for a text that one pattern has and another has not."""


class Undecided(Exception):
    """The search was ended by its bound."""


class Machine(Protocol):
    """What reads a text character by character and tells at each end whether it accepts."""

    def start(self) -> Any:
        """The state before the first character."""

    def after(self, state: Any, char: str) -> Any:
        """The state after a character."""

    def accepts(self, state: Any) -> bool:
        """Whether the text may end here."""

    def bounds(self) -> Iterable[int]:
        """Code points between which all characters are treated alike."""


class Matching:
    """Accepts the texts of a pattern."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern

    def start(self) -> int:
        """The beginning."""
        return 1

    def after(self, state: int, char: str) -> int:
        """The positions reached."""
        return self._pattern.step(state, bisect_right(self._pattern.bounds, ord(char)))

    def accepts(self, state: int) -> bool:
        """Whether a last position is among them."""
        return bool(state & self._pattern.last)

    def bounds(self) -> Iterable[int]:
        """Where its sets of characters begin and end."""
        return self._pattern.bounds


class Listed:
    """Accepts some texts and no others. Its states are the numbers of the texts' beginnings, -1 when there is none."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._moves: dict[tuple[int, str], int] = {}
        self._bounds: set[int] = set()
        self._ends = {self._enter(text) for text in texts}

    def _enter(self, text: str) -> int:
        state = 0
        for char in text:
            state = self._moves.setdefault((state, char), len(self._moves) + 1)
            self._bounds.update((ord(char), ord(char) + 1))
        return state

    def start(self) -> int:
        """Nothing read yet."""
        return 0

    def after(self, state: int, char: str) -> int:
        """The longer beginning."""
        return self._moves.get((state, char), -1)

    def accepts(self, state: int) -> bool:
        """Whether it is one of them."""
        return state in self._ends

    def bounds(self) -> Iterable[int]:
        """Each character of the texts is treated on its own."""
        return self._bounds


def lengths(pattern: Pattern, least: int, most: int | None) -> Iterator[int]:
    """The lengths that texts of a pattern have from ``least`` to ``most``, rising; all up to the first that is followed
    by as many failures as the pattern has positions, for none comes after these.
    """
    state, length, misses = 1, 0, 0
    while state and (most is None or length <= most) and misses <= len(pattern.follow):
        if length >= least:
            if state & pattern.last:
                misses = 0
                yield length
            else:
                misses += 1
        state, length = pattern.reach(state), length + 1


def text_of(pattern: Pattern, length: int, rng: Random | None = None) -> str:
    """A text of a pattern with a length that ``lengths`` gave; the plainest, or one by chance."""
    remaining = [pattern.last]
    for _ in range(length):
        state = remaining[-1]
        earlier = 0
        for position in bits(state):
            earlier |= pattern.before[position]
        remaining.append(earlier)
    at, chars = 0, []
    for left in reversed(remaining[:-1]):
        ways = bits(pattern.follow[at] & left)
        at = ways[0] if rng is None else rng.choice(ways)
        chars.append(_char(pattern.chars[at], rng))
    return "".join(chars)


def text_within(pattern: Pattern, least: int, most: int | None) -> str | None:
    """The shortest text of a pattern whose length is within bounds; None when there is none."""
    length = next(lengths(pattern, least, most), None)
    return None if length is None else text_of(pattern, length)


def text_outside(pattern: Pattern, other: Machine, least: int, most: int | None) -> str | None:
    """The shortest text of a pattern, of a length within bounds, that ``other`` does not accept; None: there is none.

    Raises Undecided after ``STEPS_MAX`` steps.
    """
    choices = _choices(pattern, sorted(set(other.bounds())))
    # A length counts up to `least` only: beyond it, the shorter of two ways to the same place is the better one.
    begin = (0, 0, other.start())
    came: dict[tuple[int, int, Any], tuple[tuple[int, int, Any], str] | None] = {begin: None}
    waiting = deque([(begin, 0)])
    while waiting:
        node, length = waiting.popleft()
        counted, at, state = node
        if counted == least and pattern.last >> at & 1 and not other.accepts(state):
            return _retrace(came, node)
        if most is not None and length == most:
            continue
        for following in bits(pattern.follow[at]):
            for char in choices[following]:
                reached = (min(length + 1, least), following, other.after(state, char))
                if reached not in came:
                    if len(came) >= STEPS_MAX:
                        raise Undecided
                    came[reached] = (node, char)
                    waiting.append((reached, length + 1))
    return None


def _retrace(came: dict[Any, Any], node: Any) -> str:
    chars = []
    while (step := came[node]) is not None:
        node, char = step
        chars.append(char)
    return "".join(reversed(chars))


def _choices(pattern: Pattern, bounds: list[int]) -> list[list[str]]:
    """For each position, one of its characters in each stretch between bounds."""
    found: list[list[str]] = []
    for intervals in pattern.chars:
        stretches: dict[int, str] = {}
        for low, high in intervals:
            inside = bounds[bisect_right(bounds, low) : bisect_right(bounds, high)]
            for first, after in pairwise((low, *inside, high + 1)):
                stretches.setdefault(bisect_right(bounds, first), _char(((first, after - 1),), None))
        found.append(list(stretches.values()))
    return found


_PLAIN = ((97, 122), (65, 90), (48, 57), (32, 126))


def _char(intervals: Intervals, rng: Random | None) -> str:
    """One character of a set: a readable one where there is one; by chance, a readable one most of the time."""
    if rng is None or rng.random() < 0.8:
        shared = (
            (max(low, first), min(high, last))
            for first, last in _PLAIN
            for low, high in intervals
            if max(low, first) <= min(high, last)
        )
        readable = list(islice(shared, 1 if rng is None else 4))
        if readable:
            intervals = tuple(readable)
    if rng is None:
        return chr(intervals[0][0])
    low, high = rng.choice(intervals)
    return chr(rng.randint(low, high))
