"""Collecting: what was deleted for good goes, everything else stays whole, whoever writes meanwhile."""

import contextlib
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import llmspell
from llmspell.adapters.sqlite import content_appender
from llmspell.adapters.sqlite.content import SqliteContent
from llmspell.adapters.sqlite.packs import PackFiles
from llmspell.artifacts import collect as collecting
from llmspell.artifacts.blob import unpack_ids
from llmspell.artifacts.content import ContentWriter
from llmspell.errors import Busy, Conflict, Corrupt, LlmspellError
from llmspell.schema import queries
from tests.rooms.conftest import sql

MIB = 1 << 20


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


LARGE = noise(300_000)


@pytest.fixture
def session(store):
    return store.sessions.create("s")


@pytest.fixture
def small_packs(monkeypatch):
    """Packs from 100 KB of new bytes on, so that tests with packs are quick."""
    monkeypatch.setattr(content_appender, "PACK_FROM_BYTES", 100_000)
    monkeypatch.setattr(content_appender, "FILE_SLICE_BYTES", 100_000)


def sound(store):
    report = store.verify()
    assert report.ok, [finding.what for finding in report.findings]
    return store


def packs(store):
    return sorted((store.path / "generation-000001" / "packs").glob("*.pack"))


def content_of(face, store):
    return face.core(store)._files.content


# -- what goes, and what stays -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"short", LARGE], ids=["inline", "chunks"])
def test_content_goes_when_its_last_version_was_deleted_for_good(face, store, session, content):
    other = store.sessions.create("other")
    session.artifacts.put("f", content)
    other.artifacts.put("g", content)
    session.artifacts.delete("f", hard=True)
    assert store.collect().contents == 0, "another session has it"
    assert other.artifacts.get("g").read() == content
    other.artifacts.delete("g")
    assert store.collect().contents == 0, "it can be undeleted"
    assert other.artifacts.undelete("g") == 1
    assert other.artifacts.get("g").read() == content
    other.artifacts.delete("g", hard=True)
    report = store.collect()
    assert report.contents == 1
    assert (report.chunks > 0) == (len(content) > 16 << 10)
    stats = store.stats()
    assert (stats["blobs"], stats["chunks"]) == (0, 0)
    for opened in face.both(store):
        assert sound(opened).collect().to_dict() | {"freed_bytes": 0} == collecting.CollectReport(False).to_dict()


def test_chunks_that_another_content_shares_stay(face, store, session):
    data = noise(3 * MIB)
    session.artifacts.put("old", data)
    session.artifacts.put("new", data[:MIB] + b"five!" + data[MIB:])
    session.artifacts.delete("old", hard=True)
    report = store.collect()
    assert 0 < report.chunk_bytes < 100_000
    for opened in face.both(store):
        content = opened.sessions.open(session.id).artifacts.get("new").read()
        assert content == data[:MIB] + b"five!" + data[MIB:]
        sound(opened)


def test_what_soft_deletion_and_deleted_sessions_keep_is_told_and_goes_when_it_is_deleted_for_good(store, session):
    session.artifacts.put("f", LARGE)
    store.sessions.delete(session.id)
    report = store.collect()
    assert (report.contents, report.chunks) == (0, 0)
    assert report.kept == {collecting.IN_HISTORY: 300_000}
    store.artifacts.delete_matching(session=session.id, deleted=True, hard=True)
    report = store.collect()
    assert (report.contents, report.chunk_bytes, report.kept) == (1, 300_000, {})
    sound(store)


def test_the_same_content_put_again_after_it_went_is_stored_anew(face, store, session):
    for _ in range(3):
        session.artifacts.put("f", LARGE)
        session.artifacts.put("small", "small")
        session.artifacts.delete("f", hard=True)
        session.artifacts.delete("small", hard=True)
        assert store.collect().contents == 2
    session.artifacts.put("f", LARGE)
    for opened in face.both(store):
        assert sound(opened).sessions.open(session.id).artifacts.get("f").read() == LARGE


def test_content_deleted_for_good_and_put_again_before_the_collect_stays(store, session):
    session.artifacts.put("f", LARGE)
    session.artifacts.delete("f", hard=True)
    session.artifacts.put("g", LARGE)
    assert store.collect().contents == 0
    assert session.artifacts.get("g").read() == LARGE


