"""The handle of an open store, and the one place where its parts are wired together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from llmspell.adapters.sqlite.store import OpenStore
from llmspell.hooks.registry import Hooks
from llmspell.journal.acting import Acting
from llmspell.journal.journal import Journal
from llmspell.journal.kinds import OWN, Kinds
from llmspell.model.clock import Clock
from llmspell.model.context import Correlation, current
from llmspell.model.ids import Ids, id_text
from llmspell.model.labels import check_label
from llmspell.model.scope import GLOBAL, Scope
from llmspell.state.projection import KINDS as STATE_KINDS
from llmspell.state.service import AsyncState

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.connection import Durability


_KINDS = Kinds((*OWN, *STATE_KINDS))


class AsyncStore:
    """An open store on asyncio: rooms as attributes. Belongs to the event loop it was opened in.

    Get one from ``llmspell.open_async``; it is an async context manager.
    """

    def __init__(self, files: OpenStore, database: Any, clock: Clock, ids: Ids, hooks: Hooks) -> None:
        self._files = files
        self._database = database
        self.hooks = hooks
        self.journal = Journal(database, _KINDS, clock, ids)
        self._acting = Acting()
        self.state = self.state_of(GLOBAL)

    @property
    def path(self) -> Path | None:
        """The store's folder; None in memory."""
        return self._files.path

    @property
    def id(self) -> str:
        """The store's own id, given at its creation."""
        return self._files.store_id

    @property
    def timeline(self) -> str:
        """Id of the history this store is on; a restore starts a new one."""
        return self._files.timeline

    @property
    def durability(self) -> Durability:
        """What an acknowledged write survives: ``full`` a power cut, ``process`` a kill, ``none`` nothing."""
        return self._files.durability

    def state_of(self, scope: Scope) -> AsyncState:
        """The state of a scope, ``Scope.agent("researcher")`` for instance."""
        return AsyncState(self.journal, self.hooks, scope, self._acting)

    @contextmanager
    def correlate(self, name: str) -> Iterator[str]:
        """Give everything done inside a correlation of its own; gives its id. Nests: the inner one knows the outer.

        Follows tasks started inside. The correlation is in the journal from its first entry on.
        """
        context = current.get()
        correlation = Correlation(self.journal.ids.new(), check_label(name, "a correlation's name"), context.correlation)
        token = current.set(replace(context, correlation=correlation))
        try:
            yield id_text(correlation.id)
        finally:
            current.reset(token)

    async def close(self) -> None:
        """Finish what is under way and close the files. Idempotent."""
        await self._database.close()
        self.hooks.close()
        self._files.content.close()
        self._files.engine.close()
        self._files.engine.turn.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
