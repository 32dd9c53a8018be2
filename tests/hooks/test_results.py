from __future__ import annotations

import pytest

from llmspell.errors import InvalidInput
from llmspell.hooks import Cache, Cancel, Continue, Fork, Modified, Redirect, Replace, Retry, Skipped, parse_result


@pytest.mark.parametrize(
    "value,result",
    [
        (None, Continue()),
        ("continue", Continue()),
        ("skip", Skipped("skip")),
        ("skipped", Skipped("skipped")),
        ("not allowed", Cancel("not allowed")),
        ("", Cancel("")),
        (Cancel("x"), Cancel("x")),
        ({"type": "continue"}, Continue()),
        ({"type": "modified", "data": {"value": 1}}, Modified({"value": 1})),
        ({"type": "cancel", "reason": "no"}, Cancel("no")),
        ({"type": "cancel"}, Cancel("no reason given")),
        ({"type": "cancel", "reason": "no", "severity": 3}, Cancel("no")),
        ({"type": "redirect", "target": "other"}, Redirect("other")),
        ({"type": "replace", "data": [1]}, Replace([1])),
        ({"type": "replace", "result": None}, Replace(None)),
        ({"type": "retry"}, Retry(1000, 3)),
        ({"type": "retry", "delay_ms": 500.0, "max_attempts": 2}, Retry(500, 2)),
        ({"type": "skipped", "reason": "not mine"}, Skipped("not mine")),
        ({"type": "fork", "operations": [{"id": "a"}]}, Fork([{"id": "a"}])),
        ({"type": "cache", "key": "k", "ttl": 5}, Cache("k", 5)),
        ({"action": "cancel", "reason": "no"}, Cancel("no")),
    ],
)
def test_a_scripts_answer_has_the_meaning_of_the_original(value, result):
    parsed = parse_result(value)
    assert parsed == result
    assert type(parsed) is type(result)


@pytest.mark.parametrize(
    "value",
    [
        True,
        7,
        b"continue",
        [],
        {},
        {"type": "Continue"},
        {"type": "contine"},
        {"type": None},
        {"type": ["cancel"]},
        {"type": "modified"},
        {"type": "modified", "data": "v"},
        {"type": "modified", "data": {}, "also": 1},
        {"type": "redirect"},
        {"type": "redirect", "target": ""},
        {"type": "redirect", "target": 4},
        {"type": "replace"},
        {"type": "replace", "data": 1, "result": 2},
        {"type": "retry", "delay": 5},
        {"type": "retry", "delay_ms": -1},
        {"type": "retry", "delay_ms": 0.5},
        {"type": "retry", "delay_ms": True},
        {"type": "retry", "max_attempts": 0},
        {"type": "fork", "operations": []},
        {"type": "fork", "operations": ["a"]},
        {"type": "cache", "ttl_s": 3},
        {"type": "cache", "key": "k", "ttl_s": 0},
        pytest.param(10**5000, id="an int too long to print"),
    ],
)
def test_an_answer_that_means_nothing_is_an_error_and_not_a_continue(value):
    with pytest.raises(InvalidInput) as caught:
        parse_result(value)
    assert caught.value.code == "invalid-result"


@pytest.mark.parametrize(
    "build",
    [
        lambda: Modified([("value", 1)]),
        lambda: Cancel(None),
        lambda: Redirect(None),
        lambda: Retry(delay_ms=-1),
        lambda: Retry(attempts=10**9),
        lambda: Retry(delay_ms=1.5),
        lambda: Fork(({"id": 1},)),
        lambda: Cache("k", float("nan")),
        lambda: Cache("k", float("inf")),
        lambda: Cache("k", True),
        lambda: Skipped(3),
    ],
)
def test_a_result_cannot_be_made_of_the_wrong_parts(build):
    with pytest.raises(InvalidInput):
        build()


def test_results_are_frozen():
    with pytest.raises(AttributeError):
        Cancel("x").reason = "y"
