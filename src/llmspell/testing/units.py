"""The units and looks that the conformance suites are made of, on plain tables of the store's schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from llmspell.errors import LlmspellError
from llmspell.journal.journal import Journal, Writer
from llmspell.journal.kinds import Kind, Kinds
from llmspell.journal.reading import EntryQuery, read_page
from llmspell.model.clock import ManualClock
from llmspell.model.entry import GENESIS, Entry
from llmspell.model.ids import SystemIds
from llmspell.ports.database import Database, Reading, Transaction, Unit
from llmspell.testing.harness import Harness, Step

T = TypeVar("T")
PUT = "INSERT INTO watermark (name, seq) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq"
GET = "SELECT seq FROM watermark WHERE name = ?"
ALL = "SELECT name, seq FROM watermark ORDER BY name"


class Refusal(LlmspellError):
    """What a unit of the suite raises when it is to fail."""

    code = "refusal"


class Noted(msgspec.Struct):
    """The payload of the suite's own entries."""

    text: str


NOTED = Kind("suite.noted", Noted)


def put(name: str, value: int) -> Unit[int]:
    """A unit that writes one row and returns its value."""

    async def unit(tx: Transaction) -> int:
        await tx.run(PUT, (name, value))
        return value

    return unit


def add(name: str) -> Unit[int]:
    """A unit that reads a number, adds one and writes it back."""

    async def unit(tx: Transaction) -> int:
        row = await tx.one(GET, (name,))
        value = (row[0] if row else 0) + 1
        await tx.run(PUT, (name, value))
        return int(value)

    return unit


async def refuse_early(tx: Transaction) -> None:
    """A unit that checks, and raises before it wrote."""
    await tx.one(GET, ("anything",))
    tx.announce("never")
    raise Refusal("checked, and refused")


async def refuse_late(tx: Transaction) -> None:
    """A unit that raises after it wrote."""
    tx.announce("never")
    await tx.run(PUT, ("half", 1))
    raise Refusal("written, and then refused")


def writing(unit: Unit[T], *, strong: bool = False) -> Step[T]:
    """The step of committing one unit."""
    return lambda database: database.write(unit, strong=strong)


def getting(name: str) -> Step[Any]:
    """The step of reading one number: its row, or None."""
    return lambda database: database.one(GET, (name,))


def rows(harness: Harness) -> dict[str, int]:
    """All rows of the table the suite plays with."""
    return dict(harness.run(lambda database: database.read(lambda view: view.all(ALL))))


def raised(work: Callable[[], Any]) -> BaseException:
    """What ``work`` raises. Raises AssertionError when it does not."""
    try:
        result = work()
    except BaseException as exc:  # noqa: BLE001 - the suite asks what it is
        return exc
    raise AssertionError(f"nothing was raised; it gave {result!r}")


def code_of(work: Callable[[], Any]) -> str:
    """The code of the library error that ``work`` raises."""
    error = raised(work)
    assert isinstance(error, LlmspellError), repr(error)
    return error.code


def note(text: str) -> Callable[[Writer], Any]:
    """Work that appends one entry of the suite's kind and returns its seq."""

    async def work(writer: Writer) -> int:
        return await writer.append(NOTED, Noted(text), await writer.scope("global"), "note")

    return work


def journal_over(database: Database, clock: ManualClock | None = None) -> Journal:
    """A journal of the suite's kind alone, whose entries are announced."""
    return Journal(database, Kinds((NOTED,)), clock or ManualClock(), SystemIds(), watched=lambda: True)


def entries(harness: Harness) -> list[Entry]:
    """All entries, hashes checked."""
    return harness.run(lambda database: database.read(lambda view: read_page(view, EntryQuery(), 10_000)))


def check_chain(harness: Harness) -> list[Entry]:
    """All entries; seqs are contiguous from 1 and each hash stands in the next entry's row."""
    found = entries(harness)
    links = harness.run(
        lambda database: database.read(lambda view: view.all("SELECT prev, hash FROM entry ORDER BY seq"))
    )
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    previous = GENESIS
    for prev, hash_ in links:
        assert prev == previous
        previous = hash_
    return found


async def open_journal(database: Database) -> Journal:
    """A journal over the database, made where its loop runs."""
    return journal_over(database)


class Kept(Exception):
    """The unit was kept instead of committed."""


class Collecting:
    """A database that keeps the units it is given, to have them submitted together later."""

    def __init__(self, units: list[Unit[Any]]) -> None:
        self._units = units

    async def write(self, unit: Unit[Any], *, strong: bool = False) -> Any:  # noqa: ARG002 - the port's signature
        """Keep the unit. Raises Kept."""
        self._units.append(unit)
        raise Kept

    def give_way(self) -> None:
        """Nobody else is there."""

    async def read(self, query: Callable[[Reading], Any]) -> Any:
        """Nothing is read here. Raises Kept."""
        raise Kept(query)

    async def one(self, sql: str, args: Any = ()) -> Any:
        """Nothing is read here. Raises Kept."""
        raise Kept(sql, args)


def send(coroutine: Any) -> None:
    """Run a coroutine up to its first wait."""
    coroutine.send(None)


def elsewhere(work: Callable[[], Any]) -> None:
    """Run ``work`` in a thread of its own, because this one is inside an event loop."""
    import threading

    failure: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - raised again below
            failure.append(exc)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
