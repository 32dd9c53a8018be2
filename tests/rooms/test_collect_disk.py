"""Collecting and shredding on a disk that is full, that fails, and that may lose its power."""

import random
import shutil
import subprocess
import sys

import apsw
import pytest

import llmspell
from llmspell import RetentionPolicy
from llmspell.adapters.sqlite.content_sweep import Sweep
from llmspell.errors import NotFound, StorageFailed
from llmspell.model.clock import ManualClock
from tests.storage.faulty import Disk, File

MIB = 1 << 20


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def sound(store):
    report = store.verify()
    assert report.ok, [finding.what for finding in report.findings]
    return store


class SmallDisk(Disk):
    """Has room for so many bytes of a WAL of the content file; the file cannot grow beyond."""

    def __init__(self):
        super().__init__()
        self.wal_bytes_max = None

    def xOpen(self, name, flags):  # noqa: N802 - SQLite's name
        return SmallFile(self, name, flags)


class SmallFile(File):
    def xWrite(self, data, offset):  # noqa: N802 - SQLite's name
        limit = self.disk.wal_bytes_max
        if limit is not None and self.name.endswith("content.db-wal") and offset + len(data) > limit:
            raise apsw.exception_for(apsw.SQLITE_FULL)
        return super().xWrite(data, offset)


@pytest.fixture
def disk():
    made = SmallDisk()
    yield made
    made.repair()
    made.unregister()


@pytest.fixture
def store(disk, tmp_path):
    with llmspell.open(tmp_path / "store", durability="process") as opened:
        session = opened.sessions.create("s")
        session.artifacts.put("gone", noise(3 * MIB))
        session.artifacts.put("kept", noise(MIB, 2))
        session.artifacts.delete("gone", hard=True)
        yield opened
        disk.repair()
        disk.wal_bytes_max = None


def kept(store):
    found = store.sessions.list().items[0].id
    return store.sessions.open(found).artifacts.get("kept").read() == noise(MIB, 2)


@pytest.mark.parametrize("only", ["content.db-wal", "main.db-wal"])
def test_a_disk_without_any_room_is_told_and_the_next_collect_finishes(store, disk, only):
    disk.only, disk.fail_write = only, apsw.SQLITE_FULL
    for _ in range(2):
        with pytest.raises(StorageFailed) as refused:
            store.collect()
        assert refused.value.code == "disk-full"
        assert kept(store)
    disk.repair()
    sound(store)
    assert store.collect().chunk_bytes == 3 * MIB
    assert kept(sound(store))


def test_a_disk_with_hardly_any_room_is_collected_in_small_steps(store, disk):
    store._store._files.content.checkpoint()
    disk.wal_bytes_max = 300_000  # Less than what a batch takes.
    assert store.collect().chunk_bytes == 3 * MIB
    assert kept(store)
    disk.wal_bytes_max = None
    sound(store)
    assert store.orphans().chunks == 0


@pytest.mark.parametrize("only", ["content.db-wal", "main.db-wal"])
def test_a_disk_that_fails_is_told_and_loses_nothing(tmp_path, store, disk, only):
    disk.only, disk.fail_write = only, apsw.SQLITE_IOERR_WRITE
    with pytest.raises(StorageFailed) as refused:
        store.collect()
    assert refused.value.code == "io-failed"
    disk.repair()
    with llmspell.open(tmp_path / "store", durability="process") as again:
        assert kept(sound(again))
        assert again.collect().chunk_bytes == 3 * MIB


def test_what_lets_chunks_go_is_on_the_disk_before_they_do(store, disk, monkeypatch):
    """A power cut takes the last commits of a store opened with ``process``; it must not take that one alone."""
    real, synced = Sweep.remove, []

    def remove(self, ids):
        synced.append(any(name.endswith("main.db-wal") for name in disk.syncs))
        return real(self, ids)

    monkeypatch.setattr(Sweep, "remove", remove)
    store.state.set("a", 1)
    disk.syncs.clear()
    store.state.set("a", 2)
    assert not [name for name in disk.syncs if name.endswith("main.db-wal")], "a weak commit does not sync"
    store.collect()
    assert synced
    assert all(synced)


# -- a real one --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A disk of 32 MiB, half of which is worth a reserve."""
    monkeypatch.setattr("llmspell.adapters.sqlite.reserve.WORTH_BYTES", 16 * MIB)
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("a small disk is made with Linux's mount")
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"this user may not mount: {made.stderr.decode()[:100]}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(path, room):
    """A file that leaves ``room`` bytes of the disk."""
    with path.open("wb", buffering=0) as file:
        free = shutil.disk_usage(path.parent).free
        file.write(bytes(max(0, free - room)))


