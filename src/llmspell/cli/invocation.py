"""One command line under way: its output, its settings, and the store it means.

Commands that only read open the store read-only and never make one; only what puts something into a store may create
it. The running invocation is a context variable, so that command functions have no parameter that is not an option.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.cli.flags import Flags
from llmspell.cli.output import Output
from llmspell.config import Config, find_files, load, read_file
from llmspell.errors import StoreMissing
from llmspell.locate import locate

if TYPE_CHECKING:
    from llmspell.store import AsyncStore
    from llmspell.sync.faces import Store

running: ContextVar[Invocation] = ContextVar("llmspell_invocation")


class Invocation:
    """What a command function works with; ``running.get()`` is the one under way."""

    def __init__(self, flags: Flags, verbatim: Iterable[str] = ()) -> None:
        self.flags = flags
        self.verbatim = frozenset(verbatim)
        """The words behind ``--``: values whatever they look like."""

    @cached_property
    def config(self) -> Config:
        """The settings that hold here. Raises InvalidInput."""
        return self.configured({})

    def configured(self, flags: dict[str, Any]) -> Config:
        """The settings, with further flags of a command's own."""
        from platformdirs import user_config_path

        paths = find_files(Path.cwd(), user_config_path("llmspell", appauthor=False))
        return load([read_file(path) for path in paths], os.environ, {**self.flags.settings(), **flags})

    @cached_property
    def out(self) -> Output:
        """Where results go."""
        return Output(json=self.flags.json, quiet=self.flags.quiet, color=self.config.value("color"))

    def place(self) -> tuple[str | Path, str]:
        """The store that is meant, and who said so: a setting's origin, ``nearest`` or ``default``."""
        setting = self.config["store"]
        if setting.value is not None:
            return locate(setting.value)[0], setting.origin
        return locate(None)

    @contextmanager
    def reading(self) -> Iterator[Store]:
        """The store, read-only. Raises StoreMissing, with what makes one as its hint."""
        from llmspell.sync.opening import open as open_store

        with self._explaining(), open_store(self.place()[0], create=False, read_only=True) as store:
            yield store

    @contextmanager
    def changing(self, *, create: bool = False, encrypt: bool = False) -> Iterator[Store]:
        """The store for writing; with ``create`` it is made when it is missing, and encrypted with ``encrypt``."""
        from llmspell.sync.opening import open as open_store

        with (
            self._explaining(),
            open_store(self.place()[0], create=create, durability=self._durability(), encrypt=encrypt) as store,
        ):
            yield store

    @asynccontextmanager
    async def changing_async(self, *, create: bool = True) -> AsyncIterator[AsyncStore]:
        """The store for scripts, which run on asyncio."""
        from llmspell.opening import open_async

        with self._explaining():
            store = await open_async(self.place()[0], create=create, durability=self._durability())
            async with store:
                yield store

    def _durability(self) -> Any:
        return self.config.value("durability")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except StoreMissing as exc:
            place, origin = self.place()
            said = {"nearest": "", "default": " (no .llmspell above it either)", "flag": " (--store)"}
            exc.message = f"there is no store at {place}{said.get(origin, f' ({origin})')}"
            exc.hint = "name another with --store PATH, or make one: `llmspell state set KEY VALUE`, `llmspell demo`"
            raise
