"""The records of agents as values: an object of a record's fields, from ``context_variables`` to ``metadata``.

Which version a record has it says itself (``schema_version``). Its conversation and the totals of its tools stay as
they are.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from llmspell.agentstate.encoded import DEFAULTS, FIELDS, Scan, encode_fields
from llmspell.agentstate.kinds import AgentSaved
from llmspell.agentstate.reading import Agent, field_before, field_entry_before, load_fields, scope_name
from llmspell.agentstate.units import save_fields
from llmspell.errors import Corrupt, InvalidInput
from llmspell.journal.journal import Writer
from llmspell.migration.held import PAGE_BYTES_MAX, Back, Held, Place, cause_of, standing
from llmspell.migration.plan import Plan, Target
from llmspell.model.entry import Entry
from llmspell.model.values import decode_value, encode_value
from llmspell.ports.database import Reading
from llmspell.schema import queries
from llmspell.state.rows import end_of_prefix

_SQL = queries("llmspell.migration")
_SCOPE = "SELECT id, salt FROM scope WHERE name = ?"
_saved = msgspec.json.Decoder(AgentSaved).decode
VERSION = "schema_version"
Fields = dict[str, msgspec.Raw]


class AgentValues:
    """See ``Values``."""

    kind = "agent.saved"

    def __init__(self, target: Target, scan: Scan | None) -> None:
        self._target = target
        self._prefix = target.prefix
        self._end = end_of_prefix(target.prefix)
        self._scan = scan

    def count(self, view: Reading) -> tuple[int, int]:
        """See ``Values``. The bytes are not known before they are read."""
        row = view.one(_SQL["count_of_agents"], (self._prefix, self._end))
        return (0 if row is None else row[0]), 0

    def try_key(self, _view: Reading, /) -> None:
        """See ``Values``. No record of an agent is sealed."""

    def start(self, _view: Reading, _scope: str | None, key: str | None, /) -> Place:
        """See ``Values``."""
        return 0, key or ""

    def page(self, view: Reading, after: Place, limit: int) -> list[Held]:
        """See ``Values``."""
        found: list[Held] = []
        room = PAGE_BYTES_MAX
        for number, agent_id, _, _ in view.all(_SQL["agents"], (after[1], self._prefix, self._end, limit)):
            held = self._held(view, number, agent_id)
            room -= len(held.raw)
            if room < 0 and found:
                break
            found.append(held)
        return found

    def again(self, view: Reading, held: Held) -> Held | None:
        """See ``Values``."""
        found = self.find(view, held.key)
        return None if found is None else found[1]

    def find(self, view: Reading, agent_id: str) -> tuple[Agent, Held] | None:
        """Whose record it is, and its fields; None when there is none."""
        row = view.one(_SQL["agent"], (agent_id,))
        return None if row is None else (_agent(view, agent_id), self._held(view, row[0], agent_id))

    def ids(self, view: Reading, after: str, limit: int) -> list[str]:
        """The next agents in order."""
        return [row[1] for row in view.all(_SQL["agents"], (after, self._prefix, self._end, limit))]

    def of_entry(self, view: Reading, entry: Entry) -> Held | None:
        """See ``Values``."""
        agent_id = _saved(entry.payload or b"{}").agent_id
        if not agent_id.startswith(self._prefix):
            return None
        found = self.find(view, agent_id)
        return None if found is None else found[1]

    def is_old(self, held: Held, from_version: str) -> bool | None:
        """Whether the record says so."""
        return bool(held.value[VERSION] == from_version)

    def is_other(self, _held: Held, _plan: Plan, /) -> bool:
        """Records are of one schema."""
        return False

    def stored(self, held: Held, made: Any, plan: Plan, /) -> Fields | None:
        """See ``Values``. The record says its new version, unless a transform made it say something else."""
        if type(made) is not dict or set(made) != set(FIELDS):
            strange = sorted(set(made) ^ set(FIELDS)) if type(made) is dict else []
            raise InvalidInput(
                f"an agent's record has the fields {', '.join(FIELDS)} and no others"
                + (f"; it is about {', '.join(strange)[:200]}" if strange else ""),
                code="invalid-agent",
            )
        before = decode_value(held.raw)
        if made[VERSION] == before[VERSION]:
            made = {**made, VERSION: plan.to_version}
        encoded = encode_fields(made, self._scan)
        fields = {name: msgspec.Raw(text) for name, text in encoded.items() if text != encode_value(before[name])}
        return fields or None

    def shown(self, _held: Held, value: Any, /) -> Any:
        """See ``Values``."""
        return value

    async def stands(self, writer: Writer, held: Held | Back) -> bool:
        """See ``Values``. Messages and tool calls that came meanwhile do not matter, fields do."""
        rows = await writer.all(_SQL["open_fields"], (held.scope_id,))
        head = await writer.one(_SQL["head_of_agent"], (held.scope_id,))
        return head is not None and not head[2] and max((row[0] for row in rows), default=0) == held.seq

    async def write(self, writer: Writer, held: Held, stored: Fields) -> None:
        """See ``Values``."""
        await save_fields(writer, held.key, stored)

    def before(self, view: Reading, entry: Entry) -> Back:
        """See ``Values``. Field by field: one that somebody else wrote since is left alone."""
        saved = _saved(entry.payload or b"{}")
        agent = _agent(view, saved.agent_id)
        live = load_fields(view, agent) if view.one(_SQL["agent"], (saved.agent_id,)) else {}
        fields: dict[str, tuple[int, msgspec.Raw]] = {}
        for name in saved.fields:
            seq = live.get(name, (0,))[0]
            if standing(view, seq, partial(field_entry_before, view, agent, name)) == entry.seq:
                raw = field_before(view, agent, name, entry.seq)
                fields[name] = seq, msgspec.Raw(DEFAULTS[name]) if raw is None else raw
        gone = [live.get(name, (0,))[0] for name in saved.fields if name not in fields]
        causes = [cause_of(view, seq) for seq in gone]
        before = (fields, not gone) if fields else None
        return Back(agent.id, saved.scope, saved.agent_id, entry.seq, before, min(causes, default=0))

    async def put_back(self, writer: Writer, back: Back) -> bool:
        """See ``Values``. True only when all that the migration wrote could be put back."""
        fields, whole = back.before
        stands: dict[str, int] = dict(await writer.all(_SQL["open_parts"], (back.scope_id,)))
        kept = {name: raw for name, (seq, raw) in fields.items() if stands.get(name) == seq}
        if kept:
            await save_fields(writer, back.key, kept)
        return whole and len(kept) == len(fields)

    def _held(self, view: Reading, number: int, agent_id: str) -> Held:
        written = load_fields(view, _agent(view, agent_id))
        value = {name: decode_value(bytes(written[name][1]) if name in written else DEFAULTS[name]) for name in FIELDS}
        seq = max((seq for seq, _ in written.values()), default=0)
        return Held(number, scope_name(agent_id), agent_id, seq, value, encode_value(value))


def _agent(view: Reading, agent_id: str) -> Agent:
    row = view.one(_SCOPE, (scope_name(agent_id),))
    if row is None:
        raise Corrupt(f"agent {agent_id!r} has no scope", agent_id=agent_id)
    return Agent(agent_id, row[0], row[1])
