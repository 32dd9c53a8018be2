"""The three ways to match a pattern agree, and hard patterns are left to the one that can be stopped."""
# ruff: noqa: E501  a script on one line reads better than one broken anywhere

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell.script.lua.runtime import MODULES, load_library, prelude_sources

# Loads the kernel, values and pattern files alone and hands out their table.
BOOT = b"""
local K = {instruction_limit = 1, slice_s = 1.0, depth_limit = 1, memory_kib = 1.0, sorted_iteration = false}
for i, source in ipairs({...}) do
  load(source, '=(llmspell)', 't')(K)
  K.tick = function() end
end
function K.blame(message) error(message, 0) end
return K
"""
CALL = b"local f, s, p, from, anchors = ... return table.pack(pcall(f, s, p, from, anchors))"
_kernels: dict = {}


def kernel(version):
    if version not in _kernels:
        lua = load_library(version).LuaRuntime(encoding=None)
        sources = prelude_sources()
        table = lua.execute(BOOT, *sources[:3], sources[4])
        native = lua.eval(b"string.find")
        _kernels[version] = (lua, table, native, lua.eval(b"function(...) " + CALL + b" end"))
    return _kernels[version]


def outcome(result):
    items = [result[i] for i in range(1, result[b"n"] + 1)]
    if items[0] is False:
        return ("error", items[1].rsplit(b": ", 1)[-1] if b": " in items[1] else items[1])
    while items and items[-1] is None:
        items.pop()
    return items


classes = st.sampled_from(
    ["a", "b", ".", "%a", "%d", "%s", "%w", "%W", "[ab]", "[^a]", "[a-c]", "[%a_]", "[]]", "[^]a]", "%.", "[a-]"]
)
single = st.builds(lambda c, s: c + s, classes, st.sampled_from(["", "", "*", "+", "-", "?"]))
item = single | st.sampled_from(["()", "%b()", "%f[%a]", "%1", "(", ")", "$", "^", "%"])
grouped = st.recursive(
    st.lists(single, max_size=3).map("".join),
    lambda inner: st.lists(inner | inner.map("({})".format), max_size=3).map("".join),
    max_leaves=4,
)
patterns = st.builds(
    lambda head, body, tail: head + body + tail,
    st.sampled_from(["", "^"]), grouped | st.lists(item, max_size=5).map("".join), st.sampled_from(["", "$", "%1"]),
)  # fmt: skip
subjects = st.text("abc1_ .()]-^", max_size=12)


@pytest.mark.parametrize("version", MODULES)
@settings(max_examples=200)
@given(subject=subjects, pattern=patterns, start=st.integers(1, 13))
def test_matchers_agree_with_the_native_one(version, subject, pattern, start):
    _, table, native, call = kernel(version)
    start = min(start, len(subject) + 1)
    s, p = subject.encode(), pattern.encode()
    special = any(c in pattern for c in "^$*+?.([%-")
    if not special:
        return  # the native function searches for it as plain text
    expected = outcome(call(native, s, p, start, None))
    compiled = outcome(call(table[b"pattern_compiled"], s, p, start, True))
    if compiled and compiled[0] == "error" and not (expected and expected[0] == "error"):
        # The native matcher notices a defect only when it gets there.
        assert any(word in compiled[1] for word in (b"malformed", b"capture"))
        return
    if expected and expected[0] == "error":
        assert compiled[:1] in (["error"], ("error",))
        return
    assert compiled == expected
    if not pattern.startswith("^"):
        assert outcome(call(table[b"pattern_stepwise"], s, p, start, None)) == expected
    assert outcome(call(table[b"search"], s, p, start, True)) == expected


@pytest.mark.parametrize("version", MODULES)
@given(subject=subjects, needle=st.text("ab.", min_size=1, max_size=3), start=st.integers(1, 12))
def test_plain_search_in_windows_agrees(version, subject, needle, start):
    _, table, native, call = kernel(version)
    start = min(start, len(subject) + 1)
    expected = outcome(call(native, subject.encode(), needle.encode(), start, True))
    assert outcome(call(table[b"plain_search"], subject.encode(), needle.encode(), start, None)) == expected


def tier(version, pattern, length):
    _, table, _, call = kernel(version)
    return call(table[b"pattern_tier"], pattern.encode(), length, True)[2]


@pytest.mark.parametrize(
    "pattern, length, expected",
    [
        ("%s+", 100_000, 1), ("^%s+", 10_000_000, 1), ("(%w+)=(%w+)", 1000, 1), ("[^,]+", 1_000_000, 1),
        ("(%w+)=(%w+)", 1_000_000, 2), ("%s+$", 1_000_000, 2),
        ("a*a*a*b", 100_000, 3), ("a?" * 30 + "a" * 30, 30, 3), ("^(.-)%s*(.-)x", 1_000_000, 3), ("[", 1, 3),
    ],
)  # fmt: skip
def test_pattern_goes_to_the_matcher_it_needs(version, pattern, length, expected):
    assert tier(version, pattern, length) == expected


def test_long_texts_are_still_handled(host):
    source = """
    local words = {}
    for i = 1, 20000 do words[i] = 'key' .. i .. '=value' .. i end
    local text = '  ' .. table.concat(words, ' \\n ') .. '  '
    local n, last = 0, nil
    for k, v in text:gmatch('(%w+)=(%w+)') do n, last = n + 1, k .. v end
    local trimmed = text:match('^%s*(.-)%s*$')
    local replaced, count = text:gsub('(%w+)=(%w+)', '%2=%1')
    local upper, m = text:gsub('key(%d+)', function(d) return 'KEY' .. d end)
    return {n, last, #text - #trimmed, count, replaced:sub(3, 13), m, upper:sub(3, 6), text:find('value20000%s*$') ~= nil}
    """
    assert host.value(source) == [20000, "key20000value20000", 4, 20000, "value1=key1", 20000, "KEY1", True]
