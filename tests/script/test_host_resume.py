"""Going on with a run: nothing is done twice, nothing is lost, and another way is noticed."""

import asyncio

import pytest

from llmspell.errors import Busy, Conflict, Diverged, NotFound
from llmspell.opening import open_async
from llmspell.script.engine import Limits
from llmspell.script.host import run_script
from tests.script.running import appeared, dies_after, effects_of, go, ran, steps_of

WORK = """
local seen = 0
Hook.register('after_event_publish', function(ctx)
  local n = (State.get('custom:log', 'n') or 0) + 1
  State.set('custom:log', 'n', n)
  State.set('custom:log', 'item' .. n, ctx.data.data)
  seen = seen + 1
end)
Hook.register('before_state_set', function(ctx)
  if ctx.data.scope ~= 'global' then return end
  local c = (State.get('custom:count', 'c') or 0) + 1
  State.set('custom:count', 'c', c)
  return {type = 'modified', data = {value = {v = ctx.data.value, c = c}}}
end)
local child = Session.create{name = 'child', state = {x = 1}}
Session.setCurrent(child)
Artifact.store(nil, 'data', 'a.txt', string.rep('long text ', 1000))
Session.setCurrent(nil)
local ids = {}
local sub = Event.subscribe('tick.*')
for i = 1, 2 do
  State.set('k' .. i, math.random(1000000))
  Event.publish('tick.n', i)
  ids[#ids + 1] = Event.receive(sub, 5000).data
  local r = Artifact.store('', 'data', 'r.txt', 'version ' .. i .. string.rep('x', 2000))
  ids[#ids + 1] = #Artifact.get(r).content
  State.delete('k' .. i - 1)
end
State.set_many('custom:x', {a = 1, b = 2})
Session.complete(child)
State.set('done', {ids = ids, seen = seen})
return {ids = ids, seen = seen, clock = os.time() > 0}
"""


async def interrupted(path, source, writes, **options):
    """A run on a store that takes only so many writes; the run's id if it had begun."""
    async with await open_async(path, durability="process") as store:
        await store.state.exists("x")
        dies_after(store, writes)
        outcome = await ran(store, source, **options)
        assert outcome.error is not None
        return await last_run(store)


async def last_run(store):
    from llmspell.model.ids import id_text

    rows = await store.journal.database.read(
        lambda view: view.all("SELECT id FROM run ORDER BY started_seq DESC LIMIT 1")
    )
    return id_text(rows[0][0]) if rows else None


async def resumed(path, target, **options):
    async with asyncio.timeout(60), await open_async(path, durability="process") as store:
        return await ran(store, None, resume=target, **options)


async def everything(path):
    async with await open_async(path) as store:
        entries = (await store.timeline(limit=10_000)).items
        report = await store.verify()
        assert report.ok, report.findings
        return effects_of(entries)


def normal(effects):
    """Effects but for what chance decides: random values, and the ids of sessions in scopes."""

    def plain(about):
        scope = {"scope": about["scope"].partition(":")[0]} if about.get("scope", "").startswith("session:") else {}
        return {name: value for name, value in about.items() if name != "value"} | scope

    return [(kind, plain(about)) for kind, about in effects]


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
