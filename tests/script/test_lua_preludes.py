"""Trusted Lua of the binding layer: namespaces, handles, and what a script cannot do to them."""
# ruff: noqa: E501  a script on one line reads better than one broken anywhere

import pytest

from llmspell.errors import InvalidInput
from llmspell.script.engine import Prelude

HANDLES = Prelude(
    "handles",
    """
    local Hook = namespace('Hook')
    local function handle(id)
      local methods = {}
      function methods.unregister(self) return host('hook.remove', id) end
      function methods.id() return id end
      return freeze(methods, 'hook', 'hook ' .. id)
    end
    function Hook.on(point, fn)
      if type(fn) ~= 'function' then fail('invalid-input', 'Hook.on needs a function') end
      return handle(host('hook.add', point, fn))
    end
    define('Utils', {shout = function(s) return string.upper(s) end})
    globals.ANSWER = 42
    """,
)


@pytest.fixture
def hooks(make_host):
    return make_host(
        {"hook.add": lambda point, fn: 7, "hook.remove": lambda number: number == 7},
        bindings={"Hook": {"list": "hook.list"}},
        preludes=(HANDLES,),
    )


def test_handle_has_methods_that_call_the_host(hooks):
    assert hooks.value("local h = Hook.on('before_state_set', function() end) return {h:id(), h:unregister(), tostring(h)}") == [
        7, True, "hook 7",
    ]  # fmt: skip


def test_handle_and_namespace_are_read_only(hooks):
    assert hooks.error("local h = Hook.on('p', print) h.unregister = nil").code == "read-only"
    assert hooks.error("Hook.on = nil").code == "read-only"
    assert hooks.error("rawset(Hook.on('p', print), 'x', 1)").code == "read-only"


def test_prelude_adds_to_a_bound_namespace_and_to_globals(hooks):
    assert hooks.value("return {type(Hook.list), type(Hook.on), Utils.shout('a'), ANSWER}") == [
        "function",
        "function",
        "A",
        42,
    ]


def test_prelude_failure_carries_its_code(hooks):
    error = hooks.error("local h = Hook.on('p', 5)")
    assert (error.code, error.message) == ("invalid-input", "Hook.on needs a function")
    assert "script.lua:1:" in error.traceback


def test_script_cannot_change_the_libraries_of_a_prelude(hooks):
    assert hooks.value("string.upper = function() return 'mine' end type = nil return Utils.shout('a')") == "A"
    assert hooks.value("return Hook.on('p', print):id()") == 7


def test_script_sees_nothing_of_the_preludes_own_names(hooks):
    assert (
        hooks.value("return {host == nil, define == nil, namespace == nil, freeze == nil, globals == nil, fail == nil}")
        == [True] * 6
    )


def test_runs_count_from_one_after_preludes(hooks):
    assert hooks.run("return 1").run_id == 1
    assert hooks.engine.used().runs == 1


@pytest.mark.parametrize(
    "source, message",
    [
        ("local x = = 1", "broken:1:"),
        ("error('no')", "no"),
        ("host('x')", "called the host"),
        ("while true do end", "was stopped"),
    ],
)
def test_broken_prelude_is_refused_by_name(make_host, source, message):
    from llmspell.script.engine import Limits

    with pytest.raises(InvalidInput) as caught:
        make_host({}, preludes=(Prelude("broken", source),), limits=Limits(instructions=100_000))
    assert caught.value.code == "prelude-failed"
    assert "prelude 'broken' failed" in caught.value.message
    assert message in caught.value.message
