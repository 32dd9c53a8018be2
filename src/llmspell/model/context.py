"""Who acts, in which session, under which correlation, because of what. Follows tasks by contextvars; captured when a
unit of work is submitted, never read later.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Correlation:
    """A named thread of work. ``above`` is the correlation it was opened under."""

    id: bytes
    name: str
    above: Correlation | None = None

    @property
    def parent(self) -> bytes | None:
        """Id of the correlation above, if any."""
        return None if self.above is None else self.above.id


class Recording(Protocol):
    """A position in a script's run: what is written while it is executed is recorded with it."""

    async def write(self, journal: Any, work: Any, context: Context, *, strong: bool) -> Any:
        """``journal.write(work)`` with its record in the same unit; on a resumed run, what it gave the first time."""
        ...

    def hide(self) -> None:
        """What is given to it or comes from it must not be on disk in clear."""
        ...


class Bounds(Protocol):
    """Limits of a session: they are held in the transaction that would pass them."""

    def around(self, work: Any) -> Any:
        """A unit's work with the look at the limits behind it."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What each entry's header says about its origin.

    ``correlation`` is the innermost one opened by name, None outside of any; ``session`` the current session's id;
    ``session_correlation`` that session's own; ``cause`` the seq of the entry that led here, 0 when nothing did;
    ``step`` the step of a script's run that is being executed, if any: it records itself in the unit it commits;
    ``bounds`` the limits of the session, if it has any.
    """

    session: bytes | None = None
    session_correlation: bytes | None = None
    correlation: Correlation | None = None
    cause: int = 0
    actor: str = "owner"
    step: Recording | None = None
    bounds: Bounds | None = None

    def within(self, step: Recording | None) -> Context:
        """The same while ``step`` is executed. Each step of a run takes one, so no field is looked up by name."""
        return Context(
            self.session, self.session_correlation, self.correlation, self.cause, self.actor, step, self.bounds
        )


ROOT = Context()
MAINTENANCE = Context(actor="maintenance")
"""What the store does by itself, because a time has come."""
current: ContextVar[Context] = ContextVar("llmspell_context", default=ROOT)


def carry_context(function: Callable[P, T]) -> Callable[P, T]:
    """``function`` bound to the running context, to be handed to a thread: what it does there belongs to the session,
    correlation and cause that are current here. (Tasks and ``asyncio.to_thread`` follow by themselves.)
    """
    context = copy_context()

    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        # A context runs in one thread at a time; each call gets a copy of its own.
        return context.copy().run(function, *args, **kwargs)

    return carried
