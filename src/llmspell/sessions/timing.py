"""Something that an open store does at its own time, without other occasion: what its retention lets go.

It has a thread of its own, begun when there is first something to wait for. A cleanup that archives much takes minutes,
and auto-saves, which have another thread, do not wait for it.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import Protocol

from llmspell.model.clock import Clock

_LEAST_S = 1.0
"""What could not be done is not tried again at once."""


class AtItsTime(Protocol):
    """What is done. Neither method raises for what the store or the disk does."""

    def due_ns(self) -> int | None:
        """When next, by the monotonic clock; None while never."""
        ...

    def run(self) -> None:
        """Do it."""
        ...


class Timer:
    """Does something when its time has come. Thread-safe; a store that is only read does nothing."""

    def __init__(self, clock: Clock, what: AtItsTime, *, read_only: bool) -> None:
        self._clock = clock
        self._what = what
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = read_only
        self._at: float | None = None  # In real seconds, as the thread waits.

    def begin(self) -> None:
        """Something may be to do, or at another time than was known. Starts the thread when it is needed."""
        if not self._closed:
            self._look(0.0)
        with self._wake:
            if self._closed or (self._at is None and self._thread is None):
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="llmspell-retention", daemon=True)
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """End the thread, once it has done what it is doing. Idempotent."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._waited():
            self._what.run()
            self._look(_LEAST_S)

    def _waited(self) -> bool:
        """Wait until its time has come; False when it is over."""
        with self._wake:
            while not self._closed:
                left_s = None if self._at is None else self._at - monotonic()
                if left_s is not None and left_s <= 0:
                    return True
                self._wake.wait(left_s)
        return False

    def _look(self, least_s: float) -> None:
        due_ns, now_ns = self._what.due_ns(), self._clock.monotonic_ns()
        with self._wake:
            self._at = None if due_ns is None else monotonic() + max((due_ns - now_ns) / 1e9, least_s)
