"""The database of the synchronous face: a write commits inline, in the calling thread.

Threads that come while one commits leave their unit in a queue, and whoever takes the mutex next commits for all. No
coroutine here ever suspends, so the face above drives the rooms with a single ``send(None)``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llmspell.adapters.sqlite.batch import NOT_NOW, Outcome, View
from llmspell.adapters.sqlite.engine import Engine
from llmspell.model import limits
from llmspell.ports.database import Row, Unit

T = TypeVar("T")


class _Waiting:
    __slots__ = ("outcome", "strong", "unit")

    def __init__(self, unit: Unit[Any], *, strong: bool) -> None:
        self.unit = unit
        self.strong = strong
        self.outcome: Outcome | None = None


class BlockingDatabase:
    """See ``ports.database.Database``. Safe to share among threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._mutex = threading.Lock()
        self._queue: deque[_Waiting] = deque()

    async def write(self, unit: Unit[T], *, strong: bool = False) -> T:
        """Commit a unit and return its result; blocks the thread until then."""
        if not self._queue and self._mutex.acquire(blocking=False):
            try:
                if not strong:
                    value = self.engine.try_write(unit)
                    if value is not NOT_NOW:
                        return value
                outcome = self.engine.commit((unit,), strong=strong)[0]
            finally:
                self._mutex.release()
        else:
            self.engine.check_writable()
            outcome = self._queue_up(_Waiting(unit, strong=strong))
        if outcome.error is not None:
            raise outcome.error
        result: T = outcome.value
        return result

    async def read(self, query: Callable[[View], T]) -> T:
        """Run a query function over one consistent state."""
        return self.engine.read(query)

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row of a single statement, inline."""
        return self.engine.read_one(sql, args)

    async def close(self) -> None:
        """Let the write under way finish; those that come later are refused by the closed engine."""
        if self.engine.forked:
            return  # A thread that does not exist here may have held the mutex.
        with self._mutex:
            return

    def _queue_up(self, mine: _Waiting) -> Outcome:
        self._queue.append(mine)
        with self._mutex:
            while mine.outcome is None:
                self._commit_waiting()
        return mine.outcome

    def _commit_waiting(self) -> None:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < limits.UNIT_BATCH_MAX:
            batch.append(self._queue.popleft())
        try:
            outcomes = self.engine.commit([one.unit for one in batch], strong=any(one.strong for one in batch))
        except BaseException:
            # Interrupted: those who wait behind us commit for themselves.
            self._queue.extendleft(reversed(batch))
            raise
        for one, outcome in zip(batch, outcomes, strict=True):
            one.outcome = outcome
