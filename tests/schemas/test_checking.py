"""Judging values: what is accepted, what is said about the rest, and what defaults do."""

import pytest
from hypothesis import given

from llmspell.errors import InvalidInput, NotFound
from llmspell.schemas.checking import PROBLEMS_MAX, completed, copied, identity, problems
from llmspell.schemas.field import Field
from llmspell.schemas.generate import examples
from tests.schemas.strategies import fields, json_values

PERSON = Field(
    "object",
    fields={
        "name": Field("string", length_min=1, length_max=5),
        "age": Field("integer", min=0, max=150, required=False),
        "mail": Field("string", pattern=r"[^@]+@[^@]+", required=False),
        "role": Field("string", enum=["admin", "user"], default="user"),
        "tags": Field("list", items="string", length_max=2, default=[]),
        "home": {
            "type": "object",
            "fields": {"city": str, "zip": {"type": "string", "required": False}},
            "required": False,
        },
        "phone": Field("string", required=False, nullable=True, needs=["home"]),
    },
)


def codes(field, value, **given):
    return [(one.path, one.code) for one in problems(field, value, **given)]


@pytest.mark.parametrize(("value", "expected"), [
    ({"name": "ann", "role": "user", "tags": []}, []),
    ({"name": "ann", "role": "user", "tags": [], "else": object}, []),
    ({}, [("$.name", "missing")]),
    ({"name": ""}, [("$.name", "length")]),
    ({"name": "annann"}, [("$.name", "length")]),
    ({"name": None}, [("$.name", "null")]),
    ({"name": 3}, [("$.name", "type")]),
    ({"name": "ann", "age": True}, [("$.age", "type")]),
    ({"name": "ann", "age": 1.0}, [("$.age", "type")]),
    ({"name": "ann", "age": -1}, [("$.age", "range")]),
    ({"name": "ann", "age": 151}, [("$.age", "range")]),
    ({"name": "ann", "mail": "x"}, [("$.mail", "pattern")]),
    ({"name": "ann", "role": "root"}, [("$.role", "enum")]),
    ({"name": "ann", "tags": ["a", 1, None]}, [("$.tags", "length"), ("$.tags[1]", "type"), ("$.tags[2]", "null")]),
    ({"name": "ann", "home": {}}, [("$.home.city", "missing")]),
    ({"name": "ann", "phone": "1"}, [("$.phone", "needs")]),
    ({"name": "ann", "phone": None, "home": {"city": "x"}}, []),
    (None, [("$", "null")]),
    ([], [("$", "type")]),
    (("a",), [("$", "type")]),
])  # fmt: skip
def test_each_rule_has_its_code_and_place(value, expected):
    assert codes(PERSON, value) == expected


@pytest.mark.parametrize(("type", "good", "bad"), [
    ("any", [None, 1, "a", [], {}, True, 0.5], []),
    ("boolean", [True, False], [0, 1, "true", None]),
    ("integer", [0, -1, 2**70], [0.0, True, "1"]),
    ("float", [0.0, -1.5], [0, 1, float("nan"), float("inf")]),
    ("number", [0, 0.5], [True, "1", float("nan")]),
    ("string", ["", "a"], [b"", 1]),
    ("list", [[], [1]], [(), {}, set()]),
    ("object", [{}, {"a": 1}], [[], None]),
])  # fmt: skip
def test_types_are_exact(type, good, bad):
    assert all(not codes(Field(type), value) for value in good)
    assert all(codes(Field(type), value) for value in bad)


def test_values_of_an_enum_are_told_apart_as_json_does():
    field = Field("any", enum=[1, "1", [1], {"b": 1, "a": 2}])
    assert not any(codes(field, value) for value in (1, "1", [1], {"a": 2, "b": 1}))
    assert all(codes(field, value) for value in (1.0, True, [1.0], [True], {"a": 2}, None, {1}, float("nan")))
    assert identity(0.0) != identity(-0.0)


def test_a_map_judges_every_member_and_a_closed_object_refuses_what_it_does_not_name():
    assert codes(Field("object", items="integer"), {"a": 1, "b": "x"}) == [("$.b", "type")]
    assert codes(Field("object", fields={"a": int}, items=str), {"a": 1, "b": 2}) == [("$.b", "type")]
    assert codes(Field("object", fields={"a": int}, unknown="refuse"), {"a": 1, "b": 2}) == [("$.b", "unknown")]
    assert codes(Field("object", length_min=1, length_max=1), {}) == [("$", "length")]


