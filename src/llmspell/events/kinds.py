"""What the journal says about users' events."""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell.journal.kinds import Kind


class EventPublished(msgspec.Struct, omit_defaults=True):
    """A user's event. Its ``type`` is what subscribers match; ``expires_at`` ends its delivery."""

    type: str
    data: Any
    tags: list[str] = []
    source: str | None = None
    target: str | None = None
    priority: int = 0
    expires_at: int | None = None


PUBLISHED = Kind("event.published", EventPublished)
KINDS = (PUBLISHED,)
