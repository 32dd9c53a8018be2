"""The units of work of the room of agent state: check first, then append.

What a unit gives is made of JSON types, so that a script's record can keep it and give it again.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from llmspell.agentstate.encoded import Base, Change, Totals
from llmspell.agentstate.kinds import AgentDeleted, AgentMessageAppended, AgentMessagePlaced, AgentSaved, AgentToolUsed
from llmspell.agentstate.projection import APPENDED, DELETED, PLACED, SAVED, TOOL, TOOL_USED
from llmspell.agentstate.reading import (
    HEAD,
    SUBJECT,
    missing,
    require_version,
    scope_name,
    totals_in,
    version_of,
)
from llmspell.errors import Corrupt, InvalidInput
from llmspell.journal.journal import Writer
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.schema import queries

_SQL = queries("llmspell.agentstate")
_HASH = "SELECT hash FROM entry WHERE seq = ?"
_ENTRY = f"SELECT {COLUMNS} FROM entry WHERE seq = ?"


class _Standing(NamedTuple):
    scope: tuple[int, bytes]
    version: int
    seq: int
    next_number: int


async def save(
    writer: Writer, change: Change, base: Base
) -> tuple[int, str, int, int] | None:  # fmt: skip
    """Write a change of the record that ``base`` describes (version 0: there is none). Gives its version, the hash and
    the time of its newest entry, and when it was created; None if the store's record of that version is another one.
    """
    agent_id = base.agent_id
    name = scope_name(agent_id)
    scope = await writer.existing_scope(name)
    head = None if scope is None else await writer.one(HEAD, (scope[0],))
    require_version(agent_id, version_of(head), base.version)
    if base.version and head is not None and await _hash(writer, head[1]) != base.hash:
        return None
    if scope is None:
        scope = await writer.scope(name)
    version = (0 if head is None else head[0]) + 1
    seq = 0 if head is None else head[1]
    if change.beyond_messages or not base.version:
        saved = AgentSaved(
            agent_id=agent_id, version=version, created=base.version == 0, fields=change.fields, tools=change.tools,
            dropped=change.splice.dropped, moved=change.splice.moved,
        )  # fmt: skip
        seq = await writer.append(SAVED, saved, scope, SUBJECT)
    for number, message, inside in change.messages:
        struct = AgentMessagePlaced if inside else AgentMessageAppended
        one = struct(agent_id=agent_id, version=version, number=number, message=message)
        seq = await writer.append(PLACED if inside else APPENDED, one, scope, SUBJECT)
    row = await writer.one(_SQL["open_row"], (scope[0],))
    created_at = writer.at if row is None else row[2]
    return version, await _hash(writer, seq), writer.at, created_at


async def append(writer: Writer, agent_id: str, message: msgspec.Raw) -> tuple[int, int, int]:
    """Append one message. Gives its number, seq and time."""
    agent = await _stands(writer, agent_id)
    one = AgentMessageAppended(
        agent_id=agent_id, version=agent.version + 1, number=agent.next_number, message=message
    )  # fmt: skip
    seq = await writer.append(APPENDED, one, agent.scope, SUBJECT)
    return agent.next_number, seq, writer.at


async def record_tool(writer: Writer, agent_id: str, tool: str, ms: float, ok: bool) -> tuple[int, int, float, int]:
    """Count one call. Gives the tool's calls, failures, milliseconds, and when this one was."""
    agent = await _stands(writer, agent_id)
    row = await writer.one(_SQL["open_part"], (agent.scope[0], TOOL + tool))
    totals = Totals(0, 0, 0.0, None)
    if row is not None:
        stored = await writer.one(_ENTRY, (row[0],))
        if stored is None:
            raise Corrupt(f"the totals of {tool!r} should stand in entry {row[0]}, which is missing", seq=row[0])
        totals = totals_in(check_row(stored), tool)
    totals.calls += 1
    totals.failures += not ok
    totals.total_ms += ms
    totals.last_used_at = last = writer.origin.clock // 1000 * 1000  # What a datetime can hold.
    used = AgentToolUsed(
        agent_id=agent_id, version=agent.version + 1, tool=tool, ms=ms, ok=ok, usage=msgspec.Raw(_encode(totals))
    )
    await writer.append(TOOL_USED, used, agent.scope, SUBJECT)
    return totals.calls, totals.failures, totals.total_ms, last


async def delete(writer: Writer, agent_id: str, if_version: int | None) -> bool:
    """Delete the record if there is one (of the version asked for)."""
    scope = await writer.existing_scope(scope_name(agent_id))
    head = None if scope is None else await writer.one(HEAD, (scope[0],))
    if if_version is not None:
        require_version(agent_id, version_of(head), if_version)
    if scope is None or head is None or head[5]:
        return False
    await writer.append(DELETED, AgentDeleted(agent_id=agent_id, version=head[0] + 1), scope, SUBJECT)
    return True


def check_version(if_version: object) -> None:
    """Refuse a version that is none."""
    if if_version is not None and (type(if_version) is not int or if_version < 0):
        raise InvalidInput(f"if_version is an int of at least 0, not {if_version!r}", code="invalid-version")


async def _stands(writer: Writer, agent_id: str) -> _Standing:
    name = scope_name(agent_id)
    scope = writer.known(name) or await writer.existing_scope(name)
    head = None if scope is None else await writer.one(HEAD, (scope[0],))
    if scope is None or head is None or head[5]:
        raise missing(agent_id)
    return _Standing(scope, head[0], head[1], head[4])


async def _hash(writer: Writer, seq: int) -> str:
    row = await writer.one(_HASH, (seq,))
    if row is None:
        raise Corrupt(f"entry {seq}, the newest of an agent, is missing", seq=seq)
    return str(row[0].hex())


_encode = msgspec.json.Encoder().encode


async def save_fields(writer: Writer, agent_id: str, fields: dict[str, msgspec.Raw]) -> int:
    """Write new values of fields, checked and encoded by the caller; gives the record's version. Raises NotFound."""
    agent = await _stands(writer, agent_id)
    saved = AgentSaved(agent_id=agent_id, version=agent.version + 1, fields=fields)
    await writer.append(SAVED, saved, agent.scope, SUBJECT)
    return saved.version
