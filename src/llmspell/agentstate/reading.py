"""From rows and entries to records. Each entry's hash is checked, and that it is one of this agent's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from llmspell.agentstate.encoded import Base, Body, Totals, digest_of, usage_of
from llmspell.agentstate.kinds import AgentMessageAppended, AgentSaved, AgentToolUsed
from llmspell.agentstate.projection import TOOL
from llmspell.agentstate.values import AgentChange, AgentInfo, AgentMessage, AgentState
from llmspell.errors import Conflict, Corrupt, NotFound
from llmspell.journal.reading import COLUMNS, check_row, check_rows
from llmspell.model.clock import to_datetime
from llmspell.model.entry import Entry, subject_digest
from llmspell.model.ids import id_text
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.model.values import decode_value
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries

_SQL = queries("llmspell.agentstate")
HEAD = _SQL["head"]
SUBJECT = "agent"
"""What an agent's entries are about, within its scope."""
_AT = f"SELECT {COLUMNS} FROM entry WHERE seq = ?"
_AMONG = f"SELECT {COLUMNS} FROM entry WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
_NEWEST = f"SELECT {COLUMNS} FROM entry WHERE subject = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
_NEXT = f"SELECT {COLUMNS} FROM entry WHERE subject = ? AND seq > ? ORDER BY seq LIMIT 1"
_EARLIER = f"SELECT {COLUMNS} FROM entry WHERE subject = ? AND seq < ? ORDER BY seq DESC LIMIT 100"
_saved = msgspec.json.Decoder(AgentSaved).decode
_appended = msgspec.json.Decoder(AgentMessageAppended).decode
_tool_used = msgspec.json.Decoder(AgentToolUsed).decode
_body = msgspec.json.Decoder(Body).decode
_totals = msgspec.json.Decoder(Totals).decode


class _Versioned(msgspec.Struct):
    version: int


_version = msgspec.json.Decoder(_Versioned).decode


@dataclass(frozen=True, slots=True)
class Agent:
    """Whose record is read: its id, and the id and salt of its scope."""

    agent_id: str
    id: int
    salt: bytes

    @property
    def subject(self) -> bytes:
        """The digest in the headers of its entries."""
        return subject_digest(self.salt, SUBJECT)


def scope_name(agent_id: str) -> str:
    """Name of the scope that an agent's record belongs to. Raises InvalidInput (``invalid-scope``)."""
    return Scope.agent(agent_id).name


def missing(agent_id: str) -> NotFound:
    """The error for an agent without a record."""
    return NotFound(
        f"agent {agent_id!r} has no record", code="agent-not-found", hint="save one first: AgentState(agent_id)"
    )


def version_of(head: Row | None) -> int:
    """The version of a row selected as ``head``; 0 when there is no record."""
    return 0 if head is None or head[5] else int(head[0])


def require_version(agent_id: str, version: int, wanted: int) -> None:
    """Raise Conflict unless the record has the version that is wanted; 0 means that there is none."""
    if version == wanted:
        return
    has = f"version {version}" if version else "no record"
    wish = f", not version {told(wanted)}" if wanted else " already"
    raise Conflict(
        f"agent {agent_id!r} has {has}{wish}",
        hint="load it and change what you get, or use update(), which does so again when somebody was quicker",
        agent_id=agent_id,
        version=version,
    )


def load_agent(view: Reading, agent: Agent) -> AgentState | None:
    """The record as it is; None when there is none. Raises Corrupt."""
    head = view.one(HEAD, (agent.id,))
    row = None if head is None or head[5] else view.one(_SQL["open_row"], (agent.id,))
    if head is None or row is None:
        return None
    newest = _entry(view, agent, head[1])
    if _version(newest.payload or b"{}").version != head[0]:
        raise _corrupt(agent, f"its version is {head[0]}, and its newest entry {head[1]} says another")
    parts, messages = view.all(_SQL["open_parts"], (agent.id,)), view.all(_SQL["open_messages"], (agent.id,))
    if len(messages) != head[3]:
        raise _corrupt(agent, f"it has {head[3]} messages, and {len(messages)} are found")
    return _record(view, agent, row, newest, head[0], parts, messages, head[4])


def load_agent_at(view: Reading, agent: Agent, seq: int) -> AgentState | None:
    """The record as of an entry; None when there was none. Raises Corrupt."""
    newest = _newest(view, agent, seq)
    if newest is None:
        return None
    version = _version(newest.payload or b"{}").version
    row = view.one(_SQL["row_at"], (agent.id, newest.seq, newest.seq))
    if row is None:
        return None
    held = (agent.id, newest.seq)
    parts, messages = sorted(view.all(_SQL["parts_at"], held)), sorted(view.all(_SQL["messages_at"], held))
    return _record(view, agent, row, newest, version, parts, messages, None)


