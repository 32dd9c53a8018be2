"""What somebody looks for: conditions that hold together, checked, and as SQL over a row of an artifact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from llmspell.artifacts.finding.terms import field_term, term, words_of_row
from llmspell.artifacts.rules import check_type
from llmspell.errors import InvalidInput
from llmspell.model.clock import DATETIME_NS, to_ns
from llmspell.model.ids import id_bytes
from llmspell.model.labels import check_label, check_metadata, check_tags
from llmspell.model.telling import told
from llmspell.model.values import decode_value
from llmspell.model.words import TextQuery

_DIGEST = re.compile("[0-9a-f]{64}").fullmatch
_SPECIAL = re.compile(r"[*?\[]")
PATTERN_CHARS_MAX = 1000
FUZZY_CHARS = (3, 255)
_JSON_TYPES = {str: "text", int: "integer", float: "real"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Checked conditions. ``sql`` with ``args`` holds for a row ``a``; ``terms`` are ones that it has in the index;
    ``after`` and ``before`` bound the time of creation, ``sizes`` bytes; ``text`` and ``fuzzy`` are not in the SQL;
    ``session`` is the only one that is searched, if there is one, and ``fork`` the one whose
    artifacts, its own and those it inherits, are.
    """

    sql: str
    args: tuple[Any, ...]
    terms: tuple[int, ...]
    pattern: str | None
    after: int | None
    before: int | None
    sizes: tuple[int | None, int | None]
    text: TextQuery | None
    fuzzy: str | None
    session: bytes | None
    fork: bytes | None = None

    def shown_by(self, fork: bytes, sql: str, args: Iterable[Any]) -> Wanted:
        """The same about what a fork shows: rows are bound by ``sql``, and no index leads to them."""
        return replace(self, sql=f"{self.sql} AND {sql}", args=(*self.args, *args), terms=(), session=None, fork=fork)

    def has_words(self, row: tuple[Any, ...]) -> bool:
        """Whether the text that is looked for is in a row, selected as ``columns``."""
        if self.text is None:
            return True
        return self.text.is_in(words_of_row(row[2], row[6], decode_value(row[7]), decode_value(row[8])))


class _Clauses:
    """Conditions as they come together."""

    def __init__(self) -> None:
        self.sql: list[str] = []
        self.args: list[Any] = []
        self.terms: list[int] = []
        self.session: bytes | None = None

    def add(self, sql: str, *args: Any, term: int | None = None) -> None:
        self.sql.append(sql)
        self.args += args
        if term is not None:
            self.terms.append(term)


class Conditions(NamedTuple):
    """Conditions as they are given; None and empty ones do not count. See ``AsyncArtifacts.query``."""

    session: str | Iterable[str] | None = None
    type: str | None = None
    name: str | None = None
    tags: Iterable[str] = ()
    created_after: datetime | str | None = None
    created_before: datetime | str | None = None
    min_size: int | None = None
    max_size: int | None = None
    digest: str | None = None
    metadata: Mapping[str, Any] | None = None
    text: str | None = None
    fuzzy: str | None = None

    def checked(self, own: bytes | None) -> Wanted:
        """The same, checked. ``own`` is the session that a handle is of. Raises InvalidInput."""
        clauses = _Clauses()
        _sessions(clauses, self.session, own)
        if self.type is not None:
            kind = check_type(self.type)
            clauses.add("a.type = ?", kind, term=term("type", kind.encode()))
        _name(clauses, self.name)
        for tag in check_tags(self.tags):
            clauses.add("EXISTS (SELECT 1 FROM json_each(a.tags) WHERE value = ?)", tag, term=term("tag", tag.encode()))
        _sizes(clauses, self.min_size, self.max_size)
        if self.digest is not None:
            if type(self.digest) is not str or not _DIGEST(self.digest):
                raise _invalid(f"a digest is 64 hexadecimal digits, not {told(self.digest)}")
            raw = bytes.fromhex(self.digest)
            clauses.add("a.digest = ?", raw, term=term("digest", raw))
        _fields(clauses, check_metadata({} if self.metadata is None else self.metadata))
        after, before = _time(self.created_after), _time(self.created_before)
        if after is not None:
            clauses.add("a.created_at >= ?", after)
        if before is not None:
            before += DATETIME_NS - 1
            clauses.add("a.created_at <= ?", before)
        text = None if self.text is None else TextQuery.parse(self.text)
        return Wanted(
            "".join(f" AND {one}" for one in clauses.sql), tuple(clauses.args), tuple(clauses.terms),
            None if self.name is None else check_label(self.name, "a pattern of names", chars_max=PATTERN_CHARS_MAX),
            after, before, (self.min_size, self.max_size), text, _fuzzy(self.fuzzy), clauses.session,
        )  # fmt: skip


