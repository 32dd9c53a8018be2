"""One registered hook: its callback, its place in the order, its breaker and its counters; and how it is shown.

What must stay true: the counters are exact under threads, and nothing here calls the callback.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Literal

import msgspec

from llmspell.errors import InvalidInput
from llmspell.hooks.breaker import Breaker, BreakerConfig

SPANS_KEPT = 512
"""Durations that wait to be added up."""

OnFailure = Literal["allow", "deny"]
Callback = Callable[[Any], Any]


class Priority(IntEnum):
    """Who runs first: the lower number. Any int between the two ends will do."""

    HIGHEST = -(2**31)
    HIGH = -100
    NORMAL = 0
    LOW = 100
    LOWEST = 2**31 - 1


def priority_of(value: int | str) -> int:
    """The number of a priority given as number or name (``"high"``). Raises InvalidInput, code ``invalid-priority``."""
    if isinstance(value, str) and value.upper() in Priority.__members__:
        return int(Priority[value.upper()])
    if isinstance(value, int) and not isinstance(value, bool) and Priority.HIGHEST <= value <= Priority.LOWEST:
        return int(value)
    raise InvalidInput(
        f"a priority is one of {', '.join(name.lower() for name in Priority.__members__)} or an int of 32 bits",
        code="invalid-priority",
    )


class HookInfo(msgspec.Struct, frozen=True):
    """A registered hook as ``Hooks.list`` shows it; counters since it was registered.

    ``breaker`` is ``closed``, ``open``, ``half-open`` or None for a hook without one; ``skipped`` counts calls that an
    open breaker prevented; ``timeout_ms`` is None where no deadline holds.
    """

    id: str
    name: str
    point: str
    priority: int
    language: str
    version: str
    description: str
    tags: tuple[str, ...]
    enabled: bool
    on_failure: OnFailure
    timeout_ms: float | None
    breaker: str | None
    calls: int
    failures: int
    skipped: int
    last_error: str | None
    total_ms: float
    avg_ms: float


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a hook when it is registered, checked."""

    name: str
    priority: int
    timeout_ms: float | None
    on_failure: OnFailure
    breaker: BreakerConfig | None
    tags: tuple[str, ...]
    language: str
    description: str
    version: str


class Hook:
    """A registered hook. ``inline`` callbacks are called on the spot, ``on_worker`` ones on a thread."""

    __slots__ = (
        "_lock",
        "_spans",
        "_traits",
        "breaker",
        "callback",
        "calls",
        "deadline_s",
        "denies",
        "enabled",
        "failures",
        "id",
        "inline",
        "last_error",
        "name",
        "on_worker",
        "order",
        "point",
        "script",
        "skipped",
        "stuck",
        "total_ns",
    )

    def __init__(
        self,
        number: int,
        point: str,
        callback: Callback,
        traits: Traits,
        *,
        is_async: bool,
        async_timeout_ms: float,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._traits = traits
        self._lock = threading.Lock()
        self._spans: deque[int] = deque()
        self.id = f"hook-{number}"
        self.order = (traits.priority, number)
        self.point = point
        self.callback = callback
        self.name = traits.name
        self.denies = traits.on_failure == "deny"
        self.script = traits.language != "python"
        self.breaker = None if traits.breaker is None else Breaker(traits.breaker, monotonic_ns)
        self.inline = not is_async and traits.timeout_ms is None
        self.on_worker = not is_async and traits.timeout_ms is not None
        self.deadline_s = (async_timeout_ms if traits.timeout_ms is None else traits.timeout_ms) / 1000
        self.enabled = True
        self.calls = self.failures = self.skipped = self.stuck = self.total_ns = 0
        self.last_error: str | None = None

    @property
    def traits(self) -> Traits:
        """As registered."""
        return self._traits

    def count(self, elapsed_ns: int) -> None:
        """A call ended well. Appending is atomic and costs a third of taking the lock; the sums are made later."""
        spans = self._spans
        spans.append(elapsed_ns)
        if len(spans) >= SPANS_KEPT:
            with self._lock:
                self._add_up()

    def count_failure(self, elapsed_ns: int, message: str) -> None:
        """A call failed."""
        with self._lock:
            self.calls += 1
            self.failures += 1
            self.total_ns += elapsed_ns
            self.last_error = message

    def count_skip(self) -> None:
        """The breaker prevented a call."""
        with self._lock:
            self.skipped += 1

    def stick(self) -> None:
        """A call was abandoned and runs on."""
        with self._lock:
            self.stuck += 1

    def unstick(self) -> None:
        """An abandoned call has come to its end."""
        with self._lock:
            self.stuck -= 1

    def info(self) -> HookInfo:
        """A consistent picture of it."""
        said = self._traits
        with self._lock:
            self._add_up()
            calls, failures, skipped, total_ns, last = (
                self.calls,
                self.failures,
                self.skipped,
                self.total_ns,
                self.last_error,
            )
        return HookInfo(
            id=self.id,
            name=self.name,
            point=self.point,
            priority=said.priority,
            language=said.language,
            version=said.version,
            description=said.description,
            tags=said.tags,
            enabled=self.enabled,
            on_failure=said.on_failure,
            timeout_ms=None if self.inline else self.deadline_s * 1000,
            breaker=None if self.breaker is None else self.breaker.state,
            calls=calls,
            failures=failures,
            skipped=skipped,
            last_error=last,
            total_ms=total_ns / 1e6,
            avg_ms=total_ns / calls / 1e6 if calls else 0.0,
        )

    def _add_up(self) -> None:
        take = self._spans.popleft
        try:
            while True:
                self.total_ns += take()
                self.calls += 1
        except IndexError:
            return
