"""A store of any format that there ever was opens, is sound, holds what it held, and takes new entries."""

import asyncio
import json
from contextlib import closing

import apsw
import pytest

from llmspell.artifacts.compression import Codec
from llmspell.entry_kinds import KINDS
from llmspell.errors import NeedsMigration
from llmspell.model.clock import ManualClock
from llmspell.model.ids import SystemIds
from llmspell.model.session import SessionStatus
from llmspell.opening import open_async
from llmspell.schema import FORMAT, later_tables
from llmspell.state.classes import StateClass
from llmspell.verify import PROJECTIONS
from tests.golden.content import KEY
from tests.golden.make import PACKED_BYTES_MAX, RELEASED
from tests.golden.store import (
    KEYS,
    NO_DUMP,
    STORE,
    digest,
    dump_tables,
    folder_of,
    formats,
    kept_dump,
    lines_of,
    look,
    recorded,
    unpack,
)

NEVER_WRITTEN = {
    "store.migrated": "a new store has the newest tables; a golden one of an older format gets it by being opened",
}
"""Kinds that no golden store of its own format can hold."""
EMPTY_TABLES = set()
"""Tables that no golden store has rows in; each with its reason."""
AFTER_NS = 1_800_000_000_000_000_000
"""When the stores are opened: after they were made, before what is to be kept for long expires."""
MAKE = "add it to tests/golden/content.py, then run python -m tests.golden.make"


@pytest.fixture(params=formats())
def number(request):
    return request.param


@pytest.fixture
def store(number, tmp_path, monkeypatch):
    """The folder of a golden store, unpacked."""
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / KEYS))
    return unpack(number, tmp_path) / STORE


def in_store(folder, work, **options):
    """What ``work`` gives on the opened store."""

    async def main():
        async with await open_async(folder, key=KEY, clock=ManualClock(AFTER_NS, step_ns=1000), **options) as opened:
            return await work(opened)

    return asyncio.run(main())


async def is_sound(opened):
    return [finding.what for finding in (await opened.verify()).findings]


def kept(number, *start):
    """The kept lines that begin with these parts, decoded."""
    rows = (json.loads(line) for line in kept_dump(number))
    return [row[len(start) :] for row in rows if tuple(row[: len(start)]) == start]


# -- the files --------------------------------------------------------------------------------------------------------


def test_each_golden_store_is_the_one_that_was_recorded():
    assert {number: digest(number) for number in formats()} == recorded()


def test_every_format_up_to_this_one_has_a_golden_store():
    assert formats() == list(range(1, FORMAT + 1))
    assert set(formats()) >= RELEASED


def test_golden_stores_are_small(number):
    assert (folder_of(number) / "store.zip").stat().st_size <= PACKED_BYTES_MAX


def test_what_is_unpacked_is_what_was_packed(number, store):
    rooms = [line for line in kept_dump(number) if line.startswith('["rooms"')]
    assert list(lines_of(dump_tables(store), {})) + rooms == kept_dump(number)


# -- opening ----------------------------------------------------------------------------------------------------------


def test_it_opens_for_writing_is_sound_and_its_rooms_answer_as_they_did(number, store):
    async def work(opened):
        assert await is_sound(opened) == []
        return await look(opened)

    found = {tuple(row[:2]): row[2] for row in (json.loads(line)[1:] for line in lines_of({}, in_store(store, work)))}
    for room, key, answer in kept(number, "rooms"):
        assert covers(answer, found[room, key]), (room, key, answer, found[room, key])


def covers(was, now):
    """Whether all that was answered is answered still; a later version may tell more."""
    if isinstance(was, dict):
        return isinstance(now, dict) and all(name in now and covers(was[name], now[name]) for name in was)
    if isinstance(was, list):
        return isinstance(now, list) and len(was) == len(now) and all(map(covers, was, now))
    return type(was) is type(now) and was == now


def test_every_entry_is_what_it_was(number, store):
    in_store(store, is_sound)
    wanted = kept(number, "main.db", "entry")
    columns = list(wanted[0][0])
    found = dump_tables(store)["main.db"]["tables"]["entry"][: len(wanted)]
    assert [{name: row[name] for name in columns} for row in found] == [row for (row,) in wanted]


def test_an_older_one_is_read_only_after_it_was_opened_for_writing_once(number, store):
    if number < FORMAT:
        with pytest.raises(NeedsMigration):
            in_store(store, is_sound, read_only=True)
        in_store(store, is_sound)
    assert in_store(store, is_sound, read_only=True) == []


