"""One part of a value: its type, its bounds, what it holds, and what stands in for it when it is missing.

A field says which values it accepts; ``checking`` judges a value by it. What must stay true: a field that exists is
sound, its default and the values of its enum are among those it accepts, and at least one value is (unless a validator
of yours refuses it).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final, Literal

from msgspec import UNSET

from llmspell.errors import InvalidInput
from llmspell.schemas import soundness
from llmspell.schemas.checking import copied
from llmspell.schemas.pattern import Pattern

Unknown = Literal["keep", "refuse"]
Type = type
Kinds = frozenset[type]
Spec = Any
"""A field: ``Field``, the name of a type, a Python type, or a dict of the arguments of ``Field``."""

TYPES: Final[Mapping[str, frozenset[type]]] = {
    "any": frozenset({bool, int, float, str, list, dict}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "float": frozenset({float}),
    "number": frozenset({int, float}),
    "string": frozenset({str}),
    "list": frozenset({list}),
    "object": frozenset({dict}),
}
"""The types a field can have, and the exact Python types of their values. null is a matter of ``nullable``."""

_ALIASES: Final[Mapping[Any, str]] = {
    "bool": "boolean",
    "int": "integer",
    "str": "string",
    "text": "string",
    "array": "list",
    "dict": "object",
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "string",
    list: "list",
    dict: "object",
}


@dataclass(frozen=True, slots=True, init=False)
class Field:
    """What a value, or a part of one, has to be.

    ``type``: boolean, integer, float (``1.0``, not ``1``), number (either), string, list, object, or any (null too).
    ``required``: whether it must be there; by default it must, unless it has a ``default``.
    ``default``: what a reader puts in its place when it is missing. ``nullable``: null is accepted besides.
    ``enum``: these values and no others, told apart as JSON does (``1``, ``1.0`` and ``true`` are three).
    ``min``, ``max``: bounds of numbers, inclusive. ``length_min``, ``length_max``: of characters of a string, items of
    a list, members of an object without ``fields``. ``pattern``: what the whole of a string matches (``expression``
    says what a pattern may be). ``validators``: names of functions of yours, which a store is told apart.
    ``items``: what each item of a list is, or each member of an object that ``fields`` does not name.
    ``fields``: the members of an object. ``unknown``: whether an object keeps members that nothing names, or is
    refused for them. ``needs``: fields beside this one that must be there when it is.

    Nested fields are given as ``Field``, as a type's name, as a Python type, or as a dict of these arguments.
    Raises InvalidInput (``invalid-schema``, ``invalid-pattern``) with what is unsound.
    """

    type: str
    required: bool
    default: Any
    nullable: bool
    enum: tuple[Any, ...] | None
    min: int | float | None
    max: int | float | None
    length_min: int | None
    length_max: int | None
    pattern: str | None
    validators: tuple[str, ...]
    items: Field | None
    fields: Mapping[str, Field] | None
    unknown: Unknown
    needs: tuple[str, ...]
    description: str

    kinds: Kinds = dataclasses.field(repr=False, compare=False)
    """Exact Python types of the accepted values; null apart."""
    compiled: Pattern | None = dataclasses.field(repr=False, compare=False)
    members: frozenset[Any] | None = dataclasses.field(repr=False, compare=False)
    """``enum`` as what ``checking.identity`` gives for each."""
    fills: bool = dataclasses.field(repr=False, compare=False)
    """Whether anything below has a default."""
    depth: int = dataclasses.field(repr=False, compare=False)
    weight: int = dataclasses.field(repr=False, compare=False)
    """How many parts and characters the smallest accepted value has."""
    count: int = dataclasses.field(repr=False, compare=False)
    """How many fields there are in it, itself included."""

    def __init__(
        self,
        type: str | Type = "any",
        *,
        required: bool | None = None,
        default: Any = UNSET,
        nullable: bool = False,
        enum: Sequence[Any] | None = None,
        min: float | None = None,
        max: float | None = None,
        length_min: int | None = None,
        length_max: int | None = None,
        pattern: str | None = None,
        validators: Sequence[str] = (),
        items: Spec | None = None,
        fields: Mapping[str, Spec] | Sequence[Mapping[str, Any]] | None = None,
        unknown: Unknown = "keep",
        needs: Sequence[str] = (),
        description: str = "",
    ) -> None:
        name = _type(type)
        given: dict[str, Any] = {
            "type": name,
            "required": default is UNSET if required is None else required,
            "default": default,
            "nullable": nullable,
            "enum": _tuple(enum),
            "min": min,
            "max": max,
            "length_min": length_min,
            "length_max": length_max,
            "pattern": pattern,
            "validators": _tuple(validators),
            "items": None if items is None else field_of(items, "[]" if name == "list" else "*"),
            "fields": None if fields is None else fields_of(fields),
            "unknown": unknown,
            "needs": _tuple(needs),
            "description": description,
            "kinds": TYPES[name],
        }
        for attribute, value in given.items():
            object.__setattr__(self, attribute, value)
        soundness.settle(self)

    @property
    def accepts_null(self) -> bool:
        """Whether null is accepted."""
        return (
            self.nullable or (self.type == "any" and self.enum is None) or (self.enum is not None and None in self.enum)
        )

    @property
    def has_default(self) -> bool:
        """Whether something stands in for it when it is missing."""
        return self.default is not UNSET

    def to_dict(self) -> dict[str, Any]:
        """The field as JSON, which ``field_of`` reads; without what is as it would be anyway."""
        shown: dict[str, Any] = {"type": self.type}
        for name in _PLAIN:
            value = getattr(self, name)
            if value != _DEFAULTS[name]:
                shown[name] = copied(list(value)) if isinstance(value, tuple) else value
        if self.required == self.has_default:
            shown["required"] = self.required
        if self.has_default:
            shown["default"] = copied(self.default)
        if self.items is not None:
            shown["items"] = self.items.to_dict()
        if self.fields is not None:
            shown["fields"] = {name: one.to_dict() for name, one in self.fields.items()}
        return shown


_NESTED = frozenset({"items", "fields"})
_DEFAULTS: Final = {name: one.default for name, one in signature(Field).parameters.items()}
_PLAIN: Final = tuple(name for name in _DEFAULTS if name not in {"type", "required", "default", *_NESTED})


def field_of(spec: Any, path: str = "$", depth: int = 0) -> Field:
    """A field from any of its spellings. Raises InvalidInput (``invalid-schema``) that names the path."""
    if isinstance(spec, Field):
        return spec
    if isinstance(spec, str | type):
        spec = {"type": spec}
    if not isinstance(spec, Mapping):
        raise InvalidInput(
            f"{path}: a field is a type's name or an object that describes it, not {type(spec).__name__}",
            code="invalid-schema",
            path=path,
        )
    if depth >= soundness.DEPTH_MAX:
        raise InvalidInput(
            f"{path[:200]}: fields are nested at most {soundness.DEPTH_MAX} deep",
            code="invalid-schema",
            path=path[:200],
        )
    unknown = sorted(str(name)[:40] for name in spec if name not in _DEFAULTS)
    if unknown:
        raise InvalidInput(
            f"{path}: a field has no {', '.join(unknown)}; it has {', '.join(sorted(_DEFAULTS))}",
            code="invalid-schema",
            path=path,
        )
    given = dict(spec)
    if given.get("fields") is not None:
        given["fields"] = fields_of(given["fields"], path, depth)
    if given.get("items") is not None:
        given["items"] = field_of(given["items"], f"{path}[]", depth + 1)
    if given.get("required", True) is None:
        raise InvalidInput(f"{path}: required is true or false", code="invalid-schema", path=path)
    try:
        return Field(**given)
    except InvalidInput as exc:
        raise InvalidInput(f"{path}: {exc.message}", code=exc.code, hint=exc.hint, path=path) from None


def fields_of(spec: Any, path: str = "$", depth: int = 0) -> dict[str, Field]:
    """Fields by name, from an object of them or a list of objects that have a ``name`` each."""
    if isinstance(spec, list | tuple):
        spec = _by_name(spec, path)
    if not isinstance(spec, Mapping):
        raise InvalidInput(
            f"{path}: fields are an object, or a list of fields with a name, not {type(spec).__name__}",
            code="invalid-schema",
            path=path,
        )
    for name in spec:
        soundness.check_name(name, path)
    return {name: field_of(one, f"{path}.{name}", depth + 1) for name, one in spec.items()}


def _by_name(listed: list[Any] | tuple[Any, ...], path: str) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for one in listed:
        if not isinstance(one, Mapping) or type(one.get("name")) is not str:
            raise InvalidInput(
                f"{path}: each of the fields listed has a name and is an object", code="invalid-schema", path=path
            )
        if one["name"] in found:
            raise InvalidInput(f"{path}: two fields are named {one['name']!r}", code="invalid-schema", path=path)
        found[one["name"]] = {name: value for name, value in one.items() if name != "name"}
    return found


def _tuple(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


def _type(given: Any) -> str:
    name = _ALIASES.get(given, given) if isinstance(given, str | type) else None
    if name not in TYPES:
        raise InvalidInput(
            f"there is no type {str(given)[:40]!r}; there are {', '.join(TYPES)}",
            code="invalid-schema",
        )
    return str(name)


ANY: Final = Field("any")
"""A field that accepts everything."""
