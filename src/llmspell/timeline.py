"""Timelines: the journal read as a story, by session, correlation, kind and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import islice

from llmspell.errors import InvalidInput
from llmspell.events.patterns import compile_pattern
from llmspell.journal.journal import Journal
from llmspell.journal.lineage import Lineage
from llmspell.journal.reading import EntryQuery, read_page
from llmspell.model.arguments import check_flags
from llmspell.model.clock import DATETIME_NS
from llmspell.model.entry import Entry
from llmspell.model.ids import id_text
from llmspell.model.moment import moment_ns
from llmspell.model.names import canonical_event_types
from llmspell.model.page import Page, check_limit, cursor_seq, read_cursor, write_cursor
from llmspell.model.telling import told
from llmspell.ports.database import Reading

_WHOLE = (
    "SELECT 1 FROM fork_level f JOIN session s ON s.id = f.session AND s.until_seq IS NULL"
    " WHERE f.session = ? AND f.depth = 1 AND f.until_seq IS NOT NULL"
)
"""A fork that was deleted and came back from a bundle, which has all that it goes back to as its own."""
_KINDS_MAX = 1000
"""Names of kinds in one question."""


async def read_timeline(
    journal: Journal,
    session: bytes | None,
    correlation: bytes | None,
    known: list[str],
    kinds: Iterable[str],
    since: datetime | str | None,
    until: datetime | str | None,
    limit: int,
    cursor: str | None,
    newest_first: bool,
) -> Page[Entry]:
    """One page of entries; see ``AsyncStore.timeline``."""
    check_flags(newest_first=newest_first)
    if isinstance(kinds, str) or not isinstance(kinds, Iterable):
        raise InvalidInput(f"kinds are a list of names, not one {type(kinds).__name__}", code="invalid-kinds")
    named = list(islice(kinds, _KINDS_MAX + 1))
    if len(named) > _KINDS_MAX:
        raise InvalidInput(f"a timeline is of at most {_KINDS_MAX:,} kinds at once", code="invalid-kinds")
    wanted_kinds = tuple(dict.fromkeys(kind for name in named for kind in _kinds(name, known)))
    edge = read_cursor(cursor, "timeline", 2)[1] if cursor is not None else None
    if edge is not None:
        edge = cursor_seq(edge)
    query = EntryQuery(
        session=session,
        correlation=correlation,
        kinds=wanted_kinds,
        since=None if since is None else moment_ns(since),
        until=None if until is None else moment_ns(until) + DATETIME_NS - 1,
        after=0 if newest_first or edge is None else edge,
        before=edge if newest_first else None,
        newest_first=newest_first,
    )
    wanted = check_limit(limit)
    lineage = None if session is None else await journal.lineage(f"session:{id_text(session)}")
    entries = await journal.database.read(lambda view: _read(view, query, lineage, wanted))
    return Page(entries, write_cursor("timeline", entries[-1].seq) if len(entries) == wanted else None)


def _parts(query: EntryQuery, lineage: Lineage) -> list[EntryQuery]:
    """A question for each session that a fork goes back to, up to where it left it, in the order of what they tell."""
    parts = [
        replace(
            query,
            session=level.session,
            before=level.bound + 1 if query.before is None else min(query.before, level.bound + 1),
        )
        for level in lineage[1:]
    ]
    return [query, *parts] if query.newest_first else [*reversed(parts), query]


def _read(view: Reading, query: EntryQuery, lineage: Lineage | None, limit: int) -> list[Entry]:
    entries: list[Entry] = []
    parts = [query] if lineage is None or view.one(_WHOLE, (query.session,)) else _parts(query, lineage)
    for part in parts:
        if len(entries) < limit:
            entries += read_page(view, part, limit - len(entries))
    return entries


def _kinds(name: str, known: list[str]) -> list[str]:
    """The kinds that a name, an alias or a pattern means."""
    named = canonical_event_types(name)
    if all(kind in known for kind in named):
        return list(named)
    matches = compile_pattern(name).matches
    found = [kind for kind in known if matches(kind)]
    if not found:
        raise InvalidInput(
            f"no kind of entry is named {told(name)}",
            code="unknown-kind",
            hint=f"there are {', '.join(known)}; events of your own are of the kind event.published",
        )
    return found
