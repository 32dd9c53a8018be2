"""Sealed records: read back in their place only, refused with a code whatever was done to them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import Corrupt, LimitExceeded, WrongKey
from llmspell.security import sealing
from llmspell.security.keys import DataKey
from llmspell.security.padding import pad, padded_size, unpad
from llmspell.security.sealing import OVERHEAD_BYTES, key_id_of, place, seal, unseal

KEY = DataKey(b"k" * 32, b"i" * 16)
STORE, RECORD = b"s" * 16, b"r" * 16
PLACE = place(STORE, "state.set", "agent:a", "token", RECORD)
GOLDEN = (
    "0100696969696969696969696969696969696feff02e14247cab2cbd3ec6471a91c2cee2bd63d0b37fe94c2596a389384c86"
    "feb07518470134028be39b576db99cd8be9579eef9bdcdde4d"
)
CODES = {"sealed-cut", "sealed-version", "sealed-mismatch", "wrong-data-key"}

texts, ids = st.text(max_size=20), st.binary(max_size=20)
places = st.tuples(ids, texts, texts, texts, ids)


@given(st.binary(max_size=5000), places, st.booleans())
def test_what_was_sealed_is_unsealed_in_its_place(text, where, padded):
    sealed = seal(KEY, text, place(*where), padded=padded)
    assert unseal(KEY, sealed, place(*where)) == text
    assert key_id_of(sealed) == KEY.id


@given(places, places)
def test_two_places_are_equal_only_if_all_their_parts_are(one, other):
    assert (place(*one) == place(*other)) == (one == other)


@pytest.mark.parametrize("part", range(5))
def test_a_record_is_refused_in_a_place_that_differs_in_one_part(part):
    parts = [STORE, "state.set", "agent:a", "token", RECORD]
    parts[part] += parts[part][:1]
    with pytest.raises(Corrupt) as refused:
        unseal(KEY, seal(KEY, b"text", PLACE), place(*parts))
    assert refused.value.code == "sealed-mismatch"


def test_a_character_moved_from_the_scope_to_the_key_is_another_place():
    with pytest.raises(Corrupt):
        unseal(KEY, seal(KEY, b"text", place(STORE, "k", "ab", "c", RECORD)), place(STORE, "k", "a", "bc", RECORD))


@pytest.mark.parametrize("padded", [False, True])
def test_a_change_of_any_bit_is_refused(padded):
    sealed = seal(KEY, b"a secret", PLACE, padded=padded)
    for at in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises((Corrupt, WrongKey)) as refused:
            unseal(KEY, bytes(changed), PLACE)
        assert refused.value.code in CODES


@pytest.mark.parametrize("padded", [False, True])
def test_a_record_cut_or_lengthened_anywhere_is_refused(padded):
    sealed = seal(KEY, b"a secret", PLACE, padded=padded)
    for end in range(len(sealed)):
        with pytest.raises(Corrupt) as refused:
            unseal(KEY, sealed[:end], PLACE)
        assert refused.value.code == ("sealed-cut" if end < OVERHEAD_BYTES else "sealed-mismatch")
    with pytest.raises(Corrupt):
        unseal(KEY, sealed + b"\0", PLACE)


def test_another_key_is_told_from_damage_by_its_code():
    with pytest.raises(WrongKey) as refused:
        unseal(DataKey(b"k" * 32, b"o" * 16), seal(KEY, b"text", PLACE), PLACE)
    assert refused.value.code == "wrong-data-key"
    with pytest.raises(Corrupt):  # The right name on the wrong bytes.
        unseal(DataKey(b"o" * 32, b"i" * 16), seal(KEY, b"text", PLACE), PLACE)


def test_a_newer_version_is_named_as_such():
    with pytest.raises(Corrupt) as refused:
        unseal(KEY, b"\2" + seal(KEY, b"text", PLACE)[1:], PLACE)
    assert refused.value.code == "sealed-version"


def test_equal_texts_are_sealed_to_different_bytes_of_the_promised_length():
    sealed = {seal(KEY, b"text", PLACE) for _ in range(1000)}
    assert len({one[18:42] for one in sealed}) == 1000  # nonces
    assert {len(one) for one in sealed} == {len(b"text") + OVERHEAD_BYTES}


def test_the_text_stands_nowhere_in_the_sealed_record():
    assert b"secret" not in seal(KEY, b"secret" * 100, PLACE)


def test_a_record_of_the_first_version_is_readable_for_ever():
    golden = bytes.fromhex(GOLDEN)
    assert unseal(KEY, golden, PLACE) == b"the first version"


def test_a_text_too_long_to_seal_is_refused(monkeypatch):
    monkeypatch.setattr(sealing, "SEALED_TEXT_BYTES_MAX", 3)
    assert unseal(KEY, seal(KEY, b"tex", PLACE), PLACE) == b"tex"
    with pytest.raises(LimitExceeded) as refused:
        seal(KEY, b"text", PLACE)
    assert refused.value.code == "text-too-long"


@given(st.integers(0, 1 << 40))
def test_a_size_class_holds_its_sizes_costs_an_eighth_at_most_and_is_its_own(size):
    padded = padded_size(size)
    assert size <= padded <= max(64, size * 1.12)
    assert padded_size(padded) == padded


def test_padding_leaves_few_lengths():
    assert {len(pad(bytes(size))) for size in range(65)} == {64, 72}
    assert len({padded_size(size) for size in range(1 << 20)}) < 300


@given(st.binary(max_size=300), st.integers(0, 5))
def test_padding_comes_off_whatever_the_text_ends_with(text, zeros):
    assert unpad(pad(text + bytes(zeros))) == text + bytes(zeros)
    assert unpad(pad(text) + b"\0") is None


def test_padded_records_of_one_class_have_one_length():
    lengths = {len(seal(KEY, b"x" * size, PLACE, padded=True)) for size in (0, 1, 40, 63)}
    assert lengths == {64 + OVERHEAD_BYTES}


def test_the_module_states_its_overhead():
    assert re.search(rf"\({OVERHEAD_BYTES} bytes less", sealing.__doc__)
