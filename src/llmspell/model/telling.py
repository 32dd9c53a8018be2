"""A refused value in a message: short, and made without an error of its own."""

from __future__ import annotations

_CHARS_MAX = 80


def told(value: object) -> str:
    """``value`` for a message: its type when it is not a str or a small number, and never more than 80 characters."""
    if isinstance(value, str):
        return repr(value[:_CHARS_MAX])
    if isinstance(value, bool | float) or value is None or (isinstance(value, int) and -(10**18) < value < 10**18):
        return repr(value)
    return "a number that long" if isinstance(value, int) else f"a {type(value).__name__}"
