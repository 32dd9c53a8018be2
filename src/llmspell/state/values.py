"""What reads of the state room return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.telling import told


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
    """One step in a key's history. ``operation`` is ``set``, ``deleted`` or ``expired``; ``value`` None unless set.
    ``scope`` is the scope's name; ``artifacts`` the ids of those that the change named.
    """

    key: str
    operation: str
    value: Any
    version: int
    seq: int
    time: datetime
    session: str | None
    correlation_id: str
    scope: str
    artifacts: tuple[str, ...] = ()

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
            "scope": self.scope,
            "artifacts": list(self.artifacts),
        }


@dataclass(frozen=True, slots=True)
class StateDifference:
    """A key that two moments differ in. ``change`` is ``added``, ``removed`` or ``changed``; ``before`` and ``after``
    are what it held, None where it had no value. ``scope`` is the scope's name.
    """

    scope: str
    key: str
    change: str
    before: StateEntry | None
    after: StateEntry | None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "scope": self.scope,
            "key": self.key,
            "change": self.change,
            "before": self.before and self.before.to_dict(),
            "after": self.after and self.after.to_dict(),
        }


def check_ttl(ttl_s: float) -> int:
    """A time to live in nanoseconds. Raises InvalidInput (``invalid-ttl``)."""
    if type(ttl_s) not in (int, float) or not 0 < ttl_s < limits.TTL_S_MAX:
        raise InvalidInput(f"ttl_s is a number of seconds above 0, not {told(ttl_s)}", code="invalid-ttl")
    return round(ttl_s * 1e9)
