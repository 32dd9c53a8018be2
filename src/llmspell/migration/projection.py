"""Which migrations are registered, and how those that were begun stand, derived from ``migration.*`` entries."""

from __future__ import annotations

from llmspell.journal.kinds import Applied, Kind
from llmspell.migration.kinds import (
    MigrationBatch,
    MigrationCompleted,
    MigrationFailed,
    MigrationRegistered,
    MigrationResumed,
    MigrationRollbackResumed,
    MigrationRollbackStarted,
    MigrationRolledBack,
    MigrationStarted,
)
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Transaction
from llmspell.schema import queries

_SQL = queries("llmspell.migration")


async def apply_registered(tx: Transaction, entry: Applied) -> None:
    """The newest registration between two versions counts."""
    one: MigrationRegistered = entry.payload
    await tx.run(_SQL["register"], (one.name, one.from_version, one.to_version, one.hash, entry.seq))


async def apply_started(tx: Transaction, entry: Applied) -> None:
    """Its row, at its first attempt."""
    one: MigrationStarted = entry.payload
    plan = one.plan
    await tx.run(
        _SQL["start"],
        (id_bytes(one.id), plan["name"], plan["from_schema"]["version"], plan["to_schema"]["version"],
         "running", entry.seq, one.restore_seq, one.plan_hash, one.total, entry.at, entry.at),
    )  # fmt: skip


async def apply_resumed(tx: Transaction, entry: Applied) -> None:
    """It goes on, in its next attempt."""
    one: MigrationResumed = entry.payload
    await tx.run(_SQL["resume"], (one.attempt, entry.at, id_bytes(one.id)))


async def apply_batch(tx: Transaction, entry: Applied) -> None:
    """How far it got."""
    one: MigrationBatch = entry.payload
    await tx.run(
        _SQL["batch"], (one.at_scope, one.at_key, one.seen, one.changed, one.skipped, entry.at, id_bytes(one.id))
    )


async def apply_completed(tx: Transaction, entry: Applied) -> None:
    """It is done."""
    one: MigrationCompleted = entry.payload
    await tx.run(
        _SQL["complete"], (one.seen, one.changed, one.skipped, entry.at, entry.at, id_bytes(one.id))
    )  # fmt: skip


async def apply_failed(tx: Transaction, entry: Applied) -> None:
    """It stopped, for this reason; it is still open."""
    one: MigrationFailed = entry.payload
    await tx.run(_SQL["fail"], (one.reason, entry.at, id_bytes(one.id)))


async def apply_rollback_started(tx: Transaction, entry: Applied) -> None:
    """It is being taken back, and open until it is."""
    one: MigrationRollbackStarted = entry.payload
    await tx.run(_SQL["roll_back"], (one.attempt, entry.seq, entry.at, id_bytes(one.id)))


async def apply_rollback_resumed(tx: Transaction, entry: Applied) -> None:
    """Taking it back goes on, in the next attempt."""
    one: MigrationRollbackResumed = entry.payload
    await tx.run(_SQL["back_again"], (one.attempt, entry.at, id_bytes(one.id)))


async def apply_rolled_back(tx: Transaction, entry: Applied) -> None:
    """It was taken back."""
    one: MigrationRolledBack = entry.payload
    await tx.run(_SQL["rolled_back"], (one.restored, one.left, entry.at, entry.at, id_bytes(one.id)))


REGISTERED = Kind("migration.registered", MigrationRegistered, apply_registered)
STARTED = Kind("migration.started", MigrationStarted, apply_started)
RESUMED = Kind("migration.resumed", MigrationResumed, apply_resumed)
BATCH = Kind("migration.batch", MigrationBatch, apply_batch)
COMPLETED = Kind("migration.completed", MigrationCompleted, apply_completed)
FAILED = Kind("migration.failed", MigrationFailed, apply_failed)
ROLLBACK_STARTED = Kind("migration.rollback_started", MigrationRollbackStarted, apply_rollback_started)
ROLLBACK_RESUMED = Kind("migration.rollback_resumed", MigrationRollbackResumed, apply_rollback_resumed)
ROLLED_BACK = Kind("migration.rolled_back", MigrationRolledBack, apply_rolled_back)
KINDS = (REGISTERED, STARTED, RESUMED, BATCH, COMPLETED, FAILED, ROLLBACK_STARTED, ROLLBACK_RESUMED, ROLLED_BACK)
