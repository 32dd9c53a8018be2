"""The connections of a content file: one that writes, a few that read, opened when first needed.

What must stay true: the file is only ever opened by SQLite; writing happens in one transaction under the writers' turn;
a read transaction ends before its method returns; after a failed sync nothing is written again; in a forked child the
parent's connections are neither used nor closed. A store that never had large content has no content file: reading then
finds nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from llmspell.adapters.sqlite.checkpoint import Checkpointer
from llmspell.adapters.sqlite.connection import MEMORY, Durability, Role, connect
from llmspell.adapters.sqlite.errors import forbids_writing, map_error
from llmspell.adapters.sqlite.inherited import keep_for_ever, poison_in_children
from llmspell.adapters.sqlite.pins import Pins
from llmspell.adapters.sqlite.reserve import RESERVE_FILE, Reserve
from llmspell.adapters.sqlite.scrub import rewrite
from llmspell.adapters.sqlite.turnstile import FileTurn, ThreadTurn
from llmspell.errors import Busy, Corrupt, LlmspellError, NeedsMigration, ReadOnly, StorageFailed
from llmspell.schema import APPLICATION_ID, script

PAGE_BYTES = 32 << 10
CONTENT_FORMAT = 1
"""Format of the content file; a higher one is refused by name."""
PINS_FILE = "puts.lock"
"""Name of the lock file beside the content file by which puts in progress are known."""
_CACHE_KIB = 4096
_READERS_MAX = 4
_RETRY_S = 0.002
_READERS_WAIT_S = 1.0
"""How long a checkpoint that starts the WAL over waits for readers, and for another checkpoint."""
_WAL_PAGES_MAX = 4096
"""WAL pages (64 MiB) at which the committing thread checkpoints itself, because the background has not kept up."""
_PAGES_SCALE = PAGE_BYTES // 4096
"""The checkpointer counts pages of the main file's size."""


