"""Runs a hook's coroutine by hand inside the operation's task, with a deadline, and so that it cannot hurt that task.

The first step is made at once; most coroutines end there and cost neither a turn of the loop nor a timer. What must
stay true:

- The coroutine has its own contextvars and its own task as far as it can see: ``asyncio.timeout``, task groups and
  ``current_task().cancel()`` in it concern that one and never the operation's.
- Past the deadline it is cancelled, then has a grace for cleaning up, then it is closed. A coroutine that swallows
  cancellation, or awaits something that does, cannot hold the operation.
- A cancellation of the operation reaches the coroutine and afterwards the operation, even if the coroutine swallows it.

The means are those asyncio documents for task implementations of third parties (``_enter_task``, ``_leave_task``). The
operation's task never waits for what the coroutine waits for, but for a future of ours that this, the timer or a
cancellation wakes.
"""

from __future__ import annotations

import asyncio
from asyncio import _enter_task, _leave_task
from collections.abc import Callable, Generator
from contextvars import Context
from types import CoroutineType, coroutine
from typing import Any, Literal

from llmspell.hooks.pending import Raised, late

Signal = Literal["ready", "late", "cancelled"]

_unclosable: list[Any] = []
"""Coroutines that refuse even to be closed. Letting go of one would make the interpreter print about it."""


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


@coroutine
def drive(awaitable: Any, env: Context, timeout_s: float, grace_s: float) -> Generator[Any, Any, Any]:
    """The value of an awaitable or ``Raised``; raises only CancelledError, and only when the operation is cancelled.

    Ends within ``timeout_s`` plus ``grace_s``, unless the coroutine blocks the thread.
    """
    coro = awaitable if type(awaitable) is CoroutineType else _awaited(awaitable)
    try:
        loop = asyncio.get_running_loop()
        outer = asyncio.current_task(loop)
    except RuntimeError as exc:
        coro.close()
        return Raised(exc)
    if outer is None:
        coro.close()
        return Raised(RuntimeError("an async callback needs a task of its event loop"))
    task = HookTask(coro, env, loop=loop, outer=outer)
    awaited = task.step(coro.send, None)
    if task.end is None:
        yield from _Course(task, loop, timeout_s, grace_s).run(awaited)
    return late(timeout_s) if task.end is None else task.end[0]


class HookTask(asyncio.Future[None]):
    """What ``asyncio.current_task()`` gives inside a hook's coroutine: can be cancelled and watched as a task can.

    ``end`` is None while the coroutine has not ended, then a tuple of its value or ``Raised``.
    """

    def __init__(self, coro: Any, env: Context, *, loop: asyncio.AbstractEventLoop, outer: asyncio.Future[Any]) -> None:
        super().__init__(loop=loop)
        self.end: tuple[Any] | None = None
        self.must_cancel = False
        self.awaited: Any = None
        self.wake: Callable[[Signal], None] | None = None
        self._coro = coro
        self._env = env
        self._running_loop = loop
        self._outer = outer
        self._cancels = 0
        self._pressing = False

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel what the coroutine waits for, or throw CancelledError into it as soon as it can be; as a task does."""
        if self.end is not None or self.done() or self._pressing:
            return False
        self._cancels += 1
        self._pressing = True  # it may wait, in a roundabout way, for itself
        try:
            pressed = self.awaited is not None and self.awaited.cancel(msg)
        finally:
            self._pressing = False
        if not pressed:
            self.must_cancel = True
            if self.wake is not None:
                self.wake("cancelled")
        return True

    def cancelling(self) -> int:
        """Cancellations that were requested and not taken back."""
        return self._cancels

    def uncancel(self) -> int:
        """Take one back; gives how many are left."""
        self._cancels = max(0, self._cancels - 1)
        if self._cancels == 0:
            self.must_cancel = False
        return self._cancels

    def get_coro(self) -> Any:
        """The hook's coroutine."""
        return self._coro

    def get_context(self) -> Context:
        """The contextvars it runs in."""
        return self._env

    def get_name(self) -> str:
        """For messages."""
        return f"hook {getattr(self._coro, '__qualname__', 'callback')}"

    def step(self, resume: Callable[[Any], Any], argument: Any) -> Any:
        """One step of the coroutine as this task; gives what it waits for next, or sets ``end``."""
        loop, outer = self._running_loop, self._outer
        _leave_task(loop, outer)  # type: ignore[arg-type]
        _enter_task(loop, self)  # type: ignore[arg-type]
        try:
            return self._env.run(resume, argument)
        except StopIteration as stop:
            self._finish(Raised(asyncio.CancelledError()) if self.must_cancel else stop.value)
        except BaseException as exc:  # noqa: BLE001 - the runner judges every kind
            self._finish(Raised(exc))
        finally:
            _leave_task(loop, self)  # type: ignore[arg-type]
            _enter_task(loop, outer)  # type: ignore[arg-type]
        return None

    def throw(self, error: BaseException) -> Any:
        """A step that begins with an exception where the coroutine waits."""
        return self.step(self._coro.throw, error)

    def go_on(self) -> Any:
        """A step after what it waited for is done."""
        return self.step(self._coro.send, None)

    def close(self) -> None:
        """Give the coroutine up; it gets GeneratorExit. What it says to that adds nothing to its being late."""
        try:
            self._env.run(self._coro.close)
        except BaseException:  # noqa: BLE001 - reported as late already
            _unclosable.append(self._coro)
        self._wake_watchers()

    def _finish(self, value: Any) -> None:
        self.end = (value,)
        self._wake_watchers()

    def _wake_watchers(self) -> None:
        if not self.done():
            self.set_result(None)  # the value, or what was raised, is for the runner alone


