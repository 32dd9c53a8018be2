"""Handles that migrate what is read by them, and nothing else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from llmspell.errors import Conflict, InvalidInput
from llmspell.journal.asking import Asking, driven
from llmspell.migration.agent_values import AgentValues
from llmspell.migration.binding import Bound, bind_anew, find_standing
from llmspell.migration.given import one_scope
from llmspell.migration.lazily import AsyncLazyState
from llmspell.migration.lazy_agents import AsyncLazyAgents
from llmspell.migration.looking import Looking
from llmspell.migration.plan import Plan
from llmspell.migration.points import LazyPoints
from llmspell.migration.preparing import Preparation
from llmspell.migration.state_values import StateValues
from llmspell.migration.steering import Options
from llmspell.migration.transform import Functions
from llmspell.model.arguments import check_flags
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.schemas.checking import Validators

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmspell.agentstate.encoded import Scan
    from llmspell.agentstate.service import AsyncAgents
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.migration.held import Values
    from llmspell.migration.steering import Steering
    from llmspell.registry.bindings import Binding
    from llmspell.schemas.schema import Schema
    from llmspell.state.classes import Protection
    from llmspell.state.service import AsyncState


class SchemaSource(Protocol):
    """Where schemas come from when a call brings none, and which keys are held against which: ``store.schemas``."""

    async def bindings(self) -> list[Binding]:
        """What is bound now."""
        ...

    async def list(self) -> list[Schema]:
        """All that are registered."""
        ...

    async def bind(
        self, name: str, version: str | None = None, *, scope: Scope | None = None, prefix: str = ""
    ) -> Binding:
        """Hold keys against a version."""
        ...


class OnRead:
    """The part of ``AsyncMigrations`` about values that are migrated when they are read."""

    _journal: Journal
    _hooks: Hooks
    _acting: Acting
    _protection: Protection
    _scan: Scan | None
    _schemas: SchemaSource
    _steering: Steering
    _agents: AsyncAgents
    _state_of: Callable[[Scope], AsyncState]

    async def lazily(
        self, plan: Plan, *, scope: Scope | str | None = None, functions: Functions | None = None,
        validators: Validators | None = None, write: bool = True,
    ) -> AsyncLazyState:  # fmt: skip
        """The values of a plan's target in the new form, each migrated when it is read here, and written back unless
        ``write`` is False: for whoever does not want to wait for all of them. Plain reads, history and views show what
        is stored.

        What of the target is bound to the old version is bound to the new one from now on. ``scope`` is the one to
        read, where the plan is about every scope. Where exactly the target is not bound, a value that meets the new
        version counts as new. Each change is an ordinary one; reading ``items`` to the end brings the rest.

        Hooks of ``before_migration_apply`` are asked now, before anything is bound, and those of
        ``before_migration_batch`` for each value that is to be written; their ``operation`` is ``lazy``. A value that
        they do not let be written is given in the new form and stays as it is. Raises InvalidInput (``invalid-plan``,
        ``invalid-scope``), NotFound (``unknown-function``, ``unknown-validator``), Conflict (``migration-running``: a
        migration of these values is open, by which some are changed and others not; ``plan-outdated``: they are bound
        to a third version; ``schema-exists``), NotFound (``schema-not-found``: the new one is not registered), Vetoed.
        """
        _check(plan, "state", "lazily_agents")
        check_flags(write=write)
        place = one_scope(scope) if plan.target.scope is None else Scope.from_name(plan.target.scope)
        if place is None or (scope is not None and one_scope(scope) != place):
            raise InvalidInput(f"the plan is about {plan.target}: name one scope of it", code="invalid-scope")
        await self._demand_whole(place.name)
        values = StateValues(plan.target, self._protection, self._journal.clock.now_ns)
        preparation = self._prepared(plan, values, functions, validators)
        looking, points = await self._handles(plan, write)
        bound = await points.making(partial(self._rebound, plan))
        return AsyncLazyState(looking, points, self._state_of(place), values, preparation, bound, write)

    async def lazily_agents(
        self, plan: Plan, *, functions: Functions | None = None, validators: Validators | None = None,
        write: bool = True,
    ) -> AsyncLazyAgents:  # fmt: skip
        """The same for a plan of agents: records in the new form, each migrated when it is loaded here, and written
        back unless ``write`` is False. ``store.agents`` shows what is stored.

        Each change is an ordinary ``agent.saved``; loading all ``ids`` brings the rest. Hooks are asked as there.
        Raises InvalidInput (``invalid-plan``), NotFound (``unknown-function``, ``unknown-validator``), Conflict
        (``migration-running``), Vetoed.
        """
        _check(plan, "agents", "lazily")
        check_flags(write=write)
        values = AgentValues(plan.target, self._scan)
        preparation = self._prepared(plan, values, functions, validators)
        looking, points = await self._handles(plan, write)
        await points.making(_nothing)
        return AsyncLazyAgents(looking, points, self._agents, values, preparation, write)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _demand_whole(self, scope: str | None) -> None:
        """Refuse a fork: what it inherits is another session's, and would stay as it is."""
        if scope is not None and await self._journal.lineage(scope) is not None:
            hint = "copy its state to a session of its own: state.copy_to(Scope.session(id))"
            raise Conflict(f"{scope} is a fork: what it inherits is its origin's", code="session-is-fork", hint=hint)

    async def _handles(self, plan: Plan, write: bool) -> tuple[Looking, LazyPoints]:
        """What a handle looks and writes by. Raises Conflict (``migration-running``)."""
        await self._steering.demand_settled(plan.target)
        looking = Looking(self._journal, self._acting, self._steering, plan.target)
        return looking, LazyPoints(self._hooks, self._acting, plan, write=write)

    def _prepared(
        self, plan: Plan, values: Values, functions: Functions | None, validators: Validators | None
    ) -> Preparation:
        options = Options(functions=functions or {}, validators=validators or {})
        known = {**self._steering.validators, **options.validators}
        return Preparation(plan, values, options.functions, known, "strict")

    async def _rebound(self, plan: Plan) -> Bound | None:
        """Since when the target is bound to the new version, to which is bound now what of it is to the old one; None
        when it is not bound.
        """
        old, bound = await self._journal.database.read(lambda view: driven(find_standing(Asking(view), plan)))
        if not old:
            return bound  # As it is at one moment. What is to be written is decided anew where it is written.
        return await self._journal.write(lambda writer: bind_anew(writer, plan), context=self._acting.context())


async def _nothing() -> None:
    """Records say themselves which version they are of: nothing is bound for a handle."""


def _check(plan: object, kind: str, other: str) -> None:
    if not isinstance(plan, Plan):
        raise InvalidInput(f"a Plan is read by, not {told(plan)}", code="invalid-plan")
    if plan.target.kind != kind:
        raise InvalidInput(
            f"the plan is about {plan.target}, not {kind}", code="invalid-plan", hint=f"use migrations.{other}"
        )
