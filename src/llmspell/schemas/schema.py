"""A schema: what the values under some keys are, under a name and a version, and what that depends on.

A schema is immutable. Two with the same content have the same hash, whatever the order of their fields was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from blake3 import blake3

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model.values import encode_value
from llmspell.schemas import checking, generate
from llmspell.schemas.checking import Problem, Validators
from llmspell.schemas.field import Field, Unknown, field_of, fields_of
from llmspell.schemas.level import Level
from llmspell.schemas.soundness import DESCRIPTION_CHARS_MAX
from llmspell.schemas.version import Requirement, Version

SCHEMA_BYTES_MAX = 256 << 10
"""Of a schema as JSON."""
DEPENDENCIES_MAX = 100

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}").fullmatch
_OF_OBJECTS = ("fields", "unknown", "validators")
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Schema:
    """What a value has to be.

    ``name``: 1 to 128 letters, digits, ``_ . : -``. ``version``: semantic, like ``"2.0.0"``. ``fields``: the members of
    the value, which is an object then; ``value``: any other ``Field`` in their place. ``dependencies``: names of
    schemas that must be known, with the versions that will do (``Requirement``). ``compatibility``: what this version
    promises those before it (``Level``). ``unknown``, ``validators``: as of a field, for the value as a whole.

    Raises InvalidInput (``invalid-schema``, ``invalid-pattern``, ``invalid-version``) with the path of what is unsound.
    """

    name: str
    version: Version
    value: Field
    dependencies: Mapping[str, Requirement]
    compatibility: Level
    description: str
    hash: str
    """BLAKE3 of the canonical JSON, hexadecimal."""

    def __init__(
        self,
        name: str,
        version: str | Version,
        fields: Any = None,
        *,
        value: Any = None,
        dependencies: Any = (),
        compatibility: Level | str = Level.BACKWARD,
        unknown: Unknown = "keep",
        validators: tuple[str, ...] | list[str] = (),
        description: str = "",
    ) -> None:
        if type(name) is not str or not _NAME(name):
            raise _refuse(f"a schema's name is 1 to 128 letters, digits and '_.:-', not {str(name)[:40]!r}")
        if (fields is None) == (value is None):
            raise _refuse(f"the schema {name} has either fields or a value")
        if value is not None and (unknown != "keep" or validators):
            raise _refuse("unknown and validators stand beside fields; with value they are arguments of the field")
        if type(description) is not str or len(description) > DESCRIPTION_CHARS_MAX:
            raise _refuse(f"a description is a str of at most {DESCRIPTION_CHARS_MAX:,} characters")
        if value is None:
            value = {"type": "object", "fields": fields_of(fields), "unknown": unknown, "validators": validators}
        put = object.__setattr__
        put(self, "name", name)
        put(self, "version", Version.parse(version))
        put(self, "value", field_of(value))
        if self.value.needs or self.value.has_default or not self.value.required:
            raise _refuse("required, default and needs are of fields within an object; the value as a whole has none")
        put(self, "dependencies", _dependencies(name, dependencies))
        put(self, "compatibility", Level.parse(compatibility))
        put(self, "description", description)
        put(self, "hash", self._hashed())

    @property
    def fields(self) -> Mapping[str, Field]:
        """The members of the value; none when it is no object."""
        return self.value.fields or {}

    def check(self, value: Any, *, validators: Validators | None = None, veiled: bool = False) -> list[Problem]:
        """What is wrong with a value; nothing when it meets the schema.

        ``validators``: functions by the names that the schema uses; a missing one raises NotFound
        (``unknown-validator``). Messages never show the value; with ``veiled``, not even names of members that the
        schema does not have, nor what a validator says. About 1 µs for each of its parts.
        """
        return checking.problems(self.value, value, validators, veiled=veiled)

    def read(self, value: Any, *, validators: Validators | None = None) -> tuple[Any, list[Problem]]:
        """The value as this version reads it, with its defaults filled in, and what is wrong with it then."""
        complete = self.with_defaults(value)
        return complete, self.check(complete, validators=validators)

    def with_defaults(self, value: Any) -> Any:
        """The value with defaults in the place of what is missing, at any depth. What it is given is not changed;
        parts that lack nothing are shared with it.
        """
        return checking.completed(self.value, value)

    def examples(self, *, count: int = 100, seed: int = 0, validators: Validators | None = None) -> Iterator[Any]:
        """Values that meet the schema, those at its edges first; the same for the same seed. At most ``count``."""
        return generate.examples(self.value, count=count, seed=seed, validators=validators)

    def validator_names(self) -> set[str]:
        """The validators that the schema names, at any depth."""
        return _validators(self.value)

    def to_dict(self) -> dict[str, Any]:
        """The schema as JSON, which ``from_dict`` reads and an entry may hold."""
        shown: dict[str, Any] = {"name": self.name, "version": str(self.version), "value": self.value.to_dict()}
        shown["compatibility"] = str(self.compatibility)
        if self.dependencies:
            shown["dependencies"] = {name: one.text for name, one in self.dependencies.items()}
        if self.description:
            shown["description"] = self.description
        return shown

    @classmethod
    def from_dict(cls, given: Any) -> Schema:
        """The schema of a JSON object of the arguments of ``Schema``. Raises InvalidInput (``invalid-schema``)."""
        if not isinstance(given, Mapping):
            raise _refuse(f"a schema is an object, not {type(given).__name__}")
        known = ("name", "version", "value", "dependencies", "compatibility", "description", *_OF_OBJECTS)
        strange = sorted(str(name)[:40] for name in given if name not in known)
        if strange:
            raise _refuse(f"a schema has no {', '.join(strange)}; it has {', '.join(sorted(known))}")
        missing = [name for name in ("name", "version") if name not in given]
        if missing:
            raise _refuse(f"a schema has a {' and a '.join(missing)}")
        return cls(**given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"Schema({self.name!r}, {str(self.version)!r})"

    def _hashed(self) -> str:
        shown = self.to_dict()
        try:
            encode_value(shown, bytes_max=SCHEMA_BYTES_MAX)
        except LimitExceeded as exc:
            raise LimitExceeded(f"the schema {self.name}: {exc.message}", code="schema-too-large") from None
        return blake3(_encode(shown)).hexdigest()


def _dependencies(name: str, given: Any) -> dict[str, Requirement]:
    if isinstance(given, list | tuple):
        given = dict.fromkeys(given, "*") if all(type(one) is str for one in given) else None
    if not isinstance(given, Mapping) or len(given) > DEPENDENCIES_MAX:
        raise _refuse(f"dependencies are at most {DEPENDENCIES_MAX} names, or an object of names and versions")
    for other in given:
        if type(other) is not str or not _NAME(other):
            raise _refuse(f"a dependency is the name of a schema, not {str(other)[:40]!r}")
        if other == name:
            raise _refuse(f"the schema {name} depends on itself")
    return {other: Requirement.parse(versions) for other, versions in sorted(given.items())}


def _validators(field: Field) -> set[str]:
    below = [*(field.fields or {}).values(), *([field.items] if field.items is not None else [])]
    return set(field.validators).union(*map(_validators, below))


def _refuse(why: str) -> InvalidInput:
    return InvalidInput(why, code="invalid-schema")
