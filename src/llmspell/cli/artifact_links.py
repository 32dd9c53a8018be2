"""``llmspell artifact query | count | relate | unrelate | lineage | diff | label | history | rename``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.invocation import running
from llmspell.cli.output import Column
from llmspell.cli.suggest import artifacts_of, open_session
from llmspell.errors import InvalidInput
from llmspell.model.clock import SystemClock

if TYPE_CHECKING:
    from llmspell.artifacts.relations.lineage import Lineage
    from llmspell.sync.faces import Artifacts, Store

Whose = Annotated[str | None, Parameter(help="The session that names belong to, by name or id; ids need none.")]
Named = Annotated[str, Parameter(help="The artifact, by name or id.")]
Kind = Annotated[str, Parameter(help="derived_from, child_of, depends_on, version_of; parent or child.")]
Cursor = Annotated[str | None, Parameter(help="Go on after the page that gave this.")]
_STATES = {"present": "", "deleted": "deleted", "unknown": "unknown here", "hidden": "hidden"}


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What artifacts are meant; all that is given holds together."""

    session: Annotated[str | None, Parameter(help="Only of this session, by name or id; default: of all.")] = None
    name: Annotated[str | None, Parameter(help="A pattern of names like '*.md'.")] = None
    type: Annotated[str | None, Parameter(help="Their type.")] = None
    tags: Annotated[list[str] | None, Parameter(name="--tag", help="A tag; may be given several times.")] = None
    text: given.Words = None
    meta: given.Fields = None
    digest: Annotated[str | None, Parameter(help="BLAKE3 of the content, 64 hexadecimal digits.")] = None
    created_after: given.When = None
    created_before: given.When = None
    updated_after: given.When = None
    updated_before: given.When = None
    min_size: Annotated[int | None, Parameter(help="At least so many bytes.")] = None
    max_size: Annotated[int | None, Parameter(help="At most so many bytes.")] = None

    def of(self) -> dict[str, Any]:
        """The arguments of ``query``, ``count`` and ``delete_matching``."""
        clock = SystemClock()
        return {
            "name": self.name, "type": self.type, "tags": self.tags or (), "text": self.text,
            "metadata": given.pairs(self.meta, "--meta"), "digest": self.digest,
            "created_after": given.time(self.created_after, clock),
            "created_before": given.time(self.created_before, clock),
            "updated_after": given.time(self.updated_after, clock),
            "updated_before": given.time(self.updated_before, clock),
            "min_size": self.min_size, "max_size": self.max_size,
        }  # fmt: skip

    def among(self, store: Store) -> Artifacts:
        """The handle that is asked: a session's, which in a fork finds what it inherits too, or the store's."""
        return store.artifacts if self.session is None else open_session(store, self.session).artifacts


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions(Selected):
    """What artifacts are asked for: also by a name that nobody quite remembers."""

    fuzzy: Annotated[str | None, Parameter(help="A name, perhaps misspelt.")] = None

    def asked(self) -> dict[str, Any]:
        """The arguments of ``query`` and ``count``."""
        return {**self.of(), "fuzzy": self.fuzzy}


def count(
    *, conditions: Conditions | None = None,
    exact: Annotated[bool, Parameter(help="Count on above 1,000.")] = False,
) -> None:  # fmt: skip
    """Count artifacts; above 1,000 it says 1000+."""
    with running.get().reading() as store:
        asked = conditions or Conditions()
        counted = asked.among(store).count(**asked.asked(), exact=exact)
    running.get().out.done(counted.to_dict(), f"{counted} artifact(s)", bare=str(counted))


def query(
    *, conditions: Conditions | None = None,
    order_by: Annotated[str | None, Parameter(help="created_at, updated_at, name, size; -created_at is newest first.",
                                              allow_leading_hyphen=True)] = None,
    limit: Annotated[int, Parameter(help="Artifacts of one page.")] = 50, cursor: Cursor = None,
) -> None:  # fmt: skip
    """Find artifacts of all sessions by what they are; all conditions hold together."""
    out = running.get().out
    with running.get().reading() as store:
        asked = conditions or Conditions()
        page = asked.among(store).query(**asked.asked(), order_by=order_by, limit=limit, cursor=cursor)
        names = {info.session: store.sessions.get(info.session).name for info in page}
    columns = (
        Column("name", lambda item: item["name"]),
        Column("version", lambda item: item["version"], right=True),
        Column("size", lambda item: printable.size(item["size"]), right=True),
        Column("type", lambda item: item["type"]),
        Column("session", lambda item: names[item["session"]]),
        Column("created", lambda item: printable.moment(item["created_at"])),
        Column("tags", lambda item: ", ".join(item["tags"])),
        Column("id", lambda item: item["id"]),
    )
    out.items([info.to_dict() for info in page], columns, next_cursor=page.next_cursor, nothing="nothing fits")


def relate(artifact: Named, kind: Kind, other: Named, /, *, session: Whose = None) -> None:
    """Say what ARTIFACT is to OTHER: derived_from it, child_of it, and so on."""
    with running.get().changing() as store:
        new = artifacts_of(store, session).relate(artifact, kind, other)
    told = f"{artifact} is {kind} {other}" + ("" if new else " already")
    running.get().out.done({"artifact": artifact, "kind": kind, "other": other, "changed": new}, told)


