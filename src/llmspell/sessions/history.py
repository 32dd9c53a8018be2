"""The history of a session's own fields, read from the journal: who changed what, from what, to what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llmspell.journal.lineage import ALWAYS, Level
from llmspell.journal.reading import EntryQuery, read_page
from llmspell.model.clock import to_datetime
from llmspell.model.entry import Entry, subject_digest
from llmspell.model.ids import id_text
from llmspell.model.values import decode_value
from llmspell.ports.database import Reading
from llmspell.schema import queries
from llmspell.sessions.projection import MOVED, UPDATED

_SQL = queries("llmspell.sessions")
_FIELDS = ("name", "description", "tags", "metadata")
_KINDS = (UPDATED.name, *(kind.name for kind in MOVED.values()))


@dataclass(frozen=True, slots=True)
class SessionChange:
    """One field of a session that got another value. ``field`` is ``name``, ``description``, ``tags``, ``metadata`` or
    ``status``; ``actor`` who did it, ``seq`` the entry that says so. ``reason`` is that of a failed session. What a
    later entry erased is None.
    """

    field: str
    before: Any
    after: Any
    actor: str
    seq: int
    time: datetime
    correlation_id: str
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "field": self.field, "before": self.before, "after": self.after, "actor": self.actor, "seq": self.seq,
            "time": self.time.isoformat(), "correlation_id": self.correlation_id, "reason": self.reason,
        }  # fmt: skip


def read_history(view: Reading, levels: Sequence[Level], limit: int, before: int | None) -> list[SessionChange]:
    """The changes of up to ``limit`` entries, newest first, in a session and in those it goes back to. Hashes are
    checked. What a life before had is not among them: a session that was deleted and imported again brings its past.
    """
    found: list[SessionChange] = []
    left = limit
    for level in levels:
        bound = level.bound if before is None else min(level.bound, before - 1)
        subject = subject_digest(level.salt, "session")
        (begun,) = view.one(_SQL["life"], (level.session, level.bound)) or (0,)
        query = EntryQuery(
            subject=subject, kinds=_KINDS, after=begun, before=None if bound == ALWAYS else bound + 1, newest_first=True
        )
        entries = read_page(view, query, left) if left else []
        left -= len(entries)
        found += [change for entry in entries for change in _changes(view, level.session, entry)]
    return found


def _changes(view: Reading, session: bytes, entry: Entry) -> Iterator[SessionChange]:
    told = entry.actor, entry.seq, to_datetime(entry.at), id_text(entry.correlation)
    if entry.payload is None:
        return
    data = entry.data
    if entry.kind != UPDATED.name:
        yield SessionChange("status", data["was"], data["now"], *told, data["reason"])
        return
    row = view.one(_SQL["described_before"], (session, entry.seq))
    old = dict(zip(_FIELDS, row, strict=True)) if row is not None else {}
    for name in _FIELDS:
        if name not in data["changed"]:
            continue
        was, now = old.get(name), data["changed"][name]
        if was is not None and name in ("tags", "metadata"):
            was = decode_value(was)
        if was != now:
            yield SessionChange(name, was, now, *told)
