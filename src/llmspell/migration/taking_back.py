"""A migration being taken back: what each of its entries replaced is written again, to the byte.

It goes through the journal from the migration's first entry on. A value that somebody else wrote since stays as it is
and is named. Interrupted, it begins again: what is back already is not the migration's any more.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llmspell.migration import units
from llmspell.migration.held import Back, caused_by

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.migration.applying import Pace, Tools
    from llmspell.migration.held import Values
    from llmspell.ports.database import Reading

_NEWEST = "SELECT coalesce(max(seq), 0) FROM entry"
LEFT_MAX = 100
"""Values left alone that are named; all are counted."""


class Rollback:
    """One attempt to take a migration back. ``restored`` and ``left`` count values, ``names`` are those left."""

    def __init__(self, tools: Tools, values: Values, pace: Pace, run: tuple[str, int], changed: int) -> None:
        self._tools = tools
        self._values = values
        self._pace = pace
        self._run = run
        self._changed = changed
        self.restored = 0
        self.left = 0
        self.names: list[tuple[str, str]] = []

    async def back(self, started: int, through: int) -> None:
        """Put back what the entry ``started`` caused up to the entry ``through``, which began the rollback."""
        tools = self._tools
        after = started
        while after < through:
            backs, end = await tools.read(partial(self._page, started, after, through))
            live = [back for back in backs if back.before is not None]
            missed, took = await tools.write(partial(self._put_back, live)) if live else ([], 0)
            self._pace.took(len(live), took)
            gone = [back for back in backs if back.before is None]
            self._leave([back for back in gone if back.cause not in {started, through}])
            self._leave([live[number] for number in missed])
            self.restored += len(live) - len(missed) + sum(back.cause == through for back in gone)
            after = end
            tools.tell(self.restored + self.left, self._changed)
            await tools.pause()

    async def rehearse(self, started: int, through: int) -> None:
        """Count and name what ``back`` would put back and leave alone now, and write nothing. ``through`` as there, or
        0 when no rollback has begun.
        """
        mine = {started, through} if through else {started}
        last = through or (await self._tools.read(lambda view: view.one(_NEWEST)))[0]
        after = started
        while after < last:
            backs, after = await self._tools.read(partial(self._page, started, after, last))
            gone = [back for back in backs if back.before is None]
            self._leave([back for back in gone if back.cause not in mine])
            self.restored += len(backs) - len(gone)
            self._tools.tell(self.restored + self.left, self._changed)
            await self._tools.pause()

    async def _put_back(self, live: list[Back], writer: Writer) -> tuple[list[int], int]:
        return await units.put_back(writer, self._values, live, self._tools.now, self._run)

    def _page(self, started: int, after: int, through: int, view: Reading) -> tuple[list[Back], int]:
        entries, end = caused_by(view, self._values.kind, started, after, through, self._pace.size)
        # What was erased since has no value to put back: its session was shredded.
        return [self._values.before(view, entry) for entry in entries if entry.payload is not None], end

    def _leave(self, backs: list[Back]) -> None:
        self.left += len(backs)
        room = LEFT_MAX - len(self.names)
        self.names += [(back.scope, back.key) for back in backs[:room]]
