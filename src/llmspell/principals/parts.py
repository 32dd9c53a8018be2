"""What the handles of principals are made of, and whose context they act in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llmspell.access.check import Demand
from llmspell.access.checked import CheckedJournal
from llmspell.access.ledger import Access, Ledger
from llmspell.journal.acting import Acting
from llmspell.model.context import Context, current

if TYPE_CHECKING:
    from llmspell.events.dispatcher import Dispatcher
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.journal import Journal
    from llmspell.model.scope import Scope
    from llmspell.state.classes import Protection
    from llmspell.state.ephemeral import Ephemeral


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an open store that every principal's handle shares. ``read`` runs a query from any thread."""

    journal: Journal
    hooks: Hooks
    protection: Protection
    ephemeral: Ephemeral
    dispatcher: Dispatcher
    ledger: Ledger
    read: Callable[[Any], Any]

    def checked(self, *demands: Demand) -> CheckedJournal:
        """The journal for operations that demand this."""
        return CheckedJournal(self.journal, demands, self.ledger)

    def admitting(self, principal: Scope) -> Callable[[], None]:
        """A function that raises AccessDenied once the principal is cut off. 3 µs."""
        demand = Demand(principal, principal, 0)

        def admit() -> None:
            refusal = demand.refusal(self.read(lambda view: view.one(demand.sql, demand.args(0))))
            if refusal is not None:
                self.ledger.count(Access(principal.name, principal.name, 0, refusal.code))
                raise refusal

        return admit


class ActingAs(Acting):
    """Gives the context of each call, with a principal as its actor."""

    __slots__ = ("_actor",)

    def __init__(self, principal: Scope) -> None:
        super().__init__()
        self._actor = principal.name

    def context(self) -> Context:
        """The caller's context, acting as this principal."""
        context = current.get()
        last = self._last
        if last is None or last[0] is not context:
            self._last = last = context, replace(context, actor=self._actor)
        return last[1]
