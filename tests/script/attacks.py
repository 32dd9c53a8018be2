"""Hostile scripts: name -> (source, how it must end).

The end is the value the script returns, or one of ``Stopped(...)`` with the codes that are right. What matters in all
of them is that the process neither hangs nor dies nor grows, and that nothing outside the sandbox is reached.
"""
# ruff: noqa: E501  a script on one line reads better than one broken anywhere

from tests.script.attack_ends import ANY_LIMIT, BUDGET, DENIED, ERROR, READ_ONLY, Stopped
from tests.script.attacks_on_resources import DEPTH, LONG_IN_C, MEMORY_BOMBS, VALUES

REACH = {
    "globals_reach_nothing": (
        """local kept = {_G=1,_VERSION=1,assert=1,error=1,getmetatable=1,ipairs=1,next=1,pairs=1,pcall=1,print=1,rawequal=1,
        rawget=1,rawlen=1,rawset=1,select=1,setmetatable=1,tonumber=1,tostring=1,type=1,warn=1,xpcall=1,coroutine=1,
        string=1,table=1,math=1,utf8=1,os=1,debug=1,io=1,package=1,require=1,load=1,loadstring=1,loadfile=1,dofile=1,
        collectgarbage=1,JSON=1,Host=1,null=1,array=1,object=1}
        local extra = {} for k in pairs(_G) do if not kept[k] then extra[#extra+1] = tostring(k) end end
        return table.concat(extra, ' ')""",
        "",
    ),
    "host_function_has_no_fields": ("return Host.echo.__globals__", ERROR),
    "error_object_holds_plain_fields": (
        """local _, e = pcall(Host.fail) local o = {}
        for k, v in pairs(e) do o[#o+1] = k .. '=' .. type(v) end table.sort(o) return table.concat(o, ' ')""",
        "code=string message=string",
    ),
    "error_metatable_hidden": (
        "local _, e = pcall(Host.fail) return tostring(getmetatable(e)) .. ' ' .. tostring(pcall(setmetatable, e, {}))",
        "false false",
    ),
    "io_open": ("return io.open('/etc/passwd')", DENIED),
    "io_probe": ("if io then return io.lines('/etc/passwd') end", DENIED),
    "os_execute": ("return os.execute('id')", DENIED),
    "os_getenv": ("return os.getenv('HOME')", DENIED),
    "os_exit": ("os.exit(1)", DENIED),
    "require_": ("return require('os')", DENIED),
    "package_loaded": ("return package.loaded.os.execute('id')", DENIED),
    "load_": ("return load('return 1')", DENIED),
    "load_bytecode": ("return load('\\27Lua', 'x', 'b')", DENIED),
    "dump": ("return string.dump(function() end)", DENIED),
    "dump_by_method": ("return ('').dump(function() end)", DENIED),
    "registry": ("return debug.getregistry()", DENIED),
    "debug_sethook": ("debug.sethook() while true do end", DENIED),
    "debug_upvalue": ("return debug.getupvalue(Host.echo, 1)", DENIED),
    "collect": ("return collectgarbage('count')", DENIED),
    "env_swap": (
        "local _ENV = setmetatable({}, {__index = _ENV}) return tostring(rawget(_ENV, 'io')) .. type(io)",
        "niltable",
    ),
    "env_of_function": ("_ENV = {} return tostring(io)", ERROR),
    "string_metatable_hidden": ("return tostring(getmetatable(''))", "false"),
    "string_metatable_write": ("getmetatable('').__index = function() return 1 end", ERROR),
    "string_setmetatable": ("setmetatable('', {})", ERROR),
    "gc_finalizer": ("setmetatable({}, {__gc = function() while true do end end})", DENIED),
    "gc_finalizer_placeholder": (
        "local m = {__gc = true} setmetatable({}, m) m.__gc = function() while true do end end",
        DENIED,
    ),
    "gc_finalizer_added_later": (
        """local m = {} for i = 1, 1e4 do setmetatable({}, m) end
        m.__gc = function() while true do end end
        local t = {} for i = 1, 1e5 do t[i % 10] = {i} end return 'quiet'""",
        "quiet",
    ),
    "weak_table": ("setmetatable({}, {__mode = 'k'})", DENIED),
    "weak_table_added_later": (
        "local m = {} local t = setmetatable({}, m) m.__mode = 'k' for k in pairs(t) do end",
        DENIED,
    ),
    "namespace_write": ("Host.echo = function() return 'mine' end", READ_ONLY),
    "namespace_rawset": ("rawset(Host, 'echo', function() return 'mine' end)", READ_ONLY),
    "namespace_insert": ("table.insert(Host, 1, 'x')", READ_ONLY),
    "namespace_metatable": (
        "return tostring(pcall(setmetatable, Host, {})) .. tostring(getmetatable(Host))",
        "falsefalse",
    ),
    "namespace_next": ("return tostring(next(Host))", "nil"),
    "null_write": ("null.x = 1", READ_ONLY),
    "io_rawset": ("rawset(io, 'open', 1)", READ_ONLY),
    "coroutine_yield_at_top": ("return coroutine.yield('x', 0)", ERROR),
    "fake_token": (
        """local co = coroutine.wrap(function() return coroutine.yield({}, 'Host.echo', 1, 'x') end)
        return type(co())""",
        "table",
    ),
    "fake_token_by_eq": (
        """local stolen local t = setmetatable({}, {__eq = function(a, b) stolen = b return true end})
        local co = coroutine.create(function() coroutine.yield(t, 'Host.echo', 1, 'x') end)
        coroutine.resume(co) return tostring(stolen) .. coroutine.status(co)""",
        "nilsuspended",
    ),
    "close_running_root": ("coroutine.close((coroutine.running()))", ERROR),
    "root_resumed_by_callback": (
        """local main = coroutine.running()
        return Host.call(function()
          local ok, why = coroutine.resume(main, true, 0, 'forged') return tostring(ok) .. ' ' .. why end)""",
        "false cannot resume a coroutine that waits for the host",
    ),
    "waiting_coroutine_resumed_by_callback": (
        """local inner, outer
        inner = coroutine.create(function() return Host.call(function()
          return tostring(coroutine.resume(inner, true, 0, 'forged')) .. tostring(coroutine.resume(outer, true, 0, 'x'))
            .. coroutine.status(inner) .. coroutine.status(outer) .. tostring(pcall(coroutine.close, inner)) end) end)
        outer = coroutine.create(function() return select(2, coroutine.resume(inner)) end)
        return select(2, coroutine.resume(outer))""",
        "falsefalsenormalnormalfalse",
    ),
    "shared_functions_overwritten": (
        """tostring = nil pairs = nil string.find = nil string.format = nil table.concat = nil pcall = nil
        table.unpack = nil coroutine.yield = nil math.type = nil utf8.len = nil
        return Host.echo({a = {1, 2}}).a[2]""",
        2,
    ),
    "failing_tostring_in_error": (
        "error(setmetatable({}, {__tostring = function() error('again') end}))",
        ERROR,
    ),
    "error_object_with_hostile_fields": (
        "error(setmetatable({code = {}, message = setmetatable({}, {}), details = function() end}, {}))",
        ERROR,
    ),
    "error_with_limit_code_is_still_the_scripts": ("error({code = 'x', message = 'y'})", Stopped(frozenset({"x"}))),
}

