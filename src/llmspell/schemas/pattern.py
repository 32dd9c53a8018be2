"""Matching texts against a regular expression in a time that grows with the length of the text, whatever either is.

The expression becomes an automaton without empty moves (Glushkov, 1961): one position for each character in it, and a
state is the set of positions that the text so far may have reached, kept as the bits of an int. States and moves are
made when a text first needs them and remembered, up to a bound. There is no backtracking, and so no text that stalls.

Position 0 stands for the beginning. Every position leads to an end, because no set of characters is empty.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache

from llmspell.errors import InvalidInput
from llmspell.schemas.expression import ALL, Chars, Choice, Intervals, Node, Repeat, Sequence, parse

PATTERN_POSITIONS_MAX = 512
"""Characters of a pattern with its repetitions written out."""
PATTERN_TEXT_CHARS_MAX = 10_000
"""A longer text matches no pattern."""
_PARTS_MAX = 5_000
_MOVES_MAX = 20_000
_Piece = tuple[bool, int, int]  # matches the empty text; first positions; last positions


class Pattern:
    """A compiled expression; make it by ``compile_pattern``. Shared between threads."""

    __slots__ = ("_moves", "_parts", "_reached", "before", "bounds", "chars", "follow", "last", "masks", "text")

    def __init__(self, text: str, tree: Node) -> None:
        self.text = text
        """The expression as it was given."""
        self.chars: list[Intervals] = [()]
        """For each position, the characters it stands for."""
        self.follow: list[int] = [0]
        """For each position, those that may come next."""
        self._parts = 0
        empty, first, last = self._build(tree)
        self.follow[0] = first
        self.last = last | empty
        """The positions where a text may end."""
        self.before = [0] * len(self.follow)
        """For each position, those that it may follow."""
        for position, following in enumerate(self.follow):
            for later in bits(following):
                self.before[later] |= 1 << position
        edges = {edge for intervals in self.chars for low, high in intervals for edge in (low, high + 1)}
        self.bounds = sorted(edges)
        """Between two neighbours of these, all characters are alike."""
        self.masks = [self._mask(low) for low in [-1, *self.bounds]]
        """For each stretch between bounds, the positions that its characters are in."""
        self._reached: dict[int, int] = {}
        self._moves: dict[tuple[int, int], int] = {}

    def matches(self, text: str) -> bool:
        """Whether the whole text is one of the expression's. Some 0.1 µs a character; 20 µs where all is hostile."""
        if len(text) > PATTERN_TEXT_CHARS_MAX:
            return False
        state, bounds, moves = 1, self.bounds, self._moves
        for char in text:
            stretch = bisect_right(bounds, ord(char))
            following = moves.get((state, stretch))
            if following is None:
                following = self.step(state, stretch)
                if len(moves) >= _MOVES_MAX:
                    moves.clear()
                moves[state, stretch] = following
            if not following:
                return False
            state = following
        return bool(state & self.last)

    def step(self, state: int, stretch: int) -> int:
        """The positions after one more character of this stretch."""
        return self.reach(state) & self.masks[stretch]

    def reach(self, state: int) -> int:
        """The positions that any one character may lead to."""
        reached = self._reached.get(state)
        if reached is None:
            reached = 0
            for position in bits(state):
                reached |= self.follow[position]
            if len(self._reached) >= _MOVES_MAX:
                self._reached.clear()
            self._reached[state] = reached
        return reached

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def _mask(self, code: int) -> int:
        return sum(
            1 << position
            for position, intervals in enumerate(self.chars)
            if any(low <= code <= high for low, high in intervals)
        )

    def _build(self, node: Node) -> _Piece:
        self._parts += 1
        if self._parts > _PARTS_MAX:
            raise self._too_large()
        if isinstance(node, Chars):
            return self._position(node.intervals)
        if isinstance(node, Sequence):
            return self._chain([(part, False) for part in node.parts])
        if isinstance(node, Choice):
            pieces = [self._build(part) for part in node.parts]
            return any(empty for empty, _, _ in pieces), _any(p[1] for p in pieces), _any(p[2] for p in pieces)
        return self._repeat(node)

    def _repeat(self, node: Repeat) -> _Piece:
        if node.most is None:
            copies = max(node.least, 1)
            return self._chain([(node.part, False)] * copies, loop=True, optional=node.least == 0)
        needed = [(node.part, False)] * node.least
        return self._chain(needed + [(node.part, True)] * (node.most - node.least))

    def _chain(self, parts: list[tuple[Node, bool]], *, loop: bool = False, optional: bool = False) -> _Piece:
        """Parts one after the other, each perhaps optional; ``loop`` lets the last repeat, ``optional`` none be."""
        empty, first, last = True, 0, 0
        for at, (part, may_miss) in enumerate(parts):
            part_empty, part_first, part_last = self._build(part)
            part_empty |= may_miss
            if loop and at == len(parts) - 1:
                self._link(part_last, part_first)
            self._link(last, part_first)
            first = first | part_first if empty else first
            last = last | part_last if part_empty else part_last
            empty &= part_empty
        return empty or optional, first, last

    def _link(self, earlier: int, later: int) -> None:
        for position in bits(earlier):
            self.follow[position] |= later

    def _position(self, intervals: Intervals) -> _Piece:
        if len(self.chars) > PATTERN_POSITIONS_MAX:
            raise self._too_large()
        bit = 1 << len(self.chars)
        self.chars.append(intervals)
        self.follow.append(0)
        return False, bit, bit

    def _too_large(self) -> InvalidInput:
        return InvalidInput(
            f"the pattern {self.text[:80]!r} has more than {PATTERN_POSITIONS_MAX} characters when its repetitions are"
            " written out",
            code="invalid-pattern",
            hint="bound the length of a text by length_max rather than by a repetition",
        )


def bits(number: int) -> list[int]:
    """The places of the ones in a number, lowest first."""
    found = []
    while number:
        lowest = number & -number
        found.append(lowest.bit_length() - 1)
        number ^= lowest
    return found


def _any(numbers: Iterable[int]) -> int:
    total = 0
    for number in numbers:
        total |= number
    return total


def compile_pattern(text: str) -> Pattern:
    """The compiled expression; the same text gives the same one. Raises InvalidInput (``invalid-pattern``)."""
    if type(text) is not str:
        raise InvalidInput(f"a pattern is a str, not {type(text).__name__}", code="invalid-pattern")
    return _compiled(text)


@lru_cache(maxsize=256)
def _compiled(text: str) -> Pattern:
    return Pattern(text, parse(text))


EVERYTHING = Pattern("", Repeat(Chars(ALL), 0, None))
"""All texts, what a field without a pattern accepts (there without the bound of ``PATTERN_TEXT_CHARS_MAX``)."""