def unrelate(artifact: Named, kind: Kind, other: Named, /, *, session: Whose = None) -> None:
    """End a relation."""
    with running.get().changing() as store:
        ended = artifacts_of(store, session).unrelate(artifact, kind, other)
    told = f"{artifact} is no longer {kind} {other}" if ended else f"{artifact} was not {kind} {other}"
    running.get().out.done({"artifact": artifact, "kind": kind, "other": other, "changed": ended}, told)


def lineage(
    artifact: Named, /, *, session: Whose = None,
    kind: Annotated[str | None, Parameter(help="Only along this kind of relation.")] = None,
    depth: Annotated[int | None, Parameter(help="At most so many steps each way.")] = None,
    limit: Annotated[int, Parameter(help="At most so many artifacts each way.")] = 1000,
    dot: Annotated[bool, Parameter(help="A graph for Graphviz instead of a table.")] = False,
) -> None:  # fmt: skip
    """Show what an artifact comes from, and what came of it."""
    out = running.get().out
    if dot and out.json:
        raise InvalidInput("--dot and --json are two forms of the same; leave one out", code="usage")
    with running.get().reading() as store:
        found = artifacts_of(store, session).lineage(artifact, kind=kind, depth=depth, limit=limit)
    if dot:
        out.write(found.to_dot().rstrip("\n"))
    elif out.json:
        out.one(found.to_dict(), "")
    else:
        _print_lineage(found)


def _print_lineage(found: Lineage) -> None:
    columns = (
        Column("step", lambda item: f"{item['distance']:+d}" if item["distance"] else "0", right=True),
        Column("name", lambda item: item["name"] or ""),
        Column("version", lambda item: item["version"] or "", right=True),
        Column("relations", lambda item: ", ".join(item["relations"])),
        Column("state", lambda item: _STATES[item["state"]]),
        Column("id", lambda item: item["id"]),
    )
    running.get().out.items(found.to_rows(), columns, next_cursor=None, nothing="no artifact")
    if found.truncated:
        running.get().out.note("there is more: raise --limit, or follow one kind")


def diff(
    name: Named, old: Annotated[str, Parameter(help="A version, or the other artifact's id.")],
    new: Annotated[str | None, Parameter(help="Another version; default: latest.")] = None, /, *,
    session: Whose = None,
) -> None:  # fmt: skip
    """Show what differs between two versions of a name, or between two artifacts given by their ids."""
    with running.get().reading() as store:
        room = artifacts_of(store, session)
        found = room.diff(name, given.version(old) or old, given.version(new))
    out = running.get().out
    if out.json:
        out.one(found.to_dict(), "")
        return
    for change in found.fields:
        out.write(printable.line(f"field {_change(change)}"))
    if found.kind == "same":
        out.write("the content is the same")
    for line in found.lines:
        out.write(printable.line(line))
    for change in found.changes:
        out.write(printable.line(_change(change)))
    if found.kind == "binary":
        gone, came = found.to_dict()["removed_bytes"], found.to_dict()["added_bytes"]
        out.write(f"binary: {gone:,} bytes from byte {found.common_prefix:,} on are {came:,} others")


def _change(change: dict[str, Any]) -> str:
    sides = [printable.json_text(change[side]) for side in ("old", "new") if side in change]
    return f"{change['op']} {change['path']}: {' -> '.join(sides)}"


def label(
    name: Named, version: Annotated[int, Parameter(help="Its number.")],
    label: Annotated[str, Parameter(help="Like approved or v1.2.0.")], /, *,
    session: Annotated[str, Parameter(help="The session, by name or id.")],
) -> None:  # fmt: skip
    """Let LABEL mean a version; ^1.2, ~1.2.3 and >=1.0 find the highest of labels that are versions."""
    with running.get().changing() as store:
        info = open_session(store, session).artifacts.tag_version(name, version, label)
    told = {"id": info.id, "name": info.name, "version": info.version, "label": label}
    running.get().out.done(told, f"{label} is version {info.version} of {info.name}")


def history(
    name: Named, /, *, session: Whose = None,
    version: Annotated[str | None, Parameter(help="A number, latest, or a label; default: latest.")] = None,
) -> None:  # fmt: skip
    """Show what became of one version: updates with old and new values, deletes, undeletes."""
    with running.get().reading() as store:
        found = artifacts_of(store, session).history(name, version=given.version(version))
    columns = (
        Column("entry", lambda item: f"#{item['seq']}", right=True),
        Column("time", lambda item: printable.moment(item["time"])),
        Column("operation", lambda item: item["operation"]),
        Column("old", lambda item: printable.json_text(item["old"]) if item["old"] else ""),
        Column("new", lambda item: printable.json_text(item["new"]) if item["new"] else ""),
    )
    running.get().out.items([one.to_dict() for one in found], columns, next_cursor=None, nothing="no history")


def rename(
    name: Named, to: Annotated[str, Parameter(help="A name that the session never had.")], /, *,
    session: Annotated[str, Parameter(help="The session, by name or id.")],
) -> None:  # fmt: skip
    """Give every version of a name another name; labels and grants go with it."""
    with running.get().changing() as store:
        count = open_session(store, session).artifacts.rename(name, to)
    told = f"{printable.count(count, 'version')} of {name} are {to} now"
    running.get().out.done({"name": name, "to": to, "versions": count}, told)


COMMANDS: dict[str, Any] = {
    "query": query, "count": count, "relate": relate, "unrelate": unrelate, "lineage": lineage, "diff": diff,
    "label": label, "history": history, "rename": rename,
}  # fmt: skip
"""The commands of ``llmspell artifact`` that are here."""
