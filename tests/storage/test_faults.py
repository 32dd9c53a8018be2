"""A disk that fails: nothing is acknowledged that is not stored, and nothing is ever half there."""

import itertools

import apsw
import pytest

from llmspell.adapters.sqlite import checkpoint
from llmspell.errors import ReadOnly, StorageFailed
from llmspell.testing.harness import until
from llmspell.testing.units import add, check_chain, code_of, getting, note, open_journal, put, raised, rows, writing
from tests.storage.conftest import FACES, PLACES, Opener, named
from tests.storage.faulty import Disk


@pytest.fixture
def disk():
    made = Disk()
    yield made
    made.repair()
    made.unregister()


@pytest.fixture
def opener(face, place, tmp_path, disk):
    made = Opener(face, place, tmp_path)
    yield made
    disk.repair()
    made.close()


@pytest.mark.parametrize("face,place", named(FACES, ["full"]))
class TestFailedSync:
    def test_is_told_to_the_caller_and_ends_writing_on_this_handle(self, opener, disk):
        harness = opener()
        harness.run(writing(put("before", 1)))
        disk.fail_sync = apsw.SQLITE_IOERR_FSYNC
        assert code_of(lambda: harness.run(writing(put("during", 1)))) == "sync-failed"
        disk.repair()
        for _ in range(2):
            error = raised(lambda: harness.run(writing(put("after", 1))))
            assert isinstance(error, ReadOnly)
            assert error.code == "read-only-after-failure"
            assert error.hint

    def test_leaves_reading_as_it_was(self, opener, disk):
        harness = opener()
        harness.run(writing(put("before", 1)))
        disk.fail_sync = apsw.SQLITE_IOERR_FSYNC
        raised(lambda: harness.run(writing(put("during", 1))))
        assert harness.run(getting("before")) == (1,)

    def test_loses_nothing_acknowledged_and_invents_nothing(self, opener, disk):
        harness = opener()
        harness.run(writing(put("before", 1)))
        disk.fail_sync = apsw.SQLITE_IOERR_FSYNC
        raised(lambda: harness.run(writing(put("during", 1))))
        raised(lambda: harness.run(writing(put("after", 1))))
        opener.close()
        disk.repair()
        found = rows(opener())
        assert found.pop("before") == 1
        assert found in ({}, {"during": 1}), "what was not acknowledged may be there or not, but nothing else"

    def test_fails_every_unit_of_the_batch(self, opener, disk):
        harness = opener()
        heard = []
        harness.listen(heard.extend)
        harness.run(writing(put("before", 1)))
        disk.fail_sync = apsw.SQLITE_IOERR_FSYNC
        results = harness.batch([add("n") for _ in range(8)])
        assert [type(result) for result in results] in ([StorageFailed] * 8, [ReadOnly] * 8)
        assert heard == []

    def test_of_a_handle_opened_again_is_forgotten(self, opener, disk):
        harness = opener()
        disk.fail_sync = apsw.SQLITE_IOERR_FSYNC
        raised(lambda: harness.run(writing(put("during", 1))))
        opener.close()
        disk.repair()
        harness = opener()
        assert harness.run(writing(put("again", 1))) == 1


@pytest.mark.parametrize("face,place", named(FACES, ["process"]))
class TestFailedSyncOfAStrongWrite:
    def test_ends_writing_too(self, opener, disk):
        harness = opener()
        harness.run(writing(put("first", 1)))  # The first page of a WAL is synced whatever the durability.
        disk.fail_sync = apsw.SQLITE_IOERR_FSYNC
        assert harness.run(writing(put("weak", 1))) == 1, "a weak write does not sync"
        assert code_of(lambda: harness.run(writing(put("strong", 1), strong=True))) == "sync-failed"
        disk.repair()
        assert code_of(lambda: harness.run(writing(put("weak", 2)))) == "read-only-after-failure"


