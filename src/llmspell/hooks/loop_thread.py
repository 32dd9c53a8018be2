"""An event loop in a daemon thread, for async callbacks of the synchronous face.

It is retired when a callback blocks it past its deadline, or when its store is closed: it takes no more calls and ends
with the last one it has. What must stay true: a call that was accepted is begun, so a retired loop never strands one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

from llmspell.hooks.drive import drive
from llmspell.hooks.pending import Pending, Raised


class LoopCall(Pending):
    """A call on a loop thread. Abandoning it cancels its task and retires the loop, which may be blocked."""

    __slots__ = ("_thread", "task")

    def __init__(self, thread: LoopThread, monotonic_ns: Callable[[], int]) -> None:
        super().__init__(monotonic_ns)
        self._thread = thread
        self.task: asyncio.Task[None] | None = None

    def _abandoned(self) -> None:
        self._thread.give_up(self)


class LoopThread:
    """One loop, one thread; made on first use."""

    def __init__(self, grace_s: float, monotonic_ns: Callable[[], int]) -> None:
        self._grace_s = grace_s
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._calls = 0
        self._retired = self._stopped = False
        self._loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="llmspell-hook-loop", daemon=True)
        self.thread.start()

    def submit(self, awaitable: Any, env: Context, timeout_s: float) -> LoopCall | None:
        """Begin to run an awaitable in ``env``; None when the loop is retired."""
        call = LoopCall(self, self._monotonic_ns)
        with self._lock:
            if self._retired:
                return None
            self._calls += 1
        self._loop.call_soon_threadsafe(self._begin, call, awaitable, env, timeout_s)
        return call

    def give_up(self, call: LoopCall) -> None:
        """Nobody waits for this call any longer."""
        self._loop.call_soon_threadsafe(self._cancel, call)
        self.retire()

    def retire(self) -> None:
        """Take no more calls; end when the last one has."""
        with self._lock:
            if not self._retired:
                self._retired = True
                self._loop.call_soon_threadsafe(self._stop_if_idle)

    def _begin(self, call: LoopCall, awaitable: Any, env: Context, timeout_s: float) -> None:
        call.task = self._loop.create_task(self._answer(call, awaitable, env, timeout_s))

    async def _answer(self, call: LoopCall, awaitable: Any, env: Context, timeout_s: float) -> None:
        value: Any = None
        try:
            value = await drive(awaitable, env, timeout_s, self._grace_s)
        except asyncio.CancelledError as exc:
            value = Raised(exc)
        finally:
            call.set(value)
            with self._lock:
                self._calls -= 1
            self._stop_if_idle()

    @staticmethod
    def _cancel(call: LoopCall) -> None:
        if call.task is not None:
            call.task.cancel()

    def _stop_if_idle(self) -> None:
        with self._lock:
            if self._retired and self._calls == 0 and not self._stopped:
                self._stopped = True  # once: a second stop would hit the tidying up
                self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            leftover = asyncio.all_tasks(self._loop)
            for task in leftover:
                task.cancel()
            self._loop.run_until_complete(
                asyncio.wait(leftover, timeout=self._grace_s) if leftover else asyncio.sleep(0)
            )
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()
