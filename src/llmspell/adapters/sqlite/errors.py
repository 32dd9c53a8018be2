"""Errors of SQLite and of the operating system, mapped once to the tree of ``llmspell.errors``.

What must stay true: every ``apsw.Error`` maps to something; a failed sync is told apart from every other input/output
error, because after it the handle must not write again; a full disk is told apart from both, because after it the
handle may write again as soon as there is room. Callers raise the result ``from`` the original.
"""

from __future__ import annotations

import errno

import apsw

from llmspell.errors import (
    AccessDenied,
    Busy,
    Corrupt,
    LimitExceeded,
    LlmspellError,
    ReadOnly,
    StorageFailed,
)

SYNC_FAILED = "sync-failed"
IO_FAILED = "io-failed"
DISK_FULL = "disk-full"

_SYNC_CODES = frozenset({apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC})
_DAMAGE_CODES = frozenset({apsw.SQLITE_IOERR_CORRUPTFS, apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_SHORT_READ})
_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})

_Row = tuple[type[LlmspellError], str, str, str]
"""Error class, code, what was found, what to do."""

_FULL: _Row = (StorageFailed, DISK_FULL, "the disk is full", "free some space and try again; nothing was stored")
_SYNC: _Row = (
    StorageFailed,
    SYNC_FAILED,
    "a sync to disk failed, so what was written may not be there after a power loss",
    "check the disk, then open the store again",
)
_IO: _Row = (StorageFailed, IO_FAILED, "reading or writing a file failed", "check the disk and the file system")
_DAMAGED: _Row = (
    Corrupt,
    "corrupt",
    "the file is damaged",
    "run `llmspell verify`, then restore from a backup what it names",
)
_OTHER: _Row = (StorageFailed, "storage-failed", "the database engine failed", "see the cause")


def damaged_text(exc: UnicodeDecodeError) -> Corrupt:
    """What a row holds as text is no UTF-8; SQLite does not check."""
    return Corrupt(
        f"a text in the file is damaged: {exc.reason}",
        hint="run `llmspell verify`, then restore from a backup what it names",
    )


_TABLE: tuple[tuple[type[apsw.Error], _Row], ...] = (
    (apsw.FullError, _FULL),
    (apsw.CorruptError, _DAMAGED),
    (
        apsw.NotADBError,
        (Corrupt, "not-a-database", "the file is not an SQLite database", "check the path, or restore from a backup"),
    ),
    (
        apsw.ReadOnlyError,
        (ReadOnly, "read-only", "the file or its folder cannot be written", "check the permissions"),
    ),
    (
        apsw.CantOpenError,
        (StorageFailed, "cannot-open", "the file cannot be opened", "check that the folder exists and may be used"),
    ),
    (
        apsw.PermissionsError,
        (StorageFailed, "cannot-open", "the system denies access to the file", "check the permissions"),
    ),
    (apsw.AuthError, (AccessDenied, "access-denied", "the statement is not allowed here", "only reading is")),
    (
        apsw.TooBigError,
        (LimitExceeded, "too-big", "a value is larger than the database takes", "store it as an artifact"),
    ),
    (
        apsw.NoMemError,
        (StorageFailed, "out-of-memory", "there is not enough memory", "close what is not needed and try again"),
    ),
    (
        apsw.ForkingViolationError,
        (StorageFailed, "forked", "the handle came from a parent process", "open the store in the child"),
    ),
    (
        apsw.ConnectionClosedError,
        (StorageFailed, "closed", "the connection is closed", "open the store again"),
    ),
    (apsw.InterruptError, (StorageFailed, "interrupted", "the statement was interrupted", "try again")),
)
_BUSY_TYPES = (apsw.BusyError, apsw.LockedError, apsw.ProtocolError, apsw.SchemaChangeError)


def map_error(exc: apsw.Error, doing: str) -> LlmspellError:
    """Our error for a driver's one. ``doing`` completes "could not ..." (for instance ``"commit a unit"``).

    ``details`` of the result: ``sqlite`` the extended result code, or 0 when the driver itself refused.
    """
    code = int(getattr(exc, "extendedresult", 0) or 0)
    if isinstance(exc, _BUSY_TYPES):
        return Busy(
            f"could not {doing}: another connection holds the database ({exc})",
            hint="try again; a transaction left open by another process or tool is the usual reason",
            sqlite=code,
        )
    return _make(_row_of(exc, code), f"could not {doing}", str(exc), sqlite=code)


def map_os_error(exc: OSError, doing: str, *, syncing: bool = False) -> LlmspellError:
    """Our error for a failed system call on a file of ours. ``syncing`` says that the call was a sync to disk.

    ``details`` of the result: ``errno``.
    """
    row = _SYNC if syncing else _FULL if exc.errno in _FULL_ERRNOS else _IO
    return _make(row, f"could not {doing}", str(exc), errno=exc.errno)


def forbids_writing(error: LlmspellError) -> bool:
    """True when the handle must not write again after this error: a sync failed, or a write did for an unknown reason.

    After a failed sync the system may have dropped the pages it could not write while reporting the next sync as good,
    so trying again would acknowledge what is not there.
    """
    return isinstance(error, Corrupt) or (isinstance(error, StorageFailed) and error.code in {SYNC_FAILED, IO_FAILED})


def _row_of(exc: apsw.Error, code: int) -> _Row:
    if isinstance(exc, apsw.IOError):
        if code in _SYNC_CODES:
            return _SYNC
        if code == apsw.SQLITE_IOERR_SHMSIZE:  # There is no room for the few pages that index a WAL.
            return _FULL
        return _DAMAGED if code in _DAMAGE_CODES else _IO
    for kind, row in _TABLE:
        if isinstance(exc, kind):
            return row
    return _OTHER


def _make(row: _Row, what: str, cause: str, **details: int | None) -> LlmspellError:
    kind, code, found, hint = row
    return kind(f"{what}: {found} ({cause})", code=code, hint=hint, **details)
