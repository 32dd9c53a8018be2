r"""Where in a value a transform acts: ``user.name``, ``items[].price`` (of each item), ``a\.b`` (a dot in a name).

The empty path is the value itself. What is not there, or lies behind null, is no place; what is of another type than
the path needs is an error that names where, never what was found there.

Values stand in a box, a dict with the one member ``""``, so that the value itself can be moved and replaced like any
member.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from llmspell.errors import InvalidInput
from llmspell.schemas.checking import type_name

PATH_CHARS_MAX = 1000
STEPS_MAX = 100
Step = str | None
EACH: Final = None
"""The step into every item of a list."""
Steps = tuple[Step, ...]
Box = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Path:
    """A path, parsed. ``steps`` begin in the box."""

    text: str
    steps: Steps

    @classmethod
    def parse(cls, text: str | Path) -> Path:
        """The path that a text states. Raises InvalidInput (``invalid-path``)."""
        if isinstance(text, Path):
            return text
        if type(text) is not str or len(text) > PATH_CHARS_MAX:
            raise refuse(f"a path is a text like 'user.name' or 'items[].price', not {str(text)[:40]!r}")
        return _parsed(text)

    @property
    def is_member(self) -> bool:
        """Whether it names a member (or the value itself), not each item of a list."""
        return self.steps[-1] is not EACH

    def __str__(self) -> str:
        return f"$.{self.text}" if self.text and not self.text.startswith("[") else f"${self.text}"


@lru_cache(1024)
def _parsed(text: str) -> Path:
    steps = ("", *_steps(text))
    if len(steps) > STEPS_MAX:
        raise refuse(f"the path {text[:40]!r}… has more than {STEPS_MAX} steps")
    return Path(text, steps)


def _steps(text: str) -> Iterator[Step]:
    at, length = 0, len(text)
    while at < length:
        if text.startswith("[]", at):
            yield EACH
            at += 2
        else:
            name, at = _name(text, at)
            yield name
        if at < length and not text.startswith("[]", at):
            if text[at] != "." or at + 1 == length or text.startswith("[]", at + 1):
                raise refuse(f"in the path {text!r} a name is expected at character {at + 1}")
            at += 1


def _name(text: str, at: int) -> tuple[str, int]:
    start, name = at, ""
    while at < len(text) and text[at] not in ".[":
        if text[at] == "\\":
            at += 1
            if at == len(text) or text[at] not in ".[\\":
                raise refuse(f"in the path {text!r} a backslash stands before '.', '[' or another backslash")
        elif text[at] == "]":
            raise refuse(f"in the path {text!r} there is a ']' without its '['")
        name += text[at]
        at += 1
    if at < len(text) and text[at] == "[" and not text.startswith("[]", at):
        raise refuse(f"in the path {text!r} '[' begins '[]', each item of a list; single items cannot be named")
    if at == start:
        raise refuse(f"in the path {text!r} a name is expected at character {at + 1}")
    return name, at


def escaped(name: str) -> str:
    """A member's name as a path writes it."""
    return name.replace("\\", "\\\\").replace(".", "\\.").replace("[", "\\[")


def member(text: str | Path, what: str) -> Path:
    """A path that ends with a member's name. Raises InvalidInput (``invalid-path``)."""
    path = Path.parse(text)
    if not path.is_member:
        raise refuse(f"{what} names a member of an object, not each item of a list: {path.text!r}")
    return path


@lru_cache(1024)
def shared(paths: tuple[Path, ...]) -> tuple[Steps, tuple[Steps, ...]]:
    """The lists that paths go through together, and the rest of each, which goes through none.

    Raises InvalidInput (``invalid-path``) when they go through different ones: which item would belong to which?
    """
    first = paths[0].steps
    last = max((at + 1 for at, step in enumerate(first) if step is EACH), default=0)
    lists = first[:last]
    for path in paths:
        if path.steps[:last] != lists or EACH in path.steps[last:]:
            raise refuse(
                f"{paths[0].text!r} and {path.text!r} go through different lists",
                hint="what belongs together is within the same items; a custom function can do the rest",
            )
    return lists, tuple(path.steps[last:] for path in paths)


def reach(node: Any, steps: Steps, place: str = "") -> Iterator[tuple[Any, str]]:
    """All that stands at the end of steps from ``node``, each with its place. Raises InvalidInput
    (``transform-failed``).
    """
    if not steps:
        yield node, place
    elif node is not None:
        step = steps[0]
        if step is EACH:
            for at, item in enumerate(demand(node, list, place)):
                yield from reach(item, steps[1:], f"{place}[{at}]")
        elif step in demand(node, dict, place):
            yield from reach(node[step], steps[1:], below(place, step))


def find(node: Any, steps: Steps, place: str) -> tuple[dict[str, Any], str, str] | None:
    """The object that holds the member at the end of steps without lists, its name and its place; None when it is not
    there.
    """
    holder, last = node, str(steps[-1])
    for step in steps[:-1]:
        if holder is None or step not in demand(holder, dict, place):
            return None
        holder, place = holder[step], below(place, step)
    if holder is None or last not in demand(holder, dict, place):
        return None
    return holder, last, below(place, last)


def put(node: Any, steps: Steps, value: Any, place: str, *, overwrite: bool, create: bool = True) -> bool:
    """Put a value where steps without lists lead, making objects on the way; whether it was put.

    Without ``create``, nothing is put where there is no object to put it in. Raises InvalidInput
    (``transform-occupied``) when something else stands there.
    """
    for step in steps[:-1]:
        holder = demand(node, dict, place)
        if holder.get(step) is None:
            if not create:
                return False
            if step in holder and not overwrite:
                raise _occupied(below(place, step))
            holder[step] = {}
        node, place = holder[step], below(place, step)
    holder, last = demand(node, dict, place), steps[-1]
    if last in holder and not overwrite:
        raise _occupied(below(place, last))
    holder[last] = value
    return True


def below(place: str, step: Step) -> str:
    """The place of a member; the value in the box is ``$``."""
    return f"{place}.{step}" if place else "$"


def demand(node: Any, kind: type, place: str) -> Any:
    """A node that must be a list or an object."""
    if type(node) is not kind:
        wanted = "a list" if kind is list else "an object"
        raise failed(place or "$", f"is of type {type_name(node)}; the path needs {wanted} there")
    return node


def failed(place: str, why: str, *, code: str = "transform-failed") -> InvalidInput:
    """The error of a transform at a place of a value."""
    return InvalidInput(f"{place}: {why}", code=code, path=place)


def refuse(why: str, *, hint: str | None = None) -> InvalidInput:
    """The error for a path that is none, or does not fit."""
    return InvalidInput(why, code="invalid-path", hint=hint)


def _occupied(place: str) -> InvalidInput:
    return failed(
        place, "has a value already; overwrite=True drops it, remove or rename it first to keep it",
        code="transform-occupied",
    )  # fmt: skip
