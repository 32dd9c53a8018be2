"""Lists of sessions: as of the seq at which the first page was read, so that paging is stable while sessions change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.page import Page, cursor_id, cursor_seq, read_cursor, write_cursor
from llmspell.ports.database import Reading
from llmspell.schema import queries
from llmspell.sessions.info import SessionInfo

_INFO = queries("llmspell.sessions")["info"]
_ORDERS = {"updated_at": ("s.updated_at", 12), "created_at": ("s.id", 0)}


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Conditions that hold together; None and empty mean any."""

    status: str | None = None
    tags: tuple[str, ...] = ()
    created_by: str | None = None
    parent: bytes | None = None
    name: str | None = None


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
    where, args = _conditions(wanted)
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


def _conditions(wanted: SessionFilter) -> tuple[str, list[Any]]:
    where, args = "", []
    for column, value in (
        ("status", wanted.status), ("created_by", wanted.created_by), ("parent", wanted.parent), ("name", wanted.name),
    ):  # fmt: skip
        if value is not None:
            where += f" AND s.{column} = ?"
            args.append(value)
    for tag in wanted.tags:
        where += " AND EXISTS (SELECT 1 FROM json_each(s.tags) WHERE value = ?)"
        args.append(tag)
    return where, args
