"""Going on with a run: which, by whom, with what, and when not."""

import asyncio

import pytest

from llmspell.errors import Busy, Conflict, Diverged, NotFound
from llmspell.opening import open_async
from llmspell.script.engine import Limits
from llmspell.script.host import run_script
from tests.script.running import appeared, go, ran


def test_a_failed_step_is_done_again_when_its_failure_ended_the_run():
    async def work(store):
        script = """
        State.set('n', (State.get('n') or 0) + 1)
        local id = Session.get('later').id
        State.set('found', id)
        return State.get('n')
        """
        first = await ran(store, script, name="s.lua")
        assert first.error.code == "session-not-found"
        later = await store.sessions.create("later")
        again = await ran(store, None, resume="s")
        return again.value, await store.state.get("found") == later.id, again.result.session_status

    assert go(work) == (1, True, "completed")


def test_a_hook_that_refused_is_asked_again_by_the_next_attempt():
    async def work(store):
        script = """
        Hook.register('before_state_set', function(ctx)
          if ctx.data.key == 'k' and not State.get('allowed') then return 'not allowed' end
        end)
        State.set('k', 1)
        return State.get('k')
        """
        first = await ran(store, script, name="s.lua")
        assert first.error.code == "vetoed"
        await store.state.set("allowed", True)
        return (await ran(store, None, resume=first.error.details["run"])).value

    assert go(work) == 1


def test_an_error_that_the_script_caught_is_answered_as_an_error():
    async def work(store):
        script = "local ok, e = pcall(Session.get, 'later') State.set('code', e and e.code or 'none') error('stop')"
        await ran(store, script, name="s.lua")
        await store.sessions.create("later")
        again = await ran(store, None, resume="s")
        return again.error.message, await store.state.get("code")

    assert go(work) == ("s.lua:1: stop", "session-not-found")


def test_an_error_of_the_script_itself_is_mended_by_another_text():
    async def work(store):
        script = "State.set('n', (State.get('n') or 0) + 1)\nerror('bug')"
        mended = script.replace("error('bug')", "return State.get('n')")
        await ran(store, script, name="s.lua")
        with pytest.raises(Conflict) as caught:
            await run_script(store, mended, resume="s")
        assert caught.value.code == "source-changed"
        again = await ran(store, mended, resume="s", changed_source=True)
        return again.value, again.result.session_status

    assert go(work) == (1, "completed")


def test_a_text_that_goes_another_way_is_noticed_at_the_first_step():
    async def work(store):
        script = "State.set('a', {x = 1, y = {1, 2}})\nState.set('b', 1)\nerror('stop')"
        await ran(store, script, name="s.lua")
        other = await ran(store, script.replace("y = {1, 2}", "y = {1, 3}"), resume="s", changed_source=True)
        info = await store.sessions.get("s")
        again = await ran(store, script.replace("error('stop')", "return 1"), resume="s", changed_source=True)
        return other.error, str(info.status), again.value

    error, status, value = go(work)
    assert isinstance(error, Diverged)
    assert error.details["path"] == "1"
    assert error.details["difference"] == [{"path": "$.args[1].y[1]", "recorded": 2, "found": 3}]
    assert (status, value) == ("failed", 1)


def test_a_text_that_asks_for_something_else_is_noticed():
    async def work(store):
        await ran(store, "State.set('a', 1) State.set('b', 1) error('stop')", name="s.lua")
        other = await ran(store, "State.set('a', 1) State.delete('b')", resume="s", changed_source=True)
        early = await ran(store, "State.set('a', 1)", resume="s", changed_source=True)
        return other.error, early.error

    other, early = go(work)
    assert (type(other), other.details["path"]) == (Diverged, "2")
    assert {"path": "$.name", "recorded": "State.set", "found": "State.delete"} in other.details["difference"]
    assert (type(early), early.details["path"]) == (Diverged, "2")


