"""Hook: functions of a script that really run, also for what Python does while the script waits."""

import asyncio

import pytest

from llmspell.errors import Vetoed
from tests.script.running import appeared, failure, go, lua, ran, steps_of, value


def test_a_hook_changes_what_is_written():
    script = """
    Hook.register('before_state_set', function(ctx)
      return {type = 'modified', data = {value = ctx.data.value .. '!'}}
    end)
    State.set('k', 'v')
    return State.get('k')
    """
    assert value(script) == "v!"


@pytest.mark.parametrize("point", ["before_state_set", "BeforeStateSet", "BeforeStateWrite"])
@pytest.mark.parametrize(
    "result", ["{type = 'cancel', reason = 'not now'}", "'not now'", "{action = 'cancel', reason = 'not now'}"]
)
def test_a_hook_refuses_a_write_and_the_script_is_told_why(point, result):
    script = f"""
    Hook.register('{point}', function() return {result} end)
    local ok, e = pcall(State.set, 'k', 1)
    return {{ok, e.code, e.message, State.exists('k')}}
    """
    ok, code, message, exists = value(script)
    assert (ok, code, exists) == (False, "vetoed", False)
    assert "not now" in message


@pytest.mark.parametrize(
    "result", ["nil", "'continue'", "{type = 'continue'}", "'skip'", "{type = 'skipped', reason = 'x'}"]
)
def test_a_hook_that_goes_on_changes_nothing(result):
    assert (
        value(
            f"Hook.register('before_state_set', function() return {result} end) State.set('k', 1) return State.get('k')"
        )
        == 1
    )


def test_a_result_that_means_nothing_is_the_hooks_failure_not_the_operations():
    script = """
    Hook.register('before_state_set', function() return {type = 'nonsense'} end)
    State.set('k', 1)
    return State.get('k')
    """
    assert value(script) == 1


def test_a_hook_that_denies_refuses_when_it_fails():
    script = """
    Hook.register{point = 'before_state_set', handler = function() error('broken') end, name = 'guard',
      on_failure = 'deny'}
    local ok, e = pcall(State.set, 'k', 1)
    return {e.code, e.message}
    """
    code, message = value(script)
    assert code == "vetoed"
    assert "guard" in message
    assert "broken" in message


def test_what_a_hook_is_shown():
    script = """
    local seen
    Hook.register('before_state_set', function(ctx) seen = ctx end)
    State.set('agent:a', 'k', {1})
    return {seen.point, seen.component_id.type, seen.operation, seen.data, seen.session == Session.current(),
      type(seen.correlation_id), type(seen.metadata), type(seen.cause)}
    """
    assert value(script) == [
        "before_state_set", "state", "set",
        {"scope": "agent:a", "key": "k", "value": [1], "old_value": None, "operation": "set", "version": 0},
        True, "string", "table", "number",
    ]  # fmt: skip


def test_hooks_are_called_by_priority():
    script = """
    local order = array{}
    for name, priority in pairs{low = 'low', high = 'high', number = 5, normal = 'normal'} do
      Hook.register('before_state_set', function() order[#order + 1] = name end, priority)
    end
    State.set('k', 1)
    return order
    """
    assert value(script) == ["high", "normal", "number", "low"]


def test_a_handle_knows_its_hook_and_unregisters_it_once():
    script = """
    local calls = 0
    local hook = Hook.register('before_state_set', function() calls = calls + 1 end)
    State.set('k', 1)
    local result = {hook:id(), hook:hook_point(), hook:unregister(), hook:unregister(), Hook.unregister(hook),
      tostring(hook)}
    State.set('k', 2)
    result[#result + 1] = calls
    return result
    """
    assert value(script) == ["hook-1", "before_state_set", True, False, False, "Hook handle hook-1", 1]


def test_unregister_takes_a_handle_or_an_id_and_nothing_else():
    script = """
    local a, b = Hook.register('before_state_set', print), Hook.register('before_state_set', print)
    local ok, e = pcall(Hook.unregister, {})
    return {Hook.unregister(a), Hook.unregister(b:id()), Hook.unregister('hook-9'), ok, e.code}
    """
    assert value(script) == [True, True, False, False, "invalid-argument"]


def test_letting_go_of_a_handle_does_not_unregister_it():
    script = """
    local calls = 0
    do Hook.register('before_state_set', function() calls = calls + 1 end) end
    for i = 1, 200 do local garbage = {} for j = 1, 200 do garbage[j] = {j} end end
    State.set('k', 1)
    return calls
    """
    assert value(script) == 1