def test_an_estimate_says_what_a_collect_then_does_and_changes_nothing(face, store, session):
    session.artifacts.put("f", LARGE)
    session.artifacts.put("g", noise(200_000, 2))
    session.artifacts.put("small", "small")
    session.artifacts.delete("f", hard=True)
    session.artifacts.delete("small", hard=True)
    orphans = store.orphans()
    estimate = store.estimate()
    assert estimate.dry_run
    assert orphans.content_count == 2
    assert len(orphans.contents) == 2
    assert (estimate.contents, estimate.content_bytes, estimate.chunk_bytes) == (2, 5, 300_000)
    assert store.estimate() == estimate
    store = face.reopen(read_only=True)
    assert store.estimate() == estimate
    assert store.orphans() == orphans
    with pytest.raises(llmspell.errors.ReadOnly):
        store.collect()
    store = face.reopen()
    told = []
    report = store.collect(progress=lambda done, total: told.append((done, total)))
    assert (report.contents, report.content_bytes, report.chunks, report.chunk_bytes) == (
        estimate.contents, estimate.content_bytes, estimate.chunks, estimate.chunk_bytes,
    )  # fmt: skip
    assert told
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)
    assert store.orphans().content_count == 0


def test_a_store_in_memory_collects_too(tmp_path):
    with llmspell.open(":memory:") as store:
        session = store.sessions.create("s")
        session.artifacts.put("f", LARGE)
        session.artifacts.put("g", LARGE[:200_000])
        session.artifacts.delete("f", hard=True)
        assert store.collect().contents == 1
        assert session.artifacts.get("g").read() == LARGE[:200_000]
        sound(store)


def test_an_empty_store_has_nothing_to_collect(store):
    assert store.collect().to_dict() == collecting.CollectReport(False).to_dict()
    assert store.orphans() == collecting.Orphans()


def test_a_reader_of_what_was_collected_is_told_that_it_is_gone(store, session):
    session.artifacts.put("f", LARGE)
    held = session.artifacts.get("f")
    session.artifacts.delete("f", hard=True)
    store.collect()
    with pytest.raises(LlmspellError) as refused:
        held.read()
    assert refused.value.code == "artifact-erased"


# -- damage ------------------------------------------------------------------------------------------------------------


def test_nothing_is_collected_while_something_needed_is_missing(face, store, session):
    session.artifacts.put("f", LARGE)
    session.artifacts.put("g", noise(200_000, 2))
    session.artifacts.delete("g", hard=True)
    sql(face, store)("DELETE FROM blob WHERE size = 300000")
    with pytest.raises(Corrupt):
        store.collect()
    assert store.stats()["blobs"] == 1


def test_contents_that_no_artifact_names_stay_because_no_entry_says_that_they_may_go(face, store, session):
    session.artifacts.put("f", LARGE)
    sql(face, store)("DELETE FROM artifact")
    report = store.collect()
    assert (report.contents, report.chunks) == (0, 0)


def test_a_damaged_list_of_chunks_stops_the_collect(face, store, session):
    session.artifacts.put("f", LARGE)
    session.artifacts.put("g", noise(200_000, 2))
    session.artifacts.delete("g", hard=True)
    sql(face, store)("UPDATE blob SET chunk_ids = x'ff' WHERE size = 300000")
    with pytest.raises(Corrupt):
        store.collect()


# -- packs -------------------------------------------------------------------------------------------------------------


def test_a_pack_with_nothing_alive_is_deleted(face, store, session, small_packs):
    session.artifacts.put("f", noise(2 * MIB))
    assert len(packs(store)) == 1
    session.artifacts.delete("f", hard=True)
    report = store.collect()
    assert report.files == 1
    assert report.freed_bytes > MIB
    assert packs(store) == []
    sound(face.reopen())


def test_what_is_alive_in_a_mostly_dead_pack_moves_and_reads_the_same(face, store, session, small_packs):
    data = noise(12 * MIB)  # The first 4 MiB, which are fed at once, go into the file.
    session.artifacts.put("f", data)
    old = packs(store)
    session.artifacts.put("part", data[: 6 * MIB])
    held = session.artifacts.get("part")
    assert held.range(0, 10) == data[:10]
    session.artifacts.delete("f", hard=True)
    report = store.collect()
    assert report.files >= 1
    assert packs(store)
    assert not set(packs(store)) & set(old)
    assert held.read() == data[: 6 * MIB]
    for opened in face.both(store):
        assert sound(opened).sessions.open(session.id).artifacts.get("part").read() == data[: 6 * MIB]


