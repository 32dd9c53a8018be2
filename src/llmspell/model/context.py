"""Who acts, in which session, under which correlation, because of what. Follows tasks by contextvars; captured when a
unit of work is submitted, never read later.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Context:
    """What each entry's header says about its origin.

    ``correlation`` is the innermost one opened by name, None outside of any; ``session`` the current session's id;
    ``session_correlation`` that session's own; ``cause`` the seq of the entry that led here, 0 when nothing did;
    ``step`` the position in a script's run that is being executed, if any.
    """

    session: bytes | None = None
    session_correlation: bytes | None = None
    correlation: Correlation | None = None
    cause: int = 0
    actor: str = "owner"
    step: object | None = None


ROOT = Context()
current: ContextVar[Context] = ContextVar("llmspell_context", default=ROOT)
