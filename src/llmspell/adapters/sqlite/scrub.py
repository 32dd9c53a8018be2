"""Making what was deleted be gone from a database file and its WAL.

``secure_delete`` overwrites what is deleted where it stands. It does not reach copies: when SQLite moves rows from a
full page to a new one, their old bytes stay behind in the unallocated part of the page until something else takes the
room (*measured*: some of them in each of 25 random workloads). So the file is written anew, page by page, and the WAL
is cut to nothing. Other connections take up the new pages before they write, since this is a commit like any other.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import apsw

from llmspell.adapters.sqlite.connection import connect
from llmspell.adapters.sqlite.errors import map_error
from llmspell.adapters.sqlite.sealed_files import vfs_of
from llmspell.errors import Busy

_RETRY_S = 0.005


def rewrite(path: Path, wait_s: float, *, page_bytes: int = 4096) -> None:
    """Write a database anew without what was deleted, and empty its WAL. The caller holds its writers' turn.

    Takes as long as copying the file, and as much room on disk again (in memory, if it is sealed). Raises Busy when
    readers keep the WAL for longer than ``wait_s``: then nothing is wrong, and it can be done again.
    """
    try:
        connection = connect(path, "checkpointer", "full", page_bytes=page_bytes)
        try:
            connection.set_busy_timeout(int(wait_s * 1000))
            if vfs_of(path) is None:
                connection.execute("PRAGMA temp_store=FILE")  # It holds no more than what stays.
            _vacuum(connection, path, wait_s)
            _truncate(connection, path, wait_s)
        finally:
            connection.close()
    except apsw.Error as exc:
        raise map_error(exc, f"write {path} anew") from exc


def _vacuum(connection: apsw.Connection, path: Path, wait_s: float) -> None:
    """On a full disk once more in the room that the WAL had; what was rolled back does not keep it."""
    try:
        connection.execute("VACUUM")
    except apsw.FullError:
        with suppress(apsw.FullError):  # What it holds has no place in the file: the next error says so.
            _truncate(connection, path, wait_s)
        try:
            connection.execute("VACUUM")
        except apsw.FullError:
            with suppress(apsw.FullError, Busy):
                _truncate(connection, path, wait_s)
            raise


def _truncate(connection: apsw.Connection, path: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            if time.monotonic() >= deadline:
                raise Busy(
                    f"somebody has been reading {path} for {wait_s:g} s, so its WAL cannot be emptied",
                    hint="end that, and do it again: it goes on where it stopped",
                ) from None
            time.sleep(_RETRY_S)  # Another connection checkpoints just now.
        else:
            return
