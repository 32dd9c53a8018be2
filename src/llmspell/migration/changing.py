"""Transforms that change what stands in a place: convert, default, remove, and custom functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmspell.errors import InvalidInput, NotFound
from llmspell.migration.convert import RULES, convert
from llmspell.migration.paths import Box, Path, failed, find, member, put, reach, refuse, shared
from llmspell.migration.transform import Functions, Transform, refuse_transform, replace_each
from llmspell.model.values import encode_value
from llmspell.schemas.checking import copied
from llmspell.schemas.risk import Risk


@dataclass(frozen=True, slots=True)
class Convert(Transform):
    """What stands at ``path`` becomes of type ``to``, by the rules of ``convert``.

    ``wrap`` makes a list of a single value, and a single value of a list of one. With ``otherwise``, a value that
    cannot be converted is replaced by it (None is null); without, it is an error.
    """

    op = "convert"
    path: str
    to: str
    wrap: bool = False
    otherwise: Any = ...

    def __post_init__(self) -> None:
        Path.parse(self.path)
        if self.to not in RULES:
            raise refuse_transform(f"convert knows the types {', '.join(RULES)}, not {str(self.to)[:40]!r}")
        if self.otherwise is not ...:
            encode_value(self.otherwise)
            object.__setattr__(self, "otherwise", copied(self.otherwise))

    @property
    def risk(self) -> Risk:
        """Critical when what cannot be converted is dropped."""
        return Risk.HIGH if self.otherwise is ... else Risk.CRITICAL

    def change(self, box: Box, _functions: Functions, /) -> None:
        """See ``Transform.change``."""

        def converted(value: Any, place: str) -> Any:
            try:
                return convert(value, self.to, wrap=self.wrap)
            except ValueError as exc:
                if self.otherwise is not ...:
                    return copied(self.otherwise)
                raise failed(place, str(exc)) from None

        replace_each(box, self.path, converted)


@dataclass(frozen=True, slots=True)
class Default(Transform):
    """Where nothing stands at ``path``, ``value`` is put. With ``when_null`` also in the place of null; with
    ``create``, objects on the way are made, else nothing is put where the object is missing.
    """

    op = "default"
    path: str
    value: Any
    when_null: bool = False
    create: bool = False

    def __post_init__(self) -> None:
        member(self.path, "the path of a default")
        encode_value(self.value)
        object.__setattr__(self, "value", copied(self.value))

    @property
    def risk(self) -> Risk:
        """Low: it adds."""
        return Risk.LOW

    def change(self, box: Box, _functions: Functions, /) -> None:
        """See ``Transform.change``."""
        lists, (rest,) = shared((Path.parse(self.path),))
        for node, place in reach(box, lists):
            if node is None:
                continue
            found = find(node, rest, place)
            if found is None or (self.when_null and found[0][found[1]] is None):
                put(node, rest, copied(self.value), place, overwrite=self.when_null, create=self.create)


@dataclass(frozen=True, slots=True)
class Remove(Transform):
    """What stands at ``path`` is dropped."""

    op = "remove"
    path: str

    def __post_init__(self) -> None:
        if member(self.path, "the path of a remove").text == "":
            raise refuse("the value as a whole cannot be removed; delete the key")

    @property
    def risk(self) -> Risk:
        """Critical: data is dropped."""
        return Risk.CRITICAL

    def change(self, box: Box, _functions: Functions, /) -> None:
        """See ``Transform.change``."""
        steps = Path.parse(self.path).steps
        for node, place in reach(box, steps[:-1]):
            found = find(node, steps[-1:], place)
            if found is not None:
                del found[0][found[1]]


@dataclass(frozen=True, slots=True)
class Custom(Transform):
    """What stands at ``path`` becomes what a function of yours makes of it. The journal knows the function by its name;
    whoever applies the migration gives it: ``functions={"name": function}``.

    It gets a copy and returns JSON; it must give the same for the same value, for it may be asked again.
    """

    op = "custom"
    function: str
    path: str = ""

    def __post_init__(self) -> None:
        Path.parse(self.path)
        if type(self.function) is not str or not 0 < len(self.function) <= 128:
            raise refuse_transform("a custom transform names its function by a text of 1 to 128 characters")

    @property
    def risk(self) -> Risk:
        """High: nobody knows what it does."""
        return Risk.HIGH

    def change(self, box: Box, functions: Functions, /) -> None:
        """See ``Transform.change``."""
        function = functions.get(self.function)
        if function is None:
            raise unknown_function(self.function)

        def called(value: Any, place: str) -> Any:
            try:
                made = function(copied(value))
            except Exception as exc:  # noqa: BLE001 - code of users may raise anything; its text may show the value
                raise failed(place, f"the function {self.function!r} raised {type(exc).__name__}") from None
            try:
                encode_value(made)
            except InvalidInput as exc:
                why = f"the function {self.function!r} gave what is no JSON value ({exc.code})"
                raise failed(place, why) from None
            return copied(made)

        replace_each(box, self.path, called)


def unknown_function(name: str) -> NotFound:
    """The error for a function that was not given."""
    return NotFound(
        f"the migration uses the function {name!r}, which was not given",
        code="unknown-function",
        hint="give it: functions={name: function}",
        function=name,
    )
