"""``llmspell migrate``: stored values from one version of their schema to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import App, Parameter

from llmspell.cli import printable
from llmspell.cli.asking import confirmed
from llmspell.cli.exits import FINDINGS, Finished
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from llmspell.migration.plan import Plan
    from llmspell.migration.values import MigrationReport

app = App(name="migrate", help="Migrations of stored values: plan, apply, resume, take back, validate.")

FromOption = Annotated[str | None, Parameter(name="--from", help="The version that the values have.")]
ScopeOption = Annotated[str | None, Parameter(help="Only keys of this scope, like agent:researcher; default: all.")]
PrefixOption = Annotated[str, Parameter(help="Only keys (with --agents: agents) that begin so.")]
AgentsOption = Annotated[bool, Parameter(help="The records of agents, not keys.")]
BatchOption = Annotated[int | None, Parameter(help="Values of one transaction, at most.")]


@app.command(name="register")
def register(
    file: Path, /, *, replace: Annotated[bool, Parameter(help="In the place of another between the versions.")] = False
) -> None:
    """Register the migration, or the migrations, in FILE (JSON)."""
    from llmspell.migration.migration import Migration

    try:
        given = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}", code="file-not-found") from None
    except (OSError, msgspec.DecodeError, RecursionError) as exc:
        raise InvalidInput(f"{file} cannot be read as JSON: {exc}", code="invalid-migration") from None
    made = [Migration.from_dict(one) for one in (given if isinstance(given, list) else [given])]
    with running.get().changing(create=True) as store:
        items = [{**_named(one), "new": store.migrations.register(one, replace=replace)} for one in made]
    _steps(items, "no migrations in it")


@app.command(name="list")
def list_(name: Annotated[str | None, Parameter(help="Only those of this schema.")] = None, /) -> None:
    """List the registered migrations."""
    with running.get().reading() as store:
        items = [_named(one) for one in store.migrations.registered(name)]
    _steps(items, "no migrations are registered")


@app.command(name="plan")
def plan(
    name: str, to: str, /, *, from_: FromOption = None, scope: ScopeOption = None, prefix: PrefixOption = "",
    agents: AgentsOption = False,
) -> None:  # fmt: skip
    """Show what it takes to bring values of the schema NAME to version TO."""
    with running.get().reading() as store:
        found = store.migrations.plan(name, to, from_version=from_, scope=scope, prefix=prefix, agents=agents)
    out = running.get().out
    if out.json:
        out.one(found.to_dict(), "")
        return
    _tell_plan(found)
    for step in found.steps:
        out.write(f"  {step.from_version} to {step.to_version}")
        for one in step.transforms:
            out.write(f"    {printable.line(one.describe())}  ({one.risk.label})")


@app.command(name="apply")
def apply(
    name: str, to: str, /, *, from_: FromOption = None, scope: ScopeOption = None, prefix: PrefixOption = "",
    agents: AgentsOption = False, batch: BatchOption = None,
    dry_run: Annotated[bool, Parameter(help="Try it on copies and write nothing.")] = False,
    timeout: Annotated[float | None, Parameter(help="Seconds after which it is taken back.")] = None,
    validation: Annotated[str, Parameter(help="strict, after, report or none.")] = "strict",
    keep: Annotated[bool, Parameter(help="Do not take a failed one back; it can be resumed.")] = False,
) -> None:  # fmt: skip
    """Migrate values of the schema NAME to version TO. A dry run with problems ends with 3."""
    run, checked = running.get(), _validation(validation)
    with run.reading() if dry_run else run.changing() as store:
        found = store.migrations.plan(name, to, from_version=from_, scope=scope, prefix=prefix, agents=agents)
        with run.out.progress(f"migrating {name}", found.count) as progress:
            report = store.migrations.apply(
                found, dry_run=dry_run, batch=batch, progress=progress, timeout_s=timeout, validation=checked,
                rollback_on_failure=not keep,
            )  # fmt: skip
    _tell(report)
    if report.problems:
        raise Finished(FINDINGS)


@app.command(name="status")
def status(id: str | None = None, /) -> None:
    """Show how a migration stands: the one that is open, else the last one."""
    with running.get().reading() as store:
        found = store.migrations.status(id)
    out = running.get().out
    if found is None:
        out.done({"status": "none"}, "nothing was ever migrated")
        return
    told = found.to_dict()
    state = found.status.replace("_", " ")
    if found.open and not found.alive and found.status != "failed":
        ways = "`llmspell migrate rollback` goes on" if found.status == "rolling_back" else (
            "`llmspell migrate resume` or `rollback`"
        )  # fmt: skip
        state += f", interrupted: {ways}"
    out.fields(told, [
        ("migration", f"{found.name} {found.from_version} to {found.to_version}"), ("status", state),
        ("id", found.id), ("values", str(found.target)), ("looked at", f"{found.seen:,} of {found.total:,}"),
        ("changed", f"{found.changed:,}"), ("skipped", found.skipped), ("put back", found.restored),
        ("left alone", found.left_alone), ("restore point", f"#{found.restore_seq}"), ("attempt", found.attempt),
        ("began", printable.moment(told["started_at"])), ("reason", found.reason),
    ])  # fmt: skip


@app.command(name="history")
def history(*, limit: Annotated[int, Parameter(help="At most so many.")] = 20) -> None:
    """List the migrations that were begun, the newest first."""
    with running.get().reading() as store:
        items = [one.to_dict() for one in store.migrations.list(limit=limit)]
    columns = (
        Column("id", lambda item: item["id"]),
        Column("schema", lambda item: item["name"]),
        Column("from", lambda item: item["from_version"]),
        Column("to", lambda item: item["to_version"]),
        Column("status", lambda item: item["status"]),
        Column("changed", lambda item: f"{item['changed']:,}", right=True),
        Column("began", lambda item: printable.moment(item["started_at"])),
    )
    running.get().out.items(items, columns, next_cursor=None, nothing="nothing was ever migrated")


@app.command(name="resume")
def resume(id: str, /, *, batch: BatchOption = None) -> None:
    """Go on with a migration that was interrupted or has failed."""
    with running.get().changing() as store, running.get().out.progress("migrating", None) as progress:
        report = store.migrations.resume(id, batch=batch, progress=progress)
    _tell(report)


@app.command(name="rollback")
def rollback(
    id: str, /, *, batch: BatchOption = None,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be put back, and write nothing.")] = False,
) -> None:  # fmt: skip
    """Take a migration back to the byte. Values that somebody changed since stay: then it ends with 3."""
    run = running.get()
    with run.reading() if dry_run else run.changing() as store:
        if dry_run or not yes:
            plan = store.migrations.rollback(id, dry_run=True)
            told = (
                f"migration {plan.name} {plan.from_version} to {plan.to_version}: {plan.restored:,} values put back,"
                f" {plan.left:,} left as somebody else made them"
            )
            if not confirmed(
                run.out, plan.to_dict(), told, yes=yes, dry_run=dry_run, verb=("roll back", "rolled back")
            ):
                return
        with run.out.progress("putting back", None) as progress:
            report = store.migrations.rollback(id, batch=batch, progress=progress)
    _tell(report)
    if report.left:
        raise Finished(FINDINGS)


@app.command(name="validate")
def validate(
    what: str, version: str | None = None, /, *, scope: ScopeOption = None, prefix: PrefixOption = "",
    agents: AgentsOption = False,
) -> None:  # fmt: skip
    """Check stored values: WHAT is the id of a migration, or a schema's name. Ends with 3 when one does not fit."""
    with running.get().reading() as store:
        found = store.migrations.validate(what, version=version, scope=scope, prefix=prefix, agents=agents)
    out = running.get().out
    if out.json:
        out.one(found.to_dict(), "")
    else:
        sentence = f"{found.checked - found.failing:,} of {found.checked:,} values are {found.name} {found.version}"
        out.done({}, sentence)
        _tell_problems(found.to_dict()["problems"])
    if not found.ok:
        raise Finished(FINDINGS)


