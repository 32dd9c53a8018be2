"""Migrations of stored values, from scripts: to a version, and how values stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput, LlmspellError, NotFound
from llmspell.migration.plan import find_path
from llmspell.model.scope import Scope
from llmspell.operations.host import Host
from llmspell.operations.operation import Operation
from llmspell.operations.types import BOOL, INT, NAME, NUMBER, SCOPE, TEXT, Param, options

if TYPE_CHECKING:
    from llmspell.migration.migration import Migration
    from llmspell.migration.values import MigrationRun

_FAILURES = frozenset({"migration-failed", "migration-timeout", "vetoed"})
"""What a script is told in a table instead of by an error: the migration was tried, and taken back."""


async def _name(host: Host, name: str | None) -> str:
    """The schema that is meant when none is named: the only one that is bound, or registered."""
    if name is not None:
        return name
    bound = {one.name for one in await host.store.schemas.bindings()}
    names = bound or {one.name for one in await host.store.schemas.list()}
    if len(names) == 1:
        return names.pop()
    known = f"there are {', '.join(sorted(names)[:10])}" if names else "none is registered"
    raise InvalidInput(f"which schema? {known}", code="schema-unclear", hint="State.migrate(name, version)")


async def _migrate(
    host: Host, version: str, name: str | None = None, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    given = dict(options or {})
    scope: Scope | None = given.pop("scope", None)
    keys = {one: given.pop(one) for one in ("prefix", "agents", "from_version") if one in given}
    migrations = host.store.migrations
    plan = await migrations.plan(await _name(host, name), version, scope=scope, **keys)
    told: dict[str, Any] = {"from_version": plan.from_version, "to_version": plan.to_version, "name": plan.name}
    try:
        report = await migrations.apply(plan, **given)
    except LlmspellError as exc:
        if exc.code not in _FAILURES:
            raise
        return {"success": False, "error": exc.message, "code": exc.code, **told, **exc.details}
    if report.status == "already_current":  # Scripts ask whether values have the version now, and they have.
        report = replace(report, status="completed")
        told["message"] = f"values of {plan.name} have version {plan.to_version} already: nothing was to be done"
    return {
        "success": True, "status": report.status, **told, "id": report.id, "items_migrated": report.changed,
        "items_seen": report.seen, "items_skipped": report.skipped, "duration_ms": report.seconds * 1000,
        "warnings": list(report.warnings), "problems": [one.to_dict() for one in report.problems],
        "samples": [one.to_dict() for one in report.samples],
    }  # fmt: skip


async def _status(host: Host, name: str | None = None) -> dict[str, Any]:
    run = await host.store.migrations.status()
    schemas = await host.store.schemas.list()
    if name is None and not schemas:
        return {
            "current_version": "unknown", "migration_available": False, "total_schemas": 0, "major_versions_count": 0,
            "compatible_versions": [], "migration_targets": [], "migration_candidates": [], "run": _run(run),
        }  # fmt: skip
    name = await _name(host, name)
    versions = await host.store.schemas.versions(name)
    bound = [one.version for one in await host.store.schemas.bindings() if one.name == name]
    current = bound[0] if bound else await _last(host, name)
    registered = await host.store.migrations.registered(name)
    if current == "unknown":
        targets = [version for version in versions if any(str(one.to_version) == version for one in registered)]
    else:
        targets = [version for version in versions if version != current and _leads(registered, name, current, version)]
    return {
        "name": name, "current_version": current, "latest_version": versions[-1] if versions else None,
        "oldest_version": versions[0] if versions else None, "is_latest": bool(versions) and current == versions[-1],
        "total_schemas": len(schemas), "major_versions_count": len({version.partition(".")[0] for version in versions}),
        "compatible_versions": [one for one in versions if await _reads(host, name, current, one)],
        "migration_available": bool(targets), "migration_targets": targets,
        "migration_candidates": targets, "run": _run(run),
    }  # fmt: skip


async def _reads(host: Host, name: str, current: str, version: str) -> bool:
    """Whether another version takes values as they are now, without a migration."""
    if current in {"unknown", version}:
        return False
    return (await host.store.schemas.compare(name, current, version)).backward


async def _last(host: Host, name: str) -> str:
    """The version that the last migration led values of a schema to, whose keys are bound to none."""
    for run in await host.store.migrations.list():
        if run.name == name and run.status in {"completed", "rolled_back"}:
            return run.to_version if run.status == "completed" else run.from_version
    return "unknown"


def _leads(registered: list[Migration], name: str, start: str, end: str) -> bool:
    try:
        find_path(registered, name, start, end)
    except NotFound:
        return False
    return True


def _run(run: MigrationRun | None) -> dict[str, Any] | None:
    return None if run is None else run.to_dict()


async def _rollback(host: Host, id: str) -> dict[str, Any]:
    report = await host.store.migrations.rollback(id)
    return {"success": True, **report.to_dict()}


_VERSION = Param("version", NAME, "the version that values are to have, like `2.0.0`")
_NAME = Param("name", NAME, "the schema; without it, the only one that there is")
_OPTIONS = Param(
    "options",
    options(
        Param("scope", SCOPE, "only keys of this scope", optional=True),
        Param("prefix", TEXT, "only keys that begin so", optional=True),
        Param("from_version", NAME, "the version that they have", optional=True),
        Param("agents", BOOL, "the records of agents, not keys", optional=True),
        Param("dry_run", BOOL, "try it on copies and write nothing", optional=True),
        Param("batch", INT, "values of one transaction, at most", optional=True),
        Param("timeout_s", NUMBER, "seconds after which it is taken back", optional=True),
        Param("validation", TEXT, "`strict`, `after`, `report` or `none`", optional=True),
    ),
    "which values, and how",
    optional=True,
)

OPERATIONS = (
    Operation(
        "State", ("migrate", "migrate_to_version"),
        ((_VERSION,), (_NAME, _VERSION), (_NAME, _VERSION, _OPTIONS)),
        "`{success, status, from_version, to_version, items_migrated, duration_ms, warnings …}`, with a `message` when"
        " values had that version already; `success` is false, with `error`, when it failed and was taken back",
        "Bring stored values to another version of their schema.", _migrate,
        errors=("schema-not-found", "migration-path-missing", "version-unknown", "migration-running"),
        lua_returns="table",
    ),
    Operation(
        "State", ("get_migration_status", "migration_status"), ((Param("name", NAME, _NAME.doc, optional=True),),),
        "`{current_version, latest_version, oldest_version, is_latest, total_schemas, major_versions_count,"
        " compatible_versions, migration_available, migration_targets, migration_candidates, run}`",
        "Which version values have (`unknown`: no key is bound and nothing was migrated), which ones would take them as"
        " they are, which ones a migration leads to, and how the last one stands.", _status,
        errors=("schema-unclear",), lua_returns="table",
    ),
    Operation(
        "State", ("rollback_migration",), ((Param("id", NAME, "of the migration"),),),
        "`{success, restored, left, left_alone …}`", "Take a migration back to the byte.", _rollback,
        errors=("migration-not-found", "migration-not-open", "migration-built-on", "migration-running"),
        lua_returns="table",
    ),
)  # fmt: skip
