"""LangGraph's SqliteSaver: a thread is a session, a message is appended by saving the whole list again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import texts
from benchmarks.harness import Durability, Runner, async_loop, event_loop, loop
from benchmarks.peers import LANGGRAPH, equal, require

METADATA = {"source": "loop", "step": 1, "parents": {}}
GROWTH_MAX = 200  # messages a thread holds before the append rows begin a new one; the saver's cost grows with each


def _config(thread: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}


class Saver:
    """One file with one saver, sync (``saver``) or async (``asaver``), and what the rows do with it."""

    def __init__(self, saver: Any) -> None:
        self.saver = saver
        base = require(LANGGRAPH, "langgraph.checkpoint.base")
        self._message = require(LANGGRAPH, "langchain_core.messages").HumanMessage
        self._empty, self._uuid6 = base.empty_checkpoint, base.uuid6
        self._steps = itertools.count(1)

    def message(self, content: str) -> Any:
        """A message as its users make it."""
        return self._message(content, id=str(next(self._steps)))

    def checkpoint(self, messages: list[Any]) -> dict[str, Any]:
        """A checkpoint whose one channel holds ``messages``."""
        step = next(self._steps)
        checkpoint: dict[str, Any] = self._empty()
        checkpoint["id"] = str(self._uuid6(clock_seq=step))
        checkpoint["channel_values"] = {"messages": messages}
        checkpoint["channel_versions"] = {"messages": step}
        return checkpoint

    def put(self, config: dict[str, Any], messages: list[Any]) -> dict[str, Any]:
        """Save the list as the thread's newest checkpoint."""
        result: dict[str, Any] = self.saver.put(config, self.checkpoint(messages), METADATA, {"messages": 1})
        return result

    async def aput(self, config: dict[str, Any], messages: list[Any]) -> dict[str, Any]:
        """The same on the async saver."""
        result: dict[str, Any] = await self.saver.aput(config, self.checkpoint(messages), METADATA, {"messages": 1})
        return result


@contextmanager
def opened(folder: Path, durability: Durability) -> Iterator[Saver]:
    """A saver in ``folder``: as it comes for `full`, with ``synchronous=NORMAL`` for `process`."""
    module = require(LANGGRAPH, "langgraph.checkpoint.sqlite")
    path = folder / "checkpoints.db"
    with equal(path, durability), module.SqliteSaver.from_conn_string(str(path)) as saver:
        saver.setup()
        yield Saver(saver)


@contextmanager
def create_session(folder: Path, durability: Durability) -> Iterator[Runner]:
    """First checkpoint of a new thread, with one message: the saver has no other notion of creating."""
    with opened(folder, durability) as saver:
        numbers = itertools.count()
        first = [saver.message(texts.messages(1)[0]["content"])]
        yield loop(lambda: saver.put(_config(f"thread-{next(numbers)}"), first))


class _Thread:
    """A thread that grows by a message and begins anew at GROWTH_MAX."""

    def __init__(self, saver: Saver, name: str) -> None:
        self._saver, self._name = saver, name
        self._texts = [m["content"] for m in texts.messages(GROWTH_MAX)]
        self._generation = 0
        self._restart()

    def _restart(self) -> None:
        self._generation += 1
        self._config, self._messages = _config(f"{self._name}-{self._generation}"), list[Any]()

    def _grown(self) -> list[Any]:
        if len(self._messages) == GROWTH_MAX:
            self._restart()
        self._messages.append(self._saver.message(self._texts[len(self._messages)]))
        return list(self._messages)

    def append(self) -> None:
        messages = self._grown()
        self._config = self._saver.put(self._config, messages)

    async def aappend(self) -> None:
        messages = self._grown()
        self._config = await self._saver.aput(self._config, messages)


@contextmanager
def append_message(folder: Path, durability: Durability) -> Iterator[Runner]:
    """One caller appending to one thread of 0 to 200 messages."""
    with opened(folder, durability) as saver:
        yield loop(_Thread(saver, "one").append)


@contextmanager
def append_at_once(folder: Path, durability: Durability, *, sessions: int) -> Iterator[Runner]:
    """``sessions`` tasks, each appending to its own thread, on the async saver."""
    module = require(LANGGRAPH, "langgraph.checkpoint.sqlite.aio")
    path = folder / "checkpoints.db"
    with equal(path, durability), event_loop() as runner:
        context = module.AsyncSqliteSaver.from_conn_string(str(path))
        saver = Saver(runner.run(context.__aenter__()))
        runner.run(saver.saver.setup())
        try:
            yield async_loop(runner, *(_Thread(saver, f"thread-{i}").aappend for i in range(sessions)))
        finally:
            runner.run(context.__aexit__(None, None, None))


@contextmanager
def load_session(folder: Path, durability: Durability, *, messages: int) -> Iterator[Runner]:
    """Read back a thread of ``messages`` messages."""
    with opened(folder, durability) as saver:
        saver.put(_config("big"), [saver.message(m["content"]) for m in texts.messages(messages)])

        def load() -> None:
            found = saver.saver.get_tuple(_config("big"))
            assert len(found.checkpoint["channel_values"]["messages"]) == messages

        yield loop(load)


@contextmanager
def list_sessions(folder: Path, durability: Durability, *, sessions: int) -> Iterator[Runner]:
    """Name every thread of a file in which each has one checkpoint (the saver can only list checkpoints)."""
    with opened(folder, durability) as saver:
        first = [saver.message(texts.messages(1)[0]["content"])]
        for number in range(sessions):
            saver.put(_config(f"thread-{number}"), first)

        def names() -> None:
            found = {item.config["configurable"]["thread_id"] for item in saver.saver.list(None)}
            assert len(found) == sessions

        yield loop(names)


def write_turns(folder: Path, turns: list[str]) -> None:
    """Save one thread turn by turn, for the disk row."""
    with opened(folder, "process") as saver:
        config, messages = _config("chat"), list[Any]()
        for text in turns:
            messages.append(saver.message(text))
            config = saver.put(config, list(messages))
