"""What is shown of grants: those that hold, and the audit, which is read from the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llmspell.artifacts.grants.kinds import Level
from llmspell.artifacts.grants.units import Held, Place, subject_of
from llmspell.journal.reading import COLUMNS, check_rows
from llmspell.model.clock import to_datetime
from llmspell.model.entry import Entry, subject_digest
from llmspell.model.ids import id_text
from llmspell.model.page import Page, cursor_seq, read_cursor, write_cursor
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.grants")
_NEWEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class ArtifactGrant:
    """``grantee``, a session's id, may ``right`` (``read``, ``write``, ``admin``) what ``session`` has under ``name``:
    ``version``, or every version if that is None; until ``expires_at`` if that is not None. ``granted_by`` is a
    session's id, or None for the store's owner; ``seq`` the entry that granted it.
    """

    session: str
    name: str
    version: int | None
    grantee: str
    right: str
    granted_by: str | None
    expires_at: datetime | None
    seq: int

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {"expires_at": self.expires_at and self.expires_at.isoformat()}


@dataclass(frozen=True, slots=True)
class ArtifactAccess:
    """One entry of an artifact's audit. ``action`` is ``granted``, ``revoked``, ``used`` or ``denied``; ``count`` how
    often it happened since the last such entry; ``code`` why it was refused.
    """

    seq: int
    time: datetime
    action: str
    grantee: str
    right: str | None
    version: int | None
    granted_by: str | None
    expires_at: datetime | None
    count: int
    code: str | None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {"time": self.time.isoformat(), "expires_at": self.expires_at and self.expires_at.isoformat()}


def grant_of(session: bytes, name: str, held: Held) -> ArtifactGrant:
    """An open row as it is shown."""
    return ArtifactGrant(
        id_text(session), name, held.version or None, id_text(held.grantee), Level(held.level).right,
        id_text(held.granted_by) if held.granted_by else None, _time(held.expires_at), held.since_seq,
    )  # fmt: skip


def read_grants(view: Reading, place: Place, now: int) -> list[ArtifactGrant]:
    """Grants of a name that hold now, oldest first; of one version if the place names one."""
    rows = [Held(*row) for row in view.all(_SQL["open_of"], (place.session, place.name))]
    return [
        grant_of(place.session, place.name, held) for held in rows
        if held.until > now and (not place.version or held.version in {0, place.version})
    ]  # fmt: skip


def read_granted(view: Reading, grantee: bytes, now: int, limit: int, cursor: str | None) -> Page[ArtifactGrant]:
    """A page of what was granted to a session, by owner and name."""
    after: tuple[Any, ...] = (b"", "", -1, b"")
    if cursor is not None:
        _, session, name, version, by = read_cursor(cursor, "artifact-grants", 5)
        after = _hex(session), str(name), cursor_seq(version), _hex(by)
    rows = view.all(_SQL["open_for"], (grantee, now, *after, limit + 1))
    found = [
        grant_of(session, name, Held(version, grantee, by, seq, level, expires_at))
        for session, name, version, by, seq, level, expires_at in rows[:limit]
    ]
    if len(rows) <= limit:
        return Page(found)
    last = rows[limit - 1]
    return Page(found, write_cursor("artifact-grants", last[0].hex(), last[1], last[2], last[3].hex()))


def read_audit(
    view: Reading, place: Place, scope: tuple[int, bytes] | None, limit: int, cursor: str | None
) -> Page[ArtifactAccess]:
    """A page of the audit of a name, newest first, each entry checked against its hash."""
    before = _NEWEST if cursor is None else cursor_seq(read_cursor(cursor, "artifact-access", 2)[1])
    subject = b"" if scope is None else subject_digest(scope[1], subject_of(place.name))
    half = before, limit
    seqs = [row[0] for row in view.all(_SQL["records"], (subject, *half, place.text, *half, limit))]
    marks = ",".join("?" * len(seqs))
    rows = view.all(f"SELECT {COLUMNS} FROM entry WHERE seq IN ({marks}) ORDER BY seq DESC", seqs)
    found = [_access(entry) for entry in check_rows(rows)]
    return Page(found, write_cursor("artifact-access", seqs[-1]) if len(seqs) == limit else None)


def _access(entry: Entry) -> ArtifactAccess:
    said: dict[str, Any] = dict(entry.data or {})
    own = entry.kind.startswith("artifact.")
    who = said.get("grantee") if own else str(said.get("principal", "")).removeprefix("session:")
    return ArtifactAccess(
        entry.seq, to_datetime(entry.at), entry.kind.partition(".")[2], str(who or ""),
        said.get("right") if own else _right(said.get("rights")), said.get("version") or None, said.get("granted_by"),
        _time(said.get("expires_at")), said.get("count", 1), said.get("code") or None,
    )  # fmt: skip


def _right(rights: Any) -> str | None:
    """The access room's ledger knows read, write and delete; the last stands for admin."""
    if not isinstance(rights, list) or not rights:
        return None
    return {"read": "read", "write": "write", "delete": "admin"}.get(rights[-1])


def _time(ns: int | None) -> datetime | None:
    return None if ns is None else to_datetime(ns)


def _hex(value: Any) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        read_cursor("", "artifact-grants", 5)
        raise
