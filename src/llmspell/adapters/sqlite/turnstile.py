"""The turnstile: writers of several processes queue here before they ask SQLite for its write lock.

SQLite's own busy handler sleeps and retries, which let one writer wait for seconds while another went round and round.
A lock file of our own, held only around one commit, hands the turn over quickly. It is no database file, so opening
and closing it cannot drop SQLite's locks.

Whoever waits looks again every two milliseconds at most, and may look away whenever the turn is free: two threads of
one process that write in long runs (a migration and the upkeep of indexes) hand it to each other and leave no gap.
Waiting processes therefore hold a second lock file, and those who write in long runs give way before each of their
turns while it is held. A single write looks at neither.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from llmspell.adapters.sqlite.errors import map_os_error
from llmspell.errors import Busy, StorageFailed
from llmspell.model import limits

_OPENING = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
GIVE_WAY_S_MAX = 0.02
"""How long long runs of writes give way at once: whoever queues may be stopped, and is not to stop them."""


class Turn(Protocol):
    """The right to write, one holder at a time among threads and processes."""

    def acquire(self, timeout_s: float = limits.BUSY_TIMEOUT_S) -> None:
        """Take the turn, or raise Busy after ``timeout_s``."""
        ...

    def try_acquire(self) -> bool:
        """Take the turn if nobody has it; never waits."""
        ...

    def give_way(self) -> None:
        """Let other processes that queue go first; to be called without the turn, between writes of a long run. Waits
        for ``GIVE_WAY_S_MAX`` at most, and not at all when nobody queues.
        """
        ...

    def release(self) -> None:
        """Give the turn back."""
        ...

    def let_go(self) -> None:
        """After an interrupt: give back what this thread may still hold."""
        ...


def _mine(lock: threading.RLock) -> bool:
    """Whether this thread holds the lock. The locks of turns know their owner so that an interrupted one can be given
    back, not so that it can be taken twice.
    """
    return lock._is_owned()  # type: ignore[attr-defined, no-any-return]  # noqa: SLF001 - as threading.Condition asks


class ThreadTurn:
    """A turn among the threads of this process only, for stores in memory."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def acquire(self, timeout_s: float = limits.BUSY_TIMEOUT_S) -> None:
        """Take the turn, or raise Busy after ``timeout_s``."""
        if _mine(self._lock) or not self._lock.acquire(timeout=timeout_s):
            raise Busy(f"another thread has been writing for {timeout_s:g} s")

    def try_acquire(self) -> bool:
        """Take the turn if nobody has it; never waits."""
        return not _mine(self._lock) and self._lock.acquire(blocking=False)

    def give_way(self) -> None:
        """There are no other processes."""

    def release(self) -> None:
        """Give the turn back."""
        self._lock.release()

    def let_go(self) -> None:
        """After an interrupt: give back what this thread may still hold."""
        while _mine(self._lock):
            self._lock.release()

    def close(self) -> None:
        """Nothing to give back."""

    forget = close


class FileTurn:
    """A turn among processes by ``flock`` on a lock file, and among threads by a mutex in front of it.

    Costs two system calls, about 1.5 µs.
    """

    _WAIT_S_MIN = 0.0002
    _WAIT_S_MAX = 0.002

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.RLock()
        self._descriptor = os.open(path, _OPENING, 0o644)
        self._line_path = path.with_suffix(f".queue{path.suffix}")
        self._queue: int | None = None

    def try_acquire(self) -> bool:
        """Take the turn if nobody has it; never waits."""
        if _mine(self._mutex) or not self._mutex.acquire(blocking=False):
            return False
        if self._lock():
            return True
        self._mutex.release()
        return False

    def acquire(self, timeout_s: float = limits.BUSY_TIMEOUT_S) -> None:
        """Take the turn, or raise Busy after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        if _mine(self._mutex) or not self._mutex.acquire(timeout=timeout_s):
            raise self._busy(timeout_s)
        wait_s = self._WAIT_S_MIN
        shown = False
        try:
            while not self._lock():
                if time.monotonic() >= deadline:
                    self._mutex.release()
                    raise self._busy(timeout_s)
                shown = shown or self._stand_in_line()
                time.sleep(wait_s)
                wait_s = min(wait_s * 1.5, self._WAIT_S_MAX)
        finally:
            self._step_out()

    def stands(self) -> bool:
        """Whether the lock file is still the one at its path: who gave up making a store takes it away."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def give_way(self) -> None:
        """Let other processes that queue go first; see ``Turn``. Three system calls when nobody does."""
        deadline = time.monotonic() + GIVE_WAY_S_MAX
        while self._is_somebody_in_line() and time.monotonic() < deadline:
            time.sleep(self._WAIT_S_MIN)

    def release(self) -> None:
        """Give the turn back."""
        _unlock(self._descriptor)
        self._mutex.release()

    def let_go(self) -> None:
        """After an interrupt: give back what this thread may still hold."""
        while _mine(self._mutex):
            self._step_out()
            _unlock(self._descriptor)
            self._mutex.release()

    def close(self) -> None:
        """Close the lock file; the turn must not be held. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        queue, self._queue = self._queue, -1
        for one in (descriptor, queue):
            if one is not None and one >= 0:
                os.close(one)

    forget = close
    """In a forked child: the inherited descriptor would keep the parent's lock alive after its death."""

    def _lock(self) -> bool:
        try:
            return _try_lock(self._descriptor)
        except (OSError, ValueError) as exc:
            self._mutex.release()
            if isinstance(exc, ValueError):  # The descriptor is that of a closed file: none.
                raise StorageFailed(f"{self._path} is closed", code="closed") from exc
            raise map_os_error(exc, f"lock {self._path}") from exc

    def _stand_in_line(self) -> bool:
        """Show that this process waits; False when another one does so already. A hint: what fails costs fairness."""
        try:
            return _try_lock(self._line())
        except (OSError, ValueError):
            return False

    def _step_out(self) -> None:
        if self._queue is not None:
            with suppress(OSError, ValueError):
                _unlock(self._queue)

    def _is_somebody_in_line(self) -> bool:
        """Whether anybody shows that. Asked through a descriptor of its own: locks of one do not exclude each
        other, and a thread of this process may stand in line.
        """
        try:
            asking = os.open(self._line_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False  # Nobody ever had to wait.
        try:
            if not _try_lock(asking):
                return True
            _unlock(asking)  # Closing alone would not do, were the descriptor inherited in this moment.
        except OSError:
            pass  # A hint as well: not to know costs fairness, and the turn itself says what is wrong.
        finally:
            os.close(asking)
        return False

    def _line(self) -> int:
        if self._queue is None:
            self._queue = os.open(self._line_path, _OPENING, 0o644)
        return self._queue

    def _busy(self, timeout_s: float) -> Busy:
        return Busy(
            f"another process has been writing to {self._path.parent} for {timeout_s:g} s",
            hint="try again; `llmspell doctor` shows who has the store open",
        )


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