class ContentConnections:
    """Threads may share it. ``path`` may be ``:memory:``, where one connection does everything under a lock.

    The turn is taken over: it is closed with the connections, and forgotten in a forked child.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        durability: Durability,
        turn: FileTurn | ThreadTurn,
        read_only: bool,
        busy_s: float,
        format_number: int = CONTENT_FORMAT,
    ) -> None:
        self._path = path
        self._durability: Durability = durability
        self._turn = turn
        self._format = format_number
        # Beside the content file, as its packs are.
        pins_path = None if path == MEMORY else Path(path).with_name(PINS_FILE)
        self.pins = Pins(pins_path, busy_s=busy_s, read_only=read_only)
        self.reserve = Reserve(None if read_only or path == MEMORY else Path(path).with_name(RESERVE_FILE))
        self._read_only = read_only
        self._busy_s = busy_s
        self._lock = threading.RLock()
        self._writer: apsw.Connection | None = None
        self._checkpointer: Checkpointer | None = None
        self._readers: list[apsw.Connection] = []
        self._wal_pages = 0
        self._failed: LlmspellError | None = None
        self.forked = False
        """True in a process forked from the one that opened this."""
        self._closed = False
        poison_in_children(self)

    # -- reading -----------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self, doing: str) -> Iterator[apsw.Connection | None]:
        """A connection in one consistent state, or None while there is no content file. Raises mapped errors."""
        self._check_open()
        try:
            if self._path == MEMORY:
                with self._lock:
                    yield self._writer
            else:
                yield from self._read_on_file()
        except apsw.Error as exc:
            raise map_error(exc, doing) from exc

    def _read_on_file(self) -> Iterator[apsw.Connection | None]:
        connection = self._readers.pop() if self._readers else self._open_reader()
        if connection is None:
            yield None
            return
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        self._keep(connection)

    def _keep(self, connection: apsw.Connection) -> None:
        if self._closed or len(self._readers) >= _READERS_MAX:
            connection.close()
        else:
            self._readers.append(connection)

    def _open_reader(self) -> apsw.Connection | None:
        if not Path(self._path).exists():
            return None
        connection, is_ours = self._open("reader")
        if is_ours:
            return connection
        connection.close()  # Another process is just making the file; what it holds is not committed yet.
        return None

    def _open(self, role: Role) -> tuple[apsw.Connection, bool]:
        """A connection, and whether the file has our tables.

        While another one makes the file or takes up its WAL, SQLite says busy without waiting; so it is asked again.
        """
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                return self._open_once(role)
            except apsw.BusyError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_S)

    def _open_once(self, role: Role) -> tuple[apsw.Connection, bool]:
        is_reader = role == "reader"
        connection = connect(
            self._path, role, self._durability, read_only=is_reader, page_bytes=PAGE_BYTES, shrinks=True
        )
        try:
            connection.set_busy_timeout(int(self._busy_s * 1000))
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            connection.execute("PRAGMA cell_size_check=ON")
            return connection, _is_ours(connection, self._path, self._format)
        except BaseException:
            connection.close()
            raise

    # -- writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, doing: str) -> Iterator[apsw.Connection]:
        """A connection in a transaction that commits at the end of the block, and rolls back if it raises.

        Takes the writers' turn meanwhile. Raises Busy, ReadOnly, StorageFailed.
        """
        with self._turn_taken():
            try:
                connection = self._open_writer()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    # A newer version may have migrated the file since it was opened here.
                    _check_format(self._path, connection.pragma("user_version"), self._format)
                    before = connection.pragma("page_count")
                    yield connection
                    pages = connection.pragma("page_count")
                    if pages > before and not self.reserve.lets_grow(Path(self._path), pages * PAGE_BYTES):
                        raise apsw.FullError("what it grows by has no room beside the WAL")
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        with suppress(apsw.Error):  # What made the block fail says more.
                            connection.execute("ROLLBACK")
                    raise
                self._bound_wal()
                if not self.reserve.settled:
                    self.reserve.keep_for(connection)
            except apsw.Error as exc:
                if isinstance(exc, apsw.FullError):
                    self._leave_room()
                raise self.note(map_error(exc, doing)) from exc

    def _leave_room(self) -> None:
        """After a full disk: what was rolled back still takes room in the WAL, and the main file may need it, if only
        to say what can be deleted.
        """
        if self._path != MEMORY:
            with suppress(apsw.Error):  # The first error is the one to report.
                self._run_checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE, wait_s=_READERS_WAIT_S)

    def note(self, error: LlmspellError) -> LlmspellError:
        """Remember an error after which nothing may be written; gives it back to be raised."""
        if forbids_writing(error):
            self._failed = error
        return error

    def check_writable(self) -> None:
        """Raise what a write would raise before it starts."""
        self._check_open()
        if self._read_only:
            raise ReadOnly(f"{self._path} was opened read-only")
        if self._failed is not None:
            raise ReadOnly(
                f"writing to {self._path} failed earlier ({self._failed}); this handle takes no more content",
                code="read-only-after-failure",
                hint="check the disk, then open the store again",
            ) from self._failed

    def checkpoint(self, *, restart: bool = False) -> None:
        """Bring all commits of all processes into the synced file. Raises Busy, StorageFailed.

        ``restart``: so that the next transaction uses the WAL's room from its start; Busy soon when a reader is in
        the way.
        """
        self.check_writable()
        if self._path == MEMORY or not Path(self._path).exists():
            return
        with self._turn_taken():
            try:
                if restart:
                    self._run_checkpoint(apsw.SQLITE_CHECKPOINT_RESTART, wait_s=_READERS_WAIT_S)
                else:
                    self._run_checkpoint(apsw.SQLITE_CHECKPOINT_FULL)
            except apsw.Error as exc:
                raise self.note(map_error(exc, f"checkpoint {self._path}")) from exc

    def rewrite(self) -> None:
        """Write the file anew without what was deleted, and empty the WAL. Raises Busy, StorageFailed."""
        if self._path == MEMORY or not Path(self._path).exists():
            return
        with self._turn_taken():
            rewrite(Path(self._path), self._busy_s, page_bytes=PAGE_BYTES)

    def shrink(self) -> None:
        """Let the files be as short as what they hold. What others are reading is left for another time."""
        if self._path == MEMORY or not Path(self._path).exists():
            return
        try:
            # Busy: a reader is in the way. Full: what was committed stays in the WAL, which is as durable as it was.
            with suppress(Busy, apsw.BusyError, apsw.FullError), self._turn_taken():
                self._run_checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE, wait_s=_READERS_WAIT_S)
        except apsw.Error as exc:
            raise self.note(map_error(exc, f"checkpoint {self._path}")) from exc
        with self.reading("look at what is left") as connection:
            if connection is not None:
                self.reserve.keep_for(connection)

    @contextmanager
    def _turn_taken(self) -> Iterator[None]:
        self.check_writable()
        if not self._lock.acquire(timeout=self._busy_s):
            raise Busy(f"another thread has been writing to {self._path} for {self._busy_s:g} s")
        try:
            self._turn.acquire(self._busy_s)
            try:
                self.check_writable()  # It may have failed or been closed while this thread waited.
                yield
            finally:
                self._turn.release()
        finally:
            self._lock.release()

    def _open_writer(self) -> apsw.Connection:
        if self._writer is not None:
            return self._writer
        if self._path != MEMORY and (reader := self._open_reader()) is not None:
            self._keep(reader)  # A look before the settings of a writer would change a file that is not ours.
        connection, is_ours = self._open("writer")
        if not is_ours:
            try:
                _create_tables(connection, self._format)
            except BaseException:
                connection.close()
                raise
        if self._path != MEMORY:
            self._checkpointer = Checkpointer(self._path, self._turn)
            connection.set_wal_hook(self._after_commit)
        self._writer = connection
        return connection

    def _after_commit(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        if self._checkpointer is None:
            return apsw.SQLITE_OK
        return self._checkpointer.after_commit(connection, name, pages * _PAGES_SCALE)

    def _bound_wal(self) -> None:
        if self._wal_pages < _WAL_PAGES_MAX and not self.reserve.is_near():
            return
        self._wal_pages = 0
        # Busy: the background is at it. Full: what was committed stays in the WAL, which is as durable as it was.
        with suppress(apsw.BusyError, apsw.FullError):
            self._run_checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE, wait_s=0)

    def _run_checkpoint(self, mode: int, wait_s: float | None = None) -> None:
        wait_s = self._busy_s if wait_s is None else wait_s
        deadline = time.monotonic() + wait_s
        connection = connect(self._path, "checkpointer", "full", page_bytes=PAGE_BYTES)
        try:
            connection.set_busy_timeout(int(wait_s * 1000))
            while True:
                try:
                    connection.wal_checkpoint(mode=mode)
                except apsw.BusyError:
                    # For another checkpoint, as that in the background, SQLite does not wait.
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(_RETRY_S)
                else:
                    return
        finally:
            connection.close()

    # -- ending ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close connections and turn; leave no WAL behind if no other process is in the way. Twice is allowed."""
        if self._closed or self.forked:
            return
        with self._lock:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        if self._checkpointer is not None:
            self._checkpointer.close()  # After the others, because the last one to close takes the WAL away.
        self._turn.close()
        self.pins.close()

    def poison(self) -> None:
        """In a forked child: refuse every use, and keep the parent's connections from ever being closed there.

        Happens by itself after ``os.fork``. Twice is allowed.
        """
        if self.forked:
            return
        self.forked = True
        if not self._closed:
            self._turn.forget()
            self.pins.close()
        keep_for_ever(self._writer, tuple(self._readers), self._checkpointer)

    def _check_open(self) -> None:
        if self.forked:
            raise StorageFailed(
                f"{self._path} was opened before a fork; the child cannot use it",
                code="forked",
                hint="close the store before forking, and open it on both sides",
            )
        if self._closed:
            raise StorageFailed(f"{self._path} is closed", code="closed")


def _is_ours(connection: apsw.Connection, path: Path | str, wanted: int) -> bool:
    """True when the file has our tables, False when it is empty. Raises for anything else."""
    connection.execute("BEGIN")  # All three as of one moment: another process may just be making the file.
    try:
        mark, found, tables = map(connection.pragma, ("application_id", "user_version", "schema_version"))
    finally:
        connection.execute("ROLLBACK")
    if (mark, found, tables) == (0, 0, 0):
        return False
    if mark != APPLICATION_ID:
        raise Corrupt(f"{path} is not the content file of a store", code="not-a-database")
    _check_format(path, found, wanted)
    return True


def _check_format(path: Path | str, found: int, wanted: int) -> None:
    if found != wanted:
        raise NeedsMigration(f"{path} has content format {found}; this version reads {wanted}")


def _create_tables(connection: apsw.Connection, number: int) -> None:
    """Make the tables in one transaction; the caller holds the turn, so nobody else is at it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(script("content.sql"))
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", number)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
