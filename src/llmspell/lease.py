"""One process at a time does something long: a lock file, given back by the system when its holder dies.

The lock keeps a second process from taking up what is alive. It is no guard of the data: that is the attempt, which
every write of a run or a migration checks in its own transaction.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from llmspell.errors import LlmspellError, StorageFailed

_held: set[tuple[str, str]] = set()
"""(store, name) of what this process does, also for stores in memory."""


class Lease:
    """The right to do what ``name`` says, once in a store. Release it when it has ended, however it did.

    ``path`` is that of the lock file, None for a store in memory; ``busy`` the error for whoever comes second.
    """

    def __init__(self, store: str, path: Path | None, name: str, busy: LlmspellError) -> None:
        self._key = (store, name)
        self._path = path
        self._busy = busy
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take it, or raise the error given. Never waits."""
        if self._key in _held:
            raise self._busy
        if self._path is not None:
            self._descriptor = self._lock(self._path)
        _held.add(self._key)

    def is_held(self) -> bool:
        """Whether somebody has it now. Makes no file, so it may be asked of a store that cannot be written."""
        if self._key in _held:
            return True
        if self._path is None:
            return False
        try:
            descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return False
        try:
            return not _try_lock(descriptor)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give it back and remove the file. Idempotent."""
        _held.discard(self._key)
        if self._descriptor is None or self._path is None:
            return
        # Removed while it is still locked: who opened it meanwhile sees that it is not the file of that name any more.
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def _lock(self, path: Path) -> int:
        try:
            path.parent.mkdir(exist_ok=True)
            while True:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
                if not _try_lock(descriptor):
                    os.close(descriptor)
                    raise self._busy
                if _is_at(descriptor, path):
                    return descriptor
                os.close(descriptor)
        except OSError as exc:
            raise StorageFailed(f"cannot lock {path}: {exc.strerror}", code="system-error") from exc


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


if sys.platform == "win32":  # pragma: no cover - the other branch is

    def _try_lock(descriptor: int) -> bool:
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _try_lock(descriptor: int) -> bool:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
