"""What reads of the sessions room return."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from llmspell.model.clock import to_datetime
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.session import SessionStatus
from llmspell.model.values import decode_value
from llmspell.ports.database import Row
from llmspell.sessions.config import SessionConfig
from llmspell.sessions.kinds import SessionCreated

_json = msgspec.json.Encoder().encode


class SessionInfo:
    """A session as of one moment: every field it was given, its status, times (aware UTC), counts and sizes.

    A thin view of a row: fields are converted when they are asked for, so that long lists cost little.
    """

    __slots__ = ("_row",)

    def __init__(self, row: Row) -> None:
        self._row = row

    @property
    def id(self) -> str:
        """Time-ordered UUID."""
        return id_text(self._row[0])

    @property
    def name(self) -> str:
        """As given; need not be unique."""
        return self._row[1]  # type: ignore[no-any-return]

    @property
    def description(self) -> str:
        """As given; empty by default."""
        return self._row[2]  # type: ignore[no-any-return]

    @property
    def status(self) -> SessionStatus:
        """Where it stands."""
        return SessionStatus(self._row[3])

    @property
    def reason(self) -> str | None:
        """Why it failed, if it did."""
        return self._row[4]  # type: ignore[no-any-return]

    @property
    def tags(self) -> list[str]:
        """In the order given."""
        return decode_value(self._row[5])  # type: ignore[no-any-return]

    @property
    def metadata(self) -> dict[str, Any]:
        """The caller's own fields."""
        return decode_value(self._row[6])  # type: ignore[no-any-return]

    @property
    def config(self) -> dict[str, Any]:
        """The caller's own settings, kept with the session."""
        return decode_value(self._row[7])  # type: ignore[no-any-return]

    @property
    def settings(self) -> SessionConfig:
        """The same, typed: when it is saved by itself, its limits, how long it is kept, and the caller's own."""
        return SessionConfig.of(self.config)

    @property
    def created_ns(self) -> int:
        """``created_at`` in nanoseconds since the Unix epoch."""
        return self._row[11]  # type: ignore[no-any-return]

    @property
    def created_by(self) -> str | None:
        """As given."""
        return self._row[8]  # type: ignore[no-any-return]

    @property
    def parent(self) -> str | None:
        """Id of the session it was opened under."""
        return id_text(self._row[9]) if self._row[9] else None

    @property
    def correlation_id(self) -> str:
        """The correlation that everything in the session has, unless another was opened inside."""
        return id_text(self._row[10])

    @property
    def created_at(self) -> datetime:
        """When it was created."""
        return to_datetime(self._row[11])

    @property
    def updated_at(self) -> datetime:
        """When the session itself last changed: fields, status, save, checkpoint."""
        return to_datetime(self._row[12])

    @property
    def started_at(self) -> datetime | None:
        """When it became active for the first time."""
        return to_datetime(self._row[13]) if self._row[13] is not None else None

    @property
    def ended_at(self) -> datetime | None:
        """When it completed or failed; None while it may go on."""
        return to_datetime(self._row[14]) if self._row[14] is not None else None

    @property
    def operation_count(self) -> int:
        """Journal entries written in this session, since it was imported last if it was."""
        return self._row[15]  # type: ignore[no-any-return]

    @property
    def artifact_count(self) -> int:
        """Stored artifact versions that are not deleted."""
        return self._row[16]  # type: ignore[no-any-return]

    @property
    def artifact_bytes(self) -> int:
        """Their sizes together, before deduplication and compression."""
        return self._row[17]  # type: ignore[no-any-return]

    @property
    def forked_from(self) -> str | None:
        """Id of the session whose history a fork goes on from; counts and sizes are the fork's own, without that."""
        return id_text(self._row[18]) if self._row[18] else None

    @property
    def forked_at(self) -> int | None:
        """Seq of the last entry of that session which belongs to the fork's history."""
        return self._row[19]  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """All fields in JSON types, times as RFC 3339."""
        found: dict[str, Any] = {}
        for name in _FIELDS:
            value = getattr(self, name)
            found[name] = value.isoformat() if isinstance(value, datetime) else value
        found["status"] = str(found["status"])
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionInfo) and self._row == other._row

    def __hash__(self) -> int:
        return hash(self._row)

    def __repr__(self) -> str:
        return f"SessionInfo(id={self.id!r}, name={self.name!r}, status={str(self.status)!r})"


_FIELDS = (
    "id", "name", "description", "status", "reason", "tags", "metadata", "config", "created_by", "parent",
    "correlation_id",
    "created_at", "updated_at", "started_at", "ended_at", "operation_count", "artifact_count", "artifact_bytes",
    "forked_from", "forked_at",
)  # fmt: skip


def first_row(
    session: bytes, correlation: bytes, new: SessionCreated, at: int, entries: int,
    origin: tuple[bytes | None, int | None] = (None, None),
) -> Row:  # fmt: skip
    """The row of a session that was just created, as ``info`` would select it; ``origin`` of a fork."""
    parent = None if new.parent is None else id_bytes(new.parent)
    return (
        session, new.name, new.description, "active", None, _json(new.tags).decode(), _json(new.metadata).decode(),
        _json(new.config).decode(), new.created_by, parent, correlation, at, at, at, None, entries, 0, 0, *origin,
    )  # fmt: skip


class Checkpoint:
    """A labelled point of a session. ``seq`` is its entry, ``state_hash`` commits to the session's state there."""

    __slots__ = ("label", "seq", "state_hash", "time")

    def __init__(self, seq: int, label: str, state_hash: bytes, at: int) -> None:
        self.seq = seq
        self.label = label
        self.state_hash = state_hash.hex()
        self.time = to_datetime(at)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {"label": self.label, "seq": self.seq, "state_hash": self.state_hash, "time": self.time.isoformat()}
