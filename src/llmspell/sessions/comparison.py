"""What comparing two sessions gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmspell.journal.lineage import Level

if TYPE_CHECKING:
    from llmspell.artifacts.values import ArtifactDifference
    from llmspell.ports.database import Reading
    from llmspell.sessions.info import SessionInfo
    from llmspell.state.values import StateDifference

COMPARED = (
    "name", "description", "status", "reason", "tags", "metadata", "config", "created_by", "parent",
)  # fmt: skip
"""The fields that are compared: those that do not differ by themselves."""


@dataclass(frozen=True, slots=True)
class CommonAncestor:
    """The session that both go back to (it may be one of them), and the last entry of it that both have."""

    session: str
    seq: int

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {"session": self.session, "seq": self.seq}


@dataclass(frozen=True, slots=True)
class SessionComparison:
    """What session ``b`` has otherwise than ``a``, by their ids.

    ``fields`` are those of the sessions that differ, each as (in a, in b). ``state`` and ``artifacts`` are a page of
    what was added, removed or changed from ``a`` to ``b``: keys first, in their order, then names.
    """

    a: str
    b: str
    ancestor: CommonAncestor | None
    fields: dict[str, tuple[Any, Any]]
    state: list[StateDifference]
    artifacts: list[ArtifactDifference]
    next_cursor: str | None

    @property
    def identical(self) -> bool:
        """Nothing differs, on this page and (there is no next one) at all."""
        return not (self.fields or self.state or self.artifacts or self.next_cursor)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "a": self.a,
            "b": self.b,
            "identical": self.identical,
            "ancestor": self.ancestor and self.ancestor.to_dict(),
            "fields": {name: {"a": was, "b": now} for name, (was, now) in self.fields.items()},
            "state": [one.to_dict() for one in self.state],
            "artifacts": [one.to_dict() for one in self.artifacts],
            "next_cursor": self.next_cursor,
        }


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared: both lineages (of a session that is no fork, itself alone), and the moment's time."""

    a: tuple[Level, ...]
    b: tuple[Level, ...]
    now: int


Page = tuple[list["StateDifference"], list["ArtifactDifference"], str | None]
Comparer = Callable[["Reading", Compared, int, "str | None"], Page]
"""Compares what is in two sessions: a page of differing keys and names, and the cursor of the next one."""


def common_ancestor(one: tuple[Level, ...], other: tuple[Level, ...]) -> tuple[bytes, int] | None:
    """The nearest session of both lineages, with the last entry that both have of it."""
    bounds = {level.session: level.bound for level in other}
    for level in one:
        if level.session in bounds:
            return level.session, min(level.bound, bounds[level.session])
    return None


def differing(a: SessionInfo, b: SessionInfo) -> dict[str, tuple[Any, Any]]:
    """The fields in which two sessions differ."""
    was, now = a.to_dict(), b.to_dict()
    return {name: (was[name], now[name]) for name in COMPARED if was[name] != now[name]}
