"""The database of the asynchronous face: units of one turn of the event loop commit together.

For ``process`` durability the loop thread commits at the end of the turn, because a commit takes less time than handing
it over. For ``full`` durability, and whenever another process holds the turn, the batch goes to a writer thread, and
the next batch forms while that one waits for the disk. The loop thread never waits for a lock.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from llmspell.adapters.sqlite.batch import NOT_NOW, Outcome, View
from llmspell.adapters.sqlite.engine import Engine
from llmspell.errors import Busy, StorageFailed
from llmspell.model import limits
from llmspell.ports.database import Row, Unit

T = TypeVar("T")
_IN_A_ROW_MAX = 32
"""Commits that one task makes without letting its loop turn."""
_Waiting = tuple[Unit[Any], "asyncio.Future[Any]", bool]


class LoopedDatabase:
    """See ``ports.database.Database``. Belongs to the event loop it was made in."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Waiting] = []
        self._scheduled = False
        self._in_thread = False
        self._inline = engine.durability != "full"
        # What asyncio's own loop will run next. Another loop may not say: then a commit waits for the end of a turn.
        self._ready: Sequence[object] = getattr(self._loop, "_ready", (None,))
        self._batches: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._in_a_row = 0
        self._thread: threading.Thread | None = None
        self._drained: asyncio.Future[None] | None = None

    async def write(self, unit: Unit[T], *, strong: bool = False) -> T:
        """Commit a unit with the others of this turn and return its result."""
        loop = self._loop
        if asyncio._get_running_loop() is not loop:  # noqa: SLF001 - public twin raises where this gives None
            raise StorageFailed(
                "this AsyncStore belongs to another event loop",
                code="other-loop",
                hint="open one store per loop, or use Store",
            )
        if (
            self._inline
            and not strong
            and not self._waiting
            and not self._in_thread
            and not self._ready
            and self._in_a_row < _IN_A_ROW_MAX
        ):
            # Nothing else is about to run, so nobody could share the commit: it is made at once. Now and then the loop
            # gets to look at its timers and sockets all the same.
            self._in_a_row += 1
            value = self.engine.try_write(unit)
            if value is not NOT_NOW:
                return value
        self.engine.check_writable()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((unit, future, strong))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._end_of_turn)
        return await future

    def give_way(self) -> None:
        """See the port; never on the loop's thread."""
        self.engine.give_way()

    async def read(self, query: Callable[[View], T]) -> T:
        """Run a query function over one consistent state, inline: a point read is cheaper than a thread hop."""
        return self.engine.read(query)

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row of a single statement, inline."""
        return self.engine.read_one(sql, args)

    async def close(self) -> None:
        """Wait for what is under way, then stop the writer thread."""
        while self._waiting or self._in_thread:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)
        if self._thread is not None:
            self._batches.put(None)
            self._thread.join()
            self._thread = None

    def _end_of_turn(self) -> None:
        self._scheduled = False
        self._in_a_row = 0
        if self._in_thread:
            return  # The batch under way takes up what waits when it returns.
        batch = self._take()
        if not batch:
            self._go_on()
            return
        strong = any(strong for _, _, strong in batch)
        outcomes = self._commit_inline(batch) if self._inline and not strong else None
        if outcomes is not None:
            _settle(batch, outcomes)
            self._go_on()
            return
        self._in_thread = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="llmspell-writer", daemon=True)
            self._thread.start()
        self._batches.put(batch)

    def _commit_inline(self, batch: list[_Waiting]) -> list[Outcome] | None:
        """Commit on the loop thread; None when somebody else holds the turn or the database."""
        engine = self.engine
        try:
            if not engine.turn.try_acquire():
                return None
            try:
                return engine.run_batch([unit for unit, _, _ in batch])
            finally:
                engine.turn.release()
        except Busy:
            return None
        except Exception as exc:
            return [Outcome(error=exc)] * len(batch)

    def _go_on(self) -> None:
        if self._waiting:
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._end_of_turn)
        elif self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def _take(self) -> list[_Waiting]:
        """The next batch; what was cancelled before it started is withdrawn."""
        batch = [one for one in self._waiting[: limits.UNIT_BATCH_MAX] if not one[1].cancelled()]
        del self._waiting[: limits.UNIT_BATCH_MAX]
        return batch

    def _write(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                outcomes = self.engine.commit(
                    [unit for unit, _, _ in batch], strong=any(strong for _, _, strong in batch)
                )
            except BaseException as exc:
                # A unit that asks the process to end must not end this thread alone: its caller gets to hear of it.
                outcomes = [Outcome(error=exc)] * len(batch)
            with suppress(RuntimeError):  # The loop was closed under us: nobody waits for the answer any more.
                self._loop.call_soon_threadsafe(self._finish, batch, outcomes)

    def _finish(self, batch: list[_Waiting], outcomes: list[Outcome]) -> None:
        self._in_thread = False
        _settle(batch, outcomes)
        self._go_on()


def _settle(batch: list[_Waiting], outcomes: list[Outcome]) -> None:
    for (_, future, _), outcome in zip(batch, outcomes, strict=True):
        if future.cancelled():
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
