"""Hostile scripts that want all the memory, all the stack, or a loop inside C that no hook can stop."""

# ruff: noqa: E501  a script on one line reads better than one broken anywhere

from tests.script.attack_ends import ANY_LIMIT, BUDGET, DEEP, ERROR, MEMORY, REFUSED, Stopped

MEMORY_BOMBS = {
    "rep": ("return #string.rep('x', 2^30)", MEMORY),
    "rep_in_pcall": ("for i = 1, 50 do pcall(string.rep, 'x', 2^30) end return 'survived'", MEMORY),
    "rep_with_separator": ("return #string.rep('', 2^30, 'xy')", Stopped(MEMORY.codes | ERROR.codes)),
    "rep_overflow": ("return #string.rep('xx', math.maxinteger)", ERROR),
    "concat": ("local s = 'x' while true do s = s .. s end", MEMORY),
    "concat_in_pcall": ("local s = 'x' while true do pcall(function() s = s .. s end) end", MEMORY),
    "table": ("local t, i = {}, 0 while true do i = i + 1 t[i] = {i} end", MEMORY),
    "table_in_pcall": (
        "local t = {} while true do pcall(function() for i = 1, 1e9 do t[#t+1] = {} end end) end",
        MEMORY,
    ),
    "table_in_coroutine": (
        """local t = {} while true do local co = coroutine.create(function() for i = 1, 1e9 do t[#t+1] = {} end end)
        coroutine.resume(co) end""",
        MEMORY,
    ),
    "gsub_growth": ("return #string.rep('a', 30e6):gsub('a', 'bb')", ANY_LIMIT),
    "table_concat": (
        "local t = {} for i = 1, 1e6 do t[i] = '' end return #table.concat(t, string.rep('x', 1e6))",
        MEMORY,
    ),
    "format_width": ("return #string.format('%99999999d', 1)", ERROR),
    "pack_width": ("return #string.pack('c2147483647', 'x')", MEMORY),
    "coroutines": ("local t = {} while true do t[#t+1] = coroutine.create(print) end", MEMORY),
    "closures": ("local f = print while true do local g = f f = function() return g end end", MEMORY),
    "rep_in_metamethod": (
        "local t = setmetatable({}, {__index = function() return string.rep('x', 1e9) end}) while true do pcall(function() return t.a end) end",
        MEMORY,
    ),
    "rep_in_close": (
        "local x <close> = setmetatable({}, {__close = function() local s = string.rep('x', 1e9) end})",
        MEMORY,
    ),
    "bomb_in_error_tostring": (
        "error(setmetatable({}, {__tostring = function() return string.rep('x', 1e9) end}))",
        MEMORY,
    ),
    "huge_error_message": ("error(string.rep('x', 20e6), 0)", ERROR),
    "unpack": ("return select('#', table.unpack({}, 1, 1e8))", ERROR),
    "string_byte": ("return select('#', ('x'):rep(5e6):byte(1, -1))", ERROR),
    "utf8_codepoint": ("return select('#', utf8.codepoint(('x'):rep(5e6), 1, -1))", ERROR),
    "char_many": ("return #string.char(table.unpack({}, 1, 9e5))", Stopped(ERROR.codes | DEEP.codes)),
    "near_the_limit_then_host": (
        """local t = {} for i = 1, 45 do t[i] = string.rep(tostring(i % 10), 1e6) end
        for i = 1, 30 do t[#t + 1] = Host.echo(t[i]) end return 'kept'""",
        MEMORY,
    ),
    "callback_bomb_ends_the_main_run": (
        "Host.call(function() local s = 'x' while true do s = s .. s end end) return 'survived'",
        MEMORY,
    ),
    "names_of_many_tables": ("while true do local s = tostring({}) end", BUDGET),
    "compile_free_deep_nesting": ("local t = {} for i = 1, 1e7 do t = {t} end", MEMORY),
}

