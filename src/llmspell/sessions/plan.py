"""Where to look for the sessions of a query: the streams that together have each fitting session once.

Which of them leads is decided by counting: the rarest column that has an index, the rarest term, or the words. No
statistics are kept; a count stops at a few thousand, above which walking in order finds a page soon. Columns are in the
rows' own indexes, which are never behind; terms and words lag, so the tail above their watermark is walked beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmspell.ports.database import Reading
from llmspell.sessions.query import SessionFilter
from llmspell.sessions.terms import LARGE, creator_term, metadata_term, tag_term

RARE_ROWS = 1000
"""What at most so many sessions have leads, whatever words are asked for."""
SORTED_ROWS_MAX = 4000
"""Sessions that are sorted when another order than that of the index is asked for; of more, all are walked in order."""
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM session_term WHERE term = ? LIMIT ?)"
_COUNT_COLUMN = (
    "SELECT count(*) FROM (SELECT 1 FROM session INDEXED BY session_{column}"
    " WHERE {column} = ? AND until_seq IS NULL LIMIT ?)"
)
_WALKED = {"updated_at": "session_since", "created_at": "session_created", "name": "session_name"}
"""The orders in which open sessions can be walked, and by what. For any other all that fit are sorted."""
_COUNT_HITS = "SELECT count(*) FROM (SELECT 1 FROM session_text WHERE session_text MATCH ? LIMIT ?)"
_HAS_TERM = " CROSS JOIN session_term x{n} ON x{n}.term = ? AND x{n}.since_seq = {seq}"
"""Joined before anything else: what lacks a term is not looked up any further."""
_ROW_OF = "CROSS JOIN session s ON s.id = c.id AND s.since_seq = c.since_seq"
"""The row of an entry of an index, which has been held against what the index knows by itself."""
_OPEN_OF = "CROSS JOIN session c INDEXED BY session_since ON c.since_seq = {seq} AND c.until_seq IS NULL " + _ROW_OF


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is wanted; rows hold from a seq above ``low``, at most ``high``; and they held at ``as_of``."""

    wanted: SessionFilter
    low: int
    high: int
    as_of: int

    def terms(self) -> list[int]:
        """Those of the conditions that are terms, metadata not among them."""
        wanted = self.wanted
        found = [tag_term(tag) for tag in wanted.tags]
        if wanted.created_by is not None:
            found.append(creator_term(wanted.created_by))
        return found

    def columns(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Those that are columns with an index, each with the values of which a session has one."""
        wanted = self.wanted
        given = (("status", wanted.status), ("parent", _given(wanted.parent)), ("name", _given(wanted.name)))
        return [(column, values) for column, values in given if values]

    def plainly(self) -> tuple[str, list[Any]]:
        """Conditions on the columns of a row ``s``. The plus keeps the planner on the index that leads."""
        where, args = "", list[Any]()
        for column, values in (*self.columns(), ("created_by", _given(self.wanted.created_by))):
            if values:
                where += f" AND +s.{column} IN ({', '.join('?' * len(values))})"
                args += values
        for column, bounds in (("updated_at", self.wanted.updated), ("ended_at", self.wanted.ended)):
            for bound, than in zip(bounds, (">=", "<="), strict=True):
                if bound is not None:
                    where += f" AND +s.{column} {than} ?"
                    args.append(bound)
        return where, args

    def created_within(self, row: str = "c") -> tuple[str, list[Any]]:
        """The bounds of the time of creation, which an index of ``c`` knows."""
        first, last = self.wanted.created
        where, args = "", []
        if first is not None:
            where += f" AND {row}.created_at >= ?"
            args.append(first)
        if last is not None:
            where += f" AND {row}.created_at <= ?"
            args.append(last)
        return where, args


def _given(value: Any) -> tuple[Any, ...]:
    return () if value is None else (value,)


@dataclass(frozen=True, slots=True)
class Source:
    """One stream: rows ``s`` from where, and the columns that it is ordered by. ``name`` says what leads."""

    name: str
    origin: str
    where: str
    args: tuple[Any, ...]
    seq: str = "c.since_seq"
    created: str = "c.created_at"


def sources(view: Reading, asked: Conditions, by: str, indexed: int, *, changed: bool) -> list[Source]:
    """The streams for a query ordered ``by``; ``changed``: sessions may have changed since the moment asked about."""
    found = _open(view, asked, by, indexed)
    return [*found, _closed(asked)] if changed else found


def _open(view: Reading, asked: Conditions, by: str, indexed: int) -> list[Source]:
    """Those of sessions as they are now."""
    wanted, many = asked.wanted, SORTED_ROWS_MAX + 1
    columns = sorted(
        (sum(_count(view, _COUNT_COLUMN.format(column=column), value) for value in values), column)
        for column, values in asked.columns()
    )
    of_metadata = [metadata_term(path, value) for path, value in wanted.metadata]
    terms = sorted((_count(view, _COUNT, term), term) for term in (*asked.terms(), *of_metadata))
    few = min([many, *(count for count, _ in (*columns[:1], *terms[:1]))])
    ordered = [term for _, term in terms]
    if wanted.text is not None and few > RARE_ROWS and _words_may_lead(view, wanted, by):
        found = _by_words(asked, ordered, indexed)
    elif few == many and by in _WALKED and (by != "updated_at" or not (columns or terms)):
        if not terms:
            return [_walk(asked, _WALKED[by], asked.low, asked.high, "all")]
        found = _walk(asked, _WALKED[by], asked.low, min(asked.high, indexed), "all", ordered)
    elif columns and (not terms or columns[0][0] < terms[0][0]):
        return _by_column(asked, columns[0][1])
    elif terms:
        found = _by_term(asked, ordered, indexed)
    else:
        return [_walk(asked, "session_since", asked.low, asked.high, "all")]
    # Sessions with large metadata are looked at one by one if metadata is asked for.
    large = [_by_term(asked, [LARGE, *asked.terms()], indexed)] if wanted.metadata else []
    return [_walk(asked, "session_since", max(asked.low, indexed), asked.high, "tail"), found, *large]


def _walk(asked: Conditions, index: str, low: int, high: int, name: str, terms: Sequence[int] = ()) -> Source:
    """Open sessions that last changed within some seqs, in the order of an index."""
    plainly, args = asked.plainly()
    row = "s" if index == "session_name" else "c"  # It knows no times: nothing is gained by asking it before the row.
    created, bounds = asked.created_within(row)
    return Source(
        name,
        f"FROM session {row} INDEXED BY {index}{_have(f'{row}.since_seq', terms)} {_ROW_OF if row == 'c' else ''}",
        f"{row}.until_seq IS NULL AND {row}.since_seq > ? AND {row}.since_seq <= ?{created}{plainly}",
        (*terms, low, high, *bounds, *args), f"{row}.since_seq", f"{row}.created_at",
    )  # fmt: skip


def _closed(asked: Conditions) -> Source:
    """Sessions that have changed since, as they were. The index alone tells which of its rows held then."""
    plainly, args = asked.plainly()
    created, bounds = asked.created_within()
    return Source(
        "changed", f"FROM session c INDEXED BY session_closed {_ROW_OF}",
        f"c.until_seq > ? AND c.since_seq > ? AND c.since_seq <= ?{created}{plainly}",
        (asked.as_of, asked.low, asked.high, *bounds, *args),
    )  # fmt: skip


def _by_column(asked: Conditions, column: str) -> list[Source]:
    """Open sessions by a column that has an index, a stream for each value of which they may have one."""
    plainly, args = asked.plainly()
    created, bounds = asked.created_within("s")
    return [
        Source(
            column, f"FROM session s INDEXED BY session_{column}",
            f"s.{column} = ? AND s.until_seq IS NULL AND s.since_seq > ? AND s.since_seq <= ?{created}{plainly}",
            (value, asked.low, asked.high, *bounds, *args), "s.since_seq", "s.created_at",
        )
        for value in dict(asked.columns())[column]
    ]  # fmt: skip


def _words_may_lead(view: Reading, wanted: SessionFilter, by: str) -> bool:
    if by == "updated_at" or by not in _WALKED:
        return True
    expression = wanted.text.expression() if wanted.text is not None else ""
    return _count(view, _COUNT_HITS, expression) <= SORTED_ROWS_MAX


def _count(view: Reading, sql: str, of: Any) -> int:
    row = view.one(sql, (of, SORTED_ROWS_MAX + 1))
    return int(row[0]) if row else 0


def _have(seq: str, terms: Sequence[int]) -> str:
    """Joins with the terms that the session of a seq has; each takes one value."""
    return "".join(_HAS_TERM.format(n=n, seq=seq) for n in range(len(terms)))


def _by_term(asked: Conditions, terms: list[int], indexed: int) -> Source:
    """Sessions with all these terms, led by the first."""
    plainly, args = asked.plainly()
    created, bounds = asked.created_within()
    return Source(
        "term", f"FROM session_term t{_have('t.since_seq', terms[1:])} {_OPEN_OF.format(seq='t.since_seq')}",
        f"t.term = ? AND t.since_seq > ? AND t.since_seq <= ?{created}{plainly}",
        (*terms[1:], terms[0], asked.low, min(asked.high, indexed), *bounds, *args), "t.since_seq",
    )  # fmt: skip


def _by_words(asked: Conditions, terms: list[int], indexed: int) -> Source:
    """Sessions with all words, and all terms."""
    wanted = asked.wanted
    plainly, args = asked.plainly()
    created, bounds = asked.created_within()
    expression = wanted.text.expression() if wanted.text is not None else ""
    seq = "session_text.rowid"
    return Source(
        "words", f"FROM session_text{_have(seq, terms)} {_OPEN_OF.format(seq=seq)}",
        f"session_text MATCH ? AND {seq} > ? AND {seq} <= ?{created}{plainly}",
        (*terms, expression, asked.low, min(asked.high, indexed), *bounds, *args), seq,
    )  # fmt: skip