def test_a_larger_limit_lets_a_stopped_run_go_on():
    async def work(store):
        script = "State.set('n', (State.get('n') or 0) + 1) for i = 1, 300000 do end return State.get('n')"
        first = await ran(store, script, limits=Limits(instructions=100_000), name="s.lua")
        again = await ran(store, None, resume="s")
        more = await ran(store, None, resume="s", limits=Limits(instructions=10_000_000))
        return first.error.code, again.error.code, more.value

    assert go(work) == ("instruction-limit", "instruction-limit", 1)


def test_an_interrupted_run_goes_on_from_its_suspended_session():
    async def work(store):
        script = "State.set('up', 1) Utils.sleep(State.get('ms')) return State.get('up')"
        await store.state.set("ms", 60_000)
        task = asyncio.create_task(run_script(store, script, name="s.lua"))
        await appeared(store, key="up")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return asyncio.create_task(ran(store, None, resume="s", timeout_s=0.05))

    async def both(store):
        outcome = await (await work(store))
        return outcome.error.code, [e.data["attempt"] for e in outcome.entries if e.kind == "run.resumed"]

    assert go(both) == ("time-limit", [2])


def test_a_finished_run_is_not_resumed():
    async def work(store):
        await ran(store, "return 1", name="s.lua")
        with pytest.raises(Conflict) as caught:
            await run_script(store, None, resume="s")
        assert caught.value.code == "nothing-to-resume"
        session = await store.sessions.create("empty")
        with pytest.raises(Conflict):
            await run_script(store, None, resume=session.id)
        with pytest.raises(NotFound):
            await run_script(store, None, resume="nobody")

    go(work)


def test_a_run_that_is_going_on_is_not_taken_up():
    async def work(store):
        task = asyncio.create_task(ran(store, "State.set('up', 1) Utils.sleep(60000)", name="s.lua", timeout_s=20))
        await appeared(store, key="up")
        with pytest.raises(Busy) as caught:
            await run_script(store, None, resume="s")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return caught.value.code

    assert go(work) == "run-busy"


def test_of_two_attempts_only_the_newest_writes(tmp_path, monkeypatch):
    """Even where the lock cannot help, an older attempt has no effect any more."""
    monkeypatch.setattr("llmspell.script.lease.Lease.acquire", lambda self: None)

    async def work():
        path = tmp_path / "s"
        script = (
            "State.set('up', 1) Utils.sleep(State.get('ms')) State.set('n', (State.get('n') or 0) + 1) return 'end'"
        )
        async with (
            await open_async(path, durability="process") as one,
            await open_async(path, durability="process") as two,
        ):
            await one.state.set("ms", 100)
            slow = asyncio.create_task(ran(one, script, name="s.lua"))
            await appeared(two, key="up")
            fast = await ran(two, None, resume="s")
            outcome = await slow
            return outcome.error.code, fast.value, await two.state.get("n"), str((await two.sessions.get("s")).status)

    assert asyncio.run(work()) == ("run-taken-over", "end", 1, "completed")


def test_another_engine_than_the_recorded_one_is_refused(monkeypatch):
    async def work(store):
        await ran(store, "State.set('k', 1) error('x')", name="s.lua")
        monkeypatch.setattr("llmspell.script.bindings._ARGS", "globals.args = globals.JSON.parse(%s) local x = 1\n")
        with pytest.raises(Conflict) as caught:
            await run_script(store, None, resume="s")
        return caught.value.code, str((await store.sessions.get("s")).status)

    assert go(work) == ("engine-changed", "failed")


def test_a_run_on_5_4_goes_on_on_5_4():
    async def work(store):
        script = """
        for i = 1, 1 do i = i + 1 end
        State.set('n', (State.get('n') or 0) + 1)
        local t = {}
        for k in pairs{b = 1, a = 2, c = 3} do t[#t + 1] = k end
        State.set('order', t)
        if not State.get('go') then Session.get('later') end
        return {_VERSION, State.get('n'), t}
        """
        first = await ran(store, script, name="s.lua")
        await store.sessions.create("later")
        again = await ran(store, None, resume="s")
        return first.error.code, again.value, await store.state.get("order")

    code, value, order = go(work)
    assert (code, value) == ("session-not-found", ["Lua 5.4", 1, order])