DEPTH = {
    "recursion": ("local function f() return 1 + f() end return f()", DEEP),
    "recursion_in_pcall": ("local function f() pcall(f) f() end return f()", DEEP),
    "recursion_through_pcall": ("local function f() return pcall(f) end return tostring(f())", "true"),
    "recursion_index": (
        "local t = {} setmetatable(t, {__index = function(t, k) return t[k .. 'x'] end}) return t.a",
        ANY_LIMIT,
    ),
    "recursion_tostring": (
        "local t = setmetatable({}, {}) getmetatable(t).__tostring = function(s) return tostring(s) end return tostring(t)",
        ANY_LIMIT,
    ),
    "recursion_concat": (
        "local m = {} m.__concat = function(a, b) return a .. b end local t = setmetatable({}, m) return t .. 'x'",
        ANY_LIMIT,
    ),
    "recursion_xpcall_handler": ("local function f() xpcall(error, f) end f()", ANY_LIMIT),
    "index_chain": (
        "local t = {} for i = 1, 1e5 do t = setmetatable({}, {__index = t}) end return tostring(pcall(function() return t.x end))",
        "false",
    ),
    "index_cycle": (
        "local t = {} setmetatable(t, {__index = t}) return tostring(pcall(function() return t.x end))",
        "false",
    ),
    "nested_coroutines": (
        "local function f() return coroutine.wrap(f)() end return tostring(pcall(f))",
        "false",
    ),
    "nested_gsub": ("local function f(s) return (s:gsub('.', f)) end return f('x')", ANY_LIMIT),
    "nested_sort": (
        "local function f() table.sort({1, 2, 3}, f) end f()",
        ANY_LIMIT,
    ),
}

LONG_IN_C = {
    "pattern_exponential": ("return string.find(string.rep('a', 40), string.rep('a*', 30) .. 'b')", BUDGET),
    "pattern_polynomial": ("return string.find(string.rep('a', 100000), '.-.-.-b')", BUDGET),
    "pattern_optional": (
        "return string.find(string.rep('a', 30), string.rep('a?', 30) .. string.rep('a', 31))",
        BUDGET,
    ),
    "pattern_quadratic": ("return string.find(string.rep('a', 1e6), '(a+)b')", BUDGET),
    "pattern_gsub": ("return string.gsub(string.rep('a', 5000), '.-.-.-b', '')", BUDGET),
    "pattern_gmatch": ("for _ in string.gmatch(string.rep('a', 5000), '.-.-.-b') do end", BUDGET),
    "pattern_balance": ("return string.find(string.rep('(', 1e6), '%b()')", BUDGET),
    "pattern_back_reference": ("return string.find(string.rep('a', 5000), '(.*)%1b')", BUDGET),
    "pattern_long_literal": ("return string.match(string.rep('a', 1e6), string.rep('a', 1e5) .. 'b')", BUDGET),
    "plain_find": ("return string.find(string.rep('a', 1e7), string.rep('a', 1e6) .. 'b', 1, true)", BUDGET),
    "plain_find_by_pattern": ("return string.find(string.rep('a', 1e7), string.rep('a', 1e6) .. 'b')", BUDGET),
    "pattern_malformed_late": ("return string.find(string.rep('a', 40), string.rep('a*', 30) .. 'b[')", ERROR),
    "table_move": ("return #table.move({1}, 1, 1e9, 2)", BUDGET),
    "rep_of_nothing": ("return string.rep('', math.maxinteger)", ""),
    "insert_with_huge_length": (
        "table.insert(setmetatable({}, {__len = function() return 1 << 53 end}), 1, 'x')",
        BUDGET,
    ),
    "remove_with_huge_length": (
        "table.remove(setmetatable({}, {__len = function() return 1 << 53 end}), 1)",
        BUDGET,
    ),
    "insert_with_forged_border": (
        "local t, i = {1}, 1 while i < 1 << 52 do i = i * 2 t[i] = 1 t[i - 1] = 1 end table.insert(t, 1, 'x') return 'done'",
        Stopped(BUDGET.codes | {"done"}),
    ),
    "sort_shared_long_strings": (
        "local s, t = string.rep('a', 1e7), {} for i = 1, 1e5 do t[i] = s end table.sort(t)",
        BUDGET,
    ),
    "sort_inconsistent": (
        "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() return true end) return #t",
        1000,
    ),
    "upper_in_loop": ("local s = string.rep('a', 2e7) while true do local u = s:upper() end", ANY_LIMIT),
    "concat_in_loop": ("local s = string.rep('a', 1e7) while true do local u = s .. 'x' end", ANY_LIMIT),
    "compare_in_loop": (
        "local a, b = string.rep('a', 2e7), string.rep('a', 2e7) while true do local c = a < b end",
        BUDGET,
    ),
    "utf8_len_in_loop": ("local s = string.rep('a', 2e7) while true do utf8.len(s) end", BUDGET),
    "unpack_in_loop": ("local s = string.rep('b', 2e5) while true do pcall(string.unpack, s, s) end", BUDGET),
    "tconcat_in_loop": (
        "local t = {} for i = 1, 1e5 do t[i] = 'x' end while true do local s = table.concat(t) end",
        BUDGET,
    ),
    "json_parse_in_loop": ("local s = '[' .. string.rep('1,', 1e5) .. '1]' while true do JSON.parse(s) end", BUDGET),
    "json_deep": ("return JSON.parse(string.rep('[', 1e6))", Stopped(frozenset({"json-invalid"}))),
    "tonumber_long": ("local s = string.rep('1', 3e7) while true do tonumber(s, 10) end", BUDGET),
    "pairs_over_big_table": (
        "local t = {} for i = 1, 1e5 do t['k' .. i] = i end while true do for k in pairs(t) do break end end",
        BUDGET,
    ),
    "concat_metamethods": (
        """local t = setmetatable({}, {__index = function() return 'x' end, __len = function() return 1 << 60 end})
        return table.concat(t)""",
        ANY_LIMIT,
    ),
}