def test_a_read_that_looked_before_its_pack_moved_looks_again(face, store, session, small_packs, monkeypatch):
    data = noise(12 * MIB)
    session.artifacts.put("f", data)
    session.artifacts.put("part", data[: 6 * MIB])
    session.artifacts.delete("f", hard=True)
    real, moved = PackFiles.read, []

    def read(self, name, spans):
        spans = list(spans)
        if not moved and threading.current_thread() is reading[0]:
            moved.append(1)
            with llmspell.open(store.path, durability="process") as other:
                assert other.collect().files == 1
        return real(self, name, spans)

    monkeypatch.setattr(PackFiles, "read", read)
    reading = [threading.current_thread()]
    content = content_of(face, store)
    row = sql(face, store)("SELECT chunk_ids, chunk_count FROM blob WHERE size = ?", (6 * MIB,)).fetchone()
    alive = unpack_ids(*row)[-3:]
    stored = content.infos(alive)
    found = content.read(alive)
    assert moved
    assert [len(found[number]) for number in alive] == [stored[number].stored_size for number in alive]


def test_dead_bytes_in_a_pack_that_is_mostly_alive_are_told(store, session, small_packs):
    data = noise(12 * MIB)
    session.artifacts.put("f", data)
    session.artifacts.put("part", data[: 11 * MIB])
    session.artifacts.delete("f", hard=True)
    report = store.collect()
    assert report.kept[collecting.IN_PACKS] > 500_000
    assert session.artifacts.get("part").read() == data[: 11 * MIB]


def test_files_that_no_row_names_are_deleted(store, session, small_packs):
    session.artifacts.put("f", noise(2 * MIB))
    stray = packs(store)[0].with_name("0123456789abcdef.pack")
    stray.write_bytes(b"left by a crash")
    assert store.orphans().files == [stray.stem]
    assert store.collect().files == 1
    assert not stray.exists()
    sound(store)


def test_a_pack_that_is_shorter_than_its_rows_say_is_left_to_verify(store, session, small_packs):
    data = noise(12 * MIB)
    session.artifacts.put("f", data)
    session.artifacts.put("part", data[: 6 * MIB])
    os.truncate(packs(store)[0], MIB)
    session.artifacts.delete("f", hard=True)
    before = packs(store)
    assert collecting.DAMAGED in store.collect().kept
    assert set(before) <= set(packs(store))
    assert not store.verify().ok


def test_the_content_file_gives_its_room_back(face, store, session):
    file = store.path / "generation-000001" / "content.db"
    session.artifacts.put("f", noise(5 * MIB))
    session.artifacts.put("g", LARGE)
    face.close_stores()
    before = file.stat().st_size
    store = face.open()
    store.sessions.open(session.id).artifacts.delete("f", hard=True)
    report = store.collect()
    assert report.freed_bytes > 4 * MIB
    face.close_stores()
    assert file.stat().st_size < before - 4 * MIB
    sound(face.open())


# -- beside puts -------------------------------------------------------------------------------------------------------


def test_chunks_of_a_put_in_progress_are_left_alone_and_told(face, store, session, tmp_path):
    content = content_of(face, store)
    writer = ContentWriter(content)
    writer.feed(noise(2 * MIB, 5))
    writer.finish()
    assert store.orphans().in_progress
    report = store.collect()
    assert report.chunks == 0
    assert report.kept[collecting.IN_PROGRESS] > 0
    assert writer.still_whole()
    writer.release()
    writer.release()
    assert not store.orphans().in_progress
    assert store.collect().chunks > 0
    assert not writer.still_whole()


def test_a_put_of_another_handle_is_in_progress_too_and_ends_with_it(face, store, session):
    session.artifacts.put("f", LARGE)
    other = SqliteContent(store.path / "generation-000001" / "content.db")
    writer = ContentWriter(other)
    writer.feed(noise(2 * MIB, 5))
    writer.finish()
    assert store.collect().chunks == 0
    other.close()
    assert store.collect().chunks > 0
    sound(store)


def test_a_put_that_was_given_up_leaves_chunks_that_the_next_collect_takes(store, session):
    def broken():
        yield noise(9 * MIB, 7)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.artifacts.put("f", broken())
    orphans = store.orphans()
    assert orphans.chunks > 0
    assert not orphans.in_progress
    assert store.collect().chunks == orphans.chunks
    assert store.orphans().chunks == 0


