"""Arguments of public functions that are the same in every room: flags, functions that are told of progress, paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.telling import told


def check_flags(**flags: bool) -> None:
    """Raises InvalidInput (``invalid-input``) for a flag that is neither True nor False: a text like ``"false"`` is
    true in Python, and would delete for good what was to be kept.
    """
    for name, value in flags.items():
        if type(value) is not bool:
            raise InvalidInput(f"{name} is True or False, not {told(value)}", code="invalid-input")


def check_function(function: Callable[..., Any] | None, name: str = "progress", *, optional: bool = True) -> None:
    """Raises InvalidInput (``invalid-callback``) for what cannot be called, and for async functions, before anything
    is done: nobody would await them. None is none.
    """
    if not callable(function) and not (optional and function is None):
        raise InvalidInput(f"{name} is a function, not {told(function)}", code="invalid-callback")
    if is_async(function):
        raise InvalidInput(
            f"{name} is a plain function, not an async one, which nobody would await", code="invalid-callback"
        )


def is_async(function: object) -> bool:
    """Whether what a call of it gives is to be awaited or iterated by ``async for``, as far as that can be seen."""
    return _is(function, iscoroutinefunction, isasyncgenfunction)


def gives_coroutine(function: object, what: str) -> bool:
    """Whether what a call of it gives is to be awaited, also through partials and objects with ``async def __call__``.
    Raises InvalidInput (``invalid-callback``) for generators: they would be made, and nobody would run them.
    """
    if _is(function, isgeneratorfunction, isasyncgenfunction):
        raise InvalidInput(f"{what} is no generator", code="invalid-callback")
    return _is(function, iscoroutinefunction)


def _is(function: object, *asks: Callable[[object], bool]) -> bool:
    while isinstance(function, partial):
        function = function.func
    called = getattr(type(function), "__call__", None)  # noqa: B004 - it is asked what calling does, not whether it can
    return any(ask(one) for ask in asks for one in (function, called))


def at_home(path: str) -> Path:
    """The path, which may begin with ``~``. Raises InvalidInput (``invalid-path``) for the home of nobody."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InvalidInput(
            f"{path!r} is in the home of a user that this system does not know", code="invalid-path"
        ) from None


def check_path(path: object) -> Path:
    """A path that a file system could have. Raises InvalidInput (``invalid-path``)."""
    text = str(path) if isinstance(path, str | Path) else ""
    try:
        possible = bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise InvalidInput(f"a path is a str or a Path that a file can have, not {told(path)}", code="invalid-path")
    return Path(text)


def check_many(many: object, what: str) -> list[Any]:
    """Several of something, as a list. Raises InvalidInput (``invalid-selection``) for one text, a mapping, and what
    has no items.
    """
    if isinstance(many, str | bytes | Mapping) or not isinstance(many, Iterable):
        raise InvalidInput(f"{what} are a list, not {told(many)}", code="invalid-selection")
    return list(many)
