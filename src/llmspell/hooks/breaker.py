"""Circuit breaker: stops calling a hook that keeps failing or is slow, and tries it again later.

    closed     calls pass; ``failures`` within ``window_s``, or ``slow_calls`` within it, open it
    open       calls are refused for ``open_s``
    half-open  one call at a time is let through as a probe; ``successes_to_close`` good ones in a row close it,
               a bad or slow one opens it again

What must stay true: only what happened inside the window counts; a call that began before the last change of state
says nothing about the present one; a probe that was withdrawn frees its place. The clock is injected.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

from llmspell.errors import InvalidInput

BreakerState = Literal["closed", "open", "half-open"]
REFUSED = -1
"""The ticket of a call that is not to be made."""

COUNT_MAX = 1_000
SECONDS_MAX = 86_400.0


class BreakerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens and closes. Counts from 1 to 1,000; seconds above 0 up to a day.

    ``slow_ms`` is when a call counts as slow; ``slow_calls`` None: slow calls do not count.
    """

    failures: int = 3
    window_s: float = 30.0
    open_s: float = 15.0
    successes_to_close: int = 2
    slow_ms: float = 500.0
    slow_calls: int | None = 2

    def __post_init__(self) -> None:
        for name in ("failures", "successes_to_close", "slow_calls"):
            count = getattr(self, name)
            optional = name == "slow_calls" and count is None
            if not optional and (type(count) is not int or not 1 <= count <= COUNT_MAX):
                raise InvalidInput(f"{name} is an int from 1 to {COUNT_MAX:,}, not {count!r}", code="invalid-breaker")
        for name in ("window_s", "open_s", "slow_ms"):
            span = getattr(self, name)
            most = SECONDS_MAX * 1000 if name == "slow_ms" else SECONDS_MAX
            if type(span) not in {int, float} or not 0 < span <= most:
                raise InvalidInput(
                    f"{name} is a number above 0 up to {most:,.0f}, not {span!r}", code="invalid-breaker"
                )


PRODUCTION = BreakerConfig(failures=2, successes_to_close=1, window_s=20, open_s=10, slow_ms=25, slow_calls=1)
CONSERVATIVE = BreakerConfig(failures=5, successes_to_close=3, window_s=60, open_s=30, slow_ms=1_000, slow_calls=3)


class Breaker:
    """The breaker of one hook. ``admit`` gives a ticket, which one of the other three takes back. Thread-safe."""

    __slots__ = (
        "_bad",
        "_changed",
        "_config",
        "_good",
        "_lock",
        "_monotonic_ns",
        "_probe",
        "_slow",
        "closed",
        "slow_ns",
        "ticket",
    )

    def __init__(self, config: BreakerConfig, monotonic_ns: Callable[[], int]) -> None:
        self._config = config
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._bad: deque[int] = deque(maxlen=config.failures)
        self._slow: deque[int] = deque(maxlen=config.slow_calls or 1)
        self._good = 0
        self._probe = False
        self._changed = 0
        self.closed = True
        self.ticket = 0
        """Number of the present state; while ``closed``, a caller may use it without calling ``admit``."""
        self.slow_ns = int(config.slow_ms * 1_000_000)

    @property
    def state(self) -> BreakerState:
        """The state as the next call would find it."""
        with self._lock:
            if self.closed:
                return "closed"
            return "half-open" if self._cooled() else "open"

    def admit(self) -> int:
        """A ticket for one call, or REFUSED."""
        with self._lock:
            if self.closed:
                return self.ticket
            if self._probe or not self._cooled():
                return REFUSED
            self._probe = True
            return self.ticket

    def passed(self, ticket: int, elapsed_ns: int) -> None:
        """The call gave a usable answer after so long. A closed breaker need not be told of quick ones."""
        slow = self._config.slow_calls is not None and elapsed_ns >= self.slow_ns
        with self._lock:
            if ticket != self.ticket:
                return
            if self.closed:
                if slow:
                    self._count(self._slow)
            elif slow:
                self._open()
            else:
                self._probe = False
                self._good += 1
                if self._good >= self._config.successes_to_close:
                    self._close()

    def failed(self, ticket: int) -> None:
        """The call raised, was late, or answered nonsense."""
        with self._lock:
            if ticket != self.ticket:
                return
            if self.closed:
                self._count(self._bad)
            else:
                self._open()

    def withdrawn(self, ticket: int) -> None:
        """The call was given up for a reason that is not the hook's: the operation itself was cancelled."""
        with self._lock:
            if ticket == self.ticket:
                self._probe = False

    def _count(self, times: deque[int]) -> None:
        now = self._monotonic_ns()
        times.append(now)
        if len(times) == times.maxlen and now - times[0] < self._config.window_s * 1_000_000_000:
            self._open()

    def _cooled(self) -> bool:
        return self._monotonic_ns() - self._changed >= self._config.open_s * 1_000_000_000

    def _open(self) -> None:
        self._changed = self._monotonic_ns()
        self._reset(closed=False)

    def _close(self) -> None:
        self._reset(closed=True)

    def _reset(self, *, closed: bool) -> None:
        self.closed = closed
        self.ticket += 1
        self._probe = False
        self._good = 0
        self._bad.clear()
        self._slow.clear()
