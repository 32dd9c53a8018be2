"""What a fork inherits: keys of the sessions that it goes back to, as they were at the entry where it left each.

A fork's own row always comes first, one of a deleted key too. Without one, the nearest session of the lineage that ever
had the key up to its bound says what it is: by its row of today if that is not younger, else by the journal. What is
inherited never changes, so a read of it needs no moment of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import NotFound
from llmspell.journal.asking import Asking, Asks, driven
from llmspell.journal.lineage import ALWAYS, Level, Lineage
from llmspell.journal.reading import COLUMNS, EntryQuery, check_row, read_page
from llmspell.model import limits
from llmspell.model.entry import Entry, subject_digest
from llmspell.schema import queries
from llmspell.state.kinds import StateDeleted, StateSet
from llmspell.state.projection import check_sum
from llmspell.state.rows import end_of_prefix, load_row

if TYPE_CHECKING:
    from llmspell.ports.database import Reading, Row
    from llmspell.state.values import StateEntry

_SQL = queries("llmspell.state")
_ROW, _ALL = _SQL["row"], _SQL["all_keys"]
_THEN = f"SELECT {COLUMNS} FROM entry WHERE subject = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
_KEYS = "SELECT key FROM state WHERE scope = ? AND key > ? AND seq > ? ORDER BY key LIMIT 500"
_IS_THERE = "SELECT 1 FROM fork_level WHERE session = ? AND depth = 1 AND (until_seq IS NULL OR until_seq > ?)"
_set = msgspec.json.Decoder(StateSet).decode
_deleted = msgspec.json.Decoder(StateDeleted).decode
_CHUNK_MIN, _CHUNK_MAX = 50, 1000
Keyed = tuple[str, "Row"]
"""A key with its row, as ``row`` selects it; one of a deleted key carries its version."""


@cache
def _rows_sql(levels: int) -> str:
    """Rows of a key in so many scopes, in their order; those of a fork that was deleted inherit nothing."""
    scopes = ", ".join("(?, ?)" for _ in range(levels))
    return (
        f"WITH level (place, scope) AS (VALUES {scopes})"
        " SELECT v.place, s.version, s.seq, s.at, s.expires_at, s.deleted, s.value, s.check_sum, s.class"
        " FROM level v CROSS JOIN state s ON s.scope = v.scope AND s.key = ?"
        f" WHERE v.place = 0 OR EXISTS ({_IS_THERE}) ORDER BY v.place"
    )


async def row_at(asks: Asks, lineage: Lineage, key: str, seq: int, *, own: bool = True) -> Row | None:
    """The row of a key as it was after ``seq``; without ``own``, of what is inherited. One statement, and a look at the
    journal where the key changed since.
    """
    places = range(0 if own else 1, len(lineage))
    args = [number for place in places for number in (place, lineage[place].scope)]
    for place, *row in await asks.all(_rows_sql(len(places)), (*args, key, lineage[0].session, seq)):
        found = await _up_to(asks, lineage[place], key, tuple(row), seq)
        if found is not None:
            return found
    return None


async def inherited_row(asks: Asks, lineage: Lineage, key: str) -> Row | None:
    """The row of a key that the fork has no row of its own for."""
    return await row_at(asks, lineage, key, ALWAYS, own=False)


def row_now(view: Reading, scope: tuple[int, bytes], lineage: Lineage | None, key: str) -> Row | None:
    """The row of a key as it is now, in a fork's scope or in any other."""
    row = view.one(_ROW, (scope[0], key))
    if row is None and lineage is not None:
        return driven(inherited_row(Asking(view), lineage, key))
    return row


def load_inherited(
    view: Reading, lineage: Lineage, key: str, now: int, shown: Callable[[StateSet], Any]
) -> StateEntry | None:
    """What a key without a row of its own holds."""
    return load_row(view, key, driven(inherited_row(Asking(view), lineage, key)), now, shown)


