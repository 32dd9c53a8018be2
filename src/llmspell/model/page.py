"""Pages: part of a list, and the cursor that leads to the next one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from blake3 import blake3

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.telling import told

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, in order. ``next_cursor`` is None on the last page."""

    items: list[T]
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def write_cursor(*parts: Any) -> str:
    """An opaque text of JSON values."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def read_cursor(cursor: str, purpose: str, parts: int) -> list[Any]:
    """The values of a cursor written for ``purpose`` (its first part). Raises InvalidInput (``invalid-cursor``)."""
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
    except (ValueError, TypeError, RecursionError, binascii.Error, msgspec.DecodeError, UnicodeError):
        values = []
    if len(values) != parts or values[0] != purpose:
        raise _not_ours()
    return values


def cursor_seq(value: Any) -> int:
    """A seq, a version or a time of a cursor. Raises InvalidInput (``invalid-cursor``) when it is none."""
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise _not_ours()
    return value


def cursor_moment(value: Any, head: int) -> int:
    """The seq as of which a list was begun. Raises InvalidInput (``invalid-cursor``) when ``head``, the newest, is
    older.
    """
    if cursor_seq(value) > head:
        raise InvalidInput("this cursor is of a later moment than this store knows", code="invalid-cursor")
    return int(value)


def mark_of(wanted: Any) -> str:
    """What tells the conditions of one list from those of another, for its cursor."""
    return blake3(repr(wanted).encode(errors="surrogatepass")).hexdigest(8)


def check_mark(order: Any, order_by: str, mark: Any, wanted: Any) -> None:
    """Whether a cursor's order and mark are those of this list. Raises InvalidInput (``invalid-cursor``)."""
    if cursor_text(order) != order_by:
        raise InvalidInput(f"this cursor belongs to a list ordered by {order!r:.50}", code="invalid-cursor")
    if cursor_text(mark) != mark_of(wanted):
        raise InvalidInput("this cursor belongs to a list with other conditions", code="invalid-cursor")


def cursor_text(value: Any) -> str:
    """A text of a cursor. Raises InvalidInput (``invalid-cursor``) when it is none."""
    if type(value) is not str:
        raise _not_ours()
    return value


def _not_ours() -> InvalidInput:
    return InvalidInput("this cursor is not one that this list gave", code="invalid-cursor")


def check_limit(limit: int) -> int:
    """A page's number of rows. Raises InvalidInput (``invalid-limit``)."""
    if type(limit) is not int or not 1 <= limit <= limits.PAGE_ROWS_MAX:
        raise InvalidInput(f"limit is 1 to {limits.PAGE_ROWS_MAX}, not {told(limit)}", code="invalid-limit")
    return limit
