"""Opening and creating: what is not ours is refused by name and left as it was."""

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

import llmspell
from llmspell.adapters.sqlite import store as store_files
from llmspell.adapters.sqlite.folder import StoreFolder
from llmspell.adapters.sqlite.store import open_store
from llmspell.errors import Corrupt, LlmspellError, NeedsMigration, ReadOnly, StorageFailed, StoreMissing
from llmspell.model.ids import SystemIds
from llmspell.schema import APPLICATION_ID


def snapshot(folder):
    """Names and bytes of everything below a folder. (The stores are closed; nobody's locks can be lost.)"""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def code(*args, **options):
    with pytest.raises(LlmspellError) as refused:
        llmspell.open(*args, **options).close()
    return refused.value.code


@pytest.fixture
def made(tmp_path):
    """The folder of a store with one value, closed."""
    with llmspell.open(tmp_path / "store") as store:
        store.state.set("a", 1)
    return tmp_path / "store"


def main_of(folder):
    return folder / "generation-000001" / "main.db"


def pragma(folder, text):
    connection = apsw.Connection(str(main_of(folder)))
    connection.execute(f"PRAGMA {text}")
    connection.close()


# -- what is not a store ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"create": False}, {"read_only": True}])
def test_a_folder_that_holds_something_else_is_refused_and_untouched(tmp_path, options):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "more.txt").write_text("mine too")
    before = snapshot(tmp_path)
    assert code(tmp_path, **options) == "foreign-store"
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("options", [{}, {"create": False}, {"read_only": True}])
def test_a_file_is_refused_and_untouched(tmp_path, options):
    path = tmp_path / "file"
    path.write_bytes(b"not a folder")
    assert code(path, **options) == "foreign-store"
    assert path.read_bytes() == b"not a folder"


def test_a_database_of_somebody_else_is_refused_and_untouched(tmp_path):
    path = tmp_path / "app.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = snapshot(tmp_path)
    assert code(path) == "foreign-store"
    assert snapshot(tmp_path) == before


def test_a_generation_with_somebody_elses_database_is_refused_and_untouched(made):
    main_of(made).unlink()
    connection = apsw.Connection(str(main_of(made)))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = snapshot(made)
    assert code(made) == "foreign-store"
    assert code(made, read_only=True) == "foreign-store"
    assert snapshot(made) == before


def test_a_generation_that_is_no_database_is_refused_and_untouched(made):
    for left in main_of(made).parent.iterdir():
        left.unlink()
    main_of(made).write_bytes(b"garbage " * 1000)
    before = snapshot(made)
    assert code(made) == "not-a-database"
    assert snapshot(made) == before


@pytest.mark.parametrize("options", [{}, {"read_only": True}])
def test_a_newer_format_is_refused_by_name_and_untouched(made, options):
    pragma(made, "user_version=2")
    pragma(made, "wal_checkpoint(TRUNCATE)")
    before = main_of(made).read_bytes()
    with pytest.raises(NeedsMigration, match="format 2") as refused:
        llmspell.open(made, **options)
    assert refused.value.code == "newer-format"
    assert main_of(made).read_bytes() == before
    pragma(made, "user_version=1")
    with llmspell.open(made) as store:
        assert store.state.get("a") == 1


def test_a_format_that_nobody_wrote_is_refused(made):
    pragma(made, "user_version=0")
    assert code(made) == "store-damaged"


def test_a_database_without_our_mark_is_refused(made):
    pragma(made, f"application_id={APPLICATION_ID + 1}")
    assert code(made) == "foreign-store"


@pytest.mark.parametrize(
    "text", ["", "../elsewhere", "generation-", "generation-1/../../x", "nonsense", "generation-x"]
)
def test_a_current_file_that_is_not_ours_is_refused(made, text):
    (made / "CURRENT").write_text(text)
    assert code(made) == "foreign-store"


