"""Delivery of one store handle: starts with the first subscription, stops after the last one, never holds up a commit.

The committing thread only notes what it committed (``offer``) and releases a lock; one daemon thread does the rest:
feeds the subscriptions from those notes or from the journal (``llmspell.events.delivery``), and asks every ``poll_ms``
whether another process has committed. Without subscriptions there is no thread, and ``active`` is false.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from llmspell.errors import Conflict, InvalidInput, StorageFailed
from llmspell.events.buffer import BUFFER_EVENTS_DEFAULT, Buffer, Overflow
from llmspell.events.callbacks import THREAD_NAME, CallbackFailure, Report, check_callback, run_blocking, start_on_loop
from llmspell.events.delivery import Delivery, EventSource
from llmspell.events.event import Event, Position
from llmspell.events.inbox import Inbox, SubscriptionStats
from llmspell.events.patterns import Resolve, compile_pattern
from llmspell.events.subscription import Subscription, SyncSubscription
from llmspell.model.telling import told

__all__ = ["CallbackFailure", "Dispatcher", "EventSource", "FromPosition", "Report"]

POLL_MS_DEFAULT = 20
POLL_MS_MAX = 60_000
CLOSE_TIMEOUT_S = 5.0

FromPosition = Position | int | str | None
"""None: from now; ``"start"``: from the beginning; a Position, its text, or a seq: behind that."""


class _Run:
    """One life of the delivery thread, from a first subscription to a last one."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.callbacks: dict[Inbox, object] = {}  # keeps the tasks of async callbacks alive
        self._sleeping = threading.Lock()
        self._sleeping.acquire()

    def wake(self) -> None:
        """End ``sleep``, now or when it is next called. Lock-free: it may run in a signal handler or a finalizer."""
        if self._sleeping.locked():
            try:
                self._sleeping.release()
            except RuntimeError:  # another thread was quicker
                return

    def sleep(self, seconds: float) -> None:
        self._sleeping.acquire(timeout=max(0.0, seconds))


