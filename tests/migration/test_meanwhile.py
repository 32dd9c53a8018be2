"""Others at work while a migration is: in the same process, in tasks beside it, and in another process that dies."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import llmspell
from llmspell.adapters.sqlite.engine import Engine
from llmspell.errors import Conflict
from llmspell.migration import units
from llmspell.migration.applying import Pace
from llmspell.migration.changing import Custom
from llmspell.migration.migration import Migration
from tests.migration.people import CATALOG, TO_2, TO_3, fill, new, old, planned


@pytest.fixture
def store(tmp_path):
    with llmspell.open(tmp_path / "store", durability="process") as opened:
        yield opened


def test_what_others_write_meanwhile_is_migrated_too_and_nothing_is_lost(store):
    fill(store, 40)
    writes = {
        5: ("user:0001", old(1, late=True)),  # where all is done already, in the old form
        6: ("user:0002", new(2, late=True)),  # the same in the new form
        7: ("user:0035", old(35, late=True)),  # where it has not come to
        8: ("user:0036", new(36, late=True)),
        9: ("user:0000a", old(9, late=True)),  # a new key where all is done
    }
    done = []

    def progress(count, total):
        done.append((count, total))
        for at, (key, value) in list(writes.items()):
            if count >= at:
                store.state.set(key, value)
                del writes[at]

    report = store.migrations.apply(planned(store), batch=5, progress=progress)
    assert not writes
    expected = {f"user:{n:04}": new(n, kept={"n": n}) for n in range(40)}
    expected |= {f"user:{n:04}": new(n, late=True) for n in (1, 2, 35, 36)}
    expected["user:0000a"] = new(9, late=True)
    assert dict(store.state.items()) == expected
    assert done[0] == (0, 40)
    assert done[-1] == (40, 40)
    assert store.migrations.validate(report.id).ok
    store.migrations.rollback(report.id)
    assert store.state.get("user:0001") == old(1, late=True)
    assert store.state.get("user:0036") == new(36, late=True)
    assert store.state.get("user:0005") == old(5, kept={"n": 5})
    assert store.verify().ok


def test_a_migration_and_its_rollback_give_way_before_every_batch(store, monkeypatch):
    fill(store, 20)
    plan, seen = planned(store), []
    monkeypatch.setattr(Pace, "took", lambda *_: None)  # However slow the machine is, batches stay of one size.
    give_way, batch, put_back = Engine.give_way, units.batch, units.put_back
    monkeypatch.setattr(Engine, "give_way", lambda engine: [seen.append("way"), give_way(engine)][1])
    monkeypatch.setattr(units, "batch", lambda *args: [seen.append("batch"), batch(*args)][1])
    monkeypatch.setattr(units, "put_back", lambda *args: [seen.append("batch"), put_back(*args)][1])
    report = store.migrations.apply(plan, batch=5)
    assert seen.count("batch") == 4
    store.migrations.rollback(report.id, batch=5)
    assert seen.count("batch") == 8
    assert all(seen[at - 1] == "way" for at, what in enumerate(seen) if what == "batch" and at != 0)


def test_a_value_that_moves_between_reading_and_writing_is_read_again(store):
    fill(store, 20)
    left = [3]

    def stir(value):
        if left[0]:
            left[0] -= 1
            store.state.set("user:0010", old(10, turn=left[0]))
        return value

    store.migrations.register(Migration("user", "1.0.0", "2.0.0", [*TO_2.transforms, Custom("stir", "age")]))
    plan = store.migrations.plan("user", "2.0.0", from_version="1.0.0", prefix="user:", catalog=CATALOG)
    assert store.migrations.apply(plan, functions={"stir": stir}).changed == 20
    assert store.state.get("user:0010") == new(10, turn=0)


def test_updates_in_tasks_beside_a_migration_are_all_there_after_it(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "store", durability="process") as store:
            for n in range(200):
                await store.state.set(f"user:{n:04}", old(n, count=0))
            for one in (TO_2, TO_3):
                await store.migrations.register(one)
            plan = await store.migrations.plan("user", "3.0.0", from_version="1.0.0", prefix="user:", catalog=CATALOG)

            def more(value):
                return value | {"count": value["count"] + 1}

            async def count(start):
                for n in range(start, 200, 4):
                    await store.state.update(f"user:{n:04}", more)
                    await asyncio.sleep(0)

            await asyncio.gather(store.migrations.apply(plan, batch=7), *map(count, range(4)))
            found = dict(await store.state.items())
            assert found == {f"user:{n:04}": new(n, count=1, tags=[]) for n in range(200)}
            assert (await store.verify()).ok

    asyncio.run(main())


WORKER = """
    import os, sys, signal
    import llmspell
    from llmspell.adapters.sqlite.batch import Batch
    from tests.migration.people import planned

    with llmspell.open(sys.argv[1], durability="process") as store:
        plan = planned(store)
        left, run = int(sys.argv[2]), Batch.run
        statements = 0

        async def counted(self, sql, args=()):
            global statements
            statements += 1
            if statements == left:
                os.kill(os.getpid(), signal.SIGKILL)
            await run(self, sql, args)

        def progress(done, total):
            if left == 0 and done:
                print("under way", flush=True)
                sys.stdin.readline()

        Batch.run = counted
        if sys.argv[3] == "apply":
            store.migrations.apply(plan, batch=4, progress=progress)
        else:
            store.migrations.rollback(sys.argv[3], batch=4, progress=progress)
        print(statements)
