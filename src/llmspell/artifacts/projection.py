"""The temporal tables of artifact versions and their labels, derived from ``artifact.*`` entries."""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell.artifacts.kinds import ArtifactDeleted, ArtifactStored, ArtifactTagged, ArtifactUpdated
from llmspell.journal.kinds import Applied, Kind
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Transaction
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts")
_INSERT, _CLOSE = _SQL["insert"], _SQL["close"]
_json = msgspec.json.Encoder().encode
_COLUMNS = (
    "session", "name", "version", "type", "mime_type", "description", "tags", "metadata", "derived_from", "size",
    "digest",
    "created_at", "updated_at",
)  # fmt: skip


async def apply_stored(tx: Transaction, entry: Applied) -> None:
    """The version's first row."""
    new: ArtifactStored = entry.payload
    await tx.run(
        _INSERT,
        (id_bytes(new.id), entry.seq, id_bytes(new.session), new.name, new.version, new.type, new.mime_type,
         new.description,
         _text(new.tags), _text(new.metadata), _text(new.derived_from), new.size, bytes.fromhex(new.digest), entry.at,
         entry.at),
    )  # fmt: skip


async def apply_updated(tx: Transaction, entry: Applied) -> None:
    """New values of descriptive fields."""
    update: ArtifactUpdated = entry.payload
    id_ = id_bytes(update.id)
    row = await tx.one(_SQL["open_row"], (id_,))
    if row is None:
        return
    columns: dict[str, Any] = {
        name: _text(value) if name in ("tags", "metadata") else value for name, value in update.changed.items()
    }
    values = dict(zip(_COLUMNS, row, strict=True)) | columns | {"updated_at": entry.at}
    await tx.run(_CLOSE, (entry.seq, id_))
    await tx.run(_INSERT, (id_, entry.seq, *(values[name] for name in _COLUMNS)))


async def apply_deleted(tx: Transaction, entry: Applied) -> None:
    """No row from here on, and no label that means this version."""
    gone: ArtifactDeleted = entry.payload
    await tx.run(_CLOSE, (entry.seq, id_bytes(gone.id)))
    await tx.run(_SQL["close_labels_of"], (entry.seq, id_bytes(gone.session), gone.name, gone.version))


async def apply_tagged(tx: Transaction, entry: Applied) -> None:
    """The label means another version from here on."""
    tag: ArtifactTagged = entry.payload
    session = id_bytes(tag.session)
    await tx.run(_SQL["close_label"], (entry.seq, session, tag.name, tag.label))
    await tx.run(_SQL["insert_label"], (session, tag.name, tag.label, entry.seq, tag.version))


def _text(value: Any) -> str:
    return _json(value).decode()


STORED = Kind("artifact.stored", ArtifactStored, apply_stored)
UPDATED = Kind("artifact.updated", ArtifactUpdated, apply_updated)
DELETED = Kind("artifact.deleted", ArtifactDeleted, apply_deleted)
TAGGED = Kind("artifact.tagged", ArtifactTagged, apply_tagged)
KINDS = (STORED, UPDATED, DELETED, TAGGED)
