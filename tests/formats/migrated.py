"""Stores opened by a version that has further formats: the migrations are arguments, nothing is patched."""

from llmspell.adapters.sqlite.blocking import BlockingDatabase
from llmspell.adapters.sqlite.store import open_store
from llmspell.hooks.callers import BlockingCaller
from llmspell.model.clock import SystemClock
from llmspell.model.ids import SystemIds
from llmspell.offload import Inline
from llmspell.protecting import protection_of
from llmspell.schema.migrations import Migration
from llmspell.store import AsyncStore
from llmspell.sync.drive import drive
from llmspell.sync.faces import Store

ADD_COLUMN = Migration(
    2, ("ALTER TABLE meta ADD COLUMN note TEXT NOT NULL DEFAULT 'none'; CREATE INDEX by_note ON meta (note);",)
)


def opened(folder, migrations, *, read_only=False, durability=None):
    """A store handle of a version with these migrations, as ``llmspell.open`` makes one."""
    ids = SystemIds()
    files = open_store(folder, ids, create=False, read_only=read_only, durability=durability, migrations=migrations)
    protection = protection_of(files, None, "off", None)
    database = BlockingDatabase(files.engine)
    store = AsyncStore(files, database, SystemClock(), ids, BlockingCaller(), Inline(), protection)
    drive(store.start())
    return Store(store)


def number(folder, name="main.db"):
    """The format that a file says it has."""
    import apsw

    connection = apsw.Connection(str(folder / "generation-000001" / name), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.pragma("user_version")
    finally:
        connection.close()


def rows(folder, sql, name="main.db"):
    """What a query gives, asked from outside."""
    import apsw

    connection = apsw.Connection(str(folder / "generation-000001" / name), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()
