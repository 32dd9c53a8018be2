"""What reads of the state room return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class StateEntry:
    """A key's current value with its version. ``seq`` is the entry that set it; times are aware UTC."""

    key: str
    value: Any
    version: int
    seq: int
    updated_at: datetime
    expires_at: datetime | None
    state_class: str = "standard"

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "key": self.key,
            "value": self.value,
            "version": self.version,
            "seq": self.seq,
            "updated_at": self.updated_at.isoformat(),
            "expires_at": self.expires_at and self.expires_at.isoformat(),
            "state_class": self.state_class,
        }


@dataclass(frozen=True, slots=True)
class StateChange:
    """One step in a key's history. ``operation`` is ``set``, ``deleted`` or ``expired``; ``value`` None unless set."""

    key: str
    operation: str
    value: Any
    version: int
    seq: int
    time: datetime
    session: str | None
    correlation_id: str

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "key": self.key,
            "operation": self.operation,
            "value": self.value,
            "version": self.version,
            "seq": self.seq,
            "time": self.time.isoformat(),
            "session": self.session,
            "correlation_id": self.correlation_id,
        }
