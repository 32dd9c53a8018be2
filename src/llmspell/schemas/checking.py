"""Judging values by a field: what is wrong with a value, and the value with its defaults filled in.

What must stay true: neither changes what it is given, and no message shows what a value holds, only where it is wrong,
by which rule, and which type or length was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from llmspell.errors import InvalidInput, NotFound
from llmspell.model.values import Written

if TYPE_CHECKING:
    from llmspell.schemas.field import Field
    from llmspell.schemas.schema import Schema

PROBLEMS_MAX = 100
"""Problems that are reported of one value; what comes after is not looked for."""

Validator = Callable[[Any], Any]
"""Given a part of a value, returns None or True when it is good, False or a text that says why not otherwise."""
Validators = Mapping[str, Validator]

NESTED_MAX = 32
"""Validators that may lead to each other, or to themselves: far fewer than Python's stack has room for."""
_asked: ContextVar[tuple[int, ...]] = ContextVar("asked", default=())
"""The validators that are judging now, by identity, the outermost first."""
_encode = msgspec.json.Encoder(order="deterministic").encode
_SCALARS = frozenset({str, int, bool, type(None)})
_NAMES = {
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "string",
    list: "list",
    dict: "object",
    type(None): "null",
}


class Problem(msgspec.Struct, frozen=True):
    """What is wrong in one place of a value.

    ``path``: like ``$.items[3].name``. ``code``: type, null, missing, unknown, enum, range, length, pattern, needs or
    validator. ``message``: the rule and what was found, never the value.
    """

    path: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class _Full(Exception):
    pass


def problems(
    field: Field, value: Any, validators: Validators | None = None, *, ask: bool = True, veiled: bool = False
) -> list[Problem]:
    """All that is wrong with a value, at most ``PROBLEMS_MAX``; empty when the field accepts it. Without ``ask``, no
    validator is asked; with ``veiled``, members that are not named are ``*``, and what validators say is left out.

    Raises NotFound (``unknown-validator``) for a validator that was not given, InvalidInput (``invalid-answer``) for
    one that answers something else than it may. Some µs for a value of ten parts.
    """
    judge = _Judge((validators or {}) if ask else None, veiled)
    with suppress(_Full):
        judge.value(field, value, "$")
    return judge.found


def completed(field: Field, value: Any) -> Any:
    """The value with defaults in the place of what is missing, at any depth; parts that lack nothing are shared with
    the value given.
    """
    if not field.fills:
        return value
    if type(value) is list and field.items is not None:
        return _same_or([completed(field.items, item) for item in value], value, value)
    if type(value) is not dict:
        return value
    named = field.fields or {}
    filled = {}
    for name, item in value.items():
        one = named.get(name, field.items)
        filled[name] = item if one is None else completed(one, item)
    for name, one in named.items():
        if name not in value and one.default is not UNSET:
            filled[name] = copied(completed(one, one.default))
    return _same_or(filled, value, value.values()) if len(filled) == len(value) else filled


def _same_or(made: Any, value: Any, parts: Any) -> Any:
    others = made.values() if type(made) is dict else made
    return value if all(one is other for one, other in zip(others, parts, strict=True)) else made


def demand_unasked(schema: Schema, validators: Validators) -> None:
    """Refuse a write that is held against a validator which is judging now: it would never end. Judging further values,
    as the parts of a tree, is no write. Raises InvalidInput (``invalid-validator``).
    """
    asked = _asked.get()
    for name in schema.validator_names() if asked else ():
        if id(validators.get(name)) in asked:
            raise InvalidInput(
                f"the validator {name!r} wrote a value that it is asked about itself",
                code="invalid-validator", hint="a validator judges its value and writes none", validator=name,
            )  # fmt: skip


def copied(value: Any) -> Any:
    """A JSON value that shares no list and no object with the one given; a ``Written`` in it is the int."""
    if type(value) is dict:
        return {name: copied(item) for name, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return int(value) if type(value) is Written else value


def identity(value: Any) -> Any:
    """What two JSON values have in common exactly if their JSON is the same: 1, 1.0 and true differ."""
    kind = type(value)
    if kind in _SCALARS:
        return kind, value
    if kind is float:
        return kind, repr(value)
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):
        return None  # no JSON value, and so like none


def type_name(value: Any) -> str:
    """How a schema calls the type of a value."""
    return _NAMES.get(type(value), f"Python {type(value).__name__}")


