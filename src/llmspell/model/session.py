"""The life of a session: its statuses and the steps between them that are legal."""

from __future__ import annotations

from enum import StrEnum

from llmspell.errors import Conflict, InvalidInput


class SessionStatus(StrEnum):
    """Where a session stands in its life."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    ARCHIVED = "archived"


_LEGAL = {
    "active": ("suspended", "completed", "failed"),
    "suspended": ("active", "completed", "failed"),
    "failed": ("active", "archived"),
    "completed": ("archived",),
    "archived": (),
}


def check_step(session: str, now: str, to: str) -> None:
    """Refuse an illegal step. Raises Conflict (``illegal-transition``) that names from and to."""
    if to not in _LEGAL[now]:
        allowed = ", ".join(_LEGAL[now]) or "unarchive only"
        raise Conflict(
            f"session {session} is {now}; it cannot become {to} (from {now}: {allowed})",
            code="illegal-transition",
            **{"from": now, "to": to},
        )


def check_status(status: object) -> str:
    """A status by name. Raises InvalidInput (``invalid-status``)."""
    if isinstance(status, str) and status in _LEGAL:
        return str(status)
    found = repr(status) if isinstance(status, str) else f"a {type(status).__name__}"
    raise InvalidInput(f"there is no status {found}; there are {', '.join(_LEGAL)}", code="invalid-status")
