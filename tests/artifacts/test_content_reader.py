"""Reading content: ranges are slices, and damage is named and never served."""

from __future__ import annotations

import random
from dataclasses import replace

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell.adapters.sqlite.content import SqliteContent
from llmspell.artifacts.blob import pack_ids, unpack_ids
from llmspell.artifacts.chunking import Tier
from llmspell.artifacts.content import ContentWriter
from llmspell.artifacts.content_check import verify_chunks
from llmspell.artifacts.content_reader import ContentReader
from llmspell.errors import Corrupt, InvalidInput, LlmspellError

TIERS = (Tier(0, 256, 1024, 4096), Tier(64 << 10, 4096, 16384, 65536), Tier(400 << 10, 65536, 65536, 262144))


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def mixed(size):
    """Half of it compresses, so that raw and compressed chunks lie side by side."""
    block = b"the same sentence again and again; " * 300
    return b"".join(noise(9000, seed) + block for seed in range(size // 19_500 + 1))[:size]


def put(store, data, *, tiers=TIERS, compression="auto"):
    writer = ContentWriter(store, compression=compression, tiers=tiers)
    for start in range(0, len(data), 200_000):
        writer.feed(data[start : start + 200_000])
    return writer.finish()


class Watched:
    """A content store that notes which chunks were read."""

    def __init__(self, store):
        self._store = store
        self.read_ids = []

    def read(self, ids):
        wanted = list(ids)
        self.read_ids += wanted
        return self._store.read(wanted)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture(scope="module")
def shelf():
    store = SqliteContent(":memory:")
    samples = (b"", b"short", mixed(30_000), noise(30_000), mixed(1_300_000))
    yield store, [(data, put(store, data)) for data in samples]
    store.close()


@settings(max_examples=200, deadline=None)
@given(which=st.integers(0, 4), start=st.floats(0, 1.2), length=st.floats(0, 1.2), warm=st.booleans())
def test_a_range_is_a_slice(shelf, which, start, length, warm):
    store, contents = shelf
    data, blob = contents[which]
    reader = ContentReader(store, blob)
    if warm:
        reader.range(0, 1)
    first, count = int(start * (len(data) + 2)), int(length * (len(data) + 2))
    assert reader.range(first, count) == data[first : first + count]


@settings(max_examples=60, deadline=None)
@given(which=st.integers(0, 4), piece_bytes=st.integers(1, 2 << 20))
def test_a_stream_joins_to_the_content_in_pieces_that_fit(shelf, which, piece_bytes):
    store, contents = shelf
    data, blob = contents[which]
    pieces = list(ContentReader(store, blob).stream(max(piece_bytes, len(data) // 500 + 1)))
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= max(piece_bytes, len(data) // 500 + 1) for piece in pieces)


def test_a_range_reads_only_the_chunks_that_hold_it(shelf):
    store, contents = shelf
    data, blob = contents[4]
    watched = Watched(store)
    reader = ContentReader(watched, blob)
    assert reader.range(20_000, 10) == data[20_000:20_010]
    assert len(watched.read_ids) <= 2 < blob.chunk_count
    watched.read_ids.clear()
    assert reader.range(len(data), 10) == b""
    assert reader.range(5, 0) == b""
    assert watched.read_ids == []


@pytest.mark.parametrize("bad", [(-1, 1), (0, -1), (0.0, 1), (True, 1), (None, 1), ("0", 1)])
def test_a_range_that_is_none_is_refused(shelf, bad):
    store, contents = shelf
    with pytest.raises(InvalidInput) as caught:
        ContentReader(store, contents[4][1]).range(*bad)
    assert caught.value.code == "bad-range"


@pytest.mark.parametrize("bad", [0, -1, 1.5, None, True])
def test_pieces_of_no_size_are_refused_before_the_first_one(shelf, bad):
    store, contents = shelf
    with pytest.raises(InvalidInput):
        ContentReader(store, contents[4][1]).stream(bad)


def test_a_stream_holds_no_read_transaction_between_pieces(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    blob = put(store, noise(900_000))
    pieces = ContentReader(store, blob).stream(1000)
    next(pieces)
    put(store, noise(900_000, seed=2))
    other = apsw.Connection(str(tmp_path / "content.db"))
    busy, in_wal, _ = next(other.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert (busy, in_wal) == (0, 0)
    other.close()
    store.close()


# -- damage -----------------------------------------------------------------------------------------------------------


def served(store, blob, data):
    """Read in every way; say whether all of it was Corrupt. Fails when any wrong byte is served."""
    refused = []
    for read in (
        lambda: ContentReader(store, blob).read_all() == data,
        lambda: b"".join(ContentReader(store, blob).stream(5000)) == data,
        lambda: all(
            ContentReader(store, blob).range(start, 3000) == data[start : start + 3000]
            for start in range(0, len(data), max(1, len(data) // 7))
        ),
    ):
        try:
            assert read()
            refused.append(False)
        except Corrupt as exc:
            named = (exc.details["digest"], blob.digest.hex() in str(exc))
            refused.append(named == (blob.digest.hex(), True) or pytest.fail(f"{exc} does not name the content"))
    return refused


def flipped(value, bit):
    if isinstance(value, int):
        return value ^ (1 << bit % 62)
    if isinstance(value, str):
        return chr(ord(value[0]) ^ 1) + value[1:]
    damaged = bytearray(value)
    damaged[bit % len(damaged)] ^= 1 << bit % 8
    return bytes(damaged)


COLUMNS = [
    *(("chunk", column) for column in ("id", "digest", "codec", "size", "stored_size", "pack", "position")),
    ("chunk_data", "id"),
    ("chunk_data", "data"),
    ("pack", "id"),
    ("pack", "name"),
    ("pack", "size"),
]


@pytest.mark.parametrize("table, column", COLUMNS)
def test_a_flipped_bit_in_a_column_never_serves_wrong_bytes(tmp_path, monkeypatch, table, column):
    monkeypatch.setattr("llmspell.adapters.sqlite.content_appender.PACK_FROM_BYTES", 300_000)
    store = SqliteContent(tmp_path / "content.db")
    data = mixed(1_200_000)
    blob = put(store, data)
    assert list(tmp_path.glob("packs/*.pack"))
    outside = apsw.Connection(str(tmp_path / "content.db"))
    select = f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608  # names from the list above
    update = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"  # noqa: S608
    rows = list(outside.execute(select))
    assert rows
    chosen = random.Random(7).sample(rows, min(6, len(rows)))
    any_refused = False
    for (rowid, value), bit in [(row, bit) for row in chosen for bit in (0, 3, 13, 40)]:
        try:
            outside.execute(update, (flipped(value, bit), rowid))
        except apsw.ConstraintError:
            continue
        now = flipped(value, bit) if column == "id" else rowid
        any_refused |= any(served(store, blob, data))
        outside.execute(update, (value, now))
    assert served(store, blob, data) == [False, False, False]
    # Sizes that reading does not rely on may be wrong without harm; only the check of everything names those.
    assert any_refused or column in {"stored_size", "size"}
    outside.close()
    store.close()


def test_a_flipped_bit_anywhere_in_the_files_never_serves_wrong_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("llmspell.adapters.sqlite.content_appender.PACK_FROM_BYTES", 100_000)
    store = SqliteContent(tmp_path / "content.db")
    data = mixed(400_000)
    blob = put(store, data)
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["content.db", "packs", "puts.lock"]
    originals = {path: path.read_bytes() for path in [tmp_path / "content.db", *tmp_path.glob("packs/*")]}
    chance = random.Random(11)
    refused = 0
    for _ in range(300):
        path = chance.choice(list(originals))
        damaged = bytearray(originals[path])
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        reopened = SqliteContent(tmp_path / "content.db", read_only=True)
        try:
            refused += any(served(reopened, blob, data))
        except LlmspellError:  # The file is no longer one of ours, or not a database.
            refused += 1
        finally:
            reopened.close()
        path.write_bytes(originals[path])
    assert refused > 100


@pytest.mark.parametrize("field", ["digest", "inline", "size", "codec"])
def test_damaged_inline_content_is_never_served(shelf, field):
    store, contents = shelf
    _, blob = contents[1]
    changes = {
        "digest": bytes(32),
        "inline": b"shorT",
        "size": 6,
        "codec": 1,
    }
    damaged = replace(blob, **{field: changes[field]})
    with pytest.raises(Corrupt) as caught:
        ContentReader(store, damaged).read_all()
    assert caught.value.details["digest"] == damaged.digest.hex()


def test_an_inline_bomb_is_refused_by_its_size(shelf):
    store, contents = shelf
    with pytest.raises(Corrupt):
        ContentReader(store, replace(contents[1][1], size=1 << 40)).read_all()


def test_a_blob_without_bytes_is_corrupt(shelf):
    store, contents = shelf
    with pytest.raises(Corrupt):
        ContentReader(store, replace(contents[1][1], inline=None)).read_all()


def test_a_changed_list_of_chunks_is_never_served(shelf):
    store, contents = shelf
    data, blob = contents[4]
    ids = list(unpack_ids(blob.chunk_ids or b"", blob.chunk_count))
    changed = [
        (pack_ids([*ids[:3], ids[4], ids[3], *ids[5:]]), len(ids)),
        (pack_ids(ids[:-1]), len(ids) - 1),
        (pack_ids([*ids, ids[0]]), len(ids) + 1),
        (pack_ids([*ids[:-1], 10**9]), len(ids)),
        (pack_ids([ids[1], *ids[1:]]), len(ids)),
        (blob.chunk_ids, len(ids) + 1),
        (b"", 0),
    ]
    for packed, count in changed:
        damaged = replace(blob, chunk_ids=packed, chunk_count=count)
        assert served(store, damaged, data) == [True, True, True]
    assert served(store, replace(blob, chunks_digest=bytes(32)), data) == [True, True, True]
    assert served(store, replace(blob, size=blob.size + 1), data) == [True, True, True]


def test_a_missing_chunk_is_named(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    data = noise(100_000)
    blob = put(store, data)
    number = unpack_ids(blob.chunk_ids or b"", blob.chunk_count)[2]
    outside = apsw.Connection(str(tmp_path / "content.db"))
    outside.execute("DELETE FROM chunk_data WHERE id = ?", (number,))
    with pytest.raises(Corrupt) as caught:
        ContentReader(store, blob).read_all()
    assert caught.value.details == {"digest": blob.digest.hex(), "chunk": number}
    outside.execute("DELETE FROM chunk WHERE id = ?", (number,))
    with pytest.raises(Corrupt, match=f"chunk {number} is missing"):
        ContentReader(store, blob).range(0, 1)
    outside.close()
    store.close()


def test_a_lost_content_file_is_corrupt_and_not_empty_content(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    data = noise(100_000)
    blob = put(store, data)
    store.close()
    (tmp_path / "content.db").unlink()
    reopened = SqliteContent(tmp_path / "content.db", read_only=True)
    assert served(reopened, blob, data) == [True, True, True]


# -- checking everything ----------------------------------------------------------------------------------------------


def test_verify_names_each_damaged_chunk_and_only_those(tmp_path, monkeypatch):
    monkeypatch.setattr("llmspell.adapters.sqlite.content_appender.PACK_FROM_BYTES", 300_000)
    store = SqliteContent(tmp_path / "content.db")
    put(store, mixed(3_000_000))
    seen = []
    assert list(verify_chunks(store, lambda chunks, size: seen.append((chunks, size)))) == []
    stats = store.stats()
    assert seen[-1] == (stats.chunks, stats.size)
    assert seen == sorted(seen)
    outside = apsw.Connection(str(tmp_path / "content.db"))
    in_pack = [row[0] for row in outside.execute("SELECT id FROM chunk WHERE pack IS NOT NULL ORDER BY id")]
    damage = {
        2: "UPDATE chunk_data SET data = zeroblob(length(data)) WHERE id = ?",
        5: "DELETE FROM chunk_data WHERE id = ?",
        7: "UPDATE chunk SET size = size + 1 WHERE id = ?",
        9: "UPDATE chunk SET stored_size = stored_size + 1 WHERE id = ?",
        11: "UPDATE chunk SET size = 0 WHERE id = ?",
        12: "UPDATE chunk SET codec = 7 WHERE id = ?",
        in_pack[0]: "UPDATE chunk SET position = position + 1 WHERE id = ?",
        in_pack[1]: "UPDATE chunk SET digest = zeroblob(32) WHERE id = ?",
    }
    for number, sql in damage.items():
        outside.execute(sql, (number,))
    assert [found.id for found in verify_chunks(store)] == sorted(damage)
    assert all(found.what for found in verify_chunks(store))
    outside.close()
    store.close()


def test_verify_reports_a_lost_pack(tmp_path, monkeypatch):
    monkeypatch.setattr("llmspell.adapters.sqlite.content_appender.PACK_FROM_BYTES", 300_000)
    store = SqliteContent(tmp_path / "content.db")
    put(store, noise(1_200_000))
    (pack,) = tmp_path.glob("packs/*.pack")
    pack.unlink()
    found = list(verify_chunks(store))
    assert found
    assert len(found) < store.stats().chunks
    assert {damaged.what.split(",")[0] for damaged in found} == {"0 bytes are stored"}
    store.close()
