"""State, as scripts see it."""

import pytest

from llmspell.model.scope import Scope
from tests.script.running import failure, go, ran, value


def test_a_value_written_by_the_short_form_is_read_by_the_long_one_and_the_other_way_round():
    assert value("State.save('k', 1) return State.load('global', 'k')") == 1
    assert value("State.set('global', 'k', 2) return State.get('k')") == 2
    assert value("State.set('Global', 'k', 3) return State.get('k')") == 3


def test_the_short_form_is_the_global_scope_of_the_store():
    async def work(store):
        await ran(store, "State.set('k', {a = 1})")
        return await store.state.get("k")

    assert go(work) == {"a": 1}


@pytest.mark.parametrize(
    "scope, meant",
    [("agent:a", Scope.agent("a")), ("user:u", Scope.user("u")), ("tool:t", Scope.tool("t")),
     ("workflow:w", Scope.workflow("w")), ("hook:h", Scope.hook("h")), ("anything", Scope.custom("anything"))],
)  # fmt: skip
def test_a_scope_is_what_its_text_says(scope, meant):
    async def work(store):
        outcome = await ran(store, f"State.set('{scope}', 'k', 'v') return State.get('{scope}', 'k')")
        return outcome.value, await store.state_of(meant).get("k")

    assert go(work) == ("v", "v")


@pytest.mark.parametrize(
    "literal",
    ["nil", "true", "0", "-1", "1.5", "3.0", "9223372036854775807", "'text'", "'ü\\0'", "{}", "array{}", "{1, 2}",
     "{a = {b = {c = null}}}", "{1, null, 3}", "''"],
)  # fmt: skip
def test_values_come_back_as_they_were_set(literal):
    script = f"""
    local v = {literal}
    State.set('k', v)
    local w = State.get('k')
    local function text(x) if x == nil then x = null end return JSON.stringify({{v = x}}) end
    return text(v) == text(w) and math.type(v) == math.type(w)
    """
    assert value(script) is True


def test_delete_says_whether_there_was_a_value():
    assert value("State.set('k', 1) return {State.delete('k'), State.delete('k'), State.exists('k')}") == [
        True, False, False,
    ]  # fmt: skip


def test_keys_are_listed_in_order_under_all_names():
    script = """
    for _, k in ipairs{'b', 'a', 'c/1', 'c/2'} do State.set('agent:x', k, 1) end
    return {State.list('agent:x'), State.list_keys('agent:x'), State.keys('agent:x', {prefix = 'c/'}),
            State.listKeys('agent:x', {after = 'b', limit = 1}), State.list()}
    """
    every = ["a", "b", "c/1", "c/2"]
    assert value(script) == [every, every, ["c/1", "c/2"], ["c/1"], []]


def test_many_keys_are_set_in_one_transaction_and_read_together():
    script = """
    local versions = State.set_many('agent:x', {a = 1, b = {2}})
    return {versions, State.getMany('agent:x', {'a', 'b', 'missing'})}
    """
    assert value(script) == [{"a": 1, "b": 1}, {"a": 1, "b": [2]}]


def test_a_write_can_require_a_version():
    script = """
    local v = State.set('global', 'k', 'one', {if_version = 0})
    local ok, e = pcall(State.set, 'global', 'k', 'two', {if_version = 0})
    return {v, ok, e.code, State.set('global', 'k', 'three', {ifVersion = v}), State.get('k')}
    """
    assert value(script) == [1, False, "conflict", 2, "three"]


def test_a_value_with_a_time_to_live_says_when_it_ends():
    script = "State.set('global', 'k', 1, {ttl_s = 100}) return State.entry('k').expires_at ~= nil"
    assert value(script) is True


def test_entry_and_history_tell_versions():
    script = """
    State.set('k', 'a') State.set('k', 'b') State.delete('k')
    local h = State.history('k')
    return {#h, h[1].operation, h[2].value, h[3].version, State.entry('k') == nil}
    """
    assert value(script) == [3, "deleted", "b", 1, True]


def test_forms_for_agents_tools_and_workflows():
    script = """
    State.agent_set('a', 'k', 1) State.toolSet('t', 'k', 2) State.set('workflow:w', 'step1', 3)
    return {State.agentGet('a', 'k'), State.tool_get('t', 'k'), State.workflow_get('w', 'step1'),
      State.workflow_list('w'),
            State.get('agent:a', 'k')}
    """
    assert value(script) == [1, 2, 3, ["step1"], 1]


def test_clear_names_its_scope():
    assert value("State.set('agent:x', 'a', 1) State.set('agent:x', 'b', 1) return State.clear('agent:x')") == 2
    assert failure("State.clear()").code == "invalid-argument"


@pytest.mark.parametrize("key", ["test:x", "temp:x", "benchmark:y"])
def test_no_key_is_special(key):
    async def work(store):
        await ran(store, f"State.set('{key}', 1)")
        return [entry.data["key"] for entry in (await store.timeline(kinds=["state.set"]))]

    assert go(work) == [key]


def test_nested_tables_of_the_same_shape_are_no_cycle():
    assert value("local t = {n = 1} State.set('k', {a = t, b = t, c = {d = t}}) return State.get('k').c.d.n") == 1


def test_an_error_has_code_and_message_and_keeps_its_python_cause():
    assert value("local ok, e = pcall(State.get, 'x:\\0') return {ok, e.code, type(e.message)}") == [
        False, "invalid-key", "string",
    ]  # fmt: skip
    error = failure("State.set('global', 'k', 1, {if_version = 7})")
    assert error.code == "conflict"
    assert type(error.__cause__).__name__ == "Conflict"
    assert error.__cause__.__traceback__ is not None
