"""Where a query begins: the part of the index that leads to the fewest artifacts, or gives them in the right order."""

from __future__ import annotations

from typing import Any, NamedTuple

from llmspell.artifacts.finding.alike import gram_query, numbers_alike, packed_numbers
from llmspell.artifacts.finding.wanted import Wanted, runs_of
from llmspell.errors import InvalidInput
from llmspell.journal.reading import seq_at
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.finding")
FEW = 1000
"""So many rows are fetched and sorted sooner than a whole index is walked in order."""
FEW_TO_READ = 200
"""So many texts are sooner read than looked up."""
_SIZE_MAX = (1 << 63) - 1


class Order(NamedTuple):
    """An order of results: expressions over the index, over rows that are not in it, and the index that has it."""

    indexed: tuple[str, ...]
    rows: tuple[str, ...]
    by: str | None


_NUMBER = "(SELECT min(since_seq) FROM artifact m WHERE m.id = a.id)"
ORDERS = {
    "created_at": Order(("f.number",), (_NUMBER,), None),
    "updated_at": Order(("f.since_seq",), ("a.since_seq",), "artifact_found_since"),
    "name": Order(("f.name", "f.number"), ("a.name", _NUMBER), "artifact_found_name"),
    "size": Order(("f.size", "f.number"), ("a.size", _NUMBER), "artifact_found_size"),
}

IN_SESSION = Order((), ("a.name", "a.version"), "artifact_name")
"""By name within one session, of which there is an index that never lags."""


def order_of(order_by: str) -> tuple[str, bool]:
    """The name of an order, and whether it falls. Raises InvalidInput (``invalid-order``)."""
    name = order_by.removeprefix("-") if type(order_by) is str else ""
    if name not in ORDERS:
        raise InvalidInput(
            f"order_by is one of {', '.join(ORDERS)}, with - for newest or largest first, not {order_by!r}",
            code="invalid-order",
        )
    return name, order_by.startswith("-")


class Source(NamedTuple):
    """Tables that give ``f``, the condition on them with its values, what to order by there, and whether the text that
    is looked for is still to be looked at.
    """

    tables: str
    where: str
    args: tuple[Any, ...]
    number: str
    unread: bool


def source_of(view: Reading, wanted: Wanted, order: str) -> Source:
    """The best beginning for a query in an order."""
    if wanted.fuzzy is not None:
        numbers = packed_numbers(numbers_alike(view, wanted.fuzzy))
        return Source(_SQL["from_numbers"], "", (numbers,), "f.number", wanted.text is not None)
    low, high = _created(view, wanted)
    unread = wanted.text is not None
    counted = sorted((_count(view, _SQL["count_term"], one), one) for one in wanted.terms)
    fewest = counted[0][0] if counted else FEW + 1
    if wanted.text is not None and fewest > FEW_TO_READ:
        match = wanted.text.match()
        if order == "created_at" or _count(view, _SQL["count_words"], match) <= FEW:
            return _bounded(_SQL["from_words"], "w.rowid", " AND artifact_words MATCH ?", (match,), low, high)
    elif counted and (order == "created_at" or fewest <= FEW):
        found = _bounded(_SQL["from_term"], "t.number", " AND t.term = ?", (counted[0][1],), low, high)
        return found._replace(unread=unread)
    grams = _grams(view, wanted, order)
    source = _few_in_range(view, wanted, low, high) or (
        _bounded(_SQL["from_grams"], "g.rowid", " AND artifact_grams MATCH ?", (grams,), low, high) if grams else None
    )
    return (source or _walking(wanted, order, low, high))._replace(unread=unread)


def _walking(wanted: Wanted, order: str, low: int, high: int | None) -> Source:
    """The whole index in order, or the part of it that can fit."""
    by = ORDERS[order].by
    tables = _SQL["from_all"] + (f" INDEXED BY {by}" if by else "")
    where, args = _ranges(wanted).get(order, ("", ()))
    return _bounded(tables, "f.number", where, args, low, high)


def _few_in_range(view: Reading, wanted: Wanted, low: int, high: int | None) -> Source | None:
    """Artifacts whose sizes, or whose names' beginnings, few others have."""
    for order, (where, args) in _ranges(wanted).items():
        tables = f"{_SQL['from_all']} INDEXED BY {ORDERS[order].by}"
        rows = view.all(f"SELECT 1 FROM {tables} WHERE true{where} LIMIT {FEW + 1}", args)
        if len(rows) <= FEW:
            # What it is ordered by is no column of the index here, which a plus sign says.
            return _bounded(tables, "+f.number", where, args, low, high)
    return None


def _ranges(wanted: Wanted) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Conditions that are ranges of an index, by the order that it has."""
    found: dict[str, tuple[str, tuple[Any, ...]]] = {}
    least, most = wanted.sizes
    if least is not None or most is not None:
        found["size"] = " AND f.size >= ? AND f.size <= ?", (least or 0, _SIZE_MAX if most is None else most)
    prefix = _prefix(wanted.pattern)
    if prefix:
        found["name"] = " AND f.name >= ? AND f.name < ?", (prefix, prefix + "\U0010ffff")
    return found


def _bounded(tables: str, number: str, where: str, args: tuple[Any, ...], low: int, high: int | None) -> Source:
    """A source whose numbers lie above ``low`` and up to ``high``."""
    if low:
        where += f" AND {number} > ?"
        args = (*args, low)
    if high is not None:
        where += f" AND {number} <= ?"
        args = (*args, high)
    return Source(tables, where, args, number, unread=False)


def _created(view: Reading, wanted: Wanted) -> tuple[int, int | None]:
    """Bounds of seqs for bounds of the time of creation, which is that of the entry."""
    low = 0 if wanted.after is None else seq_at(view, wanted.after - 1)
    return low, None if wanted.before is None else seq_at(view, wanted.before)


def _count(view: Reading, sql: str, what: int | str) -> int:
    """How many there are, as far as that matters."""
    row = view.one(sql, (what, FEW + 1))
    return row[0] if row else 0


def _grams(view: Reading, wanted: Wanted, order: str) -> str | None:
    """What finds names by the longest part of a pattern, if that is worth it for this order."""
    if wanted.pattern is None:
        return None
    query = gram_query(max(runs_of(wanted.pattern), key=len, default=""))
    if query is None or order == "created_at":
        return query
    return query if len(view.all(_SQL["grams_matching"], (query, FEW + 1))) <= FEW else None


def _prefix(pattern: str | None) -> str:
    if pattern is None:
        return ""
    for at, char in enumerate(pattern):
        if char in "*?[":
            return pattern[:at]
    return pattern
