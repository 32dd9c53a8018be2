-- Values as scripts see them: stable names for tables and functions, text, order of iteration, markers, frozen tables.
--
-- What must stay true:
--  * Nothing a script can read depends on an address: names count up in the order they are first asked for.
--  * `pairs` and `next` give the same order on every machine. Lua 5.5 keeps its own order under a fixed hash seed;
--    Lua 5.4 cannot fix the seed, so there the keys are sorted. Keys hashed by address (tables, functions,
--    coroutines) have no such order: iterating over two or more of them is refused unless all carry names already.
--  * A frozen table cannot be changed by rawset either.
local K = ...
local raw = K.raw
local type, rawequal, rawget, rawset, rawlen, next, select = type, rawequal, rawget, rawset, rawlen, next, select
local raw_getmetatable, raw_setmetatable, raw_tostring = getmetatable, setmetatable, tostring
local error, format, find, gsub, sort, math_type = error, string.format, string.find, string.gsub, table.sort, math.type
local weak_keys = {__mode = 'k'}

-- Names and text ----------------------------------------------------------------------------------------------------
local names, last_name = raw_setmetatable({}, weak_keys), 0
local function name_of(v)
  local name = names[v]
  if not name then
    last_name = last_name + 1
    name = last_name
    names[v] = name
  end
  return name
end
local function address(v) return format('0x%08x', name_of(v)) end
K.address = address

local primitive = {['nil'] = true, boolean = true, number = true}
local function tostring(...)
  local v = ...
  local t = type(v)
  if t == 'string' then return v end
  if primitive[t] then
    if select('#', ...) == 0 then K.blame("bad argument #1 to 'tostring' (value expected)") end
    return raw_tostring(v)
  end
  local meta = raw.debug.getmetatable(v)
  if meta then
    local f = rawget(meta, '__tostring')
    if f ~= nil then
      local text = f(v)
      if type(text) ~= 'string' then
        if type(text) ~= 'number' then K.blame("'__tostring' must return a string") end
        text = raw_tostring(text)
      end
      return text
    end
    local name = rawget(meta, '__name')
    if type(name) == 'string' then t = name end
  end
  return t .. ': ' .. address(v)
end
K.tostring = tostring

-- Markers and frozen tables -----------------------------------------------------------------------------------------
local ARRAY, OBJECT = {}, {}
local frozen = raw_setmetatable({}, weak_keys)
K.ARRAY, K.OBJECT, K.frozen = ARRAY, OBJECT, frozen

local function refuse_write(title)
  return function(_, key)
    error(K.failure('read-only', title .. ' is read-only: cannot set ' .. tostring(key)), 2)
  end
end
-- A read-only face of `fields`; what the owner of `fields` changes later shows through it.
function K.freeze(fields, title, text)
  local face = {}
  frozen[face] = title
  return raw_setmetatable(face, {
    __index = fields,
    __newindex = refuse_write(title),
    __pairs = function() return K.iterate_sorted(fields) end,
    __len = function() return #fields end,
    __tostring = text and function() return text end or nil,
    __name = title,
    __metatable = false,
  })
end
local null = K.freeze({}, 'null', 'null')
K.null = null

local function marker(name, meta)
  return function(t)
    if t == nil then t = {} end
    if type(t) ~= 'table' then K.blame("bad argument #1 to '" .. name .. "' (table expected, got " .. type(t) .. ')') end
    local old = raw.debug.getmetatable(t)
    if old ~= nil and old ~= ARRAY and old ~= OBJECT then
      K.blame("bad argument #1 to '" .. name .. "' (table has a metatable)")
    end
    return raw_setmetatable(t, meta)
  end
end
K.array, K.object = marker('array', ARRAY), marker('object', OBJECT)

-- Metatable of a table, nil for none and for our markers: what counts as "plain" in the library functions.
function K.metatable(t)
  local meta = raw.debug.getmetatable(t)
  if meta ~= ARRAY and meta ~= OBJECT then return meta end
end
function K.getmetatable(...)
  local meta = raw_getmetatable(...)
  if rawequal(meta, ARRAY) or rawequal(meta, OBJECT) then return nil end
  return meta
end
function K.setmetatable(...)
  local t, meta = ...
  if type(meta) == 'table' then
    if rawget(meta, '__gc') ~= nil then K.fail('not-available', '__gc is not available in scripts: use <close> variables') end
    if rawget(meta, '__mode') ~= nil then
      K.fail('not-available', 'weak tables (__mode) are not available in scripts: what they hold would depend on the '
        .. 'garbage collector')
    end
  end
  return raw_setmetatable(...)
end
function K.rawset(...)
  local t = ...
  if frozen[t] then K.fail('read-only', frozen[t] .. ' is read-only') end
  return rawset(...)
end

