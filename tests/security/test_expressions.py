"""Expressions of users: those that are taken look at a bounded number of characters at each place of any text."""

import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell import InvalidInput
from llmspell.security import expressions as security_expressions
from llmspell.security.expressions import STEPS_MAX, check_expression

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


@pytest.mark.parametrize("text", [r"x+q", r"x*q", r"x{3,}q", r"x.{0,100}y.{0,100}q"])
def test_a_refusal_says_how_to_write_it(text):
    with pytest.raises(InvalidInput) as refused:
        check_expression("mine", text)
    assert "{1," in refused.value.hint


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        (r"corp_[A-Za-z0-9]{20,40}", "corp_" + "a1" * 15),
        (r"(?i:acme[ -]?key)\s{0,4}[:=]\s{0,4}(?P<s>[\w-]{8,64})", "Acme-Key: abcd-efgh"),
        (r"\b[A-Z]{2,4}-\d{6,12}\b", "AB-123456"),
        (r"(?<![0-9])\d{4}(?:-\d{4}){3}(?![0-9])", "1234-1234-1234-1234"),
        (r"x[a-z]{1,400}+-[a-z]{1,400}+9", "xabc-def9"),
        (r"(?:ab|cd){1,4}q", "abcdq"),
        (r"x.{0,20}y.{0,20}q", "x--y--q"),
    ],
)
def test_what_people_write_is_taken(text, sample):
    assert check_expression("mine", text).search(f"say {sample} here")


# -- the bound holds: expressions are drawn, and run by a matcher that counts and gives up no way -----------------------


@dataclass(frozen=True)
class Node:
    kind: str
    parts: tuple = ()
    low: int = 0
    high: int = 0
    text: str = ""

    def __str__(self):
        inner = "".join(map(str, self.parts))
        match self.kind:
            case "char":
                return self.text
            case "choice":
                return f"(?:{'|'.join(map(str, self.parts))})"
            case "repeat" | "possessive":
                return f"(?:{inner}){{{self.low},{self.high}}}{'+' if self.kind == 'possessive' else ''}"
            case "ahead":
                return f"(?={inner})"
            case "atomic":
                return f"(?>{inner})"
        return inner


class Counting:
    """All ends of all ways in which a node matches; each character looked at is counted."""

    def __init__(self, text):
        self.text, self.steps = text, 0

    def sequence(self, parts, at):
        if not parts:
            yield at
            return
        for middle in self.ends(parts[0], at):
            yield from self.sequence(parts[1:], middle)

    def rounds(self, node, at, done):
        if done < node.high:
            for middle in self.sequence(node.parts, at):
                yield from self.rounds(node, middle, done + 1)
        if done >= node.low:
            yield at

    def ends(self, node, at):
        match node.kind:
            case "char":
                self.steps += 1
                if at < len(self.text) and node.text in (".", self.text[at]):
                    yield at + 1
            case "choice":
                for part in node.parts:
                    yield from self.ends(part, at)
            case "repeat":
                yield from self.rounds(node, at, 0)
            case "possessive":
                yield from list(self.rounds(node, at, 0))[:1]
            case "atomic":
                yield from list(self.sequence(node.parts, at))[:1]
            case "ahead":
                yield from [at] * any(list(self.sequence(node.parts, at)))
            case _:
                yield from self.sequence(node.parts, at)


def nodes(inner):
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    bounds = st.tuples(st.integers(0, 3), st.integers(0, 6)).map(lambda pair: (pair[0], max(1, sum(pair))))
    return st.one_of(
        st.builds(lambda parts: Node("sequence", parts), some),
        st.builds(lambda parts: Node("choice", parts), some),
        st.builds(lambda kind, parts: Node(kind, parts), st.sampled_from(["ahead", "atomic"]), some),
        st.builds(lambda kind, parts, b: Node(kind, parts, *b), st.sampled_from(["repeat", "repeat", "possessive"]), some, bounds),
    )  # fmt: skip


chars = st.sampled_from("aab.").map(lambda char: Node("char", text=char))
expressions = st.lists(st.recursive(chars, nodes, max_leaves=7), min_size=1, max_size=4).map(
    lambda parts: Node("sequence", (*parts, Node("char", text="q")))
)


@pytest.fixture(scope="module")
def few_steps():
    """The rule does not depend on the number; a small one leaves time for more expressions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(security_expressions, "STEPS_MAX", 200)
        yield 200


@settings(max_examples=200)
@given(node=expressions, text=st.text("ab", max_size=30))
def test_an_expression_that_is_taken_looks_at_a_bounded_number_of_characters_at_each_place(few_steps, node, text):
    try:
        taken = check_expression("drawn", str(node))
    except InvalidInput:
        return
    for hostile in (text + "a" * 40, "ab" * 20):
        for at in (0, 1, len(text)):
            counting = Counting(hostile)
            ends = set(counting.ends(node, at))
            assert counting.steps <= few_steps
            matched = taken.match(hostile + "q", at)
            assert matched is None or matched.end() - at <= few_steps
            assert (taken.match(hostile, at) is not None) <= bool(ends)


def test_the_count_is_not_far_from_the_truth():
    """The bound is no mere refusal of everything: just below it the work is really done."""
    repeats = (Node("repeat", (Node("char", text="."),), 0, 40),) * 2
    node = Node("sequence", (repeats[0], Node("char", text="a"), repeats[1], Node("char", text="q")))
    check_expression("mine", str(node))
    counting = Counting("a" * 200)
    assert list(counting.ends(node, 0)) == []
    assert STEPS_MAX // 2 < counting.steps <= STEPS_MAX
    assert re.search(str(node), "a" * 200) is None
