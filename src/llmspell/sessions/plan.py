"""Where to look for the sessions of a query: the streams that together have each fitting session once.

Which of them leads is decided by counting: the rarest term, or the words. No statistics are kept; a count stops at a
thousand, above which walking in order finds a page soon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from llmspell.ports.database import Reading
from llmspell.sessions.query import SessionFilter
from llmspell.sessions.terms import (
    EVERY,
    LARGE,
    creator_term,
    metadata_term,
    name_term,
    parent_term,
    status_term,
    tag_term,
)

RARE_ROWS = 1000
"""A term with at most so many sessions leads whatever else is asked."""
SORTED_ROWS_MAX = 4000
"""Sessions that are sorted when another order than that of the index is asked for; of more, all are walked in order."""
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM session_term WHERE term = ? LIMIT ?)"
_COUNT_HITS = "SELECT count(*) FROM (SELECT 1 FROM session_text WHERE session_text MATCH ? LIMIT ?)"
_HAS_TERM = " AND EXISTS (SELECT 1 FROM session_term x WHERE x.term = ? AND x.since_seq = {seq})"
_OPEN_OF = "CROSS JOIN session s INDEXED BY session_since ON s.since_seq = {seq} AND s.until_seq IS NULL"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is wanted; rows hold from a seq above ``low``, at most ``high``; and they held at ``as_of``. ``value`` is
    what a session ``s`` is sorted by.
    """

    wanted: SessionFilter
    low: int
    high: int
    as_of: int
    value: str = "NULL"

    def terms(self) -> list[int]:
        """Those of the conditions that are terms, metadata not among them."""
        wanted = self.wanted
        found = [tag_term(tag) for tag in wanted.tags]
        if len(wanted.status) == 1:
            found.append(status_term(*wanted.status))
        if wanted.created_by is not None:
            found.append(creator_term(wanted.created_by))
        if wanted.parent is not None:
            found.append(parent_term(wanted.parent))
        if wanted.name is not None:
            found.append(name_term(wanted.name))
        return found

    def plainly(self) -> tuple[str, list[Any]]:
        """Conditions on the columns of a row ``s``. The plus keeps the planner on the index that leads."""
        where = ""
        args: list[Any] = []
        wanted = self.wanted
        for column, value in (
            ("created_by", wanted.created_by), ("parent", wanted.parent), ("name", wanted.name),
        ):  # fmt: skip
            if value is not None:
                where += f" AND +s.{column} = ?"
                args.append(value)
        if wanted.status:
            where += f" AND +s.status IN ({', '.join('?' * len(wanted.status))})"
            args += wanted.status
        for bound, moment in zip((">=", "<="), wanted.ended, strict=True):
            if moment is not None:
                where += f" AND +s.ended_at {bound} ?"
                args.append(moment)
        return where, args

    def by_status(self) -> list[Conditions]:
        """The same for each status that is asked for: each has a term, and a session has one of them."""
        wanted = self.wanted
        if len(wanted.status) < 2:
            return [self]
        return [replace(self, wanted=replace(wanted, status=(status,))) for status in wanted.status]

    def created_within(self, column: str) -> tuple[str, list[Any]]:
        """The bounds of the time of creation."""
        first, last = self.wanted.created
        where, args = "", []
        if first is not None:
            where += f" AND {column} >= ?"
            args.append(first)
        if last is not None:
            where += f" AND {column} <= ?"
            args.append(last)
        return where, args


@dataclass(frozen=True, slots=True)
class Source:
    """One stream: what to select from where, and the columns that it is ordered by. ``name`` says what leads."""

    name: str
    select: str
    where: str
    args: tuple[Any, ...]
    seq: str
    created: str


def sources(view: Reading, asked: Conditions, by: str, indexed: int, *, changed: bool) -> list[Source]:
    """The streams for a query ordered ``by``; ``changed``: sessions may have changed since the moment asked about."""
    if not _needs_index(asked.wanted, by):
        found = [_walk(asked, asked.low, asked.high, "all")]
    elif by == "name" and not _is_rare(view, asked):
        found = [_walk(asked, asked.low, asked.high, "all", index="session_name")]
    else:
        found = [_walk(asked, max(asked.low, indexed), asked.high, "tail")]
        for one in asked.by_status():
            found += _indexed(view, one, by, min(asked.high, indexed))
    return [*found, _closed(asked)] if changed else found


def _needs_index(wanted: SessionFilter, by: str) -> bool:
    """All sessions in the order of their last change stand in an index of their own."""
    return wanted != SessionFilter(updated=wanted.updated) or by != "updated_at"


def _is_rare(view: Reading, asked: Conditions) -> bool:
    """Whether so few sessions fit that they are found first and sorted then."""
    wanted = asked.wanted
    terms = [*asked.terms(), *(metadata_term(path, value) for path, value in wanted.metadata)]
    rare = any(_count(view, _COUNT, term, SORTED_ROWS_MAX) <= SORTED_ROWS_MAX for term in terms)
    return rare or (wanted.text is not None and _words_may_lead(view, wanted, "name"))


