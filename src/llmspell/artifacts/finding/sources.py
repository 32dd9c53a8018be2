"""Where a query begins: the part of the index that leads to the fewest artifacts, or gives them in the right order."""

from __future__ import annotations

from typing import Any, NamedTuple

from llmspell.artifacts.finding.alike import ALIKE_MAX, CANDIDATES_MAX, gram_query, numbers_alike, packed_numbers
from llmspell.artifacts.finding.wanted import Wanted
from llmspell.artifacts.patterns import beginning_of, runs_of
from llmspell.errors import InvalidInput
from llmspell.journal.reading import seq_at
from llmspell.model.telling import told
from llmspell.model.words import TextQuery
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.finding")
FEW = 1000
"""So many rows are fetched and sorted sooner than a whole index is walked in order."""
FEW_TO_READ = 200
"""So many texts are sooner read than looked up."""
_SIZE_MAX = (1 << 63) - 1
_TERMS_JOINED_MAX = 32
"""SQLite joins at most 64 tables. Whatever has these terms and lacks one of the others is seen by its row."""
_HAS_TERM = " CROSS JOIN artifact_term x{n} ON x{n}.term = ? AND x{n}.number = {number}"


class Order(NamedTuple):
    """An order of results: expressions over the index, over rows that are not in it, and the tables that give it, with
    their number.
    """

    indexed: tuple[str, ...]
    rows: tuple[str, ...]
    tables: str = ""
    number: str = ""


_NUMBER = "(SELECT min(since_seq) FROM artifact m WHERE m.id = a.id)"
ORDERS = {
    "created_at": Order(("f.number",), (_NUMBER,), _SQL["from_all"], "f.number"),
    "updated_at": Order(("f.since_seq", "f.number"), ("a.since_seq", _NUMBER), _SQL["from_updated"], "f.number"),
    "name": Order(("a.name", "f.number"), ("a.name", _NUMBER), _SQL["from_name"], "n.number"),
    "size": Order(("f.size", "f.number"), ("a.size", _NUMBER), _SQL["from_size"], "f.number"),
}

IN_SESSION = Order((), ("a.name", "a.version"))
"""By name within one session, of which there is an index that never lags."""


