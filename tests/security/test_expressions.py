"""Expressions of users: those that are taken look at a bounded number of characters at each place of any text."""

from re import _compiler, _constants, _parser  # type: ignore[attr-defined]

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell import InvalidInput
from llmspell.security import expressions as security_expressions
from llmspell.security.commands import IN_COMMANDS
from llmspell.security.expressions import STEPS_MAX, check_expression
from llmspell.security.patterns import BEHIND_NAMES, SHAPES

TOO_MUCH = {
    "two unbounded parts": r"x.*y.*q",
    "two unbounded sets": r"x[a-z]*y[a-z]*q",
    "one unbounded part": r"x+q",
    "unbounded from a count on": r"x{3,}q",
    "lazy and unbounded": r"x.*?q",
    "possessive and unbounded": r"x++q",
    "unbounded inside a look ahead": r"x(?=y*z)y",
    "unbounded inside a choice": r"a|bc*d",
    "unbounded inside an atomic group": r"(?>x*)y",
    "bounds that multiply": r"x.{0,100}y.{0,100}q",
    "nested bounds": r"(?:x{1,30}){1,30}q",
    "deeply nested bounds": r"(?:(?:(?:a{1,2}){1,2}){1,3}){1,4}q",
    "a choice that is repeated": r"(?:a|ab|b){1,20}q",
    "a bound that is far": r"x{0,5000}q",
    "a bound beyond the parser": r"x{0,99999999999}q",
    "a long tail for each way": r"x{0,200}" + "y" * 40,
    "far bounds of one part": r"[a-z]{1,600}[0-9]",
    "rounds of a group that captures": r"(a){1,200}[bc]",
    "rounds of a group, and groups to copy in each": "(a)" * 60 + "(?:aa){1,80}+b",
    "choices, and groups to copy in each": "(a)" * 90 + "(?:(?:ab|ac|aa)d){1,60}",
    "a set that is gone through item by item": f"[{''.join(map(chr, range(0x10000, 0x10320, 2)))}]{{1,20}}!",
    "categories, each asked": r"[^\d\s]{1,400}[\d\s]",
    "a group again": r"(a{1,5})\1",
    "a group asked for": r"(a)?b(?(1)c|d)",
    "the empty text": r"a{0,3}",
    "only a look ahead": r"(?=a)",
    "no expression": r"a(",
    "too long": "a" * 1001,
}


@pytest.mark.parametrize("text", TOO_MUCH.values(), ids=TOO_MUCH)
def test_an_expression_of_more_than_bounded_work_is_refused(text):
    with pytest.raises(InvalidInput) as refused:
        check_expression("mine", text)
    assert refused.value.code == "invalid-pattern"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (r"x+q", "{1,100} instead of +"),
        (r"x*q", "{0,100} instead of *"),
        (r"x{20,}q", "{20,100} instead of {20,}"),
        (r"x.{0,100}y.{0,100}q", "possessive"),
    ],
)
def test_a_refusal_says_how_to_write_it(text, hint):
    with pytest.raises(InvalidInput) as refused:
        check_expression("mine", text)
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        (r"corp_[A-Za-z0-9]{20,40}", "corp_" + "a1" * 15),
        (r"(?i:acme[ -]?key)\s{0,4}+[:=]\s{0,4}+(?P<s>[\w-]{8,64})", "Acme-Key: abcd-efgh"),
        (r"\b[A-Z]{2,4}-\d{6,12}\b", "AB-123456"),
        (r"(?<![0-9])\d{4}(?:-\d{4}){3}(?![0-9])", "1234-1234-1234-1234"),
        (r"x[a-z]{1,400}+-[a-z]{1,400}+9", "xabc-def9"),
        (r"(?:ab|cd){1,4}q", "abcdq"),
        (r"x.{0,20}y.{0,20}q", "x--y--q"),
    ],
)
def test_what_people_write_is_taken(text, sample):
    assert check_expression("mine", text).search(f"say {sample} here")


# -- the bound holds: expressions are drawn, and run by a matcher that counts and gives up no way ----------------------


def codes(argument):
    return [argument] if type(argument) is int else [code for _, code in argument]


