"""A lock among processes and threads by a file of its own, given back by the system when its holder dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmspell.errors import Busy

_WAIT_S_MIN, _WAIT_S_MAX = 0.0002, 0.005


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of ``path``, which is made when missing and stays. Raises Busy (``keyring-busy``), OSError.

    Every holder opens the file anew, so it also keeps threads of one process apart. Not to be taken twice by one.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        _wait(descriptor, path, timeout_s)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, path: Path, timeout_s: float) -> None:
    deadline, wait_s = time.monotonic() + timeout_s, _WAIT_S_MIN
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise Busy(
                f"another process has held {path} for {timeout_s:g} s", code="keyring-busy", hint="try again later"
            )
        time.sleep(wait_s)
        wait_s = min(wait_s * 1.5, _WAIT_S_MAX)


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
