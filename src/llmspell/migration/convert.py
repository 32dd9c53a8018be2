"""From one type to another, by rules that are stated here and nowhere guessed.

    to boolean   integer and float 0 and 1; the texts true false yes no on off 1 0, in any case
    to integer   boolean; a float without fraction; a text of digits with a sign at most
    to float     boolean; an integer that a float holds exactly; a text that is a JSON number
    to number    boolean; a text, as integer if it is one, else as float
    to string    numbers and booleans as JSON writes them; lists and objects as their JSON
    to list      a text that is the JSON of a list; with ``wrap`` any other value as the one item
    to object    a text that is the JSON of an object

null stays null. A value of the type already stays as it is. With ``wrap``, a list of one item becomes that item, which
is then converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from llmspell.schemas.checking import type_name

INTEGER_CHARS_MAX = 1000
_EXACT = 1 << 53
_INTEGER = re.compile(r"[+-]?[0-9]+").fullmatch
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_TRUTHS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Inconvertible(ValueError):
    """Why a value cannot be converted, without the value."""


def convert(value: Any, to: str, *, wrap: bool = False) -> Any:
    """The value as type ``to`` (a key of ``RULES``). Raises Inconvertible."""
    kinds, rule = RULES[to]
    if value is None or type(value) in kinds:
        return value
    if wrap and to == "list":
        return [value]
    if wrap and type(value) is list and len(value) == 1:
        return convert(value[0], to)
    return rule(value)


def _boolean(value: Any) -> bool:
    if type(value) is str and value.strip().lower() in _TRUTHS:
        return _TRUTHS[value.strip().lower()]
    if type(value) in (int, float) and value in (0, 1):
        return bool(value)
    raise _cannot(value, "boolean", "0, 1, true, false, yes, no, on or off")


def _integer(value: Any) -> int:
    if type(value) is bool:
        return int(value)
    if type(value) is float and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if type(value) is str and len(value) <= INTEGER_CHARS_MAX and _INTEGER(value.strip()):
        return int(value)
    raise _cannot(value, "integer", "a whole number")


def _float(value: Any) -> float:
    if type(value) is bool or (type(value) is int and abs(value) <= _EXACT):
        return float(value)
    if type(value) is str and len(value) <= INTEGER_CHARS_MAX and _NUMBER(value.strip()):
        made = float(value)
        if made - made == 0:
            return made
    raise _cannot(value, "float", "a number that a float can hold")


def _number(value: Any) -> float:
    if type(value) is str and len(value) <= INTEGER_CHARS_MAX and _INTEGER(value.strip()):
        return int(value)
    return _integer(value) if type(value) is bool else _float(value)


def _string(value: Any) -> str:
    text: str = _encode(value).decode()
    return text


def _parsed(kind: type, name: str) -> Callable[[Any], Any]:
    def rule(value: Any) -> Any:
        made = None
        if type(value) is str:
            try:
                made = _decode(value)
            except (msgspec.DecodeError, RecursionError, ValueError):
                made = None
        if type(made) is not kind:
            raise _cannot(value, name, f"the JSON text of {'an' if name == 'object' else 'a'} {name}")
        return made

    return rule


def _cannot(value: Any, to: str, wanted: str) -> Inconvertible:
    return Inconvertible(f"is of type {type_name(value)} and cannot become {to}: it is not {wanted}")


RULES: Final[Mapping[str, tuple[frozenset[type], Callable[[Any], Any]]]] = {
    "boolean": (frozenset({bool}), _boolean),
    "integer": (frozenset({int}), _integer),
    "float": (frozenset({float}), _float),
    "number": (frozenset({int, float}), _number),
    "string": (frozenset({str}), _string),
    "list": (frozenset({list}), _parsed(list, "list")),
    "object": (frozenset({dict}), _parsed(dict, "object")),
}
"""By target type: the types that need no conversion, and the rule for the others."""
