"""Pins: how a collect in any process knows whether a put is in progress in any other.

A put in progress has stored chunks that no unit names yet; nothing in the files tells them from what a crash left. So
it holds a shared lock on a lock file of our own for as long as it lasts, and the system takes that back from a process
that dies. Pins only decide how soon a collect takes what no put will name; that nothing named is ever lost rests on the
generation of the content (see ``ports.content``), also where locks do not work.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmspell.adapters.sqlite.errors import map_os_error
from llmspell.errors import Busy, StorageFailed

_WAIT_S = 0.001


class Pins:
    """The puts in progress of one content file. ``path`` is the lock file, None for content in memory.

    Threads may share it. Taking and giving back a pin costs a system call each, and only for the first and last of a
    process at a time.
    """

    def __init__(self, path: Path | None, *, busy_s: float, read_only: bool = False) -> None:
        self._path = path
        self._busy_s = busy_s
        self._read_only = read_only
        self._mutex = threading.Lock()
        self._count = 0
        self._descriptor = -1
        self._closed = False

    def pin(self) -> None:
        """Begin a put. Raises Busy when another process keeps looking for puts for longer than the timeout."""
        with self._mutex:
            if self._count == 0 and self._path is not None:
                self._lock_shared(self._open())
            self._count += 1

    def unpin(self) -> None:
        """End a put, whatever became of it."""
        with self._mutex:
            self._count -= 1
            if self._count == 0 and self._descriptor >= 0:
                _unlock(self._descriptor)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no put is in progress in any process. While it says so, inside the block, none begins."""
        with self._mutex:
            if self._count:
                yield False
                return
            if self._path is None or (self._read_only and not self._path.exists()):
                yield True  # Nobody ever made a put that stores chunks, or nobody else can.
                return
            descriptor = self._open()
            if not _try_exclusive(descriptor):
                yield False
                return
            try:
                yield True
            finally:
                _unlock(descriptor)

    def close(self) -> None:
        """Let go of the lock file. Also in a forked child, where the inherited descriptor would keep a dead parent's
        puts in progress. Twice is allowed.
        """
        descriptor, self._descriptor = self._descriptor, -1
        self._closed = True
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> int:
        if self._closed or self._path is None:
            raise StorageFailed(f"{self._path} is closed", code="closed")
        if self._descriptor < 0:
            flags = os.O_RDONLY if self._read_only else os.O_RDWR | os.O_CREAT
            try:
                self._descriptor = os.open(self._path, flags | os.O_CLOEXEC, 0o644)
            except OSError as exc:
                raise map_os_error(exc, f"open {self._path}") from exc
        return self._descriptor

    def _lock_shared(self, descriptor: int) -> None:
        deadline = time.monotonic() + self._busy_s
        while not _try_shared(descriptor):
            if time.monotonic() >= deadline:
                raise Busy(f"another process has kept {self._path} for {self._busy_s:g} s")
            time.sleep(_WAIT_S)


if sys.platform == "win32":
    import msvcrt

    _SLOTS = 256
    """There are no shared locks here: each process that puts takes one of these bytes, and a look takes them all."""

    def _try_shared(descriptor: int) -> bool:
        return any(_try_bytes(descriptor, slot, 1) for slot in range(_SLOTS))

    def _try_exclusive(descriptor: int) -> bool:
        return _try_bytes(descriptor, 0, _SLOTS)

    def _try_bytes(descriptor: int, start: int, count: int) -> bool:
        try:
            os.lseek(descriptor, start, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, count)
        except OSError:
            return False
        _held[descriptor] = (start, count)
        return True

    def _unlock(descriptor: int) -> None:
        start, count = _held.pop(descriptor)
        os.lseek(descriptor, start, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, count)

    _held: dict[int, tuple[int, int]] = {}
else:
    import fcntl

    def _try_shared(descriptor: int) -> bool:
        return _try(descriptor, fcntl.LOCK_SH)

    def _try_exclusive(descriptor: int) -> bool:
        return _try(descriptor, fcntl.LOCK_EX)

    def _try(descriptor: int, mode: int) -> bool:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as exc:
            raise map_os_error(exc, "lock the file of puts in progress") from exc
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
