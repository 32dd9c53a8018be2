"""Migrations of stored values from one version of their schema to another.

What must stay true: a value is changed by what is registered and by nothing else; what a transform does not name stays
as it is; every change is an ordinary entry, so history and events show it and it can be taken back to the byte; what is
committed is where a migration stands, so that a killed one goes on from there; and no message shows what a value holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmspell.migration.changing import Convert as Convert
    from llmspell.migration.changing import Custom as Custom
    from llmspell.migration.changing import Default as Default
    from llmspell.migration.changing import Remove as Remove
    from llmspell.migration.migration import Migration as Migration
    from llmspell.migration.moving import Copy as Copy
    from llmspell.migration.moving import Merge as Merge
    from llmspell.migration.moving import Move as Move
    from llmspell.migration.moving import Rename as Rename
    from llmspell.migration.moving import Split as Split

_PLACES = {
    **dict.fromkeys(("Convert", "Custom", "Default", "Remove"), "llmspell.migration.changing"),
    **dict.fromkeys(("Copy", "Merge", "Move", "Rename", "Split"), "llmspell.migration.moving"),
    "Migration": "llmspell.migration.migration",
}
"""What users name, loaded when it is first asked for: an open store needs none of it."""


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(place), name)
    globals()[name] = value
    return value
