"""The format of a store's files: refusing what this version does not read, and migrating what is older.

What must stay true: whatever is refused was not touched. The main file goes from its format to the newest in one
transaction, with the entry that tells of it, so that it is never between two formats; the content file likewise, before
the main file that names what is in it. Each transaction looks at the number again, under the writers' turn: of several
processes that open at once one does the work.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from llmspell.adapters.sqlite.batch import NOT_NOW, View
from llmspell.adapters.sqlite.connection import connect
from llmspell.adapters.sqlite.engine import Engine
from llmspell.adapters.sqlite.errors import map_error
from llmspell.adapters.sqlite.head import newer
from llmspell.adapters.sqlite.turnstile import FileTurn
from llmspell.errors import Busy, Corrupt, InvalidInput, NeedsMigration, StorageFailed
from llmspell.ports.database import Transaction
from llmspell.schema import APPLICATION_ID
from llmspell.schema.migrations import Migration, newest, newest_content

CONTENT = "content.db"
_FOREIGN_WAIT_S = 0.002
_FORBIDDEN = {apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT, apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH}
Finish = Callable[[Transaction, int, bool], Awaitable[None]]
"""Is given the transaction, the format it came from and whether projections are to be rebuilt; ends the migration."""


def check_format(view: View, path: Path | str, upto: int) -> int:
    """The format of a main file; refuses one that is not ours, or newer than ``upto``."""
    (application,) = view.one("PRAGMA application_id") or (0,)
    (version,) = view.one("PRAGMA user_version") or (0,)
    if application != APPLICATION_ID and view.one("SELECT 1 FROM sqlite_schema") is None:
        raise Corrupt(
            f"{path} is named as this store's database and is empty",
            code="store-damaged",
            hint="restore it from a backup; what was in it is not there any more",
        )
    if application != APPLICATION_ID:
        raise InvalidInput(f"{path} is an SQLite file, but not a store of ours", code="foreign-store")
    if version < 1:
        raise StorageFailed(f"{path} says it has format {version}, which no llmspell wrote", code="store-damaged")
    if version > upto:
        raise newer(path, version, upto)
    return int(version)


def is_outdated(generation: Path, found: int, migrations: Sequence[Migration], *, read_only: bool) -> bool:
    """Whether the files in this folder need a migration; ``found`` is the format of the main file.

    A version that never changed the content file does not look at it. Raises NeedsMigration for what is read only, or
    has content of a newer format beside an older main file.
    """
    wanted = newest(migrations)
    outdated = found < wanted
    if newest_content(migrations) > 1:
        outdated = _content_is_outdated(generation / CONTENT, newest_content(migrations)) or outdated
    if outdated and read_only:
        raise NeedsMigration(
            f"{generation} has format {found}, this llmspell reads {wanted}; opening it read-only changes nothing",
            hint="open it once for writing: that brings it to the newer format",
        )
    return outdated


def _content_is_outdated(path: Path, wanted: int) -> bool:
    if not path.exists():
        return False
    connection = connect(path, "reader", "full", read_only=True)
    try:
        found = connection.pragma("user_version")
    finally:
        connection.close()
    if found > wanted:
        raise NeedsMigration(f"{path} has content format {found}; this version reads {wanted}")
    return bool(0 < found < wanted)  # 0: another process is just making it.


def migrate(engine: Engine, turn: FileTurn, migrations: Sequence[Migration], finish: Finish) -> None:
    """Bring the files of an open engine to the newest format; nothing happens to files that have it.

    ``turn`` is that of the content file. Raises Busy, NeedsMigration (``newer-format``), StorageFailed, and whatever a
    step or ``finish`` raises: then the main file is what it was.
    """
    try:
        _migrate_content(Path(engine.path).parent / CONTENT, turn, migrations)
    except apsw.Error as exc:
        raise map_error(exc, f"migrate the content beside {engine.path}") from exc
    _migrate_main(engine, migrations, finish)
    engine.format = newest(migrations)


def _migrate_content(path: Path, turn: FileTurn, migrations: Sequence[Migration]) -> None:
    wanted = newest_content(migrations)
    if wanted == 1 or not _content_is_outdated(path, wanted):
        return
    turn.acquire()
    try:
        connection = connect(path, "writer", "full")
        try:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.pragma("user_version")
            for migration in migrations:
                if migration.content is not None and migration.to > found:
                    _run_script(connection, migration.content)
            connection.execute("UPDATE meta SET format = ?", (wanted,))
            connection.pragma("user_version", wanted)
            connection.execute("COMMIT")
        finally:
            connection.close()  # Which rolls back what was not committed.
    finally:
        turn.release()


def _migrate_main(engine: Engine, migrations: Sequence[Migration], finish: Finish) -> None:
    wanted = newest(migrations)

    async def unit(tx: Transaction) -> None:
        (found,) = await tx.one("PRAGMA user_version") or (0,)
        if found > wanted:
            raise newer(engine.path, found, wanted)
        if found == wanted:
            return
        await tx.run(f"PRAGMA user_version={wanted}")
        todo = [migration for migration in migrations if migration.to > found]
        for migration in todo:
            for step in migration.main:
                if isinstance(step, str):
                    _run_script(engine.writer, step)
                else:
                    await step(tx)
        await finish(tx, found, any(migration.rebuild for migration in todo))

    deadline = time.monotonic() + engine.busy_timeout_s
    while engine.try_write(unit) is NOT_NOW:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Busy(
                f"others have been writing to {engine.path} for {engine.busy_timeout_s:g} s; it waits to be migrated"
            )
        engine.turn.acquire(left)
        engine.turn.release()
        time.sleep(_FOREIGN_WAIT_S)  # Somebody who does not use the turnstile may hold the write lock.


def _run_script(connection: apsw.Connection, sql: str) -> None:
    """Run every statement of a step, none of which may end the transaction it is part of."""
    with _confined(connection):
        for _ in connection.execute(sql):  # Rows are nobody's, but a statement that gives some would stop the script.
            pass


@contextmanager
def _confined(connection: apsw.Connection) -> Iterator[None]:
    def judge(action: int, *_names: str | None) -> int:
        return apsw.SQLITE_DENY if action in _FORBIDDEN else apsw.SQLITE_OK

    connection.authorizer = judge
    try:
        yield
    finally:
        connection.authorizer = None
