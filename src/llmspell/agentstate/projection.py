"""Where an agent's record stands, derived from ``agent.*`` entries.

No value is kept twice: rows say which entry holds a field, a tool's totals or a message, since when and until when.
"""

from __future__ import annotations

from llmspell.agentstate.kinds import AgentDeleted, AgentMessageAppended, AgentMessagePlaced, AgentSaved, AgentToolUsed
from llmspell.journal.kinds import Applied, Kind
from llmspell.model.values import decode_value
from llmspell.ports.database import Transaction
from llmspell.schema import queries

_SQL = queries("llmspell.agentstate")
TOOL = "tool/"
"""What the parts of tools' totals begin with; the name of no field has a slash."""
_NULL = b"null"


async def apply_saved(tx: Transaction, entry: Applied) -> None:
    """New values of fields and totals; messages that left or moved on. The first one opens the record."""
    saved: AgentSaved = entry.payload
    agent = entry.scope_id
    kind = decode_value(bytes(saved.fields["agent_type"])) if "agent_type" in saved.fields else None
    if saved.created:
        await tx.run(_SQL["open_head"], (agent, saved.version, entry.seq, entry.at))
        await tx.run(_SQL["insert"], (agent, entry.seq, saved.agent_id, kind or "", entry.at))
    elif kind is not None:
        await tx.run(_SQL["retype"], (entry.seq, kind, agent, entry.seq))
        await tx.run(_SQL["close"], (entry.seq, agent, entry.seq))
    for name in saved.fields:
        await _point(tx, entry, name)
    for tool, totals in saved.tools.items():
        if bytes(totals) == _NULL:
            await tx.run(_SQL["close_part"], (entry.seq, agent, TOOL + tool))
        else:
            await _point(tx, entry, TOOL + tool)
    gone = 0
    for first, last in saved.dropped:
        counted = await tx.one(_SQL["count_messages"], (agent, first, last))
        gone += counted[0] if counted is not None else 0
        await tx.run(_SQL["close_messages"], (entry.seq, agent, first, last))
    next_number = await _move(tx, entry, saved.moved)
    await _stand(tx, entry, -gone, next_number)


async def apply_appended(tx: Transaction, entry: Applied) -> None:
    """One more message at the end."""
    appended: AgentMessageAppended = entry.payload
    await tx.run(_SQL["insert_message"], (entry.scope_id, appended.number, entry.seq, entry.seq))
    await _stand(tx, entry, 1, appended.number + 1)


async def apply_placed(tx: Transaction, entry: Applied) -> None:
    """A message in the place of another, or between others."""
    number = entry.payload.number
    counted = await tx.one(_SQL["count_messages"], (entry.scope_id, number, number))
    there = counted[0] if counted is not None else 0
    if there:
        await tx.run(_SQL["close_messages"], (entry.seq, entry.scope_id, number, number))
    await tx.run(_SQL["insert_message"], (entry.scope_id, number, entry.seq, entry.seq))
    await _stand(tx, entry, 1 - there, number + 1)


async def apply_tool_used(tx: Transaction, entry: Applied) -> None:
    """New totals of one tool."""
    await _point(tx, entry, TOOL + entry.payload.tool)
    await _stand(tx, entry, 0, 1)


async def apply_deleted(tx: Transaction, entry: Applied) -> None:
    """Nothing is open from here on; the head stays to carry the version on."""
    agent = entry.scope_id
    await tx.run(_SQL["close"], (entry.seq, agent, entry.seq))
    await tx.run(_SQL["close_parts"], (entry.seq, agent))
    await tx.run(_SQL["close_all_messages"], (entry.seq, agent))
    await tx.run(_SQL["close_head"], (entry.payload.version, entry.seq, entry.at, agent))


async def _move(tx: Transaction, entry: Applied, moved: list[tuple[int, int, int]]) -> int:
    """All leave their numbers before any takes its new one. Gives the number after the last."""
    agent, rows = entry.scope_id, []
    for first, last, by in moved:
        found = await tx.all(_SQL["some_messages"], (agent, first - 1, last + 1, -1))
        rows += [(number + by, entry_seq) for number, _, entry_seq in found]
        await tx.run(_SQL["close_messages"], (entry.seq, agent, first, last))
    for number, entry_seq in rows:
        await tx.run(_SQL["insert_message"], (agent, number, entry.seq, entry_seq))
    return rows[-1][0] + 1 if rows else 1


async def _point(tx: Transaction, entry: Applied, part: str) -> None:
    await tx.run(_SQL["close_part"], (entry.seq, entry.scope_id, part))
    await tx.run(_SQL["insert_part"], (entry.scope_id, part, entry.seq))


async def _stand(tx: Transaction, entry: Applied, more: int, next_number: int) -> None:
    await tx.run(_SQL["stand"], (entry.payload.version, entry.seq, entry.at, more, next_number, entry.scope_id))


SAVED = Kind("agent.saved", AgentSaved, apply_saved)
APPENDED = Kind("agent.message_appended", AgentMessageAppended, apply_appended)
PLACED = Kind("agent.message_placed", AgentMessagePlaced, apply_placed)
TOOL_USED = Kind("agent.tool_used", AgentToolUsed, apply_tool_used)
DELETED = Kind("agent.deleted", AgentDeleted, apply_deleted)
KINDS = (SAVED, APPENDED, PLACED, TOOL_USED, DELETED)
