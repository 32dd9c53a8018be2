"""Patterns: the same verdicts as Python's own expressions, in bounded time, and comparable."""

import re
from itertools import islice, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.schemas.expression import parse
from llmspell.schemas.language import Listed, Matching, Undecided, lengths, text_of, text_outside, text_within
from llmspell.schemas.pattern import EVERYTHING, PATTERN_TEXT_CHARS_MAX, Pattern, compile_pattern
from tests.schemas.strategies import expressions, texts

thorough = settings(max_examples=500)


def matched(expression, text):
    return re.fullmatch(expression, text, re.ASCII) is not None


def short_texts(alphabet="abc.\n", size=3):
    return ("".join(chars) for count in range(size + 1) for chars in product(alphabet, repeat=count))


@thorough
@given(expressions, st.lists(texts, max_size=20))
def test_a_pattern_matches_what_pythons_full_match_does(expression, some):
    pattern = compile_pattern(expression)
    for text in [*some, *short_texts(size=2)]:
        assert pattern.matches(text) == matched(expression, text), text


@thorough
@given(expressions, st.integers(0, 4), st.integers(0, 4) | st.none(), st.randoms(use_true_random=False))
def test_lengths_and_texts_are_those_that_match(expression, least, most, rng):
    pattern = compile_pattern(expression)
    found = list(islice(lengths(pattern, least, most), 4))
    for size in found:
        for text in (text_of(pattern, size), text_of(pattern, size, Random(rng.random()))):
            assert len(text) == size >= least
            assert matched(expression, text)
    sizes = {len(text) for text in short_texts(alphabet="abc0.\né", size=2) if matched(expression, text)}
    assert {size for size in sizes if least <= size and (most is None or size <= most)} <= set(found)


@thorough
@given(expressions, expressions)
def test_a_text_outside_is_one_patterns_and_not_the_others_and_is_found_if_there_is_one(one, other):
    found = text_outside(compile_pattern(one), Matching(compile_pattern(other)), 0, None)
    if found is None:
        assert all(matched(other, text) for text in short_texts() if matched(one, text))
    else:
        assert matched(one, found)
        assert not matched(other, found)


@thorough
@given(expressions, st.integers(0, 3), st.integers(0, 3))
def test_a_text_outside_keeps_bounds_of_length(expression, least, more):
    pattern = compile_pattern(expression)
    found = text_outside(pattern, Matching(compile_pattern("a*")), least, least + more)
    candidates = [text for text in short_texts(alphabet="abc", size=2) if least <= len(text) <= least + more]
    if found is None:
        assert all(matched("a*", text) for text in candidates if matched(expression, text))
    else:
        assert least <= len(found) <= least + more
        assert matched(expression, found)
        assert not matched("a*", found)


def test_a_finite_pattern_is_within_a_list_of_all_its_texts_only():
    pattern = compile_pattern("(a|b)c?")
    assert text_outside(pattern, Listed(["a", "b", "ac", "bc"]), 0, None) is None
    assert text_outside(pattern, Listed(["a", "b", "ac"]), 0, None) == "bc"
    assert text_outside(EVERYTHING, Listed(["", "a"]), 0, None) not in {"", "a", None}


def test_a_comparison_that_takes_too_long_is_undecided():
    many = compile_pattern("[ab]*a[ab]{18}")
    with pytest.raises(Undecided):
        text_outside(EVERYTHING, Matching(compile_pattern("(?:[^ab]|[ab])*")), 40_000, None)
    with pytest.raises(Undecided):
        text_outside(many, Matching(compile_pattern("[ab]*a[ab]{17}[ab]")), 0, None)


def test_a_hostile_pattern_makes_no_more_steps_than_the_text_has_characters(monkeypatch):
    pattern, steps = Pattern("hostile", parse("(a*)*(a|aa)*(a|b)*a(a|b){60}c")), []
    step = Pattern.step

    def counted(self, *at):
        steps.append(at)
        return step(self, *at)

    monkeypatch.setattr(Pattern, "step", counted)
    text = "".join(Random(1).choices("ab", k=5_000))
    assert not pattern.matches(text)
    assert 0 < len(steps) <= len(text)


def test_a_text_longer_than_patterns_are_matched_against_matches_none():
    pattern = compile_pattern("a*")
    assert pattern.matches("a" * PATTERN_TEXT_CHARS_MAX)
    assert not pattern.matches("a" * (PATTERN_TEXT_CHARS_MAX + 1))


def test_what_is_remembered_of_a_pattern_is_bounded(monkeypatch):
    monkeypatch.setattr("llmspell.schemas.pattern._MOVES_MAX", 50)
    pattern = Pattern("many", parse("(a|b)*a(a|b){9}"))
    for seed in range(5):
        text = "".join(Random(seed).choices("ab", k=300))
        assert pattern.matches(text) == (text[-10] == "a")
    assert len(pattern._moves) <= 50
    assert len(pattern._reached) <= 50


@pytest.mark.parametrize("expression", [
    *["(", ")", "a)", "(a", "[", "[]", "[a", "]", "}", "{", "{2}", "a{", "a{x}", "a{2", "a{3,2}", "a{,}", "a{999}"],
    *["*", "+a", "?", "a**", "a*?", "a++", "a{2}{3}", "(?=a)", "(?<n>a)", "(?P<n>a)", "(?i)a", "(?!a)"],
    *[r"\1", r"\b", r"\A", r"\Z", r"\k", r"\N", "\\", r"\x1", r"\u12", r"\ud800", r"\U00110000", r"\xzz"],
    *["a^", "$a", "a$b", "(^a)", "[b-a]", "[[a]", r"[\d-z]", r"[^\s\S]", "^*", "a{1000000000000}"],
    *["(a{500}){500}", "a{512}b", "((((a{0}){500}){500}){500}){500}", "(" * 60 + ")" * 60, "a" * 1001],
])  # fmt: skip
def test_what_is_no_pattern_is_refused(expression):
    with pytest.raises(InvalidInput) as refused:
        compile_pattern(expression)
    assert refused.value.code == "invalid-pattern"
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("given", [None, 3, b"a", ["a"]])
def test_a_pattern_is_a_text(given):
    with pytest.raises(InvalidInput) as refused:
        compile_pattern(given)
    assert refused.value.code == "invalid-pattern"


def test_a_text_within_is_the_shortest():
    assert text_within(compile_pattern("a+b"), 0, None) == "ab"
    assert text_within(compile_pattern("a+b"), 4, None) == "aaab"
    assert text_within(compile_pattern("(aa)*"), 3, 3) is None
