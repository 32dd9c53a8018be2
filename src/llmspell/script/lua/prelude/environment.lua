-- Environment: the globals of scripts, the namespaces of host functions, and the entries that start code.
--
-- What must stay true: scripts run in `env`, a table of its own; the runtime's real globals are unreachable from it.
-- Prelude code of the binding layer runs in another table with its own copies of the libraries, so that what a script
-- overwrites does not reach it.
local K = ...
local raw = K.raw
local type, select, rawget, setmetatable, next = type, select, rawget, setmetatable, next
local find, sub, format, concat, load = string.find, string.sub, string.format, table.concat, load
local MESSAGE_MAX = 65536        -- bytes of an error message that reach the host

-- Random numbers: the native generator under a recorded seed; randomseed() takes its seeds from a stream of that seed.
local seed_state = K.prng_seed
local function next_seed()
  seed_state = seed_state * 6364136223846793005 + 1442695040888963407
  return seed_state ~ (seed_state >> 29)
end
local function seeded(a, b)
  raw.math.randomseed(a, b)
  return a, b
end
seeded(next_seed(), next_seed())
local function randomseed(...)
  if select('#', ...) == 0 then return seeded(next_seed(), next_seed()) end
  return raw.math.randomseed(...)
end

-- Output --------------------------------------------------------------------------------------------------------------
local function print(...)
  local n, parts = select('#', ...), {...}
  for i = 1, n do parts[i] = K.tostring(parts[i]) end
  K.host('print', concat(parts, '\t'))
end
local warnings = true
local function warn(...)
  if select('#', ...) == 0 then K.blame("bad argument #1 to 'warn' (string expected, got no value)") end
  for i = 1, select('#', ...) do
    local v = select(i, ...)
    if type(v) ~= 'string' and type(v) ~= 'number' then
      K.blame('bad argument #' .. i .. " to 'warn' (string expected, got " .. type(v) .. ')')
    end
  end
  local message = concat({...})
  if select('#', ...) == 1 and sub(message, 1, 1) == '@' then
    if message == '@on' then warnings = true elseif message == '@off' then warnings = false end
  elseif warnings then K.host('warn', message) end
end

-- The libraries -------------------------------------------------------------------------------------------------------
local MATH = {'abs', 'acos', 'asin', 'atan', 'ceil', 'cos', 'deg', 'exp', 'floor', 'fmod', 'frexp', 'huge', 'ldexp', 'log',
  'max', 'maxinteger', 'min', 'mininteger', 'modf', 'pi', 'pow', 'rad', 'random', 'sin', 'sqrt', 'tan', 'tointeger',
  'type', 'ult'}
local math_library = {randomseed = randomseed}
for _, name in ipairs(MATH) do math_library[name] = raw.math[name] end
K.text_functions.dump = K.denied['string.dump']
for _, name in ipairs{'execute', 'exit', 'getenv', 'remove', 'rename', 'tmpname', 'setlocale'} do
  K.os[name] = K.denied['os.' .. name]
end
local debug_library = {traceback = K.traceback}
for name, f in next, K.denied do
  local key = find(name, '^debug%.') and sub(name, 7)
  if key then debug_library[key] = f end
end
local libraries = {
  string = K.text_functions, table = K.table, math = math_library, utf8 = K.utf8, os = K.os, debug = debug_library,
  coroutine = K.coroutine,
}
local basics = {
  _VERSION = raw._VERSION, assert = raw.assert, error = raw.error, getmetatable = K.getmetatable, ipairs = K.ipairs,
  next = K.next, pairs = K.pairs, pcall = K.pcall, print = print, rawequal = raw.rawequal, rawget = raw.rawget,
  rawlen = raw.rawlen, rawset = K.rawset, select = raw.select, setmetatable = K.setmetatable, tonumber = K.tonumber,
  tostring = K.tostring, type = raw.type, warn = warn, xpcall = K.xpcall,
  null = K.null, array = K.array, object = K.object,
}
for _, name in ipairs{'io', 'package', 'require', 'dofile', 'loadfile', 'load', 'loadstring', 'collectgarbage'} do
  basics[name] = K.denied[name]
end

local function environment(copy_libraries)
  local env = {}
  for name, value in next, basics do env[name] = value end
  for name, library in next, libraries do
    if copy_libraries then
      local copy = {}
      for key, value in next, library do copy[key] = value end
      library = copy
    end
    env[name] = library
  end
  env._G = env
  return env
