"""Subscriptions as a user holds them: ``Subscription`` for coroutines, ``SyncSubscription`` for threads.

Both give the same events in the same order from the same core (``llmspell.events.inbox``); several receivers may share
one subscription, and then each event goes to one of them, the longest waiting first.

How it ends: ``close()``, leaving the context manager, or losing the last reference discards what is buffered. When the
store closes, what is buffered can still be received. Then iteration stops, and ``receive`` raises Conflict (code
``closed``), waiting or not: None only ever means that the time ran out. A subscription that ended for an error
(LimitExceeded ``overflow``, Compacted, StorageFailed …) raises that error, from iteration too, after what was buffered.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from llmspell.errors import AccessDenied, Conflict, InvalidInput
from llmspell.events.event import Event, Position
from llmspell.events.inbox import Inbox, SubscriptionStats

if TYPE_CHECKING:
    import asyncio

TAKEN_IN_A_ROW_MAX = 64
"""Events a coroutine receives without suspending; then it lets its event loop run once."""


class _Face:
    """What both kinds have in common. Does no I/O."""

    def __init__(
        self, inbox: Inbox, *, callback: Callable[..., Any] | None = None, admit: Callable[[], None] | None = None
    ) -> None:
        self._inbox = inbox
        self._callback = callback
        self._admit = admit
        self._pid = os.getpid()

    @property
    def id(self) -> str:
        """Names the subscription within its store handle."""
        return self._inbox.id

    @property
    def pattern(self) -> str:
        """The pattern as it was given."""
        return self._inbox.pattern.text

    @property
    def position(self) -> Position:
        """After the last event that was received (for a callback: begun); save it and pass it as ``from_position``.

        Before the first one: where the subscription started. ``str(position)`` is text. With several receivers, or to
        count an event only when its work is done, keep ``event.position`` instead.
        """
        return self._inbox.position

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more from the stream."""
        return self._inbox.ended

    def stats(self) -> SubscriptionStats:
        """The counters, consistent with each other."""
        return self._inbox.stats()

    def close(self) -> None:
        """End it: what is buffered is discarded, whoever waits is woken. Never waits; a callback that runs finishes."""
        self._inbox.close()

    def _check_admitted(self) -> None:
        """Ask whether whoever receives still may; if not, this ends."""
        if self._admit is not None:
            try:
                self._admit()
            except AccessDenied:
                self.close()
                raise

    def _check_pull(self) -> None:
        if self._callback is not None:
            raise InvalidInput(
                f"subscription {self.id} hands its events to a callback; it has none to receive",
                code="callback-subscription",
                hint="Subscribe without callback= to pull events.",
            )

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise Conflict(
                "a subscription does not outlive fork(): close the store before, and open it on both sides",
                code="forked",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        # Runs wherever the collector does, perhaps in a thread that holds one of our locks: so it only leaves a note.
        # With a callback, nobody needs to hold the subscription for it to go on.
        if getattr(self, "_callback", True) is None:
            self._inbox.abandoned = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.pattern!r}{' closed' if self.closed else ''}>"


