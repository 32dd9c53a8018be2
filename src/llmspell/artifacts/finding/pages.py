"""Pages of what a query finds, as of the seq at which the first page was read, so that paging is stable.

Three branches make one page: what the lagging index leads to, what changed since its watermark, and what was closed
since the first page. Each gives its rows in the same order, and the first of all of them together are the page.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from llmspell.artifacts.finding.alike import ALIKE_MAX, ALIKE_MIN, Sought, alike
from llmspell.artifacts.finding.index import watermark_of
from llmspell.artifacts.finding.sources import IN_SESSION, ORDERS, keys_of, order_of, source_of
from llmspell.artifacts.finding.wanted import Wanted
from llmspell.artifacts.info import ArtifactInfo, info_of
from llmspell.model import limits
from llmspell.model.count import Count
from llmspell.model.page import (
    Page,
    check_mark,
    cursor_moment,
    cursor_seq,
    cursor_text,
    mark_of,
    read_cursor,
    write_cursor,
)
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.finding")
_COLUMNS, _JOINED = _SQL["columns"], _SQL["joined"]
_WIDTH = 17
"""Columns before those that a row is ordered by."""
_CHUNK = 1000
LIKENESS = "likeness"
"""The order of names that are alike, most alike first."""


class Branch(NamedTuple):
    """One select of a page without its columns: what gives the rows, what they are ordered by, whether words are still
    to be looked at, and the column that chunks go by.
    """

    body: str
    args: tuple[Any, ...]
    keys: tuple[str, ...]
    unread: bool


class Finding(NamedTuple):
    """One query in its order, as of a seq. ``edge`` is where the page before it ended."""

    wanted: Wanted
    order_by: str
    name: str
    falling: bool
    seq: int
    edge: tuple[Any, ...] | None


def find_page(
    view: Reading, wanted: Wanted, order_by: str | None, limit: int, cursor: str | None
) -> Page[ArtifactInfo]:
    """One page, in one read."""
    finding = _finding(view, wanted, order_by, cursor)
    rows = list(islice(_rows(view, finding, limit + 1), limit + 1))
    fork = wanted.fork
    items = [info_of(row if fork is None else (row[0], fork, *row[2:])) for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(items)
    edge = _key(finding, rows[limit - 1])
    return Page(items, write_cursor("found", finding.order_by, mark_of(wanted), finding.seq, *edge))


def count_found(view: Reading, wanted: Wanted, *, exact: bool) -> Count:
    """How many there are; beyond a thousand only if that is asked."""
    finding = _finding(view, wanted, None, None)
    if wanted.fuzzy is not None:
        return Count(sum(1 for _ in _rows(view, finding, 0)), exact=True)
    most = None if exact else limits.COUNT_MAX + 1
    number = 0
    for branch in _branches(view, finding):
        if branch.unread:
            number += sum(1 for _ in islice(_judged(view, finding, branch, None), most))
        else:
            limit = "" if most is None else f" LIMIT {most}"
            row = view.one(f"SELECT count(*) FROM (SELECT 1 FROM {branch.body}{limit})", branch.args)
            number += row[0] if row else 0
    return Count(number, exact=True) if most is None or number < most else Count(limits.COUNT_MAX, exact=False)


def plans(view: Reading, wanted: Wanted, order_by: str | None = None, limit: int = 50) -> list[list[str]]:
    """The query plan of each branch, a line a step: tests assert what is walked."""
    finding = _finding(view, wanted, order_by, None)
    found = []
    for branch in _branches(view, finding):
        sql = _select(finding, branch, limit)
        found.append([row[3] for row in view.all(f"EXPLAIN QUERY PLAN {sql}", branch.args)])
    return found


def _finding(view: Reading, wanted: Wanted, order_by: str | None, cursor: str | None) -> Finding:
    if order_by is None:
        order_by = "-created_at" if wanted.fuzzy is None else LIKENESS
    if order_by == LIKENESS and wanted.fuzzy is not None:
        name, falling = LIKENESS, True
    else:
        name, falling = order_of(order_by)
    row = view.one("SELECT max(seq) FROM entry")
    head = (row[0] if row else 0) or 0
    if cursor is None:
        return Finding(wanted, order_by, name, falling, head, None)
    parts = 5 if name == "created_at" else 6
    _, order, mark, seq, *edge = read_cursor(cursor, "found", parts)
    check_mark(order, order_by, mark, wanted)
    checks: list[Callable[[Any], Any]] = [cursor_text if name == "name" else cursor_seq, cursor_seq]
    return Finding(
        wanted, order_by, name, falling, cursor_moment(seq, head),
        tuple(check(one) for check, one in zip(checks, edge, strict=False)),
    )  # fmt: skip


def _branches(view: Reading, finding: Finding) -> list[Branch]:
    wanted, seq = finding.wanted, finding.seq
    if finding.name == "name" and wanted.session is not None and wanted.fuzzy is None:
        return _branches_in_session(finding)
    if wanted.fork is not None:
        rows = ORDERS[finding.name if finding.name != LIKENESS else "created_at"].rows
        return [Branch(f"{_SQL['of_fork']} WHERE 1{wanted.sql}", wanted.args_at(seq), rows, wanted.is_read)]
    watermark = watermark_of(view)
    order = ORDERS[finding.name if finding.name != LIKENESS else "created_at"]
    source = source_of(view, wanted, finding.name if finding.name != LIKENESS else "created_at", seq)
    keys = keys_of(order, source)
    found = [
        Branch(
            f"{source.tables} {_JOINED} WHERE a.until_seq IS NULL AND f.since_seq <= ?{source.where}{wanted.sql}",
            _args_of(source.tables, source.args, seq, wanted.args), keys, source.unread,
        )
    ]  # fmt: skip
    unread = wanted.is_read
    if watermark < seq:
        body = f"{_SQL['tail']} WHERE a.since_seq > ? AND a.since_seq <= ? AND a.until_seq IS NULL{wanted.sql}"
        found.append(Branch(body, (watermark, seq, *wanted.args), order.rows, unread))
    if finding.edge is not None:
        body = f"{_SQL['closed']} WHERE a.until_seq > ? AND a.since_seq <= ?{wanted.sql}"
        found.append(Branch(body, (seq, seq, *wanted.args), order.rows, unread))
    return found


def _branches_in_session(finding: Finding) -> list[Branch]:
    wanted, seq = finding.wanted, finding.seq
    unread, keys = wanted.is_read, IN_SESSION.rows
    body = f"{_SQL['of_session']} WHERE a.until_seq IS NULL AND a.since_seq <= ?{wanted.sql}"
    found = [Branch(body, (seq, *wanted.args), keys, unread)]
    if finding.edge is not None:
        body = f"{_SQL['closed']} WHERE a.until_seq > ? AND a.since_seq <= ?{wanted.sql}"
        found.append(Branch(body, (seq, seq, *wanted.args), keys, unread))
    return found


def _args_of(tables: str, args: tuple[Any, ...], seq: int, more: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values in the order of the text: those of a table-valued function come before the conditions."""
    inside = tables.count("?")
    return *args[:inside], seq, *args[inside:], *more


