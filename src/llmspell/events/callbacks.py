"""Callbacks: the receivers that the store runs itself.

A callback is nothing but a receiver that takes, calls, and takes again, so order, buffering and overflow are those of
any subscription, and a slow callback lags alone. A plain function runs on a thread of its own subscription; a coroutine
function runs on the event loop it was subscribed from, as one task. Both run in a copy of the context they were
subscribed in.

An exception from a callback is counted and reported, and the subscription goes on. What ends a subscription against
its will is reported too, for there is no receiver to raise it to.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput
from llmspell.events.event import Event
from llmspell.events.inbox import Inbox
from llmspell.events.subscription import next_event, next_event_blocking
from llmspell.model.arguments import gives_coroutine
from llmspell.model.telling import told

if TYPE_CHECKING:
    import asyncio

THREAD_NAME = "llmspell-events"


@dataclass(frozen=True, slots=True)
class CallbackFailure:
    """A callback that raised ``error`` on ``event``; or, with ``event`` None, the error that ended its subscription."""

    subscription: str
    pattern: str
    event: Event | None
    error: BaseException


Report = Callable[[CallbackFailure], None]
"""Is told of each failure, on the thread or loop where it happened. Must not raise: that ends the subscription.

A report that publishes an event leads to another failure, and so on for ever, where the failing callback receives it.
"""


def check_callback(callback: Callable[[Event], Any]) -> bool:
    """Whether calling it gives a coroutine. Raises InvalidInput (``invalid-callback``) for what cannot be called, and
    for generators.
    """
    if not callable(callback):
        raise InvalidInput(f"callback is a function of one event, not {told(callback)}", code="invalid-callback")
    return gives_coroutine(callback, "a callback")


def run_blocking(inbox: Inbox, callback: Callable[[Event], Any], report: Report, context: Context) -> None:
    """Receive and call until the subscription ends; the body of a callback's thread."""

    def in_context(event: Event) -> Any:
        return context.copy().run(callback, event)

    try:
        while True:
            try:
                event = next_event_blocking(inbox)
            except Exception as error:  # noqa: BLE001 - any error may end a subscription
                _report_end(inbox, report, error)
                return
            if event is not None and not _call(inbox, in_context, event, report):
                return
    finally:
        inbox.close()


def _call(inbox: Inbox, callback: Callable[[Event], Any], event: Event, report: Report) -> bool:
    """Call, and tell whether to go on: not after an exception that wants its thread to end."""
    try:
        result = callback(event)
        if inspect.iscoroutine(result):
            result.close()
            raise InvalidInput(
                "a callback gave a coroutine that nobody awaits: declare it with async def", code="invalid-callback"
            )
    except BaseException as error:  # noqa: BLE001 - it is reported, and its thread ends where it asks for that
        _report(inbox, report, event, error)
        return isinstance(error, Exception)
    return True


def start_on_loop(
    inbox: Inbox, callback: Callable[[Event], Awaitable[Any]], report: Report, context: Context
) -> asyncio.Task[None]:
    """A task of the running loop that receives and calls until the subscription ends; who starts it keeps it.

    Cancelling the task, as ``asyncio.run`` does at its end, closes the subscription.
    Raises InvalidInput (``no-loop``) where no loop runs.
    """
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise InvalidInput(
            "an async callback runs on the event loop it is subscribed from, and none is running here",
            code="no-loop",
            hint="Give a plain function, or subscribe from a coroutine.",
        ) from None
    inbox.alive = lambda: not loop.is_closed()
    task = loop.create_task(_run(inbox, callback, report), name=THREAD_NAME, context=context)
    task.add_done_callback(lambda _: inbox.close())
    return task


async def _run(inbox: Inbox, callback: Callable[[Event], Awaitable[Any]], report: Report) -> None:
    import asyncio

    while True:
        try:
            event = await next_event(inbox)
        except Exception as error:  # noqa: BLE001 - any error may end a subscription
            _report_end(inbox, report, error)
            return
        if event is not None:
            try:
                await callback(event)
            except Exception as error:  # noqa: BLE001 - a callback is not ours; its failure is counted and reported
                _report(inbox, report, event, error)
            await asyncio.sleep(0)  # a callback that never suspends must not keep the loop to itself


def _report(inbox: Inbox, report: Report, event: Event, error: BaseException) -> None:
    inbox.failed += 1
    report(CallbackFailure(inbox.id, inbox.pattern.text, event, error))


def _report_end(inbox: Inbox, report: Report, error: Exception) -> None:
    if not inbox.closed_plainly:
        report(CallbackFailure(inbox.id, inbox.pattern.text, None, error))