def _validation(text: str) -> Any:
    from llmspell.migration.preparing import check_validation

    check_validation(text)
    return text


def _named(one: Any) -> dict[str, Any]:
    return {**one.to_dict(), "risk": one.risk.label}


def _steps(items: list[dict[str, Any]], nothing: str) -> None:
    columns = (
        Column("schema", lambda item: item["name"]),
        Column("from", lambda item: item["from_version"]),
        Column("to", lambda item: item["to_version"]),
        Column("transforms", lambda item: ", ".join(one["op"] for one in item["transforms"])),
        Column("risk", lambda item: item["risk"]),
    )
    running.get().out.items(items, columns, next_cursor=None, nothing=nothing)


def _tell_plan(plan: Plan) -> None:
    out = running.get().out
    size = f", {plan.bytes:,} bytes" if plan.bytes else ""
    steps = f"{len(plan.steps)} step{'s' * (len(plan.steps) != 1)}"
    out.write(
        printable.line(
            f"{plan.name} {plan.from_version} to {plan.to_version} in {steps}: {plan.count:,} values"
            f" ({plan.target}{size}), about {plan.seconds:g} s, risk {plan.risk.label}"
        )
    )
    for one in plan.warnings:
        out.note(f"warning: {one}")


def _tell(report: MigrationReport) -> None:
    out, told = running.get().out, report.to_dict()
    verb = {"dry_run": "would change", "rolled_back": "had changed"}.get(report.status, "changed")
    sentence = f"{report.name} {report.from_version} to {report.to_version}: {report.status.replace('_', ' ')}"
    if report.status == "rolled_back":
        sentence += f"; {report.restored:,} values put back, {report.left:,} left as somebody else made them"
    elif report.status != "already_current":
        sentence += f"; {verb} {report.changed:,} of {report.seen:,} values, {report.skipped:,} do not fit"
    out.done(told, sentence, bare=report.id)
    if out.json:
        return
    for one in report.samples[:3]:
        out.write(f"  {printable.line(one.key)}: {printable.short(one.before)} -> {printable.short(one.after)}")
    _tell_problems(told["problems"])
    for scope, key in report.left_alone:
        out.note(f"left alone: {scope} {key}")


def _tell_problems(problems: list[dict[str, Any]]) -> None:
    for one in problems[:20]:
        running.get().out.note(f"{one['scope']} {one['key']}: {one['message']}")
