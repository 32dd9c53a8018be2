"""The libraries scripts see behave like Lua's own where they were replaced."""
# ruff: noqa: E501  a script on one line reads better than one broken anywhere

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.script.lua.runtime import MODULES, load_library
from tests.script.host import Host

VERSIONS = pytest.mark.parametrize("version", ["5.5", "5.4"])
_hosts: dict[str, Host] = {}


def shared(version):
    if version not in _hosts:
        _hosts[version] = Host(version, {})
    return _hosts[version]


# One expression per line; each must give what plain Lua gives.
SAME_AS_LUA = """
string.format('%5.2f|%d|%x|%q|%s|%10s|%-5s|%%', 3.14159, 42, 255, 'a\\nb', 'x', 'y', 'z')
string.format('%s %s %s', nil, true, 1.5)
string.format('%s', setmetatable({}, {__tostring = function() return 'T' end}))
string.format('%s', setmetatable({}, {__name = 'My'})):match('^My: ') ~= nil
('abc'):upper() .. ('ABC'):lower() .. ('abc'):reverse() .. ('abc'):rep(3, '-')
('hello world'):find('o', 6), ('hello'):find('l+'), ('a.b'):find('.', 1, true), ('abc'):find('b', -2), ('abc'):find('', 10)
('abc'):find(''), ('abc'):find('', 4), ('abc'):find('c', -100)
('key = value'):match('(%w+)%s*=%s*(%w+)')
('2024-01-02'):match('(%d+)-(%d+)-(%d+)')
('  trim  '):match('^%s*(.-)%s*$')
('f(a(b)c)d'):match('%b()'), ('THE (quick) fox'):find('%((%a+)%)')
('THE (quick) fox'):gsub('%f[%a]%a+', string.lower)
('hello'):gsub('', '-'), ('hello'):gsub('l', {l = 'L'}), ('hello'):gsub('.', {h = 1, e = false})
('hello world'):gsub('o', '0', 1), ('abc'):gsub('%w', '%0%0'), ('abc'):gsub('(a)(b)', '%2%1'), ('x'):gsub('x', '%%')
('abc'):gsub('b*', 'x'), ('abc'):gsub('^a', 'x'), ('aaa'):gsub('^a', 'x'), ('a,b,,c'):gsub(',', ';')
('hello'):gsub('()', function(p) return p end)
('one two'):gsub('(%w+) (%w+)', function(a, b) return b .. ' ' .. a end)
('x'):byte(), ('xyz'):byte(1, -1), string.char(72, 105), ('héllo'):len(), ('abc'):sub(-2), ('abc'):sub(2, 2)
(function() local o = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do o[#o+1] = k .. v end return table.concat(o, ' ') end)()
(function() local o = {} for w in ('^a^b'):gmatch('^%a') do o[#o+1] = w end return table.concat(o, ' ') end)()
(function() local o = {} for p in ('abc'):gmatch('()') do o[#o+1] = p end return table.concat(o, ' ') end)()
(function() local o = {} for w in ('abc'):gmatch('%a*') do o[#o+1] = '<' .. w .. '>' end return table.concat(o) end)()
(function() local o = {} for w in ('one two'):gmatch('%a+', 3) do o[#o+1] = w end return table.concat(o, ' ') end)()
string.pack('<i4s1', 7, 'ab'), string.unpack('<i4s1', string.pack('<i4s1', 7, 'ab')), string.packsize('i4i8')
(function() local t = {1, 2, 3} table.insert(t, 2, 'x') table.insert(t, 'y') return table.concat(t, ',') end)()
(function() local t = {1, 2, 3} return table.remove(t), table.remove(t, 1), table.remove({}), #t end)()
(function() return table.concat({1, 2.5, 'x'}, '-', 2, 3), table.concat({}), table.concat({1}, ',', 2) end)()
(function() local t = table.move({1, 2, 3}, 2, 3, 1) return t[1], t[2], t[3] end)()
(function() local t = table.move({1, 2, 3}, 1, 3, 2) return t[1], t[2], t[3], t[4] end)()
table.unpack({1, 2, nil, 4}, 1, 4)
select('#', table.unpack({}, 1, 3)), select(-1, 1, 2, 3), select(2, 'a', 'b', 'c')
table.pack(1, nil, 3).n
(function() local t = {5, 2, 8, 1} table.sort(t) return table.concat(t, ' ') end)()
(function() local t = {'b', 'a', 'C'} table.sort(t) return table.concat(t, ' ') end)()
(function() local t = {5, 2, 8, 1} table.sort(t, function(a, b) return a > b end) return table.concat(t, ' ') end)()
(function() local t = {} for i = 1, 300 do t[i] = (i * 7919) % 1000 end table.sort(t) return table.concat(t, ' ') end)()
math.floor(3.7), math.max(1, 2.5), math.type(1), math.type(1.0), math.type('1'), math.tointeger(3.0), 7 // 2, 7 % 3, 2^10
math.abs(-1), math.fmod(7, 3), math.ult(1, -1), math.pi, math.huge, math.maxinteger, math.ceil(1.2), math.sqrt(16)
tostring(1e15), tostring(2^53), tostring(-0.0), tostring(1/0), tostring(0/0):gsub('-', ''), 10 / 2, 1e100, 0.1
tonumber('0x10'), tonumber('  12  '), tonumber('1e1'), tonumber('z', 36), tonumber('8', 8), tonumber('abc'), tonumber(nil)
#'abc', 'a' .. 1 .. 2.0, '10' + 5, '3' * '4', 10 == '10', 'a' < 'b'
utf8.char(228, 8364), utf8.len('äö'), utf8.codepoint('ä'), utf8.offset('aäb', 3), utf8.len('\\xff')
(function() local o = {} for p, c in utf8.codes('aä') do o[#o+1] = p .. ':' .. c end return table.concat(o, ' ') end)()
(function() local o = {} for c in ('aäb'):gmatch(utf8.charpattern) do o[#o+1] = c end return #o end)()
rawequal('a', 'a'), rawlen({1, 2}), rawget(setmetatable({}, {__index = {x = 1}}), 'x'), next({}), type(next), type(nil)
pcall(error, 'm'), pcall(error), select('#', pcall(error, nil)), pcall(function() return 1, 2 end)
(function() local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
 return coroutine.resume(co, 1), select(2, coroutine.resume(co, 10)), coroutine.status(co), coroutine.resume(co) end)()
(function() local co co = coroutine.create(function() return coroutine.status(co), coroutine.isyieldable() end) return coroutine.resume(co) end)()
coroutine.isyieldable(), select(2, coroutine.running()), coroutine.close(coroutine.create(print))
(function() local co = coroutine.create(function() error('x', 0) end) coroutine.resume(co) return coroutine.close(co) end)()
(function() local g = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) return g(), g(), g() end)()
(function() goto done do return 1 end ::done:: return 2 end)()
(function(...) return select('#', ...) end)(nil, nil)
(function() local log = {} do local a <close> = setmetatable({}, {__close = function() log[#log+1] = 'a' end})
 local b <close> = setmetatable({}, {__close = function() log[#log+1] = 'b' end}) end return table.concat(log) end)()
(function() local t = setmetatable({}, {__index = function(_, k) return k * 2 end, __len = function() return 4 end}) return t[21], #t end)()
os.time{year = 2024, month = 2, day = 30, hour = 0}, os.time{year = 1999, month = 14, day = -3}, os.difftime(5, 3)
math.random(3, 3), pcall(math.random, 0, -1)
table.concat(setmetatable({1, 2}, {__index = {}}), ','), #table.pack(table.unpack(setmetatable({1, 2}, {})))
getmetatable(setmetatable({}, {__metatable = 'locked'})), pcall(setmetatable, setmetatable({}, {__metatable = 1}), {})
""".strip().replace("\n ", " ").split("\n")  # fmt: skip


