"""The bounded buffer: each policy against a list, with its counters."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.events.buffer import BUFFER_EVENTS_MAX, Buffer, Overflow, Put
from llmspell.events.event import Event
from tests.events.journal import event


def at(now):
    return lambda: now


def filled(overflow, count, limit=3):
    buffer = Buffer(limit, overflow)
    puts = [buffer.put(event(seq), at(0)) for seq in range(1, count + 1)]
    return buffer, puts


def drained(buffer, now=0):
    return [taken.seq for taken in iter(lambda: buffer.take(at(now)), None)]


def test_drop_oldest_keeps_the_newest():
    buffer, puts = filled("drop_oldest", 5)
    assert puts == [Put.DONE] * 5
    assert (buffer.dropped, buffer.high_water, buffer.matched) == (2, 3, 5)
    assert drained(buffer) == [3, 4, 5]
    assert buffer.delivered == 3


def test_drop_newest_keeps_the_oldest():
    buffer, puts = filled("drop_newest", 5)
    assert puts == [Put.DONE] * 5
    assert (buffer.dropped, buffer.high_water, buffer.matched) == (2, 3, 5)
    assert drained(buffer) == [1, 2, 3]


def test_block_takes_nothing_more_and_loses_nothing():
    buffer, puts = filled("block", 5)
    assert puts == [Put.DONE] * 3 + [Put.FULL] * 2
    assert (buffer.dropped, buffer.lagged, buffer.matched) == (0, 2, 3)
    assert drained(buffer) == [1, 2, 3]


def test_reject_refuses_the_event_and_keeps_what_is_buffered():
    buffer, puts = filled("reject", 4)
    assert puts == [Put.DONE] * 3 + [Put.REJECTED]
    assert (buffer.dropped, buffer.matched) == (0, 3)
    assert drained(buffer) == [1, 2, 3]


@pytest.mark.parametrize("overflow", list(Overflow))
def test_a_paced_event_is_never_dropped(overflow):
    buffer, _ = filled(overflow, 3)
    assert buffer.put(event(4), at(0), paced=True) is Put.FULL
    assert (buffer.dropped, buffer.lagged) == (0, 1)
    assert drained(buffer) == [1, 2, 3]


def test_an_expired_event_takes_no_room_and_is_not_given_out():
    buffer = Buffer(2, "reject")
    for seq, expires_ns in enumerate((10, 50, 5, None), start=1):
        assert buffer.put(event(seq, expires_ns=expires_ns), at(5 if seq == 3 else 1)) is not Put.FULL
    assert (buffer.expired, len(buffer)) == (1, 2)
    assert drained(buffer, now=10) == [2]
    assert (buffer.expired, buffer.delivered, buffer.matched) == (2, 1, 3)


def test_what_is_cleared_counts_as_discarded():
    buffer, _ = filled("block", 2)
    buffer.clear()
    assert (len(buffer), buffer.discarded, buffer.dropped) == (0, 2, 0)


@pytest.mark.parametrize("limit, has_room_at", [(1, 0), (2, 1), (3, 1), (10, 5)])
def test_half_of_the_buffer_is_free_before_it_has_room_again(limit, has_room_at):
    buffer, _ = filled("block", limit, limit)
    while not buffer.has_room:
        buffer.take(at(0))
    assert len(buffer) == has_room_at


@given(
    overflow=st.sampled_from(list(Overflow)),
    limit=st.integers(1, 4),
    steps=st.lists(st.one_of(st.just("take"), st.tuples(st.booleans(), st.none() | st.integers(0, 30))), max_size=60),
)
def test_a_buffer_behaves_as_its_model_and_its_counters_add_up(overflow, limit, steps):
    buffer, high_water = Buffer(limit, overflow), 0
    model: deque[Event] = deque()
    for now, step in enumerate(steps):
        if step == "take":
            while model and model[0].expired(now):
                model.popleft()
            assert buffer.take(at(now)) == (model.popleft() if model else None)
        else:
            paced, expires_ns = step
            offered = event(now + 1, expires_ns=expires_ns)
            put = buffer.put(offered, at(now), paced=paced)
            assert put is expected_put(model, offered, now, limit, overflow, paced=paced)
        high_water = max(high_water, len(model))
        assert len(buffer) == len(model) <= limit
        assert buffer.high_water == high_water
        assert buffer.matched == buffer.delivered + buffer.dropped + buffer.expired + len(buffer)


def expected_put(model, offered, now, limit, overflow, *, paced):
    if offered.expired(now):
        return Put.DONE
    if len(model) < limit:
        model.append(offered)
        return Put.DONE
    if paced or overflow is Overflow.BLOCK:
        return Put.FULL
    if overflow is Overflow.REJECT:
        return Put.REJECTED
    if overflow is Overflow.DROP_OLDEST:
        model.popleft()
        model.append(offered)
    return Put.DONE


@pytest.mark.parametrize("limit", [0, -1, BUFFER_EVENTS_MAX + 1, 1.0, True, "10", None])
def test_a_limit_out_of_bounds_is_refused(limit):
    with pytest.raises(InvalidInput) as caught:
        Buffer(limit)
    assert caught.value.code == "invalid-buffer"


@pytest.mark.parametrize("overflow", ["drop", "DROP_OLDEST", "", None, 1])
def test_an_unknown_policy_is_refused_and_the_four_are_named(overflow):
    with pytest.raises(InvalidInput) as caught:
        Buffer(1, overflow)
    assert caught.value.code == "invalid-overflow"
    assert all(policy in caught.value.message for policy in Overflow)
