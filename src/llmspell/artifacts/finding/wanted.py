"""What somebody looks for: conditions that hold together, checked, and as SQL over a row of an artifact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from llmspell.artifacts.finding.terms import field_term, is_indexed, term
from llmspell.artifacts.patterns import check_pattern, glob_of, is_exact
from llmspell.artifacts.rules import check_type
from llmspell.errors import InvalidInput
from llmspell.model.fields import Fields, fields_of, have_fields
from llmspell.model.ids import id_bytes
from llmspell.model.labels import check_label, check_tags
from llmspell.model.moment import first_ns, last_ns
from llmspell.model.telling import told
from llmspell.model.values import decode_value
from llmspell.model.words import Term, TextQuery, words_of

_DIGEST = re.compile("[0-9a-f]{64}").fullmatch
FUZZY_CHARS = (3, 255)
_WORDS_MAX = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """Checked conditions. ``sql`` with ``args`` holds for a row ``a``; ``terms`` are ones that it has in the index,
    ``field_terms`` those of ``fields``; ``name`` and ``digest`` are exact; ``after`` and ``before`` bound the time of
    creation, ``changed`` is the first of the last change, ``sizes`` bytes; ``words`` are ones that whatever has the
    tags and fields says; ``text``, ``fields`` and ``fuzzy`` are not in the SQL; ``session`` is the only one that is
    searched, if there is one, and ``fork`` the one whose artifacts, its own and those it inherits, are; ``fork_bound``
    is where in ``args`` it is said up to when.
    """

    sql: str
    args: tuple[Any, ...]
    terms: tuple[int, ...]
    name: str | None
    digest: bytes | None
    pattern: str | None
    after: int | None
    before: int | None
    changed: int | None
    sizes: tuple[int | None, int | None]
    text: TextQuery | None
    fields: Fields
    field_terms: tuple[int, ...]
    words: tuple[Term, ...]
    fuzzy: str | None
    session: bytes | None
    fork: bytes | None = None
    fork_bound: int = 0

    def shown_by(self, fork: bytes, sql: str, args: Sequence[Any]) -> Wanted:
        """The same about what a fork shows: rows are bound by ``sql``, and no index leads to them. The third of its
        ``args`` is the last entry of the fork's own that counts.
        """
        return replace(
            self, sql=f"{self.sql} AND {sql}", args=(*self.args, *args), terms=(), name=None, digest=None, session=None,
            fork=fork, fork_bound=len(self.args) + 2,
        )  # fmt: skip

    def args_at(self, seq: int) -> tuple[Any, ...]:
        """The ``args`` of a fork as it was at an entry."""
        return *self.args[: self.fork_bound], seq, *self.args[self.fork_bound + 1 :]

    @property
    def is_read(self) -> bool:
        """Whether something is wanted that rows have to be read for."""
        return self.text is not None or bool(self.fields)

    def fits(self, row: tuple[Any, ...]) -> bool:
        """Whether a row, selected as ``columns``, has the words and the fields."""
        if self.text is not None and not self.text.fits(row[2], row[6], row[7], row[8]):
            return False
        return not self.fields or have_fields(decode_value(row[8]), self.fields)


class _Clauses:
    """Conditions as they come together."""

    def __init__(self) -> None:
        self.sql: list[str] = []
        self.args: list[Any] = []
        self.terms: list[int] = []
        self.session: bytes | None = None
        self.name: str | None = None
        self.digest: bytes | None = None

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
    updated_after: datetime | str | None = None
    updated_before: datetime | str | None = None
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
        pattern = None if self.name is None else check_pattern(self.name)
        _name(clauses, pattern)
        tags = check_tags(self.tags)
        for tag in tags:
            clauses.add("EXISTS (SELECT 1 FROM json_each(a.tags) WHERE value = ?)", tag, term=term("tag", tag.encode()))
        _sizes(clauses, self.min_size, self.max_size)
        if self.digest is not None:
            if type(self.digest) is not str or not _DIGEST(self.digest):
                raise _invalid(f"a digest is 64 hexadecimal digits, not {told(self.digest)}")
            raw = bytes.fromhex(self.digest)
            clauses.digest = raw
            clauses.add("a.digest = ?", raw)
        fields = fields_of(self.metadata)
        field_terms = tuple(field_term(path, value) for path, value in fields if is_indexed(path, value))
        clauses.terms += field_terms
        after, before = first_ns(self.created_after), last_ns(self.created_before)
        changed = first_ns(self.updated_after)
        for sql, bound in (
            ("a.created_at >= ?", after), ("a.created_at <= ?", before),
            ("a.updated_at >= ?", changed), ("a.updated_at <= ?", last_ns(self.updated_before)),
        ):  # fmt: skip
            if bound is not None:
                clauses.add(sql, bound)
        text = None if self.text is None else TextQuery.parse(self.text)
        return Wanted(
            "".join(f" AND {one}" for one in clauses.sql), tuple(clauses.args), tuple(clauses.terms),
            clauses.name, clauses.digest,
            pattern, after, before, changed, (self.min_size, self.max_size), text, fields, field_terms,
            _words_of((*tags, *(self.metadata or {}).values())), _fuzzy(self.fuzzy), clauses.session,
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
    if is_exact(pattern):
        clauses.name = pattern
        clauses.add("a.name = ?", pattern)
    else:
        clauses.add("a.name GLOB ?", glob_of(pattern))


def _words_of(values: Iterable[Any]) -> tuple[Term, ...]:
    """What is said by whatever has all these tags and values. Numbers have more than one way to be written."""
    found = (tuple(words_of(one)[:_WORDS_MAX]) for one in values if type(one) is str)
    return tuple(Term(words, prefix=False) for words in dict.fromkeys(found) if words)


def _sizes(clauses: _Clauses, low: int | None, high: int | None) -> None:
    for bound, sign in ((low, ">="), (high, "<=")):
        if bound is not None:
            if type(bound) is not int or not 0 <= bound < 1 << 63:
                raise _invalid(f"a size is a number of bytes from 0, not {told(bound)}")
            clauses.add(f"a.size {sign} ?", bound)


def _fuzzy(text: str | None) -> str | None:
    if text is None:
        return None
    low, high = FUZZY_CHARS
    text = check_label(text, "a name to look for").strip()
    if not low <= len(text) <= high:
        raise _invalid(f"a name to look for has {low} to {high} characters, not {told(text)}")
    return text


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, code="invalid-selection")
