"""Which migrations lead from one version to another, what that takes, and what can go wrong on the way."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec
from blake3 import blake3

from llmspell.errors import InvalidInput, NotFound
from llmspell.migration.migration import Migration
from llmspell.migration.transform import Functions
from llmspell.schemas.checking import Validators
from llmspell.schemas.risk import Risk
from llmspell.schemas.schema import Schema
from llmspell.schemas.version import Version

REHEARSED = 60
"""Made-up values of the old version that a plan is tried on."""
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Target:
    """Which values: of ``kind`` ``state``, the keys that begin with ``prefix`` in ``scope`` (by name; None: in every
    scope); of ``agents``, the records of agents whose id begins so.
    """

    kind: str = "state"
    scope: str | None = None
    prefix: str = ""

    def meets(self, other: Target) -> bool:
        """Whether a value can be among these and those of another target."""
        return (
            self.kind == other.kind
            and (self.scope == other.scope or None in (self.scope, other.scope))
            and (self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix))
        )

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {"kind": self.kind, "scope": self.scope, "prefix": self.prefix}

    def __str__(self) -> str:
        what = "agents" if self.kind == "agents" else "keys"
        named = f"{what} {self.prefix}*" if self.prefix else f"all {what}"
        return named if self.scope is None else f"{named} of {self.scope}"


class Known(NamedTuple):
    """Which version the values of a target are of: the one that exactly these keys are ``bound`` to, the one that the
    last migration of them led to (``ran``).
    """

    bound: str | None
    ran: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: ``steps`` one after the other to every value of ``target``.

    ``count`` and ``bytes`` (of values as JSON; of long ones, what they take in the store; 0 for agents) are what is
    there now, ``seconds`` a guess of how long it takes. ``inherited`` counts keys that forks inherit: they stay as
    they are. It is 0 for one scope, which is no fork.
    ``risk`` says what can go wrong, ``restore_point_needed`` whether computing cannot bring the old values back (the
    journal can). ``warnings`` explain what to look at before.
    """

    name: str
    from_schema: Schema
    to_schema: Schema
    target: Target
    steps: tuple[Migration, ...]
    count: int = 0
    bytes: int = 0
    inherited: int = 0
    warnings: tuple[str, ...] = field(default=())
    known: Known | None = field(default=None, compare=False, repr=False)
    """What was known of the values' version when this was planned; None for a plan made by hand."""

    @property
    def from_version(self) -> str:
        """The version that the values have."""
        return str(self.from_schema.version)

    @property
    def to_version(self) -> str:
        """The version that they are to have."""
        return str(self.to_schema.version)

    @property
    def risk(self) -> Risk:
        """That of the riskiest step."""
        return max((step.risk for step in self.steps), default=Risk.LOW)

    @property
    def restore_point_needed(self) -> bool:
        """Whether some step drops data, or changes what computing cannot change back."""
        return self.risk >= Risk.HIGH

    @property
    def seconds(self) -> float:
        """A guess: 60 µs for a value, and 0.03 µs for each byte."""
        return round(self.count * 60e-6 + self.bytes * 0.03e-6, 3)

    @property
    def hash(self) -> str:
        """The same for plans that do the same to the same values, whatever their number is."""
        return blake3(_encode(self.to_entry())).hexdigest()

    def functions(self) -> set[str]:
        """Names of the functions that the steps need."""
        return set().union(*(step.functions() for step in self.steps))

    def change(self, value: Any, functions: Functions) -> Any:
        """The value, which is the caller's own, as the new version has it."""
        box = {"": value}
        for step in self.steps:
            step.change(box, functions)
        return box[""]

    def to_entry(self) -> dict[str, Any]:
        """All that it takes to go on with it, in JSON types."""
        return {
            "name": self.name,
            "from_schema": self.from_schema.to_dict(),
            "to_schema": self.to_schema.to_dict(),
            "target": self.target.to_dict(),
            "steps": [step.to_dict() for step in self.steps],
        }

    @classmethod
    def from_entry(cls, given: dict[str, Any]) -> Plan:
        """The plan of what ``to_entry`` gave."""
        return cls(
            given["name"], Schema.from_dict(given["from_schema"]), Schema.from_dict(given["to_schema"]),
            Target(**given["target"]), tuple(map(Migration.from_dict, given["steps"])),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The plan as shown: JSON types."""
        return {
            "name": self.name,
            "from_version": self.from_version,
            "to_version": self.to_version,
            "target": self.target.to_dict(),
            "steps": [step.to_dict() | {"risk": step.risk.label} for step in self.steps],
            "count": self.count,
            "bytes": self.bytes,
            "inherited": self.inherited,
            "seconds": self.seconds,
            "risk": self.risk.label,
            "restore_point_needed": self.restore_point_needed,
            "functions": sorted(self.functions()),
            "warnings": list(self.warnings),
        }


def find_path(
    migrations: Iterable[Migration], name: str, start: str | Version, end: str | Version
) -> tuple[Migration, ...]:
    """The fewest migrations that lead from ``start`` to ``end``; of several such ways the one of least risk, then the
    one over the lowest versions. None at all when the two are the same.

    Raises NotFound (``migration-path-missing``) naming how far one gets from either side.
    """
    start, end = Version.parse(start), Version.parse(end)
    edges: dict[Version, list[Migration]] = {}
    for one in migrations:
        if one.name == name:
            edges.setdefault(one.from_version, []).append(one)
    waiting: list[tuple[int, int, tuple[Version, ...], int, tuple[Migration, ...]]] = [(0, 0, (start,), 0, ())]
    done: set[Version] = set()
    pushed = 0
    while waiting:
        steps, risk, way, _, path = heapq.heappop(waiting)
        if way[-1] == end:
            return path
        if way[-1] in done:
            continue
        done.add(way[-1])
        for one in edges.get(way[-1], ()):
            pushed += 1
            heapq.heappush(
                waiting, (steps + 1, risk + one.risk, (*way, one.to_version), pushed, (*path, one))
            )  # fmt: skip
    raise _missing(name, start, end, done - {start}, _leading_to(edges, end))


def warnings_of(
    plan: Plan, functions: Functions | None = None, validators: Validators | None = None
) -> tuple[str, ...]:
    """What to look at before a plan is applied: what its steps drop, what they need, and made-up values of the old
    version that they fail on.
    """
    told = [
        f"{step.from_version} to {step.to_version}: {one.describe()} drops or overwrites data"
        for step in plan.steps
        for one in step.transforms
        if one.risk is Risk.CRITICAL
    ]
    if plan.to_schema.version < plan.from_schema.version:
        told.append("the new version is lower than the old one: what only the old one has may be lost")
    needed = plan.functions() - set(functions or {})
    validating = plan.from_schema.validator_names() | plan.to_schema.validator_names()
    if needed:
        told.append(f"functions are to be given when it is applied: {', '.join(sorted(needed))}")
    if validating - set(validators or {}):
        told.append(f"validators are to be given: {', '.join(sorted(validating - set(validators or {})))}")
    if not needed and not validating - set(validators or {}):
        told += _rehearsed(plan, functions or {}, validators)
    return tuple(told)


def _rehearsed(plan: Plan, functions: Functions, validators: Validators | None) -> list[str]:
    failing: dict[str, int] = {}
    for example in plan.from_schema.examples(count=REHEARSED, validators=validators):
        try:
            found = plan.to_schema.check(plan.change(example, functions), validators=validators)
        except InvalidInput as exc:
            failing[exc.message] = failing.get(exc.message, 0) + 1
        else:
            for problem in found[:1]:
                failing[str(problem)] = failing.get(str(problem), 0) + 1
    return [
        f"values of {plan.from_version} can be such that it fails, as {count} made-up ones do: {why}"
        for why, count in sorted(failing.items(), key=lambda item: -item[1])[:5]
    ]


def with_warnings(plan: Plan, more: Iterable[str] = ()) -> Plan:
    """The plan with its warnings."""
    return replace(plan, warnings=(*more, *warnings_of(plan)))


def _leading_to(edges: dict[Version, list[Migration]], end: Version) -> set[Version]:
    found: set[Version] = set()
    waiting = [end]
    while waiting:
        to = waiting.pop()
        for version, ways in edges.items():
            if version not in found and any(one.to_version == to for one in ways):
                found.add(version)
                waiting.append(version)
    return found - {end}


def _missing(name: str, start: Version, end: Version, ahead: set[Version], behind: set[Version]) -> NotFound:
    def told(versions: set[Version]) -> str:
        return ", ".join(map(str, sorted(versions)[-10:])) or "nowhere"

    behind_told = ", ".join(map(str, sorted(behind)[-10:])) or "none"
    low, high = max(ahead, default=start), min(behind, default=end)
    return NotFound(
        f"no registered migrations lead {name} from {start} to {end}: from {start} one gets to {told(ahead)};"
        f" versions that lead to {end}: {behind_told}",
        code="migration-path-missing",
        hint=f"register a Migration({name!r}, {str(low)!r}, {str(high)!r}, …)",
        from_version=str(start),
        to_version=str(end),
    )
