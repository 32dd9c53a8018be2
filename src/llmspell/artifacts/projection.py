"""The temporal tables of artifact versions and their labels, derived from ``artifact.*`` entries."""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell.artifacts.captures.projection import KINDS as CAPTURES
from llmspell.artifacts.grants.projection import KINDS as GRANTS
from llmspell.artifacts.grants.projection import apply_moved
from llmspell.artifacts.kinds import (
    ArtifactAdopted,
    ArtifactDeleted,
    ArtifactErased,
    ArtifactQuotaSet,
    ArtifactRenamed,
    ArtifactStored,
    ArtifactTagged,
    ArtifactUndeleted,
    ArtifactUpdated,
)
from llmspell.artifacts.relations.projection import KINDS as RELATIONS
from llmspell.artifacts.relations.projection import apply_derived
from llmspell.journal.kinds import Applied, Kind
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Row, Transaction
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts")
_INSERT, _CLOSE = _SQL["insert"], _SQL["close"]
_json = msgspec.json.Encoder().encode
_COLUMNS = (
    "session", "name", "version", "type", "mime_type", "description", "tags", "metadata", "derived_from", "size",
    "digest",
    "created_at", "updated_at",
)  # fmt: skip
_SIZE = _COLUMNS.index("size")
STORE_OWNER = b""
"""Owner of the quota of the whole store; those of sessions have the session's id."""


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
    if new.derived_from:
        await apply_derived(tx, entry.seq, new.id, new.derived_from)
    if new.metered:
        await _count(tx, new.session, new.size, 1)


async def apply_adopted(tx: Transaction, entry: Applied) -> None:
    """The same for a fork's own version of one that it inherited, which was created when that was."""
    adopted: ArtifactAdopted = entry.payload
    await apply_stored(tx, msgspec.structs.replace(entry, at=adopted.created_at))


async def apply_updated(tx: Transaction, entry: Applied) -> None:
    """New values of descriptive fields."""
    update: ArtifactUpdated = entry.payload
    id_ = id_bytes(update.id)
    row = await tx.one(_SQL["open_row"], (id_,))
    if row is None:
        return
    values = dict(zip(_COLUMNS, row, strict=True)) | _columns_of(update.changed) | {"updated_at": entry.at}
    await tx.run(_CLOSE, (entry.seq, id_))
    await tx.run(_INSERT, (id_, entry.seq, *(values[name] for name in _COLUMNS)))


def _columns_of(changed: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(value) if name in ("tags", "metadata") else value for name, value in changed.items()}


def has_all(row: Row, changed: dict[str, Any]) -> bool:
    """Whether an open row, from its session on, has these values of descriptive fields already."""
    return _columns_of(changed).items() <= dict(zip(_COLUMNS, row, strict=False)).items()


async def apply_deleted(tx: Transaction, entry: Applied) -> None:
    """No row from here on, and no label that means this version."""
    gone: ArtifactDeleted = entry.payload
    if gone.inherited:
        await tx.run(_SQL["insert_dropped"], (id_bytes(gone.session), gone.name, gone.version, entry.seq))
        await tx.run(_SQL["close_labels_of"], (entry.seq, id_bytes(gone.session), gone.name, gone.version))
        return
    if gone.metered and (row := await tx.one(_SQL["open_row"], (id_bytes(gone.id),))) is not None:
        await _count(tx, gone.session, -row[_SIZE], -1)
    await tx.run(_CLOSE, (entry.seq, id_bytes(gone.id)))
    await tx.run(_SQL["close_labels_of"], (entry.seq, id_bytes(gone.session), gone.name, gone.version))


async def apply_undeleted(tx: Transaction, entry: Applied) -> None:
    """The row that was closed last is open again, and so are the labels that were closed with it and are free."""
    back: ArtifactUndeleted = entry.payload
    if back.inherited:
        place = id_bytes(back.session), back.name, back.version
        dropped = await tx.one(_SQL["dropped"], place)
        await tx.run(_SQL["close_dropped"], (entry.seq, *place))
        if dropped is not None:
            await _label_again(tx, entry.seq, place, dropped[0])
        return
    id_ = id_bytes(back.id)
    row = await tx.one(_SQL["closed_row"], (id_,))
    if row is None or row[0] is None:
        return
    until, *values = row
    kept = dict(zip(_COLUMNS, values, strict=True)) | {"updated_at": entry.at}
    await tx.run(_INSERT, (id_, entry.seq, *(kept[name] for name in _COLUMNS)))
    await _label_again(tx, entry.seq, (id_bytes(back.session), back.name, back.version), until)
    if back.metered:
        await _count(tx, back.session, kept["size"], 1)


