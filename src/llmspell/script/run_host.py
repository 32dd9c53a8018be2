"""What operations are given of a run; see ``operations.host.Host``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput
from llmspell.model.context import current
from llmspell.model.ids import id_text
from llmspell.script.step import Step
from llmspell.sessions.session import entered

if TYPE_CHECKING:
    from llmspell.script.run import Run
    from llmspell.sessions.session import AsyncSession

_log = logging.getLogger("llmspell.script")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_HANDLES_MAX = 64


class RunHost:
    """One per run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._handles: dict[str, AsyncSession] = {}
        self.store = run.store
        self.hooks = run.hooks
        self.subscriptions = run.subscriptions
        self.config = run.config
        self.current: AsyncSession | None = run.session

    async def session(self, name: str | None) -> AsyncSession:
        """A handle, opened once and kept."""
        if name is None:
            if self.current is None:
                raise InvalidInput("there is no current session", code="no-session")
            return self.current
        handle = self._run.session if name == self._run.session.id else self._handles.get(name)
        if handle is None:
            handle = await self.store.sessions.open(name)
            if len(self._handles) >= _HANDLES_MAX:
                self._handles.clear()
            self._handles[handle.id] = handle
        return handle

    def enter(self, session: AsyncSession | None) -> None:
        """Make a session the current one; None goes back to the run's own."""
        self.current = self._run.session if session is None else session
        self._run.enter(self.current)
        entered.set(self.current)

    def file(self, path: str, function: str) -> Path:
        """A path the run was granted to read."""
        return self._run.grants.file(path, function)

    def keep(self, value: Any) -> None:
        """In the item of the step that is under way."""
        step = current.get().step
        if isinstance(step, Step):
            step.keep = value

    def print(self, line: str) -> None:
        """To whoever started the run."""
        self._run.on_print(line)

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """To the logger ``llmspell.script``; the fields are in the record's ``fields``."""
        more = "".join(f" {name}={value!r}" for name, value in fields.items())
        extra = {"script": self._run.name, "fields": dict(fields)}
        _log.log(_LEVELS[level], "%s: %s%s", self._run.name, message, more, extra=extra)

    def now_s(self) -> float:
        """By the store's clock."""
        return self.store.journal.clock.now_ns() / 1e9

    def elapsed_s(self) -> float:
        """By the store's monotonic clock; a resumed run goes on where its record ends."""
        return self._run.elapsed_s()

    def passed(self, elapsed_s: float) -> None:
        """A resumed run was told this time by its record."""
        self._run.passed(elapsed_s)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        """By the store's source of ids."""
        return id_text(self.store.journal.ids.new())