class Dispatcher:
    """Hands out subscriptions and feeds them. One per store handle; every method may be called from any thread."""

    def __init__(
        self,
        source: EventSource,
        *,
        now_ns: Callable[[], int],
        report: Report,
        poll_ms: int = POLL_MS_DEFAULT,
        resolve: Resolve | None = None,
    ) -> None:
        """``now_ns`` is the store's wall clock, for expiry; ``report`` is told of failing callbacks.

        ``poll_ms`` is how often to look for commits of other processes; ``resolve`` replaces the table of the original
        project's event names.
        """
        if type(poll_ms) is not int or not 1 <= poll_ms <= POLL_MS_MAX:
            raise InvalidInput(f"poll_ms is 1 to {POLL_MS_MAX} milliseconds, not {poll_ms!r}", code="invalid-poll")
        self._source = source
        self._now_ns = now_ns
        self._report = report
        self._poll_s = poll_ms / 1000
        self._resolve = resolve
        self._lock = threading.Lock()  # guards what follows, never held while waiting; ``offer`` does without
        self._run: _Run | None = None
        self._closed = False
        self._subscribed = 0
        self._threads: list[threading.Thread] = []

    # --- the committer's side ----------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Whether anybody may listen, so that building events for ``offer`` is worth it."""
        return self._run is not None

    def offer(self, events: Sequence[Event]) -> None:
        """Note the events of one batch, in order of seq, after its COMMIT; 0.2 µs and a wake-up, never waits.

        The sequence must not be changed afterwards. It may leave entries out only if they are no events; a batch that
        is not contiguous, or comes late or twice, costs a read of the journal and nothing else.
        """
        run = self._run
        if run is not None:
            run.delivery.offer(events)
            run.wake()

    # --- subscriptions -----------------------------------------------------------------------------------------------

    def subscribe(
        self,
        pattern: str,
        *,
        from_position: FromPosition = None,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
        buffer: int = BUFFER_EVENTS_DEFAULT,
        callback: Callable[[Event], Any] | None = None,
        where: Callable[[Event], bool] | None = None,
        admit: Callable[[], None] | None = None,
    ) -> Subscription:
        """A subscription for coroutines to the events whose type ``pattern`` means (``llmspell.events.patterns``).

        ``from_position`` None gives exactly the events whose seq is above the store's head at this moment; a Position,
        its text or a seq, those behind it; ``"start"`` all there are. ``overflow`` and ``buffer`` (events) say what
        happens when they are not received in time (``llmspell.events.buffer``); history, committed before this call,
        is never dropped.

        With ``callback`` each event is handed to it, one at a time and in order: a plain function on a thread of this
        subscription, a coroutine function on the running loop. It goes on until closed, held or not; without a
        callback, a subscription nobody holds any more ends. ``where`` is a further condition; it runs on the delivery
        thread for each event the pattern means, and must be quick; what it raises ends the subscription. ``admit`` is
        asked before and after each wait for an event; AccessDenied from it ends the subscription and is raised.

        Raises InvalidInput: ``invalid-pattern``, ``invalid-overflow``, ``invalid-buffer``, ``invalid-position``,
        ``other-timeline`` for a position that is none of this store's history, ``position-ahead`` for a seq above the
        head, ``invalid-callback``, ``no-loop``; Conflict (``closed``) once the store is closed. Reads one or two rows.
        """
        inbox = self._open(pattern, from_position, Buffer(buffer, overflow), callback, where)
        return Subscription(inbox, callback=callback, admit=admit)

    def subscribe_sync(
        self,
        pattern: str,
        *,
        from_position: FromPosition = None,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
        buffer: int = BUFFER_EVENTS_DEFAULT,
        callback: Callable[[Event], Any] | None = None,
        where: Callable[[Event], bool] | None = None,
        admit: Callable[[], None] | None = None,
    ) -> SyncSubscription:
        """``subscribe`` for threads."""
        inbox = self._open(pattern, from_position, Buffer(buffer, overflow), callback, where)
        return SyncSubscription(inbox, callback=callback, admit=admit)

    def subscriptions(self) -> tuple[SubscriptionStats, ...]:
        """The counters of every open subscription, oldest first."""
        run = self._run
        inboxes = run.delivery.inboxes if run is not None else ()
        return tuple(inbox.stats() for inbox in inboxes if not inbox.ended)

    def end(self, error: Exception) -> None:
        """End every subscription with ``error``, raised after what is buffered; new ones may begin.

        For a store that changes its timeline under its readers.
        """
        run = self._run
        for inbox in run.delivery.inboxes if run is not None else ():
            inbox.end(error)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> bool:
        """End everything and wait for the threads; afterwards the source is not used any more. Twice is fine.

        Receivers still get what is buffered for them; callbacks do not begin another event. False if a thread did not
        end within ``timeout_s`` (a callback that hangs); the calling thread is not waited for.
        """
        with self._lock:
            self._closed = True
            run = self._run
            threads = list(self._threads)
        for inbox in run.delivery.inboxes if run is not None else ():
            if run is not None and inbox in run.callbacks:
                inbox.close()
            else:
                inbox.end()
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads if thread is not threading.current_thread())

    # --- inside ------------------------------------------------------------------------------------------------------

    def _open(
        self,
        pattern: str,
        from_position: FromPosition,
        buffer: Buffer,
        callback: Callable[[Event], Any] | None,
        where: Callable[[Event], bool] | None,
    ) -> Inbox:
        compiled = compile_pattern(pattern, resolve=self._resolve)
        on_loop = callback is not None and check_callback(callback)
        with self._lock:
            if self._closed:
                raise Conflict("the store is closed: no new subscriptions", code="closed")
            head = self._source.head()
            start = self._start(from_position, head)
            run = self._run or _Run(Delivery(self._source, head))
            self._subscribed += 1
            inbox = Inbox(
                f"sub-{self._subscribed}",
                compiled,
                buffer,
                start=start,
                history=head,
                now_ns=self._now_ns,
                poke=run.wake,
                where=where,
            )
            self._begin(run, inbox, callback, on_loop=on_loop)
        run.wake()
        return inbox

    def _begin(self, run: _Run, inbox: Inbox, callback: Callable[[Event], Any] | None, *, on_loop: bool) -> None:
        try:
            if callback is not None:
                context = contextvars.copy_context()
                if on_loop:
                    run.callbacks[inbox] = start_on_loop(inbox, callback, self._report, context)
                else:
                    run.callbacks[inbox] = self._thread(run_blocking, inbox, callback, self._report, context)
            run.delivery.add(inbox)
            if self._run is None:
                self._thread(self._drive, run)
                self._run = run
        except BaseException:  # no loop, or the system gives no more threads
            inbox.close()
            run.callbacks.pop(inbox, None)
            run.delivery.forget(inbox)
            raise

    def _start(self, given: FromPosition, head: int) -> Position:
        if given is None:
            return self._source.position(head)
        if given == "start":
            return self._source.position(0)
        if isinstance(given, int) and not isinstance(given, bool):
            if given < 0:
                raise InvalidInput(f"a seq is 0 or more, not {told(given)}", code="invalid-position")
            if given > head:
                raise InvalidInput(
                    f"seq {told(given)} is ahead of the store, whose head is {head}", code="position-ahead"
                )
            return self._source.position(given)
        position = given if isinstance(given, Position) else Position.parse(cast("str", given))
        here = self._source.position(min(position.seq, head))
        if here != position:
            raise InvalidInput(
                f"position {position.seq} of timeline {position.timeline} is not in the history of this store "
                f"(timeline {here.timeline}, head {head})",
                code="other-timeline",
                hint="The store was restored, or the position is another store's. Start from a seq or from 'start'.",
                asked=str(position),
            )
        return position

    def _thread(self, target: Callable[..., None], *args: Any) -> threading.Thread:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=args, name=THREAD_NAME, daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def _drive(self, run: _Run) -> None:
        """The body of the delivery thread."""
        next_poll = 0.0
        try:
            while self._goes_on(run):
                now = time.monotonic()
                poll = now >= next_poll
                if poll:
                    next_poll = now + self._poll_s
                more = run.delivery.turn(poll=poll)
                run.sleep(0.0 if more else next_poll - time.monotonic())
        except BaseException as error:
            with self._lock:
                self._run = None
            for inbox in run.delivery.inboxes:
                inbox.end(StorageFailed(f"delivery of events stopped: {error!r}", code="delivery-stopped"))
            raise

    def _goes_on(self, run: _Run) -> bool:
        """Take out what ended; False, and the run is over, when nothing is left."""
        gone = []
        for inbox in run.delivery.inboxes:
            inbox.tidy()
            if inbox.abandoned or not inbox.alive():
                inbox.close()
            if inbox.ended:
                gone.append(inbox)
        if run.delivery.inboxes and not gone:
            return True
        with self._lock:
            for inbox in gone:
                run.delivery.forget(inbox)
                run.callbacks.pop(inbox, None)
            if not run.delivery.inboxes:
                self._run = None
            return bool(run.delivery.inboxes)
