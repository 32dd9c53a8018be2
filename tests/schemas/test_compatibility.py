"""What is said about two versions: which changes, for whom they break, and which levels they keep."""

import pytest

from llmspell.errors import InvalidInput
from llmspell.model.values import encode_value
from llmspell.schemas.compatibility import compare
from llmspell.schemas.level import Level
from llmspell.schemas.risk import Risk
from llmspell.schemas.schema import Schema

BASE = {"name": "string"}
BOTH = ("backward", "forward")


def two(old, new, **given):
    return compare(Schema("s", "1.0.0", old, **given), Schema("s", "1.1.0", new, **given))


def found(old, new, **given):
    return [(one.path, one.what, one.breaking_for, one.risk) for one in two(old, new, **given).changes]


@pytest.mark.parametrize(("old", "new", "expected"), [
    (BASE, BASE, []),
    (BASE, BASE | {"age": {"type": "integer", "required": False}}, [("$.age", "field-added", (), Risk.LOW)]),
    (BASE, BASE | {"age": {"type": "integer", "default": 0}}, [("$.age", "field-added", (), Risk.LOW)]),
    (BASE, BASE | {"age": "integer"}, [("$.age", "field-added", ("backward",), Risk.HIGH)]),
    (BASE | {"age": "integer"}, BASE, [("$.age", "field-removed", ("forward",), Risk.CRITICAL)]),
    (BASE, {"name": {"type": "string", "required": False}},
     [("$.name", "required-changed", ("forward",), Risk.MEDIUM)]),
    (BASE, {"name": "integer"}, [("$.name", "type-changed", BOTH, Risk.HIGH)]),
    ({"a": "integer"}, {"a": "number"}, [("$.a", "type-changed", ("forward",), Risk.MEDIUM)]),
    ({"a": "string"}, {"a": {"type": "string", "nullable": True}},
     [("$.a", "nullable-changed", ("forward",), Risk.MEDIUM)]),
    ({"a": {"type": "integer", "max": 5}}, {"a": {"type": "integer", "max": 4}},
     [("$.a", "range-changed", ("backward",), Risk.HIGH)]),
    ({"a": {"type": "integer", "max": 5}}, {"a": {"type": "integer", "max": 5.5}},
     [("$.a", "range-changed", (), Risk.LOW)]),
    ({"a": {"type": "string", "length_max": 5}}, {"a": {"type": "string", "length_max": 9}},
     [("$.a", "length-changed", ("forward",), Risk.MEDIUM)]),
    ({"a": {"type": "string", "pattern": "[ab]{2}"}}, {"a": {"type": "string", "pattern": "[ab]+"}},
     [("$.a", "pattern-changed", ("forward",), Risk.MEDIUM)]),
    ({"a": {"type": "string", "pattern": "aa|ab|b[ab]"}}, {"a": {"type": "string", "pattern": "[ab]{2}"}},
     [("$.a", "pattern-changed", (), Risk.LOW)]),
    ({"a": {"type": "string", "pattern": "[a-z]{3}"}}, {"a": {"type": "string", "length_max": 3}},
     [("$.a", "length-changed", (), Risk.LOW), ("$.a", "pattern-changed", ("forward",), Risk.MEDIUM)]),
    ({"a": {"type": "any", "enum": ["x", "y"]}}, {"a": {"type": "any", "enum": ["x", "y", "z"]}},
     [("$.a", "enum-changed", ("forward",), Risk.MEDIUM)]),
    ({"a": {"type": "integer", "min": 1, "max": 3}}, {"a": {"type": "integer", "enum": [1, 2, 3]}},
     [("$.a", "enum-changed", (), Risk.LOW), ("$.a", "range-changed", (), Risk.LOW)]),
    ({"a": {"type": "list"}}, {"a": {"type": "list", "items": "string"}},
     [("$.a[]", "nullable-changed", ("backward",), Risk.HIGH), ("$.a[]", "type-changed", ("backward",), Risk.HIGH)]),
    ({"a": {"type": "object", "items": "integer"}}, {"a": {"type": "object", "items": "float"}},
     [("$.a.*", "type-changed", BOTH, Risk.HIGH)]),
    ({"a": {"type": "object", "items": "integer"}}, {"a": {"type": "object", "items": "integer", "fields": {"x": {
        "type": "string", "required": False}}}}, [("$.a.x", "field-added", BOTH, Risk.HIGH)]),
    ({"a": "any", "b": {"type": "any", "required": False}}, {"a": {"needs": ["b"]}, "b": {"required": False}},
     [("$.a", "needs-changed", ("backward",), Risk.HIGH)]),
    ({"a": "any", "b": "any"}, {"a": {"needs": ["b"]}, "b": "any"}, [("$.a", "needs-changed", (), Risk.LOW)]),
    ({"a": {"default": 1}}, {"a": {"default": 2}}, [("$.a", "default-changed", (), Risk.LOW)]),
    ({"a": "any"}, {"a": {"description": "other"}}, []),
])  # fmt: skip
def test_each_change_is_named_and_judged(old, new, expected):
    assert found(old, new) == expected


