"""What the access room shows: grants that hold now, and the audit, which is read from the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llmspell.access.rights import rights_of, shown
from llmspell.journal.reading import COLUMNS, check_rows
from llmspell.model.clock import to_datetime
from llmspell.model.entry import Entry
from llmspell.model.page import Page, cursor_seq, read_cursor, write_cursor
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.access")
_GRANTS, _RECORDS, _BOUNDARIES, _CUT_OFFS = _SQL["grants"], _SQL["records"], _SQL["boundaries"], _SQL["cut_offs"]
_RIGHTS = 4
_NEWEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights that a principal has in a scope, from one grantor (``owner`` or a principal), until ``expires_at`` if
    that is not None. ``children``: in the scopes directly below, too. ``seq`` is the entry that granted them.
    """

    principal: str
    scope: str
    rights: tuple[str, ...]
    granted_by: str
    children: bool
    expires_at: datetime | None
    seq: int

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "principal": self.principal,
            "scope": self.scope,
            "rights": list(self.rights),
            "granted_by": self.granted_by,
            "children": self.children,
            "expires_at": self.expires_at and self.expires_at.isoformat(),
            "seq": self.seq,
        }


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """One entry of the audit. ``action`` is ``granted``, ``revoked``, ``boundary_set``, ``cut_off``, ``restored``,
    ``used`` or ``denied``; ``actor`` who did it (for ``used`` and ``denied`` the principal itself). ``count`` is how
    often it happened since the last such record, ``code`` why it was refused; both are for ``used`` and ``denied``.
    ``details`` holds what else the entry says.
    """

    seq: int
    time: datetime
    action: str
    principal: str
    scope: str
    rights: tuple[str, ...]
    actor: str
    count: int
    code: str | None
    session: str | None
    details: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "seq": self.seq,
            "time": self.time.isoformat(),
            "action": self.action,
            "principal": self.principal,
            "scope": self.scope,
            "rights": list(self.rights),
            "actor": self.actor,
            "count": self.count,
            "code": self.code,
            "session": self.session,
            **self.details,
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """Which grants or records: all conditions that are not None hold together. ``about`` is a principal: what it may or
    did, what it gave, and what others may or did in its own scope.
    """

    principal: str | None = None
    scope: str | None = None
    about: str | None = None

    def where(self, *columns: str) -> tuple[str, list[str]]:
        """A condition, and its values. ``columns`` are those that name ``about``."""
        parts, args = [], []
        for column, wanted in (("principal", self.principal), ("scope", self.scope)):
            if wanted is not None:
                parts.append(f"{column} = ?")
                args.append(wanted)
        if self.about is not None:
            parts.append(f"({' OR '.join(f'{column} = ?' for column in columns)})")
            args += [self.about] * len(columns)
        return " AND ".join(parts) or "true", args


def read_grants(view: Reading, chosen: Selection, now: int, limit: int, cursor: str | None) -> Page[Grant]:
    """A page of the grants that hold at ``now``, newest first."""
    before = _NEWEST if cursor is None else cursor_seq(read_cursor(cursor, "grants", 2)[1])
    sql, args = grants_query(chosen, now, before, limit)
    by_seq: dict[int, list[tuple[Any, ...]]] = {}
    for row in view.all(sql, args):
        by_seq.setdefault(row[4], []).append(row)
    found = [_grant(rows) for rows in list(by_seq.values())[:limit]]
    return Page(found, write_cursor("grants", found[-1].seq) if len(by_seq) > limit else None)


def grants_query(chosen: Selection, now: int, before: int, limit: int) -> tuple[str, list[Any]]:
    """The statement and its values: rows enough for ``limit`` grants and one more."""
    where, args = chosen.where("principal", "granted_by", "scope")
    return _GRANTS.format(where), [now, before, *args, (limit + 1) * _RIGHTS]


def _grant(rows: list[tuple[Any, ...]]) -> Grant:
    principal, scope, _, granted_by, seq, children, expires_at = rows[0]
    mask = sum(row[2] for row in rows)
    until = None if expires_at is None else to_datetime(expires_at)
    return Grant(shown(principal), shown(scope), rights_of(mask), shown(granted_by), bool(children), until, seq)


def read_records(view: Reading, chosen: Selection, limit: int, cursor: str | None) -> Page[AccessRecord]:
    """A page of the audit, newest first, each entry checked against its hash."""
    before = _NEWEST if cursor is None else cursor_seq(read_cursor(cursor, "access", 2)[1])
    sql, args = records_query(chosen, before, limit)
    seqs = [row[0] for row in view.all(sql, args)]
    marks = ",".join("?" * len(seqs))
    rows = view.all(f"SELECT {COLUMNS} FROM entry WHERE seq IN ({marks}) ORDER BY seq DESC", seqs)
    found = [_record(entry) for entry in check_rows(rows)]
    return Page(found, write_cursor("access", seqs[-1]) if len(seqs) == limit else None)


def records_query(chosen: Selection, before: int, limit: int) -> tuple[str, list[Any]]:
    """The statement and its values."""
    where, args = chosen.where("principal", "scope")
    return _RECORDS.format(where), [before, *args, limit]


def _record(entry: Entry) -> AccessRecord:
    from llmspell.model.ids import id_text

    data = dict(entry.data or {})
    if data.get("expires_at") is not None:
        data["expires_at"] = to_datetime(data["expires_at"]).isoformat()
    if "granted_by" in data:
        data["granted_by"] = shown(data["granted_by"])
    return AccessRecord(
        seq=entry.seq,
        time=to_datetime(entry.at),
        action=entry.kind.removeprefix("access."),
        principal=shown(data.pop("principal", "")),
        scope=shown(data.pop("scope", "")),
        rights=tuple(data.pop("rights", ())),
        actor=shown(entry.actor),
        count=data.pop("count", 1),
        code=data.pop("code", None),
        session=id_text(entry.session) if entry.session else None,
        details=data,
    )


def read_boundaries(view: Reading, limit: int) -> dict[str, tuple[str, ...]]:
    """Scopes in which everybody may do something, and what."""
    return {shown(scope): rights_of(mask) for scope, mask in view.all(_BOUNDARIES, (limit,))}


def read_cut_offs(view: Reading, limit: int) -> list[str]:
    """Principals that are cut off."""
    return [shown(principal) for (principal,) in view.all(_CUT_OFFS, (limit,))]
