"""Puts and imports that are given up while a thread stores their content: nothing of them is in progress afterwards."""

import asyncio
import random
import threading
from contextlib import suppress

import pytest

import llmspell
from llmspell.adapters.sqlite.content_appender import SqliteAppender

DATA = random.Random(1).randbytes(3 << 20)
WAIT_S = 60


class Gate:
    """Holds the thread that stores chunks until it may go on; what happened to the appender, in order."""

    def __init__(self, patch):
        self.begun, self.go, self.over = threading.Event(), threading.Event(), threading.Event()
        self.told = []
        real = {name: getattr(SqliteAppender, name) for name in ("append", "abort", "release")}

        def append(appender, chunks):
            self.begun.set()
            assert self.go.wait(WAIT_S)
            real["append"](appender, chunks)
            self.told.append("appended")

        def abort(appender):
            self.told.append("aborted")
            real["abort"](appender)

        def release(appender):
            real["release"](appender)
            self.over.set()

        for one in (append, abort, release):
            patch.setattr(SqliteAppender, one.__name__, one)


async def stream():
    for start in range(0, len(DATA), 1 << 20):
        yield DATA[start : start + (1 << 20)]


@pytest.mark.parametrize("kind", ["bytes", "path", "stream", "pieces", "batch", "import"])
def test_what_is_given_up_while_a_thread_stores_it_can_be_collected(tmp_path, monkeypatch, kind):
    (tmp_path / "file").write_bytes(DATA)
    with llmspell.open(tmp_path / "other") as other:
        other.sessions.create("o").artifacts.put("big", DATA)
        other.artifacts.export(tmp_path / "bundle")

    async def given_up():
        async with await llmspell.open_async(tmp_path / "store") as store:
            artifacts = (await store.sessions.create("s")).artifacts
            gate = Gate(monkeypatch)
            calls = {
                "bytes": lambda: artifacts.put("a", DATA), "path": lambda: artifacts.put("a", tmp_path / "file"),
                "stream": lambda: artifacts.put("a", stream()), "pieces": lambda: artifacts.put("a", iter([DATA])),
                "batch": lambda: artifacts.put_many([{"name": "a", "data": DATA}]),
                "import": lambda: artifacts.import_(tmp_path / "bundle"),
            }  # fmt: skip
            task = asyncio.create_task(calls[kind]())
            assert await asyncio.to_thread(gate.begun.wait, WAIT_S)
            task.cancel()
            if kind == "import":  # It closes the file before it says that it was given up.
                gate.go.set()
            with suppress(asyncio.CancelledError):
                await task
            gate.go.set()
            assert await asyncio.to_thread(gate.over.wait, WAIT_S), "its chunks would never be collected"
            assert "aborted" not in gate.told[: gate.told.index("appended")], "not while a thread is at it"
            assert (await store.collect()).kept == {}
            assert not (await store.orphans()).in_progress
            assert (await artifacts.list()).items == []
            info = await artifacts.put("a", DATA)
            assert await (await artifacts.get(info.id)).read() == DATA
            assert (await store.verify()).ok

    asyncio.run(given_up())