def test_what_an_added_field_means_depends_on_whether_older_readers_keep_what_they_do_not_know():
    added = BASE | {"age": {"type": "integer", "required": False}}
    assert found(BASE, added, unknown="refuse") == [("$.age", "field-added", ("forward",), Risk.MEDIUM)]
    closed = compare(Schema("s", "1.0.0", BASE), Schema("s", "1.1.0", BASE, unknown="refuse"))
    assert [(one.path, one.what, one.breaking_for) for one in closed.changes] == [
        ("$", "unknown-changed", ("backward",))
    ]


def test_every_breaking_change_has_an_explanation_that_names_the_versions_and_an_example():
    comparison = two({"a": {"type": "integer", "max": 5}}, {"a": {"type": "integer", "max": 4}})
    (change,) = comparison.changes
    assert change.explanation == "the range was up to 5 and is up to 4: 1.1.0 may refuse what 1.0.0 wrote"
    assert change.examples == {"backward": {"a": 5}}
    assert (comparison.bump, comparison.risk, comparison.values_checked > 50) == ("major", Risk.HIGH, True)
    encode_value(comparison.to_dict())


def test_a_validator_more_breaks_without_an_example_and_one_less_only_for_older_readers():
    with_one, without = {"a": {"type": "integer", "validators": ["even"]}}, {"a": "integer"}
    (more,) = two(without, with_one).changes
    assert (more.what, more.breaking_for, more.examples) == ("validators-changed", ("backward",), {})
    assert "no example" in more.explanation
    (less,) = two(with_one, without).changes
    assert less.breaking_for == ("forward",)


def test_generated_values_find_what_no_rule_tells(monkeypatch):
    monkeypatch.setattr("llmspell.schemas.compatibility.breaks", lambda *_: iter(()))
    comparison = two({"a": {"type": "integer", "max": 5}}, {"a": {"type": "integer", "max": 4}})
    (rule, seen) = sorted(comparison.changes, key=lambda one: one.what)
    assert (rule.what, rule.breaking_for) == ("range-changed", ())
    assert (seen.what, seen.breaking_for, seen.examples["backward"]["a"]) == ("value-refused", ("backward",), 5)
    assert not comparison.backward


def test_generated_values_are_judged_by_validators_that_are_given():
    schemas = (
        Schema("s", "1.0.0", {"a": "integer"}),
        Schema("s", "1.1.0", {"a": {"type": "number", "validators": ["v"]}}),
    )
    seen = []
    compare(*schemas, validators={"v": lambda value: not seen.append(value)})
    assert len(seen) > 50


@pytest.mark.parametrize(("level", "backward", "forward", "fits"), [
    ("none", False, False, True), ("backward", True, False, True), ("backward", False, True, False),
    ("forward", False, True, True), ("forward", True, False, False), ("full", True, True, True),
    ("full", True, False, False), ("full", False, True, False), ("FULL_TRANSITIVE", True, False, False),
    ("backward_transitive", True, False, True), ("forward_transitive", True, False, False),
])  # fmt: skip
def test_a_level_is_kept_when_its_directions_are(level, backward, forward, fits):
    kinds = {(True, True): ("integer", "integer"), (True, False): ("integer", "number"),
             (False, True): ("number", "integer"), (False, False): ("integer", "string")}  # fmt: skip
    old, new = kinds[backward, forward]
    comparison = two({"a": old}, {"a": new})
    assert (comparison.backward, comparison.forward) == (backward, forward)
    assert comparison.fits(level) is fits
    assert bool(comparison.against(level)) is not fits


def test_a_level_has_one_name():
    assert Level.parse("Full_Transitive").transitive
    for wrong in ("sideways", None, 3, ""):
        with pytest.raises(InvalidInput) as refused:
            Level.parse(wrong)
        assert refused.value.code == "invalid-schema"
