"""Which members of an object are there together: those that are required, and what needs what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmspell.schemas.field import Field


def with_needs(field: Field, names: Iterable[str]) -> set[str]:
    """The fields of an object that are there whenever these are: the required ones, and all that is needed."""
    named = field.fields or {}
    waiting = [*names, *(name for name, one in named.items() if one.required)]
    there: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in there:
            there.add(name)
            if name in named:
                waiting.extend(named[name].needs)
    return there


def must(field: Field) -> set[str]:
    """The fields that every accepted object has."""
    return with_needs(field, ())
