"""Which artifacts are meant by what is said about them, for what is done to many at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llmspell.artifacts.info import ArtifactInfo, info_of
from llmspell.artifacts.inherited import shown_by
from llmspell.artifacts.lookup import BRIEF, OPEN
from llmspell.artifacts.patterns import check_pattern, matching
from llmspell.artifacts.rules import check_type
from llmspell.errors import InvalidInput
from llmspell.model.fields import Fields, fields_of, have_fields
from llmspell.model.labels import check_tags
from llmspell.model.moment import first_ns, last_ns
from llmspell.model.telling import told
from llmspell.model.words import TextQuery

if TYPE_CHECKING:
    from llmspell.journal.lineage import Lineage
    from llmspell.ports.database import Database

PAGE_ROWS = 500
_DELETED = (
    "a.until_seq IS NOT NULL AND NOT EXISTS (SELECT 1 FROM artifact l WHERE l.id = a.id AND l.since_seq > a.since_seq)"
    " AND NOT EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id)"
)
_DIGEST = re.compile("[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that hold together; None and empty ones do not count.

    ``name`` is a pattern with ``*``, ``?`` and ``[…]``; ``tags`` must all be there; ``metadata`` are fields with equal
    values; times are aware datetimes or RFC 3339 text, sizes bytes, both inclusive; ``text`` are words of name,
    description, tags and metadata; ``deleted`` means versions that are deleted and not erased, instead of those that
    are there.
    """

    session: bytes | None = None
    name: str | None = None
    type: str | None = None
    tags: Iterable[str] = ()
    created_after: datetime | str | None = None
    created_before: datetime | str | None = None
    updated_after: datetime | str | None = None
    updated_before: datetime | str | None = None
    min_size: int | None = None
    max_size: int | None = None
    digest: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    deleted: bool = False
    fork: Lineage | None = None
    """The lineage of a fork: of all that it shows, instead of what is of ``session``."""

    def check(self) -> Where:
        """The conditions, checked. Raises InvalidInput (``invalid-selection``, ``nothing-selected``)."""
        sql, args = [_DELETED if self.deleted else OPEN], list[Any]()
        if self.fork is not None:
            shown, args = shown_by(self.fork)
            sql = [shown, "1"]
        for clause, value in self._clauses():
            if value is not None:
                sql.append(clause)
                args.append(value)
        tags, fields = check_tags(self.tags), fields_of(self.metadata)
        name = None if self.name is None else matching(check_pattern(self.name))
        text = None if self.text is None else TextQuery.parse(self.text)
        if len(sql) == 1 and not tags and not fields and name is None and text is None:
            raise InvalidInput(
                "nothing says which artifacts are meant", code="nothing-selected", hint="name='*' means all of them"
            )
        own = None if self.fork is None else self.fork[0].session
        return Where(" AND ".join(sql), args, name, frozenset(tags), fields, own, text)

    def _clauses(self) -> list[tuple[str, Any]]:
        return [
            ("a.session = ?", self.session if self.fork is None else None),
            ("a.type = ?", None if self.type is None else check_type(self.type)),
            ("a.created_at >= ?", first_ns(self.created_after)),
            ("a.created_at <= ?", last_ns(self.created_before)),
            ("a.updated_at >= ?", first_ns(self.updated_after)),
            ("a.updated_at <= ?", last_ns(self.updated_before)),
            ("a.size >= ?", _bytes(self.min_size)),
            ("a.size <= ?", _bytes(self.max_size)),
            ("a.digest = ?", _digest(self.digest)),
        ]


@dataclass(frozen=True, slots=True)
class Where:
    """A checked selection: what the database decides, and what is decided row by row."""

    sql: str
    args: list[Any]
    name: Callable[[str], bool] | None
    tags: frozenset[str]
    metadata: Fields
    fork: bytes | None = None
    text: TextQuery | None = None

    async def infos(self, database: Database) -> list[ArtifactInfo]:
        """All that are meant, in the order of their ids; a read a page."""
        found: list[ArtifactInfo] = []
        after, since = b"", 0
        while True:
            page = f"{BRIEF} WHERE (a.id, a.since_seq) > (?, ?) AND {self.sql} ORDER BY a.id, a.since_seq LIMIT ?"
            args = (after, since, *self.args, PAGE_ROWS)
            rows = await database.read(lambda view, page=page, args=args: view.all(page, args))  # type: ignore[misc]
            worded = [row for row in rows if self.text is None or self.text.fits(row[2], *row[6:9])]
            shown = worded if self.fork is None else [(row[0], self.fork, *row[2:]) for row in worded]
            found += [info for info in map(info_of, shown) if self.fits(info)]
            if len(rows) < PAGE_ROWS:
                return found
            after, since = rows[-1][0], (1 << 63) - 1

    def fits(self, info: ArtifactInfo) -> bool:
        """Whether a row that the database found, and that has the words, is meant."""
        return (
            (self.name is None or self.name(info.name))
            and self.tags <= set(info.tags)
            and have_fields(info.metadata, self.metadata)
        )


def _bytes(value: int | None) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value < 1 << 63):
        raise InvalidInput(f"a size is a number of bytes from 0, not {told(value)}", code="invalid-selection")
    return value


def _digest(value: str | None) -> bytes | None:
    if value is None:
        return None
    if type(value) is not str or not _DIGEST(value):
        raise InvalidInput(f"a digest is 64 hexadecimal digits, not {told(value)}", code="invalid-selection")
    return bytes.fromhex(value)
