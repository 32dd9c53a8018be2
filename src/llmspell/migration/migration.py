"""A migration: the transforms that lead from one version of a schema to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from blake3 import blake3

from llmspell.errors import InvalidInput
from llmspell.migration.changing import Custom
from llmspell.migration.transform import Functions, Transform
from llmspell.migration.transforms import transform_of
from llmspell.model.values import encode_value
from llmspell.schemas.checking import copied
from llmspell.schemas.risk import Risk
from llmspell.schemas.version import Version

TRANSFORMS_MAX = 200
MIGRATION_BYTES_MAX = 256 << 10
NAME_CHARS_MAX = 128
DESCRIPTION_CHARS_MAX = 10_000
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True, init=False)
class Migration:
    """How values of the schema ``name`` become of ``to_version`` when they are of ``from_version``.

    ``transforms`` are done one after the other, given as transforms or as the dicts of their ``to_dict``; none at all
    says that the values fit as they are. Versions may also lead back.
    Raises InvalidInput (``invalid-migration``, ``invalid-transform``, ``invalid-path``, ``invalid-version``).
    """

    name: str
    from_version: Version
    to_version: Version
    transforms: tuple[Transform, ...]
    description: str

    def __init__(
        self,
        name: str,
        from_version: str | Version,
        to_version: str | Version,
        transforms: Iterable[Transform | Mapping[str, Any]] = (),
        *,
        description: str = "",
    ) -> None:
        if type(name) is not str or not 0 < len(name) <= NAME_CHARS_MAX:
            raise _refuse(f"a migration has the name of its schema, not {str(name)[:40]!r}")
        if isinstance(transforms, Mapping | str | bytes) or not isinstance(transforms, Iterable):
            raise _refuse("transforms are a list")
        if type(description) is not str or len(description) > DESCRIPTION_CHARS_MAX:
            raise _refuse(f"a description is a text of at most {DESCRIPTION_CHARS_MAX:,} characters")
        put = object.__setattr__
        put(self, "name", name)
        put(self, "from_version", Version.parse(from_version))
        put(self, "to_version", Version.parse(to_version))
        put(self, "transforms", tuple(map(transform_of, transforms)))
        put(self, "description", description)
        if self.from_version == self.to_version:
            raise _refuse(f"a migration leads from one version to another, not from {from_version} to itself")
        if len(self.transforms) > TRANSFORMS_MAX:
            raise _refuse(f"a migration has at most {TRANSFORMS_MAX} transforms")
        encode_value(self.to_dict(), bytes_max=MIGRATION_BYTES_MAX)

    @property
    def risk(self) -> Risk:
        """That of the riskiest transform."""
        return max((one.risk for one in self.transforms), default=Risk.LOW)

    @property
    def hash(self) -> str:
        """BLAKE3 of its canonical JSON, hexadecimal."""
        return blake3(_encode(self.to_dict())).hexdigest()

    def functions(self) -> set[str]:
        """Names of the functions that it needs."""
        return {one.function for one in self.transforms if isinstance(one, Custom)}

    def apply(self, value: Any, functions: Functions | None = None) -> Any:
        """The value as the new version has it; the one given stays as it is.

        Raises InvalidInput (``transform-failed``, ``transform-occupied``), whose message begins with the place and
        never shows what stands there, NotFound (``unknown-function``).
        """
        box = {"": copied(value)}
        self.change(box, functions or {})
        return box[""]

    def change(self, box: dict[str, Any], functions: Functions) -> None:
        """The same on a value of the caller's own, in a box (see ``paths``)."""
        for number, one in enumerate(self.transforms, 1):
            try:
                one.change(box, functions)
            except InvalidInput as exc:
                step = f"{self.from_version} to {self.to_version}, transform {number} ({one.op})"
                raise InvalidInput(f"{exc.message} [{step}]", code=exc.code, **exc.details) from None

    def to_dict(self) -> dict[str, Any]:
        """The migration as JSON."""
        shown: dict[str, Any] = {
            "name": self.name,
            "from_version": str(self.from_version),
            "to_version": str(self.to_version),
            "transforms": [one.to_dict() for one in self.transforms],
        }
        if self.description:
            shown["description"] = self.description
        return shown

    @classmethod
    def from_dict(cls, given: Any) -> Migration:
        """The migration of a JSON object of the arguments. Raises InvalidInput."""
        if not isinstance(given, Mapping):
            raise _refuse(f"a migration is an object, not {type(given).__name__}")
        known = ("name", "from_version", "to_version", "transforms", "description")
        strange = sorted(str(one)[:40] for one in given if one not in known)
        missing = [one for one in known[:3] if one not in given]
        if strange or missing:
            problem = f"has no {', '.join(strange)}" if strange else f"needs {', '.join(missing)}"
            raise _refuse(f"a migration {problem}; it has {', '.join(known)}")
        return cls(**given)


def _refuse(why: str) -> InvalidInput:
    return InvalidInput(why, code="invalid-migration")
