"""An event loop on a thread of its own, for a prompt: it serves hooks and events while the main thread waits for keys.

Ctrl-C reaches the main thread only. While that waits for the loop, it cancels what the loop is doing and goes on
waiting for that to end, so that nothing is cut off in the middle; at any other time it is KeyboardInterrupt as ever.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")
LOOK_S = 0.1
"""A signal that comes just before a wait begins is noticed after so long."""


class LoopThread:
    """The loop and its thread, from entering to leaving the block. ``call`` is for the thread that entered it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="llmspell-prompt", daemon=True)
        self._task: asyncio.Task[None] | None = None
        self._waiting = False
        self._stopped = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._thread.start()
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and give its result, or raise what it raised.

        KeyboardInterrupt when Ctrl-C cancelled it: raised once it has come to its end.
        """
        ended = threading.Event()
        outcome: list[tuple[T | None, BaseException | None]] = []

        async def work() -> None:
            try:
                outcome.append((await coroutine, None))
            except asyncio.CancelledError:
                outcome.append((None, KeyboardInterrupt()))
            except BaseException as exc:  # noqa: BLE001  raised where the result is awaited
                outcome.append((None, exc))

        def begin() -> None:
            self._task = self._loop.create_task(work())
            self._task.add_done_callback(lambda _: ended.set())
            if self._stopped:
                self._task.cancel()

        self._task, self._stopped, self._waiting = None, False, True
        try:
            self._loop.call_soon_threadsafe(begin)
            while not ended.wait(LOOK_S):
                pass
        finally:
            self._waiting = False
        if not outcome:  # cancelled before its first step
            coroutine.close()
            raise KeyboardInterrupt
        value, error = outcome[0]
        if error is not None:
            raise error
        return value  # type: ignore[return-value]  # without an error it is the coroutine's

    def _interrupt(self, _number: int, _frame: Any) -> None:
        if not self._waiting:
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        self._stopped = True  # perhaps before the task exists
        if self._task is not None:
            self._task.cancel()
