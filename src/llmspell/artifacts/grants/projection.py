"""The temporal table of grants of artifacts, derived from ``artifact.granted`` and ``artifact.revoked``."""

from __future__ import annotations

from llmspell.artifacts.grants.kinds import ArtifactGranted, ArtifactRevoked, level_of
from llmspell.journal.kinds import Applied, Kind
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Transaction
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.grants")
OWNER = b""
"""Who granted when no session did."""


async def apply_granted(tx: Transaction, entry: Applied) -> None:
    """An open row, in the place of the one that the same grantor gave before."""
    new: ArtifactGranted = entry.payload
    place = _place(new)
    await tx.run(_SQL["close"], (entry.seq, *place))
    await tx.run(_SQL["insert"], (*place, entry.seq, int(level_of(new.right)), new.expires_at))


async def apply_revoked(tx: Transaction, entry: Applied) -> None:
    """The open row ends."""
    await tx.run(_SQL["close"], (entry.seq, *_place(entry.payload)))


async def apply_moved(tx: Transaction, seq: int, session: bytes, old: str, new: str) -> None:
    """Grants follow a name that changes."""
    await tx.run(_SQL["rename"], (new, seq, session, old))
    await tx.run(_SQL["close_all"], (seq, session, old, seq))


def _place(said: ArtifactGranted | ArtifactRevoked) -> tuple[bytes, str, int, bytes, bytes]:
    by = OWNER if said.granted_by is None else id_bytes(said.granted_by)
    return id_bytes(said.session), said.name, said.version, id_bytes(said.grantee), by


GRANTED = Kind("artifact.granted", ArtifactGranted, apply_granted)
REVOKED = Kind("artifact.revoked", ArtifactRevoked, apply_revoked)
KINDS = (GRANTED, REVOKED)
