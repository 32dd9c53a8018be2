"""``llmspell artifact update | restore-version | delete-tree | delete-matching``."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.artifact_care import DryRun, Hard, Yes
from llmspell.cli.artifact_links import Selected
from llmspell.cli.asking import confirmed
from llmspell.cli.invocation import running
from llmspell.cli.suggest import artifacts_with, open_session
from llmspell.model.limits import PAGE_ROWS_MAX

Whose = Annotated[str | None, Parameter(help="The session it belongs to, by name or id; an artifact's id needs none.")]
Named = Annotated[str, Parameter(help="The artifact, by name or id.")]
Version = Annotated[str, Parameter(help="A number or a label.")]


def update(
    name: Named, /, *, session: Whose = None,
    version: Annotated[str | None, Parameter(help="A number, latest, or a label; default: latest.")] = None,
    description: Annotated[str | None, Parameter(help="What it is.")] = None,
    mime: Annotated[str | None, Parameter(help="Its MIME type.")] = None,
    tags: given.NewTags = None,
    no_tags: given.NoTags = False,
    meta: given.NewMeta = None,
    no_meta: given.NoMeta = False,
) -> None:  # fmt: skip
    """Give one version other descriptive fields; `artifact history` has the old ones. Content and type stay."""
    fields: dict[str, Any] = {
        "description": description, "mime_type": mime, **given.replaced(tags, meta, no_tags=no_tags, no_meta=no_meta),
    }  # fmt: skip
    with running.get().changing() as store:
        info = artifacts_with(store, name, session).update(name, version=given.version(version), **fields)
    changed = ", ".join(field.replace("_", " ") for field, value in fields.items() if value is not None)
    running.get().out.done(info.to_dict(), f"{info.name} version {info.version} has new {changed}", bare=info.id)


def restore_version(
    name: Named, version: Version, /, *,
    session: Annotated[str, Parameter(help="The session it belongs to, by name or id.")],
) -> None:  # fmt: skip
    """Store an older version's content and fields again, as the newest version of its name."""
    with running.get().changing() as store:
        info = open_session(store, session).artifacts.restore_version(name, given.version(version) or version)
    told = f"{info.name} version {info.version} is what version {version} was: {printable.size(info.size)}, {info.id}"
    running.get().out.done(info.to_dict(), told, bare=info.id)


def delete_tree(
    artifact: Named, /, *, session: Whose = None,
    kind: Annotated[str, Parameter(help="What leads down: child_of, derived_from, depends_on or version_of.")] = (
        "child_of"
    ),
    hard: Hard = False, yes: Yes = False, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Delete an artifact and everything below it by a relation, all or nothing."""
    run = running.get()
    with run.reading() if dry_run else run.changing() as store:
        room = artifacts_with(store, artifact, session)
        count = room.delete_tree(artifact, kind=kind, hard=hard, dry_run=True)
        info = room.info(artifact)
        below = room.descendants(artifact, kind=kind, limit=PAGE_ROWS_MAX)
        plan = {
            "id": info.id, "name": info.name, "session": info.session, "kind": kind, "hard": hard, "count": count,
            "below": [
                {"id": one.id, "name": one.name, "version": one.version, "distance": one.distance}
                for one in below if one.state == "present"
            ],
        }  # fmt: skip
        told = f"{info.name} version {info.version} and {printable.count(count - 1, 'artifact')} below it"
        told += " for good" if hard else ""
        if not confirmed(run.out, plan, told, yes=yes, dry_run=dry_run):
            return
        done = room.delete_tree(artifact, kind=kind, hard=hard)
    run.out.done({**plan, "deleted": done}, f"deleted {printable.count(done, 'artifact')}: {told}")


def delete_matching(
    *, conditions: Selected | None = None,
    is_deleted: Annotated[bool, Parameter(name="--deleted", help="Those deleted already; with --hard.")] = False,
    hard: Hard = False, yes: Yes = False, dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Delete every version that fits all conditions, of one session or of all.

    `artifact query` with the same conditions lists what is meant.
    """
    run = running.get()
    asked = conditions or Selected()
    with run.reading() if dry_run else run.changing() as store:
        room, which = asked.among(store), {**asked.of(), "deleted": is_deleted, "hard": hard}
        count = room.delete_matching(**which, dry_run=True)
        told = printable.count(count, "version") + (" for good" if hard else "")
        plan = {"session": asked.session, "count": count, "hard": hard}
        if not confirmed(run.out, plan, told, yes=yes or not count, dry_run=dry_run):
            return
        with run.out.progress("deleting versions", None) as advance:
            done = room.delete_matching(**which, progress=advance)
    run.out.done({"deleted": done, "hard": hard}, f"deleted {printable.count(done, 'version')}")


COMMANDS: dict[str, Any] = {
    "update": update, "restore-version": restore_version, "delete-tree": delete_tree,
    "delete-matching": delete_matching,
}  # fmt: skip
"""The commands of ``llmspell artifact`` that are here."""
