"""The port under every room: units of work that commit together, and reads.

Contract (each adapter passes ``llmspell.testing.conformance``):

- A unit is a function of a transaction that returns a coroutine. It is pure: everything it needs (ids, times, random
  bytes, context) was captured before it was submitted, and it awaits nothing but the transaction. It may run more than
  once; only the last run counts.
- ``write`` returns the unit's result once it is committed at the database's durability, or raises what the unit raised,
  and then nothing of that unit is stored. Units submitted together may commit together; each sees the writes of those
  before it. A unit that raises never harms another one.
- Check first, write after: a unit that raises before its first ``run`` costs nothing; one that raises later makes its
  whole batch run again.
- ``announce`` puts something on the list that ``committed`` listeners get after COMMIT, in commit order. ``head`` is
the
  newest entry as this transaction sees it; both follow a rollback.
- ``read`` runs a function over a consistent state that holds everything acknowledged before the call. It is not to
  take longer than 5 s.
- A write cancelled before its batch started is withdrawn; after that it completes.
- Errors are the tree of ``llmspell.errors``: Busy when another process holds the store too long, StorageFailed when the
  disk fails, after which (for a failed sync) every write is ReadOnly until the store is opened again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from llmspell.model.entry import Head

T = TypeVar("T")
Row = tuple[Any, ...]


class Reading(Protocol):
    """Queries over one consistent state. Rows are tuples in the order of the select."""

    def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        ...

    def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows; the query bounds their number."""
        ...


class Transaction(Protocol):
    """What a unit may use."""

    head: Head
    generation: int
    """Another number whenever somebody else may have committed since this process last did, or a batch was undone."""

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row, or None; sees this batch's writes."""
        ...

    async def all(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        """All rows; sees this batch's writes."""
        ...

    async def run(self, sql: str, args: Sequence[Any] = ()) -> None:
        """Change rows. From here on a failure of the unit costs a rerun of its batch."""
        ...

    async def add(self, sql: str, args: Sequence[Any] = ()) -> Row:
        """Insert a row and give what the statement returns (an id that the engine chose)."""
        ...

    def announce(self, item: Any) -> None:
        """Hand ``item`` to the listeners once this transaction is committed."""
        ...


Unit = Callable[[Transaction], Awaitable[T]]


class Database(Protocol):
    """A store's tables. One value per open store; the async and the sync face each have their own kind."""

    async def write(self, unit: Unit[T], *, strong: bool = False) -> T:
        """Commit a unit and return its result. ``strong`` makes it, and all acknowledged before, durable on disk."""
        ...

    def give_way(self) -> None:
        """Let other processes that wait to write go first; for those who write in long runs, between two writes. Waits
        some milliseconds at most, so not on the thread of an event loop; not at all when nobody waits.
        """
        ...

    async def read(self, query: Callable[[Reading], T]) -> T:
        """Run a query function over one consistent state."""
        ...

    async def one(self, sql: str, args: Sequence[Any] = ()) -> Row | None:
        """The first row of a single statement, which is consistent by itself: the short way for a point read."""
        ...
