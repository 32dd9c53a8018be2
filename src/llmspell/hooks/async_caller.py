"""Calls for the asynchronous face: callbacks run in the operation's task, their deadlines on its event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from llmspell.hooks.callers import Call, Timed, awaitable
from llmspell.hooks.drive import drive
from llmspell.hooks.limits import DEFAULT_LIMITS, HookLimits
from llmspell.hooks.pending import Raised, late
from llmspell.hooks.workers import Workers


class AsyncCaller:
    """Async callbacks are awaited under their deadline; sync ones run inline, or on a worker when they have a deadline.

    One caller may serve several loops. A sync callback without a deadline that blocks, blocks the loop.
    """

    def __init__(
        self,
        limits: HookLimits = DEFAULT_LIMITS,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._limits = limits
        self._grace_s = limits.grace_ms / 1000
        self._sleep = sleep
        self._monotonic_ns = monotonic_ns
        self._workers = Workers(monotonic_ns)

    async def call(self, call: Call) -> Any:
        """The callback's value or Raised."""
        hook = call.hook
        if hook.on_worker:
            value = await self._on_worker(call)
        else:
            try:
                value = call.env.run(hook.callback, call.shown)
            except BaseException as exc:  # noqa: BLE001 - the runner judges every kind
                return Raised(exc)
        if awaitable(value):
            return await drive(value, call.env, hook.deadline_s, self._grace_s)
        return value

    async def settle(self, awaitable: Any, call: Call) -> Any:
        """Awaits what a sync callback returned, under its deadline."""
        return await drive(awaitable, call.env, call.hook.deadline_s, self._grace_s)

    async def call_all(self, calls: Sequence[Call]) -> list[Timed]:
        """Each call in a task of its own. When the operation is cancelled, so are they."""
        return list(await asyncio.gather(*map(self._timed, calls)))

    async def pause(self, delay_ms: int) -> None:
        """Lets the loop go on."""
        await self._sleep(delay_ms / 1000)

    def close(self) -> None:
        """Ends idle workers."""
        self._workers.close()

    async def _timed(self, call: Call) -> Timed:
        start = self._monotonic_ns()
        value = await self.call(call)
        return value, self._monotonic_ns() - start

    async def _on_worker(self, call: Call) -> Any:
        hook = call.hook
        job = self._workers.start(hook, call.env, call.shown, self._limits.stuck_calls_max)
        if isinstance(job, Raised):
            return job
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not arrived.done():
                arrived.set_result(None)

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # A closed loop: whoever waited is gone.
                loop.call_soon_threadsafe(settle)

        job.on_over(wake)
        timer = loop.call_later(hook.deadline_s, settle)
        try:
            await arrived
        except BaseException:
            job.abandon()
            raise
        finally:
            timer.cancel()
        return job.value if job.over or not job.abandon() else late(hook.deadline_s)
