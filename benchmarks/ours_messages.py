"""Our side of the rows that read whole sessions: a loaded conversation, a listed page, turns on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import ours, texts
from benchmarks.harness import loop
from benchmarks.ours import MESSAGE_TYPE, Opened, Work

PUBLISHED = "event.published"


def load(count: int) -> Work:
    """Read back a session of ``count`` messages through its timeline: every entry's hash is checked on the way."""

    def work(it: Opened) -> Callable[[], Any]:
        session = it.do(it.store.sessions.create("chat"))
        for message in texts.messages(count):
            it.do(session.events.publish(MESSAGE_TYPE, message))

        async def read() -> None:
            _check(await session.timeline(kinds=[PUBLISHED], limit=count), count)

        return (lambda: _check(session.timeline(kinds=[PUBLISHED], limit=count), count)) if it.runner is loop else read

    return work


def _check(timeline: Any, count: int) -> None:
    """Every message was decoded and is there: peers hand out decoded messages too."""
    contents = [entry.data["data"]["content"] for entry in timeline]
    assert len(contents) == count, len(contents)


def listing(count: int) -> Work:
    """List ``count`` sessions in one page."""

    def work(it: Opened) -> Callable[[], Any]:
        for number in range(count):
            it.do(it.store.sessions.create(f"session {number}", tags=["bench"]))

        async def names() -> None:
            assert len((await it.store.sessions.list(limit=count)).items) == count

        def names_now() -> None:
            assert len(it.store.sessions.list(limit=count).items) == count

        return names_now if it.runner is loop else names

    return work


def write_turns(folder: Path, turns: list[str]) -> None:
    """Append turns to one session, for the disk row."""
    with ours.opened(folder, "process", "sync") as it:
        session = it.store.sessions.create("chat")
        for number, text in enumerate(turns):
            session.events.publish(MESSAGE_TYPE, {"role": "assistant" if number % 2 else "user", "content": text})
