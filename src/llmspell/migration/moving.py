"""Transforms that move members: rename, copy, move, split, merge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmspell.migration.paths import Box, Path, failed, find, member, put, reach, refuse
from llmspell.migration.transform import (
    Functions,
    Transform,
    check_pair,
    check_parts,
    demand_other,
    pair,
    refuse_transform,
    several,
)
from llmspell.schemas.checking import copied, type_name
from llmspell.schemas.risk import Risk


@dataclass(frozen=True, slots=True)
class Rename(Transform):
    """The member at ``path`` gets the name ``to`` within its object, in the place of its old one."""

    op = "rename"
    path: str
    to: str
    overwrite: bool = False

    def __post_init__(self) -> None:
        if member(self.path, "the path of a rename").text == "":
            raise refuse("the value as a whole has no name; move gives it one")
        if type(self.to) is not str or not self.to:
            raise refuse(f"a member is renamed to a name, not {str(self.to)[:40]!r}")
        demand_other(self.path, [*Path.parse(self.path).steps[1:-1], self.to])

    @property
    def risk(self) -> Risk:
        """Critical when it overwrites."""
        return Risk.CRITICAL if self.overwrite else Risk.MEDIUM

    def change(self, box: Box, _functions: Functions, /) -> None:
        """See ``Transform.change``."""
        steps = Path.parse(self.path).steps
        for node, place in reach(box, steps[:-1]):
            found = find(node, steps[-1:], place)
            if found is None:
                continue
            if self.to in node and not self.overwrite:
                put(node, (self.to,), None, place, overwrite=False)
            items = [(self.to if name == steps[-1] else name, item) for name, item in node.items()
                     if name != self.to]  # fmt: skip
            node.clear()
            node.update(items)


@dataclass(frozen=True, slots=True)
class Copy(Transform):
    """What stands at ``path`` stands at ``to`` as well; objects on the way are made."""

    op = "copy"
    path: str
    to: str
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_pair(self.path, self.to)

    @property
    def risk(self) -> Risk:
        """Critical when it overwrites."""
        return Risk.CRITICAL if self.overwrite else Risk.LOW

    def change(self, box: Box, _functions: Functions, /) -> None:
        """See ``Transform.change``."""
        lists, (source, target) = pair(self.path, self.to)
        for node, place in reach(box, lists):
            found = find(node, source, place)
            if found is not None:
                put(node, target, copied(found[0][found[1]]), place, overwrite=self.overwrite)


@dataclass(frozen=True, slots=True)
class Move(Transform):
    """What stands at ``path`` stands at ``to`` instead; objects on the way are made.

    The path ``""`` is the value itself: moved to ``data`` it becomes the member of an object, and the other way round.
    """

    op = "move"
    path: str
    to: str
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_pair(self.path, self.to)

    @property
    def risk(self) -> Risk:
        """Critical when it overwrites."""
        return Risk.CRITICAL if self.overwrite else Risk.MEDIUM

    def change(self, box: Box, _functions: Functions, /) -> None:
        """See ``Transform.change``."""
        lists, (source, target) = pair(self.path, self.to)
        upwards = source[: len(target)] == target
        for node, place in reach(box, lists):
            found = find(node, source, place)
            if found is None:
                continue
            value = found[0].pop(found[1])
            above = find(node, target, place) if upwards else None
            emptied = above is not None and above[0][above[1]] == {}
            put(node, target, value, place, overwrite=self.overwrite or emptied)


@dataclass(frozen=True, slots=True)
class Split(Transform):
    """The text at ``path`` is cut at ``separator`` into as many parts as ``into`` names, the last with all the rest; a
    list is dealt out item by item. The source is dropped unless ``keep``.

    Fewer parts than names, or a list of more, are an error, unless ``partial`` leaves out the names that get none.
    """

    op = "split"
    path: str
    into: tuple[str, ...]
    separator: str = " "
    keep: bool = False
    partial: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "into", check_parts(self.into, "split"))
        if type(self.separator) is not str or not self.separator:
            raise refuse_transform("a separator is a text of at least one character")
        several(self.path, self.into)

    @property
    def risk(self) -> Risk:
        """Critical when it overwrites."""
        return Risk.CRITICAL if self.overwrite else Risk.MEDIUM

    def change(self, box: Box, _functions: Functions, /) -> None:
        """See ``Transform.change``."""
        lists, (source, *targets) = several(self.path, self.into)
        for node, place in reach(box, lists):
            found = find(node, source, place)
            if found is None or found[0][found[1]] is None:
                continue
            parts = self._cut(found[0][found[1]], found[2])
            if not parts and len(source) == 1:
                raise failed(found[2], "has no item for any name, and the value as a whole cannot be dropped")
            if not self.keep:
                del found[0][found[1]]
            for target, part in zip(targets, parts, strict=False):
                put(node, target, copied(part) if self.keep else part, place, overwrite=self.overwrite)

    def _cut(self, value: Any, place: str) -> list[Any]:
        wanted = len(self.into)
        if type(value) is str:
            parts: list[Any] = value.split(self.separator, wanted - 1)
        elif type(value) is list:
            parts = value
        else:
            raise failed(place, f"is of type {type_name(value)}; split cuts a string or a list")
        if len(parts) > wanted or (len(parts) < wanted and not self.partial):
            raise failed(place, f"gives {len(parts)} parts for {wanted} names")
        return parts


@dataclass(frozen=True, slots=True)
class Merge(Transform):
    """The members at ``paths`` become one at ``to``: texts joined by ``separator``, or with ``into`` a ``list`` of
    them or an ``object`` of them by their names. The sources are dropped unless ``keep``.

    Those that are missing or null are left out; when all are, nothing is done.
    """

    op = "merge"
    paths: tuple[str, ...]
    to: str
    separator: str = " "
    into: str = "string"
    keep: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", check_parts(self.paths, "merge"))
        if self.into not in {"string", "list", "object"}:
            raise refuse_transform(f"merge makes a string, a list or an object, not {str(self.into)[:40]!r}")
        if type(self.separator) is not str:
            raise refuse_transform("a separator is a text")
        several(self.to, self.paths)
        if self.into == "object" and len({Path.parse(path).steps[-1] for path in self.paths}) < len(self.paths):
            raise refuse_transform("two of the members to merge have the same name; an object cannot hold both")

    @property
    def risk(self) -> Risk:
        """High for texts, which cannot be told apart again by computing; critical when it overwrites."""
        if self.overwrite:
            return Risk.CRITICAL
        return Risk.HIGH if self.into == "string" else Risk.MEDIUM

    def change(self, box: Box, _functions: Functions, /) -> None:
        """See ``Transform.change``."""
        lists, (target, *sources) = several(self.to, self.paths)
        for node, place in reach(box, lists):
            found = [one for source in sources if (one := find(node, source, place)) is not None]
            parts = [(name, holder[name], where) for holder, name, where in found if holder[name] is not None]
            if not parts:
                continue
            made = self._made(parts)
            if not self.keep:
                for holder, name, _ in found:
                    holder.pop(name, None)
            put(node, target, made, place, overwrite=self.overwrite)

    def _made(self, parts: list[tuple[str, Any, str]]) -> Any:
        if self.into == "object":
            return {name: copied(part) for name, part, _ in parts}
        if self.into == "list":
            return [copied(part) for _, part, _ in parts]
        for _, part, where in parts:
            if type(part) is not str:
                raise failed(where, f"is of type {type_name(part)}; merge joins strings")
        return self.separator.join(part for _, part, _ in parts)