-- Order of iteration ------------------------------------------------------------------------------------------------
local by_address = {table = true, ['function'] = true, thread = true, userdata = true}
local rank = {number = 1, string = 2, boolean = 3}
local function before(a, b)
  local ra, rb = rank[type(a)] or 4, rank[type(b)] or 4
  if ra ~= rb then return ra < rb end
  if ra <= 2 then return a < b end
  if ra == 3 then return not a and b end
  return names[a] < names[b]
end
local function refuse_order()
  K.fail('unordered-keys', 'cannot iterate over keys that are tables, functions or coroutines: their order would differ '
    .. 'in every run. Keep them in a list, or give each key a name with tostring(key) when it is added')
end
local function refuse_weak(t)
  local meta = raw.debug.getmetatable(t)
  if meta and rawget(meta, '__mode') ~= nil and not frozen[t] then
    K.fail('not-available', 'weak tables (__mode) are not available in scripts')
  end
end
-- True when some key has no reproducible place; refuses when their order cannot be told either.
local function has_addresses(t)
  local found, nameless = 0, 0
  for key in next, t do
    if by_address[type(key)] then
      found = found + 1
      if not names[key] then nameless = nameless + 1 end
    end
  end
  if found > 1 and nameless > 0 then refuse_order() end
  return found > 0
end
local function sorted_keys(t)
  has_addresses(t)
  local keys, n, mixed, kind = {}, 0, false, nil
  for key in next, t do
    n = n + 1
    keys[n] = key
    kind = kind or type(key)
    mixed = mixed or type(key) ~= kind or rank[kind] == nil or kind == 'boolean'
  end
  if mixed then K.sort_by(keys, before) else sort(keys) end
  K.tick()
  return keys, n
end
K.sorted_keys = sorted_keys

local function iterate_sorted(t)
  local keys, n = sorted_keys(t)
  local i = 0
  return function()
    while i < n do
      i = i + 1
      local key = keys[i]
      local value = rawget(t, key)
      if value ~= nil then return key, value end
    end
  end, t, nil
end

K.iterate_sorted = iterate_sorted

local sequences = raw_setmetatable({}, weak_keys)      -- table -> its sorted keys and the place reached
-- How many of the keys come before `key` or are it; the key itself may have been removed meanwhile.
local function place_of(sequence, key)
  local low, high = 0, sequence.n
  while low < high do
    local middle = (low + high + 1) // 2
    local other = sequence.keys[middle]
    if rawequal(other, key) or before(other, key) then low = middle else high = middle - 1 end
  end
  return low
end
local function first_sorted(t)
  has_addresses(t)
  local least = next(t)
  for key in next, t do if not rawequal(key, least) and before(key, least) then least = key end end
  return least, rawget(t, least)
end
local function sequence_of(t)
  local keys, n = sorted_keys(t)
  local sequence = {keys = keys, n = n, at = 0}
  sequences[t] = sequence
  return sequence
end
local function next_sorted(t, key)
  if type(t) ~= 'table' then return next(t, key) end
  if key == nil then
    sequences[t] = nil             -- of an iteration before, whose keys may be outdated
    if next(t) == nil then return nil end
    return first_sorted(t)
  end
  local sequence = sequences[t] or sequence_of(t)
  local place = rawequal(sequence.keys[sequence.at], key) and sequence.at or place_of(sequence, key)
  for i = place + 1, sequence.n do
    local following = sequence.keys[i]
    local value = rawget(t, following)
    if value ~= nil then sequence.at = i return following, value end
  end
  sequences[t] = nil
end
-- Under a fixed hash seed the native order is right unless it meets a key hashed by address beside others.
local function next_native(t, key)
  local following, value = next(t, key)
  if by_address[type(following)] and (key ~= nil or next(t, following) ~= nil) then refuse_order() end
  return following, value
end
K.next = K.sorted_iteration and next_sorted or next_native

local function three(f, ...)
  local a, b, c = f(...)
  return a, b, c
end
function K.pairs(t)
  local meta = raw.debug.getmetatable(t)
  local iterator = meta and rawget(meta, '__pairs')
  if iterator ~= nil then return three(iterator, t) end
  if type(t) ~= 'table' then K.blame("bad argument #1 to 'for iterator' (table expected, got " .. type(t) .. ')') end
  refuse_weak(t)
  if K.sorted_iteration or has_addresses(t) then return iterate_sorted(t) end
  return next, t, nil
end
local function ipairs_step(t, i)
  i = i + 1
  local v = t[i]
  if v ~= nil then return i, v end
end
function K.ipairs(...)
  local t = ...
  if select('#', ...) == 0 then K.blame("bad argument #1 to 'ipairs' (table expected, got no value)") end
  if type(t) ~= 'table' and raw.debug.getmetatable(t) == nil then
    K.blame("bad argument #1 to 'for iterator' (table expected, got " .. type(t) .. ')')
  end
  return ipairs_step, t, 0
end
