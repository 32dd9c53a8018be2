"""What a run is: its session, its value, its error, its limits."""

import asyncio

import pytest

from llmspell.errors import Conflict, InvalidInput, NotFound, ScriptFailed, Vetoed
from llmspell.script.engine import Limits
from llmspell.script.host import exec_code, run_script
from tests.script.running import appeared, failure, go, lua, ran, value


async def status_of(store, name):
    return str((await store.sessions.get(name)).status)


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_a_new_session_of_the_scripts_name_is_completed():
    async def work(store):
        result = await run_script(store, "return 1", name="report.lua")
        return (
            result.session_status,
            await status_of(store, "report"),
            (await store.sessions.get("report")).id == result.session_id,
        )

    assert go(work) == ("completed", "completed", True)


def test_keep_open_suspends_the_new_session():
    assert lua("return 1", keep_open=True).result.session_status == "suspended"


def test_a_named_session_is_made_and_suspended_and_taken_up_again():
    async def work(store):
        first = await run_script(store, "Session.state.set('n', 1)", session="notes")
        second = await run_script(store, "return Session.state.get('n')", session="notes")
        third = await run_script(store, "return Session.state.get('n')", session=first.session_id)
        return first.session_id == second.session_id == third.session_id, second.value, third.session_status

    assert go(work) == (True, 1, "suspended")


def test_an_active_session_of_that_name_is_used():
    async def work(store):
        session = await store.sessions.create("mine")
        result = await run_script(store, "return Session.current()", session="mine")
        return result.value == session.id, result.session_status

    assert go(work) == (True, "suspended")


def test_a_session_that_has_ended_takes_no_new_script():
    async def work(store):
        session = await store.sessions.create("over")
        await session.complete()
        with pytest.raises(Conflict) as caught:
            await run_script(store, "return 1", session="over")
        assert caught.value.code == "session-ended"
        with pytest.raises(NotFound):
            await run_script(store, "return 1", session="01900000-0000-7000-8000-000000000000")
        with pytest.raises(InvalidInput):
            await run_script(store, "return 1", session="x", keep_open=True)

    go(work)


def test_a_session_that_the_script_ended_or_deleted_itself_is_left_so():
    assert lua("Session.complete()").result.session_status == "completed"
    assert lua("Session.suspend()").result.session_status == "suspended"
    assert lua("Session.delete(Session.current())").result.session_status == "deleted"


def test_a_hook_that_refuses_the_sessions_end_fails_the_run():
    async def work(store):
        async def refuse(context):
            raise AssertionError(context)

        store.hooks.register("before_session_complete", refuse, on_failure="deny")
        outcome = await ran(store, "return 1", name="s.lua")
        return outcome.error, await status_of(store, "s")

    error, status = go(work)
    assert isinstance(error.__cause__, Vetoed)
    assert (error.code, status) == ("vetoed", "failed")


# -- errors ------------------------------------------------------------------------------------------------------------


def test_an_error_shows_the_scripts_lines_and_fails_the_session_with_it():
    async def work(store):
        outcome = await ran(store, "local function inner()\n  error('boom')\nend\n\ninner()", name="bad.lua")
        info = await store.sessions.get("bad")
        return outcome.error, str(info.status), info.reason, outcome.kinds[-1]

    error, status, reason, last = go(work)
    assert isinstance(error, ScriptFailed)
    assert error.message == "bad.lua:2: boom"
    assert "bad.lua:2: in upvalue 'inner'" in error.details["traceback"] or "bad.lua:2" in error.details["traceback"]
    assert "bad.lua:5" in error.details["traceback"]
    assert (status, reason, last) == ("failed", "bad.lua:2: boom", "run.failed")
    assert error.exit_status == 1


def test_an_uncaught_host_error_keeps_code_hint_and_python_cause():
    error = failure("\nSession.get('nobody')")
    assert (error.code, type(error.__cause__)) == ("session-not-found", NotFound)
    assert "script.lua:2" in error.details["traceback"]
    assert error.__cause__.__traceback__ is not None