def order_of(order_by: str) -> tuple[str, bool]:
    """The name of an order, and whether it falls. Raises InvalidInput (``invalid-order``)."""
    name = order_by.removeprefix("-") if type(order_by) is str else ""
    if name not in ORDERS:
        raise InvalidInput(
            f"order_by is one of {', '.join(ORDERS)}, with - for newest or largest first, not {told(order_by)}",
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


def keys_of(order: Order, source: Source) -> tuple[str, ...]:
    """What rows of a source are ordered by: columns of its own where it has them, so that they need no sorting."""
    own = {"f.number": source.number}
    if source.number.endswith("n.number"):
        own["a.name"] = "n.name"
    return tuple(own.get(one, one) for one in order.indexed)


def source_of(view: Reading, wanted: Wanted, order: str, seq: int) -> Source:
    """The best beginning for a query in an order, as of a seq. Of what it leads to, only what has all terms is read:
    the rest of a query is SQL.
    """
    source = _leading(view, wanted, order, seq)
    others = [one for one in dict.fromkeys((*wanted.terms, *wanted.field_terms)) if one not in source.args]
    others = others[:_TERMS_JOINED_MAX]
    number = source.number.removeprefix("+")
    have = "".join(_HAS_TERM.format(n=n, number=number) for n in range(len(others)))
    # Right behind the table that has the number: SQLite makes joins of EXISTS, too, but behind all other tables.
    first, join, rest = (source.tables, "", "") if number == "f.number" else source.tables.partition(" CROSS JOIN ")
    inside = source.tables.count("?")
    args = (*source.args[:inside], *others, *source.args[inside:])
    return source._replace(tables=f"{first}{have}{join}{rest}", args=args)


def _leading(view: Reading, wanted: Wanted, order: str, seq: int) -> Source:
    low, high = _created(view, wanted)
    unread = wanted.is_read
    fewest, lead = _fewest(view, wanted)
    if wanted.fuzzy is not None:
        if lead is not None and fewest <= FEW:  # Each of them is judged: others that are more alike hide none.
            return _bounded(lead.tables, lead.number, lead.where, lead.args, low, high)._replace(unread=unread)
        most = CANDIDATES_MAX if wanted.sql or unread else ALIKE_MAX  # What does not fit makes room for others.
        numbers = packed_numbers(numbers_alike(view, wanted.fuzzy, wanted.terms, seq, most))
        return Source(_SQL["from_numbers"], "", (numbers,), "f.number", unread)
    if wanted.text is not None and fewest > FEW_TO_READ:
        match = TextQuery((*wanted.text.terms, *wanted.words)).expression()
        if order == "created_at" or _count(view, _SQL["count_words"], match) <= FEW:
            found = _bounded(_SQL["from_words"], "w.rowid", " AND artifact_words MATCH ?", (match,), low, high)
            return found._replace(unread=bool(wanted.fields))
    elif fewest > FEW and (few := _few_saying(view, wanted)) is not None:
        return few._replace(unread=unread)
    elif lead is not None and (order == "created_at" or fewest <= FEW):
        return _bounded(lead.tables, lead.number, lead.where, lead.args, low, high)._replace(unread=unread)
    grams = _grams(view, wanted, order)
    source = _few_in_range(view, wanted, low, high) or (
        _bounded(_SQL["from_grams"], "g.rowid", " AND artifact_grams MATCH ?", (grams,), low, high) if grams else None
    )
    return (source or _walking(view, wanted, order, low, high))._replace(unread=unread)


def _fewest(view: Reading, wanted: Wanted) -> tuple[int, Source | None]:
    """Of what gives artifacts by something exact, newest first, the one that gives the fewest, and how many: of those
    that give many, the one whose newest reach back the furthest.
    """
    leads: list[tuple[str, str, str, Any]] = [("term", "t.number", " AND t.term = ?", one) for one in wanted.terms]
    if wanted.name is not None:
        leads.append(("name", "n.number", " AND n.name = ?", wanted.name))
    if wanted.digest is not None:
        where = " AND substr(m.digest, 1, 8) = substr(?, 1, 8)"
        leads.append(("digest", "m.since_seq", where, wanted.digest))
    if not leads:
        return FEW + 1, None
    counts = [view.one(_SQL[f"count_{by}"], (one, FEW + 1)) or (0, 0) for by, _, _, one in leads]
    (fewest, _), (by, number, where, one) = min(zip(counts, leads, strict=True), key=lambda counted: counted[0])
    return fewest, Source(_SQL[f"from_{by}"], where, (one,), number, unread=False)


def _few_saying(view: Reading, wanted: Wanted) -> Source | None:
    """Artifacts with the words of all tags and fields that are asked for, if they are few. What many have each and few
    have together is found so at 15 ns for each that has one of them, where looking up a term takes 200.
    """
    if len(wanted.words) < 2:
        return None
    rows = view.all(_SQL["words_matching"], (TextQuery(wanted.words).expression(), FEW + 1))
    if len(rows) > FEW:
        return None
    return Source(_SQL["from_numbers"], "", (packed_numbers([row[0] for row in rows]),), "f.number", unread=False)


def _walking(view: Reading, wanted: Wanted, order: str, low: int, high: int | None) -> Source:
    """The whole index in order, or the part of it that can fit."""
    where, args = _ranges(view, wanted).get(order, ("", ()))
    return _bounded(ORDERS[order].tables, ORDERS[order].number, where, args, low, high)


def _few_in_range(view: Reading, wanted: Wanted, low: int, high: int | None) -> Source | None:
    """Artifacts whose sizes, or whose names' beginnings, few others have."""
    for order, (where, args) in _ranges(view, wanted).items():
        tables = ORDERS[order].tables
        rows = view.all(f"SELECT 1 FROM {tables} WHERE true{where} LIMIT {FEW + 1}", args)
        if len(rows) <= FEW:
            # What it is ordered by is no column of the index here, which a plus sign says.
            return _bounded(tables, f"+{ORDERS[order].number}", where, args, low, high)
    return None


def _ranges(view: Reading, wanted: Wanted) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Conditions that are ranges of an index, by the order that it has."""
    found: dict[str, tuple[str, tuple[Any, ...]]] = {}
    least, most = wanted.sizes
    if least is not None or most is not None:
        found["size"] = " AND f.size >= ? AND f.size <= ?", (least or 0, _SIZE_MAX if most is None else most)
    if wanted.changed is not None:
        found["updated_at"] = " AND f.since_seq > ?", (seq_at(view, wanted.changed - 1),)
    prefix = "" if wanted.pattern is None else beginning_of(wanted.pattern)
    if prefix:
        found["name"] = " AND n.name >= ? AND n.name < ?", (prefix, prefix + "\U0010ffff")
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
    """Bounds of seqs for bounds of the time of creation. That is the time of the entry, or earlier: what came in a
    bundle, and what a fork made its own, keeps the time it had. So where there is such, there is no upper bound.
    """
    low = 0 if wanted.after is None else seq_at(view, wanted.after - 1)
    if wanted.before is None or view.one(_SQL["any_from_before"]) == (1,):
        return low, None
    return low, seq_at(view, wanted.before)


def _count(view: Reading, sql: str, what: int | str | bytes) -> int:
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
