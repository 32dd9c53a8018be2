"""The order of delivery: which events each subscription is fed, from memory or from the journal.

What must stay true:

- Every subscription is fed strictly by seq, each event at most once, and none is left out between where it began and
  where it stands. ``Inbox.scanned`` is where it stands.
- ``live`` is the seq through which the *live* subscriptions (those whose ``scanned`` is not behind it) were fed.
  Committed events that this process offers are used only if they begin right behind ``live``; otherwise another
  process has committed in between, or an offer was lost, and the journal is read instead.
- A subscription behind ``live`` (it began at an old position, or had no room) reads the journal by itself, one page a
  turn, while the others go on. Once it has caught up it is live again, by the same comparison and nothing else.

Nothing here starts a thread or waits, so a test can take each turn by hand; ``llmspell.events.dispatcher`` drives it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from llmspell.errors import Busy
from llmspell.events.event import Event, Position
from llmspell.events.inbox import Inbox

PAGE_EVENTS_MAX = 256
"""Events read from the journal in one go; bounds how long one reader keeps the others waiting."""
PAGE_EVENTS_MIN = 8
OFFERED_BATCHES_MAX = 256
OFFERED_BATCH_EVENTS_MAX = 256
"""A larger batch is read from the journal: together the two bound what offers hold in memory."""


class EventSource(Protocol):
    """The journal, as delivery reads it. Methods may be called from any thread, several at once, but not after close.

    Errors: Busy is transient (delivery tries again at the next poll); any other error ends the subscriptions that the
    reading was for, and their receivers get it.
    """

    def read_after(self, seq: int, limit: int) -> list[Event]:
        """The first ``limit`` events with a seq above ``seq``, ascending; everything committed before the call counts.

        Fewer than ``limit`` only if there are no more. Seqs need not be contiguous: what is not an event is left out.
        """
        ...

    def head(self) -> int:
        """The seq of the newest committed entry, of any process; 0 for an empty journal."""
        ...

    def changed(self) -> bool:
        """Whether another process may have committed since the last call. Called at every poll, so it is cheap."""
        ...

    def position(self, seq: int) -> Position:
        """The position after ``seq``, 0 <= seq <= head. Works below the horizon too: headers are never dropped."""
        ...


class Delivery:
    """Feeds the inboxes from one source.

    ``turn`` is for one thread; ``offer`` may be called by any; ``add`` and ``forget`` by any that holds their owner's
    lock, also during a turn.
    """

    def __init__(self, source: EventSource, live: int) -> None:
        """``live`` is the store's head now, or anything below it."""
        self.live = live
        self.from_memory = 0
        """Events that came straight from a committer."""
        self.pages_read = 0
        """Pages that were read from the journal."""
        self.inboxes: tuple[Inbox, ...] = ()
        self._source = source
        # When full, the oldest batch falls out: the next one then leaves a gap, and a gap is read from the journal.
        self._offers: deque[Sequence[Event]] = deque(maxlen=OFFERED_BATCHES_MAX)
        self._journal_moved = True  # somebody may have committed between ``live`` and the first look
        self._page_of: dict[Inbox, int] = {}

    def offer(self, events: Sequence[Event]) -> None:
        """Note one committed batch, in order of seq; it must not be changed afterwards. 0.1 µs, never waits."""
        # An empty batch stands for "read the journal": it keeps its place in the queue.
        self._offers.append(events if len(events) <= OFFERED_BATCH_EVENTS_MAX else ())

    def turn(self, *, poll: bool) -> bool:
        """Feed what there is to feed; with ``poll``, also ask for the commits of other processes.

        True if there is more to do at once. Never raises: what fails ends the subscriptions concerned.
        """
        try:
            if poll and self._source.changed():
                self._journal_moved = True
            self._take_offers()
            if self._journal_moved:
                self._read_live()
        except Busy:
            self._journal_moved = True  # and try again at the next poll
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for inbox in self.inboxes:
                inbox.end(error)
            return False
        return self._catch_up() or self._journal_moved

    def _take_offers(self) -> None:
        offers = self._offers
        while offers:
            batch = offers.popleft()
            if not batch or batch[-1].seq > self.live:
                self._take_batch(batch)

    def _take_batch(self, batch: Sequence[Event]) -> None:
        last = batch[-1].seq if batch else 0
        fresh = batch[len(batch) - (last - self.live) :] if 0 < last - self.live <= len(batch) else ()
        if not fresh or fresh[0].seq != self.live + 1:
            self._journal_moved = True
            return
        self.from_memory += len(fresh)
        self._feed_live(fresh, last)

    def _read_live(self) -> None:
        head = self._source.head()
        if head <= self.live:
            self._journal_moved = False
        elif any(inbox.scanned >= self.live and not inbox.ended for inbox in self.inboxes):
            page = self._read(self.live, PAGE_EVENTS_MAX)
            through = _through(page, PAGE_EVENTS_MAX, head)
            self._journal_moved = through < head
            self._feed_live(page, through)
        else:  # all of them are behind and read by themselves
            self.live = head
            self._journal_moved = False

    def _feed_live(self, events: Sequence[Event], through: int) -> None:
        live, self.live = self.live, through
        for inbox in self.inboxes:
            if inbox.scanned >= live:
                inbox.feed(events, through)

    def _catch_up(self) -> bool:
        more = False
        for inbox in self.inboxes:
            if inbox.scanned < self.live and inbox.ready:
                try:
                    self._read_page_for(inbox)
                except Busy:
                    continue
                except Exception as error:  # noqa: BLE001 - as above, and the others go on
                    inbox.end(error)
                    continue
                more = more or (inbox.scanned < self.live and inbox.ready)
        return more

    def _read_page_for(self, inbox: Inbox) -> None:
        limit = min(PAGE_EVENTS_MAX, self._page_of.get(inbox, PAGE_EVENTS_MAX))
        head = self._source.head()
        page = self._read(inbox.scanned, limit)
        inbox.feed(page, _through(page, limit, head))
        # A page that found no room is read again from there: the next one is about as large as the room. One that was
        # taken whole makes the next one larger, so a rare event is still searched for by large pages.
        self._page_of[inbox] = max(PAGE_EVENTS_MIN, inbox.limit // 2) if inbox.lagging else limit * 4

    def _read(self, seq: int, limit: int) -> list[Event]:
        self.pages_read += 1
        return self._source.read_after(seq, limit)

    def add(self, inbox: Inbox) -> None:
        """Let an inbox take part."""
        self.inboxes = (*self.inboxes, inbox)

    def forget(self, inbox: Inbox) -> None:
        """Take an ended inbox out."""
        self.inboxes = tuple(other for other in self.inboxes if other is not inbox)
        self._page_of.pop(inbox, None)


def _through(page: Sequence[Event], limit: int, head: int) -> int:
    """The seq through which a page tells everything. ``head`` was read before the page, so a short page reaches it."""
    last = page[-1].seq if page else 0
    return last if len(page) >= limit else max(last, head)
