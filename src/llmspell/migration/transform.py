"""What every transform is: a frozen value that a JSON object states, and that changes a value in place.

What is not there is left alone: a transform of a missing member does nothing. What a transform does not name is kept.
Nothing is overwritten unless ``overwrite`` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

from llmspell.errors import InvalidInput
from llmspell.migration.paths import EACH, Box, Path, Steps, below, failed, find, member, reach, refuse, shared
from llmspell.schemas.checking import copied, type_name
from llmspell.schemas.risk import Risk

PARTS_MAX = 100
"""Members that one split or merge names at most."""
Function = Callable[[Any], Any]
"""Given a part of a value, gives what stands in its place."""
Functions = Mapping[str, Function]
Rests = tuple[Steps, tuple[Steps, ...]]
_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Transform:
    """One change of a value. ``op`` is its name in JSON; ``risk`` how much can go wrong with it."""

    op: ClassVar[str] = ""

    @property
    def risk(self) -> Risk:
        """See ``Risk``."""
        return Risk.MEDIUM

    def apply(self, value: Any, functions: Functions | None = None) -> Any:
        """The value as it is after this change; the one given stays as it is.

        Raises InvalidInput (``transform-failed``, ``transform-occupied``) naming the path, NotFound
        (``unknown-function``).
        """
        box = {"": copied(value)}
        self.change(box, functions or {})
        return box[""]

    def change(self, box: Box, _functions: Functions, /) -> None:
        """The same on a value of the caller's own, in a box (see ``paths``)."""
        raise NotImplementedError  # Never reached: only the kinds in ``OPS`` are taken, and each has its own.

    def to_dict(self) -> dict[str, Any]:
        """The transform as JSON: ``op`` and every argument that is not as by default."""
        shown: dict[str, Any] = {"op": self.op}
        for one in fields(self):
            value = getattr(self, one.name)
            default = one.default if one.default is not MISSING else _NOTHING
            if one.init and (type(value) is not type(default) or value != default):
                shown[one.name] = list(value) if type(value) is tuple else copied(value)
        return shown

    def describe(self) -> str:
        """What it does, in a few words."""
        told = (f"{name}={value!r}" for name, value in self.to_dict().items() if name not in {"op", "value"})
        return f"{self.op}({', '.join(told)})"


def replace_each(box: Box, text: str, made: Callable[[Any, str], Any]) -> None:
    """Put what ``made`` gives of it, and of its place, in the place of all that a path names."""
    steps = Path.parse(text).steps
    for node, place in reach(box, steps[:-1]):
        if node is None:
            continue
        if steps[-1] is EACH:
            if type(node) is not list:
                raise failed(place, f"is of type {type_name(node)}; the path needs a list there")
            node[:] = [made(item, f"{place}[{at}]") for at, item in enumerate(node)]
        else:
            found = find(node, steps[-1:], place)
            if found is not None:
                node[steps[-1]] = made(node[steps[-1]], below(place, steps[-1]))


def pair(path: str, to: str) -> Any:
    """The lists that two paths share, and the rest of each."""
    return shared((Path.parse(path), Path.parse(to)))


def check_pair(path: str, to: str) -> None:
    """Refuse two paths between which nothing can be moved."""
    source, target = member(path, "the path"), member(to, "the target")
    demand_other(source.text, list(target.steps[1:]))
    pair(path, to)


def several(one: str, others: tuple[str, ...]) -> Any:
    """The same of several paths."""
    return shared((member(one, "the path"), *(member(path, "a path") for path in others)))


def demand_other(path: str, steps: list[Any]) -> None:
    """Refuse a target that is the source."""
    if Path.parse(path).steps[1:] == tuple(steps):
        raise refuse(f"{path!r} is where it stands already")


def check_parts(given: Any, op: str) -> tuple[str, ...]:
    """The members that a split or merge names."""
    names = tuple(given) if isinstance(given, list | tuple) else ()
    if not 2 <= len(names) <= PARTS_MAX or len(set(names)) < len(names) or not all(type(one) is str for one in names):
        raise refuse_transform(f"{op} names 2 to {PARTS_MAX} different members")
    return names


def refuse_transform(why: str) -> InvalidInput:
    """The error for a transform that is none."""
    return InvalidInput(why, code="invalid-transform")