def _rows(view: Reading, finding: Finding, limit: int) -> Iterator[Row]:
    """Rows in order, beyond the edge."""
    parts = [_judged(view, finding, branch, limit) for branch in _branches(view, finding)]
    if finding.wanted.fuzzy is not None:
        likest = finding._replace(name=LIKENESS)
        every = sorted((row for part in parts for row in part), key=partial(_key, likest), reverse=True)[:ALIKE_MAX]
        beyond = [row for row in every if _is_beyond(finding, row)]
        return iter(sorted(beyond, key=partial(_key, finding), reverse=finding.falling))
    return heapq.merge(*parts, key=partial(_key, finding), reverse=finding.falling)


def _judged(view: Reading, finding: Finding, branch: Branch, limit: int | None) -> Iterator[Row]:
    """Rows of a branch that also have the words and the likeness that are looked for, in order."""
    wanted = finding.wanted
    if wanted.fuzzy is not None:
        sought = Sought.of(wanted.fuzzy)
        for row in _chunks(view, finding, branch, None):
            if alike(sought, row[2]) >= ALIKE_MIN and (not branch.unread or wanted.fits(row)):
                yield row
    elif not branch.unread:
        yield from view.all(_select(finding, branch, limit), (*branch.args, *(finding.edge or ())))
    else:
        yield from (row for row in _chunks(view, finding, branch, limit) if wanted.fits(row))


def _chunks(view: Reading, finding: Finding, branch: Branch, limit: int | None) -> Iterator[Row]:
    """Every row of a branch, first as many as are wanted and then ever more at a time: how many of them will fit cannot
    be said before.
    """
    edge = finding.edge if finding.wanted.fuzzy is None else None
    chunk = _CHUNK if limit is None else min(limit, _CHUNK)
    while True:
        rows = view.all(_select(finding._replace(edge=edge), branch, chunk), (*branch.args, *(edge or ())))
        yield from rows
        if len(rows) < chunk:
            return
        edge = tuple(rows[-1][_WIDTH:])
        chunk = min(chunk * 4, _CHUNK)


def _select(finding: Finding, branch: Branch, limit: int | None) -> str:
    direction, beyond = ("DESC", "<") if finding.falling else ("ASC", ">")
    keys = ", ".join(branch.keys)
    edge = ""
    if finding.edge is not None:
        edge = f" AND ({keys}) {beyond} ({', '.join('?' * len(branch.keys))})"
    order = ", ".join(f"{one} {direction}" for one in branch.keys)
    cut = "" if limit is None else f" LIMIT {limit}"
    return f"SELECT {_COLUMNS}, {keys} FROM {branch.body}{edge} ORDER BY {order}{cut}"


def _key(finding: Finding, row: Row) -> tuple[Any, ...]:
    if finding.name == LIKENESS:
        return round(alike(Sought.of(finding.wanted.fuzzy or ""), row[2]) * 1_000_000), row[-1]
    return tuple(row[_WIDTH:])


def _is_beyond(finding: Finding, row: Row) -> bool:
    if finding.edge is None:
        return True
    key = _key(finding, row)
    return key < finding.edge if finding.falling else key > finding.edge
