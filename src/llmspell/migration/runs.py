"""How the applications of plans stand: rows, and the entries that began them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from llmspell.errors import Corrupt
from llmspell.journal.asking import Asking, Asks, driven
from llmspell.journal.reading import COLUMNS, check_row, entry_at
from llmspell.migration.kinds import MigrationRegistered, MigrationStarted
from llmspell.migration.migration import Migration
from llmspell.migration.plan import Plan, Target
from llmspell.migration.units import BACK, not_found
from llmspell.migration.values import MigrationRun
from llmspell.model.clock import to_datetime
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_label
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries

_SQL = queries("llmspell.migration")
_ENTRY = f"SELECT {COLUMNS} FROM entry WHERE seq = ?"
_started = msgspec.json.Decoder(MigrationStarted).decode
_registered = msgspec.json.Decoder(MigrationRegistered).decode
_SEQ_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Begun:
    """A run with all that it takes to go on with it."""

    row: Row
    started: MigrationStarted
    plan: Plan

    @property
    def id(self) -> str:
        """Its id."""
        return self.started.id

    @property
    def status(self) -> str:
        """See ``MigrationRun``."""
        return str(self.row[4])

    @property
    def back(self) -> bool:
        """Whether it is being taken back."""
        return self.status == BACK

    @property
    def attempt(self) -> int:
        """The newest one."""
        return int(self.row[5])

    @property
    def seq(self) -> int:
        """That of its first entry."""
        return int(self.row[6])

    def shown(self, *, alive: bool) -> MigrationRun:
        """As callers see it."""
        row = self.row
        return MigrationRun(
            id=self.id, name=row[1], from_version=row[2], to_version=row[3], status=row[4], target=self.plan.target,
            attempt=row[5], total=row[12], seen=row[13], changed=row[14], skipped=row[15], restored=row[16],
            left_alone=row[17], started_seq=row[6], restore_seq=row[7], started_at=to_datetime(row[19]),
            updated_at=to_datetime(row[20]), ended_at=None if row[21] is None else to_datetime(row[21]),
            reason=row[18], alive=alive,
        )  # fmt: skip


async def find_run(asks: Asks, migration: bytes) -> Begun | None:
    """A run by its id; None when there is none. Raises Corrupt."""
    row = await asks.one(_SQL["run"], (migration,))
    return None if row is None else _begun(row, await asks.one(_ENTRY, (row[6],)))


async def find_open(asks: Asks) -> Begun | None:
    """The run that is neither completed nor rolled back, or is being taken back; there is one at most."""
    row = await asks.one(_SQL["open"])
    return None if row is None else await find_run(asks, row[0])


def load_run(view: Reading, migration: str) -> Begun:
    """A run by its id. Raises NotFound (``migration-not-found``), Corrupt."""
    found = driven(find_run(Asking(view), id_bytes(migration, "migration")))
    if found is None:
        raise not_found(migration)
    return found


def load_open(view: Reading) -> Begun | None:
    """See ``find_open``."""
    return driven(find_open(Asking(view)))


def load_concerning(view: Reading, target: Target) -> Begun | None:
    """The open run, if a value can be among its own and those of a target: some of these are changed and others are
    not, and nothing says which.
    """
    found = load_open(view)
    return found if found is not None and found.plan.target.meets(target) else None


def told_open(found: Begun) -> str:
    """A plan's warning of it."""
    how = "is being taken back" if found.back else "is open"
    return f"the migration {found.id} of these values {how}: some are changed and others not, until it has ended"


def load_runs(view: Reading, limit: int, before: int | None = None) -> list[Begun]:
    """Runs, the newest first."""
    rows = view.all(_SQL["runs"], (before or _SEQ_MAX, limit))
    return [load_run(view, id_text(row[0])) for row in rows]


def load_built_on(view: Reading, found: Begun) -> Begun | None:
    """The last completed run that went on from where another one led to, with some of its values; None without."""
    for (id_,) in view.all(_SQL["completed_after"], (found.seq, found.plan.name)):
        run = load_run(view, id_text(id_))
        if run.plan.from_version == found.plan.to_version and run.plan.target.meets(found.plan.target):
            return run
    return None


def load_registered(view: Reading, name: str | None) -> list[Migration]:
    """The registered migrations, of one schema or all."""
    if name is not None:
        check_label(name, "a schema's name")
    rows = view.all(_SQL["all_registered"]) if name is None else view.all(_SQL["registered"], (name,))
    return [_migration(view, row[0]) for row in rows]


def _begun(row: Row, stored: Row | None) -> Begun:
    entry = None if stored is None else check_row(stored)
    if entry is None or entry.payload is None or entry.kind != "migration.started":
        raise Corrupt(f"the migration {id_text(row[0])} should have begun with entry {row[6]}", seq=row[6])
    started = _started(entry.payload)
    return Begun(row, started, Plan.from_entry(started.plan))


def _migration(view: Reading, seq: int) -> Migration:
    entry = entry_at(view, seq)
    if entry is None or entry.payload is None or entry.kind != "migration.registered":
        raise Corrupt(f"a registered migration should stand in entry {seq}", seq=seq)
    return Migration.from_dict(_registered(entry.payload).migration)