@pytest.mark.parametrize("face,place", named(FACES, ["process", "full"]))
class TestFailedWrite:
    def test_for_an_unknown_reason_ends_writing(self, opener, disk):
        harness = opener()
        harness.run(writing(put("before", 1)))
        disk.fail_write = apsw.SQLITE_IOERR_WRITE
        assert code_of(lambda: harness.run(writing(put("during", 1)))) == "io-failed"
        disk.repair()
        assert code_of(lambda: harness.run(writing(put("after", 1)))) == "read-only-after-failure"
        opener.close()
        found = rows(opener())
        assert found.pop("before") == 1
        assert found in ({}, {"during": 1})

    def test_for_lack_of_room_is_told_stores_nothing_and_is_over_when_there_is_room(self, opener, disk):
        harness = opener()
        journal = harness.run(open_journal)
        harness.run(lambda _: journal.write(note("before")))
        disk.fail_write = apsw.SQLITE_FULL
        for _ in range(3):
            assert code_of(lambda: harness.run(lambda _: journal.write(note("x" * 20_000)))) == "disk-full"
            assert len(check_chain(harness)) == 1
        disk.repair()
        assert harness.run(lambda _: journal.write(note("after"))) == 2
        opener.close()
        harness = opener()
        assert [entry.data["text"] for entry in check_chain(harness)] == ["before", "after"]

    def test_for_lack_of_room_fails_every_unit_of_the_batch(self, opener, disk):
        harness = opener()
        disk.fail_write = apsw.SQLITE_FULL
        results = harness.batch([add("n") for _ in range(8)])
        assert [result.code for result in results] == ["disk-full"] * 8
        disk.repair()
        assert rows(harness) == {}
        assert harness.batch([add("n") for _ in range(8)]) == list(range(1, 9))


@pytest.mark.parametrize("face,place", named(FACES, ["process"]))
class TestFailedCheckpoint:
    def fill(self, harness, monkeypatch):
        monkeypatch.setattr(checkpoint, "_START_PAGES", 2)
        told = []
        harness.engine.report = lambda what, error: told.append((what, error.code))
        for n in itertools.count():
            if told or n == 5000:
                break
            raised_or_written(harness, n)
        until(lambda: bool(told), "the failed checkpoint is reported")
        return told

    def test_that_could_not_sync_is_reported_and_ends_writing_and_checkpointing(self, opener, disk, monkeypatch):
        harness = opener()
        disk.only, disk.fail_sync = "main.db", apsw.SQLITE_IOERR_FSYNC
        assert self.fill(harness, monkeypatch) == [("checkpoint", "sync-failed")]
        disk.repair()
        assert code_of(lambda: harness.run(writing(put("after", 1)))) == "read-only-after-failure"
        disk.syncs.clear()
        opener.close()
        assert not [name for name in disk.syncs if name.endswith("main.db")], "no checkpoint after a failed one"
        assert "k0" in rows(opener())

    def test_that_found_no_room_is_reported_and_writing_goes_on(self, opener, disk, monkeypatch):
        harness = opener()
        disk.only, disk.fail_write = "main.db", apsw.SQLITE_FULL
        assert self.fill(harness, monkeypatch)[0] == ("checkpoint", "disk-full")
        assert harness.run(writing(put("after", 1))) == 1
        disk.repair()
        opener.close()
        assert rows(opener())["after"] == 1


def raised_or_written(harness, n):
    try:
        harness.run(writing(put(f"k{n}", n)))
    except ReadOnly:
        return


@pytest.mark.parametrize("face,place", named(FACES, PLACES))
class TestSyncs:
    def of_wal(self, disk):
        return sum(name.endswith("-wal") for name in disk.syncs)

    def test_each_acknowledged_write_is_synced_exactly_when_the_durability_says_so(self, opener, disk, request):
        harness = opener()
        harness.run(writing(put("a", -1)))
        disk.syncs.clear()
        for n in range(10):
            harness.run(writing(put("a", n)))
        assert self.of_wal(disk) == {"full": 10, "process": 0, "none": 0}[harness.engine.durability]

    def test_a_strong_write_is_synced_unless_the_store_is_scratch(self, opener, disk):
        harness = opener()
        harness.run(writing(put("a", -1)))
        disk.syncs.clear()
        harness.run(writing(put("a", 1), strong=True))
        assert self.of_wal(disk) == {"full": 1, "process": 1, "none": 0}[harness.engine.durability]
        harness.run(writing(put("a", 2)))
        assert self.of_wal(disk) == {"full": 2, "process": 1, "none": 0}[harness.engine.durability]

    def test_a_batch_is_synced_once(self, opener, disk):
        harness = opener()
        harness.run(writing(put("a", -1)))
        disk.syncs.clear()
        harness.batch([add("n") for _ in range(64)])
        assert self.of_wal(disk) <= {"full": 2, "process": 0, "none": 0}[harness.engine.durability]