VALUES = {
    "cycle": ("local t = {} t.t = t return Host.echo(t)", REFUSED),
    "deep": ("local t = {} for i = 1, 1e5 do t = {t} end return Host.echo(t)", REFUSED),
    "wide": ("local t = {} for i = 1, 1e6 do t[i] = i end return Host.echo(t)", REFUSED),
    "dag_blow_up": (
        "local t = {1} for i = 1, 100 do t = {t, t} end return Host.echo(t)",
        Stopped(REFUSED.codes | BUDGET.codes),
    ),
    # A machine that is busy may need longer to pass them than a script may take.
    "many_arguments": (
        "local t = {} for i = 1, 3e5 do t[i] = i end return Host.echo(table.unpack(t))",
        Stopped(REFUSED.codes | BUDGET.codes),
    ),
    "function_inside": ("return Host.echo({a = {function() end}})", REFUSED),
    "coroutine": ("return Host.echo(coroutine.create(print))", REFUSED),
    "nan": ("return Host.echo({0/0})", REFUSED),
    "infinity_argument": ("return Host.echo(1/0)", REFUSED),
    "namespace_as_data": ("return Host.echo(Host)", REFUSED),
    "binary_key": ("return Host.echo({['\\xff'] = 1})", REFUSED),
    "metamethods_do_not_run": (
        """local t = setmetatable({}, {__index = function() while true do end end, __len = function() while true do end end,
        __pairs = function() while true do end end}) return next(Host.echo(t)) == nil""",
        True,
    ),
    "hostile_callback_arguments": (
        "return Host.call(function(...) local a, b = ... return type(a) .. type(b) .. select('#', ...) end, {1, {2}}, 'x')",
        "tablestring2",
    ),
    "callback_returns_a_function": ("return Host.call(function() return function() end end)", "not-convertible"),
    "callback_yields": ("return Host.call(function() coroutine.yield(1) end)", "script-error"),
    "error_with_unconvertible_details": (
        "error({code = 'mine', message = 'm', details = {f = print}})",
        Stopped(frozenset({"mine"})),
    ),
    "huge_text_out_and_in": ("local s = string.rep('x', 8e6) return #Host.echo({s})[1]", 8000000),
}
