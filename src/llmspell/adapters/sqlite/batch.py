"""One batch of units: the transaction they share, what became of each, and the reads beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any

import apsw

from llmspell.adapters.sqlite.errors import damaged_text, map_error
from llmspell.adapters.sqlite.later import made, pretended
from llmspell.model.entry import Head
from llmspell.ports.database import Row


class Outcome:
    """What became of one unit: ``value``, or ``error`` if it raised."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error


class NotNow(Enum):
    """The answer of ``try_write`` when somebody else is writing."""

    NOT_NOW = "not now"


NOT_NOW = NotNow.NOT_NOW


class Batch:
    """The transaction that the units of one commit share. See ``ports.database.Transaction``."""

    __slots__ = ("_execute", "announced", "dirty", "generation", "head", "written")

    def __init__(self, execute: Callable[..., apsw.Cursor], head: Head, generation: int) -> None:
        self.generation = generation
        self._execute = execute
        self.head = head
        self.announced: list[Any] = []
        self.written = False
        self.dirty = False

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        try:
            return next(self._execute(sql, args), None)
        except apsw.SQLError as exc:
            return next(made(self._execute, sql, args, exc), None)

    async def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows."""
        try:
            return list(self._execute(sql, args))
        except apsw.SQLError as exc:
            return list(made(self._execute, sql, args, exc))

    async def run(self, sql: str, args: Sequence[Any] = ()) -> None:
        """Change rows."""
        self.written = self.dirty = True
        try:
            self._execute(sql, args)
        except apsw.SQLError as exc:
            made(self._execute, sql, args, exc)

    async def add(self, sql: str, args: Sequence[Any] = ()) -> Row:
        """Insert a row and give what the statement returns."""
        self.written = self.dirty = True
        try:
            return next(self._execute(sql, args))
        except apsw.SQLError as exc:
            return next(made(self._execute, sql, args, exc))

    def announce(self, item: Any) -> None:
        """Hand ``item`` to the listeners after COMMIT."""
        self.announced.append(item)


class View:
    """Reads over one connection. See ``ports.database.Reading``."""

    __slots__ = ("_execute",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = connection.execute

    def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        try:
            return next(self._execute(sql, args), None)
        except apsw.SQLError as exc:
            return next(pretended(self._execute, sql, args, exc), None)

    def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows."""
        try:
            return list(self._execute(sql, args))
        except apsw.SQLError as exc:
            return list(pretended(self._execute, sql, args, exc))

    def rows(self, sql: str, args: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows one at a time, within this read."""
        try:
            return iter(self._execute(sql, args))
        except apsw.SQLError as exc:
            return iter(pretended(self._execute, sql, args, exc))


def unit_error(exc: Exception) -> Exception:
    """What a unit raised, in the tree of ``llmspell.errors``."""
    if isinstance(exc, UnicodeDecodeError):
        return damaged_text(exc)
    return map_error(exc, "run a unit of work") if isinstance(exc, apsw.Error) else exc


def drive(coroutine: Any) -> Any:
    """Run a unit to its end. It may await only the transaction, which never suspends here."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("a unit of work awaited something other than its transaction")
