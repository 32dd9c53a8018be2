"""Migrations of the store's own tables: whole or not at all, once, told by the journal; what cannot be is refused."""

import asyncio
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

import llmspell
from llmspell.adapters.sqlite.content_connections import CONTENT_FORMAT
from llmspell.adapters.sqlite.store import open_store
from llmspell.errors import Corrupt, LlmspellError, NeedsMigration, StorageFailed
from llmspell.journal.reapplying import PAGE_BYTES, _page_end
from llmspell.model.ids import SystemIds
from llmspell.schema import FORMAT
from llmspell.schema.migrations import MIGRATIONS, Migration, newest, newest_content
from tests.formats import migrated
from tests.formats.conftest import BIG
from tests.formats.migrated import CHAIN, CONTENT, NOTE, REBUILD, number, opened, opened_async, rows, told

DEADLINE_S = 60


def dump(folder):
    """Everything that the files hold, as SQL."""
    found = {}
    for name in ("main.db", "content.db"):
        path = folder / "generation-000001" / name
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            schema = list(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"))
            tables = [name for sort, name, _ in schema if sort == "table"]
            found[name] = [connection.pragma("user_version"), schema] + [
                list(connection.execute("SELECT * FROM " + table))  # noqa: S608 - a name that the file itself gave
                for table in tables
            ]
    return found


def is_whole(store):
    """All that the fixture put there, and a check that finds nothing."""
    session = store.sessions.open("work")
    assert store.state.get("a") == {"n": 1}
    assert store.state.get("long") == "text " * 1000
    assert session.state.get("k") == [1, 2]
    assert store.artifacts.get(session.artifacts.versions("large.bin")[0].id).read() == BIG
    assert [finding.what for finding in store.verify().findings] == []
    return True


# -- what this version has --------------------------------------------------------------------------------------------


def test_the_numbers_of_this_version_are_those_its_migrations_lead_to():
    assert newest(MIGRATIONS) == FORMAT
    assert newest_content(MIGRATIONS) == CONTENT_FORMAT
    assert (newest(CHAIN), newest_content(CHAIN)) == (4, 3)


@pytest.mark.parametrize("wrong", [(Migration(3),), (NOTE, NOTE), (NOTE, REBUILD), (Migration(1),)])
def test_migrations_that_leave_a_number_out_are_refused(wrong, folder):
    with pytest.raises(ValueError, match="without gaps"):
        open_store(folder, SystemIds(), migrations=wrong)


# -- what a migration does --------------------------------------------------------------------------------------------


def test_a_column_is_added_when_the_store_is_opened_for_writing_and_the_journal_tells(folder):
    with opened(folder, (NOTE,)) as store:
        assert told(store) == [(1, 2)]
        assert is_whole(store)
        last = next(iter(store.timeline(newest_first=True)))
        assert (last.kind, last.actor) == ("store.migrated", "maintenance")
        store.state.set("after", 1)
    assert number(folder) == 2
    assert {note for (note,) in rows(folder, "SELECT note FROM meta")} == {"none"}


def test_a_store_that_has_the_newest_format_is_left_alone(folder):
    opened(folder, CHAIN).close()
    with opened(folder, CHAIN) as store:
        assert told(store) == [(1, 4)]


def test_a_chain_is_one_step_from_the_format_found_to_the_newest(folder):
    opened(folder, (NOTE,)).close()
    with opened(folder, CHAIN) as store:
        assert told(store) == [(1, 2), (2, 4)]
        assert is_whole(store)
    assert (number(folder), number(folder, "content.db")) == (4, 3)
    assert [len(row) for row in rows(folder, "PRAGMA table_info(pack)", "content.db")] == [6] * 4


def test_projections_are_made_anew_from_the_journal(folder):
    with opened(folder, (NOTE, CONTENT, REBUILD)) as store:
        assert is_whole(store)


def test_without_a_rebuild_the_check_finds_what_the_same_steps_destroy(folder):
    with opened(folder, (NOTE, CONTENT, Migration(4, REBUILD.main))) as store:
        assert {finding.where for finding in store.verify().findings} == {"state", "session"}


def test_a_step_may_be_a_coroutine_over_the_transaction(folder):
    async def count(tx):
        (entries,) = await tx.one("SELECT count(*) FROM entry")
        await tx.run("INSERT INTO meta (name, value) VALUES ('counted', ?)", (entries,))

    with opened(folder, (Migration(2, (count,)),)) as store:
        before_it = store.stats()["last_seq"] - 1
    assert rows(folder, "SELECT value FROM meta WHERE name = 'counted'") == [(before_it,)]


def test_statements_after_one_that_gives_rows_run_too(folder):
    opened(
        folder, (Migration(2, ("SELECT name FROM meta; INSERT INTO meta (name, value) VALUES ('ran', 1);",)),)
    ).close()
    assert rows(folder, "SELECT value FROM meta WHERE name = 'ran'") == [(1,)]


def test_on_an_event_loop_it_migrates_beside_the_loop_and_a_failure_leaves_what_there_was(folder):
    turned = []

    async def wait_for_the_loop(tx):
        loop.call_soon_threadsafe(turned.append, True)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(DEADLINE_S)
        await tx.run("UPDATE state SET deleted = 1")

    async def main():
        nonlocal loop
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError):
            await opened_async(folder, (Migration(2, (wait_for_the_loop, _fail)),))
        assert turned == [True]
        async with await opened_async(folder, (Migration(2, (wait_for_the_loop,), rebuild=True),)) as store:
            assert await store.state.get("a") == {"n": 1}
            assert (await store.verify()).findings == []

    loop = None
    asyncio.run(main())


