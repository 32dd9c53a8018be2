"""The migration that is open, as units of other rooms meet it: some of its values are changed and others not yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from llmspell.migration.plan import Target
from llmspell.migration.runs import Begun, find_open
from llmspell.migration.units import running

if TYPE_CHECKING:
    from llmspell.errors import Conflict
    from llmspell.journal.journal import Writer


class OpenRun:
    """See ``journal.guards.Settled``. ``alive`` says whether somebody is at a migration now."""

    def __init__(self, alive: Callable[[], bool]) -> None:
        self._alive = alive

    async def demand_keys(self, writer: Writer, scope: str, keys: Iterable[str]) -> None:
        """Refuse keys of a scope of which one is among the run's. Raises Conflict (``migration-running``)."""
        found = await find_open(writer)
        if found is not None:
            target = found.plan.target
            if target.meets(Target("state", scope)) and any(key.startswith(target.prefix) for key in keys):
                raise self._running(found)

    async def demand_prefix(self, writer: Writer, scope: str | None, prefix: str) -> None:
        """Refuse keys that begin so where one can be among the run's. Raises Conflict (``migration-running``)."""
        found = await find_open(writer)
        if found is not None and found.plan.target.meets(Target("state", scope, prefix)):
            raise self._running(found)

    def _running(self, found: Begun) -> Conflict:
        return running(found.id, alive=self._alive(), back=found.back)
