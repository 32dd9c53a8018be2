r"""The regular expressions that a schema may use, read into a tree. The whole text must match.

    a b c       characters stand for themselves; ``\.`` ``\[`` … for what would otherwise mean something
    .           any character but a line feed
    [a-z_] [^a] one of these characters; none of them
    \d \w \s    ASCII digits, letters with digits and ``_``, white space; ``\D \W \S`` all others
    \t \n \r \f \v \xHH \uHHHH \UHHHHHHHH    a character by name or number
    ab|cd (ab)  either; together (``(?:ab)`` means the same)
    ? * + {2} {2,} {2,5} {,5}    how often

``^`` at the beginning and ``$`` at the end are accepted and change nothing. Look-around, references back, lazy and
possessive repetition and flags are refused: what is left means in every tongue the same, is decided in a time that
grows with the length of the text, and can be compared: whether all texts of one expression are texts of another.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmspell.errors import InvalidInput

PATTERN_CHARS_MAX = 1_000
PATTERN_NESTING_MAX = 50
PATTERN_REPEATS_MAX = 512

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]
ALL: Intervals = ((0, 0xD7FF), (0xE000, 0x10FFFF))
"""All characters that UTF-8 can carry."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of these, sorted and disjoint."""

    intervals: Intervals


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of them."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """From ``least`` to ``most`` times; None is without end."""

    part: Node
    least: int
    most: int | None


Node = Chars | Sequence | Choice | Repeat


def union(intervals: list[Interval]) -> Intervals:
    """Sorted, with overlapping and touching ones made one; surrogates taken out."""
    joined: list[Interval] = []
    for low, high in sorted(intervals):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(part for low, high in joined for part in _without_surrogates(low, high))


def _without_surrogates(low: int, high: int) -> list[Interval]:
    parts = [(low, min(high, 0xD7FF)), (max(low, 0xE000), high)]
    return [(first, last) for first, last in parts if first <= last]


def complement(intervals: Intervals) -> Intervals:
    """All other characters."""
    outside: list[Interval] = []
    at = 0
    for low, high in intervals:
        if at < low:
            outside.append((at, low - 1))
        at = high + 1
    return union([*outside, (at, 0x10FFFF)] if at <= 0x10FFFF else outside)


_DIGITS = union([(48, 57)])
_WORD = union([(48, 57), (65, 90), (95, 95), (97, 122)])
_SPACE = union([(9, 13), (32, 32)])
_CLASSES = {
    "d": _DIGITS,
    "w": _WORD,
    "s": _SPACE,
    "D": complement(_DIGITS),
    "W": complement(_WORD),
    "S": complement(_SPACE),
}
_NAMED = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_HEX = {"x": 2, "u": 4, "U": 8}
_ANY = complement(((10, 10),))


def parse(text: str) -> Node:
    """The tree of an expression. Raises InvalidInput (``invalid-pattern``) that says what and where."""
    if len(text) > PATTERN_CHARS_MAX:
        raise InvalidInput(f"a pattern has at most {PATTERN_CHARS_MAX} characters", code="invalid-pattern")
    return _Parser(text).whole()


class _Parser:
    """Reads an expression once from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._choice()
        if self._at < len(self._text):
            raise self._refuse("a ')' closes nothing")
        return node

    def _choice(self) -> Node:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while (char := self._peek()) and char not in "|)":
            if (char == "^" and self._at == 0) or (char == "$" and self._at == len(self._text) - 1):
                self._at += 1
                if self._peek() and self._peek() in "?*+{":
                    raise self._refuse("an anchor cannot be repeated")
                continue
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _atom(self) -> Node:
        char = self._take()
        if char == "(":
            return self._group()
        if char == "[":
            return self._set()
        if char == ".":
            return Chars(_ANY)
        if char == "\\":
            return Chars(self._escape())
        if char in "?*+{":
            raise self._refuse(f"{char!r} repeats nothing")
        if char in "^$":
            raise self._refuse(f"{char!r} stands at the ends only; write \\{char} for the character")
        if char in "]}":
            raise self._refuse(f"write \\{char} for the character {char}")
        return Chars(self._one(ord(char)))

    def _group(self) -> Node:
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise self._refuse("groups that look around, have a name or set flags are not supported")
            self._at += 2
        self._depth += 1
        if self._depth > PATTERN_NESTING_MAX:
            raise self._refuse(f"groups are nested deeper than {PATTERN_NESTING_MAX}")
        node = self._choice()
        if self._take() != ")":
            raise self._refuse("a '(' is not closed")
        self._depth -= 1
        return node

    def _repeated(self, part: Node) -> Node:
        char = self._peek()
        if not char or char not in "?*+{":
            return part
        self._at += 1
        least, most = {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(char) or self._counts()
        if (following := self._peek()) and following in "?*+{":
            raise self._refuse("a repetition cannot be repeated, nor be lazy or possessive; use a group")
        return Repeat(part, least, most)

    def _counts(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        first, comma, last = self._text[self._at : end].partition(",")
        digits = [part for part in (first, last) if part]
        if end < 0 or not digits or not all(part.isascii() and part.isdigit() and len(part) < 5 for part in digits):
            raise self._refuse("'{' is followed by counts, like {2} or {2,5}; write \\{ for the character")
        least = int(first or 0)
        most = (int(last) if last else None) if comma else least
        if max(least, most or 0) > PATTERN_REPEATS_MAX or (most is not None and most < least):
            raise self._refuse(f"counts rise and are at most {PATTERN_REPEATS_MAX}")
        self._at = end + 1
        return least, most

    def _set(self) -> Node:
        negated = self._peek() == "^"
        self._at += negated
        found: list[Interval] = []
        while (char := self._take()) != "]":
            if not char:
                raise self._refuse("a '[' is not closed")
            if char == "[":
                raise self._refuse("write \\[ for the character [ in a set")
            low = self._escape() if char == "\\" else self._one(ord(char))
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"]", ""}:
                self._at += 1
                char = self._take()
                high = self._escape() if char == "\\" else self._one(ord(char))
                if not _is_one(low) or not _is_one(high) or low[0][0] > high[0][0]:
                    raise self._refuse("a range in a set goes from a character up to another")
                found.append((low[0][0], high[0][0]))
            else:
                found.extend(low)
        intervals = complement(union(found)) if negated else union(found)
        if not intervals:
            raise self._refuse("a set holds no character")
        return Chars(intervals)

    def _escape(self) -> Intervals:
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _NAMED:
            return self._one(_NAMED[char])
        if char in _HEX:
            digits = self._text[self._at : self._at + _HEX[char]]
            self._at += len(digits)
            if len(digits) < _HEX[char] or set(digits) - set("0123456789abcdefABCDEF"):
                raise self._refuse(f"\\{char} is followed by {_HEX[char]} hexadecimal digits")
            return self._one(int(digits, 16))
        if not char or char.isalnum() or not char.isascii():
            raise self._refuse(f"'\\{char}' has no meaning here")
        return self._one(ord(char))

    def _one(self, code: int) -> Intervals:
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise self._refuse("there is no such character")
        return ((code, code),)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _refuse(self, why: str) -> InvalidInput:
        return InvalidInput(
            f"the pattern {self._text[:80]!r} is refused near character {min(self._at, len(self._text))}: {why}",
            code="invalid-pattern",
            hint="the page on schemas lists what a pattern may contain",
        )


def _is_one(intervals: Intervals) -> bool:
    return len(intervals) == 1 and intervals[0][0] == intervals[0][1]
