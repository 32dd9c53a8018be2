"""What the room of migrations gives: how a run of a plan stands, what it came to, what was wrong with a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from llmspell.migration.plan import Target


class Problem(NamedTuple):
    """What is wrong with one value: where, by which rule, in which words; never what it holds.

    ``phase``: ``before`` (it did not meet the old version), ``transform``, ``after`` (what was made of it does not meet
    the new one), or ``store`` (it could not be kept).
    """

    scope: str
    key: str
    path: str
    code: str
    message: str
    phase: str

    def to_dict(self) -> dict[str, str]:
        """The same in JSON types."""
        return self._asdict()

    def __str__(self) -> str:
        return f"{self.scope} {self.key!r}: {self.message}"


@dataclass(frozen=True, slots=True)
class MigrationRun:
    """How the application of a plan stands.

    ``status``: ``running``, ``rolling_back``, ``failed`` (open: resume it or roll it back), ``completed`` or
    ``rolled_back``. ``seen`` of ``total`` values were looked at, ``changed`` of them written. ``alive`` is whether
    somebody is at it now: a run that is open and not alive was interrupted; one that is ``rolling_back`` then goes on
    when ``rollback`` is called again. Times are aware UTC.
    """

    id: str
    name: str
    from_version: str
    to_version: str
    status: str
    target: Target
    attempt: int
    total: int
    seen: int
    changed: int
    skipped: int
    restored: int
    left_alone: int
    started_seq: int
    restore_seq: int
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    reason: str | None
    alive: bool

    @property
    def open(self) -> bool:
        """Whether it is neither completed nor rolled back: nothing else can begin. One that was completed is open again
        while it is being taken back.
        """
        return self.ended_at is None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "id": self.id,
            "name": self.name,
            "from_version": self.from_version,
            "to_version": self.to_version,
            "status": self.status,
            "target": self.target.to_dict(),
            "attempt": self.attempt,
            "total": self.total,
            "seen": self.seen,
            "changed": self.changed,
            "skipped": self.skipped,
            "restored": self.restored,
            "left_alone": self.left_alone,
            "started_seq": self.started_seq,
            "restore_seq": self.restore_seq,
            "started_at": self.started_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "ended_at": self.ended_at and self.ended_at.isoformat(),
            "reason": self.reason,
            "alive": self.alive,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """A value before and after; ``[REDACTED]`` when it is kept sensitive."""

    scope: str
    key: str
    before: Any
    after: Any

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {"scope": self.scope, "key": self.key, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What an application, a dry run, a resumption or a rollback came to.

    ``status`` as of a run, or ``dry_run``, or ``already_current`` (nothing was to be done, and nothing was). ``id`` is
    None for the latter two, but for the dry run of a rollback. ``left_alone`` are (scope, key) of values that a
    rollback did not touch because somebody else had changed them; ``left`` counts them all.
    """

    status: str
    name: str
    from_version: str
    to_version: str
    id: str | None = None
    total: int = 0
    seen: int = 0
    changed: int = 0
    skipped: int = 0
    restored: int = 0
    left: int = 0
    seconds: float = 0.0
    problems: tuple[Problem, ...] = field(default=())
    samples: tuple[Sample, ...] = field(default=())
    left_alone: tuple[tuple[str, str], ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "id": self.id,
            "status": self.status,
            "name": self.name,
            "from_version": self.from_version,
            "to_version": self.to_version,
            "total": self.total,
            "seen": self.seen,
            "changed": self.changed,
            "skipped": self.skipped,
            "restored": self.restored,
            "left": self.left,
            "seconds": round(self.seconds, 3),
            "problems": [one.to_dict() for one in self.problems],
            "samples": [one.to_dict() for one in self.samples],
            "left_alone": [{"scope": scope, "key": key} for scope, key in self.left_alone],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Validated:
    """Whether the values of a target meet a version. ``problems`` are the first hundred, ``failing`` counts values."""

    name: str
    version: str
    checked: int
    failing: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.failing

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "name": self.name,
            "version": self.version,
            "ok": self.ok,
            "checked": self.checked,
            "failing": self.failing,
            "problems": [one.to_dict() for one in self.problems],
        }
