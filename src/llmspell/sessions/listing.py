"""Lists of sessions: as of the seq at which the first page was read, so that paging is stable while sessions change.

A page is merged from streams that are each in order: the sessions that the index finds, those that changed since it was
filled, and, on later pages, those that have changed since the first page, as they were then.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from llmspell.journal.reading import seq_at
from llmspell.model.fields import have_fields
from llmspell.model.page import Page, check_mark, cursor_moment, mark_of, read_cursor, write_cursor
from llmspell.model.values import decode_value
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries
from llmspell.sessions.index import watermark_of
from llmspell.sessions.info import SessionInfo
from llmspell.sessions.order import Edge, Order
from llmspell.sessions.plan import Conditions, Source, sources
from llmspell.sessions.query import SessionFilter

_INFO = queries("llmspell.sessions")["info"]
_ANY_IMPORTED = queries("llmspell.sessions")["any_imported"]
_FROM = "FROM session s"
_WANTED = _INFO.replace(_FROM, "FROM wanted w CROSS JOIN session s ON s.id = w.id AND s.since_seq = w.seq")
_WHOLE = "SELECT s.since_seq, s.created_at, " + _INFO.removeprefix("SELECT ")
"""Where one stream has all that is asked for, its rows are read as they are found."""
_FOUND_COLUMNS = 8
_AT_ONCE = 50
"""Rows of a page that one statement reads."""
_CHUNK_ROWS_MAX = 2000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: as of which seq, and beyond which row, by its place in the order."""

    as_of: int | None = None
    edge: Edge | None = None


def list_page(view: Reading, wanted: SessionFilter, order_by: str, limit: int, cursor: str | None) -> Page[SessionInfo]:
    """One page, in one read."""
    order = Order.of(order_by)
    place = Place() if cursor is None else _read_place(view, cursor, order, order_by, wanted)
    rows, as_of = find(view, wanted, order, limit + 1, place, whole=True)
    items = infos(view, rows[:limit])
    if len(rows) <= limit:
        return Page(items)
    return Page(items, write_cursor("sessions", order_by, mark_of(wanted), as_of, *order.write(rows[limit - 1])))


def infos(view: Reading, rows: list[Row]) -> list[SessionInfo]:
    """What rows found stand for. Either all of them are whole, or none."""
    if rows and len(rows[0]) != _FOUND_COLUMNS:
        return [SessionInfo(row[2:]) for row in rows]
    found: list[Row] = []
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        found += view.all(_reading(len(part)), [value for row in part for value in (row[2], row[0])])
    return [SessionInfo(row) for row in found]


@cache
def _reading(count: int) -> str:
    """So many sessions by id and seq. A cross join goes through them in the order in which they are asked for."""
    return f"WITH wanted (id, seq) AS (VALUES {', '.join('(?, ?)' for _ in range(count))}) {_WANTED}"


def find(
    view: Reading, wanted: SessionFilter, order: Order, count: int, place: Place, *, whole: bool = False
) -> tuple[list[Row], int]:
    """The first ``count`` sessions that fit, each as (the seq its row holds from, the time it was created, its id, …,
    what it is sorted by), and the seq as of which they were looked for. With ``whole`` they may come with all that
    ``info`` selects.
    """
    row = view.one("SELECT max(seq) FROM entry")
    head = (row[0] if row else 0) or 0
    as_of = head if place.as_of is None else place.as_of
    conditions = _conditions(view, wanted, as_of)
    fits = _judge(wanted)
    chunk = min(count, _CHUNK_ROWS_MAX)
    found = sources(view, conditions, order.by, watermark_of(view), changed=as_of < head)
    at_once = whole and len(found) == 1 and fits is None and order.by in ("updated_at", "created_at")
    select = _WHOLE if at_once else _selecting(wanted, order, as_of)
    streams = [_stream(view, select, source, order, as_of, place.edge, chunk, fits) for source in found]
    merged = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=order.key, reverse=order.falling)
    return list(islice(merged, count)), as_of


