"""Fields of metadata: what is there is found at its path, and nothing else is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.model.fields import fields_of, have_fields, places, plain

TEXT = st.text(alphabet="ab.é", max_size=4)
SCALARS = st.one_of(TEXT, st.integers(-3, 3), st.sampled_from((0.5, 1.0, -2.0)), st.booleans(), st.none())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
METADATA = st.dictionaries(TEXT, VALUES, max_size=4)


def same(one, other):
    """Equal as JSON: numbers by their value, true and false are none."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return one == other


@given(VALUES, VALUES)
def test_two_values_are_written_alike_exactly_if_they_are_equal(one, other):
    assert (plain(one) == plain(other)) == same(one, other)


@given(METADATA)
def test_metadata_has_what_is_at_each_of_its_places(metadata):
    for path, value in places(metadata, 1000):
        assert have_fields(metadata, fields_of({path: value}))
        assert not have_fields({}, fields_of({path: value}))


@given(METADATA, TEXT, SCALARS)
def test_a_value_that_is_at_no_such_place_is_not_found(metadata, path, value):
    there = any(at == path and same(one, value) for at, one in places(metadata, 1000))
    assert have_fields(metadata, fields_of({path: value})) == there


@given(METADATA, st.integers(0, 8))
def test_longer_paths_than_asked_for_are_left_out(metadata, chars_max):
    wanted = [(path, plain(value)) for path, value in places(metadata, 1000) if len(path) <= chars_max]
    assert sorted((path, plain(value)) for path, value in places(metadata, chars_max)) == sorted(wanted)


def test_metadata_of_long_names_and_many_values_is_not_written_out_for_each():
    deep: dict[str, Any] = {"n" * 100: {f"{number}": number for number in range(10_000)}}
    for _ in range(100):
        deep = {"n" * 100: deep}
    assert sum(len(path) for path, _ in places(deep, 256)) == 100 + 201
    assert not have_fields(deep, fields_of({"n.n": 1}))


def test_more_fields_than_a_query_may_ask_for_are_refused():
    with pytest.raises(InvalidInput) as refused:
        fields_of({str(number): number for number in range(33)})
    assert refused.value.code == "invalid-metadata"
    assert fields_of(None) == ()
