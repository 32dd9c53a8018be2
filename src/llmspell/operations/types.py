"""Types of parameters: how a script's value becomes the operation's, and what is said when it does not fit.

Scripts send plain data (None, bool, int, float, str, bytes, list, dict with str keys, and references to functions). A
type either gives the value the handler gets or raises ``Misfit`` with what was wanted; the table names function and
argument.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.scope import GLOBAL, Scope

_KINDS = {
    type(None): "nil", bool: "a boolean", int: "an integer", float: "a number", str: "text",
    bytes: "bytes that are no text", list: "a list", dict: "a table",
}  # fmt: skip
_SHOWN_CHARS_MAX = 40


class Misfit(Exception):
    """``wanted`` says what would do; ``found`` the value; ``inside`` the path below the argument."""

    def __init__(self, wanted: str, found: Any, inside: str = "") -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.found = found
        self.inside = inside


class Misplaced(Exception):
    """An options table has a field that the function does not know; ``what`` is the whole sentence."""

    def __init__(self, what: str, inside: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.inside = inside


def kind_of(value: Any) -> str:
    """What a script's author calls this value, with the value itself when it is short."""
    kind = _KINDS.get(type(value))
    if kind is None:
        return "a function"
    if value is None or isinstance(value, bytes | list | dict):
        return kind
    shown = repr(value)
    return f"{kind} ({shown if len(shown) <= _SHOWN_CHARS_MAX else shown[:_SHOWN_CHARS_MAX] + '…'})"


