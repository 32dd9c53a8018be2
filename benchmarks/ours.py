"""Our side: one adapter per operation, written once for both faces."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks import texts
from benchmarks.harness import Durability, Runner, Side, Skipped, async_loop, event_loop, loop

Face = Literal["sync", "async"]
KEYS = 1000
MESSAGE_TYPE = "message.added"


def require() -> Any:
    """The package, or :class:`Skipped` when this checkout cannot open a store."""
    try:
        import llmspell
    except ImportError as error:
        raise Skipped(f"llmspell does not import: {error}") from error
    if not hasattr(llmspell, "open"):
        raise Skipped("llmspell has no open() in this checkout")
    return llmspell


@dataclass(frozen=True, slots=True)
class Opened:
    """A store of either face. ``do`` finishes what a call of it returned; ``runner`` times operations on it."""

    store: Any
    do: Callable[[Any], Any]
    runner: Callable[..., Runner]


@contextmanager
def opened(folder: Path, durability: Durability, face: Face, **options: Any) -> Iterator[Opened]:
    """A store in ``folder``, made when missing, closed with the block."""
    llmspell = require()
    path = folder / "store"
    if face == "sync":
        with llmspell.open(path, durability=durability, **options) as store:
            yield Opened(store, lambda value: value, loop)
        return
    with event_loop() as runner:

        async def open_store() -> Any:
            return await llmspell.open_async(path, durability=durability, **options)

        async def finish(value: Awaitable[Any]) -> Any:
            return await value

        store = runner.run(open_store())
        try:
            yield Opened(store, lambda value: runner.run(finish(value)), functools.partial(async_loop, runner))
        finally:
            runner.run(finish(store.close()))


Work = Callable[[Opened], Callable[[], Any]]
"""Prepares a store and gives the operation that is measured on it (a value from sync, an awaitable from async)."""


def state_set(it: Opened) -> Callable[[], Any]:
    """Set one of 1,000 keys of the global scope to a value of about 120 bytes."""
    numbers = itertools.count()

    def operation() -> Any:
        n = next(numbers)
        return it.store.state.set(
            f"key-{n % KEYS}", {"topic": "durable memory of agents", "turn": n, "tags": ["a", "b"]}
        )

    for _ in range(KEYS):
        it.do(operation())
    return operation


def session_create(it: Opened) -> Callable[[], Any]:
    """Create a session with a name and one tag."""
    numbers = itertools.count()
    return lambda: it.store.sessions.create(f"session {next(numbers)}", tags=["bench"])


def event_publish(it: Opened) -> Callable[[], Any]:
    """Publish an event of about 100 bytes."""
    numbers = itertools.count()
    return lambda: it.store.events.publish("data.ready", {"source": "sensor", "number": next(numbers), "ok": True})


def state_get(it: Opened) -> Callable[[], Any]:
    """Read one of 10,000 keys, in an order no small cache keeps up with."""
    keys = [f"key-{n}" for n in range(10_000)]
    for start in range(0, len(keys), 500):
        it.do(
            it.store.state.set_many(
                {key: {"topic": "memory", "n": 1, "text": "x" * 60} for key in keys[start : start + 500]}
            )
        )
    order = itertools.cycle(keys[i * 7919 % len(keys)] for i in range(len(keys)))
    return lambda: it.store.state.get(next(order))


def artifact_put(it: Opened) -> Callable[[], Any]:
    """Put an incompressible artifact of 10 KB under a new name."""
    session = it.do(it.store.sessions.create("artifacts"))
    numbers, contents = itertools.count(), texts.noise(4096, 10 * 1024)
    return lambda: session.artifacts.put(f"report-{(n := next(numbers))}.bin", _unique(contents[n % 4096], n))


def artifact_get(it: Opened) -> Callable[[], Any]:
    """Get one of 500 artifacts of 10 KB with its bytes."""
    session = it.do(it.store.sessions.create("artifacts"))
    names = [f"report-{n}.bin" for n in range(500)]
    for name, content in zip(names, texts.noise(500, 10 * 1024), strict=True):
        it.do(session.artifacts.put(name, content))
    order = itertools.cycle(names[i * 79 % 500] for i in range(500))

    async def read() -> None:
        assert len(await (await session.artifacts.get(next(order))).read()) == 10 * 1024

    def read_now() -> None:
        assert len(session.artifacts.get(next(order)).read()) == 10 * 1024

    return read_now if it.runner is loop else read


def message_append(it: Opened) -> Callable[[], Any]:
    """Append a message of 200 characters to one session."""
    return _appender(it, "chat")


def _appender(it: Opened, name: str) -> Callable[[], Any]:
    session = it.do(it.store.sessions.create(name))
    messages = itertools.cycle(texts.messages(200))
    return lambda: session.events.publish(MESSAGE_TYPE, next(messages))


def side(name: str, work: Work, durability: Durability, face: Face = "sync") -> Side:
    """A side with one caller."""

    @contextmanager
    def opening(folder: Path) -> Iterator[Runner]:
        with opened(folder, durability, face) as it:
            yield it.runner(work(it))

    return Side(name, opening, durability)


def many(name: str, works: list[Work], durability: Durability) -> Side:
    """A side with as many concurrent callers on one store as there are ``works``."""

    @contextmanager
    def opening(folder: Path) -> Iterator[Runner]:
        with opened(folder, durability, "async") as it:
            yield it.runner(*(work(it) for work in works))

    return Side(name, opening, durability)


def message_appender(number: int) -> Work:
    """Appends to a session of its own: one of many writers at once."""
    return lambda it: _appender(it, f"chat {number}")


def _unique(content: bytes, number: int) -> bytes:
    return number.to_bytes(8, "big") + content[8:]
