"""State as a principal sees it: the methods of ``AsyncState``, each with the rights that it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llmspell.access.check import Demand
from llmspell.access.rights import ALL, BITS, Right
from llmspell.errors import Conflict, InvalidInput
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.state.classes import check_class
from llmspell.state.service import AsyncState

if TYPE_CHECKING:
    from llmspell.access.checked import CheckedJournal
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.principals.parts import Parts
    from llmspell.state.classes import StateClass
    from llmspell.state.values import StateChange, StateEntry

T = TypeVar("T")
_READ, _WRITE, _DELETE, _LIST = BITS[Right.READ], BITS[Right.WRITE], BITS[Right.DELETE], BITS[Right.LIST]


class AsyncPrincipalState:
    """The keys of one scope, for one principal. Get it from ``store.acting_as(principal)``: ``own``, ``state`` or
    ``state_of(scope)``.

    Every method raises AccessDenied (``access-denied``, ``principal-cut-off``) without the rights it names, before any
    hook runs; whether the scope or the key exists makes no difference. Otherwise it is ``AsyncState``'s.

    In a scope that is not its own, a principal may raise the class of a key (trusted, standard, external, sensitive: in
    this order) and never lower it, below what new keys of the scope get either; nor make a key external that has a
    value in another class; nor have a key that is kept better than those end sooner than it would, by a time to live.
    That is AccessDenied, too: ``class-lowered``.
    """

    def __init__(
        self, parts: Parts, acting: Acting, principal: Scope, scope: Scope, default: str | None = None
    ) -> None:
        self._parts = parts
        self._acting = acting
        self._principal = principal
        self._default = default
        self._states: dict[int, tuple[CheckedJournal, AsyncState]] = {}
        self.scope = scope

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, or ``default`` when there is none. Needs read."""
        return await self._run(_READ, lambda state: state.get(key, default))

    async def entry(self, key: str) -> StateEntry | None:
        """The value with its version, seq and times; None when there is none. Needs read."""
        return await self._run(_READ, lambda state: state.entry(key))

    async def exists(self, key: str) -> bool:
        """Whether ``key`` has a value now. Needs read."""
        return await self._run(_READ, lambda state: state.exists(key))

    async def set(
        self,
        key: str,
        value: Any,
        *,
        if_version: int | None = None,
        ttl_s: float | None = None,
        state_class: StateClass | str | None = None,
    ) -> int:
        """Give ``key`` a value and return its new version. Needs write, which tells versions, never values; for an
        ephemeral key all four rights: whoever sets it next without a class keeps it in memory, too.
        """
        return await self._run(
            self._writing(state_class),
            lambda state: state.set(key, value, if_version=if_version, ttl_s=ttl_s, state_class=state_class),
            outside=state_class is not None,
        )

    async def delete(self, key: str, *, if_version: int | None = None) -> bool:
        """Delete ``key``; True if it had a value. Needs delete."""
        return await self._run(_DELETE, lambda state: state.delete(key, if_version=if_version))

    async def update(self, key: str, fn: Callable[[Any], Any], *, default: Any = None) -> Any:
        """Read, change by ``fn`` and write back, again whenever somebody else wrote in between. Returns the new value.
        Needs read and write.
        """
        return await self._run(_READ | self._writing(), lambda state: state.update(key, fn, default=default))

    async def history(self, key: str, *, limit: int = 100, before: int | None = None) -> list[StateChange]:
        """Changes of ``key``, newest first, those from before the right was granted too. Needs read."""
        return await self._run(_READ, lambda state: state.history(key, limit=limit, before=before))

    async def keys(self, *, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        """Keys with a value, in code point order. Needs list."""
        return await self._run(_LIST, lambda state: state.keys(prefix=prefix, after=after, limit=limit))

    async def items(self, *, prefix: str = "", after: str = "", limit: int | None = None) -> list[tuple[str, Any]]:
        """Keys and values, as ``keys`` orders them. Needs read and list."""
        return await self._run(_READ | _LIST, lambda state: state.items(prefix=prefix, after=after, limit=limit))

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Values of those of ``keys`` that have one, read at one moment. Needs read."""
        return await self._run(_READ, lambda state: state.get_many(keys))

    async def set_many(
        self, values: Mapping[str, Any], *, ttl_s: float | None = None, state_class: StateClass | str | None = None
    ) -> dict[str, int]:
        """Set several keys in one transaction: all or none. Needs write."""
        return await self._run(
            _WRITE,
            lambda state: state.set_many(values, ttl_s=ttl_s, state_class=state_class),
            outside=state_class is not None,
        )

    async def default_class(self) -> StateClass:
        """The class that a new key gets from whoever names none. Needs read."""
        return await self._run(_READ, lambda state: state.default_class())

    async def set_default_class(self, state_class: StateClass | str) -> bool:
        """Have keys that are new here kept so from now on, whoever sets them; False when it was so. Needs all
        four rights: it says how well the values of everybody are kept.
        """
        return await self._run(ALL, lambda state: state.set_default_class(state_class))

    async def clear(self) -> int:
        """Delete every key of the scope in one transaction; returns how many had a value. Needs delete."""
        return await self._run(_DELETE, lambda state: state.clear())

    async def copy_to(self, scope: Scope) -> int:
        """Set every key of this scope in ``scope`` too, in one transaction; returns how many. Needs read and list here,
        write there.
        """
        return await self._transfer(scope, _READ | _LIST, lambda state: state.copy_to(scope))

    async def move_to(self, scope: Scope) -> int:
        """Like ``copy_to``, and delete them here in the same transaction. Needs read, list and delete here, write
        there.
        """
        return await self._transfer(scope, _READ | _LIST | _DELETE, lambda state: state.move_to(scope))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _writing(self, state_class: StateClass | str | None = None) -> int:
        """The rights that it takes to set a key, which may be new, in a class."""
        return ALL if (check_class(state_class) or self._default) == "ephemeral" else _WRITE

    async def _transfer(self, scope: Scope, mask: int, work: Callable[[AsyncState], Awaitable[int]]) -> int:
        if not isinstance(scope, Scope):
            raise InvalidInput(f"a scope is a Scope, not {told(scope)}", code="invalid-scope", hint="Scope.parse(text)")
        here = Demand(self._principal, self.scope, mask)
        made = self._made(here, Demand(self._principal, scope, _WRITE))
        return await self._checked(made, work, outside=False)

    async def _run(self, mask: int, work: Callable[[AsyncState], Awaitable[T]], *, outside: bool = False) -> T:
        made = self._states.get(mask)
        if made is None:
            made = self._states[mask] = self._made(Demand(self._principal, self.scope, mask))
        return await self._checked(made, work, outside=outside)

    async def _checked(
        self, made: tuple[CheckedJournal, AsyncState], work: Callable[[AsyncState], Awaitable[T]], *, outside: bool
    ) -> T:
        """The operation. Hooks and memory are no part of a transaction: before they are touched, there is a check."""
        journal, state = made
        if outside or self._default is not None or self._parts.hooks.armed or self._parts.ephemeral.scopes:
            await journal.demand()
        try:
            result = await work(state)
        except Conflict:
            await journal.used()  # It was let in, and learned which version there is.
            raise
        await journal.used()
        return result

    def _made(self, *demands: Demand) -> tuple[CheckedJournal, AsyncState]:
        parts = self._parts
        checked = parts.checked(*demands)
        state = AsyncState(
            cast("Journal", checked), parts.hooks, self.scope, self._acting, parts.protection, parts.ephemeral,
            self._default,
        )  # fmt: skip
        return checked, state