def test_it_takes_new_entries_and_keeps_them(store):
    async def write(opened):
        head = (await opened.stats())["last_seq"]
        await opened.state.set("value/text", "new")
        await opened.state.set("class/sensitive", "new secret", state_class="sensitive")
        session = await opened.sessions.open("active")
        await session.artifacts.put("notes.txt", "newest")
        await session.artifacts.put("chunked.bin", bytes(range(256)) * 1000, compression="none")
        await session.complete()
        await opened.agents.append("planner", "user", "go on")
        return head

    async def read(opened):
        session = await opened.sessions.open("active")
        assert await opened.state.get("value/text") == "new"
        assert await opened.state.get("class/sensitive") == "new secret"
        assert await (await session.artifacts.get("notes.txt")).text() == "newest"
        assert len(await (await session.artifacts.get("chunked.bin")).read()) == 256_000
        assert (await opened.agents.load("planner")).conversation[-1].content == "go on"
        return (await opened.stats())["last_seq"], await is_sound(opened)

    head = in_store(store, write, ids=SystemIds())
    last, findings = in_store(store, read)
    assert (last >= head + 6, findings) == (True, [])


def test_its_tables_are_those_of_a_new_store(store, tmp_path):
    in_store(store, is_sound)
    fresh = tmp_path / "fresh"

    async def with_content(opened):
        await (await opened.sessions.create("s")).artifacts.put("x", bytes(range(256)) * 200, compression="none")

    in_store(fresh, with_content)
    with closing(apsw.Connection(str(fresh / "generation-000001" / "main.db"))) as connection:
        for group in dict.fromkeys(later_tables().values()):
            connection.execute(group)
    for name in ("main.db", "content.db"):
        assert tables(store, name) == tables(fresh, name), f"{name}: a migration is missing, or: {MAKE}"


def tables(folder, name):
    """Columns of every table and index of a file, whatever the text that made them."""
    path = folder / "generation-000001" / name
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        names = list(connection.execute("SELECT type, name FROM sqlite_schema ORDER BY type, name"))
        return {
            (sort, one): sorted(
                row[1:] for row in connection.execute(f"PRAGMA {'table' if sort == 'table' else 'index'}_xinfo({one})")
            )
            if not one.startswith("sqlite_")
            else None
            for sort, one in names
        }


# -- completeness of the current one ----------------------------------------------------------------------------------


def test_the_current_golden_store_has_every_kind_of_entry():
    found = {row["kind"] for (row,) in kept(FORMAT, "main.db", "entry")}
    missing = set(KINDS.names()) - found - set(NEVER_WRITTEN)
    assert not missing, f"the golden store has no entry of kind {', '.join(sorted(missing))}: {MAKE}"


def test_the_current_golden_store_has_every_kind_in_its_newest_version():
    found = {}
    for (row,) in kept(FORMAT, "main.db", "entry"):
        found[row["kind"]] = max(row["kind_version"], found.get(row["kind"], 0))
    old = [kind for kind, version in found.items() if not _is_newest(kind, version)]
    assert not old, f"the golden store has only older versions of {', '.join(sorted(old))}: {MAKE}"


def _is_newest(kind, version):
    try:
        KINDS.get(kind, version + 1)
    except NeedsMigration:
        return True
    return False


def test_the_current_golden_store_has_rows_in_every_table():
    empty = {table for table in PROJECTIONS if not kept(FORMAT, "main.db", table)}
    empty |= {f"content {table}" for table in ("chunk", "pack") if not kept(FORMAT, "content.db", table)}
    assert empty == EMPTY_TABLES, f"the golden store has no rows in {', '.join(sorted(empty))}: {MAKE}"
    assert not set(PROJECTIONS) & NO_DUMP


def test_the_current_golden_store_has_every_class_of_state_that_is_stored():
    found = {row["class"] for (row,) in kept(FORMAT, "main.db", "state")}
    missing = {str(one) for one in StateClass} - found - {"ephemeral"}
    assert not missing, f"the golden store has no state of class {', '.join(sorted(missing))}: {MAKE}"


def test_the_current_golden_store_has_sessions_of_every_status():
    found = {row["status"] for (row,) in kept(FORMAT, "main.db", "session") if row["until_seq"] is None}
    assert found == {str(one) for one in SessionStatus}, MAKE


def test_the_current_golden_store_has_content_and_payloads_in_every_codec(tmp_path):
    blobs = [row for (row,) in kept(FORMAT, "main.db", "blob")]
    every = {int(codec) for codec in Codec}
    assert {row["codec"] for row in blobs if row["chunk_count"] == 0} == every, MAKE
    assert {row["codec"] for (row,) in kept(FORMAT, "main.db", "entry")} == {0, 1}, MAKE
    path = unpack(FORMAT, tmp_path) / STORE / "generation-000001" / "content.db"
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        assert {codec for (codec,) in connection.execute("SELECT DISTINCT codec FROM chunk")} == every, MAKE


def test_what_was_sealed_is_nowhere_in_the_packed_files(tmp_path):
    unpack(FORMAT, tmp_path)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"not a real one" not in path.read_bytes()