async def _label_again(tx: Transaction, seq: int, place: tuple[bytes, str, int], until: int) -> None:
    """Open the labels of a version that were closed with it and mean no other since."""
    session, name, version = place
    for (label,) in await tx.all(_SQL["labels_closed_with"], (*place, until)):
        if await tx.one(_SQL["label"], (session, name, label)) is None:
            await tx.run(_SQL["insert_label"], (session, name, label, seq, version))


async def apply_erased(tx: Transaction, entry: Applied) -> None:
    """Nothing of this version holds its content any more."""
    gone: ArtifactErased = entry.payload
    await tx.run(_SQL["insert_erased"], (id_bytes(gone.id), bytes.fromhex(gone.digest), entry.seq))


async def apply_quota_set(tx: Transaction, entry: Applied) -> None:
    """Bounds, and what counts towards them so far; no row where there is no bound."""
    quota: ArtifactQuotaSet = entry.payload
    owner = STORE_OWNER if quota.session is None else id_bytes(quota.session)
    bounds = quota.artifact_bytes_max, quota.total_bytes_max, quota.versions_max
    await tx.run(_SQL["delete_quota"], (owner,))
    if any(bound is not None for bound in bounds):
        used = await tx.one(_SQL["used_in_store"] if not owner else _SQL["used_in_session"], (owner,) if owner else ())
        await tx.run(_SQL["insert_quota"], (owner, *bounds, *(used or (0, 0))))


async def _count(tx: Transaction, session: str, size: int, versions: int) -> None:
    await tx.run(_SQL["count_quota"], (size, versions, id_bytes(session)))


async def apply_renamed(tx: Transaction, entry: Applied) -> None:
    """The open rows under another name, and so the labels and grants."""
    renamed: ArtifactRenamed = entry.payload
    session = id_bytes(renamed.session)
    for id_, _, _ in await tx.all(_SQL["of_name"], (session, renamed.name)):
        row = await tx.one(_SQL["open_row"], (id_,))
        if row is not None:
            values = dict(zip(_COLUMNS, row, strict=True)) | {"name": renamed.to, "updated_at": entry.at}
            await tx.run(_CLOSE, (entry.seq, id_))
            await tx.run(_INSERT, (id_, entry.seq, *(values[name] for name in _COLUMNS)))
    for version, label in await tx.all(_SQL["labels"], (session, renamed.name)):
        await tx.run(_SQL["close_label"], (entry.seq, session, renamed.name, label))
        await tx.run(_SQL["insert_label"], (session, renamed.to, label, entry.seq, version))
    await apply_moved(tx, entry.seq, session, renamed.name, renamed.to)


async def apply_tagged(tx: Transaction, entry: Applied) -> None:
    """The label means another version from here on."""
    tag: ArtifactTagged = entry.payload
    session = id_bytes(tag.session)
    await tx.run(_SQL["close_label"], (entry.seq, session, tag.name, tag.label))
    await tx.run(_SQL["insert_label"], (session, tag.name, tag.label, entry.seq, tag.version))


def _text(value: Any) -> str:
    return _json(value).decode()


STORED = Kind("artifact.stored", ArtifactStored, apply_stored)
ADOPTED = Kind("artifact.adopted", ArtifactAdopted, apply_adopted)
UPDATED = Kind("artifact.updated", ArtifactUpdated, apply_updated)
DELETED = Kind("artifact.deleted", ArtifactDeleted, apply_deleted)
TAGGED = Kind("artifact.tagged", ArtifactTagged, apply_tagged)
UNDELETED = Kind("artifact.undeleted", ArtifactUndeleted, apply_undeleted)
ERASED = Kind("artifact.erased", ArtifactErased, apply_erased)
QUOTA_SET = Kind("artifact.quota_set", ArtifactQuotaSet, apply_quota_set)
RENAMED = Kind("artifact.renamed", ArtifactRenamed, apply_renamed)
KINDS = (
    STORED, ADOPTED, UPDATED, DELETED, TAGGED, UNDELETED, ERASED, QUOTA_SET, RENAMED, *RELATIONS, *GRANTS, *CAPTURES
)  # fmt: skip
