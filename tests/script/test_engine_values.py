"""What becomes of every value on its way between Python and Lua."""

import enum
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.script.engine import VALUE_NODES_MAX, CallbackRef
from tests.script.host import Host

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary().filter(lambda b: not _is_text(b))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
)


class Coloured(enum.IntEnum):
    RED = 1


_hosts: dict[str, Host] = {}
_callbacks: dict[str, CallbackRef] = {}


def _is_text(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return a == b


@pytest.mark.parametrize("version", ["5.5", "5.4"])
@given(value=values)
def test_value_comes_back_as_it_went(version, value):
    host = _hosts.setdefault(version, Host(version, {"give": lambda: None, "take": lambda v: None}))
    host.functions["give"] = lambda: value
    host.asked.clear()
    done = host.run("local v = Host.give() Host.take(v) return v")
    assert done.ok, done.error
    assert _same(host.asked[1][1][0], value)
    assert _same(done.value, value)


@pytest.mark.parametrize("version", ["5.5", "5.4"])
@given(value=values)
def test_value_comes_back_from_a_callback_as_it_went(version, value):
    host = _hosts.setdefault(version, Host(version, {"give": lambda: None, "take": lambda v: None}))
    if version not in _callbacks:
        host.asked.clear()
        host.value("Host.take(function(v) return v end)")
        _callbacks[version] = host.asked[0][1][0]
    assert _same(host.call(_callbacks[version], value).value, value)


FROM_LUA = {
    "integer": ("9007199254740993", 9007199254740993),
    "largest_integer": ("math.maxinteger", 2**63 - 1),
    "smallest_integer": ("math.mininteger", -(2**63)),
    "float_of_whole_value": ("6 / 2", 3.0),
    "negative_zero": ("-0.0", -0.0),
    "empty_table": ("{}", {}),
    "empty_array": ("array{}", []),
    "array_without_argument": ("array()", []),
    "empty_object": ("object{}", {}),
    "array_unmarked": ("object(array{})", {}),
    "list": ("{1, 'a', true, 2.5}", [1, "a", True, 2.5]),
    "list_with_null": ("{1, null, 3}", [1, None, 3]),
    "null_field": ("{a = null}", {"a": None}),
    "nested": ("{a = {b = {{}}}}", {"a": {"b": [{}]}}),
    "keys_sorted": ("{b = 1, a = 2, c = 3}", {"a": 2, "b": 1, "c": 3}),
    "text": ("'grüße \\u{1F600}'", "grüße \U0001f600"),
    "text_with_zero": ("'a\\0b'", "a\0b"),
    "bytes": ("'\\xff\\xfe'", b"\xff\xfe"),
    "surrogate_as_bytes": ("'\\xed\\xa0\\x80'", b"\xed\xa0\x80"),
    "instance_of_a_class": ("setmetatable({x = 1}, {__index = {y = 2}})", {"x": 1}),
    "numeric_text_keys": ("{['1'] = 'a'}", {"1": "a"}),
    "shared_table_twice": ("(function() local t = {1} return {t, t} end)()", [[1], [1]]),
    "deepest": ("(function() local t = {} for i = 1, 127 do t = {t} end return t end)()", None),
}


@pytest.mark.parametrize("case", FROM_LUA)
def test_lua_value_arrives_as(host, case):
    expression, expected = FROM_LUA[case]
    value = host.value(f"return {expression}")
    if expected is not None:
        assert _same(value, expected)
        assert list(value) == list(expected) if isinstance(expected, dict) else True


REFUSED = {
    "mixture": ("{1, 2, name = 'n'}", 'result 1: table mixes list items 1..2 with key "name"'),
    "hole": ("{1, nil, 3}", "result 1: list has no item 2"),
    "sparse": ("{[5] = 1}", "result 1: list has no item 1"),
    "zero_index": ("{[0] = 1}", "list has no item 1"),
    "float_key": ("{[1.5] = 1}", "key 1.5 is neither"),
    "boolean_key": ("{[true] = 1}", "key a boolean is neither"),
    "table_key": ("{[{}] = 1}", "key a table is neither"),
    "list_in_object": ("object{1}", "object{} has an integer key"),
    "name_in_array": ("array{a = 1}", 'with key "a"'),
    "function": ("{a = {b = print}}", "result 1.a.b: a function is not data"),
    "coroutine": ("{coroutine.create(print)}", "result 1[1]: a thread is not data"),
    "nan": ("{a = 0/0}", "result 1.a: NaN cannot be stored"),
    "infinity": ("{-1/0}", "result 1[1]: -infinity cannot be stored"),
    "cycle": ("(function() local t = {} t.me = {t} return t end)()", "result 1.me[1]: table contains itself"),
    "depth": ("(function() local t = {} for i = 1, 128 do t = {t} end return t end)()", "nested deeper than 128"),
    "namespace": ("{Host}", "result 1[1]: Host is not data"),
    "odd_key_in_path": ("{['a b'] = {print}}", 'result 1["a b"][1]'),
    "binary_key": ("{['\\xff'] = 1}", "key is not UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_lua_value_is_refused_by_path(host, case):
    expression, message = REFUSED[case]
    error = host.error(f"return {expression}")
    assert error.code == "not-convertible"
    assert message in error.message


def test_refusal_can_be_caught_and_names_function_and_argument(host):
    assert host.value("local ok, e = pcall(Host.echo, 1, {x = {print}}) return e.message").startswith(
        "echo: argument 2.x[1]:"
    )


def test_more_values_than_allowed_are_refused(host):
    assert (
        "more than 200000 values"
        in host.error(f"local t = {{}} for i = 1, {VALUE_NODES_MAX} do t[i] = i end return t").message
    )


PYTHON_REFUSED = {
    "big_integer": (2**63, "value: the integer of 64 bits"),
    "big_integer_inside": ({"a": [1, -(2**63) - 1]}, "value.a[1]: the integer"),
    "nan": ([math.nan], "value[0]: nan"),
    "infinity": (math.inf, "value: inf"),
    "tuple": ({"a": (1,)}, "value.a: a tuple is not data"),
    "object": (object(), "value: a object is not data"),
    "integer_key": ({1: 2}, "value: the key 1 is a int"),
    "surrogate": ("\ud800", "lone surrogate"),
    "surrogate_inside": ({"a": "\ud800"}, "lone surrogate"),
    "subclass_of_int": (Coloured.RED, "value: a Coloured is not data"),
}


@pytest.mark.parametrize("case", PYTHON_REFUSED)
def test_python_value_is_refused_by_path(make_host, case):
    value, message = PYTHON_REFUSED[case]
    engine = make_host({"f": None}).engine
    (event,) = engine.start("return Host.f()", "a.lua")
    with pytest.raises(InvalidInput) as caught:
        engine.settle(event.call_id, True, value)
    assert caught.value.code == "not-convertible"
    assert message in caught.value.message


def test_python_cycle_is_refused(make_host):
    engine = make_host({"f": None}).engine
    (event,) = engine.start("return Host.f()", "a.lua")
    cycle = []
    cycle.append(cycle)
    with pytest.raises(InvalidInput, match="contains itself"):
        engine.settle(event.call_id, True, cycle)


def test_python_values_as_lua_sees_them(make_host):
    host = make_host({"give": lambda: {"none": None, "list": [], "map": {}, "int": 3, "float": 3.0, "bytes": b"\xff"}})
    source = """
    local v = Host.give()
    return {v.none == null, tostring(v.none), type(v.none), #v.list, math.type(v.int), math.type(v.float), #v.bytes,
      getmetatable(v.list) == nil, Host.give().list ~= v.list}
    """
    assert host.value(source) == [True, "null", "table", 0, "integer", "float", 1, True, True]


def test_list_emptied_by_the_script_stays_a_list(make_host):
    host = make_host({"give": lambda: [1, 2]})
    assert host.value("local v = Host.give() table.remove(v) table.remove(v) return {v}") == [[]]


def test_list_from_python_may_get_a_metatable_of_the_script(make_host):
    host = make_host({"give": lambda: [1, 2]})
    assert (
        host.value(
            "local v = setmetatable(Host.give(), {__index = {sum = function(s) return s[1] + s[2] end}}) return v:sum()"
        )
        == 3
    )


def test_none_is_nil_as_answer_argument_and_result(make_host):
    kept = []
    host = make_host({"none": lambda: None, "keep": kept.append})
    assert host.value("Host.keep(function(a) return type(a) end) return type(Host.none())") == "nil"
    assert host.call(kept[0], None).value == "nil"
    assert host.run("return nil, 2").values == (None, 2)


def test_script_arguments_are_the_dots(host):
    assert host.value("local a, b = ... return {a, b.x, select('#', ...)}", "first", {"x": 2}, None) == ["first", 2, 3]


def test_one_megabyte_crosses_both_ways_unchanged(make_host):
    blob = bytes(range(256)) * 4096
    host = make_host({"give": lambda: blob, "take": lambda v: v == blob})
    assert host.value("return Host.take(Host.give())") is True
