"""An event loop on a thread of its own, for a prompt: it serves hooks and events while the main thread waits for keys.

Ctrl-C reaches the main thread only; there it ends the wait for a line, or cancels what the loop is doing and waits for
that to end, so that nothing is cut off in the middle.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
Call = Callable[[Coroutine[Any, Any, T]], T]


@contextmanager
def loop_thread() -> Iterator[Call[Any]]:
    """A function that runs a coroutine on the loop and gives its result, or raises what it raised."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="llmspell-prompt", daemon=True)
    thread.start()
    try:
        yield lambda coroutine: _call(loop, coroutine)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _call(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    done: Future[T] = Future()
    tasks: list[asyncio.Task[None]] = []

    async def work() -> None:
        try:
            done.set_result(await coroutine)
        except asyncio.CancelledError:
            done.set_exception(KeyboardInterrupt())
        except BaseException as exc:  # noqa: BLE001  raised where the result is awaited
            done.set_exception(exc)

    loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(work())))
    while True:
        try:
            return done.result()
        except KeyboardInterrupt:
            if done.done():
                raise
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
