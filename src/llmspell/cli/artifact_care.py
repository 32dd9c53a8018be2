"""``llmspell artifact undelete | deleted | quota | orphans | estimate | collect``, and ``llmspell collect``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llmspell.cli import printable
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.cli.suggest import artifacts_of
from llmspell.errors import InvalidInput

if TYPE_CHECKING:
    from llmspell.artifacts.collect import CollectReport
    from llmspell.artifacts.info import ArtifactInfo
    from llmspell.sync.faces import Store

Whose = Annotated[str | None, Parameter(help="Only of this session, by name or id; default: of all.")]
Hard = Annotated[bool, Parameter(help="For good: the content goes with the next collect.")]
Yes = Annotated[bool, Parameter(help="Do not ask.")]
DryRun = Annotated[bool, Parameter(help="Say what would be done, and do nothing.")]


def undelete(
    name: Annotated[str, Parameter(help="The artifact, by name or id.")], /, *,
    session: Annotated[str | None, Parameter(help="Its session, by name or id; an artifact's id needs none.")] = None,
    version: Annotated[int | None, Parameter(help="Only this version; default: all of the name.")] = None,
) -> None:  # fmt: skip
    """Bring back what was deleted and not deleted for good."""
    with running.get().changing() as store:
        count = artifacts_of(store, session).undelete(name, version=version)
    told = f"brought back {printable.count(count, 'version')} of {name}"
    running.get().out.done({"name": name, "undeleted": count}, told)


def deleted(*, session: Whose = None) -> None:
    """List what is deleted and can be brought back, or deleted for good."""
    with running.get().reading() as store:
        found = store.artifacts.deleted() if session is None else _of_session(store, session)
    columns = (
        Column("name", lambda item: item["name"]),
        Column("version", lambda item: item["version"], right=True),
        Column("size", lambda item: printable.size(item["size"]), right=True),
        Column("session", lambda item: item["session"]),
        Column("id", lambda item: item["id"]),
    )
    items = [info.to_dict() for info in found]
    running.get().out.items(items, columns, next_cursor=None, nothing="nothing that could be brought back")


def quota(
    *, session: Annotated[str | None, Parameter(help="Of this session, by name or id; default: of the store.")] = None,
    artifact_bytes: Annotated[int | None, Parameter(help="Bytes that one version may have.")] = None,
    total_bytes: Annotated[int | None, Parameter(help="Bytes that all may have together.")] = None,
    versions: Annotated[int | None, Parameter(help="How many versions there may be.")] = None,
    none: Annotated[bool, Parameter(help="Take every bound away.")] = False,
) -> None:  # fmt: skip
    """Show how much a session or the store may hold in artifacts, or set it: bounds that are not named are none."""
    setting = none or any(bound is not None for bound in (artifact_bytes, total_bytes, versions))
    if none and (artifact_bytes, total_bytes, versions) != (None, None, None):
        raise InvalidInput("--none takes every bound away; leave the others out", code="usage")
    run = running.get()
    with run.changing() if setting else run.reading() as store:
        room = artifacts_of(store, session)
        found = room.quota()
        if setting:
            found = room.set_quota(
                artifact_bytes_max=artifact_bytes, total_bytes_max=total_bytes, versions_max=versions
            )
    run.out.fields(found.to_dict(), [
        ("bytes of one version", _bound(found.artifact_bytes_max)),
        ("bytes of all", f"{found.used_bytes:,} of {_bound(found.total_bytes_max)}"),
        ("versions", f"{found.used_versions:,} of {_bound(found.versions_max)}"),
    ])  # fmt: skip


def orphans() -> None:
    """What nothing refers to: contents deleted for good, and what puts left that never ended."""
    with running.get().reading() as store:
        found = store.orphans()
    running.get().out.fields(found.to_dict(), [
        ("contents", f"{found.content_count:,}"), ("first of them", found.contents[:10]),
        ("chunks", f"{found.chunks:,} ({printable.size(found.chunk_bytes)})"), ("files", found.files),
        ("puts in progress", "yes: what is theirs is not counted" if found.in_progress else ""),
    ])  # fmt: skip


def estimate() -> None:
    """What a collect would do now, and what it would keep and why."""
    with running.get().reading() as store:
        report = store.estimate()
    _print(report)


def collect(*, dry_run: DryRun = False) -> None:
    """Take content away that nothing refers to any more, and give its room back. Others may go on writing."""
    run = running.get()
    with (
        run.reading() if dry_run else run.changing() as store,
        nullcontext(None) if dry_run else run.out.progress("collecting", None) as advance,
    ):
        report = store.collect(dry_run=dry_run, progress=advance)
    _print(report)


def _print(report: CollectReport) -> None:
    from llmspell.artifacts.collect import WHY

    out = running.get().out
    if out.json:
        out.one(report.to_dict(), "")
        return
    would = "would collect" if report.dry_run else "collected"
    out.write(
        f"{would} {printable.count(report.contents, 'content')} ({printable.size(report.content_bytes)} beside their"
        f" rows) and {printable.count(report.chunks, 'chunk')} ({printable.size(report.chunk_bytes)})"
    )
    if not report.dry_run:
        removed = printable.count(report.files, "file")
        out.write(f"gave {printable.size(report.freed_bytes)} back to the disk; {removed} removed or rewritten")
    for why, size in report.kept.items():
        out.write(f"kept {printable.size(size)}: {WHY[why]}")


def _bound(bound: int | None) -> str:
    return "any number" if bound is None else f"{bound:,}"


def _of_session(store: Store, session: str) -> list[ArtifactInfo]:
    from llmspell.artifacts.rules import is_id

    # An id may be that of a session that is deleted itself.
    found: list[ArtifactInfo] = (
        store.artifacts.deleted(session=session) if is_id(session) else artifacts_of(store, session).deleted()
    )
    return found


COMMANDS: dict[str, Any] = {
    "undelete": undelete, "deleted": deleted, "quota": quota, "orphans": orphans,
    "estimate": estimate, "collect": collect,
}  # fmt: skip
"""The commands of ``llmspell artifact`` that are here."""
