"""The temporal table of sessions and the table of checkpoints, derived from ``session.*`` entries.

A change closes the row that is open and opens one that holds from its entry on; a deletion only closes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell.journal.kinds import Applied, Kind
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Transaction
from llmspell.schema import queries
from llmspell.sessions.config import SessionConfig
from llmspell.sessions.kinds import (
    RetentionSet,
    SessionAutoSaveFailed,
    SessionCheckpointed,
    SessionCreated,
    SessionDeleted,
    SessionForked,
    SessionImported,
    SessionMoved,
    SessionRestored,
    SessionSaved,
    SessionsCleaned,
    SessionUpdated,
    TemplateSet,
)

_SQL = queries("llmspell.sessions")
OWN_RETENTION = "own-retention"
"""The watermark that is there once a session was created that says itself how long it is kept."""
_INSERT, _CLOSE = _SQL["insert"], _SQL["close"]
_json = msgspec.json.Encoder().encode


def text(value: Any) -> str:
    """JSON text for a column."""
    return _json(value).decode()


def columns_of(changed: dict[str, Any]) -> dict[str, Any]:
    """Descriptive fields as columns hold them."""
    return {name: text(value) if name in ("tags", "metadata") else value for name, value in changed.items()}


async def apply_created(tx: Transaction, entry: Applied) -> None:
    """The session's first row."""
    new: SessionCreated = entry.payload
    await tx.run(
        _INSERT,
        (id_bytes(new.id), entry.seq, new.name, new.description, "active", None, text(new.tags), text(new.metadata),
         text(new.config), new.created_by, new.parent and id_bytes(new.parent), id_bytes(new.correlation), entry.at,
         entry.at,
         entry.at, None),
    )  # fmt: skip
    if "retention" in new.config and SessionConfig.of(new.config).retention.max_age_s is not None:
        await tx.run(_SQL["set_indexed"], (OWN_RETENTION, entry.seq))


async def apply_forked(tx: Transaction, entry: Applied) -> None:
    """The same, and where its history goes on."""
    await apply_created(tx, entry)
    forked: SessionForked = entry.payload
    for depth, (ancestor, bound) in enumerate(forked.lineage, 1):
        await tx.run(_SQL["insert_level"], (id_bytes(forked.id), depth, id_bytes(ancestor), bound, entry.seq))


async def apply_updated(tx: Transaction, entry: Applied) -> None:
    """New values of descriptive fields."""
    update: SessionUpdated = entry.payload
    await _reopen(tx, entry, id_bytes(update.id), columns_of(update.changed))


async def apply_moved(tx: Transaction, entry: Applied) -> None:
    """Another status; ``ended_at`` is kept by an archived session and dropped by a resumed one."""
    moved: SessionMoved = entry.payload
    columns: dict[str, Any] = {"status": moved.now, "reason": moved.reason}
    if moved.now in ("completed", "failed"):
        columns["ended_at"] = entry.at
    elif moved.now in ("active", "suspended"):
        columns["ended_at"] = None
    if "archived" in (moved.now, moved.was):
        del columns["reason"]
        columns.pop("ended_at", None)
    await _reopen(tx, entry, id_bytes(moved.id), columns)


async def apply_touched(tx: Transaction, entry: Applied) -> None:
    """Saved or restored: the session was worked on."""
    await _reopen(tx, entry, id_bytes(entry.payload.id), {})


async def apply_checkpointed(tx: Transaction, entry: Applied) -> None:
    """A label to come back to."""
    mark: SessionCheckpointed = entry.payload
    session = id_bytes(mark.id)
    await tx.run(_SQL["insert_checkpoint"], (session, entry.seq, mark.label, bytes.fromhex(mark.state_hash), entry.at))
    await _reopen(tx, entry, session, {})


async def apply_imported(tx: Transaction, entry: Applied) -> None:
    """A session that was here before and was deleted comes again, with the captures it brings."""
    await tx.run("DELETE FROM capture_count WHERE session = ?", (id_bytes(entry.payload.id),))


async def apply_deleted(tx: Transaction, entry: Applied) -> None:
    """No row from here on, and nothing that a fork inherited."""
    await tx.run(_CLOSE, (entry.seq, id_bytes(entry.payload.id)))
    await tx.run(_SQL["close_levels"], (entry.seq, id_bytes(entry.payload.id)))


async def _reopen(tx: Transaction, entry: Applied, session: bytes, columns: dict[str, Any]) -> None:
    row = await tx.one(_SQL["open_row"], (session,))
    if row is None:
        return
    values = dict(zip(_COLUMNS, row, strict=True)) | columns | {"updated_at": entry.at}
    await tx.run(_CLOSE, (entry.seq, session))
    await tx.run(_INSERT, (session, entry.seq, *(values[name] for name in _COLUMNS)))


_COLUMNS = (
    "name", "description", "status", "reason", "tags", "metadata", "config", "created_by", "parent", "correlation",
    "created_at", "updated_at", "started_at", "ended_at",
)  # fmt: skip

CREATED = Kind("session.created", SessionCreated, apply_created)
FORKED = Kind("session.forked", SessionForked, apply_forked)
UPDATED = Kind("session.updated", SessionUpdated, apply_updated)
MOVED = {
    name: Kind(f"session.{name}", SessionMoved, apply_moved)
    for name in ("suspended", "resumed", "completed", "failed", "archived", "unarchived")
}
SAVED = Kind("session.saved", SessionSaved, apply_touched)
CHECKPOINTED = Kind("session.checkpointed", SessionCheckpointed, apply_checkpointed)
RESTORED = Kind("session.restored", SessionRestored, apply_touched)
DELETED = Kind("session.deleted", SessionDeleted, apply_deleted)
IMPORTED = Kind("session.imported", SessionImported, apply_imported)
RETENTION_SET = Kind("session.retention_set", RetentionSet)
AUTO_SAVE_FAILED = Kind("session.auto_save_failed", SessionAutoSaveFailed)
CLEANED = Kind("session.cleaned", SessionsCleaned)
TEMPLATE_SET = Kind("session.template_set", TemplateSet)
KINDS = (
    CREATED,
    FORKED,
    UPDATED,
    *MOVED.values(),
    SAVED,
    CHECKPOINTED,
    RESTORED,
    DELETED,
    IMPORTED,
    RETENTION_SET,
    CLEANED,
    TEMPLATE_SET,
    AUTO_SAVE_FAILED,
)
