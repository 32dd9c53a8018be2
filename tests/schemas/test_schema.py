"""Schemas: what is sound, what is refused, and that they survive being written down."""

import pytest
from hypothesis import given

from llmspell.errors import InvalidInput, LimitExceeded, LlmspellError
from llmspell.model.values import decode_value, encode_value
from llmspell.schemas.field import Field, field_of
from llmspell.schemas.level import Level
from llmspell.schemas.schema import Schema
from tests.schemas.strategies import fields

FULL = Schema(
    "conversation", "2.1.0",
    {
        "title": {"type": "string", "length_max": 80, "description": "shown in lists"},
        "messages": {"type": "list", "items": {"type": "object", "fields": {"role": str, "text": "string"}}},
        "score": Field("number", min=0, max=1, default=0.5, nullable=True),
        "kind": Field("any", enum=["a", 1, None], required=False, needs=["title"]),
    },
    dependencies={"person": "^1.0.0", "place": "*"}, compatibility="full_transitive", unknown="refuse",
    validators=["coherent"], description="what was said",
)  # fmt: skip


@given(fields())
def test_a_field_survives_json(field):
    again = field_of(decode_value(encode_value(field.to_dict())))
    assert again == field
    assert again.to_dict() == field.to_dict()


def test_a_schema_survives_json_with_everything_it_was_given():
    again = Schema.from_dict(decode_value(encode_value(FULL.to_dict())))
    assert again == FULL
    assert again.to_dict() == FULL.to_dict()
    assert (again.name, str(again.version), again.compatibility) == ("conversation", "2.1.0", Level.FULL_TRANSITIVE)
    assert again.fields["title"].description == "shown in lists"
    assert again.validator_names() == {"coherent"}
    assert again.dependencies["person"].text == "^1.0.0"


def test_the_hash_is_of_the_content_and_not_of_its_order():
    one = Schema("s", "1.0.0", {"a": int, "b": str})
    assert one.hash == Schema("s", "1.0.0", {"b": "string", "a": {"type": "integer"}}).hash
    others = [
        Schema("t", "1.0.0", {"a": int, "b": str}), Schema("s", "1.0.1", {"a": int, "b": str}),
        Schema("s", "1.0.0", {"a": float, "b": str}), Schema("s", "1.0.0", {"a": int, "b": Field(str, default="")}),
        Schema("s", "1.0.0", {"a": int, "b": str}, unknown="refuse"),
        Schema("s", "1.0.0", {"a": int, "b": str}, compatibility="none"),
        Schema("s", "1.0.0", {"a": int, "b": str}, dependencies=["x"]),
        Schema("s", "1.0.0", {"a": int, "b": str}, description="x"),
    ]  # fmt: skip
    assert len({one.hash, *(other.hash for other in others)}) == 9


def test_the_hash_is_the_same_on_every_machine_and_in_every_release():
    assert FULL.hash == "5a54f9a40e146c0111fb46bb5c60c1deb03af09b1abbb6cb3e0c95fddb877660"


def test_fields_may_be_listed_and_named_by_python_types():
    listed = Schema("s", "1.0.0", [{"name": "a", "type": "int"}, {"name": "b", "type": "array", "required": False}])
    assert listed == Schema("s", "1.0.0", {"a": int, "b": Field(list, required=False)})


def test_a_field_is_required_unless_it_has_a_default_or_says_otherwise():
    assert Field("integer").required
    assert not Field("integer", default=1).required
    assert not Field("integer", required=False).required
    assert Field("integer", default=1, required=True).required


def test_a_value_need_not_be_an_object():
    schema = Schema("counter", "1.0.0", value=Field("integer", min=0))
    assert schema.check(3) == []
    assert [one.code for one in schema.check(-1)] == ["range"]
    assert schema.with_defaults(3) == 3


def test_read_fills_in_and_judges_the_result():
    value, wrong = Schema("s", "1.0.0", {"a": Field(int, default=1), "b": str}).read({})
    assert value == {"a": 1}
    assert [(one.path, one.code) for one in wrong] == [("$.b", "missing")]


