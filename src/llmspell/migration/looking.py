"""Looks and writes of handles that migrate what is read by them, beside a migration that somebody else has open.

Some values of an open one are changed and others not, and nothing says which: whoever went on from there would change
some twice. So nothing is given and nothing written where it may have been at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llmspell.migration import units
from llmspell.migration.runs import load_open
from llmspell.model.ids import id_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer
    from llmspell.migration.plan import Target
    from llmspell.migration.steering import Steering
    from llmspell.ports.database import Reading

Found = TypeVar("Found")


class Looking:
    """See the module. Costs one statement more, of a look as of a write, while no migration is open."""

    def __init__(self, journal: Journal, acting: Acting, steering: Steering, target: Target) -> None:
        self._journal = journal
        self._acting = acting
        self._steering = steering
        self._target = target

    async def read(self, query: Callable[[Reading], Found]) -> Found:
        """A look at what no migration changes: which keys there are."""
        return await self._journal.database.read(query)

    async def look(self, query: Callable[[Reading], Found]) -> tuple[bytes | None, Found]:
        """One consistent look, and the run that is open, to ``write`` by; it concerns other values. Raises Conflict
        (``migration-running``) for one that concerns these.
        """

        def both(view: Reading) -> Any:
            opened = load_open(view)
            meets = opened is not None and opened.plan.target.meets(self._target)
            return opened, meets, None if meets else query(view)

        opened, meets, found = await self._journal.database.read(both)
        if meets:
            raise units.running(opened.id, alive=self._steering.alive(), back=opened.back)
        return None if opened is None else id_bytes(opened.id), found

    async def write(self, opened: bytes | None, work: Callable[[Writer], Awaitable[bool]]) -> bool:
        """One unit; False, and nothing is written, when another run is open by now than at the look."""

        async def unit(writer: Writer) -> bool:
            return await units.still_open(writer, opened) and await work(writer)

        return await self._journal.write(unit, context=self._acting.context())
