"""What the journal says about migrations: the payloads of their entries. Ids are UUID text, hashes hex.

The entries that change values are ordinary ones (``state.set``, ``agent.saved``), caused by ``migration.started``, or
by ``migration.rollback_started`` when they put back what was there before.
"""

from __future__ import annotations

from typing import Any

import msgspec


class MigrationRegistered(msgspec.Struct):
    """How values get from one version of a schema to another is known from here on."""

    name: str
    from_version: str
    to_version: str
    hash: str
    migration: dict[str, Any]


class MigrationStarted(msgspec.Struct):
    """A plan is applied. With this entry alone it can be gone on with, functions aside.

    ``restore_seq`` is the entry before: the state as of it is what was there.
    """

    id: str
    plan: dict[str, Any]
    plan_hash: str
    restore_seq: int
    total: int
    validation: str
    correlation: str


class MigrationResumed(msgspec.Struct):
    """It goes on after it was interrupted or failed, in its ``attempt``-th attempt."""

    id: str
    attempt: int


class MigrationBatch(msgspec.Struct):
    """Some values were migrated, by this very transaction; up to and with the one at (``at_scope``, ``at_key``) all
    are. Counts are of the whole migration. ``problems`` say of skipped values where and why, not what they hold.
    """

    id: str
    attempt: int
    at_scope: str
    at_key: str
    seen: int
    changed: int
    skipped: int
    problems: list[dict[str, str]] = []


class MigrationCompleted(msgspec.Struct):
    """Every value of the target is of the new version."""

    id: str
    attempt: int
    seen: int
    changed: int
    skipped: int


class MigrationFailed(msgspec.Struct):
    """It stopped. What it had changed is as it was made, until it is rolled back or gone on with."""

    id: str
    attempt: int
    code: str
    reason: str
    problems: list[dict[str, str]] = []


class MigrationRollbackStarted(msgspec.Struct):
    """What the migration changed is being put back."""

    id: str
    attempt: int


class MigrationRollbackResumed(msgspec.Struct):
    """Putting back goes on after it was interrupted."""

    id: str
    attempt: int


class MigrationRolledBack(msgspec.Struct):
    """Every value that the migration changed is as it was before, to the byte, but for those that somebody else changed
    since: ``left`` counts them, ``left_alone`` names the first of them as (scope, key).
    """

    id: str
    attempt: int
    restored: int
    left: int
    left_alone: list[tuple[str, str]] = []
