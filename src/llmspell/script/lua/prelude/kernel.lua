-- Kernel: limits, protected calls, coroutines and the host call. The files after it stand on it.
--
-- What must stay true:
--  * Scripts run only inside coroutines made by `create`, so that each carries the count hook.
--  * A stopped run cannot go on: the hook of every coroutine that notices it is set to fire at each instruction, and
--    every protected call raises again. Nothing here may swallow an error without passing `check`.
--  * HOST never leaves this file except as the first value of a yield that only `pump` and `advance` look at, and it
--    is compared with rawequal: a script's __eq must not see it.
--  * `run` is the run being executed. It is set by the entries before they resume and is nil while the host runs.
local K = ...
local instruction_limit, slice_s, depth_limit, memory_kib = K.instruction_limit, K.slice_s, K.depth_limit, K.memory_kib

local raw, failure, adopt, clean, refine, blame = K.raw, K.failure, K.adopt, K.clean, K.refine, K.blame
local error, type, rawequal, select = error, type, rawequal, select
local raw_pcall, raw_xpcall, raw_traceback, sethook, getinfo =
  pcall, xpcall, debug.traceback, debug.sethook, debug.getinfo
local raw_create, raw_resume, raw_yield, raw_close, raw_status =
  coroutine.create, coroutine.resume, coroutine.yield, coroutine.close, coroutine.status
local running, yieldable = coroutine.running, coroutine.isyieldable
local clock, wall, gc, find, setmetatable = os.clock, os.time, collectgarbage, string.find, setmetatable

local STEP, FINE = 1000, 50      -- instructions between two hook calls, usual and while single instructions are slow
local SLOW_S = 0.02              -- a step that took longer than this makes the next steps fine
local OVERFLOW_COST = 20000      -- instructions charged for a caught stack overflow, which copies megabytes
local COROUTINE_COST = 200       -- and for a coroutine: the hook counts in each one apart and misses short ones
local HOST = {}
local STOP = setmetatable({}, {__tostring = function() return 'stopped' end, __metatable = false})
local weak_keys = {__mode = 'k'}

local run                        -- the current run, or nil
local totals = {instructions = 0, calls = 0, runs = 0}
local slice_cpu, slice_wall, last_cpu
local awaiting = setmetatable({}, weak_keys)   -- coroutines that wait for a host answer
local roots = setmetatable({}, weak_keys)      -- outermost coroutine of each run
K.totals = totals

-- Limits ------------------------------------------------------------------------------------------------------------
local hook, fine_hook
local function stop(code, message)
  if not run.stopped then
    run.stopped = {code = code, message = message, traceback = clean(raw_traceback(nil, 2), run.f)}
    if code == 'memory-limit' then K.dead = true end
  end
  sethook(hook, '', 1)
  error(STOP, 0)
end
local function stop_again() sethook(hook, '', 1); error(STOP, 0) end

-- CPU time is the process's: other busy threads count too, so the wall clock (whole seconds) has to agree, unless
-- the excess is so large that it may have been set back.
local function check_time()
  local now = clock()
  if not slice_cpu then slice_cpu, slice_wall, last_cpu = now, wall(), now return now end
  local cpu = now - slice_cpu
  if cpu > slice_s and (wall() - slice_wall + 1 > slice_s or cpu > 8 * slice_s) then
    stop('time-limit', 'the script ran for more than ' .. slice_s .. ' s without returning to the host')
  end
  return now
end
local function check_memory()
  if gc('count') > memory_kib * 0.94 then
    gc('collect')
    if gc('count') > memory_kib * 0.90 then stop('memory-limit', K.memory_message) end
  end
end
local function count(instructions)
  run.used = run.used + instructions
  if run.used > instruction_limit then
    stop('instruction-limit', 'the run executed more than ' .. instruction_limit .. ' instructions')
  end
end
K.charge = count
local function step(instructions)
  if run.stopped then return stop_again() end
  count(instructions)
  local before, now = last_cpu, check_time()
  last_cpu = now
  check_memory()
  run.steps = run.steps + 1
  if run.steps % 8 == 0 and getinfo(depth_limit, 'l') then
    stop('call-depth-limit', 'calls are nested deeper than ' .. depth_limit .. ' levels')
  end
  return before and now - before > SLOW_S
