"""What changed from one version of a schema to another, for whom that breaks, and why.

Rules decide (``inclusion``), and generated values check them: a value that is refused although the rules found nothing
is a change of its own, so that a wrong rule is never believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from llmspell.schemas.checking import Validators, completed, copied, problems
from llmspell.schemas.differences import differences
from llmspell.schemas.field import Field
from llmspell.schemas.generate import examples, names_in
from llmspell.schemas.inclusion import breaks
from llmspell.schemas.level import Level
from llmspell.schemas.risk import Risk
from llmspell.schemas.schema import Schema

EXAMPLES = 100
DIRECTIONS = ("backward", "forward")


class Change(msgspec.Struct, frozen=True):
    """One difference between two versions.

    ``path``: where, like ``$.user.age`` (``[]`` each item of a list, ``*`` each member that is not named). ``what``:
    field-added, field-removed, type-changed, and so for nullable, required, default, enum, range, length, pattern,
    needs, validators, unknown; or value-refused, found by a generated value alone. ``breaking_for``: ``backward``: the
    newer version may refuse what the older wrote; ``forward``: the older may refuse what the newer writes.
    ``examples``: for each of these a value that shows it, where one could be made.
    """

    path: str
    what: str
    breaking_for: tuple[str, ...]
    risk: Risk
    explanation: str
    examples: dict[str, Any]

    @property
    def breaking(self) -> bool:
        """Whether it breaks for anybody."""
        return bool(self.breaking_for)

    def to_dict(self) -> dict[str, Any]:
        """The change as JSON."""
        shown = msgspec.structs.asdict(self)
        return shown | {"breaking_for": list(self.breaking_for), "risk": self.risk.label}


class Compatibility(msgspec.Struct, frozen=True):
    """How two versions of a schema stand to each other. ``values_checked``: how many generated values were tried."""

    name: str
    old: str
    new: str
    changes: tuple[Change, ...]
    values_checked: int

    @property
    def backward(self) -> bool:
        """Whether the newer version reads all that the older wrote."""
        return not any("backward" in change.breaking_for for change in self.changes)

    @property
    def forward(self) -> bool:
        """Whether the older version reads all that the newer writes."""
        return not any("forward" in change.breaking_for for change in self.changes)

    @property
    def risk(self) -> Risk:
        """The highest of its changes'."""
        return max((change.risk for change in self.changes), default=Risk.LOW)

    @property
    def bump(self) -> str:
        """Which number of the version the changes ask for: major, minor or patch."""
        return "major" if not self.backward else "minor" if self.changes else "patch"

    def fits(self, level: Level | str) -> bool:
        """Whether a level of compatibility is kept."""
        return all(getattr(self, direction) for direction in Level.parse(level).directions)

    def against(self, level: Level | str) -> list[Change]:
        """The changes that break a level."""
        directions = Level.parse(level).directions
        return [change for change in self.changes if directions & set(change.breaking_for)]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON."""
        return {
            "name": self.name,
            "old": self.old,
            "new": self.new,
            "backward": self.backward,
            "forward": self.forward,
            "risk": self.risk.label,
            "bump": self.bump,
            "values_checked": self.values_checked,
            "changes": [change.to_dict() for change in self.changes],
        }


_Broken = dict[tuple[str, str], dict[str, Any]]


def compare(
    old: Schema, new: Schema, *, values: int = EXAMPLES, seed: int = 0, validators: Validators | None = None
) -> Compatibility:
    """What changed from ``old`` to ``new``, for whom it breaks, and why; in the order of paths.

    ``values``: how many values of each are generated to check the rules. ``validators``: functions of yours by name;
    with them generated values are judged by them too. Some milliseconds for schemas of ten fields.
    """
    broken: _Broken = {}
    checked = 0
    for direction, writer, reader in (("backward", old.value, new.value), ("forward", new.value, old.value)):
        found = False
        for one in breaks(writer, reader):
            # Seen from the reader of the older version, what was added is missing, and the other way round.
            what = one.what if direction == "backward" else _MIRROR.get(one.what, one.what)
            shown = broken.setdefault((one.path, what), {})
            if shown.get(direction, UNSET) is UNSET:
                shown[direction] = one.example
            found = True
        refused, tried = _refused(writer, reader, values, seed, validators)
        checked += tried
        if refused is not UNSET and not found:
            broken.setdefault(("$", "example"), {})[direction] = refused
    changes = tuple(_changes(old, new, broken))
    return Compatibility(old.name, str(old.version), str(new.version), changes, checked)


_MIRROR = {"added": "removed", "removed": "added"}


def _refused(writer: Field, reader: Field, count: int, seed: int, validators: Validators | None) -> tuple[Any, int]:
    """The first generated value that the reader refuses, UNSET when it reads all, and how many were tried."""
    tried = 0
    for value in examples(writer, count=count, seed=seed, avoid=names_in(reader), validators=validators):
        tried += 1
        if problems(reader, completed(reader, value), validators, ask=validators is not None):
            return value, tried
    return UNSET, tried


def _changes(old: Schema, new: Schema, broken: _Broken) -> Iterator[Change]:
    told = {(path, what): text for path, what, text in differences(old.value, new.value)}
    for path, what in sorted({*told, *broken}, key=lambda key: (key[0], key[1])):
        shown = broken.get((path, what), {})
        directions = tuple(direction for direction in DIRECTIONS if direction in shown)
        text = told.get((path, what)) or _TEXTS[what]
        why = "; ".join(_REASONS[direction].format(old=old.version, new=new.version) for direction in directions)
        undecided = [direction for direction in directions if shown[direction] is UNSET]
        if undecided:
            why += f" (no example: {'validators decide it' if what == 'validators' else 'not decided by a value'})"
        yield Change(
            path=path,
            what=_WHAT.get(what, f"{what}-changed"),
            breaking_for=directions,
            risk=_risk(what, directions),
            explanation=f"{text}: {why or 'both versions read what the other writes'}",
            examples={one: copied(shown[one]) for one in directions if shown[one] is not UNSET},
        )


def _risk(what: str, directions: tuple[str, ...]) -> Risk:
    if what == "removed":
        return Risk.CRITICAL
    return Risk.HIGH if "backward" in directions else Risk.MEDIUM if directions else Risk.LOW


_WHAT = {"added": "field-added", "removed": "field-removed", "example": "value-refused"}
_REASONS = {
    "backward": "{new} may refuse what {old} wrote",
    "forward": "{old} may refuse what {new} writes",
}
_TEXTS = {
    "added": "the field was added",
    "removed": "the field was removed",
    "type": "other types are accepted",
    "nullable": "null is treated otherwise",
    "required": "it is required otherwise",
    "enum": "other values are allowed",
    "range": "other numbers are allowed",
    "length": "other lengths are allowed",
    "pattern": "other texts are allowed",
    "needs": "other fields are needed beside it",
    "validators": "other validators are asked",
    "unknown": "members that are not named are treated otherwise",
    "example": "no rule tells of it, but a generated value is refused",
}