def test_an_error_thrown_again_keeps_its_cause():
    error = failure("local ok, e = pcall(Session.get, 'nobody') State.set('k', 1) error(e, 0)")
    assert type(error.__cause__) is NotFound


def test_an_error_caught_is_a_table_that_can_be_searched_as_text():
    script = """
    local ok, e = pcall(Session.get, 'nobody')
    return {e.code, e.message:find('nobody') ~= nil, tostring(e):find('session-not-found', 1, true) ~= nil}
    """
    assert value(script) == ["session-not-found", True, True]


def test_a_defect_of_ours_is_an_error_with_a_code_not_the_end_of_the_process():
    async def work(store):
        async def broken(*_args, **_kwargs):
            raise TypeError("a defect")

        store.sessions.list = broken
        return (await ran(store, "local ok, e = pcall(Session.list) return {e.code, e.message}")).value

    assert go(work) == ["internal", "internal error: TypeError: a defect"]


def test_a_text_that_does_not_compile_leaves_everything_as_it_is():
    async def work(store):
        outcome = await ran(store, "x = = 1", name="typo.lua")
        return outcome.error, (await store.sessions.list()).items, outcome.kinds

    error, sessions, kinds = go(work)
    assert error.code == "syntax-error"
    assert "typo.lua:1" in error.message
    assert (sessions, kinds) == ([], ["store.created"])


def test_a_chunk_that_only_5_4_compiles_runs_there_and_the_record_says_so():
    outcome = lua("for i = 1, 2 do i = i + 1 end return _VERSION")
    assert outcome.value == "Lua 5.4"
    assert next(e for e in outcome.entries if e.kind == "run.started").data["engine"]["language_version"] == "5.4"


# -- values ------------------------------------------------------------------------------------------------------------


def test_a_value_with_bytes_is_given_and_kept():
    outcome = lua("return {a = '\\255', b = 'text'}")
    assert outcome.value == {"a": b"\xff", "b": "text"}
    assert outcome.entries[-1].data["packed"] is True


def test_exec_gives_the_value_of_an_expression_or_of_a_chunk():
    async def work(store):
        return (await exec_code(store, "1 + 1")).value, (await exec_code(store, "local x = 2 return x")).value

    assert go(work) == (2, 2)


def test_a_value_that_cannot_cross_fails_a_script():
    assert failure("return print").code == "not-convertible"


# -- limits and interruptions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source, limits, code",
    [
        ("while true do end", Limits(instructions=100_000), "instruction-limit"),
        ("pcall(function() while true do end end)", Limits(instructions=100_000), "instruction-limit"),
        (
            "local t = {} for i = 1, 1e8 do t[i] = ('x'):rep(1000) .. i end",
            Limits(memory_bytes=8 << 20),
            "memory-limit",
        ),
    ],
)
def test_a_limit_ends_the_run_and_is_recorded(source, limits, code):
    async def work(store):
        outcome = await ran(store, "State.set('k', 1)\n" + source, limits=limits, name="s.lua")
        return (
            outcome.error.code,
            await status_of(store, "s"),
            outcome.entries[-1].data["code"],
            await store.state.get("k"),
        )

    assert go(work) == (code, "failed", code, 1)


def test_a_run_that_takes_too_long_is_stopped_where_it_waits():
    async def work(store):
        outcome = await ran(
            store, "State.set('k', 1) Utils.sleep(60000) State.set('l', 1)", timeout_s=0.05, name="s.lua"
        )
        return outcome.error.code, await status_of(store, "s"), await store.state.keys()

    assert go(work) == ("time-limit", "failed", ["k"])


def test_a_host_call_that_takes_too_long_is_an_error_the_script_can_catch():
    async def work(store):
        forever = asyncio.Event()

        async def stuck(**_conditions):
            await forever.wait()

        store.sessions.list = stuck
        return (
            await ran(store, "local ok, e = pcall(Session.list) State.set('k', 1) return e.code", call_timeout_s=0.05)
        ).value

    assert go(work) == "call-timeout"