class Subscription(_Face):
    """Events for coroutines: ``async for event in subscription``, ``await subscription.receive(timeout_s=5)``.

    May be used from several tasks and event loops at once.
    """

    _in_a_row = 0

    async def receive(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when none came within ``timeout_s`` seconds (0: does not wait; None: no bound).

        Cancelling loses no event. Raises Conflict (``closed``) after the end, or the error that ended it.
        """
        self._check_pull()
        timeout_s = check_timeout(timeout_s)
        self._check_admitted()
        await self._let_others_run()
        event = await next_event(self._inbox, timeout_s, self._check_process)
        self._check_admitted()
        return event

    async def _let_others_run(self) -> None:
        self._in_a_row += 1
        if self._in_a_row >= TAKEN_IN_A_ROW_MAX:
            import asyncio

            self._in_a_row = 0
            await asyncio.sleep(0)  # before anything is taken, so a cancellation here loses nothing

    def __aiter__(self) -> Self:
        self._check_pull()
        return self

    async def __anext__(self) -> Event:
        try:
            return cast("Event", await self.receive())  # without a timeout there is an event or an error
        except Conflict as error:
            if error.code == "closed":
                raise StopAsyncIteration from None
            raise

    async def aclose(self) -> None:
        """``close`` for ``contextlib.aclosing`` and its like."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        self.close()


class SyncSubscription(_Face):
    """Events for threads: ``for event in subscription``, ``subscription.receive(timeout_s=5)``.

    May be used from several threads at once. Do not use it on a thread that runs an event loop: it blocks.
    """

    def receive(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when none came within ``timeout_s`` seconds (0: does not wait; None: no bound).

        Raises Conflict (``closed``) after the end, or the error that ended it. An exception that interrupts the wait
        (Ctrl-C) loses no event.
        """
        self._check_pull()
        self._check_admitted()
        event = next_event_blocking(self._inbox, check_timeout(timeout_s), self._check_process)
        self._check_admitted()
        return event

    def __iter__(self) -> Self:
        self._check_pull()
        return self

    def __next__(self) -> Event:
        try:
            return cast("Event", self.receive())  # without a timeout there is an event or an error
        except Conflict as error:
            if error.code == "closed":
                raise StopIteration from None
            raise


class _LoopWaiter:
    """A coroutine that waits on its event loop, until somebody wakes it or its time runs out."""

    __slots__ = ("_future", "_loop", "woken")

    def __init__(self) -> None:
        import asyncio

        self.woken = False
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:  # the loop is closed, and its coroutines with it
            return False
        return True

    def _set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, timeout_s: float | None) -> None:
        if timeout_s is None:
            await self._future
            return
        timer = self._loop.call_later(timeout_s, self._set)
        try:
            await self._future
        finally:
            timer.cancel()


class _ThreadWaiter:
    """A thread that waits on a lock of its own, which is held until somebody wakes it."""

    __slots__ = ("_gate", "woken")

    def __init__(self) -> None:
        self.woken = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def wake(self) -> bool:
        self._gate.release()
        return True

    def wait(self, timeout_s: float | None) -> None:
        self._gate.acquire(timeout=-1 if timeout_s is None else timeout_s)


async def next_event(
    inbox: Inbox, timeout_s: float | None = None, before_wait: Callable[[], None] = lambda: None
) -> Event | None:
    """The next event of an inbox, for a coroutine. See ``Subscription.receive``."""
    event = inbox.take(overtake=timeout_s == 0)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    first = False
    while event is None and (left := _left(deadline)) != 0:
        before_wait()
        waiter = _LoopWaiter()
        try:
            if (event := inbox.wait(waiter, first=first)) is not None:
                break
            await waiter.wait(left)
        except GeneratorExit:
            inbox.lose(waiter)
            raise
        except BaseException:
            inbox.withdraw(waiter)
            raise
        first = waiter.woken
        event = inbox.look_again(waiter)
    return event


def next_event_blocking(
    inbox: Inbox, timeout_s: float | None = None, before_wait: Callable[[], None] = lambda: None
) -> Event | None:
    """The next event of an inbox, for a thread. See ``SyncSubscription.receive``."""
    event = inbox.take(overtake=timeout_s == 0)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    first = False
    while event is None and (left := _left(deadline)) != 0:
        before_wait()
        waiter = _ThreadWaiter()
        try:
            if (event := inbox.wait(waiter, first=first)) is not None:
                break
            waiter.wait(left)
        except BaseException:
            inbox.withdraw(waiter)
            raise
        first = waiter.woken
        event = inbox.look_again(waiter)
    return event


def check_timeout(timeout_s: Any) -> float | None:
    """The timeout itself, if it is None or a finite number of seconds from 0. Raises InvalidInput otherwise."""
    if timeout_s is None:
        return None
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 <= timeout_s < math.inf:
        why = f"timeout_s is a number of seconds from 0, or None, not {timeout_s!r}"
        raise InvalidInput(why, code="invalid-timeout")
    return float(min(timeout_s, threading.TIMEOUT_MAX))


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
