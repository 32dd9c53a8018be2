"""Fields of metadata that something is found by: values at paths, the same in every room.

A path is the names that lead to a value, joined by dots; the items of a list are at the path of the list, beside the
list itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.labels import check_metadata

Fields = tuple[tuple[str, str], ...]
"""Paths, each with the value there as ``plain`` gives it."""


def fields_of(metadata: Mapping[str, Any] | None) -> Fields:
    """The fields that a query asks for, by their paths; None asks for none. Raises InvalidInput (``invalid-metadata``
    and those of values).
    """
    wanted = check_metadata({} if metadata is None else metadata)
    if len(wanted) > limits.METADATA_CONDITIONS_MAX:
        raise InvalidInput(
            f"a query asks for at most {limits.METADATA_CONDITIONS_MAX} fields of metadata, not {len(wanted)}",
            code="invalid-metadata",
        )
    return tuple((path, plain(value)) for path, value in wanted.items())


def have_fields(metadata: dict[str, Any], wanted: Fields) -> bool:
    """Whether metadata has each of these values at its path."""
    missing = set(wanted)
    paths = {path for path, _ in wanted}
    for path, value in places(metadata, max(map(len, paths), default=0)):
        if path in paths:
            missing.discard((path, plain(value)))
    return not missing


def plain(value: Any) -> str:
    """A text that two JSON values share exactly if they are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        inside = ",".join(f"{name!r}:{plain(value[name])}" for name in sorted(value))
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{','.join(map(plain, value))}]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    return repr(value)


def places(metadata: dict[str, Any], chars_max: int) -> Iterator[tuple[str, Any]]:
    """Every path of at most so many characters with each value there. Longer ones are not even put together: in
    metadata of many levels they would take the square of its size.
    """
    waiting: list[tuple[str, Any]] = [place for place in metadata.items() if len(place[0]) <= chars_max]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            room = chars_max - len(path) - 1
            waiting += [(f"{path}.{name}", inner) for name, inner in value.items() if len(name) <= room]
        elif isinstance(value, list):
            waiting += [(path, inner) for inner in value]