def test_a_wait_on_purpose_is_not_cut_short_by_the_time_of_a_call():
    assert value("Utils.sleep(120) return 1", call_timeout_s=0.05) == 1


def test_a_run_whose_caller_is_cancelled_is_recorded_as_interrupted():
    async def work(store):
        task = asyncio.create_task(run_script(store, "State.set('up', 1) Utils.sleep(60000)", name="s.lua"))
        await appeared(store, key="up")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        entries = (await store.timeline()).items
        return await status_of(store, "s"), entries[-1].kind, entries[-1].data["code"], store.hooks.list()

    assert go(work) == ("suspended", "run.failed", "cancelled", [])


def test_cancelling_while_a_write_is_under_way_lets_it_come_to_its_end(tmp_path):
    async def work(store):
        task = asyncio.create_task(run_script(store, "for i = 1, 1e9 do State.set('k' .. i, i) end", name="s.lua"))
        await appeared(store, key="k40")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await store.state.keys(), (await store.timeline(limit=10_000)).items, await store.verify()

    keys, entries, report = go(work, tmp_path / "store", durability="full")
    recorded = [
        s
        for e in entries
        if e.kind == "run.recorded"
        for i in e.data["items"]
        if i["item"] == "unit"
        for s in i["seqs"]
    ]
    written = [e.seq for e in entries if e.kind == "state.set"]
    assert set(written) <= set(recorded)
    assert len(keys) == len(written)
    assert report.ok, report.findings


def test_a_cancellation_during_a_write_of_the_record_is_heard_before_the_next_wait():
    async def work(store):
        database, entered, leave = store.journal.database, asyncio.Event(), asyncio.Event()
        writes = []

        class Slow:
            def __getattr__(self, name):
                return getattr(database, name)

            async def write(self, unit, *, strong=False):
                writes.append(unit)
                if len(writes) == 4:  # session, run, the step that wrote, and what is held back before the wait
                    entered.set()
                    await leave.wait()
                return await database.write(unit, strong=strong)

        store.journal.database = Slow()
        script = "State.set('k', 1) State.get('k') Utils.sleep(3000000)"
        task = asyncio.create_task(run_script(store, script, name="s.lua"))
        await entered.wait()
        task.cancel()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await status_of(store, "s")

    assert go(work) == "suspended"


def test_stopping_a_run_stops_the_callbacks_that_wait_in_it():
    async def work(store):
        script = """
        Hook.register{point = 'before_state_set', timeout_ms = 600000, handler = function(ctx)
          if ctx.data.scope ~= 'global' or ctx.data.key == 'up' then return end
          State.set('custom:x', 'inside', 1)
          Utils.sleep(3000000)
        end}
        State.set('up', 1)
        Utils.sleep(3000000)
        """
        task = asyncio.create_task(run_script(store, script, name="s.lua"))
        await appeared(store, key="up")
        writes = [asyncio.create_task(store.state.set(f"k{n}", n)) for n in range(3)]
        await appeared(store, key="inside")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.gather(*writes)
        return await status_of(store, "s"), await store.state.keys(prefix="k")

    assert go(work) == ("suspended", ["k0", "k1", "k2"])


def test_many_runs_go_on_beside_each_other():
    async def work(store):
        script = "for i = 1, 5 do State.set(args.n, i) Utils.sleep(1) end return State.get(args.n)"
        results = await asyncio.gather(*(run_script(store, script, args={"n": f"k{n}"}) for n in range(20)))
        return [result.value for result in results]

    assert go(work) == [5] * 20


def test_nothing_is_left_of_a_run_that_has_ended():
    async def work(store):
        await run_script(store, "Hook.register('before_state_set', print) Event.on('x', print) Event.subscribe('y')")
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return store.hooks.list(), tasks, [one.closed for one in store._dispatcher.subscriptions()]

    hooks, tasks, subscriptions = go(work)
    assert (hooks, tasks) == ([], [])
    assert all(subscriptions)