def put_until_full(artifacts):
    for number in range(100):
        if code_of(lambda number=number: artifacts.put(f"f{number}", noise(2 * MIB, number))) == "disk-full":
            return number
    raise AssertionError("the disk has room for more than it is large")


def code_of(call):
    try:
        call()
    except StorageFailed as exc:
        return exc.code
    return None


@pytest.mark.parametrize("room", [6 * MIB, 0])
def test_a_full_disk_has_room_again_after_a_collect(small, room):
    """What the WAL holds has to find its place in the file first: up to some MiB, whatever is removed then."""
    fill(small / "spare", 24 * MIB)
    with llmspell.open(small / "store") as store:
        session = store.sessions.create("s")
        count = put_until_full(session.artifacts)
        assert count >= 4
        (small / "spare").unlink()  # To say what may go takes room, too.
        assert session.artifacts.delete_matching(name="f[13579]", hard=True) >= 2
        fill(small / "ballast", room)
        sound(store)
        assert code_of(store.collect) in {None} | ({"disk-full"} if room == 0 else set())
        sound(store)
        (small / "ballast").unlink()
        store.collect()
        assert store.orphans().chunks == 0
        for number in range(0, min(count, 10), 2):
            assert session.artifacts.get(f"f{number}").read() == noise(2 * MIB, number)
        session.artifacts.put("again", noise(2 * MIB, 1))
        session.artifacts.put("again", noise(2 * MIB, 3))
        sound(store)
    with llmspell.open(small / "store") as store:
        assert sound(store).orphans().chunks == 0


def test_a_put_that_found_no_room_leaves_the_room_there_was(small):
    with llmspell.open(small / "store") as store:
        session = store.sessions.create("s")
        session.artifacts.put("f", noise(2 * MIB))
        store._store._files.content.checkpoint()
        fill(small / "ballast", 5 * MIB)
        before = shutil.disk_usage(small).free
        assert code_of(lambda: session.artifacts.put("g", noise(7 * MIB, 2))) == "disk-full"
        assert shutil.disk_usage(small).free > before - MIB
        assert session.artifacts.delete("f", hard=True) == 1
        assert store.collect().contents == 1
        sound(store)


def fill_up(place):
    """Somebody else takes all that is left."""
    with (place / "others").open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass
    assert shutil.disk_usage(place).free == 0


@pytest.mark.parametrize("opened_again", [False, True])
@pytest.mark.parametrize("size", [100_000, 900_000, 2 * MIB, 5 * MIB])
def test_a_store_on_a_full_disk_makes_room_by_itself(small, size, opened_again):
    store = llmspell.open(small / "store")
    artifacts = store.sessions.create("s").artifacts
    count = 0
    while code_of(lambda count=count: artifacts.put(f"f{count}", noise(size, count))) is None:
        count += 1
    assert (small / "store" / "generation-000001" / "reserve").stat().st_size == MIB
    if opened_again:
        store.close()
    fill_up(small)
    if opened_again:
        store = llmspell.open(small / "store")
        artifacts = store.sessions.open("s").artifacts
    with store:
        gone = artifacts.delete_matching(name="f*[02468]", hard=True)
        report = store.collect()
        assert report.contents == gone
        # The put that found the disk full may have stored its chunks before.
        assert report.content_bytes + report.chunk_bytes - gone * size in {0, size}
        assert report.freed_bytes > gone * size * 0.8
        assert shutil.disk_usage(small).free > gone * size * 0.8 - MIB
        assert artifacts.put("again", noise(size, 1)).version == 1
        assert artifacts.get("f1").read() == noise(size, 1)
        sound(store)
        assert store.orphans().chunks == 0


def test_room_is_set_aside_again_by_the_collect_that_made_it(small):
    with llmspell.open(small / "store") as store:
        artifacts = store.sessions.create("s").artifacts
        while code_of(lambda: artifacts.put("f", noise(2 * MIB, len(artifacts.list(all_versions=True))))) is None:
            pass
        fill_up(small)
        reserve = small / "store" / "generation-000001" / "reserve"
        for version in (1, 2):
            assert reserve.stat().st_size == MIB
            assert artifacts.delete("f", version=version, hard=True) == 1
            assert not reserve.exists()
            assert store.collect().contents == 1
            fill_up(small)
        sound(store)


