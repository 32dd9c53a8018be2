"""Lists of sessions: as of the seq at which the first page was read, so that paging is stable while sessions change."""

from __future__ import annotations

from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.page import Page, cursor_id, cursor_seq, read_cursor, write_cursor
from llmspell.ports.database import Reading
from llmspell.schema import queries
from llmspell.sessions.info import SessionInfo
from llmspell.sessions.query import SessionFilter

_SQL = queries("llmspell.sessions")
_INFO, _BELOW = _SQL["info"], _SQL["below"]
_AT_ONCE = 500
_PARENTS_MAX = 10_000
_ORDERS = {"updated_at": ("s.updated_at", 12), "created_at": ("s.id", 0)}


def list_page(view: Reading, wanted: SessionFilter, order_by: str, limit: int, cursor: str | None) -> Page[SessionInfo]:
    """One page, in one read."""
    sql, args, column, seq = select(view, wanted, order_by, limit, cursor)
    rows = view.all(sql, args)
    items = [SessionInfo(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(items)
    last = rows[limit - 1]
    edge = last[column].hex() if column == 0 else last[column]
    return Page(items, write_cursor("sessions", order_by, seq, edge, last[0].hex()))


def select(
    view: Reading, wanted: SessionFilter, order_by: str, limit: int, cursor: str | None
) -> tuple[str, list[Any], int, int]:
    """The query of a page with its arguments, the column it is ordered by, and the seq it is as of."""
    name = order_by.removeprefix("-") if type(order_by) is str else ""
    if name not in _ORDERS:
        raise InvalidInput(
            f"order_by is one of {', '.join(_ORDERS)}, with - for newest first, not {order_by!r}", code="invalid-order"
        )
    expression, column = _ORDERS[name]
    falling = order_by.startswith("-")
    direction, beyond = ("DESC", "<") if falling else ("ASC", ">")
    where, args = wanted.conditions()
    if cursor is None:
        row = view.one("SELECT max(seq) FROM entry")
        seq = (row[0] if row else 0) or 0
        present = (
            f"{_INFO} WHERE s.until_seq IS NULL{where} ORDER BY {expression} {direction}, s.id {direction} LIMIT ?"
        )
        return present, [*args, limit + 1], column, seq
    _, given_order, seq, edge, last_id = read_cursor(cursor, "sessions", 5)
    if given_order != order_by:
        raise InvalidInput(f"this cursor belongs to a list ordered by {given_order!r}", code="invalid-cursor")
    seq, last_id = cursor_seq(seq), cursor_id(last_id)
    edge = cursor_id(edge) if column == 0 else cursor_seq(edge)
    where += f" AND ({expression}, s.id) {beyond} (?, ?)"
    args += [edge, last_id]
    order = f" ORDER BY {expression} {direction}, s.id {direction} LIMIT ?"
    branches = (
        f"SELECT * FROM ({_INFO} WHERE s.until_seq IS NULL AND s.since_seq <= ?{where}{order})",
        f"SELECT * FROM ({_INFO} WHERE s.until_seq > ? AND s.since_seq <= ?{where}{order})",
    )
    both = f"{' UNION ALL '.join(branches)} ORDER BY {column + 1} {direction}, 1 {direction} LIMIT ?"
    every = [seq, *args, limit + 1, seq, seq, *args, limit + 1, limit + 1]
    return both, every, column, seq


def count_sessions(view: Reading, wanted: SessionFilter, most: int | None) -> int:
    """How many sessions fit, counted up to ``most``."""
    where, args = wanted.conditions()
    some = f"SELECT 1 FROM session s WHERE s.until_seq IS NULL{where}"
    if most is not None:
        some += " LIMIT ?"
        args.append(most)
    row = view.one(f"SELECT count(*) FROM ({some})", args)
    return 0 if row is None else int(row[0])


def tree_rows(view: Reading, root: bytes, most: int) -> list[SessionInfo]:
    """A session and those below it, in the order of their ids."""
    ids = [row[0] for row in view.all(_BELOW, (root, most))]
    found: list[SessionInfo] = []
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        marks = ",".join("?" * len(part))
        found += map(SessionInfo, view.all(f"{_INFO} WHERE s.until_seq IS NULL AND s.id IN ({marks})", part))
    return sorted(found, key=lambda info: info.id)


def children_of(view: Reading, session: bytes) -> list[SessionInfo]:
    """The sessions directly below one, oldest first."""
    found = view.all(f"{_INFO} WHERE s.until_seq IS NULL AND s.parent = ? ORDER BY s.id", (session,))
    return [SessionInfo(row) for row in found]


def parents_of(view: Reading, session: bytes) -> list[SessionInfo]:
    """The sessions above one, the nearest first."""
    found: list[SessionInfo] = []
    row = view.one(f"{_INFO} WHERE s.until_seq IS NULL AND s.id = ?", (session,))
    while row is not None and row[9] is not None and len(found) < _PARENTS_MAX:
        row = view.one(f"{_INFO} WHERE s.until_seq IS NULL AND s.id = ?", (row[9],))
        if row is not None:
            found.append(SessionInfo(row))
    return found
