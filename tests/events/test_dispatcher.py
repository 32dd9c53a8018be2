"""The dispatcher: where subscriptions begin, what a slow or failing one means to others, and that nothing leaks."""

import gc
import sys
import threading
from pathlib import Path

import pytest

from llmspell.errors import Busy, Compacted, Conflict, InvalidInput, LimitExceeded, StorageFailed
from llmspell.events.buffer import Overflow
from llmspell.events.dispatcher import Dispatcher
from llmspell.events.event import Position
from tests.events.journal import DEADLINE_S, Journal, event, head_hash, join_threads_of, threads_of


@pytest.fixture
def journal():
    return Journal()


@pytest.fixture
def failures():
    return []


@pytest.fixture
def dispatcher(journal, failures):
    made = Dispatcher(journal, now_ns=lambda: 0, report=failures.append, poll_ms=1)
    yield made
    assert made.close(DEADLINE_S)
    join_threads_of(made)


def commit(dispatcher, journal, *types):
    dispatcher.offer(journal.commit(*types))


def received(subscription, count):
    return [subscription.receive(timeout_s=DEADLINE_S).seq for _ in range(count)]


def test_without_subscriptions_there_is_no_thread_and_offers_are_forgotten(dispatcher, journal):
    assert not dispatcher.active
    commit(dispatcher, journal, "a")
    assert threads_of(dispatcher) == []
    with dispatcher.subscribe_sync("a") as subscription:
        assert dispatcher.active
        assert dispatcher.subscriptions() == (subscription.stats(),)
        commit(dispatcher, journal, "a")
        assert received(subscription, 1) == [2]
    join_threads_of(dispatcher)
    assert not dispatcher.active
    assert dispatcher.subscriptions() == ()


def test_from_now_means_behind_the_head_at_that_moment(dispatcher, journal):
    commit(dispatcher, journal, "a", "a")
    journal.commit_elsewhere("a")
    subscription = dispatcher.subscribe_sync("a")
    assert subscription.position == journal.position(3)
    commit(dispatcher, journal, "a")
    assert received(subscription, 1) == [4]


@pytest.mark.parametrize("as_given", [lambda p: p, str, lambda p: p.seq])
def test_a_subscription_resumes_behind_its_last_event(dispatcher, journal, as_given):
    commit(dispatcher, journal, *["a", "b"] * 5)
    first = dispatcher.subscribe_sync("a", from_position="start", overflow="block", buffer=2)
    assert received(first, 3) == [1, 3, 5]
    saved = as_given(first.position)
    first.close()
    journal.commit_elsewhere("a")
    second = dispatcher.subscribe_sync("a", from_position=saved, overflow="block")
    commit(dispatcher, journal, "a")
    assert received(second, 4) == [7, 9, 11, 12]


def test_a_position_of_another_history_is_refused(dispatcher, journal):
    commit(dispatcher, journal, "a", "a")
    for wrong in (
        Position("timeline-2", 1, head_hash("timeline-2", 1)),
        Position(journal.timeline, 1, head_hash("timeline-2", 1)),  # went on differently since a copy was made
        Position(journal.timeline, 3, head_hash(journal.timeline, 3)),  # restored to before it
    ):
        with pytest.raises(InvalidInput) as caught:
            dispatcher.subscribe_sync("a", from_position=wrong)
        assert caught.value.code == "other-timeline"
    assert not dispatcher.active


@pytest.mark.parametrize(
    "position, code",
    [(3, "position-ahead"), (-1, "invalid-position"), (True, "invalid-position"), ("end", "invalid-position")],
)
def test_a_position_that_is_none_is_refused(dispatcher, journal, position, code):
    commit(dispatcher, journal, "a", "a")
    with pytest.raises(InvalidInput) as caught:
        dispatcher.subscribe_sync("a", from_position=position)
    assert caught.value.code == code


def test_history_is_paced_and_not_dropped_whatever_the_policy(dispatcher, journal):
    commit(dispatcher, journal, *["a"] * 700)
    for overflow in Overflow:
        with dispatcher.subscribe_sync("a", from_position="start", overflow=overflow, buffer=3) as subscription:
            assert received(subscription, 700) == list(range(1, 701))
            assert subscription.stats().high_water <= 3


def test_a_slow_subscription_lags_alone(dispatcher, journal):
    slow = dispatcher.subscribe_sync("a", overflow="block", buffer=2)
    quick = dispatcher.subscribe_sync("a", overflow="block", buffer=2)
    for seq in range(1, 50):
        commit(dispatcher, journal, "a")
        assert received(quick, 1) == [seq]
    assert received(slow, 49) == list(range(1, 50))
    assert slow.stats().lagged > 0
    assert slow.stats().high_water == 2


