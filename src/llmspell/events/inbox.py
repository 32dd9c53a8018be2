"""One subscription's place in the stream: what it wants, what waits for it, and who waits.

The delivery thread feeds an inbox, receivers of any thread and event loop take from it. What must stay true:

- Events leave the buffer only in the receiver's own call, in order of seq. Waiters are *woken*, never handed an event,
  so a receiver that is cancelled or times out at the worst moment has taken nothing, and passes its wake-up on.
- A wake-up reserves one event: a receiver that comes later does not overtake those that waited before it.
- ``scanned`` is the seq through which the stream was looked at. It moves on the feeding thread only, and never past
  an event that found no room.
- Feeding never waits for a receiver.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from llmspell.errors import Conflict, LimitExceeded, LlmspellError
from llmspell.events.buffer import Buffer, Put
from llmspell.events.event import Event, Position
from llmspell.events.patterns import Pattern


class Waiter(Protocol):
    """A receiver that found nothing. ``woken`` belongs to the inbox and its lock."""

    woken: bool

    def wake(self) -> bool:
        """Let it look again; from any thread, without blocking. False when nobody can be there any more."""
        ...


@dataclass(frozen=True, slots=True)
class SubscriptionStats:
    """Counters of one subscription since it began; see ``llmspell.events.buffer`` for what each policy does.

    ``matched == delivered + dropped + expired + discarded + buffered``. ``lagged`` counts how often it left events to
    the journal for want of room, ``high_water`` the most events buffered at once, ``failed`` the callbacks that
    raised; ``scanned`` is the seq through which the stream was looked at, ``discarded`` what closing threw away.
    """

    id: str
    pattern: str
    overflow: str
    buffer: int
    matched: int
    delivered: int
    dropped: int
    expired: int
    discarded: int
    buffered: int
    lagged: int
    high_water: int
    failed: int
    scanned: int
    closed: bool


class Inbox:
    """The shared core of a subscription. Every method may be called from any thread; none blocks but for its lock."""

    def __init__(
        self,
        id: str,
        pattern: Pattern,
        buffer: Buffer,
        *,
        start: Position,
        history: int,
        now_ns: Callable[[], int],
        poke: Callable[[], None],
        where: Callable[[Event], bool] | None = None,
    ) -> None:
        """``history`` is the store's head as the subscription began: events up to it come at the receiver's pace.

        ``poke`` wakes the delivery thread without blocking; ``where`` is a further condition beside the pattern.
        """
        self.id = id
        self.pattern = pattern
        self.scanned = start.seq
        self.abandoned = False
        """Set (without the lock, from a finalizer) when nobody can receive any more; the delivery thread closes it."""
        self.failed = 0
        self.alive: Callable[[], bool] = lambda: True
        """Whether its only receiver can still come; asked by the delivery thread."""
        self._position = start
        self._taken: Event | None = None
        self._history = history
        self._buffer = buffer
        self._now_ns = now_ns
        self._poke = poke
        self._where = where
        self._lock = threading.Lock()
        self._waiting: deque[Waiter] = deque()
        self._promised = 0  # waiters that were woken and did not look yet
        self._lost: deque[Waiter] = deque()
        self._lagging = False
        self._end: Exception | None = None

    # --- the stream's side -------------------------------------------------------------------------------------------

    def feed(self, events: Sequence[Event], through: int) -> None:
        """Take what is wanted of ``events``, which follow ``scanned`` without a gap up to the seq ``through``.

        Events up to ``scanned`` are passed over. One that finds no room, where the policy keeps it for later, stops
        the feeding before it.
        """
        try:
            wanted = [event for event in events if event.seq > self.scanned and self._wants(event)]
        except Exception as error:  # noqa: BLE001 - a condition that raises cannot say what may be seen: nothing more
            self.end(error)
            return
        with self._lock:
            if self._end is not None:
                return
            reached = self._put_all(wanted, through)
            self.scanned = max(self.scanned, reached)
            self._wake_waiting()

    def _wants(self, event: Event) -> bool:
        return self.pattern.matches(event.type) and (self._where is None or self._where(event))

    def _put_all(self, events: list[Event], through: int) -> int:
        self._lagging = False
        for event in events:
            # Where the buffer is full and this is history, then so is all that is buffered before it.
            oldest = self._buffer.oldest_seq
            paced = oldest is not None and oldest <= self._history
            put = self._buffer.put(event, self._now_ns, paced=paced)
            if put is Put.FULL:
                self._lagging = True
                return event.seq - 1
            if put is Put.REJECTED:
                self._finish(self._overflown())
                return event.seq - 1
        return through

    def _overflown(self) -> LimitExceeded:
        return LimitExceeded(
            f"subscription {self.id} to {self.pattern.text!r} ended: its {self._buffer.limit} buffered events were not "
            "received before the next one came",
            code="overflow",
            hint="Receive faster, take a larger buffer, or overflow='block'; resume from .position to miss nothing.",
            subscription=self.id,
            buffer=self._buffer.limit,
        )

    @property
    def ready(self) -> bool:
        """Whether feeding makes sense now: not ended, and if it lagged, half of its buffer is free again."""
        with self._lock:
            return self._end is None and (not self._lagging or self._buffer.has_room)

    @property
    def limit(self) -> int:
        """How many events the buffer holds at most."""
        return self._buffer.limit

    @property
    def lagging(self) -> bool:
        """Whether it left events to the journal for want of room and was not fed since."""
        return self._lagging

    # --- the end -----------------------------------------------------------------------------------------------------

    def end(self, error: Exception | None = None) -> None:
        """Take nothing more from the stream. What is buffered can still be received, then ``error`` (or ``closed``)."""
        with self._lock:
            self._finish(error or self._closed())

    def close(self) -> None:
        """End at once: what is buffered is discarded, and whoever waits is woken. Twice is as good as once."""
        with self._lock:
            self._buffer.clear()
            self._finish(self._closed())

    def _finish(self, error: Exception) -> None:
        if self._end is None:
            self._end = error
        self._lagging = False
        while self._waiting:
            self._wake_one()
        self._poke()

    def _closed(self) -> Conflict:
        return Conflict(
            f"subscription {self.id} to {self.pattern.text!r} is closed", code="closed", subscription=self.id
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken from the stream."""
        return self._end is not None

    @property
    def closed_plainly(self) -> bool:
        """Whether it ended because somebody closed it, not for an error."""
        return isinstance(self._end, LlmspellError) and self._end.code == "closed"

    # --- the receiver's side -----------------------------------------------------------------------------------------

    def take(self, *, overtake: bool = True) -> Event | None:
        """The next event, or None when all there are belong to waiters. Raises what ended it once nothing is left.

        Without ``overtake`` None also while a waiter that was woken before has not come for its event yet.
        """
        with self._lock:
            return self._take() if overtake or self._nobody_before() else None

    def wait(self, waiter: Waiter, *, first: bool = False) -> Event | None:
        """``take`` without overtaking, and if that gives nothing, join the queue of those that wait, in one step.

        A waiter joins last; or first, when it waited before and what it was woken for had expired.
        """
        with self._lock:
            event = self._take() if self._nobody_before() else None
            if event is None:
                waiter.woken = False
                (self._waiting.appendleft if first else self._waiting.append)(waiter)
                self._wake_waiting()
            return event

    def look_again(self, waiter: Waiter) -> Event | None:
        """What a waiter does after it woke or timed out: take its event and leave the queue.

        None when it was not woken, or when what it was woken for has expired meanwhile.
        """
        with self._lock:
            if not self._leave(waiter) and self._end is None:
                return None
            event = self._take()
            self._wake_waiting()
            return event

    def withdraw(self, waiter: Waiter) -> None:
        """Leave the queue without taking (it was cancelled); a wake-up it had goes to the next one."""
        with self._lock:
            self._leave(waiter)
            self._wake_waiting()

    def lose(self, waiter: Waiter) -> None:
        """``withdraw`` for a coroutine that the garbage collector ends.

        That may happen on any thread, even one that holds our lock: so this only leaves a note for ``tidy``.
        """
        self._lost.append(waiter)
        self._poke()

    def tidy(self) -> None:
        """Withdraw those that were lost. The delivery thread calls it at every turn."""
        while self._lost:
            self.withdraw(self._lost.popleft())

    def _leave(self, waiter: Waiter) -> bool:
        if waiter.woken:
            self._promised -= 1
            return True
        with suppress(ValueError):  # one whose event loop is closed has left the queue already
            self._waiting.remove(waiter)
        return False

    def _nobody_before(self) -> bool:
        return self._promised == 0 or self._end is not None

    def _take(self) -> Event | None:
        event = None
        if self._end is not None or len(self._buffer) > self._promised:
            event = self._buffer.take(self._now_ns)
        if event is not None:
            self._taken = event
        if self._lagging and self._buffer.has_room:
            self._poke()
        if event is None and self._end is not None:
            raise self._end.with_traceback(None)
        return event

    def _wake_waiting(self) -> None:
        while self._waiting and len(self._buffer) > self._promised:
            self._wake_one()

    def _wake_one(self) -> None:
        waiter = self._waiting.popleft()
        waiter.woken = waiter.wake()
        self._promised += waiter.woken

    # --- what can be asked -------------------------------------------------------------------------------------------

    @property
    def position(self) -> Position:
        """After the last event taken; where the subscription began while there is none."""
        taken = self._taken
        return self._position if taken is None else taken.position

    def stats(self) -> SubscriptionStats:
        """The counters, consistent with each other."""
        with self._lock:
            buffer = self._buffer
            return SubscriptionStats(
                id=self.id,
                pattern=self.pattern.text,
                overflow=buffer.overflow.value,
                buffer=buffer.limit,
                matched=buffer.matched,
                delivered=buffer.delivered,
                dropped=buffer.dropped,
                expired=buffer.expired,
                discarded=buffer.discarded,
                buffered=len(buffer),
                lagged=buffer.lagged,
                high_water=buffer.high_water,
                failed=self.failed,
                scanned=self.scanned,
                closed=self._end is not None,
            )
