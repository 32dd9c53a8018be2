-- The string and utf8 libraries as scripts see them.
--
-- What must stay true: no function here can run for long inside C, show an address, or call script code from C (gsub
-- callbacks and __tostring may wait for the host). Meanings and error texts are those of the native functions.
local K = ...
local raw = K.raw
local string, utf8 = raw.string, raw.utf8
local type, select, rawget, tonumber, math_type = type, select, rawget, tonumber, math.type
local byte, sub, find, format, rep, concat, unpack = string.byte, string.sub, string.find, string.format, string.rep,
  table.concat, table.unpack
local blame, tick, tostring, search, tier = K.blame, K.tick, K.tostring, K.search, K.pattern_tier
local LONG = 65536               -- bytes from which an operation checks the time after itself

local M = {}
K.text_functions = M

-- Functions whose cost is the length of their argument ----------------------------------------------------------------
local function timed(f)
  local function after(...) tick() return ... end
  return function(...)
    local s = ...
    if type(s) == 'string' and #s > LONG then return after(f(...)) end
    return f(...)
  end
end
for _, name in ipairs{'byte', 'char', 'len', 'lower', 'upper', 'reverse', 'sub', 'pack', 'packsize', 'unpack'} do
  M[name] = timed(string[name])
end
local U = {charpattern = utf8.charpattern}
for _, name in ipairs{'char', 'codepoint', 'codes', 'len', 'offset'} do U[name] = timed(utf8[name]) end
K.utf8 = U

K.tonumber = timed(raw.tonumber)

function M.rep(...)
  local s, n, separator = ...
  if (s == '' and (separator == nil or separator == '')) and tonumber(n) then return '' end
  local result = rep(...)
  if #result > LONG then tick() end
  return result
end

-- Arguments of the pattern functions ----------------------------------------------------------------------------------
local function text(v, place, name)
  local kind = type(v)
  if kind == 'string' then return v end
  if kind == 'number' then return raw.tostring(v) end
  blame('bad argument #' .. place .. " to '" .. name .. "' (string expected, got "
    .. (v == nil and 'no value' or kind) .. ')')
end
local function integer(v, place, name)
  local n = math_type(v) == 'integer' and v or type(v) ~= 'nil' and math.tointeger(tonumber(v))
  if n then return n end
  blame('bad argument #' .. place .. " to '" .. name .. "' (number expected, got " .. type(v) .. ')')
end
local function start_at(init, length, name)
  if init == nil then return 1 end
  init = integer(init, 3, name)
  if init > 0 then return init end
  if init == 0 or init < -length then return 1 end
  return length + init + 1
end
local function has_specials(p) return find(p, '[%^%$%*%+%?%.%(%)%[%%%-]') ~= nil end

