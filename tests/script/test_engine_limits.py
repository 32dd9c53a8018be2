"""Limits end a run whatever the script does; the sandbox tests try harder to escape them."""

import pytest

from llmspell.errors import InvalidInput, ScriptFailed
from llmspell.script.engine import HostCall, Limits

SMALL = Limits(memory_bytes=8 << 20, instructions=300_000, slice_s=0.2, call_depth=2_000)


@pytest.mark.parametrize(
    "source, code",
    [
        ("while true do end", "instruction-limit"),
        ("local s = string.rep('x', 1e6) while true do s:upper() end", "time-limit"),
        ("local t = {} while true do t[#t + 1] = {} end", "memory-limit"),
        ("return string.rep('x', 1e9)", "memory-limit"),
        ("local function f() return 1 + f() end return f()", "call-depth-limit"),
    ],
)
def test_limit_ends_the_run_with_its_code(make_host, source, code):
    limits = Limits(memory_bytes=8 << 20, instructions=2_000_000, slice_s=0.2, call_depth=2_000)
    error = make_host({}, limits=limits).error(f"local x = 1\n{source}")
    assert (error.code, error.origin) == (code, "limit")


@pytest.mark.parametrize("source", ["while true do end", "local t = {} while true do t[#t + 1] = {} end"])
def test_limit_tells_where_the_script_was(make_host, source):
    error = make_host({}, limits=SMALL).error(f"local function work()\n  {source}\nend\nwork()")
    assert "script.lua:2: in" in error.traceback
    assert "script.lua:4: in main chunk" in error.traceback


def test_run_after_an_instruction_limit_has_a_budget_of_its_own(make_host):
    host = make_host({}, limits=SMALL)
    for _ in range(3):
        assert host.error("while true do end").code == "instruction-limit"
    assert host.value("local n = 0 for i = 1, 1e4 do n = n + 1 end return n") == 10_000


def test_waiting_for_the_host_costs_no_slice(make_host):
    import time

    def spin():
        end = time.process_time() + 2 * SMALL.slice_s
        while time.process_time() < end:
            pass

    host = make_host({"wait": spin}, limits=SMALL)
    assert host.value("for i = 1, 2 do Host.wait() for j = 1, 2e4 do end end return 'done'") == "done"


def test_memory_limit_ends_every_run_of_the_runtime(make_host):
    host = make_host({"f": lambda: None}, limits=SMALL)
    (waiting,) = host.engine.start("Host.f() return 'late'", "a.lua")
    assert host.error("return string.rep('x', 1e9)").code == "memory-limit"
    (ended,) = host.engine.settle(waiting.call_id, True)
    assert (ended.run_id, ended.error.code) == (waiting.strand, "memory-limit")
    assert host.error("return 1").code == "memory-limit"
    assert host.engine.used().runs == 2


def test_answer_larger_than_the_memory_left_ends_the_runtime(make_host):
    host = make_host({"give": lambda: "x" * (9 << 20)}, limits=SMALL)
    assert host.error("return #Host.give()").code == "memory-limit"


def test_answer_that_grows_beyond_the_memory_when_unpacked_ends_the_runtime(make_host):
    host = make_host({"give": lambda: [[] for _ in range(190_000)]}, limits=Limits(memory_bytes=8 << 20))
    assert host.error("return #Host.give()").code == "memory-limit"


def test_full_memory_survives_small_answers(make_host):
    host = make_host({"echo": lambda v: v}, limits=Limits(memory_bytes=8 << 20))
    source = """
    local kept, n = {}, 0
    while n < 200 do n = n + 1 kept[n] = string.rep('x', 20000) .. n Host.echo(n) end
    for i = 1, 2000 do Host.echo('text ' .. i) local garbage = string.rep('y', 100000) end
    return n
    """
    assert host.value(source) == 200


def test_garbage_is_no_use_of_memory(make_host):
    limits = Limits(memory_bytes=8 << 20)
    assert (
        make_host({}, limits=limits).value("for i = 1, 2000 do local s = string.rep('x', 1e5) .. i end return 'done'")
        == "done"
    )


def test_source_that_needs_too_much_memory_to_compile_is_a_memory_limit(make_host):
    host = make_host({}, limits=Limits(memory_bytes=4 << 20))
    assert host.error("return {" + "{}," * 400_000 + "}").code == "memory-limit"


def test_short_coroutines_count_against_the_instructions(make_host):
    source = "while true do local w = coroutine.wrap(function() for i = 1, 300 do end end) w() end"
    host = make_host({}, limits=Limits(instructions=1_000_000, slice_s=60))
    assert host.error(source).code == "instruction-limit"


def test_limits_out_of_range_are_refused(make_host):
    for bad in (
        Limits(memory_bytes=1000), Limits(memory_bytes=1 << 40), Limits(instructions=0), Limits(instructions=1 << 70),
        Limits(slice_s=0), Limits(slice_s=float("nan")), Limits(call_depth=0), Limits(call_depth=1 << 40),
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            make_host({}, limits=bad)


def test_instruction_limit_strikes_at_the_same_place_every_time(make_host):
    source = "local n = 0 while true do n = n + 1 if n % 1000 == 0 then Host.at(n) end end"

    def last_place():
        host = make_host({"at": lambda n: None}, limits=Limits(instructions=100_000, slice_s=60))
        assert host.error(source).code == "instruction-limit"
        return host.asked[-1]

    assert last_place() == last_place()


def test_cycle_of_runtimes_keeps_memory_flat(make_host):
    import resource

    def cycle(times):
        for _ in range(times):
            host = make_host({"f": lambda v: v})
            host.value("local t = {} for i = 1, 1000 do t[i] = Host.f ~= nil end return Host.f(t)")
            (event,) = host.engine.start("Host.f(function() end)", "a.lua")
            assert isinstance(event, HostCall)
            host.engine.close()

    cycle(30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cycle(150)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8192


def test_callback_of_an_ended_runtime_fails_with_the_same_code(make_host):
    host = make_host({"keep": lambda f: None}, limits=SMALL)
    host.value("Host.keep(function() return 1 end)")
    (waiting,) = host.engine.start("Host.keep(print)", "a.lua")
    host.error("return string.rep('x', 1e9)")
    assert host.call(1).error.code == "memory-limit"
    host.engine.release(1)
    (stopped,) = host.engine.stop(waiting.strand, "cancelled", "no use any more")
    assert stopped.error.code == "cancelled"


def test_failure_of_the_engine_itself_is_told_and_ends_the_runtime(make_host, monkeypatch):
    engine = make_host({"f": None}).engine
    (waiting,) = engine.start("Host.f()", "a.lua")
    runtime = engine._runtime

    def broken(*_):
        raise runtime.failure("kernel defect")

    monkeypatch.setattr(runtime, "settle", broken)
    with pytest.raises(ScriptFailed) as caught:
        engine.settle(waiting.call_id, True)
    assert caught.value.code == "engine-failed"
    assert not engine.start("return 1", "a.lua")[0].ok
