"""Runs Lua scripts on a store of their own, and stores that die in the middle of it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from llmspell.errors import LlmspellError, StorageFailed
from llmspell.opening import open_async
from llmspell.script.host import run_script

DEADLINE_S = 60


def go(work, path=":memory:", **options):
    """Open a store, await ``work(store)``, close; the result."""

    async def main():
        async with asyncio.timeout(DEADLINE_S), await open_async(path, **options) as store:
            return await work(store)

    return asyncio.run(main())


@dataclass
class Ran:
    """What one script did."""

    value: Any = None
    lines: list[str] = field(default_factory=list)
    error: LlmspellError | None = None
    result: Any = None
    kinds: list[str] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)


async def ran(store, source, **options):
    """Run a script and keep what it said and how it ended."""
    outcome = Ran()
    try:
        outcome.result = await run_script(store, source, on_print=outcome.lines.append, **options)
        outcome.value = outcome.result.value
    except LlmspellError as exc:
        outcome.error = exc
    outcome.entries = (await store.timeline(limit=10_000)).items
    outcome.kinds = [entry.kind for entry in outcome.entries]
    return outcome


def lua(source, **options):
    """Run a script on a new store in memory; it must end well."""
    outcome = go(lambda store: ran(store, source, **options))
    assert outcome.error is None, f"{outcome.error} {outcome.error.details}"
    return outcome


def value(source, **options):
    """The value of a script."""
    return lua(source, **options).value


def failure(source, **options):
    """The error of a script that must fail."""
    outcome = go(lambda store: ran(store, source, **options))
    assert outcome.error is not None, outcome.value
    return outcome.error


async def appeared(store, *, key=None, kind="state.set"):
    """Wait until a key was set, or an entry of a kind written, from the store's beginning on."""
    async with store.events.subscribe(kind, from_position="start") as events:
        async for event in events:
            if key is None or event.data["key"] == key:
                return


class Dying:
    """A store's database that fails every write from the ``n``-th on, as if the process had been killed there."""

    def __init__(self, database, n):
        self._database = database
        self.left = n

    def __getattr__(self, name):
        return getattr(self._database, name)

    async def write(self, unit, *, strong=False):
        self.left -= 1
        if self.left < 0:
            raise StorageFailed("the process was killed here", code="killed")
        return await self._database.write(unit, strong=strong)


def dies_after(store, writes):
    """Let the store take only so many more writes; gives the counter."""
    store.journal.database = Dying(store.journal.database, writes)
    return store.journal.database


def steps_of(entries):
    """The items of a run's record, in order."""
    return [item for entry in entries if entry.kind == "run.recorded" for item in entry.data["items"]]


def effects_of(entries):
    """Kinds of the entries that are effects of scripts, and what they are about."""
    own = ("run.", "store.", "session.resumed", "session.failed", "session.suspended")
    return [(entry.kind, _about(entry.data)) for entry in entries if not entry.kind.startswith(own)]


def _about(data):
    return {name: data[name] for name in ("scope", "key", "value", "version", "name", "type", "data") if name in data}
