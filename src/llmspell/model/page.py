"""Pages: part of a list, and the cursor that leads to the next one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from llmspell.errors import InvalidInput
from llmspell.model import limits

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
    except (ValueError, TypeError, binascii.Error, msgspec.DecodeError, UnicodeError):
        values = []
    if len(values) != parts or values[0] != purpose:
        raise InvalidInput("this cursor is not one that this list gave", code="invalid-cursor")
    return values


def check_limit(limit: int) -> int:
    """A page's number of rows. Raises InvalidInput (``invalid-limit``)."""
    if type(limit) is not int or not 1 <= limit <= limits.PAGE_ROWS_MAX:
        raise InvalidInput(f"limit is 1 to {limits.PAGE_ROWS_MAX}, not {limit!r}", code="invalid-limit")
    return limit