async def rows_page(
    asks: Asks, lineage: Lineage, after: str, low: str, high: str, limit: int, seq: int = ALWAYS
) -> tuple[list[Keyed], str | None]:
    """Rows of keys beyond ``after``, from ``low`` up to ``high``, as they were after ``seq``, in the order of the keys;
    and the key that the next page begins beyond, None when this is the last. About ``limit`` of them, at least one
    unless it is the last.
    """
    there = await asks.one(_IS_THERE, (lineage[0].session, seq)) is not None
    levels = lineage if there else lineage[:1]
    chunk = min(max(limit, _CHUNK_MIN), _CHUNK_MAX)
    parts = [await asks.all(_ALL, (level.scope, after, low, high, chunk)) for level in levels]
    ends = [rows[-1][0] for rows in parts if len(rows) == chunk]
    end = min(ends) if ends else None
    candidates: dict[str, list[tuple[Level, Row]]] = {}
    for level, rows in zip(levels, parts, strict=True):
        for key, *row in rows:
            if end is None or key <= end:
                candidates.setdefault(key, []).append((level, tuple(row)))
    found = []
    for key in sorted(candidates):
        for level, row in candidates[key]:
            then = await _up_to(asks, level, key, row, seq)
            if then is not None:
                found.append((key, then))
                break
    return found, end


async def all_rows(asks: Asks, lineage: Lineage, seq: int = ALWAYS) -> list[Keyed]:
    """Rows of all keys of a fork, those of deleted ones too."""
    found: list[Keyed] = []
    after: str | None = ""
    while after is not None:
        page, after = await rows_page(asks, lineage, after, "", end_of_prefix(""), _CHUNK_MAX, seq)
        found += page
    return found


def load_rows(
    view: Reading, lineage: Lineage, bounds: tuple[str, str, str], limit: int, now: int,
    shown: Callable[[StateSet], Any], *, values: bool = True, seq: int = ALWAYS,
) -> tuple[list[StateEntry], str | None]:  # fmt: skip
    """The visible entries of a page, and where the next begins. ``bounds`` are the key that it begins beyond, and the
    first and the last that count; without ``values``, long ones are not fetched.
    """
    rows, end = driven(rows_page(Asking(view), lineage, *bounds, limit, seq))
    held = (load_row(view if values else None, key, row, now, shown) for key, row in rows)
    return [one for one in held if one is not None], end


def entries_of(view: Reading, levels: Sequence[Level], key: str, before: int, limit: int) -> list[Entry]:
    """Entries about a key, the newest first, and on into the sessions that a fork goes back to; checked."""
    found: list[Entry] = []
    for level in levels:
        if len(found) == limit:
            break
        subject = subject_digest(level.salt, f"state/{key}")
        bound = before if level.bound >= before else level.bound + 1
        query = EntryQuery(subject=subject, before=bound, newest_first=True)
        found += read_page(view, query, limit - len(found))
    return found


def written_keys(view: Reading, levels: Sequence[Level], after: str) -> Iterator[str]:
    """Keys beyond one, in their order, that were written in any of these sessions after its bound."""
    while True:
        parts = [view.all(_KEYS, (level.scope, after, level.bound)) for level in levels]
        ends = [rows[-1][0] for rows in parts if len(rows) == 500]
        end = min(ends) if ends else None
        yield from sorted({key for rows in parts for (key,) in rows if end is None or key <= end})
        if end is None:
            return
        after = end


async def _up_to(asks: Asks, level: Level, key: str, row: Row, seq: int) -> Row | None:
    bound = min(level.bound, seq)
    if row[1] <= bound:
        return row
    stored = await asks.one(_THEN, (subject_digest(level.salt, f"state/{key}"), bound))
    if stored is None:
        return None
    entry = check_row(stored)
    if entry.payload is None and seq == ALWAYS:
        # It was sealed by a key that was shredded. What came before it must not come back, and the fork goes on.
        sum_ = check_sum(key, 0, entry.seq, entry.happened_at, None, 1, None, "standard")
        return 0, entry.seq, entry.happened_at, None, 1, None, sum_, "standard"
    return _row_of(entry, key)


def _row_of(entry: Entry, key: str) -> Row:
    """The row that an entry made."""
    if entry.payload is None:
        raise NotFound(f"what {key!r} held in entry {entry.seq} was erased", code="erased", seq=entry.seq)
    at = entry.happened_at
    if entry.kind != "state.set":
        version = _deleted(entry.payload).version
        sum_ = check_sum(key, version, entry.seq, at, None, 1, None, "standard")
        return version, entry.seq, at, None, 1, None, sum_, "standard"
    held = _set(entry.payload)
    raw, class_ = bytes(held.value), held.state_class
    inline = raw if len(raw) <= limits.STATE_INLINE_BYTES_MAX and class_ != "sensitive" else None
    sum_ = check_sum(key, held.version, entry.seq, at, held.expires_at, 0, inline, class_)
    value = None if inline is None else inline.decode()
    return held.version, entry.seq, at, held.expires_at, 0, value, sum_, class_
