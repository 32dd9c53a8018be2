"""The same script, seeds and answers give the same events, in any process."""
# ruff: noqa: E501  a script on one line reads better than one broken anywhere

import json
import subprocess
import sys

import pytest

from llmspell.errors import InvalidInput
from llmspell.script.engine import Prelude, Seeds

PROGRAM = """
local r = {}
for i = 1, 20 do r['k' .. math.random(1000)] = math.random() end
local o = {}
for k, v in pairs(r) do o[#o + 1] = k .. '=' .. v end
math.randomseed()
o[#o + 1] = math.random(1000000)
math.randomseed(42)
o[#o + 1] = math.random(1000000)
o[#o + 1] = tostring({}) .. tostring(print) .. tostring(coroutine.create(print))
o[#o + 1] = string.format('%p %s', {}, function() end)
o[#o + 1] = tostring(next({a = 1, b = 2, c = 3, d = 4}))
o[#o + 1] = os.date('%c', 86400)
return o
"""
RUNNER = """
import json, sys
from llmspell.script.engine import EngineOptions, Seeds
from llmspell.script.lua import LuaEngine
version, hash_seed, program = sys.argv[1], int(sys.argv[2]), sys.stdin.read()
engine = LuaEngine(EngineOptions(seeds=Seeds(string_hash=hash_seed, prng=99)), version=version)
print(json.dumps(engine.start(program, "p.lua")[0].value))
"""


def run_elsewhere(version, hash_seed):
    process = subprocess.run(
        [sys.executable, "-c", RUNNER, version, str(hash_seed)],
        input=PROGRAM, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(process.stdout)


def test_program_repeats_in_another_process(version, make_host):
    here = make_host({}, seeds=Seeds(string_hash=7, prng=99)).value(PROGRAM)
    assert run_elsewhere(version, 7) == here
    assert run_elsewhere(version, 7) == here


def test_seeds_change_what_is_random(make_host):
    def draws(seed):
        source = "local a = math.random(1 << 40) math.randomseed() return {a, math.random(1 << 40)}"
        return make_host({}, seeds=Seeds(prng=seed)).value(source)

    assert draws(1) == draws(1)
    assert not set(draws(1)) & set(draws(2))
    assert draws(2**64 - 1) != draws(0)


def test_seeds_out_of_range_are_refused(make_host):
    for bad in (Seeds(string_hash=-1), Seeds(string_hash=1 << 32), Seeds(prng=1 << 64)):
        with pytest.raises(InvalidInput):
            make_host({}, seeds=bad)


def test_lua_54_orders_pairs_whatever_the_insertion():
    from tests.script.host import Host

    host = Host("5.4", {})
    source = """
    local t = {}
    for _, k in ipairs{'b', 3, 'a', 2.5, true, -1, 'aa', 10} do t[k] = true end
    local o = {}
    for k in pairs(t) do o[#o + 1] = tostring(k) end
    local k = next(t)
    while k ~= nil do o[#o + 1] = tostring(k) k = next(t, k) end
    return table.concat(o, ' ')
    """
    assert host.value(source) == " ".join(["-1 2.5 3 10 a aa b true"] * 2)


def test_fields_may_be_removed_while_iterating(host):
    source = """
    local t, n = {}, 0
    for i = 1, 50 do t['k' .. i] = i end
    for k in pairs(t) do t[k] = nil n = n + 1 end
    local left = next(t)
    for i = 1, 50 do t['k' .. i] = i end
    for k in next, t do t[k] = nil n = n + 1 end
    return {n, left == nil, next(t) == nil}
    """
    assert host.value(source) == [100, True, True]


def test_next_sees_keys_added_since_an_iteration_was_left(host):
    source = """
    local t, seen = {a = 1, c = 3}, 0
    next(t, (next(t)))
    t.b, t.d = 2, 4
    local k = next(t)
    while k do seen = seen + 1 k = next(t, k) end
    return seen
    """
    assert host.value(source) == 4


def test_iterating_over_nameless_table_keys_is_refused(host):
    for loop in ("for k in pairs(t) do end", "for k in next, t do end"):
        error = host.error(f"local t = {{[{{}}] = 1, [{{}}] = 2, a = 3}} {loop}")
        assert error.code == "unordered-keys"


def test_single_table_key_can_be_iterated(host):
    assert host.value("local k = {} for key, v in pairs({[k] = 5}) do return key == k and v end") == 5
    assert host.value("local k = {} local key, v = next({[k] = 5}) return key == k and v") == 5


def test_named_table_keys_iterate_in_the_order_of_their_names(host):
    source = """
    local t, order = {}, {}
    local items = {}
    for i = 1, 20 do items[i] = {i} tostring(items[i]) end
    for i = 20, 1, -1 do t[items[i]] = i end
    for _, v in pairs(t) do order[#order + 1] = v end
    return order
    """
    assert host.value(source) == list(range(1, 21))


def test_names_of_tables_count_up(host):
    assert host.value("local a, b = {}, {} return {tostring(a), tostring(b), tostring(a), tostring(print)}") == [
        "table: 0x00000001", "table: 0x00000002", "table: 0x00000001", "function: 0x00000003",
    ]  # fmt: skip


def test_clock_is_the_hosts(make_host):
    host = make_host({"clock.now": lambda: 1_700_000_000.75, "clock.elapsed": lambda: 2})
    assert host.value("return {os.time(), os.date('!%Y-%m-%dT%H:%M:%SZ'), os.clock(), os.time{year=2000, month=1, day=1, hour=0}}") == [
        1_700_000_000, "2023-11-14T22:13:20Z", 2.0, 946_684_800,
    ]  # fmt: skip
    assert [name for name, _ in host.asked] == ["clock.now", "clock.now", "clock.elapsed"]


def test_info_names_what_a_record_needs(version, make_host):
    info = make_host({}, seeds=Seeds(string_hash=5, prng=6)).engine.info
    assert (info.name, info.language_version, info.prng_seed) == ("lua", version, 6)
    assert info.string_hash_seed == (5 if version == "5.5" else None)
    assert info.library_version.startswith("lupa ")
    assert len(info.prelude_digest) == 64


def test_digest_changes_with_trusted_code_and_bindings(make_host):
    digests = {
        make_host({}, bindings=bindings, preludes=preludes, nested=nested).engine.info.prelude_digest
        for bindings, preludes, nested in [
            (None, (), ()),
            ({"A": {"f": "x"}}, (), ()),
            ({"A": {"f": "y"}}, (), ()),
            (None, (Prelude("p", "local x = 1"),), ()),
            (None, (Prelude("p", "local x = 2"),), ()),
            (None, (), ("x",)),
        ]
    }
    assert len(digests) == 6
    assert make_host({}).engine.info == make_host({}).engine.info