class _Course:
    """The rest of a coroutine that has suspended."""

    __slots__ = ("_ending", "_grace_s", "_limit", "_loop", "_task", "_timeout_s")

    def __init__(self, task: HookTask, loop: asyncio.AbstractEventLoop, timeout_s: float, grace_s: float) -> None:
        self._task = task
        self._loop = loop
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._limit = loop.time() + timeout_s
        self._ending = False

    def run(self, awaited: Any) -> Generator[Any, Any, None]:
        """Wait and step until it ends or is given up. Raises CancelledError, then, if the operation was cancelled."""
        task = self._task
        cancelled: asyncio.CancelledError | None = None
        is_late = False
        try:
            while task.end is None:
                if task.must_cancel:
                    task.must_cancel = False
                    task.awaited = None
                    awaited = task.throw(asyncio.CancelledError())
                    continue
                if task.awaited is None and not self._fit(awaited):
                    break
                try:
                    signal = yield from self._wait(awaited)
                except asyncio.CancelledError as exc:
                    cancelled, signal = exc, "cancelled"
                    self._end()
                if signal == "late":
                    if self._ending:
                        break
                    is_late = True
                    self._end()
                elif signal == "ready":
                    task.awaited = None
                    if not task.must_cancel:
                        awaited = task.go_on()
        finally:
            if task.end is None:
                task.close()
        if cancelled is not None:
            raise cancelled
        if is_late and not _is_interrupt(task.end):
            task.end = None

    def _end(self) -> None:
        """From now on only the grace is left."""
        if not self._ending:
            self._ending = True
            self._limit = self._loop.time() + self._grace_s
        self._task.cancel()

    def _wait(self, awaited: Any) -> Generator[Any, Any, Signal]:
        """Suspend until ``awaited`` is done, the limit is reached, or somebody cancels the hook's task.

        CancelledError from here is meant for the operation.
        """
        if awaited is None:
            yield
            return "late" if self._loop.time() >= self._limit else "ready"
        waiter: asyncio.Future[Signal] = self._loop.create_future()

        def wake(signal: Signal) -> None:
            if not waiter.done():
                waiter.set_result(signal)

        def ready(_: Any) -> None:
            wake("ready")

        self._task.awaited = awaited
        self._task.wake = wake
        awaited.add_done_callback(ready)
        timer = self._loop.call_at(self._limit, wake, "late")
        try:
            return (yield from waiter)
        finally:
            timer.cancel()
            awaited.remove_done_callback(ready)
            self._task.wake = None

    def _fit(self, awaited: Any) -> bool:
        """Whether the loop can wait for this; else the coroutine is told, as a task would tell it, and is over."""
        if awaited is None:
            return True
        if getattr(awaited, "_asyncio_future_blocking", None) is True:  # the mark of a future that is awaited
            awaited._asyncio_future_blocking = False  # noqa: SLF001 - as a task does when it takes the future over
            if awaited is self._task:
                error = RuntimeError("the hook awaits the task it runs in")
            elif awaited.get_loop() is not self._loop:
                error = RuntimeError("the hook awaits a future of another event loop")
            else:
                return True
        else:
            error = RuntimeError(f"the hook awaits a {type(awaited).__name__}, which is nothing to wait for")
        self._task.throw(error)
        if self._task.end is None:
            self._task.close()
            self._task.end = (Raised(error),)
        return False


def _is_interrupt(end: tuple[Any] | None) -> bool:
    return end is not None and type(end[0]) is Raised and isinstance(end[0].error, KeyboardInterrupt)
