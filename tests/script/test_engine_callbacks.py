"""Functions of the script that the host runs, also while the script waits."""

import pytest

from llmspell.errors import InvalidInput
from llmspell.script.engine import CallbackRef
from tests.script.host import Host


@pytest.fixture
def keeper(make_host):
    functions = {"keep": None, "echo": lambda v: v, "now": lambda f, *args: host.call(f, *args).value}
    host: Host = make_host(functions)
    host.functions["keep"] = host.kept.append
    return host


def test_callback_runs_after_the_script_ended(keeper):
    keeper.value("local n = 0 Host.keep(function(by) n = n + by return n end)")
    assert keeper.kept == [CallbackRef(1)]
    assert keeper.call(keeper.kept[0], 5).value == 5
    assert keeper.call(keeper.kept[0], 2).value == 7


def test_callback_runs_while_the_script_waits(keeper):
    assert (
        keeper.value("local seen local r = Host.now(function(a) seen = a return a .. '!' end, 'x') return seen .. r")
        == "xx!"
    )


def test_callback_calls_the_host_and_another_callback_runs_meanwhile(keeper):
    source = """
    return Host.now(function(a)
      return Host.now(function(b) return Host.echo(b) .. Host.echo('c') end, a .. 'b')
    end, 'a')
    """
    assert keeper.value(source) == "abc"


def test_runs_may_settle_in_any_order(keeper):
    engine = keeper.engine
    (main,) = engine.start("local f = function(x) return Host.echo(x) end Host.keep(f) return Host.echo('m')", "a.lua")
    (main,) = engine.settle(main.call_id, True)
    (first,) = engine.call(1, ["one"])
    (second,) = engine.call(1, ["two"])
    assert len({main.strand, first.strand, second.strand}) == 3
    assert engine.settle(first.call_id, True, 1)[0].value == 1
    assert engine.settle(main.call_id, True, 0)[0].value == 0
    assert engine.settle(second.call_id, True, 2)[0].value == 2


def test_same_function_is_the_same_callback_until_released_as_often(keeper):
    keeper.value("local f = function() return 1 end Host.keep(f) Host.keep(f) Host.keep(function() end)")
    first, again, other = keeper.kept
    assert first == again != other
    keeper.engine.release(first.id)
    assert keeper.call(first).value == 1
    keeper.engine.release(first.id)
    with pytest.raises(InvalidInput) as caught:
        keeper.call(first)
    assert caught.value.code == "callback-unknown"
    with pytest.raises(InvalidInput):
        keeper.engine.release(first.id)


def test_callback_comes_back_to_lua_as_the_function(make_host):
    host = make_host({"same": lambda f: f})
    assert host.value("local f = function() end return Host.same(f) == f") is True
    assert host.run("Host.same(function(g) return g end)").ok


def test_callback_given_as_argument_is_the_function(keeper):
    keeper.value("Host.keep(function(g) return g == print end) Host.keep(print)")
    apply, function = keeper.kept
    assert keeper.call(apply, function).value is True


def test_unknown_callback_cannot_be_an_answer(make_host):
    engine = make_host({"f": None}).engine
    (event,) = engine.start("return Host.f()", "a.lua")
    with pytest.raises(InvalidInput):
        engine.settle(event.call_id, True, CallbackRef(77))
    assert engine.settle(event.call_id, True, 1)[0].ok


def test_function_inside_a_table_needs_permission(make_host):
    seen = []
    host = make_host({"register": seen.append, "store": seen.append}, nested={"register"})
    assert host.run("Host.register{name = 'n', steps = {print}}").ok
    assert seen == [{"name": "n", "steps": [CallbackRef(1)]}]
    error = host.error("Host.store{name = 'n', steps = {print}}")
    assert error.code == "not-convertible"
    assert "store: argument 1.steps[1]: a function is not data" in error.message


def test_refused_arguments_register_no_callback(make_host):
    host = make_host({"register": lambda *a: None}, nested={"register"})
    host.error("Host.register(function() end, {function() end, 0/0})")
    assert host.engine.used().callbacks == 0


def test_failing_callback_ends_only_its_own_run(keeper):
    keeper.value("Host.keep(function() local x = nil return x.field end)")
    done = keeper.call(keeper.kept[0])
    assert not done.ok
    assert "script.lua:1: attempt to index a nil value" in done.error.message
    assert "script.lua:1:" in done.error.traceback
    assert keeper.value("return 'alive'") == "alive"


def test_looping_callback_ends_only_its_own_run(make_host):
    from llmspell.script.engine import Limits

    codes = []

    def now(f):
        codes.append(host.call(f).error.code)

    host = make_host({"now": now}, limits=Limits(instructions=500_000))
    assert (
        host.value("Host.now(function() while true do end end) Host.now(function() while true do end end) return 1")
        == 1
    )
    assert codes == ["instruction-limit"] * 2


def test_callback_arguments_that_cannot_cross_are_refused_by_path(keeper):
    keeper.value("Host.keep(function() end)")
    with pytest.raises(InvalidInput, match=r"argument 2\.a"):
        keeper.call(keeper.kept[0], 1, {"a": object()})
