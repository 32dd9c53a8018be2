"""JSON values: what is accepted comes back exactly, and what is not is refused with the path of the offending part."""

import datetime as dt
import decimal
import enum
import json
import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model import limits
from llmspell.model.values import decode_value, encode_value

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**200), max_value=2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


def same(left, right):
    """Equal in type, sign and order, unlike ``==``."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return left == right


@given(VALUES)
def test_any_json_value_comes_back_exactly(value):
    encoded = encode_value(value)
    assert same(decode_value(encoded), value)
    assert same(json.loads(encoded), value), "and any other reader of JSON sees the same"
    assert encode_value(decode_value(encoded)) == encoded


@pytest.mark.parametrize("value", [
    2**53 + 1, 2**63, 2**64, -(2**64) - 1, 10**300, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 1e16, "",
    "\0", "\x7f", "\u2028", "\U0010ffff", '"\\', [], {}, [[]], {"": {}}, True, [True, 1, 1.0],
])  # fmt: skip
def test_an_edge_comes_back_exactly(value):
    assert same(decode_value(encode_value(value)), value)


def nested(depth, inner=None):
    value = inner
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


def test_depth_is_allowed_up_to_its_limit_and_refused_beyond_it():
    deepest = nested(limits.VALUE_DEPTH_MAX)
    assert same(decode_value(encode_value(deepest)), deepest)
    with pytest.raises(InvalidInput) as refused:
        encode_value([deepest])
    assert refused.value.code == "value-depth"
    with pytest.raises(InvalidInput) as refused:
        encode_value(nested(100_000))
    assert refused.value.code == "value-depth"


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Kind(enum.IntEnum):
    ONE = 1


class Table(dict):
    pass


REFUSED = {
    "nan": (float("nan"), "NaN"),
    "infinity": (float("inf"), "inf"),
    "minus infinity": (-float("inf"), "inf"),
    "tuple": ((1, 2), "tuple"),
    "set": ({1}, "set"),
    "frozenset": (frozenset(), "frozenset"),
    "bytes": (b"x", "bytes"),
    "bytearray": (bytearray(b"x"), "bytearray"),
    "complex": (1j, "complex"),
    "decimal": (decimal.Decimal(1), "Decimal"),
    "date": (dt.date(2026, 1, 1), "date"),
    "datetime": (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "datetime"),
    "uuid": (uuid.UUID(int=1), "UUID"),
    "enum": (Kind.ONE, "Kind"),
    "str subclass": (Text("x"), "Text"),
    "int subclass": (Number(1), "Number"),
    "dict subclass": (Table(), "Table"),
    "function": (len, "builtin"),
    "object": (object(), "object"),
    "generator": ((n for n in ()), "generator"),
    "surrogate": ("a\ud800b", "surrogate"),
}


@pytest.mark.parametrize("place,path", [
    (lambda bad: bad, "$"), (lambda bad: [0, bad], "$[1]"),
    (lambda bad: {"user": {"tags": [1, 2, 3, bad]}}, "$.user.tags[3]"),
])  # fmt: skip
@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_is_no_json_value_is_refused_and_its_path_is_named(case, place, path):
    bad, named = REFUSED[case]
    with pytest.raises(InvalidInput) as refused:
        encode_value(place(bad))
    assert refused.value.code == "invalid-value"
    assert refused.value.details["path"] == path
    assert path in refused.value.message
    assert named in refused.value.message


@pytest.mark.parametrize("key", [1, None, True, 1.5, (1,), Text("x"), b"x"])
def test_a_key_that_is_no_str_is_refused_with_the_path_of_its_dict(key):
    with pytest.raises(InvalidInput) as refused:
        encode_value({"deep": [{key: 1}]})
    assert (refused.value.code, refused.value.details["path"]) == ("invalid-value", "$.deep[0]")


def test_a_key_with_a_lone_surrogate_is_refused():
    with pytest.raises(InvalidInput) as refused:
        encode_value({"a": {"\udfff": 1}})
    assert refused.value.details["path"] == "$.a"


def test_a_real_cycle_is_refused_with_both_of_its_places():
    inner = []
    value = {"a": [{"b": inner}]}
    inner.append(value["a"])
    with pytest.raises(InvalidInput) as refused:
        encode_value(value)
    assert refused.value.code == "value-cycle"
    assert refused.value.details["path"] == "$.a[0].b[0]"
    assert "$.a" in refused.value.message
    own = {}
    own["self"] = own
    with pytest.raises(InvalidInput) as refused:
        encode_value(own)
    assert (refused.value.code, refused.value.details["path"]) == ("value-cycle", "$.self")


def test_equal_shapes_and_shared_parts_are_no_cycles():
    shared = {"x": [1, {"y": []}]}
    value = {"a": shared, "b": shared, "c": [shared, shared], "d": {"x": [1, {"y": []}]}}
    assert same(decode_value(encode_value(value)), value)
    assert same(decode_value(encode_value(nested(50, nested(50)))), nested(100))


def test_a_value_over_its_limit_is_refused_with_both_sizes():
    with pytest.raises(LimitExceeded) as refused:
        encode_value("x" * 100, bytes_max=101)
    assert refused.value.code == "value-too-large"
    assert refused.value.details == {"size": 102, "limit": 101}
    assert encode_value("x" * 99, bytes_max=101)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_limit_counts_bytes_of_the_encoded_text(text):
    size = len(encode_value(text))
    assert encode_value(text, bytes_max=size)
    with pytest.raises(LimitExceeded):
        encode_value(text, bytes_max=size - 1)


def shared(levels):
    """A value of few objects that would be written out 2**levels times."""
    value: list[object] = [1]
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize("value", [
    shared(100), {"a": shared(100)}, [shared(100), float("nan")], {"a": shared(90), "b": {7: 1}},
], ids=["list", "dict", "before-nan", "before-int-key"])  # fmt: skip
def test_a_value_that_would_never_end_being_written_is_too_large(value):
    with pytest.raises(LimitExceeded) as refused:
        encode_value(value)
    assert refused.value.code == "value-too-large"


def test_the_same_part_in_several_places_is_written_out_in_each():
    part = {"a": [1]}
    assert encode_value([part, part, {"again": part}]) == b'[{"a":[1]},{"a":[1]},{"again":{"a":[1]}}]'


@given(VALUES)
def test_a_value_that_fits_is_never_refused_for_its_number_of_parts(value):
    size = len(encode_value(value))
    assert encode_value(value, bytes_max=size)


def test_a_key_that_cannot_even_be_shown_is_refused_by_name():
    with pytest.raises(InvalidInput) as refused:
        encode_value({"a": {10**5000: 1}})
    assert refused.value.code == "invalid-value"
    assert refused.value.details["path"] == "$.a"
