"""Moments that people give: a datetime, or its RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, datetime

from llmspell.errors import InvalidInput
from llmspell.model.clock import to_ns


def moment_ns(moment: datetime | str) -> int:
    """Nanoseconds since the Unix epoch; what names no zone is UTC. Raises InvalidInput (``invalid-time``)."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise InvalidInput(f"{moment!r:.200} is not an RFC 3339 time", code="invalid-time") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
    if not isinstance(moment, datetime):
        raise InvalidInput(f"a time is a datetime or RFC 3339 text, not a {type(moment).__name__}", code="invalid-time")
    try:
        return to_ns(moment)
    except (OverflowError, ValueError, OSError) as exc:
        raise InvalidInput(f"{moment!r} is no time in UTC: {exc}", code="invalid-time") from None