end
function hook() if step(STEP) then sethook(fine_hook, '', FINE) end end
function fine_hook() if not step(FINE) then sethook(hook, '', STEP) end end

-- After a long operation inside C, where no hook runs.
local function tick()
  if run.stopped then return stop_again() end
  check_time()
end
K.tick = tick

-- Every protected call ends here: what ended the run is raised again, whoever caught it.
local function check(ok, ...)
  if run.stopped then return stop_again() end
  if not ok then
    local e = ...
    if e == 'not enough memory' then return stop('memory-limit', K.memory_message) end
    if type(e) == 'string' and #e < 1000 and find(e, 'stack overflow', 1, true) then count(OVERFLOW_COST) tick() end
  end
  return ok, ...
end
K.check = check

local function on_error(e) return (refine(e, nil, 3)) end
local function protected(...)
  if select('#', ...) == 0 then blame("bad argument #1 to 'pcall' (value expected)") end
  local f = ...
  return check(raw_xpcall(f, on_error, select(2, ...)))
end
K.pcall = protected

-- The handler of xpcall runs after the stack is unwound, where it may call the host and the hook can stop it. What
-- debug.traceback shows inside it was taken at the error.
local function capture(e)
  e = refine(e, nil, 3)
  if not run.stopped then run.caught, run.caught_error = clean(raw_traceback(nil, 2), run.f), e end
  return e
end
local function handled(outer, _, ...)
  run.handling = outer
  return false, (...)
end
local function unwound(handler, ok, ...)
  if ok then return true, ... end
  local outer = run.handling
  run.handling = run.caught
  return handled(outer, protected(handler, (...)))
end
function K.xpcall(f, handler, ...)
  if type(handler) ~= 'function' then
    blame("bad argument #2 to 'xpcall' (function expected, got " .. type(handler) .. ')')
  end
  return unwound(handler, check(raw_xpcall(f, capture, ...)))
end

function K.traceback(...)
  local a, b = ...
  if type(a) == 'thread' then
    if b ~= nil and type(b) ~= 'string' and type(b) ~= 'number' then return b end
    return clean(raw_traceback(...), nil)
  end
  if a ~= nil and type(a) ~= 'string' and type(a) ~= 'number' then return a end
  local traceback = run.handling and b == nil and run.handling or clean(raw_traceback(nil, (b or 1) + 1), run.f)
  return a == nil and traceback or a .. '\n' .. traceback
end

-- Coroutines --------------------------------------------------------------------------------------------------------
local function create(f)
  local co = raw_create(f)
  sethook(co, hook, '', STEP)
  return co
end
local function create_counted(f)
  count(COROUTINE_COST)
  return create(f)
end

local function unreachable(name)
  return failure('not-yieldable', 'host function ' .. name .. ' was called where a script cannot wait for the host '
    .. '(inside a __close handler run by coroutine.close, or a metamethod called from C)')
end

-- Carries host calls of inner coroutines outwards, one level a turn. Every coroutine on the way is marked, so that
-- no other run can resume it with an answer of its own.
local function relay(me, co, ...)
  awaiting[me] = nil
  return raw_resume(co, ...)
end
local function pump(co, ok, first, ...)
  if ok and rawequal(first, HOST) then
    if not yieldable() then return pump(co, raw_resume(co, false, -1, unreachable((...)))) end
    local me = running()
    awaiting[me] = true
    return pump(co, relay(me, co, raw_yield(HOST, ...)))
  end
  return ok, first, ...
end
local function refined_end(co, ok, ...)
  if not ok then return false, refine(..., co, 0) end
  return ok, ...
end
local function resume(co, ...)
  if awaiting[co] then return false, 'cannot resume a coroutine that waits for the host' end
  return check(refined_end(co, pump(co, raw_resume(co, ...))))
end
local function iterated(co, ok, ...)
  if ok then return ... end
  if raw_status(co) == 'dead' then check(raw_close(co)) end
  K.raise((...))
end
local function require_thread(co, name)
  if type(co) ~= 'thread' then
    blame("bad argument #1 to '" .. name .. "' (coroutine expected, got " .. type(co) .. ')')
  end