def _columns(asked: Conditions) -> str:
    """Nothing is read of a session that nobody asks about: metadata may be long."""
    wanted = asked.wanted
    tags = "s.tags" if wanted.tags or wanted.text else "NULL"
    metadata = "s.metadata" if wanted.metadata or wanted.text else "NULL"
    texts = "s.name, s.description" if wanted.text else "NULL, NULL"
    return f"SELECT s.since_seq, s.created_at, s.id, {tags}, {metadata}, {texts}, {asked.value}"


def _walk(asked: Conditions, low: int, high: int, name: str, index: str = "session_since") -> Source:
    """Open sessions that last changed within some seqs, in the order of an index."""
    plainly, args = asked.plainly()
    created, bounds = asked.created_within("s.created_at")
    return Source(
        name, f"{_columns(asked)} FROM session s INDEXED BY {index}",
        f"s.until_seq IS NULL AND s.since_seq > ? AND s.since_seq <= ?{created}{plainly}", (low, high, *bounds, *args),
        "s.since_seq", "s.created_at",
    )  # fmt: skip


def _closed(asked: Conditions) -> Source:
    """Sessions that have changed since, as they were. The index alone tells which of its rows held then."""
    plainly, args = asked.plainly()
    created, bounds = asked.created_within("s.created_at")
    return Source(
        "changed",
        f"{_columns(asked)} FROM session c INDEXED BY session_closed"
        " CROSS JOIN session s ON s.id = c.id AND s.since_seq = c.since_seq",
        f"c.until_seq > ? AND c.since_seq > ? AND c.since_seq <= ?{created}{plainly}",
        (asked.as_of, asked.low, asked.high, *bounds, *args), "s.since_seq", "s.created_at",
    )  # fmt: skip


def _indexed(view: Reading, asked: Conditions, by: str, high: int) -> list[Source]:
    """What the index has; sessions with large metadata are looked at one by one if metadata is asked for."""
    wanted = asked.wanted
    terms = [*asked.terms(), *(metadata_term(path, value) for path, value in wanted.metadata)]
    counted = sorted((_count(view, _COUNT, term, SORTED_ROWS_MAX), term) for term in terms)
    rarest = counted[0][0] if counted else SORTED_ROWS_MAX + 1
    ordered = [term for _, term in counted]
    if wanted.text is not None and rarest > RARE_ROWS and _words_may_lead(view, wanted, by):
        found = [_by_words(asked, ordered, high)]
    elif not terms or (by == "created_at" and rarest > SORTED_ROWS_MAX):
        found = [_by_term(asked, [EVERY, *ordered], high, by)]
    else:
        found = [_by_term(asked, ordered, high, by)]
    if wanted.metadata:
        found.append(_by_term(asked, [LARGE, *asked.terms()], high, by))
    return found


def _words_may_lead(view: Reading, wanted: SessionFilter, by: str) -> bool:
    if by == "updated_at":
        return True
    expression = wanted.text.expression() if wanted.text is not None else ""
    return _count(view, _COUNT_HITS, expression, SORTED_ROWS_MAX) <= SORTED_ROWS_MAX


def _count(view: Reading, sql: str, of: Any, rows_max: int) -> int:
    row = view.one(sql, (of, rows_max + 1))
    return int(row[0]) if row else 0


def _by_term(asked: Conditions, terms: list[int], high: int, by: str) -> Source:
    """Sessions with all these terms, led by the first."""
    plainly, args = asked.plainly()
    created, bounds = asked.created_within("t.created_at")
    index = " INDEXED BY session_term_created" if terms[0] == EVERY and by == "created_at" else ""
    return Source(
        "term", f"{_columns(asked)} FROM session_term t{index} {_OPEN_OF.format(seq='t.since_seq')}",
        f"t.term = {terms[0]} AND t.since_seq > ? AND t.since_seq <= ?{created}"
        + _HAS_TERM.format(seq="t.since_seq") * (len(terms) - 1) + plainly,
        (asked.low, high, *bounds, *terms[1:], *args), "t.since_seq", "t.created_at",
    )  # fmt: skip


def _by_words(asked: Conditions, terms: list[int], high: int) -> Source:
    """Sessions with all words, and all terms."""
    wanted = asked.wanted
    plainly, args = asked.plainly()
    created, bounds = asked.created_within("s.created_at")
    expression = wanted.text.expression() if wanted.text is not None else ""
    seq = "session_text.rowid"
    return Source(
        "words", f"{_columns(asked)} FROM session_text {_OPEN_OF.format(seq=seq)}",
        f"session_text MATCH ? AND {seq} > ? AND {seq} <= ?{_HAS_TERM.format(seq=seq) * len(terms)}{created}{plainly}",
        (expression, asked.low, high, *terms, *bounds, *args), seq, "s.created_at",
    )  # fmt: skip
