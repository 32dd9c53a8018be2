"""A process that does one kind of write, acknowledges each on stdout, and is killed on the way by whoever watches it.

    python worker.py FACE OPERATION FOLDER DURABILITY

Prints ``threads ID ...`` once everything that will run has run once, waits for a line on stdin, then writes three times
and prints ``ack N`` after each. ``create`` instead opens a store that is not there yet, without waiting.
"""

import asyncio
import os
import sys
import threading
from pathlib import Path

import llmspell
from llmspell import AgentMessage, AgentState
from llmspell.artifacts.bundles import importing
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Rename
from llmspell.schemas.catalog import Catalog
from llmspell.schemas.schema import Schema
from llmspell.sync.drive import drive

THREADS = 4
"""How many threads the asynchronous face has for long work."""
BIG = bytes(range(256)) * 1200
"""300 KB that go to the content file as chunks."""


def content(number):
    """The n-th large artifact: each differs from the others by its first bytes."""
    return b"%d" % number + BIG


def turn(number):
    """A change of an agent's record that writes a field, edits a message and adds two."""

    def change(state):
        state.custom_data["done"] = [*state.custom_data.get("done", []), number]
        state.conversation[:1] = [AgentMessage("system", f"turn {number}")]
        state.conversation += [AgentMessage("user", number), AgentMessage("assistant", "long answer " * 100)]

    return change


async def erase(store, session, number):
    await session.artifacts.delete("erased.bin", version=number, hard=True)
    await store.collect()


async def delete_session(store, number):
    info = await store.sessions.get(f"going-{number}")
    await store.sessions.delete(info.id)


async def fork(store, session, number):
    made = await store.sessions.fork(session.id, name=f"fork-{number}")
    await made.artifacts.update("stays.bin", tags=["t"])


def carried(folder):
    """The file of a session, beside the store."""
    return Path(folder).with_name("carried.session")


def bundled(folder):
    """The file of some artifacts, beside the store."""
    return Path(folder).with_name("bundle.zip")


def say(text):
    os.write(1, (text + "\n").encode())


def wait_for_start():
    ids = [str(thread.native_id) for thread in threading.enumerate()]
    say("threads " + " ".join(ids))
    os.read(0, 1)


CHAIN = [Schema("chain", f"{n}.0.0", {f"m{n}": "integer"}) for n in range(1, 6)]


def renaming(number):
    """From version ``number`` to the next one."""
    return Migration("chain", f"{number}.0.0", f"{number + 1}.0.0", [Rename(f"m{number}", f"m{number + 1}")])


async def migrate(store, number):
    """Bring the values of a chain of versions to the next one, in small batches."""
    if number == 1:
        await store.state.set_many({f"chain:{n}": {"m1": n} for n in range(6)})
        for one in range(1, 5):
            await store.migrations.register(renaming(one))
    given = {"from_version": f"{number}.0.0", "prefix": "chain:", "catalog": Catalog.of(CHAIN)}
    await store.migrations.apply(
        await store.migrations.plan("chain", f"{number + 1}.0.0", scope="global", **given), batch=2
    )


class Blocking:
    def __init__(self, folder, durability):
        self.folder = folder
        self.store = llmspell.open(folder, durability=durability)

    def run(self, operation):
        store = self.store
        session = store.sessions.open("base")
        act = {
            "state": lambda n: store.state.set(f"key-{n}", {"n": n}),
            "session": lambda n: store.sessions.create(f"session-{n}", state={"n": n}, tags=["t"]),
            "small": lambda n: session.artifacts.put("small.txt", f"small {n}"),
            "large": lambda n: session.artifacts.put("large.bin", content(n)),
            "delete": lambda n: session.artifacts.delete("doomed.txt", version=n),
            "agent": lambda n: store.agents.update("agent", turn(n), default=AgentState("agent")),
            "migrate": lambda n: drive(migrate(store._store, n)),
            "collect": lambda n: (session.artifacts.delete("erased.bin", version=n, hard=True), store.collect()),
            "undelete": lambda n: session.artifacts.undelete("deleted.txt", version=n),
            "import": lambda n: session.artifacts.import_(bundled(self.folder), on_conflict="rename"),
            "capture": lambda n: session.captures.offer(iter([content(n), b"end"]), source="tool", name="killed"),
            "hard": lambda n: session.artifacts.delete("erased.bin", version=n, hard=True),
            "session-import": lambda n: store.sessions.import_(carried(self.folder), on_conflict="rename"),
            "session-delete": lambda n: store.sessions.delete(store.sessions.get(f"going-{n}").id),
            "fork": lambda n: store.sessions.fork(session.id, name=f"fork-{n}").artifacts.update(
                "stays.bin", tags=["t"]
            ),
        }[operation]
        act(1)
        wait_for_start()
        for number in (2, 3, 4):
            act(number)
            say(f"ack {number}")
        store.__exit__()


class Looped:
    def __init__(self, folder, durability):
        self.folder, self.durability = folder, durability

    def run(self, operation):
        asyncio.run(self.main(operation))

    async def main(self, operation):
        async with await llmspell.open_async(self.folder, durability=self.durability) as store:
            session = await store.sessions.open("base")
            act = {
                "state": lambda n: store.state.set(f"key-{n}", {"n": n}),
                "session": lambda n: store.sessions.create(f"session-{n}", state={"n": n}, tags=["t"]),
                "small": lambda n: session.artifacts.put("small.txt", f"small {n}"),
                "large": lambda n: session.artifacts.put("large.bin", content(n)),
                "delete": lambda n: session.artifacts.delete("doomed.txt", version=n),
                "agent": lambda n: store.agents.update("agent", turn(n), default=AgentState("agent")),
                "migrate": lambda n: migrate(store, n),
                "collect": lambda n: erase(store, session, n),
                "undelete": lambda n: session.artifacts.undelete("deleted.txt", version=n),
                "import": lambda n: session.artifacts.import_(bundled(self.folder), on_conflict="rename"),
                "capture": lambda n: session.captures.offer(iter([content(n), b"end"]), source="tool", name="killed"),
                "hard": lambda n: session.artifacts.delete("erased.bin", version=n, hard=True),
                "session-import": lambda n: store.sessions.import_(carried(self.folder), on_conflict="rename"),
                "session-delete": lambda n: delete_session(store, n),
                "fork": lambda n: fork(store, session, n),
            }[operation]
            if operation in {"import", "session-import", "capture"}:
                # It uses the threads for long work in turns; all of them are to be there before they are counted.
                barrier = threading.Barrier(THREADS)
                await asyncio.gather(*(store._offload.run(barrier.wait) for _ in range(THREADS)))
            await act(1)
            wait_for_start()
            for number in (2, 3, 4):
                await act(number)
                say(f"ack {number}")


def main(face, operation, folder, durability):
    if operation == "create":
        with llmspell.open(folder, durability=durability) as store:
            store.state.set("key-1", {"n": 1})
            say("ack 1")
        return
    importing.INLINE_BYTES_MAX = 3  # So that small content of a bundle goes both ways.
    worker = Blocking(folder, durability) if face == "sync" else Looped(folder, durability)
    worker.run(operation)


if __name__ == "__main__":
    main(*sys.argv[1:])
