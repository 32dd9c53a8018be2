"""The handle of one principal: the rooms of a store, as far as it may use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell.access.check import Demand
from llmspell.access.rights import principal_of
from llmspell.access.service import AsyncPrincipalAccess
from llmspell.errors import InvalidInput
from llmspell.model.scope import GLOBAL, Scope
from llmspell.model.telling import told
from llmspell.principals.events import AsyncPrincipalEvents
from llmspell.principals.parts import ActingAs
from llmspell.principals.sharing import AsyncPrincipalSharing
from llmspell.principals.state import AsyncPrincipalState
from llmspell.state.classes import check_class

if TYPE_CHECKING:
    from llmspell.principals.parts import Parts
    from llmspell.state.classes import StateClass


class AsyncPrincipal:
    """What one principal may see and do of a store. Get it from ``store.acting_as("agent:researcher")``.

    ``principal`` is its text, ``own`` the state of its own scope, ``state`` that of the global one; ``access``,
    ``events`` and ``sharing`` are its rooms. What is not here yet (sessions, artifacts, timeline, hooks) it cannot use.
    Entries that it writes have it as their actor. It lives as long as the store it came from, and needs no closing.
    """

    def __init__(self, parts: Parts, principal: str | Scope) -> None:
        self._parts = parts
        self._scope = scope = principal_of(principal)
        self._acting = ActingAs(scope)
        self.principal = scope.text
        self.own = self.state_of(scope)
        self.state = self.state_of(GLOBAL)
        checked = parts.checked(Demand(scope, scope, 0))
        self.access = AsyncPrincipalAccess(parts.journal, checked, self._acting, parts.ledger, scope)
        self.events = AsyncPrincipalEvents(parts, self._acting, scope)
        self.sharing = AsyncPrincipalSharing(self.events, parts, scope)

    def state_of(self, scope: Scope, *, state_class: StateClass | str | None = None) -> AsyncPrincipalState:
        """The state of any scope; each operation on it is refused without the rights that it needs. ``state_class`` is
        the class of keys that this handle makes without naming one.
        """
        if not isinstance(scope, Scope):
            raise InvalidInput(
                f"state_of takes a Scope, not {told(scope)}",
                code="invalid-scope",
                hint='like Scope.agent("researcher"), or Scope.parse("agent:researcher")',
            )
        return AsyncPrincipalState(self._parts, self._acting, self._scope, scope, check_class(state_class))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.principal}>"
