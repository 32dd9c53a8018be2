"""Records of agents migrated when they are loaded: what ``lazily`` is to keys of state.

A record's fields change in one entry, and nothing else of it: messages and calls of tools stay where they are, and what
others append meanwhile is no hindrance. What must stay true: which version a record has it says itself, so it is
changed by the plan once, whoever loads it; what somebody else saves meanwhile is loaded again and never overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmspell.agentstate.encoded import FIELDS
from llmspell.agentstate.reading import load_agent, scope_name
from llmspell.errors import Conflict, InvalidInput
from llmspell.migration.applying import failed
from llmspell.migration.held import Held
from llmspell.migration.lazily import ATTEMPTS_MAX, moving
from llmspell.migration.values import Problem
from llmspell.model.arguments import check_function
from llmspell.model.page import check_limit
from llmspell.model.telling import told
from llmspell.model.values import decode_value, encode_value
from llmspell.state.rows import check_after

if TYPE_CHECKING:
    from llmspell.agentstate.service import AsyncAgents
    from llmspell.agentstate.values import AgentState
    from llmspell.journal.journal import Writer
    from llmspell.migration.agent_values import AgentValues, Fields
    from llmspell.migration.looking import Looking
    from llmspell.migration.points import LazyPoints
    from llmspell.migration.preparing import Preparation
    from llmspell.ports.database import Reading


class _Unasked(Exception):
    """A record turned out to be of the old version, and hooks were not asked yet."""


class AsyncLazyAgents:
    """The records that a plan is about, in the new form. Get it from ``store.migrations.lazily_agents(plan)``."""

    def __init__(
        self, looking: Looking, points: LazyPoints, agents: AsyncAgents, values: AgentValues, preparation: Preparation,
        write: bool,
    ) -> None:  # fmt: skip
        self._looking = looking
        self._points = points
        self._agents = agents
        self._values = values
        self._preparation = preparation
        self._write = write

    async def load(self, agent_id: str) -> AgentState | None:
        """An agent's record in the new form with its whole conversation, None when it has none.

        One of the old version is written back, one ``agent.saved`` entry; hooks of saving are not asked, as in no
        migration, and those of ``before_migration_batch`` are: without their leave it is given and not written. Raises
        InvalidInput (``migration-failed``) for one that the plan cannot bring there, by agent and path, Conflict
        (``plan-outdated`` for one of another version than the plan's two; ``migration-running`` while a migration of
        these records is open).
        """
        agent_id, written = self._checked(agent_id), False
        for _ in range(ATTEMPTS_MAX):
            opened, (state, held) = await self._looking.look(lambda view: self._look(view, agent_id))
            if state is None or held is None:
                return None
            if written and state.schema_version != self._preparation.plan.from_version:
                return state
            fields = self._fields(held)
            if fields is None or not self._write or not await self._points.allowed(held.scope, agent_id):
                return _renewed(state, fields)
            written = await self._looking.write(opened, self._unit(held, fields))
            if written:
                await self._points.tell(held.scope, agent_id)
        raise moving(agent_id)

    async def ids(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """Ids of the agents that the plan is about and that have a record, in order; the next page is ``after`` the
        last one.
        """
        after, limit = check_after(after), check_limit(limit)
        return await self._looking.read(lambda view: self._values.ids(view, after, limit))

    async def update(self, agent_id: str, fn: Callable[[AgentState], AgentState | None]) -> AgentState:
        """Load a record in the new form, change it by ``fn`` and save both at once, again whenever somebody else wrote
        in between; as ``store.agents.update``. Raises Vetoed when a hook does not let a migrated record be written,
        NotFound, and what ``load`` does.
        """
        check_function(fn, "fn", optional=False)
        agent_id, asked, migrated = self._checked(agent_id), False, False
        place = scope_name(agent_id)

        def changed(state: AgentState) -> AgentState | None:
            nonlocal migrated
            fields = self._fields(_held(state))
            migrated = fields is not None
            if migrated and not asked:
                raise _Unasked
            made, plan = fn(_renewed(state, fields)), self._preparation.plan
            if made is not None and made is not state and made.schema_version == plan.from_version:
                made.schema_version = plan.to_version  # A record made anew has the version that every new one gets.
            return made

        await self._looking.look(lambda _view: None)
        try:
            saved = await self._agents.update(agent_id, changed)
        except _Unasked:
            await self._points.ask(place, agent_id)
            asked = True
            saved = await self._agents.update(agent_id, changed)
        if migrated:
            await self._points.tell(place, agent_id)
        return saved

    # -- inside --------------------------------------------------------------------------------------------------------

    def _checked(self, agent_id: str) -> str:
        scope_name(agent_id)
        target = self._preparation.plan.target
        if not agent_id.startswith(target.prefix):
            raise InvalidInput(
                f"agent {told(agent_id)} is not among {target}", code="not-a-target", hint="load it by store.agents"
            )
        return agent_id

    def _look(self, view: Reading, agent_id: str) -> tuple[AgentState | None, Held | None]:
        """A record with its conversation, and its fields as the plan takes them, of one moment."""
        found = self._values.find(view, agent_id)
        return (None, None) if found is None else (load_agent(view, found[0]), found[1])

    def _fields(self, held: Held) -> Fields | None:
        """The fields that a record has otherwise in the new form; None when it is in that. Uses up ``held.value``."""
        plan, version = self._preparation.plan, held.value["schema_version"]
        if version == plan.to_version:
            return None
        if version != plan.from_version:
            raise Conflict(
                f"agent {held.key!r} is of version {told(version)}; this plan leads from {plan.from_version} to"
                f" {plan.to_version}", code="plan-outdated", hint="plan from the version that it has",
                agent_id=held.key,
            )  # fmt: skip
        found = self._preparation.one(held, 0)
        if isinstance(found, Problem):
            raise failed([found])
        return None if found is None else found[0]

    def _unit(self, held: Held, fields: Fields) -> Callable[[Writer], Any]:
        async def unit(writer: Writer) -> bool:
            if not await self._values.stands(writer, held):
                return False
            await self._values.write(writer, held, fields)
            return True

        return unit


def _held(state: AgentState) -> Held:
    """A record that was loaded as the plan takes it: a copy, which transforms may change."""
    raw = encode_value({name: getattr(state, name) for name in FIELDS})
    return Held(0, scope_name(state.agent_id), state.agent_id, 0, decode_value(raw), raw)


def _renewed(state: AgentState, fields: Fields | None) -> AgentState:
    for name, raw in (fields or {}).items():
        setattr(state, name, decode_value(bytes(raw)))
    return state