def test_list_shows_the_scripts_hooks_and_those_of_python():
    async def work(store):
        store.hooks.register("before_state_get", lambda context: None, name="mine", tags=["t"])
        outcome = await ran(store, """
        local hook = Hook.register{point = 'before_state_set', handler = print, name = 'audit', tags = {'a'},
          priority = 'high'}
        local all, tagged, lua = Hook.list(), Hook.list{tag = 'a'}, Hook.list{language = 'lua'}
        local point = Hook.list('BeforeStateWrite')
        return {#all, tagged[1].id == hook:id(), tagged[1].hook_point, tagged[1].own, #lua, point[1].name,
          point[1].tags,
          Hook.list('before_state_get')[1].name, Hook.list('before_state_get')[1].own}
        """)  # fmt: skip
        return outcome.value

    assert go(work) == [2, True, "before_state_set", True, 1, "audit", ["a"], "mine", False]


def test_an_unknown_point_is_refused_with_the_nearest_names():
    error = failure("Hook.register('before_state_sett', print)")
    assert error.code == "unknown-point"
    assert "before_state_set" in str(error.hint)


def test_a_custom_point_is_triggered_and_answered():
    script = """
    Hook.register('pipeline.validate', function(ctx)
      if ctx.data.n > 5 then return {type = 'cancel', reason = 'too large'} end
      return {type = 'modified', data = {n = ctx.data.n + 1}}
    end)
    local a, b, c = Hook.trigger('pipeline.validate', {n = 1}), Hook.trigger('pipeline.validate', {n = 9}),
      Hook.trigger('other.point')
    return {a.type, a.data.n, a.cancelled, b.type, b.reason, b.cancelled, c.type}
    """
    assert value(script) == ["modified", 2, False, "cancel", "too large", True, "continue"]


def test_hooks_may_call_the_host_and_cause_hooks_themselves():
    script = """
    local depth = 0
    Hook.register('before_state_set', function(ctx)
      if ctx.data.key == 'outer' then
        State.set('inner', 1)
        local ok, e = pcall(State.set, 'forbidden', 1)
        return {type = 'modified', data = {value = {State.get('inner'), e.code}}}
      elseif ctx.data.key == 'inner' then
        return {type = 'modified', data = {value = 'changed'}}
      else return 'no' end
    end)
    State.set('outer', 0)
    return State.get('outer')
    """
    assert value(script) == ["changed", "vetoed"]


def test_a_hook_that_triggers_itself_without_end_is_stopped():
    script = """
    Hook.register('before_state_set', function(ctx) State.set('k', 1) end)
    State.set('k', 0)
    return State.get('k')
    """
    assert value(script) == 0


def test_hooks_of_artifacts_sessions_and_events():
    script = """
    Hook.register('before_artifact_put', function(ctx) return {type = 'modified', data = {tags = {'from-hook'}}} end)
    Hook.register('before_session_create', function(ctx) if ctx.data.name == 'bad' then return 'no such name' end end)
    Hook.register('before_event_publish', function(ctx) return {type = 'modified',
      data = {data = {wrapped = ctx.data.data}}} end)
    local a = Artifact.store('', 'data', 'x', 'y')
    local ok, e = pcall(Session.create, {name = 'bad'})
    local sub = Event.subscribe('a.*')
    Event.publish('a.b', 1)
    return {Artifact.get(a).metadata.tags, e.code, Event.receive(sub, 1000).data.wrapped}
    """
    assert value(script) == [["from-hook"], "vetoed", 1]


def test_the_end_of_the_scripts_own_session_is_a_moment_too():
    outcome = lua("Hook.register('SessionEnd', function(ctx) print('ended', ctx.data.info.status) end)")
    assert outcome.lines == ["ended\tcompleted"]


def waiting(store, script):
    """The task of a script that has told, by a state key ``up``, that its hooks are registered."""

    async def begin():
        task = asyncio.create_task(ran(store, script))
        await appeared(store, key="up")
        return task

    return begin()


