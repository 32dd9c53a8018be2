"""Agent state: one versioned record for each agent, that survives restarts and loses nothing to concurrent writers.

A save relies on the version that was loaded and writes only what differs from it: a field is an entry's part, a message
an entry of its own, and one that stays is never written again. What was edited or cut is still in the history.
Appending a message and counting a tool's call rely on no version, so they never conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from llmspell.agentstate import units
from llmspell.agentstate.encoded import (
    FIELDS,
    Base,
    Change,
    Encoded,
    Scan,
    Totals,
    change_to,
    check_ms,
    check_tool,
    encode_conversation,
    encode_fields,
    encode_message,
    encode_state,
    scanned,
    scanned_state,
    usage_of,
)
from llmspell.agentstate.reading import (
    HEAD,
    SUBJECT,
    Agent,
    change_of,
    confirm,
    info_of,
    load_agent,
    load_agent_at,
    load_base,
    load_messages,
    missing,
    require_version,
    scope_name,
    version_of,
)
from llmspell.agentstate.values import AgentChange, AgentInfo, AgentMessage, AgentState, ToolUsage
from llmspell.errors import Conflict, InvalidInput
from llmspell.hooks.moment import run_point
from llmspell.journal.reading import EntryQuery, read_page
from llmspell.model import limits
from llmspell.model.arguments import check_flags, check_function
from llmspell.model.clock import to_datetime
from llmspell.model.entry import subject_digest
from llmspell.model.labels import check_label
from llmspell.model.page import Page, check_limit, cursor_seq, cursor_text, read_cursor, write_cursor
from llmspell.model.telling import told
from llmspell.offload import Inline
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.offload import Offload

T = TypeVar("T")
_SQL = queries("llmspell.agentstate")
_UPDATE_ATTEMPTS_MAX = 1000
_SEQ_MAX = (1 << 63) - 1


class AsyncAgents:
    """The records of all agents: ``store.agents``. What is written inside a session belongs to it.

    ``scan`` is applied to every field and message after the hooks and before they are encoded: what it gives is what
    is stored, and what is long is scanned by ``offload``. None: nothing is replaced.
    """

    def __init__(
        self, journal: Journal, hooks: Hooks, acting: Acting, scan: Scan | None = None, offload: Offload | None = None
    ) -> None:
        self._journal = journal
        self._hooks = hooks
        self._armed = hooks.armed
        self._acting = acting
        self._scan = scan
        self._offload = offload or Inline()

    # -- a whole record ------------------------------------------------------------------------------------------------

    async def save(self, state: AgentState, *, if_version: int | None = None) -> int:
        """Write what changed in an agent's record and give its new version, which ``state`` has from then on.

        The record must still have the version that ``state`` was loaded with (0 for a new one: there must be none), or
        ``if_version`` when that is given; else Conflict. Writes an ``agent.saved`` entry for what is no new message,
        and one for each message that is; nothing when nothing changed. Raises InvalidInput, LimitExceeded, Conflict,
        Vetoed.
        """
        units.check_version(if_version)
        agent_id = _check_state(state)
        required = state.version if if_version is None else if_version
        context = self._acting.context()
        encoded = await self._decided(context, state, required)
        base = state._base  # noqa: SLF001 - the field is this room's
        if required == 0:
            base = Base(agent_id, 0, "")
        elif base is None or (base.agent_id, base.version) != (agent_id, required):
            base = await self._base(agent_id, required)
        change, after = change_to(encoded, base)
        known = await self._write(context, change, base)
        if known is None:
            # ``state`` was loaded from another history, whose record has the same version as this one's.
            base = await self._base(agent_id, required)
            change, after = change_to(encoded, base)
            known = await self._write(context, change, base)
        if known is None:
            raise Conflict(f"agent {agent_id!r} became another one while it was saved", agent_id=agent_id)
        version, hash_, at, created_at = known
        state.version, state.created_at, state.updated_at = version, to_datetime(created_at), to_datetime(at)
        state._base = replace(after, version=version, hash=hash_)  # noqa: SLF001 - the field is this room's
        if version != base.version and "after_agent_save" in self._armed:
            data = {
                "agent_id": agent_id, "agent_type": state.agent_type, "version": version, "operation": "save",
                "changed": change.names, "messages": len(change.messages),
            }  # fmt: skip
            await run_point(self._hooks, context, "after_agent_save", "agent", "save", data)
        return version

    async def load(self, agent_id: str, *, at: int | None = None) -> AgentState | None:
        """An agent's record, None when it has none; with ``at``, as it was right after that entry (a seq). A save
        shows with its last entry, never half.

        Every part is read from its entry, the hash checked: 15 to 20 µs for a message of 2 KB. Raises Corrupt.
        """
        if at is not None and (type(at) is not int or not 0 < at < _SEQ_MAX):
            raise InvalidInput(f"at is a seq, not {told(at)}", code="invalid-seq")
        agent = await self._agent(agent_id)
        if agent is None:
            return None
        if at is not None:
            return await self._journal.database.read(lambda view: load_agent_at(view, agent, at))
        return await self._journal.database.read(lambda view: load_agent(view, agent))

    async def update(
        self, agent_id: str, fn: Callable[[AgentState], AgentState | None], *, default: AgentState | None = None
    ) -> AgentState:
        """Load a record, change it by ``fn`` and save it, again whenever somebody else wrote in between.

        ``fn`` gets the record (a copy of ``default`` when there is none) and changes it in place or returns another of
        the same agent; it may run several times. Gives the record as saved. Raises NotFound without ``default``.
        """
        check_function(fn, "fn", optional=False)
        if default is not None:
            _check_state(default)
        for _ in range(_UPDATE_ATTEMPTS_MAX):
            found = await self.load(agent_id)
            version = 0 if found is None else found.version
            if found is None:
                if default is None:
                    raise missing(agent_id)
                found = deepcopy(default)
            given = fn(found)
            state = found if given is None else given
            if _check_state(state) != agent_id:
                raise InvalidInput(
                    f"the function gave the record of {state.agent_id!r}, not of {agent_id!r}", code="invalid-agent"
                )
            try:
                await self.save(state, if_version=version)
            except Conflict:
                continue
            return state
        raise Conflict(f"agent {agent_id!r} kept changing through {_UPDATE_ATTEMPTS_MAX} attempts", agent_id=agent_id)

    async def exists(self, agent_id: str) -> bool:
        """Whether an agent has a record."""
        agent = await self._agent(agent_id)
        return agent is not None and version_of(await self._journal.database.one(HEAD, (agent.id,))) > 0

    async def delete(self, agent_id: str, *, if_version: int | None = None) -> bool:
        """Delete an agent's record; True if it had one. Its history stays. With ``if_version``: Conflict unless it
        has that version now.
        """
        units.check_version(if_version)
        scope_name(agent_id)
        context = self._acting.context()
        if "before_agent_delete" not in self._armed and "after_agent_delete" not in self._armed:
            return await self._journal.write(partial(_deleting, agent_id, if_version), context=context)
        for _ in range(limits.CONFLICT_RETRIES_MAX):
            agent = await self._agent(agent_id)
            row = None if agent is None else await self._journal.database.one(HEAD, (agent.id,))
            seen = version_of(row)
            data = {"agent_id": agent_id, "version": seen, "operation": "delete"}
            await run_point(self._hooks, context, "before_agent_delete", "agent", "delete", data)
            wanted = seen if if_version is None else if_version
            try:
                gone = await self._journal.write(partial(_deleting, agent_id, wanted), context=context)
            except Conflict:
                if if_version is not None:
                    raise
                continue
            if gone:
                data = {**data, "version": seen + 1}
                await run_point(self._hooks, context, "after_agent_delete", "agent", "delete", data)
            return bool(gone)
        raise Conflict(f"agent {agent_id!r} kept changing while its hooks ran", agent_id=agent_id)

    async def history(self, agent_id: str, *, limit: int = 100, before: int | None = None) -> list[AgentChange]:
        """Changes of an agent's record, newest first, also of one that was deleted; the next page is ``before`` the
        last one's seq. Hashes are checked.
        """
        if before is not None and (type(before) is not int or not 0 < before <= _SEQ_MAX):
            raise InvalidInput(f"before is a seq, not {told(before)}", code="invalid-seq")
        check_limit(limit)
        agent = await self._agent(agent_id)
        if agent is None:
            return []
        query = EntryQuery(subject=subject_digest(agent.salt, SUBJECT), before=before, newest_first=True)
        entries = await self._journal.database.read(lambda view: read_page(view, query, limit))
        return [change_of(agent_id, entry) for entry in entries]

    # -- one message, one call -----------------------------------------------------------------------------------------

    async def append(
        self, agent_id: str, role: str, content: Any, *, metadata: Mapping[str, Any] | None = None
    ) -> AgentMessage:
        """Add a message to the end of an agent's conversation: one entry, whatever its length. Gives it with its
        number.

        It never conflicts, and the version grows by one. Raises NotFound (``agent-not-found``), InvalidInput,
        LimitExceeded, Vetoed.
        """
        scope_name(agent_id)
        context = self._acting.context()
        table = {} if metadata is None else metadata
        if "before_agent_append" in self._armed:
            encode_message(role, content, table, None)
            data = self._appending(agent_id, role, content, table)
            outcome = await run_point(self._hooks, context, "before_agent_append", "agent", "append", data)
            if outcome is not None:
                role, content, table = (outcome.data[name] for name in ("role", "content", "metadata"))
        raw = encode_message(role, content, table, None)
        if self._scan is not None:
            raw = await self._scanned(len(raw), scanned, "message", raw, self._scan)
        number, seq, at = await self._journal.write(
            lambda writer: units.append(writer, agent_id, msgspec.Raw(raw)), context=context
        )
        stored = msgspec.json.decode(raw)
        message = AgentMessage(
            stored["role"], stored["content"], stored.get("metadata", {}), number, seq, to_datetime(at)
        )
        if "after_agent_append" in self._armed:
            data = self._appending(agent_id, message.role, message.content, message.metadata) | {"number": number}
            await run_point(self._hooks, context, "after_agent_append", "agent", "append", data)
        return message

    async def messages(
        self, agent_id: str, *, after: int = 0, before: int | None = None, limit: int = 100, newest_first: bool = False
    ) -> list[AgentMessage]:
        """Messages of an agent's conversation in their order, with numbers above ``after`` and below ``before``.

        The next page is ``after`` the last one's number (``before``, with ``newest_first``). Numbers have gaps where
        messages were taken out. Raises NotFound, Corrupt.
        """
        check_limit(limit)
        check_flags(newest_first=newest_first)
        for name, number in (("after", after), ("before", _SEQ_MAX if before is None else before)):
            if type(number) is not int or not 0 <= number <= _SEQ_MAX:
                raise InvalidInput(f"{name} is a message's number, not {told(number)}", code="invalid-number")
        agent = await self._agent(agent_id)
        if agent is None:
            raise missing(agent_id)
        bound = _SEQ_MAX if before is None else before
        return await self._journal.database.read(
            lambda view: load_messages(view, agent, after, bound, limit, newest_first=newest_first)
        )

    async def record_tool(self, agent_id: str, tool: str, ms: float, *, ok: bool = True) -> ToolUsage:
        """Count a call of ``tool`` that took ``ms`` milliseconds; ``ok`` False if it failed. Gives the tool's totals.

        It never conflicts, and the version grows by one. Raises NotFound (``agent-not-found``), InvalidInput.
        """
        scope_name(agent_id)
        tool, ms = check_tool(tool), check_ms(ms)
        if type(ok) is not bool:
            raise InvalidInput(f"ok is True or False, not {told(ok)}", code="invalid-agent")
        totals = await self._journal.write(
            lambda writer: units.record_tool(writer, agent_id, tool, ms, ok), context=self._acting.context()
        )
        return usage_of(Totals(*totals))

    # -- all agents ---------------------------------------------------------------------------------------------------

    async def list(
        self, *, agent_type: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[AgentInfo]:
        """Agents that have a record, by id, a page at a time; those of one type only, if it is given.

        Which agents are listed is as of the first page; their versions and counts are today's.
        """
        check_limit(limit)
        if agent_type is not None:
            agent_type = check_label(agent_type, "an agent's type", empty=True)
        seq, after = 0, ""
        if cursor is not None:
            _, kind, edge, last = read_cursor(cursor, "agents", 4)
            if kind != agent_type:
                raise InvalidInput("this cursor belongs to a list of another type", code="invalid-cursor")
            seq, after = cursor_seq(edge), cursor_text(last)
        else:
            row = await self._journal.database.one("SELECT max(seq) FROM entry")
            seq = (row[0] if row else 0) or 0
        bounds = (after, seq, seq, limit + 1)
        if agent_type is None:
            rows = await self._journal.database.read(lambda view: view.all(_SQL["infos"], bounds))
        else:
            rows = await self._journal.database.read(
                lambda view: view.all(_SQL["infos_of_type"], (agent_type, *bounds))
            )
        items = [info_of(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(items, write_cursor("agents", agent_type, seq, items[-1].agent_id) if more else None)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _agent(self, agent_id: str) -> Agent | None:
        scope = await self._journal.scope(scope_name(agent_id))
        return None if scope is None else Agent(agent_id, *scope)

    async def _base(self, agent_id: str, required: int) -> Base:
        """What the store has now, which must be of the version required."""
        agent = await self._agent(agent_id)
        base = None if agent is None else await self._journal.database.read(lambda view: load_base(view, agent))
        version = 0 if base is None else base.version
        require_version(agent_id, version, required)
        return base  # type: ignore[return-value]

    async def _write(self, context: Context, change: Change, base: Base) -> tuple[int, str, int, int] | None:
        """Version, newest hash and times once the change is written, or nothing is to be; None if ``base`` is not the
        store's.
        """
        if base.version and change.empty:
            agent = await self._agent(base.agent_id)
            return await self._journal.database.read(lambda view: confirm(view, agent, base))
        return await self._journal.write(lambda writer: units.save(writer, change, base), context=context)

    async def _decided(self, context: Context, state: AgentState, version: int) -> Encoded:
        """The record as it is to be written: checked, as the before-hooks left it, scanned."""
        plain = encode_state(state, None)
        if "before_agent_save" in self._armed:
            plain = await self._asked(context, state, version, plain)
        if self._scan is None:
            return plain
        size = sum(map(len, (*plain.fields.values(), *plain.messages)))
        return await self._scanned(size, scanned_state, plain, self._scan)

    async def _asked(self, context: Context, state: AgentState, version: int, plain: Encoded) -> Encoded:
        """The record as the before-hooks leave it."""
        data = state.to_dict() | {"version": version, "operation": "save"}
        outcome = await run_point(self._hooks, context, "before_agent_save", "agent", "save", data)
        if outcome is None or not outcome.changed:
            return plain
        values = {name: getattr(state, name) for name in FIELDS}
        values |= {name: outcome.data[name] for name in outcome.changed if name in FIELDS}
        messages = state.conversation
        if "conversation" in outcome.changed:
            messages = [
                AgentMessage(one["role"], one["content"], one.get("metadata", {}))
                for one in outcome.data["conversation"]
            ]
        return Encoded(encode_fields(values, None), plain.tools, encode_conversation(messages, None))

    async def _scanned(self, size: int, function: Callable[..., T], *args: Any) -> T:
        """What ``function`` makes of ``size`` bytes; of many, where an event loop does not wait for it."""
        return function(*args) if size <= limits.SCAN_INLINE_BYTES else await self._offload.run(function, *args)

    def _appending(self, agent_id: str, role: str, content: Any, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "agent_id": agent_id, "role": role, "content": content, "metadata": dict(metadata), "operation": "append"
        }  # fmt: skip


async def _deleting(agent_id: str, if_version: int | None, writer: Writer) -> bool:
    return await units.delete(writer, agent_id, if_version)


def _check_state(state: object) -> str:
    if not isinstance(state, AgentState):
        raise InvalidInput(f"an AgentState is saved, not a {type(state).__name__}", code="invalid-agent")
    scope_name(state.agent_id)
    return state.agent_id