"""


def work(folder, kill_at, what="apply"):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), str(folder), str(kill_at), what],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip


@pytest.fixture
def seed(tmp_path):
    """A store with twelve users, which children are given copies of."""
    folder = tmp_path / "seed"
    with llmspell.open(folder, durability="process") as opened:
        fill(opened, 12)
        planned(opened)
    return folder


MIGRATED = {f"user:{n:04}": new(n, kept={"n": n}) for n in range(12)}
BEFORE = {f"user:{n:04}": old(n, kept={"n": n}) for n in range(12)}


@pytest.mark.parametrize("kill_at", [1, 2, 4, 5, 8, 13, 14, 15, 21, 24, 32, 33, 34])
def test_a_killed_migration_goes_on_and_comes_to_what_an_uninterrupted_one_does(seed, kill_at):
    with work(seed, kill_at) as child:
        child.communicate()
        assert child.returncode == -signal.SIGKILL
    with llmspell.open(seed, durability="process") as store:
        assert store.verify().ok
        run = store.migrations.status()
        if run is None:
            report = store.migrations.apply(planned(store))
        else:
            assert (run.open, run.alive) == (True, False)
            report = store.migrations.resume(run.id) if kill_at % 2 else store.migrations.apply(planned(store))
            assert report.id == run.id
        assert (report.seen, report.changed) == (12, 12)
        assert dict(store.state.items()) == MIGRATED
        assert all(store.state.entry(key).version == 2 for key in MIGRATED)
        assert store.verify().ok
        store.migrations.rollback(report.id)
        assert dict(store.state.items()) == BEFORE


BEGINNING = 2
"""Statements of the unit that begins a rollback."""


@pytest.mark.parametrize("kill_at", [1, 3, 6, 11, 12, 17, 25, 26])
def test_a_killed_rollback_goes_on_when_it_is_called_again(seed, kill_at):
    with llmspell.open(seed, durability="process") as store:
        report = store.migrations.apply(planned(store))
    with work(seed, kill_at, report.id) as child:
        child.communicate()
        assert child.returncode == -signal.SIGKILL
    with llmspell.open(seed, durability="process") as store:
        assert store.verify().ok
        run = store.migrations.status()
        begun = run.status == "rolling_back"
        assert (begun, run.open, run.alive) == (kill_at > BEGINNING, begun, False)
        if begun:
            current = store.migrations.plan("user", "2.0.0", from_version="2.0.0", prefix="user:", catalog=CATALOG)
            for plan in (planned(store), current, planned(store, "3.0.0")):
                with pytest.raises(Conflict) as caught:
                    store.migrations.apply(plan)
                assert (caught.value.code, caught.value.details["id"]) == ("migration-running", report.id)
        back = store.migrations.rollback(report.id)
        assert (back.restored, back.left) == (12, 0)
        assert dict(store.state.items()) == BEFORE
        assert store.verify().ok


def test_a_rollback_that_lives_is_seen_and_not_met_by_another_process(seed):
    with llmspell.open(seed, durability="process") as store:
        report = store.migrations.apply(planned(store))
    with work(seed, 0, report.id) as child, llmspell.open(seed, durability="process") as store:
        assert child.stdout.readline() == "under way\n"
        run = store.migrations.status()
        assert (run.id, run.status, run.open, run.alive) == (report.id, "rolling_back", True, True)
        for call in (
            lambda: store.migrations.apply(planned(store, "3.0.0", from_version="2.0.0")),
            lambda: store.migrations.apply(planned(store, from_version="2.0.0")),
            lambda: store.migrations.lazily(planned(store)),
            lambda: store.migrations.rollback(report.id, dry_run=True),
        ):
            with pytest.raises(Conflict, match="is open") as caught:
                call()
            assert caught.value.hint.startswith("wait until it has ended")
        child.communicate("\n")
        assert child.returncode == 0
        assert not store.migrations.status().open
        assert dict(store.state.items()) == BEFORE


def test_a_second_process_is_refused_and_a_dead_ones_run_is_open_to_be_taken_up(seed):
    with work(seed, 0) as child, llmspell.open(seed, durability="process") as store:
        assert child.stdout.readline() == "under way\n"
        run = store.migrations.status()
        assert (run.status, run.alive) == ("running", True)
        for call in (lambda: store.migrations.apply(planned(store)), lambda: store.migrations.rollback(run.id)):
            with pytest.raises(Conflict) as caught:
                call()
            assert (caught.value.code, caught.value.details["id"]) == ("migration-running", run.id)
        store.state.set("user:0001", old(1, theirs=True))  # others go on writing
        child.kill()
        child.communicate()
        assert not store.migrations.status().alive
        assert store.migrations.resume(run.id).status == "completed"
        assert dict(store.state.items()) == MIGRATED | {"user:0001": new(1, theirs=True)}
        assert [one.id for one in store.migrations.list()] == [run.id]
