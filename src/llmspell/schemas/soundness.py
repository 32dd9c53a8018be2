"""Whether a field is sound: it says what it means, it can be met, and what it gives as defaults meets it.

What must stay true: every bound that a field states applies to its type, so that nothing is accepted and ignored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput
from llmspell.model.values import encode_value
from llmspell.schemas import checking
from llmspell.schemas.language import lengths
from llmspell.schemas.pattern import PATTERN_TEXT_CHARS_MAX, compile_pattern
from llmspell.schemas.presence import must
from llmspell.schemas.ranges import float_range, integer_range

if TYPE_CHECKING:
    from llmspell.schemas.field import Field

FIELDS_MAX = 1_000
DEPTH_MAX = 32
ENUM_VALUES_MAX = 1_000
WEIGHT_MAX = 100_000
"""Parts and characters of the smallest value that a schema accepts."""
FIELD_NAME_CHARS_MAX = 255
DESCRIPTION_CHARS_MAX = 10_000

# Which types a bound is for.
_FOR = {
    **dict.fromkeys(("min", "max"), ("integer", "float", "number")),
    **dict.fromkeys(("length_min", "length_max"), ("string", "list", "object")),
    "pattern": ("string",),
    "items": ("list", "object"),
    "fields": ("object",),
}
_INTEGERS = ("length_min", "length_max")
_NUMBERS = ("min", "max")


def settle(field: Field) -> None:
    """Check a field whose nested fields are sound, and keep what its users would else compute again and again."""
    put = object.__setattr__
    _words(field)
    _bounds(field)
    put(field, "compiled", None if field.pattern is None else compile_pattern(field.pattern))
    put(field, "members", None if field.enum is None else _members(field))
    below = [*(field.fields or {}).values(), *([field.items] if field.items is not None else [])]
    put(field, "fills", any(one.fills or one.has_default for one in below))
    put(field, "depth", 1 + max((one.depth for one in below), default=0))
    put(field, "count", 1 + sum(one.count for one in below))
    if field.depth > DEPTH_MAX or field.count > FIELDS_MAX:
        raise refuse(f"fields are nested at most {DEPTH_MAX} deep, and at most {FIELDS_MAX}")
    _object(field)
    put(field, "weight", _weight(field))
    if field.weight > WEIGHT_MAX:
        raise refuse(f"even the smallest value has {field.weight:,} parts and characters, more than {WEIGHT_MAX:,}")
    _values(field)


def check_name(name: Any, path: str) -> None:
    """Names of fields are texts that can be shown in one line."""
    if type(name) is not str or not 0 < len(name) <= FIELD_NAME_CHARS_MAX or not name.isprintable():
        raise InvalidInput(
            f"{path}: a field's name is a str of 1 to {FIELD_NAME_CHARS_MAX} printable characters,"
            f" not {str(name)[:40]!r}",
            code="invalid-schema",
            path=path,
        )


def refuse(why: str) -> InvalidInput:
    """The error of an unsound field."""
    return InvalidInput(why, code="invalid-schema")


def _words(field: Field) -> None:
    for name in ("required", "nullable"):
        if type(getattr(field, name)) is not bool:
            raise refuse(f"{name} is true or false")
    if field.unknown not in {"keep", "refuse"}:
        raise refuse(f"unknown is 'keep' or 'refuse', not {str(field.unknown)[:40]!r}")
    if type(field.description) is not str or len(field.description) > DESCRIPTION_CHARS_MAX:
        raise refuse(f"a description is a str of at most {DESCRIPTION_CHARS_MAX:,} characters")
    for name in ("validators", "needs"):
        given = getattr(field, name)
        if type(given) is not tuple or len(set(map(str, given))) < len(given):
            raise refuse(f"{name} is a list of names, each once")
        for one in given:
            check_name(one, name)


def _bounds(field: Field) -> None:
    for name, types in _FOR.items():
        if getattr(field, name) is not None and field.type not in types:
            raise refuse(f"{name} is for {', '.join(types)}; the type is {field.type}")
    if field.unknown == "refuse" and (field.type != "object" or field.items is not None):
        raise refuse("unknown='refuse' is for objects, and for those without items: these judge all that is not named")
    if (field.length_min, field.length_max) != (None, None) and (field.fields is not None or field.unknown == "refuse"):
        raise refuse("length_min and length_max of an object are for one without fields that keeps its members")
    for name in _INTEGERS:
        given = getattr(field, name)
        if given is not None and (type(given) is not int or given < 0):
            raise refuse(f"{name} is an integer from 0")
    for name in _NUMBERS:
        given = getattr(field, name)
        if given is not None and (type(given) not in {int, float} or not _representable(given)):
            raise refuse(f"{name} is a finite number")
    if field.length_min is not None and field.length_max is not None and field.length_min > field.length_max:
        raise refuse("length_min is above length_max")
    if field.min is not None and field.max is not None and _empty(field):
        raise refuse(f"no {field.type} is at least {field.min} and at most {field.max}")


def _representable(number: float) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


def _empty(field: Field) -> bool:
    integers = float not in field.kinds or float_range(field) is None
    floats = int not in field.kinds or integer_range(field) is None
    return integers and floats


def _members(field: Field) -> frozenset[Any]:
    values = field.enum
    if type(values) is not tuple or not 0 < len(values) <= ENUM_VALUES_MAX:
        raise refuse(f"enum is a list of 1 to {ENUM_VALUES_MAX:,} values")
    for value in values:
        _json(value, "enum")
    members = frozenset(map(checking.identity, values))
    if len(members) < len(values):
        raise refuse("enum has a value twice")
    return members


def _object(field: Field) -> None:
    named = field.fields or {}
    for name, one in named.items():
        for other in one.needs:
            if other not in named or other == name:
                raise refuse(f"{name} needs {other!r}, which is no field beside it")
            if one.has_default and not named[other].required and not named[other].has_default:
                raise refuse(f"{name} has a default and needs {other!r}, which may be missing")


def _weight(field: Field) -> int:
    if field.enum is not None or field.type == "any":
        return 1
    least = field.length_min or 0
    if field.type == "string":
        return 1 + _shortest(field, least) // 10
    if field.type == "list":
        return 1 + least * (field.items.weight if field.items is not None else 1)
    members = sum(field.fields[name].weight for name in must(field)) if field.fields is not None else 0
    return 1 + members + least * (field.items.weight if field.items is not None else 1)


def _shortest(field: Field, least: int) -> int:
    """The length of the shortest text it accepts; refused when it accepts none."""
    if least // 10 > WEIGHT_MAX:
        raise refuse(f"length_min is at most {10 * WEIGHT_MAX:,}")
    if field.compiled is None:
        return least
    most = min(field.length_max or PATTERN_TEXT_CHARS_MAX, PATTERN_TEXT_CHARS_MAX)
    if field.length_max == 0:
        most = 0
    shortest = next(lengths(field.compiled, least, most), None)
    if shortest is None:
        raise refuse(f"no text of the pattern {field.pattern!r} has a length from {least} to {most}")
    return shortest


def _values(field: Field) -> None:
    """Enum and default meet the field, and are its own: whoever gave them may change theirs. Validators are not asked:
    they may not be known yet.
    """
    for value in field.enum or ():
        _meets(field, value, "enum")
    if field.enum is not None:
        object.__setattr__(field, "enum", tuple(map(checking.copied, field.enum)))
    if field.has_default:
        _json(field.default, "default")
        object.__setattr__(field, "default", checking.copied(field.default))
        _meets(field, checking.completed(field, field.default), "default")


def _meets(field: Field, value: Any, what: str) -> None:
    wrong = checking.problems(field, value, ask=False)
    if wrong:
        raise refuse(f"a value of its {what} is refused by the field itself: {wrong[0]}")


def _json(value: Any, what: str) -> None:
    try:
        encode_value(value)
    except InvalidInput as exc:
        raise refuse(f"{what}: {exc.message}") from None
