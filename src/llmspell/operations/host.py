"""What handlers are given: the run they act for. The host of scripts implements it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from llmspell.sessions.session import AsyncSession
    from llmspell.store import AsyncStore


class Hooks(Protocol):
    """The hooks a script registered; ids are the run's own, the same at each of its attempts."""

    async def register(self, point: str, function: Any, options: Mapping[str, Any]) -> dict[str, Any]:
        """Call ``function`` at a point from now on; gives ``{"id", "hook_point"}``."""
        ...

    def unregister(self, hook: str) -> bool:
        """True the first time, False when it was unregistered before or never was."""
        ...

    def list(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All hooks of the store that fit, in the order they are called."""
        ...


class Subscriptions(Protocol):
    """The subscriptions of a script; they know where they stand, so that a resumed run misses nothing."""

    def subscribe(self, pattern: str, options: Mapping[str, Any], function: Any | None) -> str:
        """Begin one, with a function to call or to be asked with ``receive``; gives its id."""
        ...

    async def receive(self, subscription: str, timeout_s: float) -> dict[str, Any] | None:
        """The next event as scripts see it; None when none came in time. Raises NotFound."""
        ...

    def seen(self, subscription: str, event: Any) -> None:
        """A resumed run was given this event by its record."""
        ...

    def unsubscribe(self, subscription: str) -> bool:
        """End one. False when there is none."""
        ...

    def list(self) -> list[dict[str, Any]]:
        """Those that have not ended."""
        ...

    def stats(self) -> dict[str, Any]:
        """Counters of all of them."""
        ...


class Host(Protocol):
    """The run a handler acts for."""

    @property
    def store(self) -> AsyncStore:
        """The store it runs on."""
        ...

    @property
    def hooks(self) -> Hooks:
        """Its hooks."""
        ...

    @property
    def subscriptions(self) -> Subscriptions:
        """Its subscriptions."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings it was started with."""
        ...

    @property
    def current(self) -> AsyncSession | None:
        """The session that an omitted one means."""
        ...

    async def session(self, name: str | None) -> AsyncSession:
        """The handle of a session by id or name, the current one for None. Raises InvalidInput (``no-session``),
        NotFound.
        """
        ...

    def enter(self, session: AsyncSession | None) -> None:
        """Make a session the current one: what the script does from now on belongs to it."""
        ...

    def file(self, path: str, function: str) -> Path:
        """A path the run was granted to read. Raises AccessDenied (``not-granted``) naming the function."""
        ...

    def keep(self, value: Any) -> None:
        """Have the current step's record keep a JSON value, for ``restore``."""
        ...

    def print(self, line: str) -> None:
        """A line of output."""
        ...

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """A line of the log."""
        ...

    def now_s(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def elapsed_s(self) -> float:
        """Seconds since the run began, without the time it was interrupted."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def new_id(self) -> str:
        """A new UUID."""
        ...

    def passed(self, elapsed_s: float) -> None:
        """A resumed run was told this time by its record."""
        ...