class Counting:
    """All ends of all ways in which a parsed expression matches; each character looked at is counted."""

    def __init__(self, text):
        self.text, self.steps = text, 0

    def all_ends(self, expression, at):
        return list(self.sequence(list(_parser.parse(expression)), at))

    def sequence(self, parts, at):
        if not parts:
            yield at
            return
        for middle in self.ends(parts[0], at):
            yield from self.sequence(parts[1:], middle)

    def rounds(self, low, high, inner, at):
        if high:
            for middle in self.sequence(inner, at):
                yield from self.rounds(low - 1, high - 1, inner, middle)
        if low <= 0:
            yield at

    def ends(self, part, at):
        operation, argument = part
        match str(operation):
            case "LITERAL" | "ANY" | "IN":
                self.steps += 1
                if at < len(self.text) and (argument is None or ord(self.text[at]) in codes(argument)):
                    yield at + 1
            case "BRANCH":
                for branch in argument[1]:
                    yield from self.sequence(list(branch), at)
            case "MAX_REPEAT":
                yield from self.rounds(argument[0], argument[1], list(argument[2]), at)
            case "POSSESSIVE_REPEAT":
                yield from list(self.rounds(argument[0], argument[1], list(argument[2]), at))[:1]
            case "ATOMIC_GROUP":
                yield from list(self.sequence(list(argument), at))[:1]
            case "ASSERT":
                yield from [at][: len(list(self.sequence(list(argument[1]), at)))]
            case "SUBPATTERN":
                yield from self.sequence(list(argument[-1]), at)
            case _:
                raise AssertionError(operation)


def larger(inner):
    some = st.lists(inner, min_size=1, max_size=3).map("".join)
    bounds = st.tuples(st.integers(0, 3), st.integers(0, 6)).map(lambda pair: f"{{{pair[0]},{max(1, sum(pair))}}}")
    return st.one_of(
        some.map("({})".format),
        some.map("(?={})".format),
        some.map("(?>{})".format),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.builds("(?:{}){}{}".format, some, bounds, st.sampled_from(["", "", "+"])),
    )


chars = st.sampled_from(["a", "a", "b", ".", "[ab]"])
expressions = st.lists(st.recursive(chars, larger, max_leaves=8), min_size=2, max_size=6).map(
    lambda parts: "".join([*parts, "q"])
)


@settings(max_examples=400)
@given(expression=expressions, text=st.text("ab", max_size=30))
def test_an_expression_that_is_taken_looks_at_a_bounded_number_of_characters_at_each_place(expression, text):
    few_steps = 60  # The rule does not depend on the number; a small one leaves time for more expressions.
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(security_expressions, "STEPS_MAX", few_steps)
            taken = check_expression("drawn", expression)
    except InvalidInput:
        return
    for hostile in (text + "a" * 40, "ab" * 20):
        for at in (0, 1, len(text)):
            counting = Counting(hostile)
            ends = counting.all_ends(expression, at)
            assert counting.steps <= few_steps
            matched = taken.match(hostile + "q", at)
            assert matched is None or matched.end() - at <= few_steps
            assert (taken.match(hostile, at) is not None) <= bool(ends)


def test_the_count_is_not_far_from_the_truth():
    """The bound is no mere refusal of everything: just below it the work is really done."""
    expression = ".{0,20}a.{0,20}q"
    check_expression("mine", expression)
    counting = Counting("a" * 200)
    assert counting.all_ends(expression, 0) == []
    assert STEPS_MAX // 2 < counting.steps <= STEPS_MAX


# -- ours, where their anchors stand in ordinary texts -----------------------------------------------------------------

ORDINARY = {"key", "oken", "pass", "ecret", "earer ", "asic ", "uthorization", "://", "aws", ".", "1"}


@pytest.mark.parametrize(
    "rule",
    [*IN_COMMANDS, *(rule for rule in (*SHAPES, *BEHIND_NAMES) if ORDINARY.intersection(rule.anchors))],
    ids=lambda rule: f"{rule.kind} {rule.expression.pattern[:40]}",
)
def test_the_engine_can_skip_to_the_few_letters_that_such_an_expression_begins_with(rule):
    """It tries no other place: tried at every one, a choice of names costs 2 ms for 10 KB that hold ``key``."""
    parsed = _parser.parse(rule.expression.pattern)
    begins = _compiler._get_literal_prefix(parsed, 0)[0]
    letters = _compiler._get_charset_prefix(parsed, 0) or []
    assert begins or 0 < len(letters) <= 8
    assert all(kind is _constants.LITERAL or letter is _constants.CATEGORY_DIGIT for kind, letter in letters)
