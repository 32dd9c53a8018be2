"""The journal as a principal's operation sees it: each read and each unit begins with the check, in its transaction.

It has the few methods that rooms use, so a room needs to know nothing of access, and nothing that it does can pass by
the check. The owner's rooms have the journal itself: for them there is nothing to skip.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell.access.ledger import Access, Ledger
from llmspell.access.rights import BITS, Right, mask_of
from llmspell.errors import AccessDenied
from llmspell.journal.asking import Asking, driven
from llmspell.journal.lineage import find_scope
from llmspell.model.scope import Scope

if TYPE_CHECKING:
    from llmspell.access.check import Demand
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.ports.database import Reading, Row

T = TypeVar("T")
CLASS_LOWERED = "class-lowered"
"""The code by which a room refuses, inside a unit, to keep a key of another's scope less well than it was kept."""


class CheckedJournal:
    """The journal, for one principal and what one kind of operation demands. See ``journal.Journal`` and
    ``ports.database.Database`` for the methods.
    """

    def __init__(self, journal: Journal, demands: tuple[Demand, ...], ledger: Ledger) -> None:
        self._journal = journal
        self._demands = demands
        self._ledger = ledger
        self._uses = tuple(
            Access(one.principal.name, one.scope.name, one.mask, "") for one in demands if not one.own and one.mask
        )
        self._foreign = tuple(one.scope for one in self._uses)
        self.database = self
        self.scopes = journal.scopes
        self.clock = journal.clock
        self.kinds = journal.kinds

    async def demand(self) -> None:
        """The check alone, for what happens outside of the store: hooks, and state in memory."""
        await self.read(lambda _: None)

    async def used(self) -> None:
        """Note what was done in scopes of others."""
        for access in self._uses:
            await self._ledger.note(access)

    async def one(self, sql: str, args: Any = ()) -> Row | None:
        """The first row of a single statement. 2.5 µs more than without a check: joined to it, SQLite takes 10."""
        return await self.read(lambda view: view.one(sql, args))

    async def read(self, query: Callable[[Reading], T]) -> T:
        """Run a query function over one consistent state."""
        now = self.clock.now_ns()
        failed: tuple[Demand, AccessDenied] | None = None

        def checked(view: Reading) -> T:
            nonlocal failed
            for one in self._demands:
                refusal = one.refusal(view.one(one.sql, one.args(now)))
                if refusal is not None:
                    failed = one, refusal
                    raise refusal
            return query(view)

        try:
            return await self._journal.database.read(checked)
        except AccessDenied as exc:
            if failed is not None and exc is failed[1]:
                await self._noted(*failed)
            raise

    async def write(
        self, work: Callable[[Writer], Awaitable[T]], *, context: Context | None = None, strong: bool = False
    ) -> T:
        """Commit ``work`` as one unit."""
        failed: tuple[Demand, AccessDenied] | None = None

        async def checked(writer: Writer) -> T:
            nonlocal failed
            for one in self._demands:
                refusal = one.refusal(await writer.one(one.sql, one.args(writer.origin.clock)))
                if refusal is not None:
                    failed = one, refusal
                    raise refusal
            writer.foreign = self._foreign
            return await work(writer)

        try:
            return await self._journal.write(checked, context=context, strong=strong)
        except AccessDenied as exc:
            if failed is not None and exc is failed[1]:
                await self._noted(*failed)
            elif exc.code == CLASS_LOWERED:
                place = Scope.parse(exc.details["scope"]).name
                await self._ledger.note(Access(self._demands[0].principal.name, place, BITS[Right.WRITE], exc.code))
            raise

    async def scope(self, name: str) -> tuple[int, bytes] | None:
        """Id and salt of a scope. One that this process knows is not checked here: what is done with it is."""
        found = self.scopes.get(name)
        if found is None:
            known = await self.read(lambda view: driven(find_scope(Asking(view), name)))
            found = None if known is None else self.scopes.put(name, known)
        return found

    async def _noted(self, demand: Demand, refusal: AccessDenied) -> None:
        """Tell the ledger."""
        missing = mask_of(refusal.details["rights"], empty=True)
        await self._ledger.note(Access(demand.principal.name, demand.scope.name, missing, refusal.code))