def _sessions(clauses: _Clauses, given: str | Iterable[str] | None, own: bytes | None) -> None:
    if given is None:
        asked = [] if own is None else [own]
    elif isinstance(given, str) or not isinstance(given, Iterable):
        asked = [id_bytes(given, "session")]
    else:
        asked = list(dict.fromkeys(id_bytes(one, "session") for one in given))
        if not asked or len(asked) > 1000:
            raise _invalid(f"1 to 1,000 sessions can be searched at once, not {len(asked)}")
    if own is not None and asked != [own]:
        raise _invalid("this handle is of another session: use store.artifacts")
    if len(asked) == 1:
        clauses.session = asked[0]
        clauses.add("a.session = ?", asked[0], term=term("session", asked[0]))
    elif asked:
        clauses.add(f"a.session IN ({','.join('?' * len(asked))})", *asked)


def _name(clauses: _Clauses, pattern: str | None) -> None:
    if pattern is None:
        return
    pattern = check_label(pattern, "a pattern of names", chars_max=PATTERN_CHARS_MAX)
    if _SPECIAL.search(pattern) is None:
        clauses.add("a.name = ?", pattern, term=term("name", pattern.encode()))
    else:
        clauses.add("a.name GLOB ?", glob_of(pattern))


def glob_of(pattern: str) -> str:
    """A shell pattern as SQLite's GLOB means it: ``[!a]`` is ``[^a]`` there, and a ``[`` that is never closed is
    itself.
    """
    found, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        if char != "[":
            found.append(char)
            at += 1
            continue
        first = at + 2 if pattern[at + 1 : at + 2] == "!" else at + 1
        end = pattern.find("]", first + 1)
        if end < 0:
            found.append("[[]")
            at += 1
            continue
        inner = pattern[first:end]
        negated = first == at + 2
        # A caret that comes first would negate; in any other place, it is itself.
        if inner.startswith("^") and not negated:
            inner = inner[1:] + "^" if len(inner) > 1 else "^"
        found.append("[^" + inner + "]" if negated else "^" if inner == "^" else f"[{inner}]")
        at = end + 1
    return "".join(found)


def runs_of(pattern: str) -> list[str]:
    """The parts of a pattern that names hold as they are."""
    bare = re.sub(r"\[!?.[^\]]*\]", "*", pattern)
    return [run for run in re.split(r"[*?\[]", bare) if run]


def _sizes(clauses: _Clauses, low: int | None, high: int | None) -> None:
    for bound, sign in ((low, ">="), (high, "<=")):
        if bound is not None:
            if type(bound) is not int or not 0 <= bound < 1 << 63:
                raise _invalid(f"a size is a number of bytes from 0, not {told(bound)}")
            clauses.add(f"a.size {sign} ?", bound)


def _fields(clauses: _Clauses, fields: dict[str, Any]) -> None:
    for key, value in fields.items():
        if type(value) not in _JSON_TYPES and not (value is None or isinstance(value, bool)):
            raise _invalid(f"metadata is looked for by text, number, true, false or null, and {key!r} is none of them")
        if value is None or isinstance(value, bool):
            name = "null" if value is None else "true" if value else "false"
            sql = f"EXISTS (SELECT 1 FROM json_each(a.metadata) WHERE key = ? AND type = '{name}')"
            clauses.add(sql, key, term=field_term(key, value))
            continue
        if type(value) is int and not -(1 << 63) <= value < 1 << 63:
            raise _invalid(f"{key!r}: a whole number to look for has at most 63 bits")
        sql = f"EXISTS (SELECT 1 FROM json_each(a.metadata) WHERE key = ? AND type = '{_JSON_TYPES[type(value)]}'"
        clauses.add(f"{sql} AND value = ?)", key, value, term=field_term(key, value))


def _fuzzy(text: str | None) -> str | None:
    if text is None:
        return None
    low, high = FUZZY_CHARS
    text = check_label(text, "a name to look for").strip()
    if not low <= len(text) <= high:
        raise _invalid(f"a name to look for has {low} to {high} characters, not {told(text)}")
    return text


def _time(moment: datetime | str | None) -> int | None:
    if moment is None:
        return None
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise _invalid(f"a time is RFC 3339 text, not {told(moment)}") from None
    if not isinstance(moment, datetime):
        raise _invalid(f"a time is a datetime or RFC 3339 text, not {told(moment)}")
    return to_ns(moment)


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, code="invalid-selection")
