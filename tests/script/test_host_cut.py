"""Cut anywhere and resumed, a run does what it does uncut: nothing twice, nothing not at all."""

import asyncio

import pytest

from llmspell.opening import open_async
from tests.script.running import appeared, dies_after, ran
from tests.script.work import WORK, everything, interrupted, last_run, normal, resumed


def test_cut_at_every_write_and_resumed_a_run_does_what_it_does_uncut(tmp_path):
    async def work():
        async with await open_async(tmp_path / "whole", durability="process") as store:
            whole = await ran(store, WORK, name="work.lua")
        assert whole.error is None, whole.error
        wanted = normal(await everything(tmp_path / "whole"))
        for writes in range(2, 200):
            path = tmp_path / f"cut{writes}"
            async with await open_async(path, durability="process") as store:
                dying = dies_after(store, writes)
                first = await ran(store, WORK, name="work.lua")
                run = await last_run(store)
            if first.error is None and dying.left >= 0:
                return writes
            again = await resumed(path, run)
            assert again.error is None, (writes, again.error, again.error.details)
            assert again.value == whole.value, writes
            assert normal(await everything(path)) == wanted, writes
        raise AssertionError("the script never came to its end")

    assert asyncio.run(work()) > 25


def test_cut_again_and_again_a_run_still_does_each_thing_once(tmp_path):
    async def work():
        async with await open_async(tmp_path / "whole", durability="process") as store:
            whole = await ran(store, WORK, name="work.lua")
        wanted = normal(await everything(tmp_path / "whole"))
        path = tmp_path / "cut"
        run = await interrupted(path, WORK, 3, name="work.lua")
        outcome = None
        for _ in range(60):
            async with await open_async(path, durability="process") as store:
                dies_after(store, 4)
                outcome = await ran(store, None, resume=run)
            if outcome.error is None:
                break
        assert outcome.error is None, outcome.error
        assert outcome.value == whole.value
        assert normal(await everything(path)) == wanted

    asyncio.run(work())


def test_a_step_whose_own_change_was_not_made_is_not_taken_for_done(tmp_path):
    """A hook of Python wrote for the step; then the process died before the step's own change."""

    async def work():
        path = tmp_path / "s"
        script = "local id = Session.create{name = 'made'} State.set('id', id) return Session.get(id).name"

        async def note(context):
            if context.data["info"]["name"] == "made":
                await stores[-1].state.set("noted", (await stores[-1].state.get("noted") or 0) + 1)

        stores, outcome = [], None
        for writes, target in ((3, None), (1000, "s")):
            async with await open_async(path, durability="process") as store:
                stores.append(store)
                store.hooks.register("before_session_create", note)
                dies_after(store, writes)
                outcome = await ran(
                    store, script if target is None else None, resume=target, **({} if target else {"name": "s.lua"})
                )
        async with await open_async(path) as store:
            made = [info.name for info in await store.sessions.list(name="made")]
            return outcome.value, made, await store.state.get("noted")

    assert asyncio.run(work()) == ("made", ["made"], 1)


def test_a_run_that_fails_is_cut_at_every_write_and_still_goes_on_once_it_can(tmp_path):
    script = "State.set('a', 1) local id = Session.get('later').id State.set('b', 1) return State.get('a')"

    async def work():
        for writes in range(2, 9):
            path = tmp_path / f"cut{writes}"
            run = await interrupted(path, script, writes, name="s.lua")
            async with await open_async(path, durability="process") as store:
                await store.sessions.create("later")
                again = await ran(store, None, resume=run)
                if again.error is not None:  # what was recorded of the failure is told again once
                    again = await ran(store, None, resume=run)
                assert again.error is None, (writes, again.error)
                keys = [entry.data["key"] for entry in again.entries if entry.kind == "state.set"]
                assert (again.value, keys, again.result.session_status) == (1, ["a", "b"], "completed"), writes

    asyncio.run(work())


