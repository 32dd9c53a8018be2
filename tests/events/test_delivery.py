"""The order of delivery, turn by turn: from memory where that is contiguous, and else from the journal."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from llmspell.errors import Conflict, LimitExceeded
from llmspell.events import delivery as delivery_module
from llmspell.events.buffer import Buffer, Overflow
from llmspell.events.delivery import Delivery
from llmspell.events.inbox import Inbox
from llmspell.events.patterns import compile_pattern
from tests.events.journal import Journal

TYPES = ["a", "a.x", "b", "b.x"]
PATTERNS = ["**", "a", "a.**", "*.x", "{a,b}", "none"]


class Subscriber:
    """One inbox of the state machine, what it must see, and what it has seen."""

    def __init__(self, machine, pattern, position, overflow, buffer):
        self.head = len(machine.journal.events)
        self.start = self.head if position is None else min(position, self.head)
        self.pattern = compile_pattern(pattern, resolve=lambda name: ())
        self.overflow = Overflow.of(overflow)
        self.journal = machine.journal
        self.taken = []
        self.inbox = Inbox(
            "sub",
            self.pattern,
            Buffer(buffer, overflow),
            start=machine.journal.position(self.start),
            history=self.head,
            now_ns=lambda: machine.now_ns,
            poke=lambda: None,
        )

    def wanted(self):
        """What it sees if it is fast enough."""
        return [e for e in self.journal.events if e.seq > self.start and self.pattern.matches(e.type)]

    def take(self, count, now_ns):
        for _ in range(count):
            try:
                taken = self.inbox.take()
            except LimitExceeded:
                assert self.inbox.ended
                assert self.overflow is Overflow.REJECT
                return
            if taken is None:
                return
            assert not taken.expired(now_ns)
            self.taken.append(taken)
            assert self.inbox.position == taken.position


class DeliveryMachine(RuleBasedStateMachine):
    """One delivery, turned by hand, among committers of two processes and subscribers of every kind."""

    subscribers = Bundle("subscribers")
    held_back = Bundle("held_back")

    @initialize()
    def begin(self):
        self.patch = pytest.MonkeyPatch()
        for name, value in {
            "PAGE_EVENTS_MAX": 5,
            "PAGE_EVENTS_MIN": 1,
            "OFFERED_BATCHES_MAX": 3,
            "OFFERED_BATCH_EVENTS_MAX": 4,
        }.items():
            self.patch.setattr(delivery_module, name, value)
        self.now_ns = 0
        self.journal = Journal()
        self.delivery = Delivery(self.journal, 0)
        self.open = []

    def teardown(self):
        self.patch.undo()

    def expires(self, lives_for):
        return None if lives_for is None else self.now_ns + lives_for

    batches = st.lists(st.sampled_from(TYPES), min_size=1, max_size=6)
    lifetimes = st.none() | st.integers(1, 3)

    @rule(types=batches, lives_for=lifetimes)
    def commit(self, types, lives_for):
        self.delivery.offer(self.journal.commit(*types, expires_ns=self.expires(lives_for)))

    @rule(target=held_back, types=batches)
    def commit_and_offer_later(self, types):
        return self.journal.commit(*types)

    @rule(batch=held_back)
    def offer_late_and_perhaps_twice(self, batch):
        self.delivery.offer(batch)

    @rule(types=batches, lives_for=lifetimes)
    def commit_elsewhere(self, types, lives_for):
        self.journal.commit_elsewhere(*types, expires_ns=self.expires(lives_for))

    @rule(poll=st.booleans())
    def turn(self, poll):
        self.delivery.turn(poll=poll)

    @rule(times=st.integers(1, 3))
    def lock_the_store(self, times):
        self.journal.busy = times

    @rule()
    def time_passes(self):
        self.now_ns += 1

    @rule(
        target=subscribers,
        pattern=st.sampled_from(PATTERNS),
        position=st.none() | st.integers(0, 30),
        overflow=st.sampled_from(list(Overflow)),
        buffer=st.integers(1, 6),
    )
    def subscribe(self, pattern, position, overflow, buffer):
        subscriber = Subscriber(self, pattern, position, overflow, buffer)
        self.delivery.add(subscriber.inbox)
        self.open.append(subscriber)
        return subscriber

    @rule(subscriber=subscribers, count=st.integers(1, 8))
    def take(self, subscriber, count):
        subscriber.take(count, self.now_ns)

    @rule(subscriber=consumes(subscribers))
    def close(self, subscriber):
        before = list(subscriber.taken)
        subscriber.inbox.close()
        self.delivery.forget(subscriber.inbox)
        self.open.remove(subscriber)
        with pytest.raises((Conflict, LimitExceeded)):
            subscriber.inbox.take()
        assert subscriber.taken == before

    @rule()
    def everything_arrives_in_the_end(self):
        self.journal.busy = 0
        self.settle()
        for subscriber in self.open:
            if subscriber.overflow is Overflow.DROP_OLDEST and not subscriber.inbox.lagging:
                self.check_newest_are_buffered(subscriber)
        while any(self.take_all(subscriber) for subscriber in self.open):
            self.settle()
        for subscriber in self.open:
            self.check_complete(subscriber)

    def settle(self):
        """Turns until there is nothing to feed; each turn but the last moves something, so this ends."""
        self.delivery.offer(())  # what was committed and not offered yet is in the journal
        while self.delivery.turn(poll=True):
            pass

    def take_all(self, subscriber):
        before = subscriber.inbox.stats()
        subscriber.take(100, self.now_ns)
        return before != subscriber.inbox.stats()

    def check_newest_are_buffered(self, subscriber):
        wanted = [e.seq for e in subscriber.wanted()]
        if any(e.expires_ns is not None for e in subscriber.wanted()):
            return  # which of them were buffered depends on when they expired
        buffered = [e.seq for e in subscriber.inbox._buffer._events]
        taken = [e.seq for e in subscriber.taken]
        assert buffered == wanted[len(wanted) - len(buffered) :]
        assert (taken + buffered)[-1:] == wanted[-1:], "the newest event is always kept"

    def check_complete(self, subscriber):
        stats = subscriber.inbox.stats()
        taken, wanted = subscriber.taken, subscriber.wanted()
        lasting = [e for e in wanted if not e.expired(self.now_ns)]
        assert stats.delivered == len(taken)
        if subscriber.inbox.ended:
            assert subscriber.overflow is Overflow.REJECT
            missed = [e for e in lasting if e.seq <= stats.scanned and e not in taken]
            assert missed == []
            return
        assert stats.scanned == len(self.journal.events)
        assert stats.matched == len(wanted)
        missed = [e for e in lasting if e not in taken]
        if subscriber.overflow in (Overflow.BLOCK, Overflow.REJECT):
            assert (missed, stats.dropped) == ([], 0)
        assert len(missed) <= stats.dropped
        assert [e for e in missed if e.seq <= subscriber.head] == [], "history is never dropped"

    @invariant()
    def what_was_seen_is_in_order_and_counted(self):
        for subscriber in getattr(self, "open", ()):
            seqs = [e.seq for e in subscriber.taken]
            wanted = {e.seq: e for e in subscriber.wanted()}
            assert seqs == sorted(set(seqs))
            assert all(wanted.get(e.seq) == e for e in subscriber.taken)
            stats = subscriber.inbox.stats()
            assert stats.matched == stats.delivered + stats.dropped + stats.expired + stats.buffered
            assert stats.buffered <= stats.high_water <= stats.buffer


TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = settings(max_examples=120, stateful_step_count=40)


@pytest.fixture
def journal():
    return Journal()


def inbox_for(journal, start, *, buffer=1000, overflow="block", poke=lambda: None):
    return Inbox(
        "sub",
        compile_pattern("**"),
        Buffer(buffer, overflow),
        start=journal.position(start),
        history=len(journal.events),
        now_ns=lambda: 0,
        poke=poke,
    )


def by_hand(journal, live=0, **options):
    made = Delivery(journal, live)
    inbox = inbox_for(journal, live, **options)
    made.add(inbox)
    made.turn(poll=True)
    return made, inbox


def seqs_in(inbox):
    return [taken.seq for taken in iter(inbox.take, None)]


def test_own_commits_come_from_memory_while_they_are_contiguous(journal):
    made, inbox = by_hand(journal)
    reads = journal.reads
    for _ in range(10):
        made.offer(journal.commit("a", "b"))
        made.turn(poll=True)
    assert (journal.reads, made.from_memory, inbox.scanned) == (reads, 20, 20)


def test_a_commit_of_another_process_in_between_is_read_from_the_journal(journal):
    made, inbox = by_hand(journal)
    made.offer(journal.commit("a"))
    journal.commit_elsewhere("b")
    made.offer(journal.commit("c"))
    made.turn(poll=False)  # found by the gap alone, before any poll
    assert [inbox.take().type for _ in range(3)] == ["a", "b", "c"]
    assert made.from_memory == 1
    made.offer(journal.commit("d"))
    made.turn(poll=False)
    assert made.from_memory == 2, "and from then on by memory again"


def test_more_offers_than_memory_holds_are_forgotten_and_read_from_the_journal(journal):
    made, inbox = by_hand(journal)
    for _ in range(2 * delivery_module.OFFERED_BATCHES_MAX):
        made.offer(journal.commit("a"))
    assert len(made._offers) == delivery_module.OFFERED_BATCHES_MAX
    made.offer(journal.commit(*["a"] * (delivery_module.OFFERED_BATCH_EVENTS_MAX + 1)))
    assert max(map(len, made._offers)) <= 1, "a large batch is not held"
    while made.turn(poll=False):
        pass
    assert seqs_in(inbox) == [e.seq for e in journal.events]


def test_a_locked_store_delays_delivery_and_loses_nothing(journal):
    made, inbox = by_hand(journal)
    journal.commit_elsewhere("a", "b")
    journal.busy = 2
    for _ in range(3):
        assert inbox.take() is None
        made.turn(poll=True)
    assert [inbox.take().seq, inbox.take().seq] == [1, 2]


def test_a_catching_up_subscription_leaves_the_live_ones_their_turn(journal):
    journal.commit(*["a"] * 2000)
    made, live = by_hand(journal, live=2000)
    old = inbox_for(journal, 0, buffer=5000)
    made.add(old)
    made.offer(journal.commit("now"))
    assert made.turn(poll=True)
    assert live.take().seq == 2001
    assert 0 < old.scanned < 2000
    while made.turn(poll=True):
        pass
    assert seqs_in(old) == list(range(1, 2002))


def test_what_was_committed_while_a_subscription_began_is_read_without_an_offer(journal):
    made = Delivery(journal, 0)
    made.add(inbox_for(journal, 0))
    journal.commit("a")  # by a committer that saw no subscription yet
    made.turn(poll=False)
    assert seqs_in(made.inboxes[0]) == [1]


def test_a_batch_with_a_gap_inside_is_not_taken_from_memory(journal):
    made, inbox = by_hand(journal)
    first = journal.commit("a")
    made.offer(first)
    made.turn(poll=False)
    journal.commit_elsewhere("b")
    made.offer([*first, *journal.commit("c")])
    made.turn(poll=False)
    assert seqs_in(inbox) == [1, 2, 3]


def test_own_commits_come_from_memory_even_when_a_poll_finds_them_first(journal):
    made, inbox = by_hand(journal)
    reads = journal.reads
    for _ in range(5):
        journal.commit_elsewhere()  # a change that turns out to be nothing new
        made.offer(journal.commit("a"))
        made.turn(poll=True)
    assert (journal.reads, seqs_in(inbox)) == (reads, [1, 2, 3, 4, 5])


def test_a_full_subscription_costs_no_reads_until_half_of_its_buffer_is_free(journal):
    pokes = []
    made, inbox = by_hand(journal, buffer=4, poke=lambda: pokes.append(len(seen)))
    seen: list[int] = []
    made.offer(journal.commit(*["a"] * 10))
    for _ in range(3):
        made.turn(poll=False)
    reads = journal.reads
    while not pokes:
        made.turn(poll=True)
        assert (journal.reads, inbox.stats().lagged) == (reads, 1)
        seen.append(inbox.take().seq)
    assert pokes == [1], "told within the second take, after the first had been seen"
    made.turn(poll=False)
    assert seen + seqs_in(inbox) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("overflow", list(Overflow))
def test_what_comes_while_history_is_unread_waits_for_it(journal, overflow):
    journal.commit(*["a"] * 3)
    made, _ = by_hand(journal)
    inbox_of_history = inbox_for(journal, 0, buffer=3, overflow=overflow)
    made.add(inbox_of_history)
    made.turn(poll=True)
    made.offer(journal.commit("b", "b"))
    made.turn(poll=True)
    seen = seqs_in(inbox_of_history)
    made.turn(poll=True)
    assert seen + seqs_in(inbox_of_history) == [1, 2, 3, 4, 5]
    assert not inbox_of_history.ended
