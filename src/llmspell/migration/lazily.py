"""Values migrated when they are read: for whoever cannot wait for all of them, or will never read most.

It is the reader who asks: a handle for one plan gives the values of its target in the new form, and writes each back
that it had to change. Plain reads, history and views show what is stored. What must stay true: a value is changed by
the plan once; what somebody else writes meanwhile is read again and never overwritten; a value that the plan cannot
bring to the new version is not given in half.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from llmspell.errors import Conflict, InvalidInput
from llmspell.migration.applying import failed
from llmspell.migration.values import Problem
from llmspell.model.keys import check_key
from llmspell.model.page import check_limit
from llmspell.model.telling import told
from llmspell.model.values import decode_value
from llmspell.registry.bindings import is_bound
from llmspell.schema import queries
from llmspell.state.rows import check_after

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.migration.binding import Bound
    from llmspell.migration.held import Held
    from llmspell.migration.looking import Looking
    from llmspell.migration.points import LazyPoints
    from llmspell.migration.preparing import Preparation
    from llmspell.migration.state_values import StateValues
    from llmspell.ports.database import Reading
    from llmspell.state.service import AsyncState

_BINDING = queries("llmspell.registry")["open_one"]
ATTEMPTS_MAX = 100
"""Times that something is read again because somebody keeps writing it."""


class AsyncLazyState:
    """The values of a plan's target in one scope, in the new form. Get it from ``store.migrations.lazily(plan)``."""

    def __init__(
        self, looking: Looking, points: LazyPoints, state: AsyncState, values: StateValues, preparation: Preparation,
        bound: Bound | None, write: bool,
    ) -> None:  # fmt: skip
        self._looking = looking
        self._points = points
        self._state = state
        self._values = values
        self._preparation = preparation
        self._bound = bound
        self._write = write
        self.scope = state.scope

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key`` in the new form, or ``default``; one that a hook does not let be written is given all
        the same. Raises InvalidInput (``migration-failed``) for one that the plan cannot bring there, by key and path,
        Conflict (``migration-running`` while a migration of these values is open; ``plan-outdated`` when they were
        bound otherwise since, as by a rollback: make the handle anew).
        """
        key = self._checked(key)
        for _ in range(ATTEMPTS_MAX):
            opened, held = await self._held(key)
            if held is None:
                return default
            done, value = await self._renewed(opened, held)
            if done:
                return value
        raise moving(key)

    async def exists(self, key: str) -> bool:
        """Whether ``key`` has a value now."""
        key = self._checked(key)
        return await self._looking.read(lambda view: self._find(view, key)) is not None

    async def keys(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """Keys of the target that have a value, in code point order; the next page is ``after`` the last one."""
        prefix = self._preparation.plan.target.prefix
        return await self._state.keys(prefix=prefix, after=check_after(after), limit=check_limit(limit))

    async def items(self, *, after: str = "", limit: int = 1000) -> list[tuple[str, Any]]:
        """Keys and values in the new form, as ``keys`` orders them."""
        gone = object()
        found = [(key, await self.get(key, gone)) for key in await self.keys(after=after, limit=limit)]
        return [(key, value) for key, value in found if value is not gone]

    async def update(self, key: str, fn: Callable[[Any], Any], *, default: Any = None) -> Any:
        """Read in the new form, change by ``fn`` and write back, again whenever somebody else wrote in between. Returns
        the new value. Raises Vetoed when a hook does not let a migrated value be written, and what ``get`` does.
        """
        key = self._checked(key)
        for _ in range(ATTEMPTS_MAX):
            _, held = await self._held(key)
            stored, value = (None, deepcopy(default)) if held is None else self._made(held)
            if stored is not None:
                await self._points.ask(self.scope.name, key)
            value = fn(value)
            try:
                await self._state.set(key, value, if_version=0 if held is None else held.version)
            except Conflict:
                continue
            if stored is not None:
                await self._points.tell(self.scope.name, key)
            return value
        raise moving(key)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _checked(self, key: str) -> str:
        key = check_key(key)
        if not key.startswith(self._preparation.plan.target.prefix):
            raise InvalidInput(
                f"{told(key)} is not among {self._preparation.plan.target}", code="not-a-target",
                hint="read it by the state itself",
            )  # fmt: skip
        return key

    async def _held(self, key: str) -> tuple[bytes | None, Held | None]:
        def query(view: Reading) -> Held | None:
            self._demand_bound(view)
            return self._find(view, key)

        return await self._looking.look(query)

    def _demand_bound(self, view: Reading) -> None:
        """What was written since the making was held against the new version only as long as that is bound."""
        plan = self._preparation.plan
        if self._bound is None:
            return
        row = view.one(_BINDING, (plan.target.scope or "", plan.target.prefix))
        if row is None or row[2] != self._bound.binding:
            raise Conflict(
                f"{plan.target} were bound otherwise since this handle for {plan.name} {plan.to_version} was made",
                code="plan-outdated", hint="plan again and make the handle anew",
            )  # fmt: skip

    def _find(self, view: Reading, key: str) -> Held | None:
        return self._values.of_key(view, self.scope.name, key)

    def _made(self, held: Held) -> tuple[Any, Any]:
        """What is to be written (None: nothing), and the value in the new form. Raises InvalidInput."""
        later = self._bound is not None and held.seq > self._bound.since
        if later and held.state_class != "trusted":
            return None, held.value  # It was held against the new version when it was written.
        preparation = self._preparation
        late = later or self._bound is None
        found = preparation.late(held) if late else preparation.one(held, 0)
        if isinstance(found, Problem):
            raise failed([found])
        return (None, decode_value(held.raw)) if found is None else found

    async def _renewed(self, opened: bytes | None, held: Held) -> tuple[bool, Any]:
        """The value in the new form, written back; False when somebody else was quicker."""
        stored, made = self._made(held)
        if stored is None or not self._write or not await self._points.allowed(held.scope, held.key):
            return True, made

        async def unit(writer: Writer) -> bool:
            if not (await self._values.stands(writer, held) and await is_bound(writer, held.bound)):
                return False
            await self._values.write(writer, held, stored)
            return True

        written = await self._looking.write(opened, unit)
        if written:
            await self._points.tell(held.scope, held.key)
        return written, made


def moving(key: str) -> Conflict:
    """The error for what never stood still."""
    return Conflict(f"{key!r} kept changing through {ATTEMPTS_MAX} attempts to migrate it", key=key)
