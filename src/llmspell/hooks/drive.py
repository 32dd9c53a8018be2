"""Runs a hook's coroutine inside the present task: by hand, with a deadline, and so that it cannot hurt that task.

The first step is made at once; most coroutines end there and cost neither a task nor a timer. One that suspends goes on
under its deadline. What must stay true:

- The coroutine runs in its own contextvars and in the present task (``asyncio.timeout`` and task groups work in it).
- Past the deadline it gets CancelledError, then a grace for cleaning up, then it is closed. A coroutine that swallows
  cancellation, or awaits something that does, cannot hold the operation.
- A cancellation of the task by others reaches the coroutine and afterwards the task, even if the coroutine swallows it.
- ``asyncio.current_task().cancel()`` called by the coroutine cancels the coroutine, not the operation.

To that end the future a coroutine waits for is not handed to the task: the task waits for a future of ours, which the
other one, the timer or a cancellation wakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
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
    """The value of an awaitable or ``Raised``; raises only CancelledError, and only when the task itself is cancelled.

    Ends within ``timeout_s`` plus twice ``grace_s``, unless the coroutine blocks the thread.
    """
    coro = awaitable if type(awaitable) is CoroutineType else _awaited(awaitable)
    task = asyncio.current_task()
    if task is None:
        coro.close()
        return Raised(RuntimeError("an async callback needs a running event loop"))
    before = task.cancelling()
    try:
        awaited = env.run(coro.send, None)
    except StopIteration as stop:
        value = stop.value
    except BaseException as exc:  # noqa: BLE001 - the runner judges every kind
        value = Raised(exc)
    else:
        return (yield from _Drive(coro, env, task, before=before, timeout_s=timeout_s, grace_s=grace_s).go_on(awaited))
    if task.cancelling() > before:  # It asked to cancel the task it ran in.
        _disown(task, before)
        yield from _absorb()
        if task.cancelling() > before:
            raise asyncio.CancelledError
    return value


def _disown(task: asyncio.Task[Any], before: int) -> bool:
    """Take back cancellations that the coroutine requested during its own step; True if there were any."""
    found = task.cancelling() > before
    while task.cancelling() > before:
        task.uncancel()
    return found


def _absorb() -> Generator[None, None, None]:
    """Let a cancellation that was taken back be thrown here; before Python 3.13 it comes all the same."""
    try:
        yield
    except asyncio.CancelledError:
        return


class _Drive:
    """A coroutine that has suspended at least once."""

    __slots__ = (
        "_before",
        "_coro",
        "_end",
        "_env",
        "_grace_s",
        "_is_late",
        "_limit",
        "_loop",
        "_own",
        "_past",
        "_task",
        "_timeout_s",
    )

    def __init__(
        self, coro: Any, env: Context, task: asyncio.Task[Any], *, before: int, timeout_s: float, grace_s: float
    ) -> None:
        self._coro = coro
        self._env = env
        self._task = task
        self._before = before
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._loop = asyncio.get_running_loop()
        self._limit = self._loop.time() + timeout_s
        self._past: float | None = None  # the limit that the grace replaced, once the coroutine is to end
        self._is_late = False
        self._own = _disown(task, before)
        self._end: tuple[Any] | None = None

    def go_on(self, awaited: Any) -> Generator[Any, Any, Any]:
        """Wait and step until it ends or is given up, then say how; raises CancelledError if the task is cancelled."""
        try:
            yield from self._until_ended(awaited)
        finally:
            if self._end is None:
                self._close()
        if self._own:
            yield from _absorb()
        if self._task.cancelling() > self._before:
            raise asyncio.CancelledError
        if self._end is None or (self._is_late and not _is_interrupt(self._end[0])):
            return late(self._timeout_s)
        return self._end[0]

    def _until_ended(self, awaited: Any) -> Generator[Any, Any, None]:
        pressed = False
        while self._end is None:
            if not self._fit(awaited):
                return
            signal = yield from self._signal(awaited)
            if signal == "late":
                if self._past is not None:
                    return
                self._is_late = True
                self._begin_grace()
            if signal == "ready":
                awaited = self._step(self._coro.send, None)
            else:
                self._review()
                if not pressed and awaited is not None and awaited.cancel():
                    pressed = True  # What it waits for ends first, as when a task is cancelled.
                    continue
                awaited = self._step(self._coro.throw, asyncio.CancelledError())
            pressed = False
            self._review()

    def _signal(self, awaited: Any) -> Generator[Any, Any, Signal]:
        if self._own:
            self._own = False
            yield from _absorb()
            return "cancelled"
        return (yield from self._wait(awaited))

    def _wait(self, awaited: Any) -> Generator[Any, Any, Signal]:
        """Suspend until ``awaited`` is done, the limit is reached, or the task is cancelled."""
        if awaited is None:
            try:
                yield
            except asyncio.CancelledError:
                return "cancelled"
            return "late" if self._loop.time() >= self._limit else "ready"
        waiter: asyncio.Future[Signal] = self._loop.create_future()

        def wake(signal: Signal) -> None:
            if not waiter.done():
                waiter.set_result(signal)

        def ready(_: Any) -> None:
            wake("ready")

        awaited.add_done_callback(ready)
        timer = self._loop.call_at(self._limit, wake, "late")
        try:
            return (yield from waiter)
        except asyncio.CancelledError:
            return "cancelled"
        finally:
            timer.cancel()
            awaited.remove_done_callback(ready)

    def _step(self, resume: Any, argument: Any) -> Any:
        """One step of the coroutine; gives what it waits for next."""
        before = self._task.cancelling()
        awaited = None
        try:
            awaited = self._env.run(resume, argument)
        except StopIteration as stop:
            self._end = (stop.value,)
        except BaseException as exc:  # noqa: BLE001 - the runner judges every kind
            self._end = (Raised(exc),)
        self._own = _disown(self._task, before)
        return awaited

    def _fit(self, awaited: Any) -> bool:
        """Whether the loop can wait for this; else the coroutine is told, as a task would tell it, and is over."""
        if awaited is None:
            return True
        if getattr(awaited, "_asyncio_future_blocking", None) is True:  # the mark of a future that is awaited
            awaited._asyncio_future_blocking = False  # noqa: SLF001 - as a task does when it takes the future over
            if awaited.get_loop() is self._loop:
                return True
            error = RuntimeError("the hook awaits a future of another event loop")
        else:
            error = RuntimeError(f"the hook awaits a {type(awaited).__name__}, which is nothing to wait for")
        self._step(self._coro.throw, error)
        if self._end is None:
            self._close()
            self._end = (Raised(error),)
        return False

    def _review(self) -> None:
        """The grace begins when the task is found cancelled; it is taken back if that was the coroutine's own affair.

        ``asyncio.timeout`` and task groups cancel their task and take it back; who meant it is known only then.
        """
        cancelled = self._task.cancelling() > self._before
        if cancelled and self._past is None:
            self._begin_grace()
        elif not cancelled and self._past is not None and not self._is_late:
            self._limit, self._past = self._past, None

    def _begin_grace(self) -> None:
        if self._past is None:
            self._past = self._limit
        self._limit = self._loop.time() + self._grace_s

    def _close(self) -> None:
        try:
            self._env.run(self._coro.close)
        except BaseException:  # noqa: BLE001 - it is reported as late; what it says on closing adds nothing
            _unclosable.append(self._coro)


def _is_interrupt(value: Any) -> bool:
    return type(value) is Raised and isinstance(value.error, KeyboardInterrupt)
