"""Where time comes from. The store never reads a clock of its own, so a test or a replay can hand it any time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two readings in nanoseconds: the wall (Unix epoch) and a monotonic one that never jumps."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, as the wall clock says; may jump."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary start; never decreases."""
        ...


class SystemClock:
    """The operating system's clocks."""

    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)


class ManualClock:
    """A clock that stands still until told otherwise, for tests and replays.

    ``step_ns`` is added at each reading of the wall clock.
    """

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000, *, step_ns: int = 0) -> None:
        self._now_ns = now_ns
        self._monotonic_ns = 0
        self._step_ns = step_ns

    def now_ns(self) -> int:
        """The set time; moves by ``step_ns`` after the reading."""
        now = self._now_ns
        self._now_ns += self._step_ns
        self._monotonic_ns += self._step_ns
        return now

    def monotonic_ns(self) -> int:
        """Grows with ``advance`` only, never with ``jump``."""
        return self._monotonic_ns

    def advance(self, seconds: float) -> None:
        """Let time pass: both readings move."""
        self._now_ns += round(seconds * 1e9)
        self._monotonic_ns += round(seconds * 1e9)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an operator or NTP would."""
        self._now_ns += round(seconds * 1e9)


def to_datetime(ns: int) -> datetime:
    """An aware UTC datetime of a nanosecond timestamp (microseconds kept, the rest cut)."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


DATETIME_NS = 1000
"""What a datetime cannot tell apart. As an upper bound it means the last of these: an entry's own time includes it."""


def to_ns(moment: datetime) -> int:
    """Nanoseconds of a datetime; a naive one is taken as local time, as ``datetime`` itself does."""
    whole = moment.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * 1_000_000_000 + whole.microsecond * 1000
