"""Beginning, going on with and taking back: who may, from where, and what becomes of a failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell.errors import Busy, InvalidInput, LlmspellError, ReadOnly, StorageFailed
from llmspell.lease import Lease
from llmspell.migration import units
from llmspell.migration.applying import Application, Counts, MigrationProgress, Pace, Tools
from llmspell.migration.binding import load_bound_since, outdated
from llmspell.migration.kinds import (
    MigrationFailed,
    MigrationResumed,
    MigrationRollbackResumed,
    MigrationRollbackStarted,
    MigrationRolledBack,
    MigrationStarted,
)
from llmspell.migration.plan import Known, Plan, Target
from llmspell.migration.points import plan_data, rollback_data, run_apply
from llmspell.migration.preparing import Preparation, check_functions, check_validation
from llmspell.migration.runs import Begun, load_built_on, load_concerning, load_open, load_run
from llmspell.migration.taking_back import Rollback
from llmspell.migration.transform import Functions
from llmspell.migration.values import MigrationReport
from llmspell.model.arguments import check_flags, check_function
from llmspell.model.context import Correlation
from llmspell.model.ids import id_text
from llmspell.model.telling import told
from llmspell.schemas.checking import Validators

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.migration.held import Values
    from llmspell.model.context import Context
    from llmspell.offload import Offload

LOCK = "migration.lock"
TIMEOUT_S_MAX = 1e9


@dataclass(frozen=True, slots=True)
class Options:
    """How a plan is applied; see ``AsyncMigrations.apply``. Without a ``validation``, as the run began."""

    batch: int | None = None
    progress: MigrationProgress | None = None
    timeout_s: float | None = None
    validation: str | None = "strict"
    rollback_on_failure: bool = True
    functions: Functions = field(default_factory=dict)
    validators: Validators = field(default_factory=dict)

    def __post_init__(self) -> None:
        Pace(self.batch)
        if self.validation is not None:
            check_validation(self.validation)
        timeout_s = self.timeout_s
        if timeout_s is not None and (type(timeout_s) not in (int, float) or not 0 < timeout_s < TIMEOUT_S_MAX):
            raise InvalidInput(
                f"timeout_s is a number of seconds above 0, not {told(timeout_s)}", code="invalid-timeout"
            )
        check_flags(rollback_on_failure=self.rollback_on_failure)
        check_functions(self.functions, "functions")
        check_functions(self.validators, "validators")
        check_function(self.progress)


class Steering:
    """See the module."""

    def __init__(
        self, journal: Journal, hooks: Hooks, acting: Acting, offload: Offload, place: tuple[str, Path | None],
        values: Callable[[Target], Values], validators: Validators,
        known_of: Callable[[str, Target], Awaitable[Known]],
    ) -> None:  # fmt: skip
        self._journal = journal
        self._hooks = hooks
        self._acting = acting
        self._offload = offload
        self._store, self._folder = place
        self._values = values
        self._known_of = known_of
        self.validators = validators

    def tools(self, options: Options, context: Context | None = None) -> Tools:
        """What an application works with."""
        context = context or replace(self._acting.context(), step=None)
        return Tools(self._journal, self._hooks, self._offload, context, options.progress, options.timeout_s)

    def alive(self) -> bool:
        """Whether somebody is at a migration of this store now."""
        return self._lease().is_held()

    async def apply(self, plan: Plan, options: Options) -> MigrationReport:
        """See ``AsyncMigrations.apply``."""
        with self._alone(await self._open()):
            found = await self._open()
            if found is not None:
                if found.started.plan_hash != plan.hash or found.back:
                    raise units.running(found.id, alive=False, back=found.back)
                return await self._go_on(found, options)
            return await self._begin(plan, options)

    async def resume(self, migration: str, options: Options) -> MigrationReport:
        """See ``AsyncMigrations.resume``."""
        with self._alone(await self._open()):
            found = await self._journal.database.read(lambda view: load_run(view, migration))
            return await self._go_on(found, options)

    async def rollback(self, migration: str, options: Options) -> MigrationReport:
        """See ``AsyncMigrations.rollback``."""
        with self._alone(await self._open()):
            found = await self._journal.database.read(lambda view: load_run(view, migration))
            await self._demand_back(found)
            context = self._context(found)
            await run_apply(self._hooks, context, "before", rollback_data(found, automatic=False))
            return await self._back(found, options, context)

    async def rehearse_rollback(self, migration: str, options: Options) -> MigrationReport:
        """What ``rollback`` would come to now; refused where that would be."""
        found = await self._journal.database.read(lambda view: load_run(view, migration))
        await self._demand_back(found)
        if found.status != "completed" and self.alive():
            raise units.running(found.id, alive=True)
        tools, row = self.tools(options), found.row
        values = self._values(found.plan.target)
        rollback = Rollback(tools, values, Pace(options.batch), (found.id, found.attempt), row[14])
        await rollback.rehearse(found.seq, row[8] if found.back else 0)
        return _taken_back("dry_run", found, rollback, tools.seconds)

    async def demand_settled(self, target: Target, *, but: str | None = None) -> None:
        """Refuse whoever needs values of one version where an open run has changed some and not yet others. ``but``:
        the hash of the plan that is its own, and goes on with it. Raises Conflict (``migration-running``).
        """
        found = await self._journal.database.read(lambda view: load_concerning(view, target))
        if found is not None and (found.back or found.started.plan_hash != but):
            raise units.running(found.id, alive=self.alive(), back=found.back)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _begin(self, plan: Plan, options: Options) -> MigrationReport:
        await self._demand_current(plan)
        values = self._values(plan.target)
        validation = options.validation or "strict"
        since = await self._journal.database.read(partial(load_bound_since, plan))
        preparation = Preparation(plan, values, options.functions, self._known(options), validation, since)
        await self._journal.database.read(values.try_key)
        context = replace(self._acting.context(), step=None)
        await run_apply(self._hooks, context, "before", plan_data(plan, "apply"))
        count = (await self._journal.database.read(values.count))[0]
        id_ = self._journal.ids.new()
        started = MigrationStarted(
            id_text(id_), plan.to_entry(), plan.hash, 0, count, validation, id_text(id_)
        )  # fmt: skip
        context = replace(context, correlation=self._correlation(plan, id_, context.correlation))
        seq, _ = await self._journal.write(lambda writer: units.start(writer, started, plan), context=context)
        tools = self.tools(options, replace(context, cause=seq))
        return await self._carry(
            Application(
                tools, preparation, Pace(options.batch), (started.id, 1), seq, count, Counts(),
                tolerant=validation == "report",
            ), tools, plan, options, None,
        )  # fmt: skip

    async def _go_on(self, found: Begun, options: Options) -> MigrationReport:
        if found.back:
            raise units.running(found.id, alive=False, back=True)
        if found.status not in {"running", "failed"}:
            raise units.not_open(found.id, found.status)
        plan, row = found.plan, found.row
        validation = found.started.validation
        values = self._values(plan.target)
        since = await self._journal.database.read(partial(load_bound_since, plan))
        preparation = Preparation(plan, values, options.functions, self._known(options), validation, since)
        await self._journal.database.read(values.try_key)
        context = self._context(found)
        again = MigrationResumed(found.id, found.attempt + 1)
        await self._journal.write(lambda writer: units.resume(writer, again), context=context)
        tools = self.tools(options, context)
        application = Application(
            tools, preparation, Pace(options.batch), (found.id, again.attempt), found.seq, row[12],
            Counts(row[13], row[14], row[15]), tolerant=validation == "report",
        )  # fmt: skip
        return await self._carry(application, tools, plan, options, (row[10], row[11]))

    async def _carry(
        self, application: Application, tools: Tools, plan: Plan, options: Options,
        at: tuple[str | None, str | None] | None,
    ) -> MigrationReport:  # fmt: skip
        migration, attempt = application.run
        scope, key = at or (None, None)
        try:
            after = await tools.read(lambda view: application.values.start(view, scope, key))
            await application.forward(after)
        except (StorageFailed, ReadOnly, Busy):
            raise  # Nothing more can be written: the run stays open.
        except Exception as exc:
            await self._failed(migration, attempt, tools, exc, options)
            raise
        counts = application.counts
        report = MigrationReport(
            "completed", plan.name, plan.from_version, plan.to_version, id=migration, total=max(counts.seen, 0),
            seen=counts.seen, changed=counts.changed, skipped=counts.skipped, seconds=tools.seconds,
            problems=tuple(application.problems), warnings=plan.warnings,
        )  # fmt: skip
        more = {"id": migration, "status": "completed", "seen": counts.seen, "changed": counts.changed}
        await run_apply(self._hooks, tools.context, "after", plan_data(plan, "apply") | more)
        return report

    async def _failed(self, migration: str, attempt: int, tools: Tools, exc: Exception, options: Options) -> None:
        """Write that it failed and take it back. What failed is raised by the caller, and says what became of it."""
        ours = isinstance(exc, LlmspellError)
        if ours and exc.code in {"migration-taken-over", "migration-not-open"}:  # type: ignore[attr-defined]
            return  # It is somebody else's now.
        reason = exc.message if isinstance(exc, LlmspellError) else type(exc).__name__
        code = exc.code if isinstance(exc, LlmspellError) else "failed"
        problems = exc.details.get("problems", []) if isinstance(exc, LlmspellError) else []
        last = MigrationFailed(migration, attempt, code, reason, problems)
        await tools.write(lambda writer: units.fail(writer, last))
        status = "failed"
        if options.rollback_on_failure:
            found = await tools.read(lambda view: load_run(view, migration))
            report = await self._back(found, Options(options.batch), tools.context, automatic=True)
            status = report.status
            if isinstance(exc, LlmspellError) and report.left:
                exc.details["left_alone"] = [list(one) for one in report.left_alone]
        if isinstance(exc, LlmspellError):
            exc.details |= {"migration": migration, "status": status}

    async def _back(
        self, found: Begun, options: Options, context: Context, *, automatic: bool = False
    ) -> MigrationReport:
        """Take a run back; also one whose rollback was interrupted."""
        attempt = found.attempt + 1
        if found.back:
            again = MigrationRollbackResumed(found.id, attempt)
            seq = found.row[8]
            await self._journal.write(lambda writer: units.go_on_back(writer, again), context=context)
        else:
            begin = MigrationRollbackStarted(found.id, attempt)
            seq = await self._journal.write(lambda writer: units.start_rollback(writer, begin), context=context)
        tools = self.tools(options, replace(context, cause=seq))
        values = self._values(found.plan.target)
        rollback = Rollback(tools, values, Pace(options.batch), (found.id, attempt), found.row[14])
        await rollback.back(found.seq, seq)
        last = MigrationRolledBack(found.id, attempt, rollback.restored, rollback.left, rollback.names)
        await tools.write(lambda writer: units.finish_rollback(writer, last, found.plan))
        more = {"status": "rolled_back", "restored": rollback.restored, "left": rollback.left}
        await run_apply(self._hooks, tools.context, "after", rollback_data(found, automatic=automatic) | more)
        return _taken_back("rolled_back", found, rollback, tools.seconds)

    async def _demand_back(self, found: Begun) -> None:
        """Refuse to take back what is back already, what another one went on from, and anything beside one that is
        open.
        """
        opened = await self._open()
        if opened is not None and opened.id != found.id:
            raise units.running(opened.id, alive=False, back=opened.back)
        if found.status == "rolled_back":
            raise units.not_open(found.id, found.status)
        later = await self._journal.database.read(lambda view: load_built_on(view, found))
        if later is not None and found.status == "completed":
            raise units.built_on(found.id, later.id)
        plan = found.plan
        bound = (await self._known_of(plan.name, plan.target)).bound
        if found.status == "completed" and bound not in {None, plan.from_version, plan.to_version}:
            raise units.bound_on(found.id, plan, bound)

    async def _demand_current(self, plan: Plan) -> None:
        """Refuse a plan for values that somebody migrated since, who would be migrated twice. Nobody else is at it."""
        if plan.known is not None:
            now = await self._known_of(plan.name, plan.target)
            for then, version in zip(plan.known, now, strict=True):
                if version not in (then, plan.from_version):
                    raise outdated(plan, version)

    async def _open(self) -> Begun | None:
        return await self._journal.database.read(load_open)

    def _context(self, found: Begun) -> Context:
        context = replace(self._acting.context(), step=None)
        id_ = bytes.fromhex(found.started.correlation.replace("-", ""))
        return replace(context, correlation=self._correlation(found.plan, id_, None), cause=found.seq)

    def _correlation(self, plan: Plan, id_: bytes, above: Correlation | None) -> Correlation:
        return Correlation(id_, f"migration {plan.name} {plan.from_version} to {plan.to_version}"[:255], above)

    def _known(self, options: Options) -> Validators:
        return {**self.validators, **options.validators}

    def _lease(self, busy: LlmspellError | None = None) -> Lease:
        path = None if self._folder is None else self._folder / LOCK
        return Lease(self._store, path, "migration", busy or units.running("of this store", alive=True))

    @contextmanager
    def _alone(self, opened: Begun | None) -> Iterator[None]:
        """The right to work on migrations of this store, until the block ends. Raises Conflict
        (``migration-running``).
        """
        lease = self._lease(units.running("just begun" if opened is None else opened.id, alive=True))
        lease.acquire()
        try:
            yield
        finally:
            lease.release()


def _taken_back(status: str, found: Begun, rollback: Rollback, seconds: float) -> MigrationReport:
    plan, row = found.plan, found.row
    return MigrationReport(
        status, plan.name, plan.from_version, plan.to_version, id=found.id, total=row[12], seen=row[13],
        changed=row[14], skipped=row[15], restored=rollback.restored, left=rollback.left, seconds=seconds,
        left_alone=tuple(rollback.names),
    )  # fmt: skip
