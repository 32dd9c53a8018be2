"""The database of the synchronous face: a write commits inline, in the calling thread.

Threads that come while one commits leave their unit in a queue, and whoever takes the mutex next commits for all. No
coroutine here ever suspends, so the face above drives the rooms with a single ``send(None)``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

from llmspell.adapters.sqlite.batch import NOT_NOW, Outcome, View
from llmspell.adapters.sqlite.engine import Engine
from llmspell.errors import LlmspellError, StorageFailed
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
        self._mutex = threading.RLock()
        self._queue: deque[_Waiting] = deque()

    async def write(self, unit: Unit[T], *, strong: bool = False) -> T:
        """Commit a unit and return its result; blocks the thread until then."""
        try:
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
        except BaseException as exc:
            if not isinstance(exc, LlmspellError):  # Whatever a signal handler threw in: anything may be held yet.
                self._let_go()
            raise
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

    def give_way(self) -> None:
        """See the port."""
        self.engine.give_way()

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
        # Units leave the queue only once they have an outcome: a signal may throw an exception between any two lines.
        self._drop_done()
        batch = [one for one in islice(self._queue, limits.UNIT_BATCH_MAX) if one.outcome is None]
        try:
            outcomes = self.engine.commit([one.unit for one in batch], strong=any(one.strong for one in batch))
            for one, outcome in zip(batch, outcomes, strict=True):
                one.outcome = outcome
        except BaseException:
            for one in batch:
                if one.outcome is None:
                    one.outcome = Outcome(error=_interrupted())
            raise
        self._drop_done()

    def _drop_done(self) -> None:
        while self._queue and self._queue[0].outcome is not None:
            self._queue.popleft()

    def _let_go(self) -> None:
        """After an exception that a signal handler threw in anywhere: nothing of this thread's is held any more."""
        self.engine.let_go()
        while self._mutex._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001 - as threading.Condition asks
            self._mutex.release()


def _interrupted() -> StorageFailed:
    return StorageFailed(
        "the thread that committed for this one was interrupted: the change may be stored or not",
        code="interrupted",
        hint="read it back before trying again",
    )
