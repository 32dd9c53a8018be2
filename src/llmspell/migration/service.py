"""Migrations of stored values: ``store.migrations``.

Plans are applied by one process at a time. Whoever is killed leaves whole batches behind; the run stays open until it
is resumed or rolled back, and until then no other can begin.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput
from llmspell.migration import units
from llmspell.migration.agent_values import AgentValues
from llmspell.migration.applying import MigrationProgress
from llmspell.migration.dry_run import rehearse
from llmspell.migration.given import check_catalog, target_of, version_of
from llmspell.migration.inherited import Inherited, inherited_page, told_of
from llmspell.migration.kinds import MigrationRegistered
from llmspell.migration.migration import Migration
from llmspell.migration.on_read import OnRead
from llmspell.migration.open_run import OpenRun
from llmspell.migration.plan import Known, Plan, Target, find_path, with_warnings
from llmspell.migration.runs import load_concerning, load_open, load_registered, load_run, load_runs, told_open
from llmspell.migration.state_values import StateValues
from llmspell.migration.steering import Options, Steering
from llmspell.migration.transform import Functions
from llmspell.migration.validating import InheritedPage, validate_values
from llmspell.migration.values import MigrationReport, MigrationRun, Validated
from llmspell.model.arguments import check_flags
from llmspell.model.page import check_limit
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.schemas.catalog import Catalog
from llmspell.schemas.checking import Validators
from llmspell.schemas.schema import Schema
from llmspell.schemas.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmspell.agentstate.encoded import Scan
    from llmspell.agentstate.service import AsyncAgents
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.migration.held import Values
    from llmspell.migration.on_read import SchemaSource
    from llmspell.migration.preparing import Validation
    from llmspell.offload import Offload
    from llmspell.ports.database import Reading
    from llmspell.state.classes import Protection
    from llmspell.state.service import AsyncState


class AsyncMigrations(OnRead):
    """Registered migrations, plans, and how their application stands: ``store.migrations``."""

    def __init__(
        self, journal: Journal, hooks: Hooks, acting: Acting, protection: Protection, scan: Scan | None,
        offload: Offload, place: tuple[str, Path | None], schemas: SchemaSource, validators: Validators,
        state_of: Callable[[Scope], AsyncState], agents: AsyncAgents,
    ) -> None:  # fmt: skip
        """``place``: the store's id and folder. ``scan`` replaces secrets in agents' records. ``validators`` are those
        that this process knows already.
        """
        self._state_of = state_of
        self._agents = agents
        self._journal = journal
        self._hooks = hooks
        self._acting = acting
        self._protection = protection
        self._scan = scan
        self._schemas = schemas
        self._steering = Steering(journal, hooks, acting, offload, place, self._values, validators, self._known_of)
        journal.settled = OpenRun(self._steering.alive)

    # -- migrations ----------------------------------------------------------------------------------------------------

    async def register(self, migration: Migration, *, replace: bool = False) -> bool:
        """Make known how values get from one version of a schema to another; True unless it was known already.

        Writes a ``migration.registered`` entry. Raises Conflict (``migration-exists``) when another one leads between
        the two versions, unless it is to be replaced; InvalidInput.
        """
        if not isinstance(migration, Migration):
            raise InvalidInput(f"a Migration is registered, not {told(migration)}", code="invalid-migration")
        check_flags(replace=replace)
        payload = MigrationRegistered(
            migration.name, str(migration.from_version), str(migration.to_version), migration.hash,
            migration.to_dict(),
        )  # fmt: skip
        context = self._acting.context()
        return await self._journal.write(
            lambda writer: units.register(writer, payload, replace), context=context
        )  # fmt: skip

    async def registered(self, name: str | None = None) -> list[Migration]:
        """The registered migrations, of one schema or of all."""
        return await self._journal.database.read(lambda view: load_registered(view, name))

    # -- plans ---------------------------------------------------------------------------------------------------------

    async def plan(
        self,
        schema_name: str,
        to_version: str | Version,
        *,
        from_version: str | Version | None = None,
        scope: Scope | str | None = None,
        prefix: str = "",
        agents: bool = False,
        catalog: Catalog | None = None,
    ) -> Plan:
        """What it takes to bring values from the version they have to another one. Nothing is written.

        The values: keys of ``scope`` (of every scope, without one) that begin with ``prefix``; with neither, those
        that are bound to the schema. With ``agents``, the records of agents whose id begins so. ``from_version`` is
        the one that they have; without it, the version that they are bound to, or that an earlier migration of them
        led to. ``catalog``: the schemas, in the place of the registered ones. Counts values, so it takes longer on
        more; those that forks inherit are counted apart, and no migration changes them. Raises NotFound
        (``schema-not-found``, ``migration-path-missing``), InvalidInput (``version-unknown``, ``several-bindings``,
        ``invalid-version``, ``invalid-prefix``, ``invalid-scope``), Conflict (``session-is-fork``).
        """
        schemas = await self._catalog(catalog)
        target = await self._bound(schema_name, target_of(scope, prefix, agents))
        end = schemas.get(schema_name, to_version)
        known = await self._known_of(schema_name, target)
        begin = schemas.get(
            schema_name, from_version if from_version is not None else version_of(schema_name, target, known)
        )
        path = find_path(await self.registered(schema_name), schema_name, begin.version, end.version)
        values = self._values(target)
        count, size = await self._journal.database.read(values.count)
        keys, forks = await self._inherited(target)
        opened = await self._journal.database.read(lambda view: load_concerning(view, target))
        made = Plan(schema_name, begin, end, target, path, count, size, keys, known=known)
        return with_warnings(made, [*told_of(keys, forks), *(() if opened is None else (told_open(opened),))])

    # -- applying ------------------------------------------------------------------------------------------------------

    async def apply(
        self,
        plan: Plan,
        *,
        dry_run: bool = False,
        batch: int | None = None,
        progress: MigrationProgress | None = None,
        timeout_s: float | None = None,
        validation: Validation = "strict",
        rollback_on_failure: bool = True,
        functions: Functions | None = None,
        validators: Validators | None = None,
    ) -> MigrationReport:
        """Carry a plan through, in batches of at most ``batch`` values; their size follows from how long they take, so
        that no other writer waits for long.

        ``dry_run``: do it to copies and write nothing; the report has samples and all problems. ``progress`` is called
        with how many values of how many are done. ``validation``: see ``Validation``. A failure takes everything back
        and is raised, with ``details["migration"]``; with ``rollback_on_failure`` False the run stays open, to be
        resumed. ``functions`` and ``validators`` are those that the plan's transforms and schemas name; they are
        called in the thread that calls this. A run of the same plan that was interrupted is gone on with.

        Writes ``migration.started``, ``state.set`` (or ``agent.saved``) for values that change, ``migration.batch`` and
        ``migration.completed``, all under one correlation. Raises Conflict (``migration-running``; ``plan-outdated``:
        these values were migrated, or bound to another version, since it was planned), InvalidInput
        (``migration-failed``), Vetoed, LimitExceeded (``migration-timeout``), NotFound (``unknown-function``).
        """
        if not isinstance(plan, Plan):
            raise InvalidInput(f"a Plan is applied, not {told(plan)}", code="invalid-plan")
        check_flags(dry_run=dry_run)
        options = Options(
            batch, progress, timeout_s, validation, rollback_on_failure, functions or {}, validators or {}
        )
        if not plan.steps or dry_run:
            await self._steering.demand_settled(plan.target, but=plan.hash)
        if not plan.steps:
            return MigrationReport("already_current", plan.name, plan.from_version, plan.to_version)
        if dry_run:
            known = {**self._steering.validators, **options.validators}
            return await rehearse(self._steering.tools(options), plan, self._values(plan.target), options, known)
        return await self._steering.apply(plan, options)

    async def resume(
        self,
        id: str,
        *,
        batch: int | None = None,
        progress: MigrationProgress | None = None,
        timeout_s: float | None = None,
        rollback_on_failure: bool = True,
        functions: Functions | None = None,
        validators: Validators | None = None,
    ) -> MigrationReport:
        """Go on with a migration that was interrupted or has failed, from the last batch that is committed.

        Raises NotFound (``migration-not-found``), Conflict (``migration-running``: also one that is being taken back,
        ``migration-not-open``), and what ``apply`` does.
        """
        options = Options(batch, progress, timeout_s, None, rollback_on_failure, functions or {}, validators or {})
        return await self._steering.resume(id, options)

    async def rollback(
        self,
        id: str,
        *,
        dry_run: bool = False,
        batch: int | None = None,
        progress: MigrationProgress | None = None,
    ) -> MigrationReport:
        """Take a migration back, completed or not: every value that it changed is as it was before, to the byte, but
        for those that somebody else changed since. Those are left alone and named in the report. ``dry_run`` writes
        nothing: the report, of status ``dry_run``, says what would be ``restored`` and left alone now.

        Writes ordinary entries, and can itself be gone on with after a kill by calling it again. Raises NotFound,
        Conflict (``migration-running``, ``migration-not-open``: it was rolled back already, ``migration-built-on``:
        take the one that went on from it back first), Vetoed by a hook of ``before_migration_apply``, whose
        ``operation`` is ``rollback``. A failure is taken back without asking any.
        """
        check_flags(dry_run=dry_run)
        options = Options(batch, progress)
        if dry_run:
            return await self._steering.rehearse_rollback(id, options)
        return await self._steering.rollback(id, options)

    # -- looking -------------------------------------------------------------------------------------------------------

    async def status(self, id: str | None = None) -> MigrationRun | None:
        """How a migration stands; without an id, the open one, else the last one, None when there never was any.

        Raises NotFound (``migration-not-found``).
        """

        def query(view: Reading) -> Any:
            if id is not None:
                return load_run(view, id)
            return load_open(view) or next(iter(load_runs(view, 1)), None)

        found = await self._journal.database.read(query)
        return None if found is None else found.shown(alive=found.row[21] is None and self._steering.alive())

    async def list(self, *, limit: int = 100, before: int | None = None) -> list[MigrationRun]:
        """Migrations that were begun, the newest first; the next page is ``before`` the last one's ``started_seq``."""
        check_limit(limit)
        if before is not None and (type(before) is not int or not 1 <= before < 1 << 63):
            raise InvalidInput(f"before is a seq, not {told(before)}", code="invalid-seq")
        found = await self._journal.database.read(lambda view: load_runs(view, limit, before))
        alive = any(one.row[21] is None for one in found) and self._steering.alive()
        return [one.shown(alive=alive and one.row[21] is None) for one in found]

    async def validate(
        self,
        what: str | Schema,
        *,
        version: str | Version | None = None,
        scope: Scope | str | None = None,
        prefix: str = "",
        agents: bool = False,
        catalog: Catalog | None = None,
        validators: Validators | None = None,
    ) -> Validated:
        """Check stored values against a version: ``what`` is the id of a migration (its values, by the version it led
        to), a ``Schema``, or the name of one with its ``version`` (the latest, without one).

        Reads every value, and where it is about every scope those that forks inherit, too; messages name scope,
        key and path, never what is there. Raises NotFound.
        """
        plan = await self._validated(what, version, target_of(scope, prefix, agents), catalog)
        options = Options(validators=validators or {})
        tools, known = self._steering.tools(options), {**self._steering.validators, **options.validators}
        return await validate_values(tools, plan, self._values(plan.target), known, self._inherited_page(plan.target))

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _validated(
        self, what: str | Schema, version: str | Version | None, target: Target, catalog: Catalog | None
    ) -> Plan:
        if isinstance(what, Schema):
            return Plan(what.name, what, what, target, ())
        if type(what) is str and len(what) == 36 and what.count("-") == 4:
            try:
                found = await self._journal.database.read(lambda view: load_run(view, what))
            except InvalidInput:
                pass  # It only looks like the id of a run: a schema may be named so.
            else:
                plan = found.plan
                rolled = found.status == "rolled_back"
                return replace(plan, to_schema=plan.from_schema) if rolled else plan
        schema = (await self._catalog(catalog)).get(what, version)
        return Plan(schema.name, schema, schema, await self._bound(schema.name, target), ())

    async def _catalog(self, catalog: Catalog | None) -> Catalog:
        return Catalog.of(await self._schemas.list()) if catalog is None else check_catalog(catalog)

    async def _bound(self, name: str, target: Target) -> Target:
        """The keys that are bound to a schema, where none are named."""
        if target != Target():
            await self._demand_whole(target.scope)
            return target
        found = [one for one in await self._schemas.bindings() if one.name == name]
        if len(found) > 1:  # A fork has its origin's bindings, and there is no plan for it.
            whole = [one for one in found if one.scope is None or await self._journal.lineage(one.scope) is None]
            found = whole or found[:1]
        if len(found) > 1:
            told_of = ", ".join(str(Target("state", one.scope, one.prefix)) for one in found[:10])
            raise InvalidInput(
                f"{name} is bound to {told_of}", code="several-bindings", hint="say scope and prefix: one plan for each"
            )
        chosen = Target("state", found[0].scope, found[0].prefix) if found else target
        await self._demand_whole(chosen.scope)
        return chosen

    async def _known_of(self, name: str, target: Target) -> Known:
        bound = ran = None
        for one in await self._schemas.bindings():
            if target.kind == "state" and (one.name, one.scope, one.prefix) == (name, target.scope, target.prefix):
                bound = one.version
        for run in await self.list():
            if run.name == name and run.target == target and run.status not in {"running", "failed"}:
                ran = run.from_version if run.status == "rolled_back" else run.to_version
                break
        return Known(bound, ran)

    def _inherited_page(self, target: Target, *, values: bool = True) -> InheritedPage:
        """Reads pages of what forks inherit of a target: nothing where it is about one scope, or about agents."""
        if target.kind == "agents" or target.scope is not None:
            return lambda _at, _view: ([], None)
        now, shown = self._journal.clock.now_ns(), self._protection.shown
        return lambda at, view: inherited_page(view, target, at, now, shown, values=values)

    async def _inherited(self, target: Target) -> tuple[int, int]:
        """How many keys of a target forks inherit, and how many forks."""
        keys, forks = 0, set[str]()
        at: Inherited | None
        page, at = self._inherited_page(target, values=False), Inherited()
        while at is not None:
            found, at = await self._journal.database.read(partial(page, at))
            keys += len(found)
            forks.update(one.scope for one in found)
        return keys, len(forks)

    def _values(self, target: Target) -> Values:
        if target.kind == "agents":
            return AgentValues(target, self._scan)
        return StateValues(target, self._protection, self._journal.clock.now_ns)
