"""A journal in memory, and what the tests of delivery share."""

import asyncio
import threading
import time

from llmspell.errors import Busy
from llmspell.events.dispatcher import Dispatcher
from llmspell.events.event import Event, Position

DEADLINE_S = 30.0
"""How long a test waits for what must come at once; reached only where it fails."""

TIMELINE = "timeline-1"


def event(seq, type="t", *, expires_ns=None, timeline=TIMELINE):
    return Event(
        id=f"id-{seq}",
        seq=seq,
        type=type,
        data={"n": seq},
        time_ns=seq * 1_000,
        correlation_id="c",
        timeline=timeline,
        hash=head_hash(timeline, seq),
        expires_ns=expires_ns,
    )


def head_hash(timeline, seq):
    return f"{timeline}#{seq}".encode().hex()


class Journal:
    """An EventSource as two processes would fill it: ``commit`` is ours, ``commit_elsewhere`` only shows by reading."""

    def __init__(self, timeline=TIMELINE):
        self.timeline = timeline
        self.events = []
        self.busy = 0
        """How many of the next reads find the store locked."""
        self.fails_with = None
        self.reads = 0
        self._lock = threading.Lock()
        self._foreign_commits = 0
        self._foreign_commits_told = 0

    def commit(self, *types, expires_ns=None):
        """Append and return one batch, as the committing thread would then offer it."""
        with self._lock:
            first = len(self.events) + 1
            batch = [
                event(first + n, type, expires_ns=expires_ns, timeline=self.timeline) for n, type in enumerate(types)
            ]
            self.events.extend(batch)
            return batch

    def commit_elsewhere(self, *types, expires_ns=None):
        self.commit(*types, expires_ns=expires_ns)
        with self._lock:
            self._foreign_commits += 1

    def seqs(self, wanted, after=0):
        return [e.seq for e in self.events if e.seq > after and wanted(e.type)]

    # --- EventSource

    def read_after(self, seq, limit):
        self._perhaps_fail()
        with self._lock:
            self.reads += 1
            return self.events[seq : seq + limit]

    def head(self):
        self._perhaps_fail()
        with self._lock:
            return len(self.events)

    def changed(self):
        with self._lock:
            told, self._foreign_commits_told = self._foreign_commits_told, self._foreign_commits
            return told != self._foreign_commits

    def position(self, seq):
        return Position(self.timeline, seq, head_hash(self.timeline, seq))

    def _perhaps_fail(self):
        if self.fails_with is not None:
            raise self.fails_with
        if self.busy:
            self.busy -= 1
            raise Busy("locked")


def threads_of(dispatcher):
    return [thread.name for thread in dispatcher._threads if thread.is_alive()]


def join_threads_of(dispatcher):
    """Wait until delivery and its callbacks are over; a test that leaves one running fails here."""
    for thread in list(dispatcher._threads):
        thread.join(DEADLINE_S)
    assert threads_of(dispatcher) == []


def until(condition):
    """Wait until it is true; a test in which it never becomes true fails here."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < DEADLINE_S
        threading.Event().wait(0.0005)


def arrived(subscription, through):
    """Wait, without a turn of any event loop, until delivery has looked at the stream so far for it."""
    until(lambda: subscription.stats().scanned >= through)


class Store:
    """A journal and its dispatcher, as one process uses them."""

    def __init__(self):
        self.journal = Journal()
        self.failures = []
        self.failed = threading.Semaphore(0)
        self.dispatcher = Dispatcher(self.journal, now_ns=lambda: 0, report=self.report, poll_ms=1)
        self.subscribe = self.dispatcher.subscribe
        self.subscribe_sync = self.dispatcher.subscribe_sync

    def report(self, failure):
        self.failures.append(failure)
        self.failed.release()

    def commit(self, *types):
        self.dispatcher.offer(self.journal.commit(*types))


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(DEADLINE_S):
            return await coroutine

    return asyncio.run(bounded())