@dataclass(frozen=True, slots=True)
class Type:
    """A type: its name in the reference, its name in Lua's annotations, and how a value is taken in."""

    name: str
    lua: str
    take: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter, or one field of an options table. ``aliases`` are further field names (upstream's, mostly)."""

    name: str
    type: Type
    doc: str = ""
    optional: bool = False
    default: Any = None
    aliases: tuple[str, ...] = ()


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Misfit("text", value)
    return value


def _name(value: Any) -> str:
    if type(value) is not str or not value:
        raise Misfit("text that is not empty", value)
    return value


def _int(value: Any) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    raise Misfit("a whole number", value)


def _number(value: Any) -> float:
    if type(value) in {int, float}:
        return float(value)
    raise Misfit("a number", value)


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise Misfit("true or false", value)
    return value


def _content(value: Any) -> str | bytes:
    if type(value) not in {str, bytes}:
        raise Misfit("text or bytes (a string)", value)
    return value  # type: ignore[no-any-return]


def _bytes(value: Any) -> bytes:
    content = _content(value)
    return content.encode() if isinstance(content, str) else content


def _json(value: Any) -> Any:
    if type(value) is bytes:
        raise Misfit(
            "data (bytes that are no text are kept as an artifact, or encoded with Utils.base64_encode)", value
        )
    if type(value) not in _KINDS:
        raise Misfit("data", value)
    return value


def _any(value: Any) -> Any:
    if type(value) not in _KINDS:
        raise Misfit("data, text or bytes", value)
    return value


def _function(value: Any) -> Any:
    if type(value) in _KINDS or not isinstance(getattr(value, "id", None), int):
        raise Misfit("a function", value)
    return value


def _texts(value: Any) -> list[str]:
    if value == {}:
        return []
    if type(value) is not list:
        raise Misfit("a list of texts", value)
    for index, item in enumerate(value, 1):
        if type(item) is not str:
            raise Misfit("text", item, f"[{index}]")
    return value


def _text_or_texts(value: Any) -> list[str]:
    return [value] if type(value) is str else _texts(value)


def _list(value: Any) -> list[Any]:
    if value == {}:
        return []
    if type(value) is not list:
        raise Misfit("a list", value)
    return value


def _table(value: Any) -> dict[str, Any]:
    if value == []:
        return {}
    if type(value) is not dict:
        raise Misfit("a table with names", value)
    return value


def _scope(value: Any) -> Scope:
    if value is None:
        return GLOBAL
    if type(value) is not str or not value:
        raise Misfit("a scope: text like 'global', 'agent:NAME' or 'session:ID'", value)
    return Scope.parse(value)


def _session(value: Any) -> str | None:
    """None for the current session, as nil and an empty text mean it."""
    if value is None or value == "":
        return None
    if type(value) is not str:
        raise Misfit("a session's id or name (or nil for the current session)", value)
    return value


def _text_or_int(value: Any) -> str | int:
    return _int(value) if type(value) in {int, float} else _name(value)


def _text_or_table(value: Any) -> str | dict[str, Any]:
    if type(value) is str and value:
        return value
    if type(value) is dict and value:
        return value
    raise Misfit("an id, a name, or a table that names one", value)


TEXT = Type("text", "string", _text)
NAME = Type("text", "string", _name)
INT = Type("integer", "integer", _int)
NUMBER = Type("number", "number", _number)
BOOL = Type("boolean", "boolean", _bool)
CONTENT = Type("text or bytes", "string", _content)
BYTES = Type("text or bytes", "string", _bytes)
JSON = Type("any data", "any", _json)
ANY = Type("any data or bytes", "any", _any)
FUNCTION = Type("function", "fun(...):any", _function)
TEXTS = Type("list of text", "string[]", _texts)
TEXT_OR_TEXTS = Type("text or list of text", "string|string[]", _text_or_texts)
LIST = Type("list", "any[]", _list)
TABLE = Type("table", "table", _table)
SCOPE = Type("scope", "string", _scope)
SESSION = Type("session", "string?", _session)
LABEL_OR_NUMBER = Type("text or integer", "string|integer", _text_or_int)
REFERENCE = Type("id, name or table", "string|table", _text_or_table)


@dataclass(frozen=True, slots=True)
class Options:
    """An options table: its fields by every name they are known by."""

    params: tuple[Param, ...]
    by_name: Mapping[str, Param] = field(init=False)

    def __post_init__(self) -> None:
        found = {}
        for param in self.params:
            for name in (param.name, *param.aliases):
                found[name] = param
                found[camel(name)] = param
        object.__setattr__(self, "by_name", found)

    def take(self, value: Any) -> dict[str, Any]:
        """The fields given, converted, under their own names. An unknown field is an error, never ignored."""
        if value is None or value == []:
            value = {}
        if type(value) is not dict:
            raise Misfit("a table of options", value)
        taken: dict[str, Any] = {}
        for name, item in value.items():
            param = self.by_name.get(name)
            if param is None:
                raise Misplaced(self._unknown(name))
            if param.name in taken:
                raise Misplaced(f"{name!r} is given twice, by two of its names")
            if item is None:
                continue
            try:
                taken[param.name] = param.type.take(item)
            except Misfit as exc:
                raise Misfit(exc.wanted, exc.found, f".{name}{exc.inside}") from None
        missing = [param.name for param in self.params if not param.optional and param.name not in taken]
        if missing:
            raise Misplaced(f"the field {missing[0]!r} is missing")
        return taken

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.by_name, n=1)
        known = ", ".join(param.name for param in self.params)
        return f"there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else f" (there are {known})")


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose items are all of one type."""

    items: Type

    def take(self, value: Any) -> list[Any]:
        """The items, converted. What is wrong with one is said with its place."""
        taken = []
        for index, item in enumerate(_list(value), 1):
            try:
                taken.append(self.items.take(item))
            except Misfit as exc:
                raise Misfit(exc.wanted, exc.found, f"[{index}]{exc.inside}") from None
            except Misplaced as exc:
                raise Misplaced(exc.what, f"[{index}]{exc.inside}") from None
        return taken


def list_of(kind: Type) -> Type:
    """The type of a list of these."""
    lua = f"({kind.lua})[]" if "|" in kind.lua else f"{kind.lua}[]"
    return Type(f"list of {kind.name}", lua, ListOf(kind).take)


def options(*params: Param) -> Type:
    """The type of an options table with these fields."""
    table = Options(params)
    fields = ", ".join(f"{param.name}{'?' if param.optional else ''}: {param.type.lua}" for param in params)
    return Type("options", f"{{ {fields} }}", table.take)


PAGING = (
    Param("cursor", NAME, "goes on where a page ended", optional=True),
    Param("paged", BOOL, "gives {items, next_cursor} instead of the list; without the cursor it was the last page",
          optional=True),
)  # fmt: skip
"""Fields of the options of every list that comes in pages."""
WORDS = Param(
    "text", TEXT,
    'words of name, description, tags and metadata, all of them: "in a row" in quotes, beg* by their beginning',
    optional=True, aliases=("search_text",),
)  # fmt: skip
CREATED = (
    Param("created_after", NAME, "RFC 3339 time, inclusive", optional=True),
    Param("created_before", NAME, "RFC 3339 time, inclusive", optional=True),
)
UPDATED = (
    Param("updated_after", NAME, "RFC 3339 time, inclusive", optional=True),
    Param("updated_before", NAME, "RFC 3339 time, inclusive", optional=True),
)
"""Conditions that mean the same wherever something is found by them."""


def fields_of(kind: Type) -> tuple[Param, ...]:
    """The fields of an options type, or of those in a list; empty for any other."""
    owner = getattr(kind.take, "__self__", None)
    if isinstance(owner, ListOf):
        return fields_of(owner.items)
    return owner.params if isinstance(owner, Options) else ()


def camel(name: str) -> str:
    """``list_keys`` as ``listKeys``: the other naming style."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def misfit(function: str, index: int, param: Param, exc: Misfit | Misplaced) -> InvalidInput:
    """The error for an argument that does not fit, as the script's author reads it."""
    place = f"{function}: argument {index} ({param.name}{exc.inside})"
    if isinstance(exc, Misplaced):
        return InvalidInput(f"{place}: {exc.what}", code="invalid-argument")
    return InvalidInput(f"{place}: expected {exc.wanted}, got {kind_of(exc.found)}", code="invalid-argument")
