"""``llmspell session list``, ``count``, ``tree`` and ``history``: finding sessions, and what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from llmspell.cli import given, printable
from llmspell.cli.invocation import running
from llmspell.cli.output import STATUS_STYLES, Column
from llmspell.cli.suggest import open_session, session_id
from llmspell.model.clock import SystemClock
from llmspell.model.limits import TREE_SESSIONS_MAX

if TYPE_CHECKING:
    from llmspell.sync.faces import Store

Named = Annotated[str, Parameter(help="The session, by name or id.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What sessions are asked for; all that is given holds together."""

    tags: Annotated[list[str] | None, Parameter(name="--tag", help="A tag; may be given several times.")] = None
    status: Annotated[
        list[str] | None,
        Parameter(help="active, suspended, completed, failed or archived; may be given several times."),
    ] = None
    created_by: Annotated[str | None, Parameter(help="Only what this one created.")] = None
    parent: Annotated[str | None, Parameter(help="Only what was opened under this session, by name or id.")] = None
    name: Annotated[str | None, Parameter(help="Only of exactly this name.")] = None
    meta: given.Fields = None
    text: given.Words = None
    created_after: given.When = None
    created_before: given.When = None
    updated_after: given.When = None
    updated_before: given.When = None
    ended_after: given.When = None
    ended_before: given.When = None

    def of(self, store: Store) -> dict[str, Any]:
        """The arguments of ``store.sessions.list`` and ``count``."""
        clock = SystemClock()
        return {
            "tags": self.tags or (), "status": self.status, "created_by": self.created_by,
            "parent": None if self.parent is None else session_id(store, self.parent), "name": self.name,
            "metadata": given.pairs(self.meta, "--meta"), "text": self.text,
            "created_after": given.time(self.created_after, clock),
            "created_before": given.time(self.created_before, clock),
            "updated_after": given.time(self.updated_after, clock),
            "updated_before": given.time(self.updated_before, clock),
            "ended_after": given.time(self.ended_after, clock), "ended_before": given.time(self.ended_before, clock),
        }  # fmt: skip


def list_(
    *, conditions: Conditions | None = None,
    order_by: Annotated[
        str,
        Parameter(
            help="updated_at, created_at, ended_at, last_activity or name; with - newest first.",
            allow_leading_hyphen=True,
        ),
    ] = "-updated_at",
    limit: Annotated[int, Parameter(help="Sessions of one page.")] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on after the page that gave this.")] = None,
) -> None:  # fmt: skip
    """List sessions, the one that changed last first."""
    with running.get().reading() as store:
        asked = (conditions or Conditions()).of(store)
        page = store.sessions.list(**asked, order_by=order_by, limit=limit, cursor=cursor)
    columns = (
        Column("id", lambda item: item["id"]),
        Column("name", lambda item: item["name"]),
        Column("status", lambda item: item["status"], styles=STATUS_STYLES),
        Column("updated", lambda item: printable.moment(item["updated_at"])),
        Column("artifacts", lambda item: item["artifact_count"], right=True),
        Column("entries", lambda item: item["operation_count"], right=True),
        Column("tags", lambda item: ", ".join(item["tags"])),
    )
    items = [info.to_dict() for info in page]
    running.get().out.items(items, columns, next_cursor=page.next_cursor, nothing="no sessions")


def count(
    *, conditions: Conditions | None = None,
    exact: Annotated[bool, Parameter(help="Count on above 1,000.")] = False,
) -> None:  # fmt: skip
    """Count sessions; above 1,000 it says 1000+."""
    with running.get().reading() as store:
        asked = (conditions or Conditions()).of(store)
        counted = store.sessions.count(**asked, exact=exact)
    running.get().out.done(counted.to_dict(), f"{counted} session(s)", bare=str(counted))


def tree(
    session: Named, /, *,
    depth: Annotated[int | None, Parameter(help="At most so many levels below.")] = None,
    limit: Annotated[int, Parameter(help="At most so many sessions, the nearest first.")] = TREE_SESSIONS_MAX,
    up: Annotated[bool, Parameter(help="Begin at the top of the family that it belongs to.")] = False,
) -> None:  # fmt: skip
    """Draw a session and all below it; with --json, sessions with their children."""
    with running.get().reading() as store:
        top = session_id(store, session)
        above = store.sessions.parents(top) if up else ()
        found = store.sessions.tree(above[-1].id if above else top, depth=depth, limit=limit)
    out = running.get().out
    out.one(found.to_dict(), "" if out.json else found.picture())


def history(
    session: Named, /, *,
    limit: Annotated[int, Parameter(help="Changes of at most so many entries.")] = 100,
    before: Annotated[int | None, Parameter(help="Only entries before this seq.")] = None,
) -> None:  # fmt: skip
    """Show who changed which field of a session, the newest change first."""
    with running.get().reading() as store:
        changes = open_session(store, session).history(limit=limit, before=before)
    columns = (
        Column("entry", lambda item: item["seq"], right=True),
        Column("time", lambda item: printable.moment(item["time"])),
        Column("actor", lambda item: item["actor"]),
        Column("field", lambda item: item["field"]),
        Column("before", lambda item: printable.json_text(item["before"])),
        Column("after", lambda item: printable.json_text(item["after"])),
    )
    running.get().out.items(
        [change.to_dict() for change in changes], columns, next_cursor=None, nothing="nothing was changed"
    )
