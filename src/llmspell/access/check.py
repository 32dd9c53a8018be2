"""The check of one operation: a statement over indexes of open rows, and what its answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmspell.access.rights import BITS, rights_of
from llmspell.errors import AccessDenied, InvalidInput
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.scope import Scope
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.ports.database import Row

_SQL = queries("llmspell.access")
_CUT, _HELD, _HELD_IN_SESSION = _SQL["cut"], _SQL["held"], _SQL["held_in_session"]


class Demand:
    """What an operation needs: that a principal holds rights in a scope. ``sql`` with ``args(now)`` gives the one row
    that ``refusal`` judges.

    On the scope of its own name a principal holds everything, unless it is cut off. Elsewhere: what the scope's
    boundary gives everybody, what was granted there, and what was granted with ``children`` in the scope above.
    """

    __slots__ = ("_place", "above", "mask", "own", "principal", "scope", "sql")

    def __init__(self, principal: Scope, scope: Scope, mask: int) -> None:
        self.principal = principal
        self.scope = scope
        self.mask = mask
        self.own = principal.name == scope.name
        self.above: Any = None
        session = session_id(scope)
        if self.own:
            self.sql = _CUT
        elif session is not None:
            self.sql, self.above = _HELD_IN_SESSION, session
        else:
            self.sql = _HELD
            self.above = scope.parent.name if scope.parent is not None else ""

    def args(self, now: int) -> tuple[Any, ...]:
        """Values for ``sql``; ``now`` is the time at which grants must still hold, in nanoseconds."""
        principal, scope = self.principal.name, self.scope.name
        if self.own:
            return (principal,)
        return (principal, scope, principal, scope, now, principal, self.above, now)

    def refusal(self, row: Row | None) -> AccessDenied | None:
        """The error to raise, or None: go on. Costs 0.2 µs."""
        if row is not None and row[0]:
            return self.denied("principal-cut-off", self.mask)
        if self.own:
            return None
        held = 0 if row is None else (row[1] or 0) | (row[2] or 0) | (row[3] or 0)
        missing = self.mask & ~held
        return self.denied("access-denied", missing) if missing else None

    def denied(self, code: str, missing: int) -> AccessDenied:
        """The error that says who may not do what, where."""
        who, where, rights = self.principal.text, self.scope.text, rights_of(missing)
        if code == "principal-cut-off":
            message, hint = f"{who} is cut off and may do nothing", None
            if rights:
                message += f", not even {_verbs(rights)} {where}"
        else:
            message = f"{who} may not {_verbs(rights)} {where}"
            hint = f"the owner can grant it: store.access.grant({who!r}, {where!r}, {set(rights)!r})"
        return AccessDenied(
            message, code=code, hint=hint, principal=who, scope=where, right=rights[0] if rights else "",
            rights=list(rights),
        )  # fmt: skip


def session_id(scope: Scope) -> bytes | None:
    """The id of the session whose scope this is; None for any other scope, and for ids that are no session's."""
    if scope.kind != "session":
        return None
    try:
        raw = id_bytes(scope.ids[0])
    except InvalidInput:
        return None
    return raw if id_text(raw) == scope.ids[0] else None


def _verbs(rights: tuple[str, ...]) -> str:
    return " or ".join(rights) if len(rights) <= 1 else f"{', '.join(rights[:-1])} and {rights[-1]}"


def bits_of(mask: int) -> tuple[int, ...]:
    """The single bits of a mask."""
    return tuple(bit for bit in BITS.values() if mask & bit)
