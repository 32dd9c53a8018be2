"""State as it was: the newest entry of each key up to a bound, read from the journal with its hash checked.

Where a key has not changed since, its row of today is what it was, and is read instead. A value's time to live is held
against the time of the view. Sealed values show as ``[REDACTED]``: whoever may read them reads the state itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from llmspell.errors import InvalidInput, NotFound
from llmspell.journal.asking import Asking, driven
from llmspell.journal.lineage import ALWAYS, Level, Lineage, find_scope
from llmspell.journal.reading import COLUMNS, check_row, check_rows
from llmspell.model.clock import to_datetime
from llmspell.model.entry import REDACTED, Entry, subject_digest
from llmspell.model.keys import check_key
from llmspell.model.page import Page, check_limit, cursor_seq, cursor_text, read_cursor, write_cursor
from llmspell.model.values import decode_value, encode_value
from llmspell.schema import queries
from llmspell.state.inherited import entries_of, load_rows, row_at, written_keys
from llmspell.state.kinds import StateSet
from llmspell.state.rows import change_of, check_after, end_of_prefix, load_row
from llmspell.state.values import StateChange, StateDifference, StateEntry

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal
    from llmspell.model.scope import Scope
    from llmspell.ports.database import Reading, Row

_SQL = queries("llmspell.state")
_ROW, _ALL, _CHANGED, _CHANGED_OF = _SQL["row"], _SQL["all_keys_then"], _SQL["changed"], _SQL["changed_of"]
_THEN = f"SELECT {COLUMNS} FROM entry WHERE subject = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
_FIRST = "SELECT kind FROM entry WHERE subject = ? ORDER BY seq LIMIT 1"
_payload = msgspec.json.Decoder(StateSet).decode
_PAGE_ROWS = 1000
_SPARE_ROWS = 20
"""Rows read beyond a limit: some keys of today were not there then."""
_AT_ONCE = 500
"""Subjects of one statement."""
_CANDIDATES_MAX = 20_000
"""Keys that one page of differences looks at: it ends with a cursor then, however few differ."""
_ScopeRow = tuple[int, bytes]


class Moment(NamedTuple):
    """A point of the journal: after entry ``seq`` (0: before the first), at the time ``now`` in nanoseconds."""

    seq: int
    now: int


class AsyncPastState:
    """The keys of one scope as they were. Get it from ``store.at(when)``: ``state`` or ``state_of(scope)``."""

    def __init__(self, journal: Journal, scope: Scope, moment: Moment) -> None:
        self._journal = journal
        self._moment = moment
        self.scope = scope

    async def get(self, key: str, default: Any = None) -> Any:
        """The value that ``key`` had, or ``default``. About 10 µs, however long ago and however often it changed."""
        found = await self.entry(key)
        return default if found is None else found.value

    async def entry(self, key: str) -> StateEntry | None:
        """The value with its version, seq and times; None when there was none."""
        key = check_key(key)
        scope = await self._journal.scope(self.scope.name)
        if scope is None:
            return None
        database, moment = self._journal.database, self._moment
        lineage = self._journal.scopes.lineages.get(self.scope.name)
        if lineage is not None:
            return await database.read(lambda view: _of_fork(view, lineage, key, moment))
        row = await database.one(_ROW, (scope[0], key))
        if row is not None and row[1] > moment.seq:  # What an entry says stays so: no need to read both at one moment.
            subject = subject_digest(scope[1], f"state/{key}")
            return _then(await database.one(_THEN, (subject, moment.seq)), key, moment)
        found: StateEntry | None = await self._read(
            lambda view, scope: at_moment(view, scope, key, view.one(_ROW, (scope[0], key)), moment)
        )
        return found

    async def exists(self, key: str) -> bool:
        """Whether ``key`` had a value."""
        return await self.entry(key) is not None

    async def keys(self, *, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        """Keys that had a value, in code point order; those beginning with ``prefix``, beyond ``after``."""
        return [key for key, _ in await self._page(prefix, after, limit)]

    async def items(self, *, prefix: str = "", after: str = "", limit: int | None = None) -> list[tuple[str, Any]]:
        """Keys and values, as ``keys`` orders them."""
        return await self._page(prefix, after, limit)

    async def history(self, key: str, *, limit: int = 100, before: int | None = None) -> list[StateChange]:
        """Changes that ``key`` had seen, newest first; the next page is ``before`` the last one's seq."""
        key, limit = check_key(key), check_limit(limit)
        bound = self._moment.seq + 1 if before is None else min(cursor_seq(before), self._moment.seq + 1)

        def query(view: Reading, scope: _ScopeRow) -> list[StateChange]:
            levels = self._journal.scopes.lineages.get(self.scope.name) or (Level(b"", *scope, ALWAYS),)
            return [change_of(entry, hidden) for entry in entries_of(view, levels, key, bound, limit)]

        return await self._read(query) or []

    async def _read(self, query: Callable[[Reading, _ScopeRow], Any]) -> Any:
        scope = await self._journal.scope(self.scope.name)
        if scope is None:
            return None
        return await self._journal.database.read(lambda view: query(view, self._demand_whole(view, scope)))

    def _demand_whole(self, view: Reading, scope: _ScopeRow) -> _ScopeRow:
        """Nothing of a shredded session is found any more, which is not that there was nothing."""
        if self.scope.name.startswith("session:"):
            first = view.one(_FIRST, (subject_digest(scope[1], "session"),))
            if first is not None and first[0] == "payload.erased":  # Its scope got another salt with these entries.
                raise NotFound(f"the session of scope {self.scope.name} was shredded", code="erased")
        return scope

    async def _page(self, prefix: str, after: str, limit: int | None) -> list[tuple[str, Any]]:
        if limit is not None and (type(limit) is not int or limit < 1):
            raise InvalidInput(f"limit is a number from 1, not {limit!r:.80}", code="invalid-limit")
        after, high = check_after(after), end_of_prefix(prefix)
        found: list[tuple[str, Any]] = []
        wanted = _PAGE_ROWS if limit is None else min(limit + _SPARE_ROWS, _PAGE_ROWS)
        while limit is None or len(found) < limit:

            def query(
                view: Reading, scope: _ScopeRow, after: str = after, wanted: int = wanted
            ) -> tuple[int, str, list[tuple[str, Any]]]:
                lineage = self._journal.scopes.lineages.get(self.scope.name)
                if lineage is not None:
                    now, seq = self._moment.now, self._moment.seq
                    held, end = load_rows(view, lineage, (after, prefix, high), wanted, now, hidden, seq=seq)
                    return 0 if end is None else wanted, end or "", [(one.key, one.value) for one in held]
                rows = view.all(_ALL, (self._moment.seq, scope[0], after, prefix, high, wanted))
                return len(rows), rows[-1][0] if rows else after, values_at(view, scope, rows, self._moment)

            rows, after, page = await self._read(query) or (0, after, [])
            found += page
            if rows < wanted:
                break
            wanted = min(4 * wanted, _PAGE_ROWS)
        return found[:limit]