def test_reject_ends_with_an_error_after_what_was_buffered(dispatcher, journal):
    subscription = dispatcher.subscribe_sync("a", overflow="reject", buffer=2)
    other = dispatcher.subscribe_sync("a")
    commit(dispatcher, journal, "a", "a", "a")
    assert received(other, 3) == [1, 2, 3]
    assert received(subscription, 2) == [1, 2]
    for _ in range(2):
        with pytest.raises(LimitExceeded) as caught:
            subscription.receive()
        assert caught.value.code == "overflow"
    with pytest.raises(LimitExceeded):
        next(subscription)
    assert subscription.position.seq == 2


def test_a_source_that_fails_ends_every_subscription_with_its_error(dispatcher, journal):
    subscription = dispatcher.subscribe_sync("a")
    commit(dispatcher, journal, "a")
    assert received(subscription, 1) == [1]
    journal.fails_with = StorageFailed("the disk is gone")
    journal.commit_elsewhere("a")
    with pytest.raises(StorageFailed):
        subscription.receive(timeout_s=DEADLINE_S)
    journal.fails_with = None
    assert dispatcher.subscribe_sync("a", from_position=1).receive(timeout_s=DEADLINE_S).seq == 2


def test_a_subscription_below_the_horizon_ends_with_compacted_and_the_others_go_on(dispatcher, journal, monkeypatch):
    commit(dispatcher, journal, *["a"] * 10)
    read_after = journal.read_after

    def compacted(seq, limit):
        if seq < 5:
            raise Compacted("entries up to 5 were dropped")
        return read_after(seq, limit)

    monkeypatch.setattr(journal, "read_after", compacted)
    live = dispatcher.subscribe_sync("a")
    old = dispatcher.subscribe_sync("a", from_position=2)
    with pytest.raises(Compacted):
        old.receive(timeout_s=DEADLINE_S)
    commit(dispatcher, journal, "a")
    assert received(live, 1) == [11]


def test_a_condition_narrows_a_subscription_and_ends_it_when_it_raises(dispatcher, journal):
    odd = dispatcher.subscribe_sync("a", where=lambda e: e.seq % 2 == 1)
    broken = dispatcher.subscribe_sync("a", where=lambda e: 1 / (e.seq - 2))
    commit(dispatcher, journal, "a")
    assert received(broken, 1) == [1]
    commit(dispatcher, journal, "a", "a")
    assert received(odd, 2) == [1, 3]
    with pytest.raises(ZeroDivisionError):
        broken.receive(timeout_s=DEADLINE_S)


def test_expired_events_are_passed_over_by_the_injected_clock(journal, failures):
    now_ns = 100
    with_clock = Dispatcher(journal, now_ns=lambda: now_ns, report=failures.append)
    subscription = with_clock.subscribe_sync("**")
    with_clock.offer(journal.commit("short", expires_ns=100))
    with_clock.offer(journal.commit("long", expires_ns=101))
    with_clock.offer(journal.commit("lasting"))
    assert received(subscription, 2) == [2, 3]
    with_clock.offer(journal.commit("buffered", expires_ns=150))
    with_clock.offer(journal.commit("lasting"))
    second = with_clock.subscribe_sync("lasting", from_position=4)
    assert received(second, 1) == [5]  # delivery has come this far
    now_ns = 150
    assert received(subscription, 1) == [5]
    assert subscription.stats().expired == 2
    assert with_clock.close(DEADLINE_S)


def test_ending_all_raises_the_error_and_lets_new_subscriptions_begin(dispatcher, journal):
    before = dispatcher.subscribe_sync("a")
    commit(dispatcher, journal, "a")
    after_that = dispatcher.subscribe_sync("a", from_position=0)
    assert received(after_that, 1) == [1]
    dispatcher.end(Conflict("the store was restored", code="other-timeline"))
    for subscription in (before, after_that):
        with pytest.raises(Conflict) as caught:
            list(iter(subscription))
        assert caught.value.code == "other-timeline"
    fresh = dispatcher.subscribe_sync("a")
    commit(dispatcher, journal, "a")
    assert received(fresh, 1) == [2]


def test_closing_gives_out_what_is_buffered_then_ends_and_takes_no_new_subscriptions(dispatcher, journal):
    subscription = dispatcher.subscribe_sync("a")
    witness = dispatcher.subscribe_sync("a")
    commit(dispatcher, journal, "a", "a")
    assert received(witness, 2) == [1, 2]
    assert dispatcher.close(DEADLINE_S)
    assert dispatcher.close(DEADLINE_S)
    assert threads_of(dispatcher) == []
    assert [e.seq for e in subscription] == [1, 2]
    with pytest.raises(Conflict) as caught:
        dispatcher.subscribe_sync("a")
    assert caught.value.code == "closed"
    assert not dispatcher.active


@pytest.mark.parametrize("poll_ms", [0, -1, 60_001, 1.5, True, None])
def test_a_poll_interval_out_of_bounds_is_refused(journal, poll_ms):
    with pytest.raises(InvalidInput) as caught:
        Dispatcher(journal, now_ns=lambda: 0, report=print, poll_ms=poll_ms)
    assert caught.value.code == "invalid-poll"