def test_a_run_that_is_interrupted_is_cut_at_every_write_and_still_goes_on(tmp_path):
    script = """
    local sub = Event.subscribe('go.*')
    State.set('a', 1)
    Event.receive(sub, 60000)
    State.set('b', 1)
    return State.get('a')
    """

    async def cut(path, writes):
        async with await open_async(path, durability="process") as store:
            dying = dies_after(store, 1000)
            task = asyncio.create_task(ran(store, script, name="s.lua"))
            await appeared(store, key="a")
            dying.left = writes
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def work():
        for writes in range(5):
            path = tmp_path / f"cut{writes}"
            await cut(path, writes)
            async with await open_async(path, durability="process") as store:
                await store.events.publish("go.on")
                again = await ran(store, None, resume="s")
                assert again.error is None, (writes, again.error)
                keys = [entry.data["key"] for entry in again.entries if entry.kind == "state.set"]
                assert (again.value, keys, again.result.session_status) == (1, ["a", "b"], "completed"), writes

    asyncio.run(work())


MANY = """
local items = {}
for n = 1, 9 do items[n] = {name = n .. '.txt', content = 'text ' .. n, tags = {n > 3 and 'high' or 'low'}} end
local put = Artifact.put_many(items)
Artifact.set_quota{session = '', versions_max = 50}
local many = Artifact.delete_matching{session = '', tags = {'high'}}
local a = Artifact.store('data', 'a', '1')
Artifact.store{name = 'b', content = '2', derived_from = {a.id}}
local tree = Artifact.delete_tree(a, {kind = 'derived_from'})
Session.set_retention{max_count = 1000, every_s = 3600}
return {put.done, put.failed, many, tree, #Artifact.list(), Artifact.quota{session = ''}.used_versions}
"""


def test_what_is_done_to_many_is_done_once_to_each_wherever_the_run_was_cut(tmp_path, monkeypatch):
    monkeypatch.setattr("llmspell.artifacts.deleting.UNIT_VERSIONS", 2)
    monkeypatch.setattr("llmspell.artifacts.putting.GROUP_ITEMS", 4)

    async def work():
        for writes in range(2, 100):
            path = tmp_path / f"cut{writes}"
            async with await open_async(path, durability="process") as store:
                dying = dies_after(store, writes)
                first = await ran(store, MANY, name="many.lua")
                run = await last_run(store)
            if first.error is not None or dying.left < 0:
                first = await resumed(path, run)
            assert first.error is None, (writes, first.error, first.error.details)
            assert first.value == [9, 0, 6, 2, 3, 3], writes
            async with await open_async(path) as store:
                assert len((await store.artifacts.query()).items) == 3, writes
                assert len(await store.artifacts.deleted()) == 8, writes
            if dying.left >= 0:
                return writes
        raise AssertionError("the script never came to its end")

    assert asyncio.run(work()) > 12


def test_a_run_that_shreds_a_session_goes_on_wherever_it_was_cut(tmp_path):
    script = """
    local doomed = Session.create{name = 'doomed', state = {k = 'v'}}
    Session.complete(doomed)
    return Session.shred(doomed).id == doomed
    """

    async def work():
        for writes in range(2, 60):
            path = tmp_path / f"cut{writes}"
            async with await open_async(path, durability="process") as store:
                dying = dies_after(store, writes)
                first = await ran(store, script, name="shred.lua")
                run = await last_run(store)
            if first.error is not None or dying.left < 0:
                first = await resumed(path, run)
            assert (first.error, first.value) == (None, True), writes
            async with await open_async(path) as store:
                kinds = [entry.kind for entry in (await store.timeline(limit=500)).items]
                assert kinds.count("session.created") == 2, "this one and the run's own"
                assert "session.shredded" in kinds
            if dying.left >= 0:
                return writes
        raise AssertionError("the script never came to its end")

    assert asyncio.run(work()) > 8
