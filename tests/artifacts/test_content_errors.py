"""Errors of the driver and the system: each becomes one of ours; those that forbid further writing are told apart."""

from __future__ import annotations

import errno

import apsw
import pytest

from llmspell.adapters.sqlite.errors import forbids_writing, map_error, map_os_error
from llmspell.errors import AccessDenied, Busy, Corrupt, LimitExceeded, LlmspellError, ReadOnly, StorageFailed


def driver_error(kind, extended=0):
    error = kind("planted")
    error.extendedresult = extended
    return error


@pytest.mark.parametrize(
    "kind, extended, expected, code",
    [
        (apsw.BusyError, apsw.SQLITE_BUSY_SNAPSHOT, Busy, "busy"),
        (apsw.LockedError, 0, Busy, "busy"),
        (apsw.ProtocolError, 0, Busy, "busy"),
        (apsw.FullError, apsw.SQLITE_FULL, StorageFailed, "disk-full"),
        (apsw.IOError, apsw.SQLITE_IOERR_FSYNC, StorageFailed, "sync-failed"),
        (apsw.IOError, apsw.SQLITE_IOERR_DIR_FSYNC, StorageFailed, "sync-failed"),
        (apsw.IOError, apsw.SQLITE_IOERR_WRITE, StorageFailed, "io-failed"),
        (apsw.IOError, apsw.SQLITE_IOERR_SHORT_READ, Corrupt, "corrupt"),
        (apsw.CorruptError, apsw.SQLITE_CORRUPT_INDEX, Corrupt, "corrupt"),
        (apsw.NotADBError, 0, Corrupt, "not-a-database"),
        (apsw.ReadOnlyError, apsw.SQLITE_READONLY_DIRECTORY, ReadOnly, "read-only"),
        (apsw.CantOpenError, 0, StorageFailed, "cannot-open"),
        (apsw.PermissionsError, 0, StorageFailed, "cannot-open"),
        (apsw.AuthError, 0, AccessDenied, "access-denied"),
        (apsw.TooBigError, 0, LimitExceeded, "too-big"),
        (apsw.NoMemError, 0, StorageFailed, "out-of-memory"),
        (apsw.InterruptError, 0, StorageFailed, "interrupted"),
        (apsw.ConnectionClosedError, 0, StorageFailed, "closed"),
        (apsw.SQLError, 0, StorageFailed, "storage-failed"),
    ],
)
def test_a_drivers_error_becomes_ours(kind, extended, expected, code):
    error = map_error(driver_error(kind, extended), "commit a unit")
    assert type(error) is expected
    assert error.code == code
    assert "commit a unit" in str(error)
    assert "planted" in str(error)
    assert error.hint
    assert error.details == {"sqlite": extended}


def test_every_error_of_the_driver_has_a_place():
    kinds = [kind for kind in vars(apsw).values() if isinstance(kind, type) and issubclass(kind, apsw.Error)]
    assert len(kinds) > 20
    for kind in kinds:
        assert isinstance(map_error(kind("planted"), "do something"), LlmspellError)


def test_a_real_error_carries_its_code():
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (x); PRAGMA query_only=ON")
    with pytest.raises(apsw.Error) as caught:
        connection.execute("INSERT INTO t VALUES (1)")
    assert map_error(caught.value, "write").details["sqlite"] == apsw.SQLITE_READONLY
    connection.close()


@pytest.mark.parametrize(
    "number, syncing, code",
    [
        (errno.ENOSPC, False, "disk-full"),
        (errno.EDQUOT, False, "disk-full"),
        (errno.EIO, False, "io-failed"),
        (errno.ENOSPC, True, "sync-failed"),
        (errno.EIO, True, "sync-failed"),
    ],
)
def test_a_system_error_becomes_ours(number, syncing, code):
    error = map_os_error(OSError(number, "planted"), "write a pack", syncing=syncing)
    assert (type(error), error.code, error.details) == (StorageFailed, code, {"errno": number})


def test_only_doubtful_writes_forbid_further_writing():
    doubtful = [
        driver_error(apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
        driver_error(apsw.IOError, apsw.SQLITE_IOERR_WRITE),
        driver_error(apsw.CorruptError),
    ]
    harmless = [driver_error(kind) for kind in (apsw.FullError, apsw.BusyError, apsw.InterruptError, apsw.NoMemError)]
    assert all(forbids_writing(map_error(error, "write")) for error in doubtful)
    assert not any(forbids_writing(map_error(error, "write")) for error in harmless)
