"""The temporal table of relations, derived from ``artifact.related``, ``artifact.unrelated`` and
``artifact.stored``.
"""

from __future__ import annotations

from collections.abc import Iterable

from llmspell.artifacts.relations.kinds import ArtifactRelated, ArtifactUnrelated, Related
from llmspell.journal.kinds import Applied, Kind
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Transaction
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.relations")


async def apply_derived(tx: Transaction, seq: int, artifact: str, derived_from: Iterable[str]) -> None:
    """What an artifact was said to be made from when it was stored."""
    for other in derived_from:
        await tx.run(_SQL["insert"], (id_bytes(artifact), str(Related.DERIVED_FROM), id_bytes(other), seq, 1))


async def apply_related(tx: Transaction, entry: Applied) -> None:
    """An open row."""
    new: ArtifactRelated = entry.payload
    await tx.run(_SQL["insert"], (id_bytes(new.artifact), new.kind, id_bytes(new.other), entry.seq, 0))


async def apply_unrelated(tx: Transaction, entry: Applied) -> None:
    """The open row ends."""
    gone: ArtifactUnrelated = entry.payload
    await tx.run(_SQL["close"], (entry.seq, id_bytes(gone.artifact), gone.kind, id_bytes(gone.other)))


RELATED = Kind("artifact.related", ArtifactRelated, apply_related)
UNRELATED = Kind("artifact.unrelated", ArtifactUnrelated, apply_unrelated)
KINDS = (RELATED, UNRELATED)