def at_moment(view: Reading, scope: _ScopeRow, key: str, row: Row | None, moment: Moment) -> StateEntry | None:
    """What a key held, by its row of today (as ``row`` selects it) and by the journal.

    Raises Corrupt, and NotFound (``erased``) when what it held was erased since.
    """
    if row is None:
        return None
    if row[1] <= moment.seq:
        return load_row(view, key, row, moment.now, hidden)
    return _then(view.one(_THEN, (subject_digest(scope[1], f"state/{key}"), moment.seq)), key, moment)


def _of_fork(view: Reading, lineage: Lineage, key: str, moment: Moment) -> StateEntry | None:
    """The same in a fork, whose history is that of the session it left until then."""
    row = driven(row_at(Asking(view), lineage, key, moment.seq))
    return load_row(view, key, row, moment.now, hidden)


def _then(stored: Row | None, key: str, moment: Moment) -> StateEntry | None:
    if stored is None:
        return None
    entry = check_row(stored)
    held = _held(entry, key, moment)
    if held is None:
        return None
    until = None if held.expires_at is None else to_datetime(held.expires_at)
    return StateEntry(
        key, hidden(held), held.version, entry.seq, to_datetime(entry.happened_at), until, held.state_class
    )


def values_at(view: Reading, scope: _ScopeRow, rows: list[Row], moment: Moment) -> list[tuple[str, Any]]:
    """Keys and values at a moment, of rows of today with the key before what ``row`` selects. 5 µs a key: what changed
    since is fetched and checked all at once.
    """
    found: dict[str, Any] = {}
    subjects: dict[bytes, str] = {}
    for row in rows:
        key = row[0]
        if row[2] > moment.seq:
            subjects[subject_digest(scope[1], f"state/{key}")] = key
            continue
        held = load_row(view, key, row[1:], moment.now, hidden)
        if held is not None:
            found[key] = held.value
    wanted = list(subjects)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        for entry in check_rows(view.all(_then_of(len(part)), (*part, moment.seq))):
            key = subjects[entry.subject]
            held_then = _held(entry, key, moment)
            if held_then is not None:
                found[key] = hidden(held_then)
    if not subjects:
        return list(found.items())
    return [(row[0], found[row[0]]) for row in rows if row[0] in found]


