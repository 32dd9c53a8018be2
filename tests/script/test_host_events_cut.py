"""What a callback did for an event is not done for it again, wherever the run was cut and whatever is done anew."""

import asyncio

import pytest

from llmspell.hooks.results import Cancel
from llmspell.opening import open_async
from tests.script.running import appeared, dies_after, go, ran
from tests.script.work import last_run, resumed

COUNTING = """
Event.on('go.*', function(event)
  State.set('seen', (State.get('seen') or 0) + 1)
  State.set('mark', event.data.n)
end)
local stop = Event.subscribe('stop.*')
State.set('up', 1)
"""


async def _killed_while_it_waits(path, script):
    """A run that is killed in the wait that is its last step, after its callback was called for one event."""
    async with await open_async(path, durability="process") as store:
        dying = dies_after(store, 1000)
        task = asyncio.create_task(ran(store, script, name="s.lua"))
        await appeared(store, key="up")
        await store.events.publish("go.on", {"n": 1})
        await appeared(store, key="mark")
        dying.left = 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_an_event_that_was_handled_while_the_killed_run_waited_is_not_handled_again(tmp_path):
    script = (
        COUNTING
        + """
    Event.receive(stop, 60000)
    while State.get('mark') ~= 2 do Utils.sleep(1) end
    return State.get('seen')
    """
    )

    async def work():
        path = tmp_path / "s"
        await _killed_while_it_waits(path, script)
        async with await open_async(path, durability="process") as store:
            await store.events.publish("go.on", {"n": 2})
            await store.events.publish("stop.now")
            return (await ran(store, None, resume="s")).value

    assert asyncio.run(work()) == 2


def test_callbacks_of_two_subscriptions_are_called_again_in_the_order_they_had(tmp_path):
    """In the record the second subscription's callback came first; live, the first one's would."""
    script = """
    Event.on('a.*', function() State.set('order', (State.get('order') or '') .. 'a') State.set('did a', 1) end)
    Event.on('b.*', function() State.set('order', (State.get('order') or '') .. 'b') State.set('did b', 1) end)
    local stop = Event.subscribe('stop.*')
    State.set('up', 1)
    Event.receive(stop, 60000)
    return State.get('order')
    """

    async def work():
        path = tmp_path / "s"
        async with await open_async(path, durability="process") as store:
            dying = dies_after(store, 1000)
            task = asyncio.create_task(ran(store, script, name="s.lua"))
            await appeared(store, key="up")
            for first in ("b", "a"):
                await store.events.publish(f"{first}.x")
                await appeared(store, key=f"did {first}")
            dying.left = 0
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with await open_async(path, durability="process") as store:
            await store.events.publish("stop.now")
            return await ran(store, None, resume="s")

    outcome = asyncio.run(work())
    assert outcome.error is None, outcome.error
    assert outcome.value == "ba"


def test_an_event_that_was_handled_during_the_failed_step_is_not_handled_again():
    """The step that failed is done again; what others did meanwhile is not."""
    script = COUNTING + "State.set('late', 1) State.set('after', 1) return State.get('seen')"

    async def work(store):
        asked = []

        async def refuse_once(context):
            if context.data["key"] != "late":
                return None
            asked.append(context.point)
            if len(asked) > 1:
                return None
            await store.events.publish("go.on", {"n": 1})
            await appeared(store, key="mark")
            return Cancel("not yet")

        store.hooks.register("before_state_set", refuse_once)
        first = await ran(store, script, name="s.lua")
        assert first.error.code == "vetoed"
        again = await ran(store, None, resume="s")
        more = await ran(store, None, resume=again.result.run_id)
        assert more.error.code == "nothing-to-resume"
        return again.value, len(asked), [entry.data["key"] for entry in again.entries if entry.kind == "state.set"]

    assert go(work) == (1, 2, ["up", "seen", "mark", "late", "after"])


def test_cut_at_every_write_each_event_is_handled_once(tmp_path):
    script = """
    Hook.register('after_event_publish', function() State.set('hooked', (State.get('hooked') or 0) + 1) end)
    Event.on('tick.*', function(event) State.set('seen', (State.get('seen') or 0) + 1) end)
    for n = 1, 3 do Event.publish('tick.n', n) end
    while (State.get('seen') or 0) < 3 do Utils.sleep(1) end
    return {State.get('seen'), State.get('hooked')}
    """

    async def work():
        for writes in range(2, 100):
            path = tmp_path / f"cut{writes}"
            async with await open_async(path, durability="process") as store:
                dying = dies_after(store, writes)
                first = await ran(store, script, name="s.lua")
                run = await last_run(store)
            if first.error is None and dying.left >= 0:
                return writes
            again = await resumed(path, run)
            assert again.error is None, (writes, again.error, again.error.details)
            assert again.value == [3, 3], writes
        raise AssertionError("the script never came to its end")

    assert asyncio.run(work()) > 10
