"""Cutting: the same content gives the same chunks however it comes, and an edit moves only the cuts around it."""

from __future__ import annotations

import random
from itertools import pairwise

from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell.artifacts.chunking import CHUNK_BYTES_MAX, TIERS, Cutter, Tier

SMALL_TIERS = (Tier(0, 64, 256, 1024), Tier(8 << 10, 256, 1024, 4096), Tier(40 << 10, 1024, 1024, 8192))

# What Random(42) and Random(43) give, cut by the tiers of the first release. A change here means that new content no
# longer shares chunks with old content.
GOLDEN_FIRST = [7208, 4376, 4689, 6155, 4609, 4837, 8192, 4559, 4492, 1242, 4224, 2196]
GOLDEN_DIGEST = "dca6b907d6252e823b034ba50cdea48ed00c6578f0f4cbef564394c8d1141511"
GOLDEN_TIERS_DIGEST = "be223801eaaba9204e06fee84da8090ce9cf5280a92f32993457af96dd60e100"


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def cut_all(data, tiers=TIERS, pieces=None):
    cutter = Cutter(tiers)
    chunks = []
    start = 0
    for end in [*(pieces or ()), len(data)]:
        chunks += [bytes(chunk) for chunk in cutter.cut(data[start:end])]
        start = max(start, end)
    return chunks + [bytes(chunk) for chunk in cutter.finish()]


def test_cuts_of_noise_are_the_golden_ones():
    lengths = [len(chunk) for chunk in cut_all(noise(200_000, seed=42))]
    assert lengths[:12] == GOLDEN_FIRST
    assert blake3(repr(lengths).encode()).hexdigest() == GOLDEN_DIGEST


def test_cuts_across_every_tier_are_the_golden_ones():
    lengths = [len(chunk) for chunk in cut_all(noise(18 << 20, seed=43))]
    assert blake3(repr(lengths).encode()).hexdigest() == GOLDEN_TIERS_DIGEST


@settings(max_examples=80, deadline=None)
@given(
    size=st.integers(0, 90_000),
    seed=st.integers(0, 5),
    repeats=st.booleans(),
    cuts=st.lists(st.integers(0, 90_000), max_size=12),
)
def test_cuts_do_not_depend_on_how_the_content_was_fed(size, seed, repeats, cuts):
    data = noise(size, seed) if not repeats else (noise(37, seed) * (size // 37 + 1))[:size]
    pieces = sorted(cut for cut in cuts if cut < size)
    assert cut_all(data, SMALL_TIERS, pieces) == cut_all(data, SMALL_TIERS)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 90_000), seed=st.integers(0, 5))
def test_chunks_join_to_the_content_within_their_bounds(size, seed):
    data = noise(size, seed)
    chunks = cut_all(data, SMALL_TIERS)
    assert b"".join(chunks) == data
    offset = 0
    for position, chunk in enumerate(chunks):
        tier = [tier for tier in SMALL_TIERS if tier.offset <= offset][-1]
        assert 0 < len(chunk) <= tier.maximum
        assert len(chunk) >= tier.minimum or position == len(chunks) - 1
        offset += len(chunk)


def test_several_blocks_at_once_are_one_block():
    data = noise(300_000)
    cutter = Cutter()
    chunks = cutter.cut(data[:1000], data[1000:100_000], data[100_000:]) + cutter.finish()
    assert [bytes(chunk) for chunk in chunks] == cut_all(data)


def test_an_insertion_leaves_almost_all_chunks_as_they_were():
    data = noise(1 << 20)
    edited = data[:500_000] + b"hello" + data[500_000:]
    before, after = set(cut_all(data)), cut_all(edited)
    assert sum(len(chunk) for chunk in after if chunk not in before) < 40_000


def test_constant_content_is_cut_at_the_maximum():
    chunks = cut_all(bytes(200_000))
    assert {len(chunk) for chunk in chunks[:-1]} == {TIERS[0].maximum}


def test_nothing_gives_no_chunk():
    assert cut_all(b"") == []


def test_tiers_rise_and_keep_below_the_largest_chunk():
    assert TIERS[0].offset == 0
    for lower, upper in pairwise(TIERS):
        assert lower.offset < upper.offset
        assert lower.average < upper.average
    assert all(tier.minimum <= tier.average <= tier.maximum <= CHUNK_BYTES_MAX for tier in TIERS)