function M.find(s, p, init, plain)
  s, p = text(s, 1, 'find'), text(p, 2, 'find')
  init = start_at(init, #s, 'find')
  if init > #s + 1 then return nil end
  if plain or not has_specials(p) then return K.plain_search(s, p, init) end
  return search(s, p, init, true)
end
local function captured(s, a, b, ...)
  if not a then return nil end
  if select('#', ...) == 0 then return sub(s, a, b) end
  return ...
end
function M.match(s, p, init)
  s, p = text(s, 1, 'match'), text(p, 2, 'match')
  init = start_at(init, #s, 'match')
  if init > #s + 1 then return nil end
  return captured(s, search(s, p, init, true))
end

-- gmatch and gsub walk matches by the rule of Lua 5.4: an empty match where the last one ended does not count.
local function following_match(s, p, from, last, anchors)
  local function checked(a, b, ...)
    if a and b < a and a == last then return following_match(s, p, a + 1, nil, anchors) end
    return a, b, ...
  end
  if from > #s + 1 then return nil end
  return checked(search(s, p, from, anchors))
end
function M.gmatch(s, p, init)
  s, p = text(s, 1, 'gmatch'), text(p, 2, 'gmatch')
  local from, last = start_at(init, #s, 'gmatch'), nil
  local function advance(a, b, ...)
    if not a then from = #s + 2 return nil end
    from, last = b + 1, b + 1
    return captured(s, a, b, ...)
  end
  return function() return advance(following_match(s, p, from, last, false)) end
end

-- gsub ----------------------------------------------------------------------------------------------------------------
local function expand(template, s, a, b, ...)
  local out, n, i = {}, 0, 1
  while true do
    local at = find(template, '%', i, true)
    n = n + 1
    if not at then out[n] = sub(template, i) break end
    out[n] = sub(template, i, at - 1)
    local c = sub(template, at + 1, at + 1)
    n = n + 1
    if c == '%' then out[n] = '%'
    elseif c == '0' then out[n] = sub(s, a, b)
    elseif find(c, '^%d') then
      local k, count = byte(c) - 48, select('#', ...)
      if k == 1 and count == 0 then out[n] = sub(s, a, b)
      elseif k > count then blame('invalid capture index %' .. c .. ' in replacement string')
      else out[n] = (select(k, ...)) end
    else blame("invalid use of '%' in replacement string") end
    i = at + 2
  end
  return concat(out)
end
local function replacement(s, r, kind, a, b, ...)
  local value
  if kind == 'function' then
    if select('#', ...) == 0 then value = r(sub(s, a, b)) else value = r(...) end
  elseif kind == 'table' then
    local key = ...
    if select('#', ...) == 0 then key = sub(s, a, b) end
    value = r[key]
  else return expand(r, s, a, b, ...) end
  if value == nil or value == false then return sub(s, a, b) end
  local given = type(value)
  if given ~= 'string' and given ~= 'number' then blame('invalid replacement value (a ' .. given .. ')') end
  return value
end
local function gsub(s, p, r, kind, limit)
  local out, n, position, from, last, count = {}, 0, 1, 1, nil, 0
  local anchored = byte(p) == 94
  local function take(a, b, ...)
    if not a then return false end
    out[n + 1], out[n + 2] = sub(s, position, a - 1), replacement(s, r, kind, a, b, ...)
    n = n + 2
    position, from, last = b + 1, b + 1, b + 1
    return true
  end
  while count < limit and take(following_match(s, p, from, last, true)) do
    count = count + 1
    if anchored then break end
  end
  out[n + 1] = sub(s, position)
  return concat(out), count
end
function M.gsub(...)
  local s, p, r, limit = ...
  s, p = text(s, 1, 'gsub'), text(p, 2, 'gsub')
  local kind = type(r)
  if kind == 'number' then r, kind = raw.tostring(r), 'string' end
  if kind ~= 'string' and kind ~= 'function' and kind ~= 'table' then
    blame("bad argument #3 to 'gsub' (string/function/table expected, got " .. (r == nil and 'no value' or kind) .. ')')
  end
  limit = limit == nil and math.maxinteger or integer(limit, 4, 'gsub')
  if kind == 'string' then
    local which, heavy = tier(p, #s, true)
    if which == 1 then
      local result, count = string.gsub(s, p, r, limit)
      if heavy or #result > LONG then tick() end
      return result, count
    end
  end
  return gsub(s, p, r, kind, limit)
end

-- format --------------------------------------------------------------------------------------------------------------
local pointer_types = {table = true, ['function'] = true, thread = true, userdata = true, string = true}
local function pointer(v) return pointer_types[type(v)] and K.address(v) or '(null)' end
local function needs_care(template, ...)
  local values = {...}
  for i = 1, select('#', ...) do
    local kind = type(values[i])
    if kind ~= 'string' and kind ~= 'number' then return true end
  end
  return find(template, '%%[^%a%%]*p') ~= nil
end
-- Replaces %s and %p of values that have an address by their text, left to right, then formats natively.
local function prepared(template, ...)
  local values, given, n, at = {...}, {...}, select('#', ...), 0
  template = string.gsub(template, '%%([^%a%%]*)(.)', function(options, conversion)
    if conversion == '%' then return nil end
    at = at + 1
    if conversion == 'p' and at <= n then
      values[at] = pointer(values[at])
      return '%' .. options .. 's'
    end
    if conversion == 's' and at <= n then values[at] = {values[at]} end
    return nil
  end)
  for i = 1, n do
    if type(values[i]) == 'table' and values[i] ~= given[i] then values[i] = tostring(values[i][1]) end
  end
  return format(template, unpack(values, 1, n))
end
function M.format(...)
  local template = ...
  if type(template) ~= 'string' or not needs_care(template, select(2, ...)) then
    local result = format(...)
    if #result > LONG then tick() end
    return result
  end
  return prepared(...)
end

raw.debug.getmetatable('').__index = M
raw.debug.getmetatable('').__metatable = false
