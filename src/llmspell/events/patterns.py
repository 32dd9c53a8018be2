"""Which events a subscription wants: globs over dot-separated event types.

    *        exactly one segment; within a longer segment (``err*``) any run of its characters, also none
    **       any number of segments, also none; always a segment of its own
    ?        one character within a segment
    [abc]    one of these characters; ``[a-z]`` a range, ``[!a-z]`` any other one; never a dot
    {a,b}    either; alternatives may hold dots, globs and further braces, and none is empty

Anything else stands for itself, case and all. What a type may consist of is ``check_event_type``.

A pattern comes from a user or a script, so it must not be able to stall the store: its length, its expansion and the
size of what is compiled are limited, and the compiled form never backtracks from one segment into another. Between two
``**`` the first place that fits is taken for good; as ``**`` can absorb whatever follows, a later place could not
succeed where the first one fails. Verdicts are remembered per type: a store has few types and many events.

The names of events in the original project (``session:start`` …) are patterns too: they match the events of today
that they stood for, and also a user's event of that very name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise, product

from llmspell.errors import InvalidInput
from llmspell.model.limits import EVENT_TYPE_CHARS_MAX
from llmspell.model.telling import told

PATTERN_CHARS_MAX = 256
PATTERN_ALTERNATIVES_MAX = 64
"""Alternatives of all braces multiplied out."""
PATTERN_PIECES_MAX = 4096
"""Characters and wildcards of all alternatives multiplied out; bounds the time to compile to some ten milliseconds."""
PATTERNS_CACHED_MAX = 256
VERDICTS_CACHED_MAX = 1024

Resolve = Callable[[str], Iterable[str]]
"""Gives the event types (or patterns) of today that a name of the original project stood for; for any other name,
nothing or the name itself."""

_SPECIAL = frozenset("*?[]{},\\")
# A piece is the regular expression of one element of a glob; these three have a meaning to the layout as well.
_DOT, _STAR, _TWO_STARS = ".", "*", "**"
_Pieces = tuple[str, ...]


class Pattern:
    """A compiled pattern: ``matches(type)`` tells whether an event type is meant. Shared between threads."""

    __slots__ = ("_full_match", "_verdicts", "text")

    def __init__(self, text: str, expression: str) -> None:
        self.text = text
        """The pattern as it was given."""
        self._full_match = re.compile(expression).fullmatch
        self._verdicts: dict[str, bool] = {}

    def matches(self, type: str) -> bool:
        """Whether the pattern means this event type. About 0.1 µs for a type seen before, else some microseconds."""
        verdict = self._verdicts.get(type)
        if verdict is None:
            # Each segment ends with a dot for the expression, the last one too. An over-long text is no event type.
            verdict = len(type) <= EVENT_TYPE_CHARS_MAX and self._full_match(f"{type}.") is not None
            if len(self._verdicts) >= VERDICTS_CACHED_MAX:
                self._verdicts.clear()
            self._verdicts[type] = verdict
        return verdict

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


def compile_pattern(text: str, *, resolve: Resolve | None = None) -> Pattern:
    """The compiled pattern; the same text gives a cached one.

    ``resolve`` finds the events behind a name of the original project; by default the table in ``llmspell.model``.
    Raises InvalidInput (``invalid-pattern``) whose message and ``details["rule"]`` name the broken rule.
    """
    if type(text) is not str:
        raise _refuse(text, "type", f"a pattern is a str, not {type(text).__name__}")
    if len(text) > PATTERN_CHARS_MAX:
        raise _refuse(text, "length", f"a pattern has at most {PATTERN_CHARS_MAX} characters, this one {len(text)}")
    return _compile(text, resolve or _canonical)


def check_event_type(text: str) -> str:
    r"""The type itself, if an event may have it: what a pattern without wildcards can name.

    Rules: a str of 1 to 256 characters, segments separated by dots and none of them empty, no space, no control or
    unprintable character, none of ``* ? [ ] { } , \``. Raises InvalidInput (``invalid-event-type``) naming the rule.
    """
    if type(text) is not str:
        raise _refuse(text, "type", f"an event type is a str, not {type(text).__name__}", "invalid-event-type")
    return _checked_type(text)


@lru_cache(maxsize=PATTERNS_CACHED_MAX)
def _checked_type(text: str) -> str:
    if len(text) > EVENT_TYPE_CHARS_MAX:
        why = f"an event type has at most {EVENT_TYPE_CHARS_MAX} characters, this one {len(text)}"
        raise _refuse(text, "length", why, "invalid-event-type")
    if not all(text.split(".")):
        raise _refuse(text, "empty-segment", "no segment of an event type is empty", "invalid-event-type")
    for char in text:
        if not _stands_for_itself(char):
            raise _refuse(text, "character", f"an event type does not contain {char!r}", "invalid-event-type")
    return text


@lru_cache(maxsize=PATTERNS_CACHED_MAX)
def _compile(text: str, resolve: Resolve) -> Pattern:
    # Parsed before it is resolved: a malformed pattern is refused as such, and by its own text.
    expressions = [_expression(text, pieces) for pieces in _Parser(text).globs()]
    for name in resolve(text):
        if name != text:
            expressions.extend(_expression(name, pieces) for pieces in _Parser(name).globs())
    return Pattern(text, "|".join(expressions))


def _canonical(name: str) -> Iterable[str]:
    from llmspell.model.names import canonical_event_types

    return canonical_event_types(name)


class _Parser:
    """Reads a pattern once from left to right and multiplies its braces out."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def globs(self) -> list[_Pieces]:
        """The brace-free globs that the pattern stands for, as tuples of pieces."""
        globs = self._sequence()
        if self._at < len(self._text):
            raise self._refuse("braces", "a '}' closes nothing")
        return globs

    def _sequence(self) -> list[_Pieces]:
        """All readings of what stands up to the end, or up to the ',' or '}' of the brace around it."""
        readings: list[_Pieces] = [()]
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "}" or (char == "," and self._depth):
                break
            step = self._braces() if char == "{" else [(self._piece(char),)]
            readings = self._bounded([before + after for before, after in product(readings, step)])
        return readings

    def _braces(self) -> list[_Pieces]:
        self._depth += 1
        alternatives: list[_Pieces] = []
        closed = False
        while not closed:
            self._at += 1  # the '{' or ','
            branch = self._sequence()
            if self._at >= len(self._text):
                raise self._refuse("braces", "a '{' is not closed")
            if branch == [()]:
                raise self._refuse("braces", "no alternative within braces is empty")
            alternatives = self._bounded(alternatives + branch)
            closed = self._text[self._at] == "}"
        self._at += 1
        self._depth -= 1
        return alternatives

    def _piece(self, char: str) -> str:
        if char == "[":
            return self._class()
        if char == "*":
            run = len(self._text) - self._at - len(self._text[self._at :].lstrip("*"))
            if run > len(_TWO_STARS):
                raise self._refuse("stars", "at most two '*' stand together")
            self._at += run
            return "*" * run
        self._at += 1
        if char == "?":
            return "[^.]"
        if char == _DOT:
            return _DOT
        if not _stands_for_itself(char):
            raise self._refuse("character", f"{char!r} does not stand here")
        return re.escape(char)

    def _class(self) -> str:
        end = self._text.find("]", self._at)
        if end < 0:
            raise self._refuse("class", "a '[' is not closed")
        inside = self._text[self._at + 1 : end]
        self._at = end + 1
        negated = inside.startswith("!")
        members = "".join(self._members(inside[negated:]))
        if not members:
            raise self._refuse("class", "a class within '[]' is not empty")
        # The look-ahead keeps a range such as [+-9], or a negated class, from taking the dot between two segments.
        return f"(?!\\.)[{'^' * negated}{members}]"

    def _members(self, inside: str) -> Iterator[str]:
        for char in inside:
            if char == _DOT or not _stands_for_itself(char):
                raise self._refuse("class", f"{char!r} is not in a class, for no segment contains it")
        at = 0
        while at < len(inside):
            low, dash, high = inside[at], inside[at + 1 : at + 2], inside[at + 2 : at + 3]
            if dash != "-" or not high:
                yield re.escape(low)
                at += 1
            elif high < low:
                raise self._refuse("class", f"the range {low}-{high} goes backwards")
            else:
                yield f"{re.escape(low)}-{re.escape(high)}"
                at += 3

    def _bounded(self, readings: list[_Pieces]) -> list[_Pieces]:
        if len(readings) > PATTERN_ALTERNATIVES_MAX:
            raise self._refuse("expansion", f"braces expand to at most {PATTERN_ALTERNATIVES_MAX} alternatives")
        if sum(map(len, readings)) > PATTERN_PIECES_MAX:
            raise self._refuse("expansion", f"braces expand to at most {PATTERN_PIECES_MAX} characters")
        return readings

    def _refuse(self, rule: str, why: str) -> InvalidInput:
        return _refuse(self._text, rule, why)