@pytest.mark.parametrize("field", [
    {"type": "strng"}, {"type": None}, {"type": 3}, {"type": ["string"]}, {"type": set}, {"kind": "string"}, 3, [],
    {"type": "string", "min": 1}, {"type": "integer", "pattern": "a"}, {"type": "integer", "length_max": 3},
    {"type": "any", "items": "any"}, {"type": "list", "fields": {}}, {"type": "list", "unknown": "refuse"},
    {"type": "object", "items": "any", "unknown": "refuse"}, {"type": "object", "unknown": "drop"},
    {"type": "object", "fields": {"a": "any"}, "length_max": 3},
    {"type": "object", "unknown": "refuse", "length_min": 1},
    {"type": "string", "length_min": -1}, {"type": "string", "length_min": 1.0}, {"type": "string", "length_min": True},
    {"type": "string", "length_min": 3, "length_max": 2}, {"type": "integer", "min": 2, "max": 1},
    {"type": "integer", "min": 0.2, "max": 0.8}, {"type": "float", "min": "1"}, {"type": "float", "min": float("nan")},
    {"type": "float", "max": float("inf")}, {"type": "integer", "min": True}, {"type": "integer", "max": 10**400},
    {"type": "float", "min": 2**53 + 1, "max": 2**53 + 1},
    {"type": "string", "pattern": "[a-z]{3}", "length_max": 2}, {"type": "string", "pattern": "(aa)*", "length_min": 3,
     "length_max": 3}, {"type": "string", "pattern": "("}, {"type": "string", "pattern": "a", "length_max": 0},
    {"type": "string", "enum": []}, {"type": "string", "enum": "ab"}, {"type": "string", "enum": [1]},
    {"type": "integer", "enum": [1, 1]}, {"type": "integer", "enum": [5], "max": 4}, {"type": "any", "enum": [{1}]},
    {"type": "integer", "default": "1"}, {"type": "integer", "default": None}, {"type": "any", "default": object()},
    {"type": "string", "pattern": "a", "default": "b"}, {"type": "any", "default": float("nan")},
    {"type": "integer", "required": 1}, {"type": "integer", "required": None}, {"type": "integer", "nullable": "yes"},
    {"type": "integer", "validators": "even"}, {"type": "integer", "validators": [1]},
    {"type": "integer", "validators": ["a", "a"]}, {"type": "integer", "description": 3},
    {"type": "object", "fields": {"": "any"}}, {"type": "object", "fields": {"a\n": "any"}},
    {"type": "object", "fields": {3: "any"}}, {"type": "object", "fields": 3}, {"type": "object", "fields": ["a"]},
    {"type": "object", "fields": [{"name": "a"}, {"name": "a"}]}, {"type": "object", "fields": [{"type": "any"}]},
    {"type": "object", "fields": {"a": {"needs": ["b"]}}}, {"type": "object", "fields": {"a": {"needs": ["a"]}}},
    {"type": "object", "fields": {"a": {"default": 1, "needs": ["b"]}, "b": {"required": False}}},
])  # fmt: skip
def test_an_unsound_field_is_refused_with_its_path(field):
    with pytest.raises(InvalidInput) as refused:
        Schema("s", "1.0.0", {"outer": {"type": "list", "items": field}})
    assert refused.value.code in {"invalid-schema", "invalid-pattern"}
    assert "$.outer[]" in refused.value.message
    assert len(refused.value.message) < 600


@pytest.mark.parametrize("given", [
    {"name": ""}, {"name": "a b"}, {"name": "x" * 129}, {"name": 3}, {"version": "1"}, {"version": None},
    {"fields": None}, {"value": "any"}, {"fields": 3}, {"dependencies": "person"}, {"dependencies": ["s"]},
    {"dependencies": {"p": "1"}}, {"dependencies": {"p": None}}, {"dependencies": [3]}, {"dependencies": {"a b": "*"}},
    {"compatibility": "sideways"}, {"compatibility": None}, {"unknown": None}, {"unknown": "drop"}, {"validators": "x"},
    {"description": None}, {"extra": 1}, {"dependencies": [f"d{at}" for at in range(101)]},
    {"fields": None, "value": {"type": "integer", "default": 1}}, {"fields": None, "value": "any", "unknown": "refuse"},
    {"fields": None, "value": {"type": "integer", "required": False}}, {"fields": None, "value": {"needs": ["a"]}},
])  # fmt: skip
def test_an_unsound_schema_is_refused(given):
    whole = {"name": "s", "version": "1.0.0", "fields": {"a": "integer"}} | given
    with pytest.raises(InvalidInput) as refused:
        Schema.from_dict(whole)
    assert refused.value.code in {"invalid-schema", "invalid-version"}


@pytest.mark.parametrize("given", [None, 3, [], {}, {"name": "s"}, {"version": "1.0.0"}])
def test_what_is_no_schema_is_refused(given):
    with pytest.raises(InvalidInput) as refused:
        Schema.from_dict(given)
    assert refused.value.code == "invalid-schema"


def deep(levels):
    spec: dict = {"type": "any"}
    for _ in range(levels):
        spec = {"type": "list", "items": spec}
    return spec


def test_what_is_too_large_is_refused():
    many = {f"f{at}": "any" for at in range(1_001)}
    for value in ({"type": "object", "fields": many}, deep(33)):
        with pytest.raises(InvalidInput, match="at most"):
            Schema("s", "1.0.0", value=value)
    with pytest.raises(LimitExceeded) as refused:
        Schema("s", "1.0.0", {f"f{at}": {"type": "any", "description": "x" * 3_000} for at in range(100)})
    assert refused.value.code == "schema-too-large"


def test_a_schema_whose_smallest_value_is_huge_is_refused():
    vast = {"type": "list", "length_min": 1_000, "items": {"type": "list", "length_min": 1_000, "items": "integer"}}
    with pytest.raises(InvalidInput, match="smallest value"):
        Schema("s", "1.0.0", value=vast)
    for field in ({"type": "string", "length_min": 10**9}, {"type": "object", "items": "any", "length_min": 10**12}):
        with pytest.raises(InvalidInput):
            Schema("s", "1.0.0", value=field)


def test_a_schema_nested_without_end_is_refused():
    spec = {"type": "list"}
    spec["items"] = spec
    with pytest.raises(LlmspellError):
        Schema("s", "1.0.0", value=spec)


def test_a_schema_cannot_be_changed():
    with pytest.raises(AttributeError):
        FULL.name = "other"
    with pytest.raises(AttributeError):
        FULL.value.type = "any"


def test_what_a_schema_was_given_and_what_it_gives_are_not_its_own():
    listed, tags = [{"a": []}], ["x"]
    one = Schema("s", "1.0.0", {"kind": {"type": "object", "enum": listed}, "tags": {"type": "list", "default": tags}})
    said = encode_value(one.to_dict())
    listed[0]["a"].append("changed")
    tags.append("changed")
    shown = one.to_dict()["value"]["fields"]
    shown["kind"]["enum"][0]["a"].append("changed")
    shown["tags"]["default"].append("changed")
    for example in one.examples(count=10):
        example["kind"]["a"].append("changed")
    assert encode_value(one.to_dict()) == said
    assert one.check({"kind": {"a": []}}) == []