end
K.coroutine = {
  create = create_counted,
  resume = function(co, ...) require_thread(co, 'resume') return resume(co, ...) end,
  wrap = function(f)
    local co = create_counted(f)
    return function(...) return iterated(co, resume(co, ...)) end
  end,
  yield = function(...)
    if roots[running()] then error('attempt to yield from outside a coroutine', 2) end
    return raw_yield(...)
  end,
  status = function(co)
    require_thread(co, 'status')
    return awaiting[co] and 'normal' or raw_status(co)
  end,
  running = function()
    local co = running()
    return co, roots[co] == true
  end,
  isyieldable = function() return not roots[running()] and yieldable() end,
  close = function(co)
    require_thread(co, 'close')
    if awaiting[co] then error('cannot close a coroutine that waits for the host', 2) end
    if co == running() then error('cannot close a running coroutine', 2) end
    return check(raw_close(co))
  end,
}

-- Host calls --------------------------------------------------------------------------------------------------------
local function answered(co, ok, form, value)
  awaiting[co] = nil
  if ok then
    if form == 0 then return value end
    return K.decode_answer(form, value)
  end
  if form == -1 then error(value, 0) end
  error(adopt(K.decode_answer(1, value), form), 0)
end
local function wait(name, ...)
  local co = running()
  awaiting[co] = true
  return answered(co, raw_yield(HOST, name, ...))
end
local plain_types = {['nil'] = true, boolean = true, string = true}
local function plain(v)
  local t = type(v)
  return plain_types[t] or t == 'number' and v - v == 0
end
-- Plain arguments cross as they are; anything else is packed into one string by the wire.
function K.host(name, ...)
  if not yieldable() then error(unreachable(name), 0) end
  local n = select('#', ...)
  if n <= 3 then
    local a, b, c = ...
    if plain(a) and plain(b) and plain(c) then return wait(name, n, ...) end
  end
  return wait(name, -1, K.encode_arguments(name, n, ...))
end

-- Entries from the host ---------------------------------------------------------------------------------------------
local pending = {}               -- call id -> run
local waiting = {}               -- run id -> run

local function conclude(ok, ...)
  if not ok then
    local e = ...
    if run.stopped then return stop_again() end
    if e == 'not enough memory' then stop('memory-limit', K.memory_message) end
    return 'failed', K.describe(e, rawequal(e, run.caught_error) and run.caught or '')
  end
  return 'returned', K.encode_results(run.expression, ...)
end
local function supervise(f, ...)
  local ok, text, packed = raw_pcall(conclude, raw_xpcall(f, capture, ...))
  if not ok then check(false, text) return 'failed', K.describe(text, '') end
  return text, packed
end
local function finish(r)
  waiting[r.id] = nil
  totals.instructions = totals.instructions + r.used
end
-- Shapes sent to the host: (1, call, run, name, n, …) wait; (2, run, results); (3, run, stop code, message, traceback);
-- (4, run, description) failed.
local function advance(r, ok, tag, ...)
  run = nil
  if ok and rawequal(tag, HOST) then
    local id = totals.calls + 1
    totals.calls = id
    pending[id], r.call = r, id
    return 1, id, r.id, ...
  end
  finish(r)
  if r.stopped then return 3, r.id, r.stopped.code, r.stopped.message, r.stopped.traceback end
  if ok then return tag == 'returned' and 2 or 4, r.id, ... end
  K.dead = tag == 'not enough memory'
  return 3, r.id, K.dead and 'memory-limit' or 'script-error', K.dead and K.memory_message or K.raw.tostring(tag), ''
end
local function begin(f, expression, ...)
  totals.runs = totals.runs + 1
  local root = create(supervise)
  roots[root] = true
  local r = {id = totals.runs, root = root, f = f, used = 0, steps = 0, expression = expression}
  waiting[r.id] = r
  run, slice_cpu, last_cpu = r, nil, nil
  return advance(r, raw_resume(root, f, ...))
end
K.begin = begin

function K.settle(call_id, ok, form, value)
  local r = pending[call_id]
  pending[call_id] = nil
  run, slice_cpu, last_cpu = r, nil, nil
  if ok then return advance(r, raw_resume(r.root, true, form, value)) end
  return advance(r, raw_resume(r.root, false, call_id, value))
end
function K.abandon(run_id)
  local r = waiting[run_id]
  pending[r.call] = nil
  finish(r)
end
function K.counters()
  local instructions = totals.instructions
  for _, r in raw.next, waiting do instructions = instructions + r.used end
  return instructions, totals.runs, totals.calls
end
