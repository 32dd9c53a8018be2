"""The places where two fields differ, harmless or not, each with a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmspell.schemas.checking import identity
from llmspell.schemas.field import ANY, Field

Difference = tuple[str, str, str]
"""Path, which property, and what happened to it."""


def differences(old: Field, new: Field, path: str = "$") -> Iterator[Difference]:
    """All differences of two fields and of what is in them; documentation apart."""
    if old.type != new.type:
        yield path, "type", f"the type was {old.type} and is {new.type}"
    if old.accepts_null != new.accepts_null:
        yield path, "nullable", "null was refused and is accepted" if new.accepts_null else "null is refused now"
    if old.members != new.members:
        yield path, "enum", _enum(old, new)
    if not old.kinds & new.kinds:
        return
    yield from _bounds(old, new, path)
    if old.validators != new.validators:
        yield path, "validators", f"the validators were {_names(old.validators)} and are {_names(new.validators)}"
    if list in old.kinds & new.kinds and (old.items or new.items):
        yield from differences(old.items or ANY, new.items or ANY, f"{path}[]")
    if dict in old.kinds & new.kinds:
        yield from _objects(old, new, path)


def _bounds(old: Field, new: Field, path: str) -> Iterator[Difference]:
    if (old.min, old.max) != (new.min, new.max):
        yield path, "range", f"the range was {_range(old.min, old.max)} and is {_range(new.min, new.max)}"
    lengths = (old.length_min, old.length_max), (new.length_min, new.length_max)
    if lengths[0] != lengths[1]:
        yield path, "length", f"the length was {_range(*lengths[0])} and is {_range(*lengths[1])}"
    if old.pattern != new.pattern:
        yield path, "pattern", f"the pattern was {_pattern(old)} and is {_pattern(new)}"


def _objects(old: Field, new: Field, path: str) -> Iterator[Difference]:
    before, after = old.fields or {}, new.fields or {}
    for name in sorted({*before, *after}):
        here = f"{path}.{name}"
        if name not in before:
            yield here, "added", _added(after[name])
        elif name not in after:
            yield here, "removed", f"the field ({before[name].type}) was removed"
        else:
            yield from _member(before[name], after[name], here)
            yield from differences(before[name], after[name], here)
    if old.unknown != new.unknown or (old.items is None) != (new.items is None):
        yield path, "unknown", f"members that are not named were {_unknown(old)} and are {_unknown(new)}"
    elif old.items is not None and new.items is not None:
        yield from differences(old.items, new.items, f"{path}.*")


def _member(old: Field, new: Field, path: str) -> Iterator[Difference]:
    if old.required != new.required:
        yield (
            path,
            "required",
            "the field was optional and is required" if new.required else "the field is optional now",
        )
    if _default(old) != _default(new):
        yield path, "default", "the default changed"
    if set(old.needs) != set(new.needs):
        yield path, "needs", f"the field needed {_names(old.needs)} beside it and needs {_names(new.needs)}"


def _added(field: Field) -> str:
    if field.has_default:
        how = "with a default"
    else:
        how = "as required and without a default" if field.required else "as optional"
    return f"the field ({field.type}) was added {how}; members of that name that nothing named before are judged by it"


def _enum(old: Field, new: Field) -> str:
    if old.members is None or new.members is None:
        return "any value was allowed, now some are listed" if old.members is None else "values are no longer listed"
    gone, come = len(old.members - new.members), len(new.members - old.members)
    return f"of the values allowed, {gone} were taken away and {come} added"


def _default(field: Field) -> Any:
    return identity(field.default) if field.has_default else field.default


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "unbounded"
    return f"from {low} up" if high is None else f"up to {high}" if low is None else f"from {low} to {high}"


def _pattern(field: Field) -> str:
    return "none" if field.pattern is None else repr(field.pattern[:80])


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _unknown(field: Field) -> str:
    if field.items is not None:
        return f"each a {field.items.type}"
    return "kept" if field.unknown == "keep" else "refused"
