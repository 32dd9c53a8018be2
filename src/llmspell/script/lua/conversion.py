"""Values between Python and Lua: the rules, and Python's half of the crossing.

Scalars cross as they are; lists, dicts and everything inside them cross as one MessagePack string that the prelude
packs and unpacks in Lua, so no table is ever reachable from Python and no Python object from Lua.

=====================  =============================  ==========================================================
Python                 Lua                            back in Python
=====================  =============================  ==========================================================
None                   nil as an argument, answer or  None
                       result; ``null`` inside lists
                       and dicts
bool                   boolean                        bool
int (64-bit signed)    integer                        int; a larger int is refused
float (finite)         float (``3.0`` is not ``3``)   float; NaN and infinities are refused
str                    string of UTF-8                str; a lone surrogate is refused
bytes                  string                         str when it is valid UTF-8, else bytes
list                   table 1..n, marked ``array``   list, also when emptied meanwhile
dict with str keys     table                          dict; ``{}`` stays ``{}``
CallbackRef            the function                   the same CallbackRef
=====================  =============================  ==========================================================

From Lua, besides:

- A table with the keys 1..n exactly is a list; one with string keys is a dict; an empty one is ``{}`` unless it is
  marked by ``array{}``. Keys of a dict arrive sorted.
- A table that mixes items and names, has a hole, or has any other key (float, boolean, table, an integer key outside
  1..n) is refused with the key's name: ``tostring(key)`` makes a name, ``null`` fills a hole. ``object{}`` marks a
  table that must never be taken for a list.
- ``nil`` cannot be a field of a table; a field that must hold null holds ``null``.
- Metatables are ignored: the raw fields cross. Read-only tables (namespaces, handles) are refused as data.
- Functions cross as ``CallbackRef`` where they are arguments themselves (or where the host function allows them
  deeper); elsewhere functions and coroutines are refused.
- Cycles, nesting deeper than ``VALUE_DEPTH_MAX`` and more than ``VALUE_NODES_MAX`` values are refused.

Every refusal is an error with code ``not-convertible`` that names the path (``State.set: argument 2.items[3]``).
Bytes that happen to be valid UTF-8 arrive as ``str``: a host function that wants bytes encodes its text argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

import msgspec

from llmspell.errors import InvalidInput
from llmspell.script.engine import CODE_NOT_CONVERTIBLE, VALUE_DEPTH_MAX, VALUE_NODES_MAX, CallbackRef

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1
_CALLBACK_EXTENSION: Final = 1

FORM_SCALAR: Final = 0
FORM_PACKED: Final = 1
FORM_CALLBACK: Final = 2


def _extension(code: int, data: memoryview) -> CallbackRef:
    if code != _CALLBACK_EXTENSION:
        raise ValueError(f"unknown extension {code} from the prelude")
    return CallbackRef(int.from_bytes(data, "big", signed=True))


unpack: Final[Callable[[bytes], Any]] = msgspec.msgpack.Decoder(ext_hook=_extension).decode
"""The value of one string packed by the prelude."""

_encode: Final = msgspec.msgpack.Encoder().encode


def text(value: bytes | None) -> str:
    """Text from Lua for a person: bytes that are not UTF-8 become replacement characters."""
    return value.decode("utf-8", "replace") if value else ""


def received(value: Any) -> Any:
    """A scalar as Lua returned it: strings become ``str`` when they are UTF-8; all else stays."""
    if type(value) is bytes:
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def answer(value: Any) -> tuple[int, Any]:
    """How one value is sent: (form, payload), the payload a scalar, packed bytes, or a callback's id.

    Raises ``InvalidInput`` (``not-convertible``) with the path of what cannot cross. Cost: one walk over the value.
    """
    kind = type(value)
    if value is None or kind is bool or kind is bytes:
        return FORM_SCALAR, value
    if kind is str:
        return FORM_SCALAR, _utf8(value, "value")
    if kind is CallbackRef:
        return FORM_CALLBACK, value.id
    if kind is dict or kind is list:
        return FORM_PACKED, pack(value, "value")
    _check(value, (None, "value"), 0, 0)
    return FORM_SCALAR, value


def pack(value: Any, name: str) -> bytes:
    """``value`` as packed bytes; ``name`` starts the path in refusals."""
    _check(value, (None, name), 0, 0)
    return _encoded(value, name)


def pack_arguments(args: Sequence[Any]) -> bytes:
    """Arguments of a run; each may also be a :class:`CallbackRef`."""
    nodes = 0
    items = []
    for index, value in enumerate(args, 1):
        if type(value) is CallbackRef:
            items.append(msgspec.msgpack.Ext(_CALLBACK_EXTENSION, value.id.to_bytes(8, "big", signed=True)))
        else:
            nodes = _check(value, (None, f"argument {index}"), 0, nodes)
            items.append(value)
    return _encoded(items, "arguments")


def _encoded(value: Any, name: str) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError:
        _refuse((None, name), "a string in it holds a lone surrogate, which UTF-8 cannot express")


def _utf8(value: str, name: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        _refuse((None, name), "the string holds a lone surrogate, which UTF-8 cannot express")


_Path = tuple[Any, Any]
"""Where the walk is: (path of the container or None, key). Written out only when something is refused."""

_SAFE: Final = frozenset({str, bool, bytes, type(None)})


def _check(value: Any, path: _Path, depth: int, nodes: int) -> int:
    """Refuses what cannot cross; gives the count of values so far, this one included."""
    nodes += 1
    kind = type(value)
    if kind is dict or kind is list:
        if depth >= VALUE_DEPTH_MAX:
            _refuse(path, f"nested deeper than {VALUE_DEPTH_MAX} levels, or contains itself")
        return _check_items(value, path, depth + 1, nodes)
    if kind is int:
        if not INT_MIN <= value <= INT_MAX:
            _refuse(path, f"the integer of {value.bit_length()} bits does not fit 64 bits")
    elif kind is float:
        if not math.isfinite(value):
            _refuse(path, f"{value} cannot be stored")
    elif kind not in _SAFE:
        _refuse(path, f"a {kind.__name__} is not data (None, bool, int, float, str, bytes, list, dict)")
    return nodes


def _check_items(container: dict[Any, Any] | list[Any], path: _Path, depth: int, nodes: int) -> int:
    if nodes + len(container) > VALUE_NODES_MAX:
        _refuse(path, f"more than {VALUE_NODES_MAX} values in one call")
    if type(container) is list:
        for index, item in enumerate(container):
            nodes = nodes + 1 if type(item) in _SAFE else _check(item, (path, index), depth, nodes)
        return nodes
    for key, item in container.items():  # type: ignore[union-attr]
        if type(key) is not str:
            _refuse(path, f"the key {key!r:.64} is a {type(key).__name__}, not a str")
        nodes = nodes + 1 if type(item) in _SAFE else _check(item, (path, key), depth, nodes)
    return nodes


def _refuse(path: _Path, what: str) -> NoReturn:
    parts: list[str] = []
    place: _Path | None = path
    while place is not None:
        place, key = place
        parts.append(f"[{key}]" if type(key) is int else key if place is None else f".{key}")
    raise InvalidInput(f"{''.join(reversed(parts))}: {what}", code=CODE_NOT_CONVERTIBLE)
