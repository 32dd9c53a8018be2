-- The table library as scripts see it.
--
-- What must stay true: the native functions run only on tables without a metatable and over ranges that memory bounds;
-- everything else goes through the Lua versions, where metamethods may wait for the host and the hook can stop a loop
-- (a table's border may be as large as 2^52 with a handful of entries).
local K = ...
local raw = K.raw
local table = raw.table
local type, select, math_type, metatable, blame, tick = type, select, math.type, K.metatable, K.blame, K.tick
local rawget, raw_next = rawget, next
local RANGE_MAX = 100000         -- items the native functions may move in one call
local SORT_BYTES_MAX = 20000000  -- string bytes compared in one native sort, worst case

local M = {}
K.table = M

local function require_table(t, name)
  if type(t) ~= 'table' and metatable(t) == nil then
    blame("bad argument #1 to '" .. name .. "' (table expected, got " .. (t == nil and 'no value' or type(t)) .. ')')
  end
end
local function integer(v, place, name)
  local n = math_type(v) == 'integer' and v or v ~= nil and math.tointeger(tonumber(v))
  if n then return n end
  blame('bad argument #' .. place .. " to '" .. name .. "' (number expected, got " .. type(v) .. ')')
end
local function small(t, n) return metatable(t) == nil and n <= RANGE_MAX end

function M.insert(...)
  local t, position, value = ...
  require_table(t, 'insert')
  local count = select('#', ...)
  if count ~= 2 and count ~= 3 then blame("wrong number of arguments to 'insert'") end
  local n = #t
  if small(t, n) then return table.insert(...) end
  if count == 2 then t[n + 1] = position return end
  position = integer(position, 2, 'insert')
  if position < 1 or position > n + 1 then blame("bad argument #2 to 'insert' (position out of bounds)") end
  for i = n, position, -1 do t[i + 1] = t[i] end
  t[position] = value
end

function M.remove(...)
  local t, position = ...
  require_table(t, 'remove')
  local n = #t
  if small(t, n) then return table.remove(...) end
  if select('#', ...) == 1 then position = n else
    position = integer(position, 2, 'remove')
    if n + 1 ~= position and (position < 1 or position > n + 1) and not (n == 0 and position == 0) then
      blame("bad argument #2 to 'remove' (position out of bounds)")
    end
  end
  local value = t[position]
  for i = position, n - 1 do t[i] = t[i + 1] end
  if position <= n then t[n] = nil elseif n > 0 then t[position] = nil end
  return value
end

function M.move(...)
  local a, first, last, to, b = ...
  require_table(a, 'move')
  if select('#', ...) < 5 or b == nil then b = a end
  require_table(b, 'move')
  first, last, to = integer(first, 2, 'move'), integer(last, 3, 'move'), integer(to, 4, 'move')
  if last < first then return b end
  if metatable(a) == nil and metatable(b) == nil and last - first >= 0 and last - first < RANGE_MAX then
    return table.move(...)
  end
  if not (first > 0 or last < math.maxinteger + first) then blame("bad argument #3 to 'move' (too many elements to move)") end
  if to > math.maxinteger - (last - first) then blame("bad argument #4 to 'move' (destination wrap around)") end
  if to > last or to <= first or b ~= a then
    for i = 0, last - first do b[to + i] = a[first + i] end
  else
    for i = last - first, 0, -1 do b[to + i] = a[first + i] end
  end
  return b
end

function M.concat(...)
  local t, separator, first, last = ...
  require_table(t, 'concat')
  if metatable(t) == nil then
    local result = table.concat(...)
    if #result > 65536 then tick() end
    return result
  end
  first, last = first == nil and 1 or integer(first, 3, 'concat'), last == nil and #t or integer(last, 4, 'concat')
  local parts, n = {}, 0
  for i = first, last do
    local v = t[i]
    if type(v) ~= 'string' and type(v) ~= 'number' then
      blame('invalid value (at index ' .. i .. ") in table for 'concat'")
    end
    n = n + 1
    parts[n] = v
  end
  return table.concat(parts, separator)
end

function M.unpack(...)
  local t, i, j = ...
  if metatable(t) == nil then return table.unpack(...) end
  i, j = i == nil and 1 or integer(i, 2, 'unpack'), j == nil and #t or integer(j, 3, 'unpack')
  if i > j then return end
  if j - i >= 1000000 or j - i < 0 then blame('too many results to unpack') end
  local copy = {}
  for k = i, j do copy[k - i + 1] = t[k] end
  return table.unpack(copy, 1, j - i + 1)
end
M.pack = table.pack
if table.create then
  function M.create(...)
    local created = table.create(...)
    tick()
    return created
  end
end

-- Sorting -------------------------------------------------------------------------------------------------------------
-- A stable merge sort. With an inconsistent comparator the order is unspecified, but it ends.
local function merge(t, b, lo, mid, hi, less)
  local i, j = lo, mid
  for k = lo, hi - 1 do
    if i < mid and (j >= hi or not less(t[j], t[i])) then
      b[k] = t[i]
      i = i + 1
    else
      b[k] = t[j]
      j = j + 1
    end
  end
end
local function merge_sort(t, n, less)
  local from, to = {}, {}
  for i = 1, n do from[i] = t[i] end
  local width = 1
  while width < n do
    for lo = 1, n, 2 * width do
      local mid, hi = lo + width, lo + 2 * width
      if mid > n + 1 then mid = n + 1 end
      if hi > n + 1 then hi = n + 1 end
      merge(from, to, lo, mid, hi, less)
    end
    from, to = to, from
    width = 2 * width
  end
  for i = 1, n do t[i] = from[i] end
end
function K.sort_by(t, less) merge_sort(t, #t, less) end

-- Whether comparing the items natively is cheap: all numbers, or strings of bounded length in sum.
local function cheap_to_compare(t, n)
  local kind, bytes = type(rawget(t, 1)), 0
  if kind ~= 'number' and kind ~= 'string' then return false end
  for i = 1, n do
    local v = rawget(t, i)
    if type(v) ~= kind then return false end
    if kind == 'string' then
      bytes = bytes + #v
      if bytes > SORT_BYTES_MAX then return false end
    end
  end
  return true
end
local function ascending(a, b)
  local kind = type(a)
  if kind ~= type(b) and metatable(a) == nil and metatable(b) == nil then
    blame('attempt to compare ' .. kind .. ' with ' .. type(b))
  end
  return a < b
end
function M.sort(t, less)
  require_table(t, 'sort')
  local n = #t
  if n >= 2147483647 then blame("bad argument #1 to 'sort' (array too big)") end
  if less ~= nil and type(less) ~= 'function' then
    blame("bad argument #2 to 'sort' (function expected, got " .. type(less) .. ')')
  end
  if n < 2 then return end
  if less == nil and metatable(t) == nil and cheap_to_compare(t, n) then
    table.sort(t)
    if n > 1000 then tick() end
    return
  end
  merge_sort(t, n, less or ascending)
end
