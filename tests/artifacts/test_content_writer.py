"""Writing content: what goes in comes out, small content stays inline, and nothing is stored twice."""

from __future__ import annotations

import random
import threading
from itertools import pairwise

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell.adapters.sqlite.content import SqliteContent
from llmspell.artifacts.blob import INLINE_BYTES_MAX, INLINE_SIZE_MAX, pack_ids, unpack_ids
from llmspell.artifacts.compression import AUTO_BYTES_MIN, Codec
from llmspell.artifacts.content import FEED_BYTES, ContentWriter
from llmspell.artifacts.content_check import verify_chunks
from llmspell.artifacts.content_reader import ContentReader
from llmspell.errors import Corrupt, InvalidInput

EDGES = (0, 1, AUTO_BYTES_MIN - 1, AUTO_BYTES_MIN, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1)
CHOICES = ("auto", "none", "zstd", "lz4", "gzip")


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def prose(size, seed=1):
    words = [bytes(random.Random(seed * 1000 + n).choices(b"etaoinshr", k=3 + n % 7)) for n in range(500)]
    return b" ".join(random.Random(seed).choices(words, k=size // 4 + 1))[:size]


def put(store, *pieces, compression="auto"):
    writer = ContentWriter(store, compression=compression)
    for piece in pieces:
        writer.feed(piece)
    return writer.finish()


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    content = SqliteContent(":memory:" if request.param == "memory" else tmp_path / "content.db")
    yield content
    content.close()


@pytest.mark.parametrize("kind", [noise, prose, bytes], ids=["noise", "prose", "zeros"])
@pytest.mark.parametrize("size", [*EDGES, 200_000, INLINE_SIZE_MAX, INLINE_SIZE_MAX + 1, FEED_BYTES + 5])
def test_content_of_every_size_comes_back(store, kind, size):
    data = kind(size)
    blob = put(store, data)
    assert blob.digest == blake3(data).digest()
    assert blob.size == size
    assert (blob.inline is None) == (blob.chunk_ids is not None) == (blob.chunk_count > 0)
    assert ContentReader(store, blob).read_all() == data


def test_any_content_comes_back_by_any_codec():
    store = SqliteContent(":memory:")

    @settings(max_examples=120, deadline=None)
    @given(
        size=st.one_of(st.sampled_from(EDGES), st.integers(0, 60_000)),
        seed=st.integers(0, 4),
        period=st.sampled_from([0, 1, 7, 3000]),
        choice=st.sampled_from(CHOICES),
        cuts=st.lists(st.integers(0, 60_000), max_size=4),
    )
    def check(size, seed, period, choice, cuts):
        data = noise(size, seed) if not period else (noise(period, seed) * (size // period + 1))[:size]
        bounds = [0, *sorted(cut for cut in cuts if cut < size), size]
        blob = put(store, *(data[a:b] for a, b in pairwise(bounds)), compression=choice)
        assert blob.digest == blake3(data).digest()
        assert ContentReader(store, blob).read_all() == data

    check()
    assert list(verify_chunks(store)) == []


@pytest.mark.parametrize("compression", CHOICES)
def test_content_of_up_to_16_kib_stays_inline_and_writes_nothing(tmp_path, compression):
    store = SqliteContent(tmp_path / "content.db")
    blob = put(store, noise(INLINE_BYTES_MAX), compression=compression)
    assert blob.inline is not None
    assert blob.stored_size == len(blob.inline)
    assert list(tmp_path.iterdir()) == []


def test_long_content_that_compresses_to_16_kib_stays_inline(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    data = prose(40_000)
    blob = put(store, data)
    assert blob.codec == Codec.ZSTD
    assert blob.inline is not None
    assert len(blob.inline) <= INLINE_BYTES_MAX < len(data)
    assert list(tmp_path.iterdir()) == []


def test_none_keeps_content_as_it_is(store):
    data = prose(40_000)
    blob = put(store, data, compression="none")
    assert (blob.codec, blob.stored_size, blob.chunk_count > 1) == (Codec.RAW, len(data), True)


@pytest.mark.parametrize("compression", ["auto", "zstd", "lz4", "gzip"])
def test_compression_saves_space_in_chunks_too(store, compression):
    data = prose(INLINE_SIZE_MAX + 1)
    blob = put(store, data, compression=compression)
    assert blob.chunk_count > 1
    assert blob.stored_size < len(data) * 3 // 4
    assert store.stats().stored_size == blob.stored_size
    assert blob.codec == (Codec.ZSTD if compression == "auto" else Codec[compression.upper()])


def test_how_content_is_fed_does_not_show_in_the_blob(store):
    data = noise(3 << 20)
    whole = put(store, data)
    assert put(store, *(data[start : start + 70_001] for start in range(0, len(data), 70_001))) == whole
    assert put(store, bytearray(data[:100]), memoryview(data)[100:]) == whole


def test_a_buffer_may_be_used_again_once_it_was_fed(store):
    buffer = bytearray(b"a" * 20_000)
    writer = ContentWriter(store, compression="none")
    writer.feed(buffer)
    buffer[:] = b"b" * 20_000
    writer.feed(memoryview(buffer))
    buffer[:] = b"c" * 20_000
    assert ContentReader(store, writer.finish()).read_all() == b"a" * 20_000 + b"b" * 20_000


# -- sharing ----------------------------------------------------------------------------------------------------------


def test_the_same_content_is_stored_once(store):
    data = noise(500_000)
    first = put(store, data)
    before = store.stats()
    assert put(store, data) == first
    assert store.stats() == before
    assert before.chunks == first.chunk_count


def test_content_that_repeats_itself_is_stored_once(store):
    part = noise(300_000)
    single = put(store, part)
    double = put(store, part * 2)
    assert double.chunk_count > single.chunk_count
    # Only where the two halves meet may there be chunks of their own.
    assert store.stats().stored_size - single.stored_size < 40_000


@pytest.mark.parametrize("at", [0, 1000, 512 << 10, (1 << 20) - 10])
def test_five_bytes_inserted_into_a_mebibyte_store_a_few_kib(store, at):
    data = noise(1 << 20)
    put(store, data)
    before = store.stats().stored_size
    edited = data[:at] + b"edit!" + data[at:]
    assert ContentReader(store, put(store, edited)).read_all() == edited
    assert store.stats().stored_size - before < 40_000


def test_an_insertion_near_the_start_of_a_large_stream_shares_its_far_part(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    data = noise(24 << 20)
    put(store, data)
    before = store.stats().stored_size
    edited = data[:1000] + b"edit!" + data[1000:]
    assert ContentReader(store, put(store, edited)).read_all() == edited
    # A few chunks at the edit, and a few where each tier begins.
    assert store.stats().stored_size - before < 2 << 20
    store.close()


def test_a_chunk_stored_by_one_codec_serves_content_put_by_another(store):
    data = prose(INLINE_SIZE_MAX + 1)
    put(store, data, compression="gzip")
    before = store.stats()
    blob = put(store, data, compression="lz4")
    assert store.stats() == before
    assert ContentReader(store, blob).read_all() == data


# -- ending -----------------------------------------------------------------------------------------------------------


def test_an_aborted_put_can_be_made_again(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    data = noise(20 << 20)
    writer = ContentWriter(store)
    writer.feed(data)
    writer.abort()
    writer.abort()
    assert list(tmp_path.glob("packs/*")) == []
    assert ContentReader(store, put(store, data)).read_all() == data
    assert list(verify_chunks(store)) == []
    store.close()


class Interrupted:
    """The lock of a writer; somebody else gives the content up once it is held for the first time."""

    def __init__(self, lock, interrupt):
        self._lock, self._interrupt = lock, interrupt

    def __enter__(self):
        self._lock.acquire()
        other = threading.Thread(target=self._interrupt)
        other.start()
        other.join()

    def __exit__(self, *_):
        self._lock.release()

    def acquire(self, *, blocking):
        return self._lock.acquire(blocking=blocking)

    def release(self):
        self._lock.release()


def is_in_progress(store):
    with store._connections.pins.alone() as alone:
        return not alone


@pytest.mark.parametrize("step", ["feed", "finish"])
def test_content_given_up_as_a_step_begins_is_over_with_that_step(store, step):
    writer = ContentWriter(store)
    writer.feed(noise(INLINE_SIZE_MAX + 1))
    writer._at_work = Interrupted(writer._at_work, writer.abort)
    assert is_in_progress(store)
    with pytest.raises(InvalidInput) as caught:
        writer.feed(b"more") if step == "feed" else writer.finish()
    assert caught.value.code == "writer-ended"
    assert not is_in_progress(store)


def test_content_that_two_threads_let_go_of_is_over_once(store, monkeypatch):
    """Counted twice, another put would no longer be in progress."""
    writer, other = ContentWriter(store), ContentWriter(store)
    for one in (writer, other):
        one.feed(noise(INLINE_SIZE_MAX + 1))
    pins = store._connections.pins
    unpin = pins.unpin

    def meanwhile():
        monkeypatch.setattr(pins, "unpin", unpin)
        thread = threading.Thread(target=writer.release)
        thread.start()
        thread.join()
        unpin()

    monkeypatch.setattr(pins, "unpin", meanwhile)
    writer.abort()
    assert is_in_progress(store)
    other.abort()
    assert not is_in_progress(store)


def test_leaving_the_block_without_finish_aborts(store):
    with ContentWriter(store) as writer:
        writer.feed(noise(100_000))
    with pytest.raises(InvalidInput) as caught:
        writer.finish()
    assert caught.value.code == "writer-ended"
    assert store.stats().chunks == 0


def test_a_finished_writer_takes_no_more(store):
    writer = ContentWriter(store)
    writer.feed(b"x")
    writer.finish()
    for call in (writer.finish, lambda: writer.feed(b"y")):
        with pytest.raises(InvalidInput):
            call()


@pytest.mark.parametrize("bad", ["text", None, 5, [1], memoryview(b"abcd")[::2]])
def test_what_is_not_bytes_is_refused(store, bad):
    with pytest.raises(InvalidInput) as caught:
        ContentWriter(store).feed(bad)
    assert caught.value.code == "not-bytes"


def test_wider_items_are_fed_as_their_bytes(store):
    view = memoryview(noise(8000)).cast("I")
    assert ContentReader(store, put(store, view)).read_all() == view.tobytes()


def test_an_unknown_compression_is_refused(store):
    with pytest.raises(InvalidInput, match="brotli"):
        ContentWriter(store, compression="brotli")  # type: ignore[arg-type]


# -- what a collect in between would do -------------------------------------------------------------------------------


def collect(store, ids):
    """What a collect does: remove chunks, and let the generation grow."""
    with store._connections.writing("collect") as connection:
        connection.executemany("DELETE FROM chunk WHERE id = ?", [(number,) for number in ids])
        connection.executemany("DELETE FROM chunk_data WHERE id = ?", [(number,) for number in ids])
        connection.execute("UPDATE meta SET generation = generation + 1")


def test_a_put_knows_when_a_collect_took_chunks_it_had_found(store):
    data = noise(100_000)
    blob = put(store, data)
    ids = unpack_ids(blob.chunk_ids or b"", blob.chunk_count)
    writer = ContentWriter(store)
    writer.feed(data)
    writer.finish()
    assert writer.still_whole()
    collect(store, ids[3:5])
    assert not writer.still_whole()
    assert store.missing(ids) == sorted(ids[3:5])
    assert store.generation() == 1


def test_a_put_stays_whole_when_a_collect_took_others(store):
    other = put(store, noise(100_000, seed=2))
    writer = ContentWriter(store)
    writer.feed(noise(100_000))
    writer.finish()
    collect(store, unpack_ids(other.chunk_ids or b"", other.chunk_count))
    assert writer.still_whole()


def test_a_put_begun_before_a_collect_notices_it_at_the_end(store):
    data = noise((2 << 20) + 1)
    old = put(store, data)
    writer = ContentWriter(store)
    writer.feed(data[: (1 << 20) + (1 << 19)])
    collect(store, unpack_ids(old.chunk_ids or b"", old.chunk_count)[:10])
    writer.feed(data[(1 << 20) + (1 << 19) :])
    writer.finish()
    assert not writer.still_whole()


def test_ids_are_never_given_twice(store):
    first = put(store, noise(50_000))
    ids = list(unpack_ids(first.chunk_ids or b"", first.chunk_count))
    collect(store, ids)
    second = put(store, noise(50_000, seed=2))
    assert not set(ids) & set(unpack_ids(second.chunk_ids or b"", second.chunk_count))


# -- lists of ids -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, (1 << 63) - 1), max_size=30))
def test_ids_come_back_as_they_were_packed(ids):
    assert list(unpack_ids(pack_ids(ids), len(ids))) == ids


def test_new_chunks_cost_a_byte_an_id():
    assert len(pack_ids(range(1000, 2000))) == 1001


@given(st.binary(max_size=40), st.integers(0, 40))
def test_a_damaged_list_of_ids_is_corrupt_or_positive_numbers(packed, count):
    try:
        ids = unpack_ids(packed, count)
    except Corrupt:
        return
    assert len(ids) == count
    assert all(number > 0 for number in ids)


@pytest.mark.parametrize("packed", [b"", b"\x80", b"\x00", b"\x01", b"\x02\x02", b"\xff" * 11 + b"\x01"])
def test_a_list_that_is_not_one_positive_number_is_corrupt(packed):
    with pytest.raises(Corrupt):
        unpack_ids(packed, 1)
