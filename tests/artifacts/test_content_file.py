"""The content file: faults of the disk, other processes, forks, bounds of memory and of the WAL."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest

from llmspell.adapters.sqlite import checkpoint, connection, content_connections, packs
from llmspell.adapters.sqlite.content import SqliteContent
from llmspell.adapters.sqlite.turnstile import FileTurn, ThreadTurn
from llmspell.artifacts.chunking import Tier
from llmspell.artifacts.content import ContentWriter
from llmspell.artifacts.content_check import verify_chunks
from llmspell.artifacts.content_reader import ContentReader
from llmspell.errors import Busy, Corrupt, NeedsMigration, ReadOnly, StorageFailed

MIB = 1 << 20


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def put(store, data):
    writer = ContentWriter(store)
    writer.feed(data)
    return writer.finish()


def run_python(body, *args, check=True):
    """Run a script in a process of its own; gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(body), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


# -- opening ----------------------------------------------------------------------------------------------------------


def test_opening_and_reading_make_no_file(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    assert store.generation() == 0
    assert store.stats().chunks == 0
    assert store.missing([3, 1]) == [1, 3]
    assert store.scan(0, 10) == []
    assert list(verify_chunks(store)) == []
    store.checkpoint()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_content_is_there_when_the_file_is_opened_again(tmp_path):
    data = noise(20 * MIB)
    store = SqliteContent(tmp_path / "content.db")
    blob = put(store, data)
    store.close()
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["content.db", "packs", "puts.lock"]
    for read_only in (True, False):
        again = SqliteContent(tmp_path / "content.db", read_only=read_only)
        assert ContentReader(again, blob).read_all() == data
        again.close()


def test_a_read_only_handle_refuses_to_write_and_reads_what_others_write(tmp_path):
    reader = SqliteContent(tmp_path / "content.db", read_only=True)
    with pytest.raises(ReadOnly):
        put(reader, noise(100_000))
    writer = SqliteContent(tmp_path / "content.db")
    blob = put(writer, noise(100_000))
    assert ContentReader(reader, blob).read_all() == noise(100_000)
    with pytest.raises(ReadOnly):
        reader.checkpoint()
    writer.close()
    reader.close()


def test_pages_are_32_kib_and_the_file_says_whose_it_is(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    put(store, noise(100_000))
    store.close()
    outside = apsw.Connection(str(tmp_path / "content.db"))
    assert (outside.pragma("page_size"), outside.pragma("journal_mode")) == (32768, "wal")
    assert (outside.pragma("application_id"), outside.pragma("user_version")) == (0x4C4C4D53, 1)
    outside.close()


def test_a_file_of_a_later_format_is_refused_by_name(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    put(store, noise(100_000))
    store.close()
    outside = apsw.Connection(str(tmp_path / "content.db"))
    outside.pragma("user_version", 2)
    outside.close()
    again = SqliteContent(tmp_path / "content.db")
    with pytest.raises(NeedsMigration, match="content format 2"):
        again.stats()
    with pytest.raises(NeedsMigration):
        put(again, noise(100_000))
    again.close()


@pytest.mark.parametrize("foreign", ["text", "database"])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path, foreign):
    path = tmp_path / "content.db"
    if foreign == "text":
        path.write_bytes(b"these are not the bytes of a database. " * 100)
    else:
        other = apsw.Connection(str(path))
        other.execute("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)")
        other.close()
    before = path.read_bytes()
    store = SqliteContent(path)
    for use in (store.stats, lambda: put(store, noise(100_000))):
        with pytest.raises(Corrupt) as caught:
            use()
        assert caught.value.code == "not-a-database"
    store.close()
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["content.db"]


def test_a_closed_store_refuses_everything(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    writer = ContentWriter(store)
    writer.feed(noise(2 * MIB))
    store.close()
    for use in (store.generation, store.append, writer.finish):
        with pytest.raises(StorageFailed) as caught:
            use()
        assert caught.value.code == "closed"


# -- faults of the disk -----------------------------------------------------------------------------------------------


class FaultyFile(apsw.VFSFile):
    def __init__(self, base, name, flags, faults):
        self._faults = faults
        super().__init__(base, name, flags)

    def xWrite(self, data, offset):  # noqa: N802  # SQLite's name
        if "full" in self._faults:
            raise apsw.FullError("planted")
        if "write" in self._faults:
            raise apsw.IOError("planted")
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802
        if "sync" in self._faults:
            failure = apsw.IOError("planted")
            setattr(failure, "extendedresult", apsw.SQLITE_IOERR_FSYNC)  # noqa: B010  # missing in the stubs
            raise failure
        super().xSync(flags)


class FaultyVfs(apsw.VFS):
    def __init__(self, name, faults):
        self._faults = faults
        super().__init__(name, "")

    def xOpen(self, name, flags):  # noqa: N802
        return FaultyFile("", name, flags, self._faults)


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    """A store, and the set of faults its writing connection meets."""
    faults: set[str] = set()
    name = f"faulty-{tmp_path.name}"
    vfs = FaultyVfs(name, faults)
    plain = connection.connect

    def connect(path, role, durability, **options):
        if role != "writer":
            return plain(path, role, durability, **options)
        plain(path, role, durability, **options).close()
        writer = apsw.Connection(str(path), vfs=name)
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA synchronous=FULL")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return writer

    monkeypatch.setattr(content_connections, "connect", connect)
    store = SqliteContent(tmp_path / "content.db")
    yield SimpleNamespace(store=store, faults=faults, folder=tmp_path)
    faults.clear()
    store.close()
    vfs.unregister()


def test_a_full_disk_fails_the_put_and_later_puts_work(faulty):
    kept = put(faulty.store, noise(100_000))
    faulty.faults.add("full")
    with pytest.raises(StorageFailed) as caught:
        put(faulty.store, noise(100_000, seed=2))
    assert caught.value.code == "disk-full"
    assert ContentReader(faulty.store, kept).read_all() == noise(100_000)
    faulty.faults.clear()
    blob = put(faulty.store, noise(100_000, seed=2))
    assert ContentReader(faulty.store, blob).read_all() == noise(100_000, seed=2)
    assert list(verify_chunks(faulty.store)) == []


@pytest.mark.parametrize("fault, code", [("sync", "sync-failed"), ("write", "io-failed")])
def test_after_a_failed_sync_or_write_the_handle_only_reads(faulty, fault, code):
    kept = put(faulty.store, noise(100_000))
    faulty.faults.add(fault)
    with pytest.raises(StorageFailed) as caught:
        put(faulty.store, noise(100_000, seed=2))
    assert caught.value.code == code
    assert isinstance(caught.value.__cause__, apsw.IOError)
    faulty.faults.clear()
    with pytest.raises(ReadOnly) as refused:
        put(faulty.store, noise(100_000, seed=3))
    assert refused.value.code == "read-only-after-failure"
    assert ContentReader(faulty.store, kept).read_all() == noise(100_000)
    again = SqliteContent(faulty.folder / "content.db")
    assert ContentReader(again, put(again, noise(100_000, seed=3))).read_all() == noise(100_000, seed=3)
    again.close()


@pytest.mark.parametrize(
    "call, number, code",
    [
        ("_write_all", errno.ENOSPC, "disk-full"),
        ("_write_all", errno.EIO, "io-failed"),
        ("_sync_file", errno.EIO, "sync-failed"),
        ("_sync_file", errno.ENOSPC, "sync-failed"),
    ],
)
def test_a_fault_of_a_pack_fails_the_put_and_leaves_no_pack(tmp_path, monkeypatch, call, number, code):
    store = SqliteContent(tmp_path / "content.db")
    data = noise(12 * MIB)
    with monkeypatch.context() as patch:

        def fail(*_):
            raise OSError(number, os.strerror(number))

        patch.setattr(packs, call, fail)
        with pytest.raises(StorageFailed) as caught:
            put(store, data)
        assert caught.value.code == code
        assert isinstance(caught.value.__cause__, OSError)
    assert list(tmp_path.glob("packs/*")) == []
    if code == "disk-full":
        assert ContentReader(store, put(store, data)).read_all() == data
    else:
        with pytest.raises(ReadOnly):
            put(store, noise(100_000))
    store.close()


def test_bytes_are_in_the_pack_and_synced_before_a_row_names_them(tmp_path, monkeypatch):
    store = SqliteContent(tmp_path / "content.db")
    put(store, noise(100_000))
    named = []
    outside = apsw.Connection(str(tmp_path / "content.db"))
    plain = packs._sync_file

    def sync(descriptor):
        named.append(
            next(outside.execute("SELECT count(*), coalesce(max(position), -1) FROM chunk WHERE pack IS NOT NULL"))
        )
        plain(descriptor)

    monkeypatch.setattr(packs, "_sync_file", sync)
    put(store, noise(12 * MIB))
    outside.close()
    assert named == [(0, -1)]
    store.close()


def test_scratch_stores_and_only_they_skip_the_sync(tmp_path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(packs, "_sync_file", synced.append)
    for durability, expected in (("none", 0), ("process", 1), ("full", 2)):
        folder = tmp_path / durability
        folder.mkdir()
        store = SqliteContent(folder / "content.db", durability=durability)  # type: ignore[arg-type]
        put(store, noise(12 * MIB))
        store.close()
        assert len(synced) == expected


def test_a_pack_written_in_bits_holds_the_same_bytes(tmp_path, monkeypatch):
    class Slow:
        def __init__(self, file):
            self._file = file

        def write(self, view):
            return self._file.write(view[:7000])

    def write_all(file, buffers):
        packs._write_each(Slow(file), buffers, skip=0)  # type: ignore[arg-type]

    monkeypatch.setattr(packs, "_write_all", write_all)
    store = SqliteContent(tmp_path / "content.db")
    data = noise(12 * MIB)
    assert ContentReader(store, put(store, data)).read_all() == data
    store.close()


def test_what_a_partial_write_left_is_written_from_there():
    written = bytearray()

    class Taking:
        def write(self, view):
            written.extend(view[:3])
            return min(3, len(view))

    packs._write_each(Taking(), [b"ab", b"cdefg", memoryview(b"hij")], skip=4)  # type: ignore[arg-type]
    assert written == b"efghij"


# -- several at once --------------------------------------------------------------------------------------------------

PUT_ALL = """
    import random, sys
    from pathlib import Path
    from llmspell.adapters.sqlite.content import SqliteContent
    from llmspell.adapters.sqlite.turnstile import FileTurn
    from llmspell.artifacts.content import ContentWriter
    from llmspell.artifacts.content_reader import ContentReader

    folder = Path(sys.argv[1])
    store = SqliteContent(folder / "content.db", turn=FileTurn(folder / "turn.lock"))
    print("ready", flush=True)
    sys.stdin.readline()
    for seed in range(3):
        data = random.Random(seed).randbytes((9 << 20) + seed)
        writer = ContentWriter(store)
        for start in range(0, len(data), 300_000):
            writer.feed(data[start:start + 300_000])
        blob = writer.finish()
        assert ContentReader(store, blob).read_all() == data
    store.close()
"""


def test_processes_that_put_the_same_content_at_once_store_it_once(tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(PUT_ALL), str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.communicate("go\n", timeout=90)
    assert [process.returncode for process in started] == [0, 0, 0]
    store = SqliteContent(tmp_path / "content.db")
    stats = store.stats()
    assert list(verify_chunks(store)) == []
    blobs = [put(store, random.Random(seed).randbytes((9 << 20) + seed)) for seed in range(3)]
    assert store.stats() == stats
    assert stats.chunks == sum(blob.chunk_count for blob in blobs)
    store.close()


def test_threads_may_put_and_read_at_once(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    failures: list[BaseException] = []

    def work(seed):
        try:
            for turn in range(4):
                data = noise(700_000 + turn, seed % 2)
                assert ContentReader(store, put(store, data)).read_all() == data
        except BaseException as exc:  # noqa: BLE001  # shown by the assert below
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(verify_chunks(store)) == []
    store.close()


def test_a_turn_that_is_held_too_long_is_busy_and_a_later_put_works(tmp_path):
    turn = ThreadTurn()
    store = SqliteContent(tmp_path / "content.db", turn=turn, busy_s=0.01)
    turn.acquire(1)
    with pytest.raises(Busy):
        put(store, noise(100_000))
    turn.release()
    assert ContentReader(store, put(store, noise(100_000))).read_all() == noise(100_000)
    store.close()


def test_a_foreign_transaction_makes_a_put_busy_and_nothing_more(tmp_path):
    store = SqliteContent(tmp_path / "content.db", busy_s=0.05)
    put(store, noise(100_000))
    foreign = apsw.Connection(str(tmp_path / "content.db"))
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        put(store, noise(100_000, seed=2))
    foreign.execute("ROLLBACK")
    put(store, noise(100_000, seed=2))
    foreign.close()
    store.close()


def test_the_turn_is_free_while_a_stream_waits_for_its_next_bytes(tmp_path):
    turn = FileTurn(tmp_path / "turn.lock")
    store = SqliteContent(tmp_path / "content.db", turn=turn)
    slow = ContentWriter(store)
    data = noise(20 * MIB)
    slow.feed(data[: 18 * MIB])
    slow._settle()
    assert turn.try_acquire()
    turn.release()
    other = put(store, noise(100_000))
    slow.feed(data[18 * MIB :])
    assert ContentReader(store, slow.finish()).read_all() == data
    assert ContentReader(store, other).read_all() == noise(100_000)
    store.close()


def test_opening_and_closing_leaves_no_file_open(tmp_path):
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("this system does not list open files")

    def open_here():
        found = []
        for link in folder.iterdir():
            with contextlib.suppress(OSError):  # It was closed while we looked: another test's, being collected.
                found.append(str(link.readlink()))
        return [path for path in found if path.startswith(str(tmp_path))]

    for seed in range(4):
        store = SqliteContent(tmp_path / "content.db", turn=FileTurn(tmp_path / "turn.lock"))
        data = noise(10 * MIB, seed)
        assert ContentReader(store, put(store, data)).read_all() == data
        store.close()
    assert open_here() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_neither_uses_nor_harms_the_parents_files(tmp_path):
    printed = run_python(
        """
        import os, random, sys, warnings
        from pathlib import Path
        from llmspell.adapters.sqlite.content import SqliteContent
        from llmspell.adapters.sqlite.turnstile import FileTurn
        from llmspell.artifacts.content import ContentWriter
        from llmspell.artifacts.content_reader import ContentReader
        from llmspell.errors import StorageFailed

        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads is what is tested
        def put(store, seed):
            writer = ContentWriter(store)
            writer.feed(random.Random(seed).randbytes(300_000))
            return writer.finish()
        path = Path(sys.argv[1]) / "content.db"
        store = SqliteContent(path, turn=FileTurn(path.parent / "turn.lock"))
        first = put(store, 1)
        ContentReader(store, first).read_all()
        long = random.Random(4).randbytes(20 << 20)
        halfway = ContentWriter(store)
        for start in range(0, 15 << 20, 1 << 20):
            halfway.feed(long[start:start + (1 << 20)])
        assert len(list(path.parent.glob("packs/*.pack"))) == 1
        child = os.fork()
        if child == 0:
            halfway.abort()
            store.poison()
            for use in (store.generation, lambda: put(store, 2), lambda: ContentReader(store, first).read_all()):
                try:
                    use()
                except StorageFailed as exc:
                    assert exc.code == "forked", exc.code
                else:
                    sys.exit(3)
            store.close()  # To open the file here anew is refused a floor above: SQLite's locks do not survive a fork.
            del store
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        second = put(store, 2)
        halfway.feed(long[15 << 20:])
        third = halfway.finish()
        store.close()
        again = SqliteContent(path)
        assert ContentReader(again, third).read_all() == long
        for seed, blob in ((1, first), (2, second)):
            assert ContentReader(again, blob).read_all() == random.Random(seed).randbytes(300_000)
        again.close()
        print("fine")
        """,
        tmp_path,
    )
    assert printed == "fine\n"


@pytest.mark.crash
def test_a_put_killed_on_the_way_leaves_only_chunks_nobody_names(tmp_path):
    run_python(
        """
        import os, random, signal, sys
        from pathlib import Path
        from llmspell.adapters.sqlite.content import SqliteContent
        from llmspell.artifacts.content import ContentWriter

        store = SqliteContent(Path(sys.argv[1]) / "content.db")
        writer = ContentWriter(store)
        data = random.Random(1).randbytes(40 << 20)
        for start in range(0, len(data), 1 << 20):
            writer.feed(data[start:start + (1 << 20)])
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path,
        check=False,
    )
    store = SqliteContent(tmp_path / "content.db")
    assert list(verify_chunks(store)) == []
    data = noise(40 * MIB)
    assert ContentReader(store, put(store, data)).read_all() == data
    store.close()


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_the_wal_stays_bounded_while_many_contents_are_stored(tmp_path):
    store = SqliteContent(tmp_path / "content.db", durability="process")
    longest = 0
    for seed in range(25):
        put(store, noise(6 * MIB, seed))
        longest = max(longest, (tmp_path / "content.db-wal").stat().st_size)
    assert longest < 128 * MIB
    store.close()


def test_the_committing_thread_bounds_the_wal_when_the_background_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.Checkpointer, "after_commit", lambda *_: apsw.SQLITE_OK)
    monkeypatch.setattr(content_connections, "_WAL_PAGES_MAX", 200)
    store = SqliteContent(tmp_path / "content.db", durability="process")
    for seed in range(20):
        put(store, noise(MIB, seed))
    assert (tmp_path / "content.db-wal").stat().st_size < 8 * MIB
    store.close()


def test_checkpoint_brings_what_was_put_into_the_file_itself(tmp_path):
    store = SqliteContent(tmp_path / "content.db", durability="process")
    data = noise(300_000)
    blob = put(store, data)
    store.checkpoint()
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "content.db").write_bytes(run_copy(tmp_path / "content.db"))
    alone = SqliteContent(moved / "content.db", read_only=True)
    assert ContentReader(alone, blob).read_all() == data
    alone.close()
    store.close()


def run_copy(path):
    """The bytes of a database file, read by another process: closing it in this one would drop SQLite's locks."""
    return subprocess.run(["cat", str(path)], capture_output=True, check=True, timeout=60).stdout


def test_a_stream_of_mostly_known_chunks_keeps_none_of_its_blocks(tmp_path):
    store = SqliteContent(tmp_path / "content.db")
    writer = ContentWriter(store, compression="none", tiers=(Tier(0, 1024, 4096, 16384),))
    tracemalloc.start()
    try:
        for seed in range(96):
            writer.feed(noise(1000, seed) + bytes(MIB - 1000))
        blob = writer.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert blob.size == 96 * MIB
    assert peak < 48 * MIB
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "prose"])
def test_a_stream_of_256_mib_adds_less_than_64_mib_of_memory(tmp_path, kind):
    printed = run_python(
        """
        import random, resource, sys
        from pathlib import Path
        from llmspell.adapters.sqlite.content import SqliteContent
        from llmspell.artifacts.content import ContentWriter
        from llmspell.artifacts.content_reader import ContentReader

        scale = 1 if sys.platform == "darwin" else 1024
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
        source = random.Random(1)
        def pieces():
            for _ in range(256):
                piece = source.randbytes(1 << 20)
                yield piece if sys.argv[2] == "noise" else piece.hex().encode()[: 1 << 20]
        warm = SqliteContent(":memory:")
        writer = ContentWriter(warm)
        writer.feed(b"warm")
        writer.finish()
        next(pieces())
        before = peak()
        store = SqliteContent(Path(sys.argv[1]) / "content.db")
        writer = ContentWriter(store)
        for piece in pieces():
            writer.feed(piece)
        blob = writer.finish()
        put = peak()
        assert sum(map(len, ContentReader(store, blob).stream())) == 256 << 20
        store.close()
        print(put - before, peak() - before)
        """,
        tmp_path,
        kind,
    )
    added_by_put, added_by_both = map(int, printed.split())
    assert added_by_put < 64 * MIB
    assert added_by_both < 64 * MIB