def explain(view: Reading, wanted: SessionFilter, order_by: str, place: Place) -> list[str]:
    """The query plans of a page, a line a step: tests assert what they may be."""
    order = Order.of(order_by)
    row = view.one("SELECT max(seq) FROM entry")
    as_of = ((row[0] if row else 0) or 0) if place.as_of is None else place.as_of
    found = sources(
        view, _conditions(view, wanted, as_of), order.by, watermark_of(view), changed=place.as_of is not None
    )
    select = _selecting(wanted, order, as_of)
    steps = []
    for source in found:
        sql, args = _select(select, source, order, as_of, place.edge, 50)
        steps += [f"{source.name}: {step[3]}" for step in view.all(f"EXPLAIN QUERY PLAN {sql}", args)]
    return steps


def _stream(
    view: Reading,
    select: str,
    source: Source,
    order: Order,
    as_of: int,
    edge: Edge | None,
    chunk: int,
    fits: Callable[[Row], bool] | None,
) -> Iterator[Row]:
    """The rows of a source in order, read a chunk at a time, each longer than the one before."""
    while True:
        sql, args = _select(select, source, order, as_of, edge, chunk)
        rows = view.all(sql, args)
        yield from rows if fits is None else filter(fits, rows)
        if len(rows) < chunk:
            return
        edge = order.key(rows[-1])
        chunk = min(chunk * 4, _CHUNK_ROWS_MAX)


def _selecting(wanted: SessionFilter, order: Order, as_of: int) -> str:
    """Nothing is read of a session that nobody asks about: metadata may be long."""
    tags = "s.tags" if wanted.tags or wanted.text else "NULL"
    metadata = "s.metadata" if wanted.metadata or wanted.text else "NULL"
    texts = "s.name, s.description" if wanted.text else "NULL, NULL"
    return f"SELECT s.since_seq, s.created_at, s.id, {tags}, {metadata}, {texts}, {order.value(as_of)} {_FROM}"


def _select(
    select: str, source: Source, order: Order, as_of: int, edge: Edge | None, count: int
) -> tuple[str, list[Any]]:
    direction, beyond = ("DESC", "<") if order.falling else ("ASC", ">")
    keys = order.columns(source.seq, source.created, as_of)
    where, args = source.where, list(source.args)
    if edge is not None:
        where += f" AND ({', '.join(keys)}) {beyond} ({', '.join('?' * len(keys))})"
        args += edge
    ordered = ", ".join(f"{key} {direction}" for key in keys)
    return f"{select.replace(_FROM, source.origin)} WHERE {where} ORDER BY {ordered} LIMIT ?", [*args, count]


def _conditions(view: Reading, wanted: SessionFilter, as_of: int) -> Conditions:
    """The conditions as SQL sees them: when a session last changed is a range of seqs, as its row holds from then; only
    one that came in a bundle may have changed before.
    """
    first, last = wanted.updated
    low = 0 if first is None else seq_at(view, first - 1)
    high = as_of
    if last is not None and view.one(_ANY_IMPORTED) == (0,):
        high = min(as_of, seq_at(view, last))
    for begun in (wanted.created[0], wanted.ended[0]):  # What was created, or ended, later changed later, too.
        if begun is not None:
            low = max(low, seq_at(view, begun - 1))
    return Conditions(wanted, low, high, as_of)


def _judge(wanted: SessionFilter) -> Callable[[Row], bool] | None:
    """Whether a row fits what SQL did not ask: tags, metadata, text; None when it asked all. Terms only say where to
    look.
    """
    tests: list[Callable[[Row], bool]] = []
    if wanted.tags:
        tests.append(lambda row: set(wanted.tags) <= set(decode_value(row[3])))
    if wanted.metadata:
        tests.append(lambda row: have_fields(decode_value(row[4]), wanted.metadata))
    text = wanted.text
    if text is not None:
        tests.append(lambda row: text.fits(row[5], row[6], row[3], row[4]))
    return (lambda row: all(test(row) for test in tests)) if tests else None


def _read_place(view: Reading, cursor: str, asked: Order, order_by: str, wanted: SessionFilter) -> Place:
    _, order, mark, as_of, first, second = read_cursor(cursor, "sessions", 6)
    check_mark(order, order_by, mark, wanted)
    row = view.one("SELECT max(seq) FROM entry")
    as_of = cursor_moment(as_of, (row[0] if row else 0) or 0)
    return Place(as_of, asked.read(first, second))
