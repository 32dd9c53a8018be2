"""A keyring's file on disk: how it is read, lengthened and replaced, so that a kill at any point leaves it whole.

    NAME        the keyring
    NAME.lock   held by whoever writes
    NAME.new    being written, not in use yet
    NAME.old    no longer in use, being overwritten

Lengthen: write the records after the end, sync, then count them in the header. Who reads without the lock believes the
count only, so nobody uses a key that a power loss may take back. What a kill left after the count is written anew and
synced before it is counted: after a failed sync the system may hold pages for clean that are not on the disk.

Replace: write NAME.new, sync, link NAME to NAME.old, rename NAME.new to NAME, sync the folder, overwrite NAME.old with
zeros, sync, remove it. Whoever has the lock next finishes what a kill left of that.

Overwriting reaches the bytes where a file system writes in place. On one that copies on write, on flash memory and in
snapshots old blocks may live on; they are worth nothing without a master key, so rotate it and destroy the old one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from llmspell.errors import LlmspellError, NotFound, StorageFailed
from llmspell.security.durable import BINARY, overwrite, overwrite_open, sync_folder, write_at, write_new
from llmspell.security.keyring_format import COUNT_AT, HEADER_BYTES, RECORD_BYTES, RECORDS_MAX
from llmspell.security.lockfile import locked

FILE_BYTES_MAX = HEADER_BYTES + RECORD_BYTES * RECORDS_MAX
_PIECE_BYTES = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class Look(NamedTuple):
    """What tells a file from the one that was there before, and from what it was."""

    device: int
    inode: int
    size: int
    changed_ns: int

    def same_file(self, other: Look) -> bool:
        """Whether it is the same file, though perhaps of other content."""
        return self[:2] == other[:2]


class KeyringFile:
    """The file at ``path`` (links followed) and the ones beside it. Errors of the system are mapped here."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self.path = Path(os.path.realpath(path))
        self._busy_timeout_s = busy_timeout_s
        self._new, self._old = self._beside(".new"), self._beside(".old")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock; first what a killed writer left beside the file is cleared. Raises Busy, StorageFailed."""
        with mapped(f"lock {self.path}"):
            lock = locked(self._beside(".lock"), self._busy_timeout_s)
            lock.__enter__()
        try:
            self._clear()
            yield
        finally:
            lock.__exit__(None, None, None)

    @property
    def is_left(self) -> bool:
        """Whether a killed writer left something that the next one clears."""
        return self._old.exists() or self._new.exists()

    def look(self) -> Look:
        """How the file is now. 1.5 µs. Raises NotFound (``keyring-missing``)."""
        with mapped(f"read {self.path}"):
            return _look(self.path.stat())

    def open(self) -> int:
        """A descriptor for reading. As long as it is open, no other file gets its inode. Raises NotFound."""
        with mapped(f"read {self.path}"):
            return os.open(self.path, os.O_RDONLY | BINARY)

    def begins_with(self, content: bytes) -> bool:
        """Whether this is how the file in place begins."""
        descriptor = self.open()
        try:
            return read(descriptor, 0, len(content)) == content
        finally:
            os.close(descriptor)

    def replace(self, content: bytes) -> None:
        """Put ``content`` in the place of the file, durably, and overwrite what was there. Hold the lock.

        After an error before the renaming the old file is in place, after one behind it the new one.
        """
        with mapped(f"write {self._new}"):
            write_new(self._new, content)
        with mapped(f"replace {self.path}"):
            descriptor = self._keep_old()
            try:
                self._new.replace(self.path)
                sync_folder(self.path.parent)
                if descriptor is not None:
                    overwrite_open(descriptor)
            finally:
                if descriptor is not None:
                    os.close(descriptor)
        self._clear()

    def lengthen(self, at: int, records: bytes, count: bytes, *, fresh: bool) -> None:
        """Put ``records`` at the offset ``at``, durably, cut what is behind, and then the ``count`` of all records.

        Hold the lock. ``fresh`` records are taken back after an error, if the disk lets us; others, found there, stay.
        """
        with mapped(f"write {self.path}"):
            descriptor = os.open(self.path, os.O_RDWR | BINARY)
            try:
                try:
                    write_at(descriptor, at, records)
                    os.ftruncate(descriptor, at + len(records))
                    os.fsync(descriptor)
                except OSError:
                    if fresh:
                        os.ftruncate(descriptor, at)
                    raise
                write_at(descriptor, COUNT_AT, count)
            finally:
                os.close(descriptor)

    def make_folder(self) -> None:
        """Make the folder of the file, for its owner only, when it is missing."""
        with mapped(f"make {self.path.parent}"):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _keep_old(self) -> int | None:
        """Keep the file in use findable after it was replaced: by a name, or else by a descriptor."""
        try:
            self._old.hardlink_to(self.path)
        except FileNotFoundError:
            return None  # There was none.
        except OSError:  # A file system without links: a kill before the overwriting then leaves freed blocks.
            return os.open(self.path, os.O_WRONLY | BINARY)
        return None

    def _clear(self) -> None:
        """Remove what is left beside the file; what was in use before is overwritten first."""
        with mapped(f"clear {self._old}"):
            self._new.unlink(missing_ok=True)
            if not self._old.exists():
                return
            if not self._old.samefile(self.path):
                overwrite(self._old)
            self._old.unlink()
            sync_folder(self.path.parent)


@contextmanager
def mapped(doing: str) -> Iterator[None]:
    """Errors of the system become ours. ``doing`` completes "could not ..."."""
    try:
        yield
    except OSError as exc:
        raise _error(exc, doing) from exc


def look_through(descriptor: int) -> Look:
    """How an open file is now."""
    return _look(os.fstat(descriptor))


def read(descriptor: int, at: int, count: int) -> bytes:
    """``count`` bytes from an offset; fewer at the end of the file. Raises StorageFailed."""
    pieces = []
    with mapped("read the keyring"):
        os.lseek(descriptor, at, os.SEEK_SET)
        while count > 0 and (piece := os.read(descriptor, min(count, _PIECE_BYTES))):
            pieces.append(piece)
            count -= len(piece)
    return b"".join(pieces)


def is_private(path: Path) -> bool:
    """Whether nobody but its owner may read or write a file, as far as the system knows such a thing."""
    return os.name == "nt" or not stat.S_IMODE(path.stat().st_mode) & 0o077


def _look(found: os.stat_result) -> Look:
    return Look(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _error(exc: OSError, doing: str) -> LlmspellError:
    if isinstance(exc, FileNotFoundError):
        return NotFound(
            f"could not {doing}: it is not there",
            code="keyring-missing",
            hint="restore the keyring from its copy: without it nothing that was sealed can be read",
        )
    if exc.errno in _FULL:
        return StorageFailed(f"could not {doing}: the disk is full", code="disk-full", hint="free some space")
    if exc.errno in _DENIED:
        return StorageFailed(
            f"could not {doing}: {exc.strerror}", code="keyring-denied", hint="check owner and permissions"
        )
    return StorageFailed(f"could not {doing}: {exc.strerror or exc}", code="io-failed", hint="check the disk")