def test_what_can_be_undone_leaves_the_room_to_what_frees_some(small):
    with llmspell.open(small / "store") as store:
        artifacts = store.sessions.create("s").artifacts
        for number in range(12):
            artifacts.put(f"f{number}", noise(2 * MIB, number))
        fill_up(small)
        reserve = small / "store" / "generation-000001" / "reserve"
        told = (code_of(lambda again=again: again("f0")) for again in (artifacts.delete, artifacts.undelete) * 500)
        assert next(filter(None, told)) == "disk-full"
        assert reserve.stat().st_size == MIB
        assert artifacts.delete_matching(name="f*", hard=True) >= 11
        assert not reserve.exists()
        assert store.collect().contents >= 11


def test_a_small_store_sets_nothing_aside(tmp_path, monkeypatch):
    monkeypatch.setattr("llmspell.adapters.sqlite.reserve.WORTH_BYTES", 16 * MIB)
    with llmspell.open(tmp_path / "store", durability="none") as store:
        artifacts = store.sessions.create("s").artifacts
        artifacts.put("f", noise(MIB))
        reserve = tmp_path / "store" / "generation-000001" / "reserve"
        assert not reserve.exists()
        for number in range(16):
            artifacts.put("f", noise(MIB, number + 2))
        assert reserve.stat().st_size == MIB


@pytest.mark.parametrize("by", ["delete", "cleanup", "background"])
def test_sessions_that_go_for_good_make_room_on_a_full_disk(small, by):
    clock, newest = ManualClock(), RetentionPolicy(max_count=1, hard=True)
    with llmspell.open(small / "store", clock=clock) as store:
        if by == "background":
            store.sessions.set_retention(newest, every_s=3600)
            store._store._maintenance.run()
        for number in range(2):
            session = store.sessions.create(f"s{number}")
            for version in range(8):
                session.artifacts.put("f", noise(MIB + MIB // 4, 10 * number + version))
            session.complete()
        fill_up(small)
        if by == "delete":
            store.sessions.delete("s0", hard=True)
        elif by == "cleanup":
            assert len(store.sessions.cleanup(newest).deleted) == 1
        else:
            clock.advance(4000)
            for _ in range(3):  # Each failure ends a run of maintenance.
                store._store._maintenance.run()
            assert [info.name for info in store.sessions.list()] == ["s1"]
        assert store.collect().contents == 8
        assert store.sessions.open("s1").artifacts.put("again", noise(MIB)).version == 1
        sound(store)


def filled_with(store, gone, kept):
    """Two sessions with so many MiB and a quarter of content each, on a disk without room for more."""
    for name, count, seed in (("gone", gone, 100), ("kept", kept, 200)):
        session = store.sessions.create(name, state={f"k{number}": "v" * 300 for number in range(100)})
        for version in range(count):
            session.artifacts.put("f", noise(MIB + MIB // 4, seed + version))
        session.complete()
    return store.sessions.get("gone").id


def test_a_session_is_shredded_on_a_full_disk_whose_room_comes_back(small):
    with llmspell.open(small / "store") as store:
        gone = filled_with(store, 12, 2)
        fill_up(small)
        done = store.sessions.shred(gone)
        assert (done.artifact_versions, done.contents, done.state_keys) == (12, 12, 100)
        assert shutil.disk_usage(small).free > 14 * MIB
        assert store.sessions.open("kept").artifacts.get("f", version=1).read() == noise(MIB + MIB // 4, 200)
        sound(store)


def test_where_files_cannot_be_written_anew_a_shredding_is_told_to_be_unfinished(small):
    with llmspell.open(small / "store") as store:
        gone = filled_with(store, 4, 9)
        fill_up(small)
        with pytest.raises(StorageFailed, match="what the session held is deleted, but") as refused:
            store.sessions.shred(gone)
        assert "nothing was stored" not in str(refused.value.hint)
        assert code_of(lambda: store.sessions.shred(gone)) == "disk-full"
        assert [finding.what for finding in store.verify().findings] == [
            f"the shredding of session {gone} was begun and not finished: shred it again"
        ]
        with pytest.raises(NotFound):
            store.sessions.get(gone)
        (small / "others").unlink()
        store.sessions.shred(gone)
        assert store.sessions.open("kept").artifacts.get("f", version=1).read() == noise(MIB + MIB // 4, 200)
        sound(store)


def test_a_delete_that_makes_no_room_leaves_what_is_set_aside(small):
    with llmspell.open(small / "store") as store:
        gone = filled_with(store, 8, 6)
        fill_up(small)
        assert code_of(lambda: store.sessions.delete(gone)) == "disk-full"
        assert (small / "store" / "generation-000001" / "reserve").stat().st_size == MIB
        store.sessions.delete(gone, hard=True)
        assert store.collect().contents == 8
        sound(store)