def test_a_store_whose_creation_was_cut_short_begins_with_its_first_entry(tmp_path):
    open_store(tmp_path / "s", SystemIds()).close()
    with opened(tmp_path / "s", (NOTE,)) as store:
        assert [entry.kind for entry in store.timeline()] == ["store.created"]
    assert number(tmp_path / "s") == 2


def test_pages_of_a_rebuild_are_bounded_in_bytes_and_never_empty():
    assert _page_end([]) is None
    assert _page_end([(1, 10), (2, None), (3, 10)]) == 3
    assert _page_end([(1, PAGE_BYTES), (2, 1)]) == 1
    assert _page_end([(7, PAGE_BYTES * 3), (8, 1)]) == 7


# -- what fails leaves what there was ---------------------------------------------------------------------------------


async def _fail(_tx):
    raise RuntimeError("the step failed")


FAILING = {
    "bad SQL in a later step": Migration(2, (*NOTE.main, "UPDATE nothing SET x = 1")),
    "a step that raises": Migration(2, (*NOTE.main, _fail)),
    "a later migration": Migration(3, (_fail,)),
    "its own commit": Migration(2, (*NOTE.main, "DELETE FROM state; COMMIT; BEGIN")),
    "a rollback": Migration(2, (*NOTE.main, "ROLLBACK")),
    "another file": Migration(2, ("ATTACH ':memory:' AS other",)),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_migration_that_fails_changes_nothing_and_the_next_opening_does_it(folder, what):
    before = dump(folder)
    failing = FAILING[what]
    chain = (failing,) if failing.to == 2 else (NOTE, failing)
    with pytest.raises((LlmspellError, RuntimeError, apsw.Error)):
        opened(folder, chain)
    assert dump(folder) == before
    with llmspell.open(folder) as store:
        assert is_whole(store)
    with opened(folder, CHAIN) as store:
        assert is_whole(store)


def test_a_damaged_journal_is_built_upon_by_no_rebuild(folder):
    with closing(apsw.Connection(str(folder / "generation-000001" / "main.db"))) as connection:
        connection.execute("""UPDATE entry SET payload = '{"forged": 1}' WHERE seq = 2""")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    before = dump(folder)
    with pytest.raises(Corrupt) as refused:
        opened(folder, (NOTE, Migration(3, rebuild=True)))
    assert refused.value.details["seq"] == 2
    assert dump(folder) == before
    with opened(folder, (NOTE,)) as store:  # What builds nothing upon it goes on, and the check finds it.
        assert not store.verify().ok


def test_an_entry_that_is_missing_stops_a_rebuild(folder):
    with closing(apsw.Connection(str(folder / "generation-000001" / "main.db"))) as connection:
        connection.execute("DELETE FROM entry WHERE seq = 3")
    with pytest.raises(Corrupt, match="3 to 3 are missing"):
        opened(folder, (Migration(2, rebuild=True),))
    assert number(folder) == 1


def test_a_handle_whose_migration_failed_holds_nothing(folder):
    with pytest.raises(RuntimeError):
        opened(folder, (FAILING["a step that raises"],))
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not say which files are open")
    links = [os.fspath(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [link for link in links if link.startswith(str(folder))] == []


# -- two files --------------------------------------------------------------------------------------------------------


def test_content_goes_first_and_what_was_cut_off_in_between_is_made_good(folder):
    with pytest.raises(RuntimeError):
        opened(folder, (NOTE, CONTENT, Migration(4, (_fail,))))
    assert (number(folder), number(folder, "content.db")) == (1, 3)
    with llmspell.open(folder) as store:  # The older version still has its journal, and refuses the content by name.
        assert store.state.get("a") == {"n": 1}
        session = store.sessions.open("work")
        with pytest.raises(NeedsMigration, match="content format 3"):
            store.artifacts.get(session.artifacts.versions("large.bin")[0].id).read()
    with opened(folder, CHAIN) as store:
        assert told(store) == [(1, 4)]
        assert is_whole(store)
    assert rows(folder, "SELECT format FROM meta", "content.db") == [(3,)]


def test_content_that_is_older_than_the_main_file_is_migrated_by_the_next_opening(folder):
    opened(folder, CHAIN).close()
    with closing(apsw.Connection(str(folder / "generation-000001" / "content.db"))) as connection:
        connection.execute("ALTER TABLE pack DROP COLUMN note")
        connection.pragma("user_version", 1)
    with pytest.raises(NeedsMigration):
        opened(folder, CHAIN, read_only=True)
    with opened(folder, CHAIN) as store:
        assert told(store) == [(1, 4)]
        assert is_whole(store)
    assert number(folder, "content.db") == 3


def test_content_of_a_newer_format_beside_an_older_main_file_is_refused_before_anything_is_done(folder):
    with closing(apsw.Connection(str(folder / "generation-000001" / "content.db"))) as connection:
        connection.pragma("user_version", 9)
    before = dump(folder)
    with pytest.raises(NeedsMigration, match="content format 9"):
        opened(folder, CHAIN)
    assert dump(folder) == before


def test_a_store_without_large_content_needs_no_content_file(tmp_path):
    with llmspell.open(tmp_path / "s") as store:
        store.state.set("a", 1)
    with opened(tmp_path / "s", CHAIN) as store:
        assert store.verify().ok
    assert not (tmp_path / "s" / "generation-000001" / "content.db").exists()


# -- who may not ------------------------------------------------------------------------------------------------------


def test_reading_an_older_format_is_refused_and_touches_nothing(folder):
    before = {
        path.name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".db-shm"
    }
    with pytest.raises(NeedsMigration, match="read-only") as refused:
        opened(folder, (NOTE,), read_only=True)
    assert (refused.value.code, refused.value.exit_status) == ("needs-migration", 15)
    after = {
        path.name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".db-shm"
    }
    assert {name: data for name, data in after.items() if data} == {name: data for name, data in before.items() if data}


def test_an_older_version_is_refused_by_name_afterwards(folder):
    opened(folder, (NOTE,)).close()
    for options in ({}, {"read_only": True}):
        with pytest.raises(NeedsMigration, match="format 2") as refused:
            llmspell.open(folder, **options)
        assert refused.value.code == "newer-format"


def test_a_process_that_had_it_open_is_refused_at_its_next_write(folder):
    with llmspell.open(folder) as old:
        old.sessions.open("work").artifacts.put("before.bin", BIG + b"before")
        with opened(folder, CHAIN) as store:
            head = store.stats()["last_seq"]
            for _ in range(2):
                with pytest.raises(NeedsMigration, match="format 4") as refused:
                    old.state.set("late", 1)
                assert refused.value.code == "newer-format"
            with pytest.raises(NeedsMigration, match="content format 3"):
                old.sessions.open("work").artifacts.put("late.bin", BIG + b"late")
            assert store.stats()["last_seq"] == head
            assert store.state.get("late") is None
            assert is_whole(store)


# -- several processes ------------------------------------------------------------------------------------------------


def test_processes_that_open_at_once_migrate_it_once(folder):
    command = [sys.executable, migrated.__file__, str(folder)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    outs = [child.communicate(timeout=DEADLINE_S)[0] for child in children]
    assert (outs, [child.returncode for child in children]) == (["done\n"] * 3, [0] * 3)
    with opened(folder, CHAIN) as store:
        assert told(store) == [(1, 4)]
        assert is_whole(store)


def test_whoever_waits_for_a_migration_longer_than_it_may_is_told_busy(folder):
    files = open_store(folder, SystemIds(), migrations=(NOTE,))
    other = open_store(folder, SystemIds(), migrations=(NOTE,))
    try:
        files.engine.turn.acquire()
        other.engine.busy_timeout_s = 0.01
        with pytest.raises(llmspell.Busy):
            other.migrate(lambda *_: None)
        files.engine.turn.release()
    finally:
        files.close()
        other.close()
    assert number(folder) == 1


def test_a_write_lock_of_somebody_who_does_not_queue_is_waited_for(folder):
    files = open_store(folder, SystemIds(), migrations=(NOTE,))
    files.engine.busy_timeout_s = 0.01
    with closing(apsw.Connection(str(folder / "generation-000001" / "main.db"))) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(llmspell.Busy):
            files.migrate(lambda *_: None)
        shell.execute("ROLLBACK")
    files.close()
    with opened(folder, (NOTE,)) as store:
        assert told(store) == [(1, 2)]


def test_storage_failures_are_of_the_tree(folder):
    with pytest.raises(StorageFailed):
        opened(folder, (FAILING["bad SQL in a later step"],))
