"""Host calls look synchronous wherever Lua code can stand."""
# ruff: noqa: E501  a script on one line reads better than one broken anywhere

import pytest

from llmspell.errors import Conflict, InvalidInput
from llmspell.script.engine import Done, HostCall

PLACES = {
    "statement": ("return Host.twice(4)", 8),
    "pcall": ("local ok, v = pcall(Host.twice, 4) return ok and v", 8),
    "pcall_of_failure": (
        "local ok, e = pcall(Host.fail) return tostring(ok) .. e.code .. e.message",
        "falsenot-foundno such thing",
    ),
    "nested_pcall": ("return (select(3, pcall(pcall, Host.twice, 4)))", 8),
    "xpcall": ("return (select(2, xpcall(Host.twice, print, 4)))", 8),
    "xpcall_handler": ("return (select(2, xpcall(error, function(e) return Host.twice(e) end, 4)))", 8),
    "index": ("return setmetatable({}, {__index = function(_, k) return Host.echo(k) end}).hello", "hello"),
    "newindex": (
        "local t = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, Host.twice(v)) end}) t.a = 4 return t.a",
        8,
    ),
    "call": ("return setmetatable({}, {__call = function(_, n) return Host.twice(n) end})(4)", 8),
    "add": ("return setmetatable({}, {__add = function(_, n) return Host.twice(n) end}) + 4", 8),
    "concat": ("return setmetatable({}, {__concat = function(_, n) return Host.twice(n) end}) .. 4", 8),
    "eq": (
        "local m = {__eq = function() return Host.echo(true) end} return setmetatable({}, m) == setmetatable({}, m)",
        True,
    ),
    "lt": (
        "local m = {__lt = function() return Host.echo(true) end} return setmetatable({}, m) < setmetatable({}, m)",
        True,
    ),
    "le": (
        "local m = {__le = function() return Host.echo(true) end} return setmetatable({}, m) <= setmetatable({}, m)",
        True,
    ),
    "len": ("return #setmetatable({}, {__len = function() return Host.twice(4) end})", 8),
    "unm": ("return -setmetatable({}, {__unm = function() return Host.twice(4) end})", 8),
    "close": (
        "local seen do local x <close> = setmetatable({}, {__close = function() seen = Host.twice(4) end}) end return seen",
        8,
    ),
    "close_on_error": (
        """local seen pcall(function() local x <close> = setmetatable({}, {__close = function() seen = Host.twice(4) end})
        error('x') end) return seen""",
        8,
    ),
    "iterator": (
        "local s = 0 for i in function(_, i) i = (i or 0) + 1 if i < 4 then return Host.echo(i) end end do s = s + i end return s",
        6,
    ),
    "pairs_metamethod": (
        """local t = setmetatable({}, {__pairs = function() return function(_, k) k = (k or 0) + 1
        if k < 4 then return k, Host.twice(k) end end end}) local s = 0 for _, v in pairs(t) do s = s + v end return s""",
        12,
    ),
    "ipairs_over_index": (
        """local t = setmetatable({}, {__index = function(_, i) if i < 4 then return Host.twice(i) end end})
        local s = 0 for _, v in ipairs(t) do s = s + v end return s""",
        12,
    ),
    "tostring": ("return tostring(setmetatable({}, {__tostring = function() return Host.echo('text') end}))", "text"),
    "format": (
        "return string.format('<%s|%5s>', setmetatable({}, {__tostring = function() return Host.echo('text') end}), 'x')",
        "<text|    x>",
    ),
    "sort_comparator": (
        "local t = {3, 1, 2} table.sort(t, function(a, b) return Host.twice(a) < Host.twice(b) end) return table.concat(t, ' ')",
        "1 2 3",
    ),
    "sort_of_objects": (
        """local m = {__lt = function(a, b) return Host.twice(a.n) < Host.twice(b.n) end}
        local t = {setmetatable({n = 2}, m), setmetatable({n = 1}, m)} table.sort(t) return t[1].n""",
        1,
    ),
    "gsub_callback": ("return (('abc'):gsub('.', function(c) return Host.echo(c .. '!') end))", "a!b!c!"),
    "gsub_table": (
        "return (('abc'):gsub('.', setmetatable({}, {__index = function(_, c) return Host.echo(c .. '!') end})))",
        "a!b!c!",
    ),
    "table_insert": (
        "local t = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, Host.twice(v)) end}) table.insert(t, 4) return t[1]",
        8,
    ),
    "table_concat": (
        "return table.concat(setmetatable({}, {__index = function(_, i) return Host.twice(i) end, __len = function() return 3 end}), ' ')",
        "2 4 6",
    ),
    "table_unpack": (
        "return (select(3, table.unpack(setmetatable({}, {__index = function(_, i) return Host.twice(i) end}), 1, 3)))",
        6,
    ),
    "coroutine": (
        "local g = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(Host.twice(i)) end end) return g() + g() + g()",
        12,
    ),
    "coroutine_in_coroutine": (
        """local g = coroutine.wrap(function() local h = coroutine.wrap(function() for i = 1, 3 do
        coroutine.yield(Host.twice(i)) end end) for i = 1, 3 do coroutine.yield(h() + Host.twice(1)) end end)
        return g() + g() + g()""",
        18,
    ),
    "coroutine_failure": (
        "local ok, e = coroutine.resume(coroutine.create(function() Host.fail() end)) return tostring(ok) .. e.code",
        "falsenot-found",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_host_can_be_called_from(host, place):
    source, expected = PLACES[place]
    assert host.value(source) == expected


def test_call_where_nothing_can_wait_says_so(host):
    source = """
    local co = coroutine.create(function()
      local x <close> = setmetatable({}, {__close = function() Host.twice(1) end})
      coroutine.yield()
    end)
    coroutine.resume(co)
    local ok, e = coroutine.close(co)
    return {ok = ok, code = e.code, message = e.message}
    """
    result = host.value(source)
    assert (result["ok"], result["code"]) == (False, "not-yieldable")
    assert "twice" in result["message"]


def test_argument_count_and_nils_arrive_as_given(make_host):
    host = make_host({"count": lambda *args: len(args)})
    host.value("Host.count() Host.count(nil) Host.count(1, nil, nil) Host.count(nil, {}, nil, 4) return 1")
    assert [args for _, args in host.asked] == [[], [None], [1, None, None], [None, {}, None, 4]]


def test_aliases_reach_one_host_function(make_host):
    host = make_host({"get": lambda key: key}, bindings={"State": {"get": "get", "load": "get"}, "": {"fetch": "get"}})
    assert host.value("return State.get('a') .. State.load('b') .. fetch('c')") == "abc"
    assert [name for name, _ in host.asked] == ["get", "get", "get"]


def test_namespace_lists_its_functions_in_order(make_host):
    host = make_host({}, bindings={"State": {"set": "s", "get": "g"}})
    assert host.value("local o = {} for k in pairs(State) do o[#o+1] = k end return o") == ["get", "set"]


def test_events_carry_strand_and_ids(version, make_host):
    engine = make_host({"f": None}).engine
    (first,) = engine.start("Host.f(1) Host.f(2) return 'end'", "a.lua")
    assert first == HostCall(1, "f", [1], 1)
    (second,) = engine.settle(1, True)
    assert second == HostCall(2, "f", [2], 1)
    assert engine.settle(2, True) == [Done(1, True, "end", ("end",))]


def test_unknown_or_answered_call_is_refused(host):
    (event,) = host.engine.start("Host.echo(1)", "a.lua")
    with pytest.raises(InvalidInput) as caught:
        host.engine.settle(99, True)
    assert caught.value.code == "call-unknown"
    host.engine.settle(event.call_id, True)
    with pytest.raises(InvalidInput):
        host.engine.settle(event.call_id, True)


def test_unconvertible_answer_leaves_the_call_open(host):
    (event,) = host.engine.start("return Host.echo(1)", "a.lua")
    with pytest.raises(InvalidInput) as caught:
        host.engine.settle(event.call_id, True, {"a": [1, {2}]})
    assert caught.value.code == "not-convertible"
    assert "value.a[1]" in caught.value.message
    (done,) = host.engine.settle(event.call_id, True, "later")
    assert done.value == "later"


def test_print_and_warn_reach_the_host_as_text(host):
    host.value("print('a', 1, 2.0, nil, true) warn('@off') warn('lost') warn('@on') warn('be', 'ware') return 1")
    assert host.asked == [("print", ["a\t1\t2.0\tnil\ttrue"]), ("warn", ["beware"])]


def test_stopped_run_ends_and_the_engine_goes_on(host):
    (event,) = host.engine.start("Host.echo(1) return 'not reached'", "a.lua")
    (done,) = host.engine.stop(event.strand, "cancelled", "the caller went away")
    assert (done.ok, done.error.code, done.error.origin) == (False, "cancelled", "stopped")
    with pytest.raises(InvalidInput):
        host.engine.settle(event.call_id, True)
    with pytest.raises(InvalidInput):
        host.engine.stop(event.strand, "cancelled", "again")
    assert host.value("return 1") == 1


def test_closed_engine_refuses_everything(host):
    host.value("Host.echo(1)")
    host.engine.close()
    host.engine.close()
    for entry in (lambda: host.run("return 1"), lambda: host.call(1), lambda: host.engine.settle(1, True)):
        with pytest.raises(Conflict) as caught:
            entry()
        assert caught.value.code == "engine-closed"
    assert host.engine.used().host_calls == 1


def test_usage_counts_runs_calls_and_callbacks(make_host):
    host = make_host({"keep": lambda f: None})
    host.value("Host.keep(print) Host.keep(error) for i = 1, 1e5 do end return 1")
    used = host.engine.used()
    assert (used.runs, used.host_calls, used.open_calls, used.callbacks) == (1, 2, 0, 2)
    assert used.instructions >= 90_000
    assert used.memory_bytes > 100_000
