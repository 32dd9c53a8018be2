"""Stores opened by a version that has further formats: the migrations are arguments, nothing is patched.

python migrated.py FOLDER      opens the store with ``CHAIN``; prints "ready", waits for a line, opens, prints "done"
python migrated.py FOLDER now  without waiting
"""

import sys
from contextlib import closing
from pathlib import Path

import apsw

from llmspell.adapters.sqlite.blocking import BlockingDatabase
from llmspell.adapters.sqlite.looped import LoopedDatabase
from llmspell.adapters.sqlite.store import open_store
from llmspell.hooks.async_caller import AsyncCaller
from llmspell.hooks.callers import BlockingCaller
from llmspell.model.clock import SystemClock
from llmspell.model.ids import SystemIds
from llmspell.offload import Inline, Threads
from llmspell.protecting import LazyVault, protection_of
from llmspell.schema.migrations import Migration
from llmspell.store import AsyncStore
from llmspell.sync.drive import drive
from llmspell.sync.faces import Store

NOTE = Migration(
    2, ("ALTER TABLE meta ADD COLUMN note TEXT NOT NULL DEFAULT 'none'; CREATE INDEX by_note ON meta (note);",)
)
CONTENT = Migration(3, content="ALTER TABLE pack ADD COLUMN note TEXT; UPDATE pack SET note = 'seen';")
REBUILD = Migration(4, ("DELETE FROM state; UPDATE session SET name = 'lost';",), rebuild=True)
CHAIN = (NOTE, CONTENT, REBUILD)


def opened(folder, migrations, *, read_only=False, clock=None):
    """A store handle of a version with these migrations, as ``llmspell.open`` makes one."""
    ids = SystemIds()
    files = open_store(folder, ids, create=False, read_only=read_only, migrations=migrations)
    protection = protection_of(files, None, "off", None, LazyVault(None))
    database = BlockingDatabase(files.engine)
    store = AsyncStore(files, database, clock or SystemClock(), ids, BlockingCaller(), Inline(), protection)
    drive(store.start())
    return Store(store)


async def opened_async(folder, migrations):
    """The same on the running event loop, as ``llmspell.open_async`` makes one."""
    ids = SystemIds()
    files = open_store(folder, ids, create=False, migrations=migrations)
    protection = protection_of(files, None, "off", None, LazyVault(None))
    store = AsyncStore(files, LoopedDatabase(files.engine), SystemClock(), ids, AsyncCaller(), Threads(), protection)
    await store.start()
    return store


def rows(folder, sql, name="main.db"):
    """What a query gives, asked from outside. (Not while this process has the store open.)"""
    path = Path(folder) / "generation-000001" / name
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return list(connection.execute(sql))


def number(folder, name="main.db"):
    """The format that a file says it has."""
    return rows(folder, "PRAGMA user_version", name)[0][0]


def told(store):
    """From and to of each migration that the journal tells of."""
    return [(entry.data["from_format"], entry.data["to_format"]) for entry in store.timeline(kinds=["store.migrated"])]


def main(folder, when="wait"):
    if when == "wait":
        print("ready", flush=True)
        sys.stdin.readline()
    opened(folder, CHAIN).close()
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