@cache
def _then_of(count: int) -> str:
    """The newest entry up to a seq, of each of so many subjects."""
    wanted = ",".join(["(?)"] * count)
    then = f"SELECT seq FROM entry e WHERE e.subject = w.subject AND e.seq <= ?{count + 1} ORDER BY e.seq DESC LIMIT 1"
    return (
        f"WITH wanted (subject) AS (VALUES {wanted})"
        f" SELECT {COLUMNS} FROM entry WHERE seq IN (SELECT ({then}) FROM wanted w)"
    )


def _held(entry: Entry, key: str, moment: Moment) -> StateSet | None:
    """What an entry of a key says that it held, None when nothing. Raises NotFound (``erased``)."""
    if entry.kind != "state.set":
        return None
    if entry.payload is None:
        raise NotFound(f"what {key!r} held in entry {entry.seq} was erased", code="erased", seq=entry.seq)
    held = _payload(entry.payload)
    return None if held.expires_at is not None and held.expires_at <= moment.now else held


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be compared: two moments, in one scope (name, or None: all)."""

    before: Moment
    after: Moment
    scope: str | None = None

    def page(self, view: Reading, limit: int, cursor: str | None) -> Page[StateDifference]:
        """A page of what differs, by scope (oldest first) and key. Of all scopes, what was written in each; of a fork's
        alone, also what it inherits.
        """
        beyond = (0, "")
        if cursor is not None:
            _, scope_id, key = read_cursor(cursor, "diff", 3)
            beyond = cursor_seq(scope_id), cursor_text(key)
        found: list[StateDifference] = []
        for read, (place, one) in enumerate(self._candidates(view, *beyond), 1):
            if one is not None:
                found.append(one)
            if len(found) == limit or read == _CANDIDATES_MAX:
                return Page(found, write_cursor("diff", *place))
        return Page(found)

    def _candidates(
        self, view: Reading, scope_id: int, key: str
    ) -> Iterator[tuple[tuple[int, str], StateDifference | None]]:
        """Keys that were written after the earlier moment, or whose time ran out before the later one."""
        scope = None if self.scope is None else driven(find_scope(Asking(view), self.scope))
        if scope is not None and scope.lineage is not None:
            yield from self._of_fork(view, scope.id, scope.lineage, key)
            return
        low = min(self.before.seq, self.after.seq)
        until = max(self.before.now, self.after.now)
        forks = view.one("SELECT 1 FROM fork_level LIMIT 1") is not None
        known: dict[int, Lineage | None] = {}
        while True:
            rows = (
                view.all(_CHANGED, (scope_id, key, low, until, _PAGE_ROWS))
                if self.scope is None
                else view.all(_CHANGED_OF, (self.scope, key, low, until, _PAGE_ROWS))
            )
            for scope_id, salt, name, key, *row in rows:  # noqa: PLR1704 - where the next page begins
                if scope_id not in known:
                    found = driven(find_scope(Asking(view), name)) if forks else None
                    known[scope_id] = None if found is None else found.lineage
                place = known[scope_id] or (scope_id, salt)
                yield (scope_id, key), self._difference(view, place, name, key, tuple(row))
            if len(rows) < _PAGE_ROWS:
                return

    def _of_fork(
        self, view: Reading, scope_id: int, lineage: Lineage, after: str
    ) -> Iterator[tuple[tuple[int, str], StateDifference | None]]:
        """Every key that it or a session that it goes back to ever had: what is inherited may also be there only from
        a moment on, and run out, without anything being written.
        """
        name = str(self.scope)
        for key in written_keys(view, [level._replace(bound=0) for level in lineage], after):
            was, now = (_of_fork(view, lineage, key, moment) for moment in (self.before, self.after))
            yield (scope_id, key), difference(name, key, was, now)

    def _difference(
        self, view: Reading, place: Lineage | _ScopeRow, name: str, key: str, row: Row
    ) -> StateDifference | None:
        def held(moment: Moment) -> StateEntry | None:
            if isinstance(place[0], Level):
                return _of_fork(view, place, key, moment)
            return at_moment(view, place, key, row, moment)

        return difference(name, key, held(self.before), held(self.after))


def difference(scope: str, key: str, before: StateEntry | None, after: StateEntry | None) -> StateDifference | None:
    """What two values of a key differ in; None when in nothing. Sealed ones differ where their entries do."""
    if before is None and after is None:
        return None
    if before is None or after is None:
        return StateDifference(scope, key, "added" if before is None else "removed", before, after)
    if before.seq == after.seq or (before.value != REDACTED and _same(before.value, after.value)):
        return None
    return StateDifference(scope, key, "changed", before, after)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1, 1.0 and true are three."""
    return encode_value(one) == encode_value(other)


def hidden(payload: StateSet) -> Any:
    """What a view shows of a value: nothing of a sealed one."""
    return REDACTED if payload.state_class == "sensitive" else decode_value(payload.value)
