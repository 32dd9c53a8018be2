"""Which entries are a session's own, in their order, as a bundle carries them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from llmspell.artifacts.kinds import ArtifactErased
from llmspell.errors import Corrupt
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.model.entry import REDACTED, Entry, subject_digest
from llmspell.model.ids import id_bytes, id_text
from llmspell.portable.payloads import CARRIED
from llmspell.portable.records import Carried
from llmspell.ports.database import Reading, Row
from llmspell.runs.items import Item
from llmspell.runs.items import Sealed as SealedItem
from llmspell.runs.kinds import RunFailed, RunFinished, RunRecorded
from llmspell.schema import queries
from llmspell.state.kinds import StateSet

_PAGE_ENTRIES = 256
_PAGE_BYTES = 4 << 20
_FIRST = (
    "SELECT seq FROM entry WHERE subject = ? AND seq <= ? AND kind IN ('session.created', 'session.forked')"
    " ORDER BY seq DESC LIMIT 1"
)
_SIZES = "SELECT seq, octet_length(payload) FROM entry WHERE session = ? AND seq > ? AND seq <= ?"
_PAGE = f"SELECT {COLUMNS} FROM entry WHERE session = ? AND seq > ? AND seq <= ?"
_ORDERED = " ORDER BY seq"
_SEALABLE = " AND +kind IN ('run.recorded', 'run.finished', 'run.failed', 'state.set')"
"""Entries that may hold what is sealed."""
_ONE = f"SELECT {COLUMNS} FROM entry WHERE seq = ?"
_OUTSIDE = (
    "SELECT seq FROM entry WHERE subject = ? AND seq BETWEEN ? AND ? AND (session IS NULL OR session <> ?)"
    " AND payload IS NOT NULL"
)
_SESSIONS = queries("llmspell.sessions")
_OWNER = {
    "artifact": "SELECT session FROM artifact WHERE id = ? LIMIT 1", "run": "SELECT session FROM run WHERE id = ?",
}  # fmt: skip
_SINCE = "SELECT 1 FROM artifact WHERE id = ? AND session = ? AND since_seq > ? LIMIT 1"
Read = Callable[[Callable[[Reading], Any]], Any]
_item = msgspec.json.Decoder(Item | SealedItem).decode
_encode = msgspec.json.Encoder().encode


class Leaving:
    """The entries of one session up to ``seq``. ``opened`` gives the text of a sealed value, or None to redact them.
    ``left_out`` counts, by kind, what of the session's timeline is not its own or was erased.
    """

    def __init__(
        self, read: Read, kinds: Any, session: bytes, seq: int, opened: Callable[[StateSet], Any] | None
    ) -> None:
        self._read = read
        self._kinds = kinds
        self._session = session
        self._id = id_text(session)
        self._scope = f"session:{self._id}"
        self._last = seq
        self._opened = opened
        self.first, self._outside = read(self._look)
        """The seq that the session begins with; it may have been here before, and have been deleted."""
        self.left_out: dict[str, int] = {}
        self.redacted = 0
        """Sealed values, and sealed items of runs, that were replaced."""

    @property
    def spans(self) -> list[tuple[bytes, int, int]]:
        """The session, with its first and its last entry."""
        return [(self._session, self.first, self._last)]

    def entries(self, only: str = "") -> Iterator[Carried]:
        """Oldest first, each hash checked. No read transaction is held between two of them."""
        inside = self._inside(self.first - 1, only)
        for entry in heapq.merge(inside, self._at(self._outside), key=lambda entry: entry.seq):
            carried = self._carried(entry)
            if carried is not None:
                yield carried

    def seals(self) -> bool:
        """Whether anything would be redacted. Reads entries that may be, until the first that is."""
        return any(self.redacted for _ in self.entries(_SEALABLE))

    def _look(self, view: Reading) -> tuple[int, list[int]]:
        """The seq that the session begins with, and those of its entries that were written outside of it."""
        scope = view.one("SELECT id, salt FROM scope WHERE name = ?", (self._scope,))
        if scope is None:
            raise Corrupt(f"session {self._id} has no scope")
        row = view.one(_FIRST, (subject_digest(scope[1], "session"), self._last))
        if row is None:
            raise Corrupt(f"session {self._id} is there, but no entry creates it")
        first = row[0]
        subjects = [subject for (subject,) in view.all(_SESSIONS["subjects"], (self._session, self._scope))]
        subjects += [f"run/{id_text(run)}" for (run,) in view.all(_SESSIONS["runs_of"], (self._session,))]
        found = set[int]()
        for subject in subjects:
            args = (subject_digest(scope[1], subject), first, self._last, self._session)
            found.update(seq for (seq,) in view.all(_OUTSIDE, args))
        return first, sorted(found)

    def _inside(self, after: int, only: str) -> Iterator[Entry]:
        while True:
            page, last = self._read(partial(self._page, after, only))
            if last is None:
                return
            yield from page
            after = last

    def _page(self, after: int, only: str, view: Reading) -> tuple[list[Entry], int | None]:
        taken, end = 0, None
        sizes = f"{_SIZES}{only}{_ORDERED} LIMIT {_PAGE_ENTRIES}"
        for seq, stored in view.all(sizes, (self._session, after, self._last)):
            taken += stored or 0
            if end is not None and taken > _PAGE_BYTES:
                break
            end = seq
        if end is None:
            return [], None
        rows = view.all(f"{_PAGE}{only}{_ORDERED}", (self._session, after, end))
        return [check_row(row) for row in rows], end

    def _at(self, seqs: list[int]) -> Iterator[Entry]:
        for seq in seqs:
            row = self._read(partial(_one, seq))
            if row is not None:
                yield check_row(row)

    def _carried(self, entry: Entry) -> Carried | None:
        kind = CARRIED.get(entry.kind)
        if entry.payload is None or kind is None or entry.kind_version > kind.version:
            self._leave(entry)
            return None
        payload = self._kinds.decode(entry.kind, entry.payload)
        if not self._is_own(entry, payload):
            self._leave(entry)
            return None
        raw = entry.payload
        if isinstance(payload, StateSet) and payload.state_class == "sensitive":
            raw = _encode(self._shown(payload))
        elif isinstance(payload, RunRecorded):
            raw = _encode(msgspec.structs.replace(payload, items=[self._unsealed(item) for item in payload.items]))
        elif isinstance(payload, RunFinished | RunFailed) and payload.sealed is not msgspec.UNSET and not self._opened:
            self.redacted += 1
            raw = _encode(msgspec.structs.replace(payload, sealed=REDACTED))
        return Carried(
            entry.seq, id_text(entry.id), entry.happened_at, entry.kind, entry.kind_version,
            id_text(entry.correlation), entry.cause if entry.cause < entry.seq else 0, entry.actor, msgspec.Raw(raw),
            entry.session == self._session,
        )  # fmt: skip

    def _leave(self, entry: Entry) -> None:
        if entry.session == self._session and not entry.kind.startswith("session.imported"):
            what = "erased" if entry.payload is None else entry.kind
            self.left_out[what] = self.left_out.get(what, 0) + 1

    def _shown(self, payload: StateSet) -> StateSet:
        """A sealed value in clear, or as an external value is kept whose secret was replaced."""
        if self._opened is not None:
            value = msgspec.Raw(_encode(self._opened(payload)))
            return msgspec.structs.replace(payload, value=value)
        self.redacted += 1
        return msgspec.structs.replace(
            payload, value=msgspec.Raw(_encode(REDACTED)), state_class="external",
            redacted=[{"path": "$", "kind": "sensitive"}],
        )  # fmt: skip

    def _is_own(self, entry: Entry, payload: Any) -> bool:
        room = entry.kind.partition(".")[0]
        if room in {"event", "correlation"}:
            return entry.session == self._session
        if room == "state":
            return bool(payload.scope == self._scope)
        if room == "session":
            return bool(payload.id == self._id)
        if isinstance(payload, ArtifactErased):
            args = id_bytes(payload.id), self._session, self.first
            return self._read(lambda view: view.one(_SINCE, args)) is not None
        said = getattr(payload, "session", None)
        if said is not None or not hasattr(payload, "id"):  # Without an id it is about the whole store.
            return bool(said == self._id)
        row = self._read(lambda view: view.one(_OWNER[room], (id_bytes(payload.id),)))
        return row is not None and bool(row[0] == self._session)

    def _unsealed(self, raw: msgspec.Raw) -> msgspec.Raw:
        """An item of a run's record. A sealed one shows nothing, unless secrets are carried: then it stays as it is,
        which this store alone opens again.
        """
        item = _item(raw)
        if not isinstance(item, SealedItem) or self._opened is not None:
            return raw
        self.redacted += 1
        return msgspec.Raw(_encode(SealedItem(item.path, REDACTED)))


def _one(seq: int, view: Reading) -> Row | None:
    return view.one(_ONE, (seq,))
