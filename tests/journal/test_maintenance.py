"""Maintenance keeps the lagging indexes near and writes what ran out, in a thread of its own, and says what failed."""

import asyncio
import logging
import threading

import pytest

import llmspell
from llmspell.adapters.sqlite import checkpoint
from llmspell.errors import Busy, StorageFailed
from llmspell.journal import maintenance, terms
from llmspell.journal.maintenance import Maintenance, Task
from llmspell.journal.reading import watermark_of
from llmspell.model.clock import ManualClock
from llmspell.testing.harness import until

MANY = terms.TAIL_ENTRIES_MAX + 100


def publish(store, count):
    store.events.publish_many([{"type": "load.item", "data": {"n": n}} for n in range(count)])


def engine_of(store):
    return store._store._files.engine


def test_the_index_catches_up_after_a_checkpoint_while_the_store_stays_open(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_START_PAGES", 10)
    with llmspell.open(tmp_path / "s", durability="process") as store:
        publish(store, MANY)
        store.state.set("one", "more")
        until(lambda: engine_of(store).read(watermark_of) >= MANY, "the index reaches the newest entries")
        assert len(store.timeline(kinds=["event.published"], limit=10_000)) == MANY


def test_a_long_tail_is_indexed_before_the_store_closes(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        publish(store, MANY)
        head = store.stats()["last_seq"]
    with llmspell.open(tmp_path / "s") as store:
        assert engine_of(store).read(watermark_of) == head


def test_a_short_tail_is_left_alone_when_the_store_closes(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        publish(store, 50)
    with llmspell.open(tmp_path / "s") as store:
        assert engine_of(store).read(watermark_of) == 0


def test_what_ran_out_is_written_before_the_store_closes(tmp_path):
    clock = ManualClock()
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        store.state.set("short", 1, ttl_s=5)
        store.state.set("long", 2, ttl_s=500)
        store.state.set("ever", 3)
        clock.advance(10)
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        assert [change.operation for change in store.state.history("short")] == ["expired", "set"]
        assert store.state.keys() == ["ever", "long"]
        expired = store.timeline(kinds=["state.expired"]).items
        assert [entry.data["key"] for entry in expired] == ["short"]
        assert expired[0].actor == "maintenance"
        assert store.state.set("short", 4) == 3, "versions go on"
        assert store.verify().ok


@pytest.mark.parametrize("passed_s, told", [(5, True), (5 - 1e-9, False)])
def test_a_key_runs_out_at_its_very_moment_and_not_before(tmp_path, passed_s, told):
    clock = ManualClock()
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        store.state.set("short", 1, ttl_s=5)
        clock.advance(passed_s)
        assert (store.state.keys() == []) is told
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        assert bool(store.timeline(kinds=["state.expired"]).items) is told


def test_nothing_is_written_when_nothing_ran_out(tmp_path):
    clock = ManualClock()
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        store.state.set("long", 2, ttl_s=500)
        head = store.stats()["last_seq"]
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        assert store.stats()["last_seq"] == head


def test_many_keys_run_out_in_bounded_steps_and_none_is_left(tmp_path):
    clock = ManualClock()
    with llmspell.open(tmp_path / "s", clock=clock, durability="process") as store:
        store.state.set_many({f"k{n:04}": n for n in range(1201)}, ttl_s=1)
        clock.advance(2)
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        assert len(store.timeline(kinds=["state.expired"], limit=10_000)) == 1201


@pytest.mark.parametrize("durability", ["full", "process"])
def test_maintenance_never_runs_on_the_event_loop(tmp_path, durability, monkeypatch):
    threads = []
    real = Maintenance.finish

    def finish(self):
        threads.append(threading.current_thread())
        real(self)

    monkeypatch.setattr(Maintenance, "finish", finish)
    clock = ManualClock()

    async def main():
        async with await llmspell.open_async(tmp_path / "s", clock=clock, durability=durability) as store:
            await store.state.set("short", 1, ttl_s=5)
            clock.advance(10)
        return threading.current_thread()

    loop_thread = asyncio.run(main())
    assert len(threads) == 1
    assert threads[0] is not loop_thread
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        assert [change.operation for change in store.state.history("short")] == ["expired", "set"]


def test_a_read_only_handle_does_no_maintenance(tmp_path):
    clock = ManualClock()
    with llmspell.open(tmp_path / "s", clock=clock) as store:
        store.state.set("short", 1, ttl_s=5)
        head = store.stats()["last_seq"]
    clock.advance(10)
    with llmspell.open(tmp_path / "s", clock=clock, read_only=True) as store:
        assert store.state.get("short") is None
    with llmspell.open(tmp_path / "s", clock=ManualClock(), read_only=True) as store:
        assert store.stats()["last_seq"] == head


class Files:
    """Stands for an engine whose commits end as told."""

    read_only = False

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.commits = 0
        self.way_given = False

    def give_way(self):
        self.way_given = True

    def read(self, query):
        return query(None)

    def commit(self, units, *, wait_s=None):
        assert wait_s is not None
        assert self.way_given, "others go first, before each step"
        self.way_given = False
        self.commits += 1
        outcome = self.outcomes.pop(0)
        result = type("Result", (), {"value": outcome, "error": None})()
        if isinstance(outcome, BaseException):
            result.value, result.error = None, outcome
        return [result]


def task(name="work", full=10):
    return Task(name, lambda view: True, lambda: terms.step, full)


def test_a_task_goes_on_until_a_step_is_not_full():
    files = Files(10, 10, 3, 10)
    Maintenance(files, [task()], lambda *_: pytest.fail("nothing failed here")).run()
    assert files.commits == 3


def test_closing_waits_for_a_run_that_looked_before_anything_was_due():
    files, begun, go = Files(0), threading.Event(), threading.Event()

    def due(view):
        if begun.is_set():
            return True
        begun.set()
        assert go.wait(30)
        return False

    both = Maintenance(
        files, [Task("work", due, lambda: terms.step, 10)], lambda *_: pytest.fail("nothing failed here")
    )
    threads = [threading.Thread(target=both.run)]
    threads[0].start()
    assert begun.wait(30)
    both.run()
    assert files.commits == 0, "one at a time"
    threads.append(threading.Thread(target=both.finish))
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert files.commits == 1


def test_a_task_that_never_ends_is_bounded():
    files = Files(*[10] * 1000)
    Maintenance(files, [task()], lambda *_: pytest.fail("nothing failed here")).run()
    assert files.commits == maintenance.STEPS_MAX


def test_what_fails_is_reported_and_the_next_task_still_runs():
    told = []
    failure = StorageFailed("no room", code="disk-full")
    files = Files(failure, 0)
    Maintenance(files, [task("one"), task("two")], lambda name, error: told.append((name, error))).run()
    assert told == [("one", failure)]
    assert files.commits == 2


@pytest.mark.parametrize("error", [Busy("later"), StorageFailed("closed", code="closed")])
def test_a_turn_that_others_hold_and_a_closing_store_are_no_failures(error):
    Maintenance(Files(error), [task()], lambda *_: pytest.fail("nothing failed here")).run()


def test_a_failure_at_close_is_reported_and_the_store_closes_all_the_same(tmp_path, caplog):
    clock = ManualClock()
    store = llmspell.open(tmp_path / "s", clock=clock)
    store.state.set("short", 1, ttl_s=5)
    clock.advance(10)
    engine = engine_of(store)
    engine.writer.execute("DROP TABLE state")
    with caplog.at_level(logging.WARNING, "llmspell"):
        store.close()
    assert any("maintenance" in record.getMessage() for record in caplog.records)
    with pytest.raises(StorageFailed, match="closed"):
        engine.read(lambda view: None)
