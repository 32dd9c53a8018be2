"""A callback's answer that is still to come from another thread, and the two ways in which it may come badly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from llmspell.errors import LimitExceeded


class Raised:
    """What a callback raised, kept as a value so that it cannot be mistaken for an error of the operation."""

    __slots__ = ("code", "error")

    def __init__(self, error: BaseException, code: str = "hook-raised") -> None:
        self.error = error
        self.code = code


def late(seconds: float) -> Raised:
    """The answer of a callback that gave none before its deadline."""
    error = LimitExceeded(
        f"no answer within {seconds * 1000:g} ms", code="hook-late", hint="give it a longer timeout_ms"
    )
    return Raised(error, error.code)


class Pending:
    """Set once by the thread that runs the callback, waited for by one other."""

    __slots__ = ("_lock", "_monotonic_ns", "_wake", "ended_ns", "over", "value")

    def __init__(self, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._wake: Callable[[], object] | None = None
        self.over = False
        self.value: Any = None
        self.ended_ns = 0

    def set(self, value: Any) -> None:
        """The answer is there: wakes whoever waits."""
        with self._lock:
            self.value = value
            self.ended_ns = self._monotonic_ns()
            self.over = True
            wake = self._wake
        if wake is not None:
            wake()

    def on_over(self, wake: Callable[[], object]) -> None:
        """Call ``wake`` when the answer is there, from the thread that sets it, or now if it is."""
        with self._lock:
            if not self.over:
                self._wake = wake
                return
        wake()

    def wait(self, seconds: float) -> Any:
        """Block for the answer; past ``seconds`` the call is abandoned and a late ``Raised`` is given."""
        event = threading.Event()
        self.on_over(event.set)
        try:
            arrived = event.wait(seconds)
        except BaseException:
            self.abandon()
            raise
        return self.value if arrived or not self.abandon() else late(seconds)

    def abandon(self) -> bool:
        """Nobody waits any longer. False when the answer had come in the meantime."""
        with self._lock:
            if self.over:
                return False
            self._wake = None
            self._abandoned()
            return True

    def _abandoned(self) -> None:
        """Called once, under the lock, when the call is given up."""
