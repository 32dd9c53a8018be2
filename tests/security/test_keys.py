"""Keys do not show themselves."""

import copy
import pickle
import traceback

import pytest

from llmspell.errors import InvalidInput
from llmspell.security.keys import DataKey, MasterKey

RAW = bytes(range(100, 132))


@pytest.mark.parametrize("key", [MasterKey(RAW), DataKey(RAW, b"i" * 16)])
def test_a_key_shows_its_name_only(key):
    for text in (repr(key), str(key), f"{key}", repr([key]), repr({"key": key})):
        assert RAW.hex() not in text
        assert repr(RAW)[2:20] not in text
    assert key.id.hex() in repr(key)


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_is_not_pickled_or_copied(way):
    with pytest.raises(TypeError):
        way(MasterKey(RAW))


def test_keys_are_equal_by_their_bytes():
    assert MasterKey(RAW) == MasterKey(RAW)
    assert len({MasterKey(RAW), MasterKey(RAW), MasterKey(bytes(32))}) == 2
    assert MasterKey(RAW) != DataKey(RAW, b"i" * 16)
    assert MasterKey(RAW).id == MasterKey(RAW).id != MasterKey(bytes(32)).id
    assert MasterKey(RAW).derive("a") != MasterKey(RAW).derive("b")


def test_new_keys_differ():
    assert len({MasterKey.generate() for _ in range(100)} | {DataKey.generate() for _ in range(100)}) == 200


@pytest.mark.parametrize("make", [lambda: MasterKey(RAW + b"x"), lambda: DataKey(RAW + b"x", b"i" * 16)])
def test_a_refused_key_is_in_no_frame_of_ours(make):
    with pytest.raises(InvalidInput) as refused:
        make()
    assert refused.value.code == "invalid-key"
    told = "".join(traceback.TracebackException.from_exception(refused.value, capture_locals=True).format())
    assert "defghij" not in told.replace("RAW", "")


@pytest.mark.parametrize("raw", ["x" * 32, None, 32, [1] * 32])
def test_what_is_no_bytes_is_no_key(raw):
    with pytest.raises(InvalidInput):
        MasterKey(raw)
