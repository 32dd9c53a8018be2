"""How a conformance suite drives a database: each harness does so in the way its face does.

A suite says what is to happen (one step, several at once, a batch that forms while the turn is taken); the harness
knows whether that means tasks or threads. So the suite has no branches, and a new adapter brings its own harness.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from llmspell.adapters.sqlite.blocking import BlockingDatabase
from llmspell.adapters.sqlite.engine import Engine
from llmspell.adapters.sqlite.looped import LoopedDatabase
from llmspell.ports.database import Database, Reading, Transaction, Unit
from llmspell.sync.drive import drive

T = TypeVar("T")
Step = Callable[[Database], Coroutine[Any, Any, T]]
DEADLINE_S = 30.0
"""How long a harness waits for what must happen; reaching it fails the test."""


class Harness(Protocol):
    """One open database under test."""

    def run(self, step: Step[T]) -> T:
        """The result of a coroutine that uses the database."""
        ...

    def at_once(self, steps: Sequence[Step[Any]]) -> list[Any]:
        """Run steps concurrently, each in its own task or thread; their results or what they raised, in order."""
        ...

    def batch(self, units: Sequence[Unit[Any]]) -> list[Any]:
        """Submit units so that they commit together; their results or what they raised, in order."""
        ...

    def listen(self, listener: Callable[[list[Any]], None]) -> None:
        """Have ``listener`` called with what each commit announced."""
        ...

    def read_here(self, query: Callable[[Reading], T]) -> T:
        """A read from inside a listener, where no step can be run."""
        ...

    def close_files(self) -> None:
        """Close the store under the database, which must then refuse what it is asked."""
        ...

    def close(self) -> None:
        """Close the database and the store. Idempotent."""
        ...


def until(condition: Callable[[], bool], what: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Return as soon as ``condition`` holds. Raises AssertionError naming ``what`` after the deadline."""
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        pause.wait(0.001)


async def nothing(_tx: Transaction) -> None:
    """A unit that does nothing."""


class _OverEngine:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def listen(self, listener: Callable[[list[Any]], None]) -> None:
        """See ``Harness.listen``."""
        self.engine.listeners.append(listener)

    def read_here(self, query: Callable[[Reading], T]) -> T:
        """See ``Harness.read_here``."""
        return self.engine.read(query)

    def close_files(self) -> None:
        """See ``Harness.close_files``."""
        self.engine.close()
        self.engine.turn.close()


class AsyncHarness(_OverEngine):
    """Drives a ``LoopedDatabase`` over an engine, in an event loop of its own."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._runner = asyncio.Runner()
        self.database = self._runner.run(self._open())
        self._closed = False

    async def _open(self) -> LoopedDatabase:
        return LoopedDatabase(self.engine)

    def run(self, step: Step[T]) -> T:
        """See ``Harness.run``."""
        return self._runner.run(step(self.database))

    def at_once(self, steps: Sequence[Step[Any]]) -> list[Any]:
        """See ``Harness.at_once``: a task each."""

        async def together() -> list[Any]:
            return await asyncio.gather(*(step(self.database) for step in steps), return_exceptions=True)

        return self._runner.run(together())

    def batch(self, units: Sequence[Unit[Any]]) -> list[Any]:
        """See ``Harness.batch``: what one turn of the loop submits is a batch."""
        return self.at_once([_writing(unit) for unit in units])

    def close(self) -> None:
        """See ``Harness.close``."""
        if not self._closed:
            self._closed = True
            self._runner.run(self.database.close())
            self._runner.close()
        self.close_files()


class BlockingHarness(_OverEngine):
    """Drives a ``BlockingDatabase`` over an engine, from threads."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.database = BlockingDatabase(engine)

    def run(self, step: Step[T]) -> T:
        """See ``Harness.run``."""
        return drive(step(self.database))

    def at_once(self, steps: Sequence[Step[Any]]) -> list[Any]:
        """See ``Harness.at_once``: a thread each."""
        results: list[Any] = [None] * len(steps)
        threads = [self._start(results, at, step) for at, step in enumerate(steps)]
        _join(threads)
        return results

    def batch(self, units: Sequence[Unit[Any]]) -> list[Any]:
        """See ``Harness.batch``: the first writer waits for the turn, and whoever comes meanwhile queues behind it."""
        results: list[Any] = [None] * (len(units) + 1)
        threads: list[threading.Thread] = []
        self.engine.turn.acquire()
        try:
            for at, unit in enumerate((nothing, *units)):
                threads.append(self._start(results, at, _writing(unit)))
                until(partial(self._have_arrived, at + 1), f"writer {at} waits")
        finally:
            self.engine.turn.release()
        _join(threads)
        return results[1:]

    def close(self) -> None:
        """See ``Harness.close``."""
        drive(self.database.close())
        self.close_files()

    def _have_arrived(self, writers: int) -> bool:
        database = self.database  # Nobody else can see who waits, and to try the lock would make the next one queue up.
        locked = repr(database._mutex).startswith("<locked")  # noqa: SLF001
        return len(database._queue) + locked == writers  # noqa: SLF001

    def _start(self, results: list[Any], at: int, step: Step[Any]) -> threading.Thread:
        def body() -> None:
            try:
                results[at] = drive(step(self.database))
            except BaseException as exc:  # noqa: BLE001 - handed to the suite, which expects it or not
                results[at] = exc

        thread = threading.Thread(target=body, name=f"writer-{at}", daemon=True)
        thread.start()
        return thread


def _writing(unit: Unit[T]) -> Step[T]:
    return lambda database: database.write(unit)


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join(DEADLINE_S)
        if thread.is_alive():
            raise AssertionError(f"{thread.name} did not end within {DEADLINE_S:g} s")
