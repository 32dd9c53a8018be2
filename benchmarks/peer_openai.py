"""OpenAI Agents SDK: SQLiteSession. A session is created by its first item; there is no list of sessions."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import texts
from benchmarks.harness import Durability, Runner, async_loop, event_loop
from benchmarks.peers import OPENAI, equal, require


class Sessions:
    """Makes sessions over one file; each is closed with the side."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._kind, self._path, self._stack = require(OPENAI, "agents").SQLiteSession, path, stack

    def open(self, name: str) -> Any:
        """The session of this name."""
        return self._stack.enter_context(closing(self._kind(name, str(self._path))))

    async def create(self, name: str, first: dict[str, str]) -> None:
        """A new session with its first item, closed again: the only way to make one."""
        with closing(self._kind(name, str(self._path))) as session:
            await session.add_items([first])


@contextmanager
def opened(folder: Path, durability: Durability) -> Iterator[Sessions]:
    """Sessions in ``folder``: as they come for `full`, with ``synchronous=NORMAL`` for `process`."""
    path = folder / "sessions.db"
    with equal(path, durability), ExitStack() as stack:
        yield Sessions(path, stack)


@contextmanager
def create_session(folder: Path, durability: Durability) -> Iterator[Runner]:
    """Create sessions, one after the other, each with one item."""
    with opened(folder, durability) as sessions, event_loop() as runner:
        numbers, first = itertools.count(), texts.messages(1)[0]
        yield async_loop(runner, lambda: sessions.create(f"s{next(numbers)}", first))


@contextmanager
def append_message(folder: Path, durability: Durability, *, sessions: int = 1) -> Iterator[Runner]:
    """Append to ``sessions`` sessions at once, each by its own task."""
    with opened(folder, durability) as made, event_loop() as runner:
        messages = itertools.cycle(texts.messages(200))

        async def append(session: Any) -> None:
            await session.add_items([next(messages)])

        yield async_loop(runner, *(functools.partial(append, made.open(f"s{i}")) for i in range(sessions)))


@contextmanager
def load_session(folder: Path, durability: Durability, *, messages: int) -> Iterator[Runner]:
    """Read back a session of ``messages`` items."""
    with opened(folder, durability) as made, event_loop() as runner:
        session = made.open("big")
        runner.run(session.add_items(texts.messages(messages)))

        async def load() -> None:
            assert len(await session.get_items()) == messages

        yield async_loop(runner, load)


def write_turns(folder: Path, turns: list[str]) -> None:
    """Append turns to one session, for the disk row."""
    with opened(folder, "process") as made, event_loop() as runner:
        session = made.open("chat")

        async def fill() -> None:
            for number, text in enumerate(turns):
                await session.add_items([{"role": "assistant" if number % 2 else "user", "content": text}])

        runner.run(fill())
