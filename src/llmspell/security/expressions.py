"""Regular expressions of users: taken only when they cannot take more than linear time, or nearly so."""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from llmspell.errors import InvalidInput

EXPRESSION_CHARS_MAX = 1000
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_UNBOUNDED = 1000
"""A repetition that may be longer counts as unbounded."""


def check_expression(name: str, text: str) -> re.Pattern[str]:
    """The expression, compiled. Raises InvalidInput (``invalid-pattern``) when it is none, matches the empty text, or
    repeats something that itself repeats or branches: such an expression can take exponential time.
    """
    if type(text) is not str or len(text) > EXPRESSION_CHARS_MAX:
        raise _refuse(name, f"an expression is a str of at most {EXPRESSION_CHARS_MAX} characters")
    try:
        parsed = _parser.parse(text)
        compiled = re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        raise _refuse(name, str(exc)) from exc
    if compiled.fullmatch("") is not None:
        raise _refuse(name, "it matches the empty text")
    if _check(parsed, name) > 2:
        raise _refuse(name, "it has more than two parts of unbounded length")
    return compiled


def _check(parsed: Any, name: str, *, repeated: bool = False) -> int:
    """How many unbounded repetitions there are."""
    count = 0
    for operation, argument in parsed:
        if operation in _REPEATS or operation is getattr(_constants, "POSSESSIVE_REPEAT", None):
            _, high, inner = argument
            unbounded = high >= _UNBOUNDED
            if repeated and high > 1:
                raise _refuse(name, "it repeats what itself repeats")
            count += unbounded + _check(inner, name, repeated=repeated or high > 1)
        elif operation is _constants.BRANCH:
            if repeated:
                raise _refuse(name, "it repeats a choice; write a set of characters, or the choice outside")
            count += sum(_check(branch, name, repeated=repeated) for branch in argument[1])
        elif operation is _constants.SUBPATTERN:
            count += _check(argument[-1], name, repeated=repeated)
        elif operation in (_constants.ASSERT, _constants.ASSERT_NOT):
            count += _check(argument[1], name, repeated=repeated)
        elif operation is _constants.GROUPREF:
            raise _refuse(name, "it refers back to a group")
    return count


def _refuse(name: str, why: str) -> InvalidInput:
    return InvalidInput(f"the pattern {name!r} cannot be used: {why}", code="invalid-pattern")