def during_take(monkeypatch, act):
    """Run ``act`` once, after a put has found its content or its chunks, and before its unit."""
    from llmspell.artifacts.putting import Putting

    real, acted = Putting._checked, []

    async def checked(self, session, request, taken):
        new = await real(self, session, request, taken)
        if not acted:
            acted.append(1)
            act()
        return new

    monkeypatch.setattr(Putting, "_checked", checked)
    return acted


@pytest.mark.parametrize("source", ["bytes", "path"])
@pytest.mark.parametrize("same", [True, False], ids=["known content", "shared chunks"])
def test_a_put_whose_content_is_collected_under_it_begins_again(tmp_path, monkeypatch, source, same):
    data = noise(2 * MIB)
    wanted = data if same else data + b"more"
    path = tmp_path / "f"
    path.write_bytes(wanted)
    with llmspell.open(tmp_path / "store") as store, llmspell.open(tmp_path / "store") as other:
        session = store.sessions.create("s")
        session.artifacts.put("old", data)
        session.artifacts.delete("old", hard=True)
        acted = during_take(monkeypatch, other.collect)
        info = session.artifacts.put("new", wanted if source == "bytes" else path)
        assert acted
        assert store.artifacts.get(info.id).read() == wanted
        assert other.collect().chunks == 0
        sound(store)


def test_a_stream_whose_chunks_are_collected_under_it_is_told_and_stores_nothing(tmp_path, monkeypatch):
    data = noise(2 * MIB)
    with llmspell.open(tmp_path / "store") as store, llmspell.open(tmp_path / "store") as other:
        session = store.sessions.create("s")
        session.artifacts.put("old", data)
        session.artifacts.delete("old", hard=True)
        during_take(monkeypatch, other.collect)
        with pytest.raises(Conflict) as refused:
            session.artifacts.put("new", iter([data]))
        assert refused.value.code == "content-collected"
        assert len(session.artifacts.list()) == 0
        assert session.artifacts.put("new", iter([data])).version == 1
        sound(store)


def test_an_item_of_a_batch_whose_content_is_collected_under_it_is_put_again(tmp_path, monkeypatch):
    data = noise(2 * MIB)
    with llmspell.open(tmp_path / "store") as store, llmspell.open(tmp_path / "store") as other:
        session = store.sessions.create("s")
        session.artifacts.put("old", data)
        session.artifacts.delete("old", hard=True)
        during_take(monkeypatch, other.collect)
        report = session.artifacts.put_many([{"name": "a", "data": data}, {"name": "b", "data": "b"}])
        assert report.ok
        assert session.artifacts.get("a").read() == data
        sound(store)


def test_a_put_named_between_the_marking_and_the_removal_keeps_its_chunks(tmp_path, monkeypatch):
    """The put has found its chunks before they are removed, and names them after they were marked as unnamed."""
    data = noise(2 * MIB)
    with llmspell.open(tmp_path / "store") as store, llmspell.open(tmp_path / "store") as other:
        session = store.sessions.create("s")
        session.artifacts.put("old", data)
        session.artifacts.delete("old", hard=True)
        real, named = collecting._Run._mark, []

        def mark(self):
            real(self)
            if not named:
                named.append(session.artifacts.put("new", data + b"more"))

        monkeypatch.setattr(collecting._Run, "_mark", mark)
        report = other.collect()
        assert report.contents == 1
        assert store.artifacts.get(named[0].id).read() == data + b"more"
        sound(store)


def test_content_named_again_between_the_look_and_its_removal_stays(tmp_path, monkeypatch):
    with llmspell.open(tmp_path / "store") as store, llmspell.open(tmp_path / "store") as other:
        session = store.sessions.create("s")
        session.artifacts.put("old", LARGE)
        session.artifacts.delete("old", hard=True)
        real = collecting._Run._let_go

        def let_go(self, rows):
            session.artifacts.put("new", LARGE)
            real(self, rows)

        monkeypatch.setattr(collecting._Run, "_let_go", let_go)
        assert other.collect().contents == 0
        assert session.artifacts.get("new").read() == LARGE
        sound(store)


