"""Compression: it is used where it pays, comes back exactly, and damaged input gets neither trust nor memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell.artifacts.compression import AUTO_BYTES_MIN, Codec, Compressor, check_compression, expand
from llmspell.errors import Corrupt, InvalidInput

TEXT = b"An agent wrote this line, and then it wrote the next one. " * 500
NAMED = ("zstd", "lz4", "gzip")
GOLDEN = b"llmspell golden " * 8
GOLDEN_STORED = {
    "RAW": GOLDEN.hex(),
    "ZSTD": "28b52ffd2080bd0000806c6c6d7370656c6c20676f6c64656e200100daa47309",
    "LZ4": "ff016c6c6d7370656c6c20676f6c64656e20100058506c64656e20",
    "GZIP": "1f8b0800000000000003cbc9c92d2e48cdc95148cfcf4949cd53c8a1331f00c58d0ffa80000000",
}


def within(choice, data, limit=16384):
    fitting = Compressor(choice).compress_within(data, limit)
    assert fitting is not None
    return fitting


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=3000), repeat=st.integers(1, 8), choice=st.sampled_from(["auto", "none", *NAMED]))
def test_what_is_compressed_comes_back(data, repeat, choice):
    content = data * repeat
    codec, stored = Compressor(choice).compress(content)
    assert expand(codec, bytes(stored), len(content)) == content
    assert len(stored) <= len(content)


@pytest.mark.parametrize("choice", NAMED)
def test_a_named_codec_is_the_one_used(choice):
    codec, stored = Compressor(choice).compress(TEXT)
    assert codec is Codec[choice.upper()]
    assert len(stored) < len(TEXT) // 4


@pytest.mark.parametrize("choice", ["auto", *NAMED])
def test_random_bytes_stay_raw(choice):
    data = noise(100_000)
    assert Compressor(choice).compress(data) == (Codec.RAW, data)


def test_none_leaves_everything_raw():
    assert Compressor("none").compress(TEXT) == (Codec.RAW, TEXT)


def test_auto_wants_a_quarter_saved_and_a_named_codec_anything():
    # Half of it random: about half is saved. A tenth compressible: less than a quarter.
    mostly_random = noise(90_000) + bytes(10_000)
    assert Compressor("auto").compress_promising(mostly_random)[0] is Codec.RAW
    assert Compressor("zstd").compress(mostly_random)[0] is Codec.ZSTD
    assert Compressor("auto").compress_promising(noise(50_000) + bytes(50_000))[0] is Codec.ZSTD


def test_auto_leaves_whole_contents_below_its_threshold_alone():
    just_below, just_enough = TEXT[: AUTO_BYTES_MIN - 1], TEXT[:AUTO_BYTES_MIN]
    assert within("auto", just_below) == (Codec.RAW, just_below)
    assert within("auto", just_enough)[0] is Codec.ZSTD
    assert within("zstd", just_below)[0] is Codec.ZSTD


@pytest.mark.parametrize("choice", ["auto", "none", *NAMED])
def test_within_gives_none_when_it_does_not_fit(choice):
    assert Compressor(choice).compress_within(noise(16385), 16384) is None
    assert within(choice, noise(16384))[0] is Codec.RAW


@pytest.mark.parametrize("choice", ["auto", *NAMED])
def test_within_takes_long_content_that_compresses_well(choice):
    data = bytes(1 << 20)
    codec, stored = within(choice, data)
    assert len(stored) <= 16384
    assert expand(codec, stored, len(data)) == data


def test_within_can_be_asked_again_after_it_gave_up():
    compressor = Compressor("zstd")
    assert compressor.compress_within(noise(200_000), 100) is None
    assert compressor.compress(TEXT)[0] is Codec.ZSTD


@pytest.mark.parametrize("codec, stored", [(Codec[name], bytes.fromhex(text)) for name, text in GOLDEN_STORED.items()])
def test_every_codec_of_the_first_release_stays_readable(codec, stored):
    assert expand(int(codec), stored, len(GOLDEN)) == GOLDEN


def test_codec_numbers_are_those_of_stored_rows():
    assert {codec.name: int(codec) for codec in Codec} == {"RAW": 0, "ZSTD": 1, "LZ4": 2, "GZIP": 3}


@pytest.mark.parametrize("choice", ["none", *NAMED])
@pytest.mark.parametrize("wrong", [-1, 1])
def test_another_size_than_the_recorded_one_is_corrupt(choice, wrong):
    codec, stored = Compressor(choice).compress(TEXT)
    with pytest.raises(Corrupt):
        expand(codec, stored, len(TEXT) + wrong)


@pytest.mark.parametrize("choice", NAMED)
def test_cut_or_lengthened_input_is_corrupt(choice):
    codec, stored = Compressor(choice).compress(TEXT)
    for damaged in (stored[:-1], stored[: len(stored) // 2], bytes(stored) + b"x", b""):
        with pytest.raises(Corrupt):
            expand(codec, damaged, len(TEXT))


@pytest.mark.parametrize("choice", NAMED)
@settings(max_examples=80, deadline=None)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_the_recorded_size_or_corrupt(choice, at, bit):
    codec, stored = Compressor(choice).compress(TEXT)
    damaged = bytearray(stored)
    damaged[at % len(stored)] ^= 1 << bit
    try:
        data = expand(codec, bytes(damaged), len(TEXT))
    except Corrupt:
        return
    assert len(data) == len(TEXT)


@pytest.mark.parametrize("choice", NAMED)
def test_a_bomb_gets_no_memory(choice):
    codec, bomb = Compressor(choice).compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(Corrupt):
            expand(codec, bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_unknown_codec_is_corrupt():
    with pytest.raises(Corrupt, match="codec 9"):
        expand(9, b"x", 1)


def test_an_unknown_choice_is_refused_by_name():
    with pytest.raises(InvalidInput, match="brotli") as caught:
        check_compression("brotli")
    assert caught.value.code == "unknown-compression"
    assert check_compression("lz4") == "lz4"