def test_a_subscription_that_cannot_begin_leaves_nothing_behind(dispatcher, journal):
    journal.busy = 1
    with pytest.raises(Busy):
        dispatcher.subscribe_sync("a")
    for arguments in ({"overflow": "drop"}, {"buffer": 0}, {"callback": "print"}):
        with pytest.raises(InvalidInput):
            dispatcher.subscribe_sync("a", **arguments)
    with pytest.raises(InvalidInput):
        dispatcher.subscribe_sync("a..b")
    assert not dispatcher.active
    assert threads_of(dispatcher) == []


def test_when_the_system_gives_no_more_threads_subscribing_fails_cleanly(dispatcher, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for callback in (None, print):
            with pytest.raises(RuntimeError):
                dispatcher.subscribe_sync("a", callback=callback)
    assert not dispatcher.active
    with dispatcher.subscribe_sync("a"):
        assert dispatcher.active


def test_a_delivery_thread_that_dies_tells_its_receivers(dispatcher, journal, monkeypatch):
    class Fatal(BaseException):
        pass

    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    subscription = dispatcher.subscribe_sync("a")
    journal.fails_with = Fatal()
    journal.commit_elsewhere("a")
    with pytest.raises(StorageFailed) as caught:
        subscription.receive(timeout_s=DEADLINE_S)
    assert caught.value.code == "delivery-stopped"
    join_threads_of(dispatcher)
    assert told == [Fatal]
    journal.fails_with = None
    assert dispatcher.subscribe_sync("a", from_position=0).receive(timeout_s=DEADLINE_S).seq == 1


def test_a_thousand_subscriptions_leave_no_thread_and_no_file(dispatcher, journal):
    folder = Path("/proc/self/fd")

    def open_files():
        return len(list(folder.iterdir())) if folder.is_dir() else 0

    with dispatcher.subscribe_sync("a"):
        pass
    join_threads_of(dispatcher)
    files, threads = open_files(), threading.active_count()
    for n in range(1000):
        with dispatcher.subscribe_sync("a", callback=print if n % 10 == 0 else None):
            commit(dispatcher, journal, "b")
    join_threads_of(dispatcher)
    assert (open_files(), threading.active_count()) == (files, threads)
    assert dispatcher.subscriptions() == ()


def test_a_subscription_nobody_holds_any_more_ends(dispatcher, journal):
    subscription = dispatcher.subscribe_sync("a")
    commit(dispatcher, journal, "a")
    assert received(subscription, 1) == [1]
    del subscription
    gc.collect()
    join_threads_of(dispatcher)
    assert not dispatcher.active


def test_committers_of_two_processes_and_every_kind_of_reader_under_load(dispatcher, journal):
    each = 400
    total = 3 * each + 1
    readers = {
        name: dispatcher.subscribe_sync(pattern, overflow=overflow, buffer=buffer)
        for name, pattern, overflow, buffer in [
            ("small", "**", "block", 1),
            ("own", "{own,end}", "block", 7),
            ("large", "**", "block", 100_000),
            ("dropping", "**", "drop_oldest", 5),
        ]
    }
    seen: dict[str, list[int]] = {name: [] for name in readers}

    def read(name):
        for taken in readers[name]:
            seen[name].append(taken.seq)
            if taken.type == "end":
                return

    def commit_ours():
        for _ in range(each):
            commit(dispatcher, journal, "own")  # two of them: offers come out of order

    def commit_theirs():
        for _ in range(each):
            journal.commit_elsewhere("foreign")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        reading = [threading.Thread(target=read, args=(name,), daemon=True) for name in readers]
        committing = [threading.Thread(target=job, daemon=True) for job in (commit_ours, commit_ours, commit_theirs)]
        for thread in reading + committing:
            thread.start()
        for thread in committing:
            thread.join(DEADLINE_S)
        commit(dispatcher, journal, "end")
        for thread in reading:
            thread.join(DEADLINE_S)
    finally:
        sys.setswitchinterval(interval)
    assert [e.seq for e in journal.events] == list(range(1, total + 1))
    assert seen["small"] == seen["large"] == list(range(1, total + 1))
    assert seen["own"] == journal.seqs(lambda kind: kind != "foreign")
    dropped = readers["dropping"].stats().dropped
    assert len(seen["dropping"]) + dropped == total
    assert seen["dropping"] == sorted(set(seen["dropping"]))
    assert seen["dropping"][-1] == total


def test_events_arrive_as_they_were_committed(dispatcher, journal):
    subscription = dispatcher.subscribe_sync("a")
    commit(dispatcher, journal, "a")
    journal.commit_elsewhere("a")
    assert [subscription.receive(timeout_s=DEADLINE_S) for _ in range(2)] == [event(1, "a"), event(2, "a")]