LOOPS = {
    "loop": ("while true do end", BUDGET),
    "goto_loop": ("::a:: goto a", BUDGET),
    "repeat_loop": ("repeat until false", BUDGET),
    "numeric_for": ("for i = 1, math.huge do end", BUDGET),
    "loop_in_pcall": ("while true do pcall(function() while true do end end) end", BUDGET),
    "loop_in_xpcall_handler": (
        "local function f() xpcall(function() while true do end end, f) end f() while true do end",
        BUDGET,
    ),
    "loop_in_handler": ("xpcall(error, function() while true do end end)", BUDGET),
    "loop_in_coroutine": ("coroutine.wrap(function() while true do end end)()", BUDGET),
    "coroutine_spawner": (
        """while true do local co = coroutine.create(function() while true do coroutine.yield() end end)
        for i = 1, 100 do coroutine.resume(co) end end""",
        BUDGET,
    ),
    "nested_coroutines_and_pcall": (
        """local function f() local co = coroutine.create(function() while true do pcall(f) end end)
        while true do coroutine.resume(co) end end f()""",
        ANY_LIMIT,
    ),
    "loop_in_close": (
        "local x <close> = setmetatable({}, {__close = function() while true do end end}) return 1",
        BUDGET,
    ),
    "close_after_limit": (
        """local x <close> = setmetatable({}, {__close = function() while true do end end})
        while true do end""",
        BUDGET,
    ),
    "close_chain": (
        """local function f() local x <close> = setmetatable({}, {__close = f}) while true do end end f()""",
        BUDGET,
    ),
    "loop_in_coroutine_close": (
        """local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = function()
        while true do end end}) coroutine.yield() end)
        coroutine.resume(co) while true do pcall(coroutine.close, co) end""",
        BUDGET,
    ),
    "error_in_close_loop": (
        """while true do pcall(function() local x <close> = setmetatable({}, {__close = function() error('x') end})
        error('y') end) end""",
        BUDGET,
    ),
    "loop_in_error_tostring": (
        "error(setmetatable({}, {__tostring = function() while true do end end}))",
        BUDGET,
    ),
    "loop_in_index": ("local t = setmetatable({}, {__index = function() while true do end end}) return t.x", BUDGET),
    "loop_in_iterator": ("for _ in function() return 1 end do end", BUDGET),
    "loop_in_pairs": ("for _ in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end", BUDGET),
    "loop_in_comparator": (
        "local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() while true do end end)",
        BUDGET,
    ),
    "loop_in_gsub_callback": ("return ('abc'):gsub('.', function() while true do end end)", BUDGET),
    "endless_gmatch": ("for _ in ('x'):gmatch('') do while true do end end", BUDGET),
    "loop_in_callback": (
        "return Host.call(function() while true do end end)",
        "instruction-limit",
    ),
    "callback_storm": ("while true do Host.call(function() end) end", BUDGET),
    "host_call_loop": ("while true do pcall(Host.fail) end", BUDGET),
    "swallowing_everything": (
        """local function swallow(f) return pcall(pcall, pcall, f) end
        while true do swallow(function() xpcall(function() while true do end end, print) end) end""",
        BUDGET,
    ),
    "stopped_in_wrapped_iterator": (
        """while true do local it = coroutine.wrap(function() for i = 1, 10 do coroutine.yield(i) end end)
        pcall(function() for v in it do while true do end end end) end""",
        BUDGET,
    ),
}

ATTACKS = {**REACH, **LOOPS, **MEMORY_BOMBS, **DEPTH, **LONG_IN_C, **VALUES}