def test_no_message_shows_what_a_value_holds():
    secret = "hunter2-hunter2"
    kinds: list[dict[str, object]] = [{"length_max": 1}, {"pattern": "x"}, {"enum": ["x"]}, {"validators": ["v"]}]
    texts: dict[str, object] = {name: {"type": "string", **kind} for name, kind in zip("bcdf", kinds, strict=True)}
    field = Field("object", fields={**texts, "a": int, "e": {"type": "integer", "max": 1}, "g": bool})
    value = {"a": secret, "b": secret, "c": secret, "d": secret, "e": 987654, "f": secret, "g": [secret]}

    def refuse(value):
        raise ValueError(value)

    found = problems(field, value, {"v": refuse})
    assert len(found) == 7
    assert not any(secret in str(one) or "987654" in str(one) for one in found)


def test_problems_are_counted_up_to_a_bound():
    assert len(problems(Field("list", items=int), ["x"] * 100_000)) == PROBLEMS_MAX


def test_a_validator_accepts_refuses_and_says_why():
    even = Field("integer", validators=["even"])
    assert codes(even, 2, validators={"even": lambda n: n % 2 == 0}) == []
    assert codes(even, 2, validators={"even": lambda _: None}) == []
    assert codes(even, 3, validators={"even": lambda n: n % 2 == 0}) == [("$", "validator")]
    assert "is odd" in problems(even, 3, {"even": lambda _: "is odd"})[0].message
    assert codes(even, 3, validators={"even": lambda _: 1 // 0}) == [("$", "validator")]
    assert codes(even, 3, ask=False) == []


def test_a_validator_that_is_not_there_or_answers_something_else_is_an_error():
    field = Field("object", fields={"a": Field("integer", validators=["even"])})
    with pytest.raises(NotFound) as missing:
        problems(field, {"a": 1})
    assert missing.value.code == "unknown-validator"
    with pytest.raises(InvalidInput) as strange:
        problems(field, {"a": 1}, {"even": lambda _: 0})
    assert strange.value.code == "invalid-answer"


def test_a_validator_cannot_change_the_value():
    value = {"a": [1]}
    problems(Field("object", validators=["v"]), value, {"v": lambda given: given["a"].clear()})
    assert value == {"a": [1]}


def test_defaults_fill_what_is_missing_at_any_depth():
    field = Field("object", fields={
        "a": Field("integer", default=1),
        "list": Field("list", items={"type": "object", "fields": {"b": {"type": "string", "default": "x"}}}),
        "map": Field("object", items={"type": "object", "fields": {"c": {"type": "any", "default": None}}}),
        "made": Field("object", fields={"d": Field("list", default=[0])}, default={}),
    })  # fmt: skip
    value = {"list": [{}, {"b": "y"}], "map": {"k": {}}, "else": {}}
    before = copied(value)
    assert completed(field, value) == {
        "list": [{"b": "x"}, {"b": "y"}], "map": {"k": {"c": None}}, "else": {}, "a": 1, "made": {"d": [0]},
    }  # fmt: skip
    assert value == before


def test_two_values_never_share_a_default():
    field = Field("object", fields={"tags": Field("list", default=[])})
    first = completed(field, {})
    first["tags"].append("mine")
    assert completed(field, {}) == {"tags": []}


def test_null_is_no_missing_value():
    field = Field("object", fields={"a": Field("integer", default=1, nullable=True)})
    assert completed(field, {"a": None}) == {"a": None}


@given(fields(), json_values)
def test_filling_in_never_changes_what_it_is_given_and_twice_is_once(field, value):
    before = copied(value)
    once = completed(field, value)
    assert identity(value) == identity(before)
    assert identity(completed(field, once)) == identity(once)


@given(fields())
def test_every_example_is_accepted_and_the_same_seed_gives_the_same(field):
    made = list(examples(field, count=60, seed=7))
    assert made
    assert all(problems(field, value) == [] for value in made)
    assert list(map(identity, made)) == list(map(identity, examples(field, count=60, seed=7)))
