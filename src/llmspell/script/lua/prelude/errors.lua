-- Errors: tables with a code, texts with the script's line, tracebacks of the script's frames only.
--
-- The first file of the prelude. It also keeps the library's own functions in `K.raw`, before anything is replaced.
-- What must stay true: no error a script sees names a prelude line, and none carries anything but plain fields.
local K = ...

local raw = {}
for name, value in pairs(_G) do raw[name] = value end
for _, library in ipairs{'string', 'table', 'math', 'utf8', 'coroutine', 'os', 'debug'} do
  local copy = {}
  for name, value in pairs(_G[library]) do copy[name] = value end
  raw[library] = copy
end
K.raw = raw

local error, type, rawget, getinfo, gsub, setmetatable = error, type, rawget, debug.getinfo, string.gsub, setmetatable

local issued = setmetatable({}, {__mode = 'k'})     -- error table made here -> call id it answers, or false
local Failure = {__name = 'error', __metatable = false}
local function failure_text(e)
  return K.tostring(rawget(e, 'code')) .. ': ' .. K.tostring(rawget(e, 'message'))
end
Failure.__tostring = failure_text
Failure.__concat = function(a, b) return K.tostring(a) .. K.tostring(b) end
-- Scripts search messages with e:match(…) and e:find(…) whether they caught a text or a table.
Failure.__index = function(_, key)
  local f = K.text_functions and K.text_functions[key]
  return f and function(self, ...) return f(K.tostring(self), ...) end
end
local function failure(code, message, call_id)
  local e = setmetatable({code = code, message = message}, Failure)
  issued[e] = call_id or false
  return e
end
local function adopt(e, call_id) issued[e] = call_id; return setmetatable(e, Failure) end
local function fail(code, message) error(failure(code, message), 0) end
K.failure, K.fail, K.adopt, K.issued = failure, fail, adopt, issued

-- Places ------------------------------------------------------------------------------------------------------------
-- A text raised by native code that prelude code called has no place, one raised by the virtual machine in
-- prelude code has a useless one ("?:?: "), and both call the function '?'. They get the script's line and the name
-- the script called, as if the native function had been called directly. `thread` nil: the frames above the caller.
local blamed                     -- the last text that was given its place when raised
local function info(thread, level, what)
  if thread then return getinfo(thread, level, what) end
  return (getinfo(level + 1, what))
end
local function of_script(where) return where.currentline > 0 and where.short_src ~= '(llmspell)' end
-- `level` counts as getinfo would in this function (in `thread`: from its top).
local function place(message, thread, level)
  for i = level, level + 20 do
    local where = info(thread, i, 'Sl')
    if not where or i > level and where.what == 'C' then break end   -- called by native code: it has no line
    if of_script(where) then
      local name = i > level and info(thread, i - 1, 'n').name
      if name then message = gsub(message, "to '%?'", function() return "to '" .. name .. "'" end) end
      return where.short_src .. ':' .. where.currentline .. ': ' .. message
    end
  end
  return message
end
local function refine(e, thread, level)
  if type(e) ~= 'string' or e == blamed then return e end
  local raiser = info(thread, level, 'Sl')
  if raiser and raiser.what == 'C' then raiser = info(thread, level + 1, 'Sl') end
  if not raiser or raiser.what == 'C' or of_script(raiser) then return e end
  e = gsub(e, '^%?:[-%d?]+: ', '')
  return (place(e, thread, thread and level or level + 1))
end
-- Raises a text with the script's place.
function K.blame(message)
  blamed = place(message, nil, 2)
  error(blamed, 0)
end
-- Raises a text that has its place already, or whose raiser wanted none.
function K.raise(e)
  blamed = e
  error(e, 0)
end

-- The script's own frames of a traceback; prelude frames (which have no lines) are of no use to its author.
local function clean(traceback, f)
  traceback = gsub(gsub(traceback, '\n\t%(llmspell%)[^\n]*', ''), '\n\t%?: in [^\n]*', '')
  traceback = gsub(traceback, "\n\t%[C%]: in [^\n]*x?pcall'", '')
  traceback = gsub(gsub(traceback, "\n\t%[C%]: in [^\n]*'error'", ''), "\n\t%[C%]: in upvalue '%?'", '')
  traceback = gsub(traceback, '^(stack traceback:)\n\t%(%.%.%.tail calls%.%.%.%)', '%1')
  if traceback ~= 'stack traceback:' or not f then return traceback end
  local where = getinfo(f, 'S')    -- `return f()` leaves no frame of the caller
  return traceback .. '\n\t' .. where.short_src .. ': in a call returned by the function at line ' .. where.linedefined
end
K.clean, K.refine = clean, refine
