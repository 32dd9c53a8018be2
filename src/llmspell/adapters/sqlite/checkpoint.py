"""Checkpoints: moving committed pages from the WAL to the main file, in the background.

A thread of its own, with a connection of its own that is synchronous=FULL, is the only one that checkpoints. It works
passively while writers go on; when the WAL has grown past a bound it takes the writers' turn for one short finish, so
that the next writer starts the WAL over. Starts with the first commit that needs it; a store that writes little never
has the thread.
"""

from __future__ import annotations

import threading
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import apsw

from llmspell.adapters.sqlite.connection import connect
from llmspell.adapters.sqlite.turnstile import FileTurn, ThreadTurn
from llmspell.errors import Busy

_START_PAGES = 1000
"""WAL pages (4 MiB) written since the last checkpoint after which the next one is due."""
_FINISH_PAGES = 3000
"""WAL pages (12 MiB) after which the checkpoint finishes under the writers' turn."""
_TURN_TIMEOUT_S = 5.0


class Checkpointer:
    """Keeps the WAL of one file short. ``after_commit`` is SQLite's WAL hook of the writing connection."""

    def __init__(
        self,
        path: Path | str,
        turn: FileTurn | ThreadTurn,
        *,
        after: Callable[[], None] | None = None,
        failed: Callable[[apsw.Error], None] | None = None,
    ) -> None:
        """``after`` runs in the checkpointing thread after each checkpoint; ``failed`` is told of one that failed."""
        self._path = path
        self._turn = turn
        self._pages = 0
        self._done_pages = 0
        # Commits come here, and a signal handler may throw an exception between any two lines of one. So nothing is
        # used that keeps state in Python: ``threading.Event`` and ``Thread.start`` would stay locked or half started.
        self._due: SimpleQueue[None] = SimpleQueue()
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._claim = threading.Lock()
        self._stop = False
        self._running = False
        self._after = after
        self._failed = failed
        self._given_up = False

    def after_commit(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        """Note how long the WAL is; called by SQLite after each commit, in the committing thread."""
        self._pages = pages
        if pages < self._done_pages:
            self._done_pages = 0  # A writer started the WAL over.
        if pages - self._done_pages >= _START_PAGES:
            self._done_pages = pages
            self._due.put(None)
            if not self._running:
                start_new_thread(self._run, ())
        return apsw.SQLITE_OK

    def close(self) -> None:
        """Stop the thread and, if nobody else is in the way, leave an empty WAL behind."""
        self._stop = True
        self._due.put(None)
        if self._running:
            self._ended.get()
            self._running = False
        if self._given_up:
            return
        with suppress(apsw.Error, Busy):  # A WAL left behind is complete and is taken up by the next opening.
            connection = connect(self._path, "checkpointer", "full")
            try:
                self._turn.acquire(_TURN_TIMEOUT_S)
                try:
                    # Truncating needs every reader out of the way, which nobody waits for.
                    connection.set_busy_timeout(0)
                    try:
                        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                    except apsw.BusyError:
                        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                finally:
                    self._turn.release()
            finally:
                connection.close()

    def _run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return  # Another one was started for the same commits.
        self._running = True
        try:
            if not self._stop:
                self._checkpoint_until_stopped()
        finally:
            self._ended.put(None)

    def _checkpoint_until_stopped(self) -> None:
        connection = connect(self._path, "checkpointer", "full")
        try:
            while True:
                self._due.get()
                while not self._due.empty():
                    self._due.get()
                if self._stop:
                    return
                try:
                    self._checkpoint(connection)
                except apsw.BusyError:
                    continue
                except apsw.Error as exc:
                    # The pages stay in the WAL, which is as durable as it was. Once a sync or a write failed for an
                    # unknown reason nothing more is checkpointed here: the system may now call synced what is not.
                    self._given_up = isinstance(exc, apsw.IOError)
                    if self._failed is not None:
                        self._failed(exc)
                    if self._given_up:
                        return
                else:
                    if self._after is not None and not self._stop:
                        self._after()
        finally:
            connection.close()

    def _checkpoint(self, connection: apsw.Connection) -> None:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if self._pages < _FINISH_PAGES:
            return
        try:
            self._turn.acquire(_TURN_TIMEOUT_S)
        except Busy:
            return
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        finally:
            self._turn.release()