def _newest(view: Reading, agent: Agent, seq: int) -> Entry | None:
    """The agent's last entry up to ``seq``, without those of a save that goes on beyond it."""
    subject = agent.subject
    stored = view.one(_NEWEST, (subject, seq))
    following = None if stored is None else view.one(_NEXT, (subject, seq))
    if stored is None or following is None:
        return None if stored is None else _own(agent, check_row(stored), subject)
    newest, after = _own(agent, check_row(stored), subject), _own(agent, check_row(following), subject)
    if _version(newest.payload or b"{}") != _version(after.payload or b"{}"):
        return newest
    return _before(view, agent, newest)


def _before(view: Reading, agent: Agent, entry: Entry) -> Entry | None:
    """The agent's last entry of an earlier version."""
    version, seq = _version(entry.payload or b"{}"), entry.seq
    while rows := view.all(_EARLIER, (agent.subject, seq)):
        for one in check_rows(rows):
            if _version(_own(agent, one, agent.subject).payload or b"{}") != version:
                return one
            seq = one.seq
    return None


def confirm(view: Reading, agent: Agent | None, base: Base) -> tuple[int, str, int, int] | None:
    """What a save gives that has nothing to write: the record is still that of ``base``; None if it is another one of
    the same version. Raises Conflict.
    """
    head = None if agent is None else view.one(HEAD, (agent.id,))
    require_version(base.agent_id, version_of(head), base.version)
    row = None if agent is None else view.one(_SQL["open_row"], (agent.id,))
    if agent is None or head is None or row is None:
        return None
    if _entry(view, agent, head[1]).hash.hex() != base.hash:
        return None
    return base.version, base.hash, head[2], row[2]


def load_base(view: Reading, agent: Agent) -> Base | None:
    """What a change of the record would start from; None when there is no record."""
    state = load_agent(view, agent)
    return None if state is None else state._base  # noqa: SLF001 - the field is this room's


def load_messages(
    view: Reading, agent: Agent, after: int, before: int, limit: int, *, newest_first: bool
) -> list[AgentMessage]:
    """A page of the conversation. Raises NotFound, Corrupt."""
    head = view.one(HEAD, (agent.id,))
    if head is None or head[5]:
        raise missing(agent.agent_id)
    sql = _SQL["last_messages" if newest_first else "some_messages"]
    rows = view.all(sql, (agent.id, after, before, limit))
    return [message for message, _ in _messages(view, agent, rows)]


def info_of(row: Row) -> AgentInfo:
    """A row of a list."""
    agent_id, agent_type, version, messages, seq, created, at = row
    return AgentInfo(agent_id, agent_type, version, messages, seq, to_datetime(created), to_datetime(at))


def change_of(agent_id: str, entry: Entry) -> AgentChange:
    """A step of an agent's history."""
    data = entry.data
    return AgentChange(
        agent_id, entry.kind.removeprefix("agent."), 0 if data is None else data["version"], data, entry.seq,
        to_datetime(entry.at), id_text(entry.session) if entry.session else None, id_text(entry.correlation),
    )  # fmt: skip


def totals_in(entry: Entry, tool: str) -> Totals:
    """The totals of a tool that an entry holds."""
    payload = entry.payload or b"{}"
    if entry.kind == "agent.tool_used":
        return _totals(_tool_used(payload).usage)
    return _totals(_saved(payload).tools[tool])


def _record(
    view: Reading, agent: Agent, row: Row, newest: Entry, version: int, parts: Sequence[Row], messages: Sequence[Row],
    next_number: int | None,
) -> AgentState:  # fmt: skip
    state = AgentState(agent.agent_id)
    fields, tools = _parts(view, agent, parts)
    for name, raw in fields.items():
        setattr(state, name, decode_value(bytes(raw)))
    if state.agent_type != row[1]:
        raise _corrupt(agent, f"its type is {row[1]!r}, and its entries say {state.agent_type!r}")
    state.tool_usage = {tool: usage_of(_totals(raw)) for tool, raw in tools.items()}
    found = _messages(view, agent, messages)
    state.conversation = [message for message, _ in found]
    state.version = version
    state.created_at, state.updated_at = to_datetime(row[2]), to_datetime(newest.at)
    if next_number is not None:
        state._base = Base(  # noqa: SLF001 - the field is this room's
            agent.agent_id, version, newest.hash.hex(),
            {name: digest_of(raw) for name, raw in fields.items()},
            {tool: digest_of(raw) for tool, raw in tools.items()},
            tuple((message.number, digest) for message, digest in found), next_number,
        )  # fmt: skip
    return state


