"""The tables of capture rules and of what they captured, derived from ``artifact.capture*`` entries."""

from __future__ import annotations

import msgspec

from llmspell.artifacts.captures.kinds import ArtifactCaptured, CaptureRulesSet, CaptureSkipped
from llmspell.journal.kinds import Applied, Kind
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Transaction
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.captures")
STORE_OWNER = b""
"""Owner of the rules of the whole store; those of sessions have the session's id."""


def owner_key(owner: str | None) -> bytes:
    """The owner in a row, of the one in an entry."""
    return id_bytes(owner) if owner else STORE_OWNER


async def apply_rules_set(tx: Transaction, entry: Applied) -> None:
    """One row for all rules of an owner; none where there are none."""
    given: CaptureRulesSet = entry.payload
    owner = owner_key(given.session)
    await tx.run(_SQL["delete_rules"], (owner,))
    if given.rules:
        await tx.run(_SQL["insert_rules"], (owner, entry.seq, msgspec.json.encode(given.rules).decode()))


async def apply_captured(tx: Transaction, entry: Applied) -> None:
    """One more of its rule in the session."""
    made: ArtifactCaptured = entry.payload
    key = id_bytes(made.session), owner_key(made.owner), made.rule
    await tx.run(_SQL["add"], (*key, 1, 0, made.size))


async def apply_skipped(tx: Transaction, entry: Applied) -> None:
    """One more that was skipped and recorded."""
    left: CaptureSkipped = entry.payload
    await tx.run(_SQL["add"], (id_bytes(left.session), owner_key(left.owner), left.rule, 0, 1, 0))


RULES_SET = Kind("artifact.capture_rules_set", CaptureRulesSet, apply_rules_set)
CAPTURED = Kind("artifact.captured", ArtifactCaptured, apply_captured)
SKIPPED = Kind("artifact.capture_skipped", CaptureSkipped, apply_skipped)
KINDS = (RULES_SET, CAPTURED, SKIPPED)