def _expression(text: str, pieces: _Pieces) -> str:
    """A regular expression for one glob over types whose every segment ends with a dot."""
    segments = [_segment(text, segment) for segment in _split(pieces, _DOT)]
    first, *rest = ["".join(run) for run in _split(segments, _TWO_STARS)]
    if not rest:
        return first
    *middle, last = rest
    absorbed = "".join(rf"(?>(?:[^.]+\.)*?{run})" for run in middle if run)
    return rf"{first}{absorbed}(?:[^.]+\.)*{last}"


def _segment(text: str, segment: Sequence[str]) -> str:
    """One segment and the dot behind it; with stars inside, the same first-fit rule as between two ``**``."""
    if not segment:
        raise _refuse(text, "empty-segment", "no segment of a pattern is empty")
    if _TWO_STARS in segment:
        if len(segment) > 1:
            raise _refuse(text, "stars", "'**' is a segment of its own; within a segment use '*'")
        return _TWO_STARS
    if any(pair == (_STAR, _STAR) for pair in pairwise(segment)):
        raise _refuse(text, "stars", "a '*' within braces does not stand beside another one")
    first, *rest = ["".join(run) for run in _split(segment, _STAR)]
    if not rest:
        return rf"{first}\."
    *middle, last = rest
    absorbed = "".join(rf"(?>[^.]*?{run})" for run in middle if run)
    # The look-ahead: a star that stands alone takes a whole segment, and no segment is empty.
    return rf"(?>(?!\.){first}{absorbed}[^.]*{last}\.)"


def _split(parts: Sequence[str], mark: str) -> list[list[str]]:
    """The runs of parts between the marks; one more than there are marks, some of them empty."""
    runs: list[list[str]] = [[]]
    for part in parts:
        if part == mark:
            runs.append([])
        else:
            runs[-1].append(part)
    return runs


def _stands_for_itself(char: str) -> bool:
    return char not in _SPECIAL and char.isprintable() and not char.isspace()


def _refuse(text: object, rule: str, why: str, code: str = "invalid-pattern") -> InvalidInput:
    return InvalidInput(f"{why}: {told(text)}", code=code, rule=rule)
