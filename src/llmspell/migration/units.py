"""The units of work of migrations: check first, then append.

What must stay true: one migration is open at a time in a store; only its newest attempt writes; a batch's values and
the entry that says how far it got are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llmspell.errors import Conflict, NotFound
from llmspell.journal.journal import Writer
from llmspell.journal.kinds import Kind
from llmspell.migration.binding import demand_bindable, rebind
from llmspell.migration.held import Back, Held, Values
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
from llmspell.migration.plan import Plan
from llmspell.migration.projection import (
    BATCH,
    COMPLETED,
    FAILED,
    REGISTERED,
    RESUMED,
    ROLLBACK_RESUMED,
    ROLLBACK_STARTED,
    ROLLED_BACK,
    STARTED,
)
from llmspell.model.ids import id_bytes, id_text
from llmspell.schema import queries

_SQL = queries("llmspell.migration")
_NEWER = "SELECT count(*) FROM entry WHERE seq > ? AND kind = ? AND cause <> ?"
Clock = Callable[[], int]
BACK = "rolling_back"


async def register(writer: Writer, one: MigrationRegistered, replace: bool) -> bool:
    """Whether anything was written: not when it is registered already. Raises Conflict (``migration-exists``)."""
    row = await writer.one(_SQL["registration"], (one.name, one.from_version, one.to_version))
    if row is not None and row[0] == one.hash:
        return False
    if row is not None and not replace:
        raise Conflict(
            f"another migration of {one.name} from {one.from_version} to {one.to_version} is registered",
            code="migration-exists",
            hint="register it with replace=True to put it in that one's place",
        )
    await writer.append(REGISTERED, one, await writer.scope("global"), f"schema/{one.name}")
    return True


async def start(writer: Writer, one: MigrationStarted, plan: Plan) -> tuple[int, int]:
    """Begin; gives the seq of the entry and the one before. Raises Conflict (``migration-running``), and what
    ``demand_bindable`` does.
    """
    row = await writer.one(_SQL["open"])
    if row is not None:
        raise running(id_text(row[0]), alive=False, back=row[1] == BACK)
    await demand_bindable(writer, plan)
    await _confirm(writer)
    one.restore_seq = writer.head_seq
    return await _append(writer, STARTED, one), one.restore_seq


async def resume(writer: Writer, one: MigrationResumed) -> int:
    """The next attempt. Raises Conflict (``migration-taken-over``, ``migration-not-open``)."""
    await _demand(writer, one.id, one.attempt - 1, ("running", "failed"))
    await _confirm(writer)
    return await _append(writer, RESUMED, one)


async def batch(
    writer: Writer, values: Values, prepared: Sequence[tuple[Held, Any]], mark: MigrationBatch | None, clock: Clock,
    run: tuple[str, int],
) -> tuple[list[int], int]:  # fmt: skip
    """Write prepared values and how far that gets; gives the numbers of those that moved meanwhile, and then nothing is
    written, and the nanoseconds it took.
    """
    begun = clock()
    await _demand(writer, *run, ("running",))
    await _confirm(writer)
    moved = [number for number, (held, _) in enumerate(prepared) if not await values.stands(writer, held)]
    if moved:
        return moved, clock() - begun
    for held, stored in prepared:
        await values.write(writer, held, stored)
    if mark is not None:
        await _append(writer, BATCH, mark)
    return [], clock() - begun


async def complete(
    writer: Writer, one: MigrationCompleted, plan: Plan, kind: str, started: int, bound: int, last: bool
) -> int:  # fmt: skip
    """The last entry; 0, and nothing is written, when others changed values since entry ``bound``. With ``last`` what
    they did counts as done after the migration. Keys that are held against the old version are held against the new
    one from here on.
    """
    await _demand(writer, one.id, one.attempt, ("running",))
    row = await writer.one(_NEWER, (bound, kind, started))
    if not last and row is not None and row[0]:
        return 0
    await rebind(writer, plan, plan.from_version, plan.to_version)
    return await _append(writer, COMPLETED, one)


async def fail(writer: Writer, one: MigrationFailed) -> int:
    """It stopped."""
    await _demand(writer, one.id, one.attempt, ("running",))
    return await _append(writer, FAILED, one)


async def start_rollback(writer: Writer, one: MigrationRollbackStarted) -> int:
    """Nothing but putting back from here on. A rolled back migration cannot be, nor one while another is open."""
    row = await _demand(writer, one.id, one.attempt - 1, ("running", "failed", "completed"))
    opened = await writer.one(_SQL["open"])
    if opened is not None and opened[0] != row[0]:
        raise running(id_text(opened[0]), alive=False, back=opened[1] == BACK)
    return await _append(writer, ROLLBACK_STARTED, one)


async def go_on_back(writer: Writer, one: MigrationRollbackResumed) -> int:
    """The next attempt of a rollback that was interrupted."""
    await _demand(writer, one.id, one.attempt - 1, ("rolling_back",))
    return await _append(writer, ROLLBACK_RESUMED, one)


async def put_back(
    writer: Writer, values: Values, backs: Sequence[Back], clock: Clock, run: tuple[str, int]
) -> tuple[list[int], int]:  # fmt: skip
    """Put values back; gives the numbers of those that somebody else had changed, and the nanoseconds it took."""
    begun = clock()
    await _demand(writer, *run, ("rolling_back",))
    await _confirm(writer)
    left = [number for number, back in enumerate(backs) if not await values.put_back(writer, back)]
    return left, clock() - begun


async def finish_rollback(writer: Writer, one: MigrationRolledBack, plan: Plan) -> int:
    """The last entry of a rollback. Keys are held against the old version again."""
    row = await _demand(writer, one.id, one.attempt, ("rolling_back",))
    await rebind(writer, plan, plan.to_version, plan.from_version, run=row[6])
    return await _append(writer, ROLLED_BACK, one)


async def still_open(writer: Writer, opened: bytes | None) -> bool:
    """Whether the run that is open is the one that was when somebody looked; None is none."""
    row = await writer.one(_SQL["open"])
    return (None if row is None else row[0]) == opened


def running(migration: str, *, alive: bool, back: bool = False) -> Conflict:
    """The error for whoever comes second. ``back``: it is being taken back."""
    if alive:
        hint = "wait until it has ended; `status` says how far it is"
    elif back:
        hint = "taking it back was interrupted: call rollback again, it goes on"
    else:
        hint = "it was interrupted or failed: resume it or roll it back first"
    return Conflict(f"the migration {migration} is open", code="migration-running", hint=hint, id=migration)


def built_on(migration: str, later: str) -> Conflict:
    """The error for taking back what another one went on from."""
    return Conflict(
        f"the migration {later} went on from where {migration} led to", code="migration-built-on",
        hint="roll that one back first", id=later,
    )  # fmt: skip


def bound_on(migration: str, plan: Plan, version: str) -> Conflict:
    """The error for taking back what values of a further version are made from, as by a lazy handle."""
    return Conflict(
        f"{plan.target} are bound to {plan.name} {version} by now, and {migration} led to {plan.to_version}",
        code="migration-built-on", hint=f"bind them to {plan.to_version} again first", id=migration,
    )  # fmt: skip


def not_open(migration: str, status: str) -> Conflict:
    """The error for what can only be done to a migration that stands otherwise."""
    return Conflict(f"the migration {migration} is {status.replace('_', ' ')}", code="migration-not-open")


def not_found(migration: str) -> NotFound:
    """The error for an id that no migration has."""
    return NotFound(
        f"there is no migration {migration}",
        code="migration-not-found",
        hint="`migrations.list()` or `llmspell migrate history` names them",
    )


async def _demand(writer: Writer, migration: str, attempt: int, statuses: tuple[str, ...]) -> Any:
    row = await writer.one(_SQL["run"], (id_bytes(migration),))
    if row is None:
        raise not_found(migration)
    if row[5] != attempt:
        raise Conflict(
            f"the migration {migration} is in attempt {row[5]} now; this is attempt {attempt}",
            code="migration-taken-over",
        )
    if row[4] not in statuses:
        raise not_open(migration, row[4])
    return row


async def _confirm(writer: Writer) -> None:
    """Know what is bound as of this transaction: what is written here was held against its version by the plan."""
    if writer.guard is not None:
        await writer.guard.confirm(writer)


async def _append(writer: Writer, kind: Kind, payload: Any) -> int:
    return await writer.append(kind, payload, await writer.scope("global"), f"migration/{payload.id}")
