"""Integers of any size are values, up to what Python writes as text."""

import pytest

import llmspell
from llmspell.model.values import decode_value, encode_value


@pytest.mark.parametrize("value", [2**53 + 1, 2**64, -(2**200), 10**4000])
def test_a_long_integer_comes_back_exactly(value):
    assert decode_value(encode_value([value])) == [value]


def test_an_integer_too_long_to_write_is_refused_by_name():
    with pytest.raises(llmspell.InvalidInput, match="integer that is too long") as caught:
        encode_value({"n": 10**5000})
    assert caught.value.code == "invalid-value"
