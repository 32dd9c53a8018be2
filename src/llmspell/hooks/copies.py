"""Own copies for every hook, and values that come from hooks made the store's own.

Both go through the one codec of JSON values, so a hook can neither hand in something that cannot be written nor keep a
reference into what is being written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmspell.model.values import decode_value, encode_value

_ATOMS = frozenset((str, int, float, bool, type(None)))


def copier(data: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """A function that gives a fresh deep copy of ``data`` at each call.

    Atoms are shared, so a flat dict costs one ``dict.copy``; fields that hold lists or dicts are encoded once here and
    decoded for each copy. Raises InvalidInput, with the field's name, for what is no JSON value.
    """
    if _ATOMS.issuperset(map(type, data.values())):
        return data.copy
    nested = [(name, encode_field(name, value)) for name, value in data.items() if type(value) not in _ATOMS]

    def copy() -> dict[str, Any]:
        fresh = data.copy()
        for name, encoded in nested:
            fresh[name] = decode_value(encoded)
        return fresh

    return copy


def encode_field(name: str, value: Any) -> bytes:
    """JSON of one field of a context. A context shows what the store has accepted, so its size is not bounded again."""
    try:
        return encode_value(value, bytes_max=1 << 62)
    except Exception as exc:
        exc.add_note(f"in the field {name!r} of a hook's context")
        raise


def detached(value: Any, bytes_max: int) -> Any:
    """A deep copy of a value from a hook. Raises InvalidInput or LimitExceeded when it is no value to keep."""
    return decode_value(encode_value(value, bytes_max=bytes_max))