def test_one_collect_runs_at_a_time(tmp_path, monkeypatch):
    with llmspell.open(tmp_path / "store") as store, llmspell.open(tmp_path / "store") as other:
        store.sessions.create("s").artifacts.put("f", LARGE)
        refused = []

        def progress(done, total):
            with pytest.raises(Busy) as busy:
                other.collect()
            refused.append(busy.value.code)
            assert other.estimate().dry_run

        store.collect(progress=progress)
        assert set(refused) == {"collect-running"}
        other.collect()


def test_a_collect_that_is_stopped_by_its_progress_can_be_run_again(store, session):
    session.artifacts.put("f", LARGE)
    session.artifacts.delete("f", hard=True)

    def stop(done, total):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.collect(progress=stop)
    assert store.collect().chunk_bytes == 300_000
    sound(store)


def test_a_pack_taken_from_under_a_put_makes_it_a_conflict_and_never_a_loss(tmp_path, monkeypatch, small_packs):
    """Where locks do not work, as on some network disks, pins say nothing."""
    with llmspell.open(tmp_path / "store") as store:
        content = store._store._files.content
        monkeypatch.setattr(content._connections.pins, "_count", -100)
        writer = ContentWriter(content)
        writer.feed(noise(6 * MIB, 9))
        taken = packs(store)
        assert len(taken) == 1
        taken[0].unlink()

        def go_on():
            writer.feed(noise(6 * MIB, 10))
            writer.finish()

        with pytest.raises(Conflict) as refused:
            go_on()
        assert refused.value.code == "content-collected"
        monkeypatch.undo()
        sound(store)


def test_writers_and_a_collector_at_once_lose_no_byte(tmp_path, small_packs):
    """Threads put, delete and put again overlapping contents while another collects without pause."""
    base = noise(600_000, 3)
    folder = tmp_path / "store"
    with llmspell.open(folder, durability="process") as store:
        session = store.sessions.create("s")
        stop = threading.Event()

        def write(number):
            chance = random.Random(number)
            for turn in range(25):
                cut = chance.randrange(0, 500_000)
                data = base[:cut] + b"%d/%d" % (number, turn) + base[cut : cut + chance.randrange(100_000)]
                with contextlib.suppress(Conflict):  # A stream whose chunks went.
                    info = session.artifacts.put(f"{number}", iter([data]) if turn % 3 == 0 else data)
                    assert store.artifacts.get(info.id).read() == data
                    if chance.random() < 0.6:
                        session.artifacts.delete(info.id, hard=True)

        def collect():
            with llmspell.open(folder, durability="process") as other:
                found = []
                while not stop.is_set():
                    found.append(other.collect().chunks)
                return found

        with ThreadPoolExecutor(4) as pool:
            collector = pool.submit(collect)
            writers = [pool.submit(write, number) for number in range(3)]
            try:
                for writer in writers:
                    writer.result(120)
            finally:
                stop.set()
            collected = collector.result(120)
        assert sum(collected) > 0
        sound(store)
        store.collect()
        assert store.orphans().chunks == 0
        sound(store)


# -- cost --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    "holding", "closed_row", "erased", "blob_page", "labels_closed_with", "quotas_for", "count_quota", "blob_form",
    "session_status", "used_in_session",
])  # fmt: skip
def test_what_a_collect_and_a_delete_ask_row_by_row_is_answered_by_an_index(face, store, name):
    sql_text = queries("llmspell.artifacts")[name]
    args = ("x",) if name == "holding" else ("x",) * sql_text.count("?")
    steps = [row[3] for row in sql(face, store)(f"EXPLAIN QUERY PLAN {sql_text}", args)]
    assert steps
    assert not [step for step in steps if step.startswith("SCAN") and "CONSTANT" not in step and "quota" not in step]


def test_a_put_without_quotas_asks_no_more_statements_than_it_did(tmp_path):
    with llmspell.open(tmp_path / "store", durability="process") as store:
        session = store.sessions.create("s")
        session.artifacts.put("f", b"1")
        asked = []
        connection = store._store._files.engine.writer

        def trace(cursor, statement, bindings):
            asked.append(statement)
            return True

        connection.exec_trace = trace
        session.artifacts.put("f", b"2")
        connection.exec_trace = None
        kinds = [statement.split()[0] for statement in asked]
        # Session, content, version; content's row, entry, version's row.
        assert kinds == ["BEGIN", "SELECT", "SELECT", "SELECT", "INSERT", "INSERT", "INSERT", "COMMIT"]
