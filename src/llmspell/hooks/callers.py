"""How a callback is called: the seam between the runner, which is the same for both faces, and threads and loops.

Contract of a caller: ``call`` gives what the callback returned or a ``Raised`` that holds what it raised, whatever that
is; it raises only what was thrown at the operation itself (its cancellation, Ctrl-C while it waits). Where a deadline
holds, it returns no later than the deadline plus the grace. The callback runs in the context it is given, never in the
caller's, so that what it sets there ends with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from llmspell.hooks.context import HookContext
from llmspell.hooks.hook import Hook
from llmspell.hooks.limits import DEFAULT_LIMITS, HookLimits
from llmspell.hooks.pending import Pending, Raised
from llmspell.hooks.workers import Workers

if TYPE_CHECKING:
    from llmspell.hooks.loop_thread import LoopThread

Timed = tuple[Any, int]
"""A value or Raised, and the nanoseconds it took."""


class Call:
    """One call to be made: which hook, what it is shown, the context it runs in, how deep it is nested (1 = not)."""

    __slots__ = ("depth", "env", "hook", "shown")

    def __init__(self, hook: Hook, shown: HookContext, env: Context, depth: int) -> None:
        self.hook = hook
        self.shown = shown
        self.env = env
        self.depth = depth


class Caller(Protocol):
    """One per store handle and face."""

    async def call(self, call: Call) -> Any:
        """The callback's value, awaited if it is awaitable, or Raised."""
        ...

    async def settle(self, awaitable: Any, call: Call) -> Any:
        """The value of an awaitable that a sync callback returned, or Raised."""
        ...

    async def call_all(self, calls: Sequence[Call]) -> list[Timed]:
        """Many calls at once; answers in the order given, each with its own time."""
        ...

    async def pause(self, delay_ms: int) -> None:
        """Wait before a retry."""
        ...

    def close(self) -> None:
        """Let go of threads. Calls in progress end on their own."""
        ...


def awaitable(value: object) -> bool:
    """Whether a value is to be awaited. Asks the type, which no attribute of the value can forge."""
    return hasattr(type(value), "__await__")


class BlockingCaller:
    """Calls for the synchronous face: no await in it ever suspends.

    Sync callbacks run inline, those with a deadline on a worker thread. Async callbacks run on an event loop in a
    thread of ours (some 100 µs), one loop for each depth of nesting, so that a hook may block its loop on an operation
    whose own hooks need one. A loop that a callback blocks past its deadline is retired and replaced.
    """

    def __init__(
        self,
        limits: HookLimits = DEFAULT_LIMITS,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._limits = limits
        self._sleep = sleep
        self._monotonic_ns = monotonic_ns
        self._workers = Workers(monotonic_ns)
        self._lock = threading.Lock()
        self._loops: dict[int, LoopThread] = {}

    async def call(self, call: Call) -> Any:
        """The callback's value or Raised; blocks until then."""
        return self._finish(self._begin(call), call)

    async def settle(self, awaitable: Any, call: Call) -> Any:
        """Runs the awaitable on a loop thread and blocks for it."""
        return self._finish(self._submit(awaitable, call), call)

    async def call_all(self, calls: Sequence[Call]) -> list[Timed]:
        """Starts all that run on other threads, then runs the inline ones, then collects."""
        answers: dict[int, Timed] = {}
        begun: dict[int, tuple[Any, int]] = {}
        for index in sorted(range(len(calls)), key=lambda index: calls[index].hook.inline):
            start = self._monotonic_ns()
            value = self._begin(calls[index])
            begun[index] = (value, start)
            answers[index] = (value, self._monotonic_ns() - start)
        for index, (value, start) in begun.items():
            if isinstance(value, Pending):
                answer = self._finish(value, calls[index])
                answers[index] = (answer, (value.ended_ns if value.over else self._monotonic_ns()) - start)
        return [answers[index] for index in range(len(calls))]

    async def pause(self, delay_ms: int) -> None:
        """Blocks this thread."""
        self._sleep(delay_ms / 1000)

    def close(self) -> None:
        """Ends idle workers and all loops."""
        self._workers.close()
        with self._lock:
            loops, self._loops = self._loops, {}
        for loop in loops.values():
            loop.retire()

    def _begin(self, call: Call) -> Any:
        hook = call.hook
        if hook.on_worker:
            return self._workers.start(hook, call.env, call.shown, self._limits.stuck_calls_max)
        try:
            value = call.env.run(hook.callback, call.shown)
        except BaseException as exc:  # noqa: BLE001 - the runner judges every kind
            return Raised(exc)
        return self._submit(value, call) if awaitable(value) else value

    def _finish(self, value: Any, call: Call) -> Any:
        grace_s = self._limits.grace_ms / 1000
        if isinstance(value, Pending):
            value = value.wait(call.hook.deadline_s + (0 if call.hook.on_worker else 2 * grace_s))
        if awaitable(value):  # what a worker's callback returned
            value = self._submit(value, call).wait(call.hook.deadline_s + 2 * grace_s)
        return value

    def _submit(self, awaitable: Any, call: Call) -> Pending:
        from llmspell.hooks.loop_thread import LoopThread

        while True:
            with self._lock:
                loop = self._loops.get(call.depth)
                if loop is None:
                    loop = self._loops[call.depth] = LoopThread(self._limits.grace_ms / 1000, self._monotonic_ns)
            pending = loop.submit(awaitable, call.env, call.hook.deadline_s)
            if pending is not None:
                return pending
            with self._lock:  # It was retired; whoever sees that first makes room for another.
                if self._loops.get(call.depth) is loop:
                    del self._loops[call.depth]
