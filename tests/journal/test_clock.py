"""Time along the journal: never backwards, the wall clock kept beside it, and jumps told."""

import pytest

import llmspell
from llmspell.errors import Conflict
from llmspell.model.clock import ManualClock, to_datetime, to_ns

HOUR = 3600


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(tmp_path, clock):
    with llmspell.open(tmp_path / "s", clock=clock, durability="process") as opened:
        yield opened


def jumps(store):
    return [entry.data["seconds"] for entry in store.timeline(kinds=["clock.jumped"])]


def test_time_never_decreases_when_the_clock_goes_back_and_the_raw_clock_is_kept(store, clock):
    start = clock.now_ns()
    for change in (0, 10, -300, 5, -5, 400):
        clock.jump(change)
        store.state.set("k", change)
    entries = store.timeline(kinds=["state.set"]).items
    assert [(entry.clock - start) // 10**9 for entry in entries] == [0, 10, -290, -285, -290, 110]
    assert [(entry.at - start) // 10**9 for entry in entries] == [0, 10, 10, 10, 10, 110]
    assert jumps(store) == []


@pytest.mark.parametrize("seconds", [HOUR + 1, -HOUR - 1, 10 * 365 * 86400])
def test_a_jump_of_more_than_an_hour_is_told_once(store, clock, seconds):
    store.state.set("k", 1)
    clock.jump(seconds)
    store.state.set("k", 2)
    store.state.set("k", 3)
    assert jumps(store) == [pytest.approx(seconds)]
    assert store.verify().ok


def test_time_that_passes_is_no_jump(store, clock):
    store.state.set("k", 1)
    clock.advance(100 * HOUR)
    store.state.set("k", 2)
    clock.jump(HOUR - 1)
    store.state.set("k", 3)
    assert jumps(store) == []


def test_a_jump_seen_by_a_write_that_failed_or_wrote_nothing_is_told_by_the_next(store, clock):
    store.state.set("k", 1)
    clock.jump(2 * HOUR)
    with pytest.raises(Conflict):
        store.state.set("k", 2, if_version=9)
    assert store.state.delete("none") is False
    assert jumps(store) == []
    store.state.set("k", 3)
    assert jumps(store) == [pytest.approx(2 * HOUR)]


def test_two_handles_keep_one_order_of_time(tmp_path, store, clock):
    late = ManualClock(clock.now_ns() - 500 * 10**9)
    with llmspell.open(tmp_path / "s", clock=late) as other:
        for n in range(3):
            store.state.set("k", n)
            other.state.set("k", n)
    entries = store.timeline(limit=1000).items
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)


def test_a_time_is_found_by_any_of_its_spellings(store, clock):
    store.state.set("k", 1)
    clock.advance(100)
    middle = to_datetime(clock.now_ns())
    store.state.set("k", 2)
    clock.advance(100)
    store.state.set("k", 3)
    for since in (middle, middle.isoformat(), middle.isoformat().replace("+00:00", "Z")):
        assert [entry.data["value"] for entry in store.timeline(kinds=["state.set"], since=since)] == [2, 3]
        assert [entry.data["value"] for entry in store.timeline(kinds=["state.set"], until=since)] == [1, 2]
    assert to_ns(middle) == clock.now_ns() - 100 * 10**9
