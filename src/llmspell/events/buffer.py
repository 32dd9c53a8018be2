"""The bounded buffer between the stream and one subscriber, and what happens when it is full.

Every event is in the journal before anybody sees it, so a full buffer never has to hold up a committer, and what a
policy decides is only what *this* subscriber sees:

``drop_oldest``  the oldest buffered event makes room; the subscriber sees the newest, with gaps
``drop_newest``  the event that finds no room is dropped; the subscriber sees the oldest, with gaps
``block``        the subscription stops taking from the stream and re-reads the journal once it has room; it lags, and
                 loses nothing
``reject``       the subscription ends: after what is buffered, its receiver gets LimitExceeded (code ``overflow``)

A *paced* event is treated as under ``block`` whatever the policy. That is history, committed before the subscription
began, and what follows while history is still in the buffer: the journal holds it, nobody needs it fast, and a
subscription from the start of a long store would otherwise drop nearly all of it.

Memory is bounded by count, not by size: at most ``limit`` events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, StrEnum, auto

from llmspell.errors import InvalidInput
from llmspell.events.event import Event
from llmspell.model.telling import told

BUFFER_EVENTS_DEFAULT = 1000
BUFFER_EVENTS_MAX = 100_000


class Overflow(StrEnum):
    """What to do with an event that finds the buffer full; the module says what each policy means."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    BLOCK = "block"
    REJECT = "reject"

    @classmethod
    def of(cls, value: Overflow | str) -> Overflow:
        """The policy of that name. Raises InvalidInput (``invalid-overflow``) listing the four."""
        try:
            return cls(value)
        except ValueError:
            names = ", ".join(cls)
            raise InvalidInput(f"overflow is one of {names}, not {told(value)}", code="invalid-overflow") from None


class Put(Enum):
    """What became of an event offered to a buffer."""

    DONE = auto()  # buffered, dropped by policy, or expired: the stream goes on behind it
    FULL = auto()  # not taken; offer it again when there is room
    REJECTED = auto()  # not taken, and the policy says that this ends the subscription


class Buffer:
    """A queue of at most ``limit`` events with a policy and exact counters. Not thread-safe: its owner holds a lock.

    At any moment ``matched == delivered + dropped + expired + discarded + len(buffer)``. Each operation is O(1).
    """

    __slots__ = (
        "_events",
        "delivered",
        "discarded",
        "dropped",
        "expired",
        "high_water",
        "lagged",
        "limit",
        "matched",
        "overflow",
    )

    def __init__(self, limit: int = BUFFER_EVENTS_DEFAULT, overflow: Overflow | str = Overflow.DROP_OLDEST) -> None:
        if type(limit) is not int or not 1 <= limit <= BUFFER_EVENTS_MAX:
            raise InvalidInput(
                f"buffer is a number of events from 1 to {BUFFER_EVENTS_MAX}, not {told(limit)}", code="invalid-buffer"
            )
        self.limit = limit
        self.overflow = Overflow.of(overflow)
        self.matched = 0
        """Events that were dealt with here, whatever became of them."""
        self.delivered = 0
        """Events that were taken out by the receiver."""
        self.dropped = 0
        """Events lost to the policy."""
        self.expired = 0
        """Events whose time to live was over before they were taken."""
        self.discarded = 0
        """Events still buffered when their receiver closed."""
        self.lagged = 0
        """Times an event found no room and was left to the journal."""
        self.high_water = 0
        """The most events that were buffered at once."""
        self._events: deque[Event] = deque()

    def __len__(self) -> int:
        return len(self._events)

    @property
    def oldest_seq(self) -> int | None:
        """The seq of the event that would be taken next, None when empty."""
        return self._events[0].seq if self._events else None

    @property
    def has_room(self) -> bool:
        """Whether half of the buffer is free: below that, re-reading the journal would be a page for a few events."""
        return len(self._events) <= self.limit // 2

    def put(self, event: Event, now_ns: Callable[[], int], *, paced: bool = False) -> Put:
        """Take one event, or say why not; the clock is read only for an event that can expire."""
        if event.expires_ns is not None and event.expired(now_ns()):
            self.matched += 1
            self.expired += 1
            return Put.DONE
        if len(self._events) >= self.limit:
            return self._overflow(event, paced=paced)
        self.matched += 1
        self._events.append(event)
        self.high_water = max(self.high_water, len(self._events))
        return Put.DONE

    def _overflow(self, event: Event, *, paced: bool) -> Put:
        if paced or self.overflow is Overflow.BLOCK:
            self.lagged += 1
            return Put.FULL
        if self.overflow is Overflow.REJECT:
            return Put.REJECTED
        self.matched += 1
        self.dropped += 1
        if self.overflow is Overflow.DROP_OLDEST:
            self._events.popleft()
            self._events.append(event)
        return Put.DONE

    def take(self, now_ns: Callable[[], int]) -> Event | None:
        """The oldest event that has not expired, or None; those that have are passed over and counted."""
        while self._events:
            event = self._events.popleft()
            if event.expires_ns is not None and event.expired(now_ns()):
                self.expired += 1
                continue
            self.delivered += 1
            return event
        return None

    def clear(self) -> None:
        """Forget what is buffered; it counts as discarded, for nobody will see it here."""
        self.discarded += len(self._events)
        self._events.clear()
