"""The engine of one open store on SQLite: one writing connection, a few reading ones, batches of units.

What must stay true: a batch is one SQLite transaction under the turnstile; units see each other in order; a unit that
fails leaves nothing and harms no other; listeners and callers hear of a batch only after COMMIT; after a failed sync
nothing is acknowledged again by this engine; a forked child never touches the parent's connections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw

from llmspell.adapters.sqlite.batch import NOT_NOW, Batch, NotNow, Outcome, View, drive, unit_error
from llmspell.adapters.sqlite.checkpoint import Checkpointer
from llmspell.adapters.sqlite.connection import MEMORY, SYNCHRONOUS, Durability, connect
from llmspell.adapters.sqlite.errors import damaged_text, map_error
from llmspell.adapters.sqlite.head import read_head
from llmspell.adapters.sqlite.inherited import keep_for_ever, poison_in_children
from llmspell.adapters.sqlite.later import is_missing
from llmspell.adapters.sqlite.readers import READERS_MAX, Readers
from llmspell.adapters.sqlite.turnstile import FileTurn, ThreadTurn
from llmspell.errors import Busy, LlmspellError, ReadOnly, StorageFailed
from llmspell.model import limits
from llmspell.model.entry import Head
from llmspell.ports.database import Row, Unit

T = TypeVar("T")
_FOREIGN_WAIT_S = 0.002
_FATAL = (apsw.IOError, apsw.FullError, apsw.CorruptError, apsw.NotADBError, apsw.BusyError, apsw.NoMemError)
"""Failures of the file, not of a unit: the batch is over."""


class Engine:
    """One open main file. Threads may share it: ``run_batch`` takes the turnstile, reads use a connection each."""

    def __init__(
        self, path: Path | str, turn: FileTurn | ThreadTurn, durability: Durability, *, read_only: bool = False
    ) -> None:
        self.path = path
        self.turn = turn
        self.durability = durability
        self.read_only = read_only
        self.format: int | None = None
        """The format that writers rely on, once the files have it."""
        self.listeners: list[Callable[[list[Any]], None]] = []
        self.busy_timeout_s = limits.BUSY_TIMEOUT_S
        self.after_checkpoint: Callable[[], None] = _nothing
        """Runs in the checkpointing thread after each checkpoint."""
        self.before_commit: Callable[[Callable[..., Any], Head], None] | None = None
        """Adds to a transaction that moved the head."""
        self.report: Callable[[str, BaseException], None] = _unheard
        """Is told of failures that no caller waits for."""
        self._failed: BaseException | None = None
        self._head: Head | None = None
        self._head_version = 0
        self._generation = 0
        self._closed = False
        self._forked = False
        self._in_memory = path == MEMORY
        self._readers = Readers(path, durability, read_only=read_only)
        self._writer_lock = threading.RLock()
        """The writing connection of a file is used by one thread at a time."""
        self._lock = threading.RLock()
        """A store in memory has one connection: whoever reads waits for whoever commits."""
        try:
            self.writer = connect(path, "reader" if read_only else "writer", durability, read_only=read_only)
        except apsw.Error as exc:
            raise map_error(exc, f"open {path}") from exc
        self._checkpointer = None
        if not (self._in_memory or read_only):
            self._checkpointer = Checkpointer(path, turn, after=self._checkpointed, failed=self._checkpoint_failed)
            self.writer.set_wal_hook(self._checkpointer.after_commit)
        poison_in_children(self)

    def set_durability(self, durability: Durability) -> None:
        """Settle on a durability, once the store has said whether it is scratch."""
        if durability != self.durability:
            self.durability = durability
            if not self.read_only:
                self.writer.execute(f"PRAGMA synchronous={SYNCHRONOUS[durability]}")

    # -- writing -----------------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Raise what a write would raise before it starts: closed, forked, read-only or failed."""
        self._check_open()
        if self.read_only:
            raise ReadOnly(f"{self.path} was opened read-only")
        if self._failed is not None:
            raise ReadOnly(
                f"a sync to disk failed earlier ({self._failed}); this handle takes no more writes",
                code="read-only-after-failure",
                hint="check the disk, then open the store again: it verifies what was acknowledged",
            ) from self._failed

    def run_batch(self, units: Sequence[Unit[Any]], *, strong: bool = False) -> list[Outcome]:
        """Commit units in one transaction; the caller holds the turn. One outcome a unit, in order.

        ``strong`` syncs the WAL with this commit, and with it everything acknowledged before. Raises when the batch
        as a whole failed (disk, busy, retired); then nothing of it is stored.
        """
        if self._failed is not None or self._closed or self._forked or self.read_only:
            self.check_writable()
        if self._in_memory:
            with self._lock:
                return self._run_batch(units, strong=strong)
        with self._writer_lock:
            return self._run_batch(units, strong=strong)

    def _run_batch(self, units: Sequence[Unit[Any]], *, strong: bool) -> list[Outcome]:
        connection = self.writer
        raised = strong and self.durability == "process"
        try:
            if raised:
                connection.execute("PRAGMA synchronous=FULL")
            outcomes, batch = self._attempt(connection, units)
        except apsw.Error as exc:
            self._roll_back(connection)
            raise self._failure(exc) from exc
        except BaseException:
            self._roll_back(connection)
            raise
        finally:
            if raised:
                connection.execute("PRAGMA synchronous=NORMAL")
        if batch.announced:
            for listener in self.listeners:
                listener(batch.announced)
        return outcomes

    def commit(self, units: Sequence[Unit[Any]], *, strong: bool = False, wait_s: float | None = None) -> list[Outcome]:
        """Take the turn, commit, give it back; waits for other processes up to ``wait_s`` (the busy timeout when
        None), so never on a loop thread.

        Failures of the batch come as the error of each outcome.
        """
        try:
            self.check_writable()
            outcomes = self._commit_at_once(units, strong)
            return self._commit_patiently(units, strong, wait_s) if outcomes is None else outcomes
        except Exception as exc:
            return [Outcome(error=exc) for _ in units]

    def give_way(self) -> None:
        """Let other processes that wait for their turn go first; waits a little, so never on a loop thread."""
        self.turn.give_way()

    def try_write(self, unit: Unit[T]) -> T | NotNow:
        """Commit one unit and give its result: the short way for what most writes are. Raises what the unit raises.

        ``NOT_NOW`` when somebody else is writing: then nothing has happened, and ``commit`` waits for its turn.
        """
        if self._failed is not None or self._closed or self._forked or self.read_only:
            self.check_writable()
        if self._in_memory or not self.turn.try_acquire():
            return NOT_NOW
        connection = self.writer
        self._writer_lock.acquire()
        try:
            batch = self._begin(connection)
            value: T = drive(unit(batch))
            self._end(connection, batch)
        except apsw.BusyError:
            self._roll_back(connection)
            return NOT_NOW
        except _FATAL as exc:
            self._roll_back(connection)
            raise self._failure(exc) from exc
        except BaseException as exc:
            # Also the head is read anew: an interrupt may have come between COMMIT and the line after it.
            self._roll_back(connection)
            if isinstance(exc, apsw.Error | UnicodeDecodeError):
                raise unit_error(exc) from exc
            raise
        finally:
            self._writer_lock.release()
            self.turn.release()
        if batch.announced:
            for listener in self.listeners:
                listener(batch.announced)
        return value

    def _commit_at_once(self, units: Sequence[Unit[Any]], strong: bool) -> list[Outcome] | None:
        turn = self.turn
        if not turn.try_acquire():
            return None
        try:
            return self.run_batch(units, strong=strong)
        except Busy:
            return None
        finally:
            turn.release()

    def _commit_patiently(self, units: Sequence[Unit[Any]], strong: bool, wait_s: float | None) -> list[Outcome]:
        deadline = time.monotonic() + (self.busy_timeout_s if wait_s is None else wait_s)
        while True:
            self.check_writable()
            self.turn.acquire(max(0.0, deadline - time.monotonic()))
            try:
                return self.run_batch(units, strong=strong)
            except Busy:
                # Somebody who does not use the turnstile (an SQLite shell) holds the write lock.
                if time.monotonic() >= deadline:
                    raise
            finally:
                self.turn.release()
            time.sleep(_FOREIGN_WAIT_S)

    def _attempt(self, connection: apsw.Connection, units: Sequence[Unit[Any]]) -> tuple[list[Outcome], Batch]:
        batch = self._begin(connection)
        outcomes = []
        for unit in units:
            batch.written = False
            marks = batch.head, len(batch.announced)
            try:
                outcomes.append(Outcome(drive(unit(batch))))
            except _FATAL:
                raise
            except Exception as exc:
                if batch.written:
                    self._roll_back(connection)
                    return self._attempt_each(connection, units)
                batch.head = marks[0]
                del batch.announced[marks[1] :]
                outcomes.append(Outcome(error=unit_error(exc)))
        self._end(connection, batch)
        return outcomes, batch

    def _end(self, connection: apsw.Connection, batch: Batch) -> None:
        if self.before_commit is not None and batch.head is not self._head:
            self.before_commit(connection.execute, batch.head)
        connection.execute("COMMIT" if batch.dirty else "ROLLBACK")
        self._head = batch.head
        self._head_version = connection.data_version()

    def _attempt_each(self, connection: apsw.Connection, units: Sequence[Unit[Any]]) -> tuple[list[Outcome], Batch]:
        """The batch again, a savepoint around each unit, still one commit: the price of a unit that failed late."""
        batch = self._begin(connection)
        outcomes = []
        for unit in units:
            marks = batch.head, len(batch.announced)
            connection.execute("SAVEPOINT unit")
            try:
                outcomes.append(Outcome(drive(unit(batch))))
            except _FATAL:
                raise
            except Exception as exc:
                connection.execute("ROLLBACK TO unit")
                batch.head = marks[0]
                del batch.announced[marks[1] :]
                outcomes.append(Outcome(error=unit_error(exc)))
            connection.execute("RELEASE unit")
        self._end(connection, batch)
        return outcomes, batch

    def _begin(self, connection: apsw.Connection) -> Batch:
        execute = connection.execute
        execute("BEGIN IMMEDIATE")
        # Inside the write lock SQLite's data version tells for certain whether anybody committed since our last commit.
        if self._head is None or connection.data_version() != self._head_version:
            self._head = read_head(connection, self.path, self.format)
            self._generation += 1
        return Batch(execute, self._head, self._generation)

    def _roll_back(self, connection: apsw.Connection) -> None:
        self._head = None
        if connection.in_transaction:
            with suppress(apsw.Error):  # The first error is the one to report; SQLite may have rolled back already.
                connection.execute("ROLLBACK")

    def let_go(self) -> None:
        """After an exception that a signal handler threw in anywhere: give back what this thread may still hold."""
        while self._writer_lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001 - as threading.Condition asks
            self._roll_back(self.writer)
            self._writer_lock.release()
        self.turn.let_go()

    def _checkpointed(self) -> None:
        self.after_checkpoint()

    def _checkpoint_failed(self, exc: apsw.Error) -> None:
        self.report("checkpoint", self._failure(exc))

    def _failure(self, exc: apsw.Error) -> LlmspellError:
        if isinstance(exc, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
            self._failed = exc
        return map_error(exc, f"write to {self.path}")

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(self, query: Callable[[View], T]) -> T:
        """Run ``query`` over one consistent state. Errors of the driver come as the tree of ``llmspell.errors``."""
        self._check_open()
        if self._in_memory:
            with self._lock:
                return self._query(self.writer, query)
        connection = self._readers.take()
        try:
            return self._query(connection, query)
        finally:
            self._readers.give_back(connection)

    def read_one(self, sql: str, args: Sequence[Any]) -> Row | None:
        """The first row of a single statement: the short way for a point read, without a transaction around it.

        Between commits it runs on the writing connection, whose pages are at hand: a reading connection has to forget
        its own after every commit, which makes a read after a write twice as dear.
        """
        if self._in_memory or self._closed or self._forked or self.read_only:
            return self.read(lambda view: view.one(sql, args))
        try:
            if self._writer_lock.acquire(blocking=False):
                try:
                    return next(self.writer.execute(sql, args), None)
                finally:
                    self._writer_lock.release()
            connection = self._readers.take()
            try:
                return next(connection.execute(sql, args), None)
            finally:
                self._readers.give_back(connection)
        except UnicodeDecodeError as exc:
            raise damaged_text(exc) from exc
        except apsw.Error as exc:
            if isinstance(exc, apsw.SQLError) and is_missing(exc):
                return self.read(lambda view: view.one(sql, args))
            raise map_error(exc, f"read {self.path}") from exc
        except BaseException:  # Whatever a signal handler threw in; it may have come before the lock was guarded.
            self.let_go()
            raise

    def _query(self, connection: apsw.Connection, query: Callable[[View], T]) -> T:
        try:
            if self._in_memory:
                connection.execute("PRAGMA query_only=ON")
                try:
                    return query(View(connection))
                finally:
                    connection.execute("PRAGMA query_only=OFF")
            connection.execute("BEGIN")
            try:
                return query(View(connection))
            finally:
                connection.execute("ROLLBACK")
        except UnicodeDecodeError as exc:
            raise damaged_text(exc) from exc
        except apsw.Error as exc:
            raise map_error(exc, f"read {self.path}") from exc

    # -- care --------------------------------------------------------------------------------------------------------

    def memory_limits(self) -> dict[str, int]:
        """Bytes that SQLite may keep in its page caches, by connection kind."""
        return {"page_cache_bytes_max": (2 + READERS_MAX) * 16384 * 1024}

    def close(self) -> None:
        """Checkpoint what there is and close every connection. Idempotent."""
        if self._closed or self._forked:
            return
        self._closed = True
        if self._checkpointer is not None:
            self._checkpointer.close()
        self._readers.close()
        self.writer.close()

    @property
    def forked(self) -> bool:
        """Whether this process is a child that inherited the engine."""
        return self._forked

    def poison(self) -> None:
        """In a forked child: refuse every use, and keep the connections from being closed there."""
        self._forked = True
        keep_for_ever(self.writer, self._readers, self._checkpointer)
        self.turn.forget()

    def _check_open(self) -> None:
        if self._forked:
            raise StorageFailed(
                "this store was opened before a fork; the child cannot use it",
                code="forked",
                hint="close the store before forking, and open it on both sides",
            )
        if self._closed:
            raise StorageFailed(f"the store {self.path} is closed", code="closed")


def _nothing() -> None:
    """The checkpoint was all there is to do."""


def _unheard(_what: str, _error: BaseException) -> None:
    """Nobody asked to be told."""