end
local env = environment(false)

-- Namespaces ----------------------------------------------------------------------------------------------------------
local namespaces = {}
local function namespace(name)
  local fields = namespaces[name]
  if not fields then
    fields = {}
    namespaces[name] = fields
    env[name] = K.freeze(fields, name)
  end
  return fields
end
local function define(name, functions)
  local fields = namespace(name)
  for key, f in next, functions do fields[key] = f end
end
local function stub(host_name)
  local host = K.host
  return function(...) return host(host_name, ...) end
end
for name, functions in next, K.decode(K.packed_bindings) do
  local target = name == '' and env or namespace(name)
  for key, host_name in next, functions do target[key] = stub(host_name) end
end
define('JSON', K.json)
K.allow_nested(K.decode(K.packed_nested))

-- What a trusted prelude sees: the script's functions, its own libraries, and the means to build namespaces.
local trusted = environment(true)
trusted.host, trusted.define, trusted.namespace, trusted.globals = K.host, define, namespace, env
trusted.freeze, trusted.fail = K.freeze, K.fail

-- Errors as data ------------------------------------------------------------------------------------------------------
local function text_of(e)
  if type(e) == 'string' or type(e) == 'number' then return raw.tostring(e) end
  if type(e) ~= 'table' then return '(error object is a ' .. type(e) .. ' value)' end
  local message, meta = rawget(e, 'message'), raw.debug.getmetatable(e)
  if K.issued[e] == nil and meta and rawget(meta, '__tostring') ~= nil then
    local ok, text = K.pcall(K.tostring, e)
    return ok and text or '(error object cannot be shown: its __tostring failed)'
  end
  if type(message) == 'string' then return message end
  return '(error object is a table value)'
end
local function convertible(v)
  if v == nil then return nil end
  local ok = K.pcall(K.encode_value, v)
  return ok and v or nil
end
function K.describe(e, traceback)
  local d = {code = 'script-error', origin = 'script', traceback = traceback, message = sub(text_of(e), 1, MESSAGE_MAX)}
  if type(e) == 'table' then
    local code, ref = rawget(e, 'code'), K.issued[e]
    if type(code) == 'string' and #code <= 64 and find(code, '^%w[%w._:-]*$') then d.code = code end
    if ref then d.ref, d.origin = ref, 'host' end
    d.details = convertible(rawget(e, 'details'))
  elseif type(e) == 'string' and find(d.message, 'stack overflow$') then d.code = 'call-depth-limit' end
  return K.encode_value(d)
end

-- Entries -------------------------------------------------------------------------------------------------------------
local function compile(source, name, expression)
  if not expression then return load(source, '=' .. name, 't', env) end
  local f, as_expression = load('return ' .. source, '=' .. name, 't', env)
  if f then return f end
  local message
  f, message = load(source, '=' .. name, 't', env)
  -- `x +` is an unfinished expression, whatever it is as a statement.
  if not f and find(as_expression, '<eof>$') then message = as_expression end
  return f, message
end
local function start(source, name, expression, arguments)
  local f, message = compile(source, name, expression)
  if not f then
    K.totals.runs = K.totals.runs + 1
    return 5, K.totals.runs, message
  end
  if arguments then return K.begin(f, expression, K.decode_arguments(arguments)) end
  return K.begin(f, expression)
end
local function call(id, arguments)
  return K.begin(K.callback(id), false, K.decode_arguments(arguments))
end
local function uncounted(...)
  K.totals.runs, K.totals.instructions = 0, 0
  return ...
end
local function trust(code) return uncounted(K.begin(load(code, '=(llmspell)', 'b', trusted), false)) end
local function compiles(source, name, expression) return compile(source, name, expression) ~= nil end
local function counters()
  local instructions, runs, calls = K.counters()
  return instructions, runs, calls, K.callback_count()
end
local function known(id) return K.callback(id) ~= nil end

-- The real globals keep what the host's library looks up by name in each call (debug.traceback), and nothing that
-- reaches outside.
local function close_globals()
  for _, name in ipairs{'io', 'os', 'require', 'package', 'load', 'loadfile', 'dofile', 'python', 'collectgarbage'} do
    _G[name] = nil
  end
  for name in raw.pairs(raw.debug) do if name ~= 'traceback' then debug[name] = nil end end
end
close_globals()
function K.collect() raw.collectgarbage('collect') end

return start, call, K.settle, K.abandon, K.release, known, counters, trust, K.collect, compiles
