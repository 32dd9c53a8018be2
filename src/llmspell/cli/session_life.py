"""``llmspell session export | import | save-all | cleanup | retention | templates | template``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.asking import confirmed
from llmspell.cli.exits import FINDINGS, Finished
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.cli.suggest import session_id
from llmspell.errors import InvalidInput
from llmspell.sessions.retention import ENDED, CleanupReport, RetentionPolicy

Rule = Literal["fail", "skip", "rename", "replace"]
PassphraseFrom = Annotated[
    str | None, Parameter(help="Name of an environment variable with the passphrase of the bundle.")
]
_WOULD = {"imported": "import", "skipped": "skip", "renamed": "import under new ids", "replaced": "replace"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
Age = Annotated[str | None, Parameter(help="Sessions not changed for so long: a number and s, m, h, d or w.")]
Count = Annotated[int | None, Parameter(help="All but the newest so many.")]
Bytes = Annotated[int | None, Parameter(help="Those beyond the newest whose artifacts have so many bytes.")]
Statuses = Annotated[list[str] | None, Parameter(help="Only of these statuses; several times.")]
Hard = Annotated[
    bool | None, Parameter(help="Delete their artifacts for good, so that `llmspell collect` frees what they held.")
]
Folder = Annotated[Path | None, Parameter(help="Export each into this folder before it is deleted.")]


def export(
    session: Annotated[str, Parameter(help="The session, by name or id.")], file: Path, /, *,
    overwrite: Annotated[bool, Parameter(help="Write over a file that is there.")] = False,
    passphrase_from: PassphraseFrom = None,
    secrets: Annotated[bool, Parameter(help="Carry sensitive values, in an encrypted bundle.")] = False,
) -> None:  # fmt: skip
    """Write a whole session to one file: state with history, artifacts with versions, timeline."""
    run = running.get()
    key = _passphrase(passphrase_from)
    with run.reading() as store, run.out.progress("exporting entries", None) as advance:
        done = store.sessions.export(
            session_id(store, session), file, key=key, secrets=secrets, overwrite=overwrite, progress=_told(advance)
        )
    left = f"; {printable.count(sum(done.left_out.values()), 'entry')} about other things stay" if done.left_out else ""
    run.out.done(
        done.to_dict(),
        printable.line(
            f"exported {printable.count(done.entries, 'entry')} and {printable.count(done.contents, 'content')}"
            f" ({printable.size(done.bytes)}) to {file}{left}"
        ),
        bare=str(file),
    )


def import_(
    file: Path, /, *,
    on_conflict: Annotated[Rule, Parameter(help="When the session is here already.")] = "fail",
    passphrase_from: PassphraseFrom = None,
    yes: Annotated[bool, Parameter(help="Do not ask before a session is replaced.")] = False,
    dry_run: Annotated[bool, Parameter(help="Check the file, say what would be done, and do nothing.")] = False,
) -> None:  # fmt: skip
    """Take in a session that was exported: all of it, or nothing."""
    run = running.get()
    key = _passphrase(passphrase_from)
    with run.reading() if dry_run else run.changing(create=True) as store:
        if dry_run or (on_conflict == "replace" and not yes):
            plan = store.sessions.import_(file, on_conflict=on_conflict, key=key, dry_run=True)
            replacing = plan.outcome == "replaced"
            told = f"session {plan.name} {plan.id or plan.original_id}"
            told += f" by that of {file}" if replacing else ""
            verb = _WOULD[plan.outcome], plan.outcome
            if not confirmed(run.out, plan.to_dict(), told, yes=yes or not replacing, dry_run=dry_run, verb=verb):
                return
        with run.out.progress("importing entries", None) as advance:
            done = store.sessions.import_(file, on_conflict=on_conflict, key=key, progress=_told(advance))
    run.out.done(done.to_dict(), printable.line(f"{done.outcome} session {done.name} {done.id}"), bare=done.id)


def save_all() -> None:
    """Save every active session, all of them or none."""
    with running.get().changing() as store:
        infos = store.sessions.save_all_active()
    items = [info.to_dict() for info in infos]
    running.get().out.items(items, _COLUMNS, next_cursor=None, nothing="no active sessions")


def cleanup(
    *, max_age: Age = None, max_count: Count = None, max_bytes: Bytes = None, archive_to: Folder = None,
    hard: Hard = None,
    passphrase_from: Annotated[
        str | None, Parameter(help="Name of an environment variable with the passphrase of the archives.")
    ] = None,
    status: Statuses = None,
    yes: Annotated[bool, Parameter(help="Do not ask.")] = False,
    dry_run: Annotated[bool, Parameter(help="Say what would be deleted, and delete nothing.")] = False,
) -> None:  # fmt: skip
    """Delete sessions that ended, by the bounds given here or else by the stored policy. Active ones are never touched.

    Exit status 3 when a session was left because it could not be exported.
    """
    run = running.get()
    key = _passphrase(passphrase_from)
    with run.reading() if dry_run else run.changing() as store:
        bounds = (max_age, max_count, max_bytes, archive_to, status, hard)
        policy = None if all(bound is None for bound in bounds) else _policy(*bounds)
        plan = store.sessions.cleanup(policy, archive_key=key, dry_run=True)
        told = f"{printable.count(len(plan.deleted), 'session')} ({printable.size(plan.artifact_bytes)} of artifacts)"
        told += _left(plan)
        if not run.out.json and plan.deleted:
            run.out.items(plan.deleted, (*_COLUMNS, Column("why", lambda item: item["why"])), next_cursor=None,
                          nothing="")  # fmt: skip
        if not confirmed(run.out, plan.to_dict(), told, yes=yes or not (plan.deleted or plan.orphans), dry_run=dry_run):
            return
        done = store.sessions.cleanup(policy, archive_key=key)
    run.out.done(done.to_dict(), f"deleted {printable.count(len(done.deleted), 'session')}{_left(done)}")
    if done.failed:
        raise Finished(FINDINGS)


def retention(
    *, max_age: Age = None, max_count: Count = None, max_bytes: Bytes = None, archive_to: Folder = None,
    status: Statuses = None, hard: Hard = None,
    every: Annotated[str | None, Parameter(help="At most so often: a number and s, m, h, d or w; 1h.")] = None,
    off: Annotated[bool, Parameter(help="No policy any more.")] = False,
) -> None:  # fmt: skip
    """Show or set the policy that an open store applies in the background."""
    run = running.get()
    bounds = (max_age, max_count, max_bytes, archive_to, status, hard)
    setting = any(bound is not None for bound in bounds)
    if off and (setting or every is not None):
        raise InvalidInput("--off takes the policy away; leave the others out", code="usage")
    if every is not None and not setting:
        raise InvalidInput("--every goes with a policy: --max-age, --max-count or --max-bytes", code="usage")
    if off or setting:
        policy = None if off else _policy(*bounds)
        with run.changing() as store:
            store.sessions.set_retention(policy, every_s=_seconds(every or "1h"))
            policy = store.sessions.retention()
    else:
        with run.reading() as store:
            policy = store.sessions.retention()
    found = {} if policy is None else policy.to_dict() | {"every_s": policy.every_s}
    run.out.fields(
        {"policy": None if policy is None else found},
        [(name.replace("_", " "), value) for name, value in found.items()],
    )


def templates() -> None:
    """List the templates that sessions can begin with."""
    with running.get().reading() as store:
        found = store.sessions.templates()
    items: list[dict[str, Any]] = [{"name": name, "fields": fields} for name, fields in found.items()]
    columns = (
        Column("name", lambda item: item["name"]),
        Column("fields", lambda item: printable.json_text(item["fields"])),
    )
    running.get().out.items(items, columns, next_cursor=None, nothing="no templates")


def template(
    name: str, fields: Annotated[given.Word | None, Parameter(help="Its fields as JSON; - for stdin.")] = None, /, *,
    delete: Annotated[bool, Parameter(help="Take the template away.")] = False,
) -> None:  # fmt: skip
    """Register a template: description, tags, metadata, config, created_by and state of sessions, as JSON."""
    if (fields is None) != delete:
        raise InvalidInput("give the template's fields as JSON, or --delete", code="invalid-template")
    wanted = None if fields is None else given.value(fields)[0]
    if not delete and wanted is None:
        raise InvalidInput("a template's fields are a JSON object; --delete takes it away", code="invalid-template")
    with running.get().changing(create=not delete) as store:
        store.sessions.set_template(name, wanted)
    running.get().out.done({"name": name, "fields": wanted}, f"{'took away' if delete else 'registered'} {name}")


COMMANDS: dict[str, Any] = {
    "export": export, "import": import_, "save-all": save_all, "cleanup": cleanup, "retention": retention,
    "templates": templates, "template": template,
}  # fmt: skip
_COLUMNS = (
    Column("id", lambda item: item["id"]),
    Column("name", lambda item: item["name"]),
    Column("status", lambda item: item["status"]),
    Column("updated", lambda item: printable.moment(item["updated_at"])),
)


def _policy(
    max_age: str | None, max_count: int | None, max_bytes: int | None, archive_to: Path | None,
    statuses: list[str] | None, hard: bool | None,
) -> RetentionPolicy:  # fmt: skip
    if max_age is None and max_count is None and max_bytes is None:
        raise InvalidInput(
            "nothing lets a session go: say --max-age, --max-count or --max-bytes, too", code="invalid-policy"
        )
    return RetentionPolicy(
        max_age_s=None if max_age is None else _seconds(max_age), max_count=max_count, max_bytes=max_bytes,
        statuses=tuple(statuses or ENDED), archive_to=None if archive_to is None else str(archive_to.absolute()),
        hard=bool(hard),
    )  # fmt: skip


def _left(report: CleanupReport) -> str:
    """What stays, and why, to be put behind what goes."""
    kinds = (report.vetoed, "kept by a hook"), (report.changed, "changed"), (report.failed, "not exported")
    left = "".join(f"; {printable.count(len(ids), 'session')} {what}" for ids, what in kinds if ids)
    if "archive-needs-key" in report.codes.values():
        left += "; sealed values are archived with --passphrase-from only"
    return left


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    try:
        return float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise InvalidInput(f"{text!r} is no span of time; say 30d, 12h or 90s", code="invalid-policy") from None


def _passphrase(variable: str | None) -> str | None:
    if variable is None:
        return None
    found = os.environ.get(variable)
    if not found:
        raise InvalidInput(f"the environment has no variable {variable!r}", code="weak-passphrase")
    return found


def _told(advance: Any) -> Any:
    return None if advance is None else lambda _what, done: advance(done)
