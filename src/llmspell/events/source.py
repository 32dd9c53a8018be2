"""The journal as the events room delivers it: an entry is an event, and a user's event is an entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llmspell.events.event import Event, Position
from llmspell.journal.reading import EntryQuery, entry_at, read_page
from llmspell.model import limits
from llmspell.model.entry import GENESIS, Entry
from llmspell.model.ids import id_text
from llmspell.ports.database import Reading

T = TypeVar("T")
Read = Callable[[Callable[[Reading], T]], T]


class JournalEvents:
    """See ``events.delivery.EventSource``. ``read`` runs a query over one consistent state, from any thread."""

    def __init__(self, read: Any, timeline: str) -> None:
        self._read = read
        self._timeline = timeline
        self._seen = 0

    def read_after(self, seq: int, limit: int) -> list[Event]:
        """The next events above ``seq``."""

        def query(view: Reading) -> list[Event]:
            entries = read_page(view, EntryQuery(after=seq), min(limit, limits.PAGE_ROWS_MAX))
            return [event_of(view, entry, self._timeline) for entry in entries]

        return self._read(query)  # type: ignore[no-any-return]

    def head(self) -> int:
        """The newest entry's seq."""
        row = self._read(lambda view: view.one("SELECT max(seq) FROM entry"))
        return (row[0] or 0) if row else 0

    def changed(self) -> bool:
        """Whether there are entries that the last call did not see."""
        head = self.head()
        seen, self._seen = self._seen, head
        return head != seen

    def position(self, seq: int) -> Position:
        """The position after ``seq``."""
        row = None if seq == 0 else self._read(lambda view: view.one("SELECT hash FROM entry WHERE seq = ?", (seq,)))
        return Position(self._timeline, seq, (row[0] if row else GENESIS).hex())

    def convert(self, entries: list[Entry]) -> list[Event]:
        """Events of entries that were just committed."""

        def query(view: Reading) -> list[Event]:
            return [event_of(view, entry, self._timeline) for entry in entries]

        return self._read(query)  # type: ignore[no-any-return]


def event_of(view: Reading, entry: Entry, timeline: str) -> Event:
    """The event that subscribers see for an entry. A change of state also carries the value it replaced."""
    data = entry.data
    user = entry.kind == "event.published" and data is not None
    message = data if user else {}
    if entry.kind.startswith("state.") and data is not None:
        data["old_value"] = _old_value(view, data.get("previous", 0))
        data["operation"] = entry.kind.removeprefix("state.")
    return Event(
        id=id_text(entry.id),
        seq=entry.seq,
        type=message["type"] if user else entry.kind,
        data=message["data"] if user else data,
        time_ns=entry.at,
        correlation_id=id_text(entry.correlation),
        timeline=timeline,
        hash=entry.hash.hex(),
        session=id_text(entry.session) if entry.session else None,
        cause=entry.cause or None,
        actor=entry.actor,
        tags=tuple(message.get("tags", ())),
        source=message.get("source"),
        target=message.get("target"),
        priority=message.get("priority", 0),
        expires_ns=message.get("expires_at"),
        system=not user,
        version=entry.kind_version,
    )


def _old_value(view: Reading, previous: int) -> Any:
    entry = entry_at(view, previous) if previous else None
    return (
        entry.data["value"] if entry is not None and entry.kind == "state.set" and entry.payload is not None else None
    )
