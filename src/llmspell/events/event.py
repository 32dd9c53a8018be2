"""What a subscriber sees: an event, and the position from which its reader can go on later.

An event is an entry of the journal or a user's message (which is an entry too): it has its place in the one order of
the store, so a reader that keeps the position of the last event it dealt with can come back, in another process, and
miss nothing.
"""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.clock import to_datetime

POSITION_CHARS_MAX = 1024
_POSITION_MARK = "p1."
_CHECKSUM_BYTES = 4


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader of a timeline stands: behind entry ``seq``, whose hash is ``head`` (hex). ``seq`` 0 is the start.

    ``str(position)`` is one opaque text without spaces to keep in a file or a row; ``Position.parse`` reads it back.
    The hash ties the position to one history: another store, or one that was restored to an earlier moment and went
    on, refuses it (InvalidInput, code ``other-timeline``) and never delivers from a wrong place.
    """

    timeline: str
    seq: int
    head: str

    def __post_init__(self) -> None:
        if type(self.seq) is not int or self.seq < 0:
            raise InvalidInput(f"a position's seq is an int of 0 or more, not {self.seq!r}", code="invalid-position")
        for name in ("timeline", "head"):
            if type(getattr(self, name)) is not str:
                raise InvalidInput(f"a position's {name} is a str", code="invalid-position")

    def __str__(self) -> str:
        body = json.dumps([self.timeline, self.seq, self.head], separators=(",", ":")).encode()
        return _POSITION_MARK + urlsafe_b64encode(_checksum(body) + body).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Position:
        """The position of which ``text`` is the ``str``.

        Raises InvalidInput (``invalid-position``) for any other text; a checksum finds truncated and mistyped ones.
        """
        if type(text) is not str or len(text) > POSITION_CHARS_MAX or not text.startswith(_POSITION_MARK):
            raise _no_position(text)
        packed = text[len(_POSITION_MARK) :]
        try:
            raw = urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
            checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
            if checksum != _checksum(body):
                raise _no_position(text)
            position = cls(*json.loads(body))
        except (ValueError, TypeError):
            raise _no_position(text) from None
        if str(position) != text:  # base64 has several texts for the same bytes; only one of them is ours
            raise _no_position(text)
        return position


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, immutable. ``data`` is shared by all subscribers of the process: treat it as read-only.

    ``seq`` is its place in the store's order, ``timeline`` the history that order belongs to and ``hash`` (hex) the
    chained hash of its entry. ``time_ns`` is Unix time in nanoseconds and never decreases along ``seq``. ``cause`` is
    the seq of the entry that led to this one. ``system`` is true for what the store itself tells (``state.set``,
    ``session.created`` …), false for what a user published. ``version`` is that of the kind, ``priority`` a number that
    only the publisher gives meaning to: delivery is by ``seq``. From ``expires_ns`` on the event is not delivered.
    """

    id: str
    seq: int
    type: str
    data: Any = field(hash=False)  # JSON values have no hash
    time_ns: int
    correlation_id: str
    timeline: str
    hash: str
    session: str | None = None
    cause: int | None = None
    actor: str = ""
    tags: tuple[str, ...] = ()
    source: str | None = None
    target: str | None = None
    priority: int = 0
    expires_ns: int | None = None
    system: bool = False
    version: int = 1

    @property
    def time(self) -> datetime:
        """When it was committed, aware and in UTC; microseconds kept, ``time_ns`` has the rest."""
        return to_datetime(self.time_ns)

    @property
    def position(self) -> Position:
        """The position just after this event: kept once the event is dealt with, it resumes behind it."""
        return Position(self.timeline, self.seq, self.hash)

    def expired(self, now_ns: int) -> bool:
        """Whether its time to live is over at ``now_ns``."""
        return self.expires_ns is not None and self.expires_ns <= now_ns


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")


def _no_position(text: object) -> InvalidInput:
    return InvalidInput(
        f"{str(text)[:80]!r} is not a position",
        code="invalid-position",
        hint="Give the whole text of str(subscription.position) or str(event.position), as it was saved.",
    )
