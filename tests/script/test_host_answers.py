"""What a resumed run is told again: readings, output, content, callbacks and events."""

import asyncio

import pytest

from llmspell.opening import open_async
from tests.script.running import appeared, dies_after, effects_of, go, ran, steps_of
from tests.script.work import interrupted, last_run, resumed


def test_clock_chance_ids_and_reads_are_answered_as_the_first_time(tmp_path):
    script = """
    local told = {math.random(1 << 53), os.time(), Utils.uuid(), Utils.now(), State.get('before')}
    State.set('told', told)
    State.set('second', 1)
    return {told, State.get('told')}
    """

    async def work():
        path = tmp_path / "s"
        async with await open_async(path, durability="process") as store:
            await store.state.set("before", "old")
            dies_after(store, 3)
            await ran(store, script)
            run = await last_run(store)
        async with await open_async(path, durability="process") as store:
            await store.state.set("before", "new")
        outcome = await resumed(path, run)
        told, kept = outcome.value
        assert told == kept
        assert told[4] == "old"

    asyncio.run(work())


def test_output_of_finished_steps_is_not_said_again(tmp_path):
    script = "print('one') State.set('a', 1) print('two') State.set('b', 1) print('three') State.set('c', 1)"

    async def work():
        run = await interrupted(tmp_path / "s", script, 4)
        return (await resumed(tmp_path / "s", run)).lines

    assert asyncio.run(work()) == ["three"]


def test_events_that_came_while_nobody_ran_are_received_after_the_resume(tmp_path):
    script = """
    local sub = Event.subscribe('in.*')
    local got = array{}
    for i = 1, 3 do got[i] = Event.receive(sub, 20000).data State.set('got', got) end
    return got
    """

    async def work():
        path = tmp_path / "s"
        async with await open_async(path, durability="process") as store:
            task = asyncio.create_task(ran(store, script, name="s.lua"))
            await appeared(store, kind="run.recorded")
            dying = dies_after(store, 1000)
            await store.events.publish("in.a", 1)
            await appeared(store, key="got")
            dying.left = 0
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with await open_async(path, durability="process") as store:
            await store.events.publish("in.b", 2)
            await store.events.publish("in.c", 3)
        return (await resumed(path, "s")).value

    assert asyncio.run(work()) == [1, 2, 3]


def test_callbacks_that_python_caused_are_called_again_at_their_places(tmp_path):
    script = """
    local seen = array{}
    Hook.register('before_state_set', function(ctx)
      if ctx.data.scope == 'global' and ctx.data.key:find('py') then seen[#seen + 1] = ctx.data.key
        State.set('custom:seen', ctx.data.key, #seen) end
    end)
    local sub = Event.subscribe('py.*')
    State.set('up', 1)
    Event.receive(sub, 20000)
    State.set('seen', seen)
    if not args.go then error('stop') end
    return seen
    """

    async def work(store):
        task = asyncio.create_task(ran(store, script, name="s.lua"))
        await appeared(store, key="up")
        await store.state.set("py1", 1)
        await store.state.set("py2", 1)
        await store.events.publish("py.done")
        assert (await task).error.message == "s.lua:11: stop"
        again = await ran(store, script.replace("if not args.go", "if false"), resume="s", changed_source=True)
        written = [e.data["key"] for e in again.entries if e.kind == "state.set" and e.data["scope"] == "custom:seen"]
        return again.value, written

    assert go(work) == (["py1", "py2"], ["py1", "py2"])


def test_a_stopped_callback_is_stopped_there_again_and_not_waited_for():
    script = """
    local trace = array{}
    Hook.register{point = 'before_state_set', timeout_ms = 30, handler = function(ctx)
      trace[#trace + 1] = 'begin'
      Utils.sleep(60000)
      trace[#trace + 1] = 'never'
    end}
    State.set('k', 1)
    if not State.get('go') then error('stop') end
    return trace
    """

    async def work(store):
        await ran(store, script, name="s.lua")
        again = await ran(
            store, script.replace("if not State.get('go')", "if State.get('go')"), resume="s", changed_source=True
        )
        calls = [item for item in steps_of(again.entries) if item["item"] == "call"]
        return again.value, len(calls)

    assert go(work) == (["begin"], 1)


