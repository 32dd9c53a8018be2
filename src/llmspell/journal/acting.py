"""Whose context a handle acts in: a session's handle adds its session to the caller's context."""

from __future__ import annotations

from dataclasses import dataclass

from llmspell.model.context import Bounds, Context, current


@dataclass(frozen=True, slots=True)
class InSession:
    """The session a handle is bound to; ``opened`` is the seq of its ``session.created``, the root of its causes.
    ``bounds`` are its limits, if it has any.
    """

    id: bytes
    correlation: bytes
    opened: int
    bounds: Bounds | None = None


class Acting:
    """Gives the context of each call; remembers the last one, since calls come in runs."""

    __slots__ = ("_last", "session")

    def __init__(self, session: InSession | None = None) -> None:
        self.session = session
        self._last: tuple[Context, Context] | None = None

    def context(self) -> Context:
        """The caller's context, inside this handle's session if it has one."""
        context = current.get()
        session = self.session
        if session is None or context.session == session.id:
            return context
        last = self._last  # One value, replaced whole: threads share a handle.
        if last is None or last[0] is not context:
            self._last = last = context, enter(context, session)
        return last[1]


def enter(context: Context, session: InSession, *, anew: bool = False) -> Context:
    """``context`` inside a session. ``anew``: for the session's first entry, whose cause lies outside of it."""
    cause = context.cause if anew else context.cause or session.opened
    return Context(
        session.id, session.correlation, context.correlation, cause, context.actor, context.step, session.bounds
    )
