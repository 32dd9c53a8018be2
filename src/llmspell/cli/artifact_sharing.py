"""``llmspell artifact grant | revoke | grants | audit | export | import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llmspell.cli import printable
from llmspell.cli.asking import confirmed
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.cli.suggest import artifacts_of, session_id

if TYPE_CHECKING:
    from llmspell.artifacts.bundles.importing import ImportReport

Whose = Annotated[str | None, Parameter(help="The session that it belongs to, by name or id; ids need none.")]
Named = Annotated[str, Parameter(help="The artifact: a name is every version, an id one.")]
Grantee = Annotated[str, Parameter(help="The session that gets it, by name or id.")]


def grant(
    artifact: Named, to: Grantee, right: Annotated[str, Parameter(help="read, write or admin.")] = "read", /, *,
    session: Whose = None,
    expires_in: Annotated[float | None, Parameter(help="Seconds after which it ends by itself.")] = None,
) -> None:  # fmt: skip
    """Let another session read, write or admin an artifact."""
    with running.get().changing() as store:
        grantee = session_id(store, to)
        seq = artifacts_of(store, session).grant(artifact, grantee, right, expires_in_s=expires_in)
    told = {"seq": seq, "artifact": artifact, "grantee": grantee, "right": right, "expires_in_s": expires_in}
    running.get().out.done(told, f"{to} may {right} {artifact}  (entry {seq})", bare=seq)


def revoke(artifact: Named, to: Grantee, /, *, session: Whose = None) -> None:
    """End what a session was granted of an artifact, and what it granted on."""
    with running.get().changing() as store:
        grantee = session_id(store, to)
        ended = artifacts_of(store, session).revoke(artifact, grantee)
    told = {"artifact": artifact, "grantee": grantee, "ended": ended}
    running.get().out.done(told, f"{ended} grant(s) ended" if ended else "it had no such grant", bare=ended)


def grants(artifact: Named, /, *, session: Whose = None) -> None:
    """List the grants of an artifact that hold now."""
    with running.get().reading() as store:
        found = artifacts_of(store, session).grants(artifact)
    columns = (
        Column("version", lambda item: item["version"] or "all"),
        Column("session", lambda item: item["grantee"]),
        Column("right", lambda item: item["right"]),
        Column("granted by", lambda item: item["granted_by"] or "owner"),
        Column("until", lambda item: printable.moment(item["expires_at"]) if item["expires_at"] else "revoked"),
        Column("entry", lambda item: f"#{item['seq']}", right=True),
    )
    running.get().out.items([one.to_dict() for one in found], columns, next_cursor=None, nothing="no grants")


def audit(
    artifact: Named, /, *, session: Whose = None,
    limit: Annotated[int, Parameter(help="Records of one page.")] = 100,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List who was granted an artifact, used it, or was refused; newest first."""
    with running.get().reading() as store:
        page = artifacts_of(store, session).audit(artifact, limit=limit, cursor=cursor)
    columns = (
        Column("entry", lambda item: f"#{item['seq']}", right=True),
        Column("time", lambda item: printable.moment(item["time"])),
        Column("action", lambda item: item["action"]),
        Column("session", lambda item: item["grantee"]),
        Column("right", lambda item: item["right"] or ""),
        Column("times", lambda item: item["count"], right=True),
        Column("by", lambda item: item["granted_by"] or ""),
    )
    items = [one.to_dict() for one in page]
    running.get().out.items(items, columns, next_cursor=page.next_cursor, nothing="nothing was granted or denied yet")


def export(
    file: Annotated[str, Parameter(help="The bundle to write; .json makes it JSON, anything else ZIP.")], /, *,
    session: Annotated[str | None, Parameter(help="Only of this session, by name or id; default: of all.")] = None,
    ids: Annotated[list[str] | None, Parameter(name="--id", help="Only this artifact, by id; several times.")] = None,
    name: Annotated[str | None, Parameter(help="Only names of this pattern, like '*.md'.")] = None,
    type: Annotated[str | None, Parameter(help="Only of this type.")] = None,
    tags: Annotated[list[str] | None, Parameter(name="--tag", help="Only with this tag; several times.")] = None,
    format: Annotated[str | None, Parameter(help="zip or json; default: by the file's name.")] = None,
    overwrite: Annotated[bool, Parameter(help="Replace a file of that name.")] = False,
) -> None:  # fmt: skip
    """Write artifacts with all versions, fields, labels and relations into one file."""
    out = running.get().out
    chosen = format or ("json" if file.endswith(".json") else "zip")
    with running.get().reading() as store, out.progress(f"writing {printable.line(file)}", None, in_bytes=True) as move:
        report = artifacts_of(store, session).export(
            Path(file), ids=ids, name=name, type=type, tags=tags or (), format=chosen, overwrite=overwrite,
            progress=move,
        )  # fmt: skip
    told = f"wrote {printable.count(report.artifacts, 'version')} to {file}: {printable.size(report.file_bytes)}"
    out.done(report.to_dict(), told, bare=file)


def import_(
    file: Annotated[str, Parameter(help="The bundle.")], /, *,
    session: Annotated[str | None, Parameter(help="The session to put it in; default: those it came from.")] = None,
    on_conflict: Annotated[str, Parameter(help="For names that are there: fail, skip, rename or replace.")] = "fail",
    yes: Annotated[bool, Parameter(help="Do not ask before versions are replaced.")] = False,
    dry_run: Annotated[bool, Parameter(help="Check the bundle, say what would be done, and do nothing.")] = False,
) -> None:  # fmt: skip
    """Take in a bundle, whole or not at all; every byte is checked."""
    run, verb = running.get(), ("take in", "taken in")
    with run.reading() if dry_run else run.changing() as store:
        room = artifacts_of(store, session)
        if dry_run or (on_conflict == "replace" and not yes):
            plan = room.import_(Path(file), on_conflict=on_conflict, dry_run=True)
            sure = yes or not plan.replaced
            if not confirmed(run.out, plan.to_dict(), _taken(plan), yes=sure, dry_run=dry_run, verb=verb):
                return
        with run.out.progress(f"reading {printable.line(file)}", None, in_bytes=True) as move:
            report = room.import_(Path(file), on_conflict=on_conflict, progress=move)
    run.out.done(report.to_dict(), f"took in {_taken(report)}")


def _taken(report: ImportReport) -> str:
    told = f"{printable.count(len(report.artifacts), 'version')}: {printable.size(report.bytes)}"
    if report.skipped:
        told += f"; left out {', '.join(report.skipped)}"
    if report.renamed:
        told += f"; renamed {', '.join(f'{old} to {new}' for old, new in report.renamed.items())}"
    if report.replaced:
        told += f"; {printable.count(report.replaced, 'version')} deleted to make room"
    return told


COMMANDS: dict[str, Any] = {
    "grant": grant, "revoke": revoke, "grants": grants, "audit": audit, "export": export, "import": import_,
}  # fmt: skip
"""The commands of ``llmspell artifact`` that are here."""