def test_content_that_was_deleted_since_ends_the_resume_with_its_name(tmp_path):
    async def work(store):
        script = (
            "local a = Artifact.store('', 'data', 'big', ('x'):rep(5000)) "
            "local n = #Artifact.get(a).content State.set('n', n) error('stop')"
        )
        await ran(store, script, name="s.lua")
        session = await store.sessions.open("s")
        await session.artifacts.delete("big")
        return (await ran(store, None, resume="s")).error

    error = go(work)
    assert error.code == "record-content-gone"
    assert "'big'" in error.message


def test_content_that_was_read_is_read_again_byte_for_byte():
    async def work(store):
        script = """
        local bytes, text = ('\\255\\0'):rep(3000), ('line '):rep(3000)
        Artifact.store('', 'data', 'bytes', bytes) Artifact.store('', 'data', 'text', text)
        Artifact.store('', 'data', 'short', 'short') Artifact.store('', 'data', 'tiny', '\\255')
        local same = {Artifact.get('bytes').content == bytes, Session.load_artifact('bytes') == bytes,
          Artifact.get('text').content == text, Session.loadArtifact('text') == text,
          Session.loadArtifact('short') == 'short',
          Session.loadArtifact('tiny') == '\\255', Artifact.get('tiny').content == '\\255'}
        State.set('first', same)
        if not State.get('go') then error('stop') end
        """
        await ran(store, script, name="s.lua")
        again = await ran(
            store,
            script.replace("if not State.get('go') then error('stop') end", "State.get('go') return same"),
            resume="s",
            changed_source=True,
        )
        return await store.state.get("first"), again.value, again.error

    first, again, error = go(work)
    assert (first, again, error) == ([True] * 7, [True] * 7, None)


def test_events_handed_to_a_function_are_handled_once_each_across_a_kill(tmp_path):
    script = """
    local got = array{}
    Event.on('in.*', function(event)
      local key = 'n' .. event.data
      State.set('custom:got', key, (State.get('custom:got', key) or 0) + 1)
      got[#got + 1] = event.data
    end)
    State.set('up', 1)
    while #got < 3 do Utils.sleep(60) end
    return got
    """

    async def work():
        path = tmp_path / "s"
        async with await open_async(path, durability="process") as store:
            task = asyncio.create_task(ran(store, script, name="s.lua"))
            await appeared(store, key="up")
            dying = dies_after(store, 1000)
            await store.events.publish("in.a", 1)
            await appeared(store, key="n1")
            dying.left = 0
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with await open_async(path, durability="process") as store:
            await store.events.publish_many([{"type": "in.b", "data": 2}, {"type": "in.c", "data": 3}])
        again = await resumed(path, "s")
        counts = [
            (e.data["key"], e.data["value"])
            for e in again.entries
            if e.kind == "state.set" and e.data["scope"] == "custom:got"
        ]
        return again.value, counts

    assert asyncio.run(work()) == ([1, 2, 3], [("n1", 1), ("n2", 1), ("n3", 1)])


REFUSED = {
    "version": "State.set('k', 1) refused(State.set, 'global', 'k', 2, {if_version = 7})",
    "status": "local s = Session.create() Session.complete(s) refused(Session.complete, s)",
    "label": "Session.checkpoint('a') refused(Session.checkpoint, 'a')",
    "limit": "local s = Session.create{config = {limits = {operations = 1}}} refused(Session.set, s, 'k', 1)",
    "name": "Artifact.store('t', 'a', 'x') Artifact.store('t', 'b', 'x') refused(Artifact.rename, 'a', 'b')",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_step_that_was_refused_in_its_transaction_answers_again_what_it_did(name):
    source = f"""
    local function refused(...) local ok, e = pcall(...) assert(not ok) print(e.code) end
    {REFUSED[name]}
    State.set('after', 1)
    error('stop')
    """

    async def twice(store):
        return await ran(store, source, session="runner"), await ran(store, None, resume="runner")

    first, again = go(twice)
    assert "stop" in str(first.error)
    assert again.error.code == first.error.code, again.error.details
    assert effects_of(again.entries) == effects_of(first.entries)