def test_a_generation_that_is_missing_is_named(made):
    (made / "CURRENT").write_text("generation-000007\n")
    with pytest.raises(StorageFailed, match="generation-000007") as refused:
        llmspell.open(made)
    assert refused.value.code == "store-damaged"


@pytest.mark.parametrize("options", [{"create": False}, {"read_only": True}])
def test_a_missing_store_is_not_created_when_that_was_not_asked(tmp_path, options):
    with pytest.raises(StoreMissing) as refused:
        llmspell.open(tmp_path / "none", **options)
    assert (refused.value.code, refused.value.exit_status) == ("store-missing", 10)
    assert not (tmp_path / "none").exists()


def test_a_folder_where_nothing_may_be_made_is_a_named_error(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    assert code(tmp_path / "file" / "store") in {"cannot-create", "foreign-store", "store-missing"}


def test_an_engine_that_does_not_exist_is_refused(tmp_path):
    assert code("postgresql://localhost/x") == "unknown-engine"


# -- durability ------------------------------------------------------------------------------------------------------


def test_a_store_made_as_scratch_promises_nothing_else_ever(tmp_path):
    llmspell.open(tmp_path / "s", durability="none").close()
    assert code(tmp_path / "s", durability="full") == "scratch-store"
    assert code(tmp_path / "s", durability="process") == "scratch-store"
    with llmspell.open(tmp_path / "s") as store:
        assert store.durability == "none"


def test_a_store_that_promised_something_never_becomes_scratch(made):
    assert code(made, durability="none") == "invalid-durability"
    with llmspell.open(made) as store:
        assert store.durability == "full"
    with llmspell.open(made, durability="process") as store:
        assert store.durability == "process"


@pytest.mark.parametrize("durability", ["strong", "", "FULL", 1, True])
def test_a_durability_that_is_none_of_the_three_is_refused_before_anything_is_made(tmp_path, durability):
    assert code(tmp_path / "s", durability=durability) == "invalid-durability"
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("durability", ["full", "process"])
def test_memory_cannot_promise_what_only_a_disk_can(durability):
    assert code(":memory:", durability=durability) == "invalid-durability"


def test_memory_that_cannot_be_written_is_refused():
    assert code(":memory:", read_only=True) == "invalid-input"


# -- read-only -------------------------------------------------------------------------------------------------------


def test_a_read_only_handle_reads_everything_and_changes_nothing(made):
    with llmspell.open(made) as store:
        session = store.sessions.create("s")
        session.artifacts.put("small.txt", "small")
        session.artifacts.put("large.bin", os.urandom(200_000))
    with llmspell.open(made, read_only=True) as store:
        head = store.stats()["last_seq"]
        assert store.state.get("a") == 1
        held = store.sessions.open("s")
        assert held.artifacts.get("small.txt").text() == "small"
        assert len(held.artifacts.get("large.bin").read()) == 200_000
        assert store.verify().ok
        for change in (
            lambda: store.state.set("a", 2),
            lambda: store.state.delete("a"),
            store.state.clear,
            lambda: store.sessions.create("t"),
            held.suspend,
            lambda: held.artifacts.put("new.txt", "new"),
            lambda: held.artifacts.put("new.bin", os.urandom(200_000)),
            lambda: store.events.publish("a.b"),
        ):
            with pytest.raises(ReadOnly) as refused:
                change()
            assert refused.value.code == "read-only"
        assert store.stats()["last_seq"] == head


def test_a_read_only_handle_sees_what_a_writer_writes_meanwhile(made):
    with llmspell.open(made, read_only=True) as reader, llmspell.open(made) as writer:
        for n in range(5):
            writer.state.set("a", n)
            assert reader.state.get("a") == n


# -- creation --------------------------------------------------------------------------------------------------------

RACER = """
import sys, llmspell
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
with llmspell.open(sys.argv[1]) as store:
    store.state.set(sys.argv[2], sys.argv[2])
    print(store.id, flush=True)
"""


@pytest.mark.parametrize("attempt", range(3))
def test_four_processes_that_create_one_store_at_once_share_it(tmp_path, attempt):
    folder = tmp_path / "deep" / "store"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(folder), f"racer-{n}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    ids = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 4
    assert len(ids) == 1
    with llmspell.open(folder, create=False) as store:
        assert store.state.keys() == [f"racer-{n}" for n in range(4)]
        assert [entry.kind for entry in store.timeline(kinds=["store.created"])] == ["store.created"]
        assert store.verify().ok


def test_a_creation_finished_by_another_between_two_looks_is_no_stranger(made, monkeypatch):
    looks = iter([False, True, True, True, True])
    monkeypatch.setattr(StoreFolder, "exists", property(lambda self: next(looks)))
    StoreFolder(made).check_free()


def test_a_creation_that_crashed_halfway_is_started_over(tmp_path):
    folder = tmp_path / "store"
    generation = folder / "generation-000001"
    generation.mkdir(parents=True)
    (generation / "main.db").write_bytes(b"half a database")
    (generation / "main.db-wal").write_bytes(b"half a log")
    (folder / "turnstile.lock").write_bytes(b"")
    (folder / "CURRENT.new").write_text("generation-0000")
    assert code(folder, create=False) == "store-missing"
    with llmspell.open(folder) as store:
        store.state.set("a", 1)
        assert store.verify().ok


@pytest.mark.parametrize("at", ["create_tables", "publish"])
def test_a_creation_that_fails_leaves_no_store_and_can_be_tried_again(tmp_path, monkeypatch, at):
    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if at == "publish":
            patch.setattr(StoreFolder, "publish", fail)
        else:
            patch.setattr(store_files, "create_tables", fail)
        assert code(tmp_path / "s") in {"cannot-create", "disk-full"}
    assert code(tmp_path / "s", create=False) == "store-missing"
    with llmspell.open(tmp_path / "s") as store:
        assert store.state.set("a", 1) == 1


def test_a_store_whose_creator_died_before_the_first_entry_gets_it_from_the_next(tmp_path):
    open_store(tmp_path / "s", SystemIds()).close()
    with llmspell.open(tmp_path / "s") as store:
        assert [entry.kind for entry in store.timeline()] == ["store.created"]


def test_opening_again_writes_nothing(made):
    with llmspell.open(made) as store:
        head = store.stats()["last_seq"]
    with llmspell.open(made) as store:
        assert store.stats()["last_seq"] == head


def test_closing_twice_is_fine_and_later_calls_are_refused_by_name(made):
    store = llmspell.open(made)
    held = store.sessions.create("s")
    store.close()
    store.close()
    for call in (
        lambda: store.state.set("a", 1),
        lambda: store.state.get("a"),
        store.state.keys,
        store.sessions.list,
        held.suspend,
        lambda: held.artifacts.put("x", b"x"),
        lambda: store.events.publish("a.b"),
        store.timeline,
    ):
        for _ in range(2):
            with pytest.raises(LlmspellError) as refused:
                call()
            assert refused.value.code == "closed"


def test_an_identity_survives_opening_again(made):
    with llmspell.open(made) as store:
        first = store.id, store.timeline_id
    with llmspell.open(made) as store:
        assert (store.id, store.timeline_id) == first


def test_an_emptied_database_of_ours_is_damage_and_not_somebody_elses(made):
    main_of(made).write_bytes(b"")
    for options in ({}, {"read_only": True}):
        with pytest.raises(Corrupt) as refused:
            llmspell.open(made, **options)
        assert (refused.value.code, refused.value.exit_status) == ("store-damaged", 16)
    assert main_of(made).read_bytes() == b"", "it is left as it was"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc")
def test_no_file_stays_open_when_what_closing_finishes_fails(tmp_path, monkeypatch):
    store = llmspell.open(tmp_path / "s")
    store.state.set("a", 1)

    async def fail():
        raise StorageFailed("no room")

    monkeypatch.setattr(store._store._ledger, "flush", fail)
    with pytest.raises(StorageFailed, match="no room"):
        store.close()
    assert [one for one in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(one)] == []
