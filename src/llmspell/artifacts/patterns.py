"""Patterns of names: ``*``, ``?``, ``[a-z]`` and ``[!a-z]`` as in a shell; a ``[`` that is never closed is itself.

They are judged by the engine and by Python, which must agree on every pattern and name: what is found with one is
deleted with the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby, takewhile
from typing import NamedTuple

from llmspell.model.labels import check_label

PATTERN_CHARS_MAX = 1000
MANY = None
"""Any number of characters."""
_NONE = "[^\x01-\U0010ffff]"


class OneOf(NamedTuple):
    """One character: of these ranges, or of none of them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False


Part = str | OneOf | None
"""A character that stands for itself, one of several, or ``MANY``."""


def check_pattern(pattern: str) -> str:
    """A pattern, composed as names are. Raises InvalidInput (``invalid-name``)."""
    return check_label(pattern, "a pattern of names", chars_max=PATTERN_CHARS_MAX)


def is_exact(pattern: str) -> bool:
    """Whether it means one name only."""
    return all(isinstance(part, str) for part in _parts(pattern))


def matching(pattern: str) -> Callable[[str], bool]:
    """Whether a name fits, for Python; never more than some steps a character of each."""
    first, *others = _between_many(pattern)
    # The first place where a run fits does for it, so none is tried again; the last run is at the end.
    rest = "".join(f"(?>.*?{run})" for run in others[:-1]) + "".join(f".*{run}" for run in others[-1:])
    fits = re.compile(first + rest, re.DOTALL).fullmatch
    return lambda name: fits(name) is not None


def glob_of(pattern: str) -> str:
    """The same for SQLite's GLOB."""
    return "".join(map(_globbed, _parts(pattern)))


def runs_of(pattern: str) -> list[str]:
    """The parts of a pattern that names hold as they are."""
    groups = groupby(_parts(pattern), lambda part: isinstance(part, str))
    return ["".join(map(str, parts)) for literal, parts in groups if literal]


def beginning_of(pattern: str) -> str:
    """What all names that fit begin with."""
    return "".join(map(str, takewhile(lambda part: isinstance(part, str), _parts(pattern))))


def _parts(pattern: str) -> Iterator[Part]:
    at = 0
    while at < len(pattern):
        char = pattern[at]
        # A bracket that comes first is in the class.
        end = pattern.find("]", at + (3 if pattern[at + 1 : at + 2] == "!" else 2)) if char == "[" else -1
        if end > 0:
            yield _one_of(pattern[at + 1 : end])
            at = end
        else:
            yield MANY if char == "*" else OneOf((), negated=True) if char == "?" else char
        at += 1


def _one_of(inside: str) -> OneOf:
    negated = inside.startswith("!")
    chars = inside[negated:]
    ranges, at = [], 0
    while at < len(chars):
        last = at + 2 if chars[at + 1 : at + 2] == "-" and at + 2 < len(chars) else at
        if chars[at] <= chars[last]:  # One that falls holds nothing.
            ranges.append((chars[at], chars[last]))
        at = last + 1
    return OneOf(tuple(ranges), negated)


def _between_many(pattern: str) -> list[str]:
    """The expressions of what stands before, between and after the parts that mean any number of characters."""
    runs = [""]
    for part in _parts(pattern):
        if part is MANY:
            runs.append("")
        else:
            runs[-1] += _expressed(part)
    return runs


def _expressed(part: str | OneOf) -> str:
    if isinstance(part, str):
        return re.escape(part)
    if not part.ranges:
        return "." if part.negated else "(?!)"
    inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in part.ranges)
    return f"[{'^' if part.negated else ''}{inside}]"


def _globbed(part: Part) -> str:
    if part is MANY:
        return "*"
    if isinstance(part, str):
        return "[[]" if part == "[" else part
    if not part.ranges:
        return "?" if part.negated else _NONE
    # What means something within brackets is taken out of ranges, and stands where it means itself.
    special = [one for one in "]^-" if any(low <= one <= high for low, high in part.ranges)]
    others = "".join(f"{low}-{high}" for low, high in _without_special(part.ranges))
    first = "]" if "]" in special else ""
    inside = f"{first}{others}{'^' if '^' in special else ''}{'-' if '-' in special else ''}"
    if part.negated:
        return f"[^{inside}]"
    if inside.startswith("^"):  # It would negate.
        return "^" if inside == "^" else "[-^]"
    return f"[{inside}]"


def _without_special(ranges: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    waiting = list(ranges)
    while waiting:
        low, high = waiting.pop()
        inner = next((one for one in "]^-" if low <= one <= high), None)
        if inner is None:
            yield low, high
            continue
        if low < inner:
            waiting.append((low, chr(ord(inner) - 1)))
        if inner < high:
            waiting.append((chr(ord(inner) + 1), high))