@pytest.fixture(scope="module")
def plain():
    """Plain Lua of each version, in UTC."""
    return {
        version: load_library(version).LuaRuntime(encoding=None, unpack_returned_tuples=True) for version in MODULES
    }


SHOW = """
local function show(...)
  local o = {n = select('#', ...)}
  for i = 1, o.n do
    local v = (select(i, ...))
    o[i] = type(v) .. ':' .. (type(v) == 'table' and 'table' or tostring(v))
  end
  return table.concat(o, '|')
end
return show(%s)
"""


@pytest.mark.parametrize("expression", SAME_AS_LUA)
def test_expression_gives_what_plain_lua_gives(version, plain, expression, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    source = SHOW % expression
    expected = plain[version].execute(source.encode())
    value = shared(version).value(source)
    assert (value.encode() if isinstance(value, str) else value) == expected


@VERSIONS
@given(
    at=st.integers(-62_000_000_000, 250_000_000_000),
    directive=st.sampled_from(list("aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%")),
)
def test_date_formats_like_strftime_in_utc(version, at, directive):
    from datetime import UTC, datetime, timedelta

    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
    if moment.year < 1000 and directive in "cFGgCYy":
        return  # padding of short years differs between C libraries
    shown = shared(version).value("local d, at = ... return os.date('%' .. d, at)", directive, at)
    assert shown == moment.strftime("%" + directive)


@VERSIONS
@given(at=st.integers(-(10**14), 10**14))
def test_date_table_and_time_are_inverse(version, at):
    assert shared(version).value("local t = os.date('*t', ...) return os.time(t)", at) == at


def test_date_table_is_normalised(host):
    assert host.value("local t = {year = 2024, month = 14, day = 1, hour = 25} os.time(t) return {t.year, t.month, t.day, t.hour, t.wday, t.yday, t.isdst}") == [
        2025, 2, 2, 1, 1, 33, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "bad", ["{}", "{year = 2024}", "{year = 'x', month = 1, day = 1}", "{year = 1e12, month = 1, day = 1}", "5"]
)
def test_time_of_a_bad_table_is_refused(host, bad):
    assert host.error(f"local t = os.time({bad})").message.startswith("script.lua:1: ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)  # fmt: skip


@VERSIONS
@given(value=json_values)
def test_json_reads_what_python_writes_and_writes_what_python_reads(version, value):
    source = "local v = JSON.parse((...)) return {JSON.stringify(v), JSON.stringify(v, true), v}"
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        compact, pretty, parsed = shared(version).value(source, text)
        assert repr(json.loads(compact)) == repr(json.loads(pretty)) == repr(parsed)
        assert parsed == value
        assert json.dumps(parsed, sort_keys=True) == json.dumps(value, sort_keys=True)


BAD_JSON = {
    "": "line 1 column 1: text ends where a value was expected",
    "[1,": "text ends",
    "[1 2]": "line 1 column 4: ',' or ']' expected",
    '{"a" 1}': "':' expected",
    '{"a":1,}': "string expected as key",
    "{a:1}": "string expected as key",
    "[1,]": "value expected",
    "01": "leading zero",
    "1.": "malformed number",
    "1e": "malformed number",
    "-": "value expected",
    "+1": "value expected",
    "NaN": "value expected",
    "Infinity": "value expected",
    "tru": "value expected",
    "truex": "something follows",
    '"abc': "string is not closed",
    '"a\nb"': "control character",
    '"\\x"': "unknown escape",
    '"\\u12g4"': "four hexadecimal digits",
    '"\\ud800"': "half of a surrogate pair",
    '"\\ud800\\u0041"': "half of a surrogate pair",
    "9223372036854775808": "does not fit 64 bits",
    "1e999": "number is too large",
    "[1]\n\n  x": "line 3 column 3: something follows",
    "[" * 200: "nested deeper than 128",
    "'a'": "value expected",
    "// c": "value expected",
}


@pytest.mark.parametrize("text", BAD_JSON)
def test_bad_json_is_refused_with_its_place(host, text):
    error = host.error("return JSON.parse((...))", text)
    assert error.code == "json-invalid"
    assert error.message.startswith("JSON parse error at line ")
    assert BAD_JSON[text] in error.message


@pytest.mark.parametrize(
    "value, why",
    [
        ("(function() local t = {} t.t = t return t end)()", "contains itself"),
        ("{1, x = 2}", "mixes"),
        ("{a = 0/0}", "value.a: NaN"),
        ("'\\xff'", "not UTF-8"),
        ("print", "a function is not data"),
    ],
)
def test_what_json_cannot_hold_is_refused(host, value, why):
    error = host.error(f"return JSON.stringify({value})")
    assert error.message.startswith("JSON stringify error: value")
    assert why in error.message


def test_json_text_is_canonical(host):
    source = "return JSON.stringify({b = {}, a = array{}, c = 3.0, d = null, ['\\1'] = '\\127\"\\\\/'})"
    assert host.value(source) == '{"\\u0001":"\\u007f\\"\\\\/","a":[],"b":{},"c":3.0,"d":null}'
    assert host.value("return JSON.stringify({a = {1, {}}}, 2)") == '{\n  "a": [\n    1,\n    {}\n  ]\n}'
    assert host.value("return JSON.stringify(0.1)") == "0.1"
    assert host.value("return JSON.stringify(nil)") == "null"


def test_sort_with_comparator_is_stable(host):
    source = """
    local t = {}
    for i = 1, 200 do t[i] = {key = i % 7, place = i} end
    table.sort(t, function(a, b) return a.key < b.key end)
    for i = 2, #t do
      if t[i - 1].key > t[i].key then return 'unsorted' end
      if t[i - 1].key == t[i].key and t[i - 1].place > t[i].place then return 'unstable' end
    end
    return 'stable'
    """
    assert host.value(source) == "stable"


def test_script_may_extend_the_string_library(host):
    assert host.value("function string.shout(s) return s:upper() .. '!' end return ('a'):shout()") == "A!"


def test_float_text_is_shortest_in_json(host):
    for number in (1e-7, 123456789.125, math.pi, 5e-324, 1.7976931348623157e308, 1e16):
        assert float(host.value("return JSON.stringify((...))", number)) == number