def _parts(view: Reading, agent: Agent, rows: Sequence[Row]) -> tuple[dict[str, msgspec.Raw], dict[str, msgspec.Raw]]:
    """Fields and tools' totals from the entries that hold them."""
    entries = _entries(view, agent, sorted({seq for _, seq in rows}))
    saved: dict[int, AgentSaved] = {}
    fields: dict[str, msgspec.Raw] = {}
    tools: dict[str, msgspec.Raw] = {}
    for part, seq in rows:
        entry = entries[seq]
        tool = part.removeprefix(TOOL) if part.startswith(TOOL) else None
        if entry.kind == "agent.tool_used":
            used = _tool_used(entry.payload or b"{}")
            if tool is None or used.tool != tool:
                raise _corrupt(agent, f"entry {seq} does not hold its {part}")
            tools[tool] = used.usage
            continue
        if entry.kind != "agent.saved":
            raise _corrupt(agent, f"entry {seq} is no {part} of it")
        held = saved.get(seq)
        if held is None:
            held = saved[seq] = _saved(entry.payload or b"{}")
        raw = held.fields.get(part) if tool is None else held.tools.get(tool)
        if raw is None:
            raise _corrupt(agent, f"entry {seq} does not hold its {part}")
        (fields if tool is None else tools)[part if tool is None else tool] = raw
    return fields, tools


def _messages(view: Reading, agent: Agent, rows: Sequence[Row]) -> list[tuple[AgentMessage, bytes]]:
    """Messages with their digests, in the order of the rows."""
    entries = _entries(view, agent, sorted({row[2] for row in rows}))
    found = []
    for number, since, seq in rows:
        entry = entries[seq]
        if not entry.kind.startswith("agent.message_"):
            raise _corrupt(agent, f"entry {seq} is no message of it")
        held = _appended(entry.payload or b"{}")
        if since == seq and held.number != number:
            raise _corrupt(agent, f"entry {seq} is message {held.number}, not {number}")
        body = _body(held.message)
        message = AgentMessage(body.role, body.content, body.metadata, number, seq, to_datetime(entry.at))
        found.append((message, digest_of(held.message)))
    return found


def _entries(view: Reading, agent: Agent, seqs: Sequence[int]) -> dict[int, Entry]:
    subject = agent.subject
    rows = view.all(_AMONG, (str(list(seqs)),)) if seqs else []
    found = {entry.seq: _own(agent, entry, subject) for entry in check_rows(rows)}
    if len(found) != len(seqs):
        lost = next(seq for seq in seqs if seq not in found)
        raise _corrupt(agent, f"entry {lost}, which holds a part of it, is missing")
    return found


def _entry(view: Reading, agent: Agent, seq: int) -> Entry:
    row = view.one(_AT, (seq,))
    if row is None:
        raise _corrupt(agent, f"its newest entry {seq} is missing")
    return _own(agent, check_row(row), agent.subject)


def _own(agent: Agent, entry: Entry, subject: bytes) -> Entry:
    if entry.subject != subject:
        raise _corrupt(agent, f"entry {entry.seq} is about something else")
    if entry.payload is None:
        raise _corrupt(agent, f"entry {entry.seq}, which holds a part of it, has no payload")
    return entry


def _corrupt(agent: Agent, why: str) -> Corrupt:
    return Corrupt(
        f"the record of agent {agent.agent_id!r} is damaged: {why}",
        hint="run `llmspell verify` for the extent",
        agent_id=agent.agent_id,
    )


def load_fields(view: Reading, agent: Agent) -> dict[str, tuple[int, msgspec.Raw]]:
    """The fields that were ever written of a record that is there, each with the entry that holds it; the conversation
    is not read. Raises Corrupt.
    """
    rows = [(part, seq) for part, seq in view.all(_SQL["open_parts"], (agent.id,)) if not part.startswith(TOOL)]
    fields, _ = _parts(view, agent, rows)
    return {part: (seq, fields[part]) for part, seq in rows}


def field_before(view: Reading, agent: Agent, field: str, seq: int) -> msgspec.Raw | None:
    """What a field held until the entry ``seq`` wrote it; None when it had never been written. Raises Corrupt."""
    before = field_entry_before(view, agent, field, seq)
    if not before:
        return None
    fields, _ = _parts(view, agent, [(field, before)])
    return fields[field]


def field_entry_before(view: Reading, agent: Agent, field: str, seq: int) -> int:
    """The entry that held a field until the entry ``seq`` wrote it; 0 when it had never been written."""
    row = view.one(_SQL["part_until"], (agent.id, seq, field))
    return 0 if row is None else int(row[0])