class _Judge:
    """Walks a value along a field and notes what is wrong."""

    def __init__(self, validators: Validators | None, veiled: bool) -> None:
        self.found: list[Problem] = []
        self._veiled = veiled
        self._validators = validators

    def value(self, field: Field, value: Any, path: str) -> None:
        kind = type(value)
        if kind is Written:
            kind, value = int, int(value)
        if value is None:
            if not field.accepts_null:
                self._note(path, "null", f"is null; expected {field.type}")
            return
        if kind not in field.kinds:
            self._note(path, "type", f"is of type {type_name(value)}; expected {field.type}")
            return
        if field.members is not None and identity(value) not in field.members:
            self._note(path, "enum", f"is none of the {len(field.members)} values allowed")
        if kind is str:
            self._text(field, value, path)
        elif kind is int or kind is float:
            self._number(field, value, path)
        elif kind is list:
            self._list(field, value, path)
        elif kind is dict:
            self._object(field, value, path)
        if self._validators is not None:
            for name in field.validators:
                self._ask(self._validators.get(name), name, value, path)

    def _number(self, field: Field, value: float, path: str) -> None:
        if value - value != 0:
            self._note(path, "type", "is not a finite number")
        elif field.min is not None and value < field.min:
            self._note(path, "range", f"is below the minimum of {field.min}")
        elif field.max is not None and value > field.max:
            self._note(path, "range", f"is above the maximum of {field.max}")

    def _text(self, field: Field, value: str, path: str) -> None:
        self._length(field, len(value), "characters", path)
        if field.compiled is not None and not field.compiled.matches(value):
            self._note(path, "pattern", f"does not match the pattern {field.pattern!r}")

    def _list(self, field: Field, value: list[Any], path: str) -> None:
        self._length(field, len(value), "items", path)
        if field.items is not None:
            for at, item in enumerate(value):
                self.value(field.items, item, f"{path}[{at}]")

    def _object(self, field: Field, value: dict[str, Any], path: str) -> None:
        self._length(field, len(value), "members", path)
        named = field.fields or {}
        for name, one in named.items():
            if name in value:
                for other in one.needs:
                    if other not in value:
                        self._note(f"{path}.{name}", "needs", f"needs the field {other!r} beside it, which is missing")
                self.value(one, value[name], f"{path}.{name}")
            elif one.required:
                self._note(f"{path}.{name}", "missing", f"is missing; a {one.type} is required")
        if field.items is None and field.unknown == "keep":
            return
        for name, item in value.items():
            if name in named:
                continue
            if field.items is not None:
                self.value(field.items, item, f"{path}.{self._unnamed(name)}")
            else:
                self._note(f"{path}.{self._unnamed(name)}", "unknown", "is a member that the schema does not name")

    def _unnamed(self, name: str) -> str:
        return "*" if self._veiled else str(name)[:80]

    def _length(self, field: Field, length: int, of: str, path: str) -> None:
        if field.length_min is not None and length < field.length_min:
            self._note(path, "length", f"has {length} {of}; at least {field.length_min}")
        elif field.length_max is not None and length > field.length_max:
            self._note(path, "length", f"has {length} {of}; at most {field.length_max}")

    def _ask(self, validator: Validator | None, name: str, value: Any, path: str) -> None:
        if validator is None:
            raise NotFound(
                f"{path}: the schema names the validator {name!r}, which is not registered here",
                code="unknown-validator",
                hint="register a function under this name before values are checked",
                validator=name,
            )
        asked = _asked.get()
        if len(asked) >= NESTED_MAX:
            raise InvalidInput(
                f"the validator {name!r} led to itself, or to others, {NESTED_MAX} times",
                code="invalid-validator", hint="a validator judges parts of its value, never the whole", validator=name,
            )  # fmt: skip
        token = _asked.set((*asked, id(validator)))
        try:
            answer = validator(copied(value))
        except Exception as exc:  # noqa: BLE001 - code of users may raise anything; its text may show the value
            self._note(path, "validator", f"the validator {name!r} raised {type(exc).__name__}")
            return
        finally:
            _asked.reset(token)
        if answer is False or type(answer) is str:
            why = "" if not answer or self._veiled else f": {answer[:200]}"
            self._note(path, "validator", f"the validator {name!r} refused it{why}")
        elif answer is not None and answer is not True:
            raise InvalidInput(
                f"the validator {name!r} answered a {type(answer).__name__}; it answers True, False, None or a text",
                code="invalid-answer",
                validator=name,
            )

    def _note(self, path: str, code: str, message: str) -> None:
        self.found.append(Problem(path, code, message))
        if len(self.found) >= PROBLEMS_MAX:
            raise _Full