def test_a_hook_of_a_waiting_script_changes_and_refuses_what_python_writes():
    async def work(store):
        task = await waiting(store, """
        local seen = array{}
        local sub = Event.subscribe('py.done')
        Hook.register('before_state_set', function(ctx)
          if ctx.data.key == 'up' then return end
          seen[#seen + 1] = ctx.data.key
          if ctx.data.key == 'bad' then return {type = 'cancel', reason = 'refused by Lua'} end
          return {type = 'modified', data = {value = ctx.data.value .. ' by Lua'}}
        end)
        State.set('up', 1)
        Event.receive(sub, 20000)
        return seen
        """)  # fmt: skip
        await store.state.set("good", "value")
        with pytest.raises(Vetoed, match="refused by Lua"):
            await store.state.set("bad", 1)
        changed = await store.state.get("good")
        await store.events.publish("py.done")
        return changed, (await task).value

    assert go(work) == ("value by Lua", ["good", "bad"])


def test_a_hook_is_gone_when_its_script_has_ended():
    async def work(store):
        await ran(store, "Hook.register('before_state_set', function() return 'no' end)")
        await store.state.set("k", 1)
        return await store.state.get("k"), store.hooks.list()

    assert go(work) == (1, [])


def test_a_late_hook_is_stopped_where_it_waits_and_the_script_goes_on():
    async def work(store):
        outcome = await ran(store, """
        local reached = 'begin'
        Hook.register{point = 'before_state_set', timeout_ms = 30, handler = function(ctx)
          Utils.sleep(20000)
          reached = 'end'
        end}
        State.set('k', 1)
        State.set('l', 2)
        return {State.get('k'), reached}
        """)  # fmt: skip
        return outcome.value, [item for item in steps_of(outcome.entries) if item["item"] == "stopped"]

    found, stopped = go(work)
    assert found == [1, "begin"]
    assert [(item["path"], item["at"], item["code"]) for item in stopped] == [
        ("2.1", 1, "callback-late"),
        ("3.1", 1, "callback-late"),
    ]


def test_a_hook_that_spins_is_stopped_by_its_own_budget():
    from llmspell.script.engine import Limits

    script = """
    Hook.register('before_state_set', function(ctx) if ctx.data.key == 'spin' then while true do end end end)
    State.set('spin', 1)
    return State.get('spin')
    """
    assert value(script, limits=Limits(instructions=200_000)) == 1


def test_callbacks_during_one_step_run_one_after_the_other():
    async def work(store):
        task = await waiting(store, """
        local log = array{}
        local sub = Event.subscribe('py.done')
        Hook.register('before_state_set', function(ctx)
          if ctx.data.key == 'up' then return end
          log[#log + 1] = 'in ' .. ctx.data.key
          Utils.sleep(2)
          State.get('whatever')
          log[#log + 1] = 'out ' .. ctx.data.key
        end)
        State.set('up', 1)
        Event.receive(sub, 20000)
        return log
        """)  # fmt: skip
        await asyncio.gather(*(store.state.set(f"k{i}", i) for i in range(4)))
        await store.events.publish("py.done")
        return (await task).value

    log = go(work)
    assert len(log) == 8
    for entered, left in zip(log[::2], log[1::2], strict=True):
        assert entered.replace("in ", "") == left.replace("out ", "")


def test_a_script_goes_on_only_after_a_callback_that_was_called_meanwhile_has_ended():
    async def work(store):
        task = await waiting(
            store,
            """
        local log = array{}
        local done, other = Event.subscribe('py.done'), Event.subscribe('py.other')
        Hook.register('before_state_set', function(ctx)
          if ctx.data.scope ~= 'global' or ctx.data.key == 'up' then return end
          log[#log + 1] = 'in'
          State.set('custom:x', 'inside', 1)
          Event.receive(other, 20000)
          log[#log + 1] = 'out'
        end)
        State.set('up', 1)
        Event.receive(done, 20000)
        log[#log + 1] = 'main'
        return log
        """,
        )
        write = asyncio.create_task(store.state.set("k", 1))
        await appeared(store, key="inside")
        await store.events.publish("py.done")
        async with store.events.subscribe("py.*", from_position="start") as events:
            await events.receive()
        await store.events.publish("py.other")
        await write
        return (await task).value

    assert go(work) == ["in", "out", "main"]


def test_a_python_hook_sees_the_scripts_session_and_actor():
    import llmspell

    async def work(store):
        seen = []

        async def watch(context):
            seen.append((context.session, llmspell.current_session().id))

        store.hooks.register("before_state_set", watch)
        outcome = await ran(store, "State.set('k', 1)")
        return seen, outcome.result.session_id, [e.actor for e in outcome.entries if e.kind == "state.set"]

    seen, session, actors = go(work)
    assert seen == [(session, session)]
    assert actors == ["script:script.lua"]
