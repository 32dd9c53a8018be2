"""Maintenance: bounded steps of work that no caller waits for, between the commits of others.

It runs in the thread that checkpoints, after a checkpoint, in a thread of its own when retention's time has come, and
when a store is closed; never on an event loop. Each step is an ordinary unit under the writers' turn, so that a writer
waits for one step at most, and each task looks first whether there is anything to do. What fails is reported and tried
again next time; a turn that others hold, or a store that is being closed, is no failure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmspell.errors import Busy, LlmspellError
from llmspell.journal import terms
from llmspell.journal.reading import watermark_of
from llmspell.ports.database import Reading, Unit

STEPS_MAX = 64
"""Steps of one task in a row; what is left waits for the next occasion."""
WAIT_S = 1.0
"""How long a step waits for its turn."""
_NO_FAILURE = frozenset({"closed", "forked", "retired", "read-only-after-failure"})
"""The handle takes no more writes, and whoever writes is told so; maintenance just ends."""


class Result(Protocol):
    """What became of one unit."""

    value: Any
    error: BaseException | None


class Files(Protocol):
    """The open database as maintenance uses it."""

    read_only: bool

    def read(self, query: Callable[[Reading], Any]) -> Any:
        """Run a query over one consistent state."""
        ...

    def give_way(self) -> None:
        """Let other processes that wait to write go first."""
        ...

    def commit(self, units: Sequence[Unit[Any]], *, wait_s: float | None = None) -> Sequence[Result]:
        """Commit units under the turn, waiting for it at most ``wait_s``."""
        ...


def _unheard(_: Result) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of maintenance. ``due`` says cheaply whether there is work; ``unit`` makes the next step, which gives
    how much it did: less than ``full`` means that nothing is left. ``ended`` is told what became of each step, once it
    is committed or has failed: inside of a unit nobody knows that yet.
    """

    name: str
    due: Callable[[Reading], bool]
    unit: Callable[[], Unit[int]]
    full: int
    ended: Callable[[Result], None] = _unheard


class Maintenance:
    """The tasks of one open store."""

    def __init__(self, files: Files, tasks: Sequence[Task], report: Callable[[str, BaseException], None]) -> None:
        self._files = files
        self._tasks = tuple(tasks)
        self._report = report
        self._turn = threading.Lock()

    def due(self) -> bool:
        """Whether any task has work. A read or two; what fails is reported."""
        return any(self._is_due(task) for task in self._tasks)

    def run(self) -> None:
        """Do what is due, a bounded number of steps; nothing while another thread does. Never raises for what the store
        or the disk does.
        """
        if self._turn.acquire(blocking=False):
            try:
                self._do()
            finally:
                self._turn.release()

    def finish(self) -> None:
        """The same for a store that is closed: another thread, which may have passed what is due now, is waited for."""
        with self._turn:
            self._do()

    def _do(self) -> None:
        for task in self._tasks:
            if self._is_due(task):
                self._work(task)

    def _is_due(self, task: Task) -> bool:
        if self._files.read_only:
            return False
        try:
            return bool(self._files.read(task.due))
        except Exception as exc:  # noqa: BLE001 - a damaged row, too: it must not end the thread
            self._tell(task, exc)
            return False

    def _work(self, task: Task) -> None:
        for _ in range(STEPS_MAX):
            self._files.give_way()
            try:
                unit = task.unit()
            except Exception as exc:  # noqa: BLE001 - what prepares a step reads, and may write files
                self._tell(task, exc)
                return
            result = self._files.commit((unit,), wait_s=WAIT_S)[0]
            task.ended(result)
            if result.error is not None:
                self._tell(task, result.error)
                return
            if result.value < task.full:
                return

    def _tell(self, task: Task, error: BaseException) -> None:
        if is_failure(error):
            self._report(task.name, error)


def is_failure(error: BaseException) -> bool:
    """Whether somebody is to be told: not of a turn that others hold, nor of a handle that takes nothing any more."""
    ended = isinstance(error, LlmspellError) and error.code in _NO_FAILURE
    return not ended and not isinstance(error, Busy)


def indexing(tail_entries_max: int = terms.TAIL_ENTRIES_MAX) -> Task:
    """The task that keeps the lagging indexes from lagging by more than ``tail_entries_max`` entries."""

    def due(view: Reading) -> bool:
        row = view.one("SELECT max(seq) FROM entry")
        return ((row[0] if row else 0) or 0) - watermark_of(view) > tail_entries_max

    return Task("index", due, lambda: terms.step, terms.STEP_ENTRIES)
