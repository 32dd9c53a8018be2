"""Questions that a unit asks in its transaction, and a look before it asks in one read."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from llmspell.ports.database import Reading, Row

T = TypeVar("T")


class Asks(Protocol):
    """What a look needs of a transaction."""

    @property
    def one(self) -> Any:
        """The first row: an async function of the query and its arguments."""
        ...

    @property
    def all(self) -> Any:
        """All rows, in the same way."""
        ...


class Asking:
    """A read that is asked as a transaction is."""

    def __init__(self, view: Reading) -> None:
        self._view = view

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row."""
        return self._view.one(sql, args)

    async def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows."""
        return self._view.all(sql, args)


def driven(coroutine: Coroutine[Any, Any, T]) -> T:
    """The value of a coroutine that awaits nothing but an ``Asking``, which never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    coroutine.close()
    raise RuntimeError("a look awaited something other than its read")
