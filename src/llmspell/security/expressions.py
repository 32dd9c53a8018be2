"""Regular expressions of users: taken only when the work at one place of a text is bounded, whatever the text.

A search tries every place once, so a bound for one place makes the whole search linear. The bound is counted from the
expression: in how many ways each part can match at a place (``ways``: what a failure further on makes the search try
again), and how much all those attempts do together (``steps``). A step is what looking at one character costs, 10 ns
at the most; what Python's engine takes longer for counts for more: rounds of groups, groups that capture (each round
copies what all of them hold), sets of characters that it goes through item by item.
"""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from llmspell.errors import InvalidInput

EXPRESSION_CHARS_MAX = 1000
STEPS_MAX = 1000
"""Steps that an expression may take at one place of a text: at the most a second for 100,000 places."""
_ROUND_STEPS = _CAPTURE_STEPS = 2
_GROUPS_A_STEP = 6
_ITEMS_A_STEP = 8
_CATEGORY_ITEMS = 8
_BMP_MAX = 0xFFFF
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
        _Count(name, parsed.state).sequence(parsed)
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as exc:
        raise _refuse(name, str(exc)) from exc


class _Count:
    """Counts one expression. ``folding`` is 1 while letters are compared in both cases: that doubles a set's cost."""

    def __init__(self, name: str, state: Any) -> None:
        self._name = name
        self._copying = (state.groups - 1) // _GROUPS_A_STEP
        self._folding = int(bool(state.flags & re.IGNORECASE))

    def sequence(self, parsed: Any) -> _Cost:
        """What parts one behind the other cost: each is tried once for every way that those before it can match."""
        ways, steps = 1, 0
        for operation, argument in parsed:
            part = self._part(operation, argument)
            steps += ways * part.steps
            ways *= part.ways
            if steps > STEPS_MAX:
                raise _refuse(
                    self._name,
                    f"it may take more than {STEPS_MAX:,} steps at one place of a text",
                    hint="give its repetitions smaller bounds, or make those possessive that never have to give back:"
                    " x{1,200}+; (?:…) costs less than (…)",
                )
        return _Cost(ways, steps)

    def _part(self, operation: Any, argument: Any) -> _Cost:
        if operation is _constants.IN:
            return _Cost(1, 1 + self._folding + sum(map(_slow_items, argument)) // _ITEMS_A_STEP)
        if operation in _ONE_CHARACTER:
            return _Cost(1, 1)
        if operation in _GREEDY:
            return self._repeated(argument)
        if operation is _constants.POSSESSIVE_REPEAT:
            return _Cost(1, self._repeated(argument).steps)
        if operation is _constants.ATOMIC_GROUP:
            return _Cost(1, self.sequence(argument).steps)
        if operation is _constants.SUBPATTERN:
            return self._group(*argument)
        if operation is _constants.BRANCH:
            costs = [self.sequence(branch) for branch in argument[1]]
            steps = sum(max(cost.steps, 1) for cost in costs)
            return _Cost(sum(cost.ways for cost in costs), steps + self._copying)
        if operation in (_constants.ASSERT, _constants.ASSERT_NOT):
            return _Cost(1, max(self.sequence(argument[1]).steps, 1) + self._copying)
        raise _refuse(self._name, "it refers back to a group")

    def _group(self, number: int | None, added: int, removed: int, inside: Any) -> _Cost:
        before = self._folding
        self._folding = int(bool((before or added & re.IGNORECASE) and not removed & re.IGNORECASE))
        inner = self.sequence(inside)
        self._folding = before
        return inner if number is None else inner._replace(steps=inner.steps + _CAPTURE_STEPS)

    def _repeated(self, argument: Any) -> _Cost:
        """What a repetition costs: all ways of the first round, for each of them all ways of the second, and so on."""
        low, high, inner = argument
        if high is _constants.MAXREPEAT:
            raise _refuse(
                self._name,
                "it repeats something without an upper bound",
                hint="write {0,100} instead of *, {1,100} instead of +, {20,100} instead of {20,}",
            )
        one = self.sequence(inner)
        is_run = len(inner) == 1 and inner[0][0] in _ONE_CHARACTER
        each = one.steps if is_run else max(one.steps, 1) + _ROUND_STEPS + self._copying
        ways, steps, rounds = int(low == 0), 1, 1
        for number in range(1, high + 1):
            steps += rounds * each
            rounds *= one.ways
            ways += rounds if number >= low else 0
            if steps > STEPS_MAX:
                break  # Whoever adds it up refuses it.
        return _Cost(ways, steps)


def _slow_items(item: tuple[Any, Any]) -> int:
    """What an item of a set counts for; nothing up to U+FFFF, since the engine has a table of those."""
    kind, argument = item
    if kind is _constants.CATEGORY:
        return _CATEGORY_ITEMS
    last = argument[1] if kind is _constants.RANGE else argument
    return int(last is not None and last > _BMP_MAX)


def _refuse(name: str, why: str, hint: str | None = None) -> InvalidInput:
    return InvalidInput(f"the pattern {name!r} cannot be used: {why}", code="invalid-pattern", hint=hint)
