"""Regular expressions of users: taken only when the work at one place of a text is bounded, whatever the text.

A search tries every place once, so a bound for one place makes the whole search linear. The bound is counted from the
expression: in how many ways each part can match at a place (``ways``: what a failure further on makes the search try
again), and how many characters all those attempts look at together (``steps``).
"""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from llmspell.errors import InvalidInput

EXPRESSION_CHARS_MAX = 1000
STEPS_MAX = 4000
"""Characters that an expression may look at, at one place of a text."""
_GREEDY = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_ONE_CHARACTER = frozenset((
    _constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.AT, _constants.FAILURE,
))  # fmt: skip


class _Cost(NamedTuple):
    ways: int
    steps: int


def check_expression(name: str, text: str) -> re.Pattern[str]:
    """The expression, compiled.

    Raises InvalidInput (``invalid-pattern``) when it is none, can match without a character, repeats without an upper
    bound, refers back to a group, or may take more than ``STEPS_MAX`` steps at one place.
    """
    if type(text) is not str or len(text) > EXPRESSION_CHARS_MAX:
        raise _refuse(name, f"an expression is a str of at most {EXPRESSION_CHARS_MAX} characters")
    try:
        parsed = _parser.parse(text)
        if parsed.getwidth()[0] == 0:
            raise _refuse(name, "it can match the empty text")
        _sequence(parsed, name)
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        raise _refuse(name, str(exc)) from exc


def _sequence(parsed: Any, name: str) -> _Cost:
    """What parts one behind the other cost: each is tried once for every way that those before it can match."""
    ways, steps = 1, 0
    for operation, argument in parsed:
        part = _part(operation, argument, name)
        steps += ways * part.steps
        ways *= part.ways
        if steps > STEPS_MAX:
            raise _refuse(
                name,
                f"it may take more than {STEPS_MAX:,} steps at one place of a text",
                hint="give its repetitions smaller bounds, or make those possessive that never have to give back:"
                " x{1,200}+",
            )
    return _Cost(ways, steps)


def _part(operation: Any, argument: Any, name: str) -> _Cost:
    if operation in _ONE_CHARACTER:
        return _Cost(1, 1)
    if operation in _GREEDY:
        return _repeated(argument, name)
    if operation is _constants.POSSESSIVE_REPEAT:
        return _Cost(1, _repeated(argument, name).steps)
    if operation is _constants.ATOMIC_GROUP:
        return _Cost(1, _sequence(argument, name).steps)
    if operation is _constants.SUBPATTERN:
        return _sequence(argument[-1], name)
    if operation is _constants.BRANCH:
        costs = [_sequence(branch, name) for branch in argument[1]]
        return _Cost(sum(cost.ways for cost in costs), sum(max(cost.steps, 1) for cost in costs))
    if operation in (_constants.ASSERT, _constants.ASSERT_NOT):
        return _Cost(1, max(_sequence(argument[1], name).steps, 1))
    raise _refuse(name, "it refers back to a group")


def _repeated(argument: Any, name: str) -> _Cost:
    """What a repetition costs: all ways of the first round, for each of them all ways of the second, and so on."""
    low, high, inner = argument
    if high is _constants.MAXREPEAT:
        raise _refuse(
            name,
            "it repeats something without an upper bound",
            hint="write {0,100} instead of *, {1,100} instead of +, {20,100} instead of {20,}",
        )
    one = _sequence(inner, name)
    ways, steps, rounds = int(low == 0), 0, 1
    for number in range(1, high + 1):
        steps += rounds * max(one.steps, 1)
        rounds *= one.ways
        ways += rounds if number >= low else 0
        if steps > STEPS_MAX:
            break  # Whoever adds it up refuses it.
    return _Cost(ways, steps)


def _refuse(name: str, why: str, hint: str | None = None) -> InvalidInput:
    return InvalidInput(f"the pattern {name!r} cannot be used: {why}", code="invalid-pattern", hint=hint)
