-- Patterns: the native matcher where its worst case is bounded, one that the limits can stop where it is not.
--
-- The native matcher backtracks inside C, where no hook runs: `a*a*a*b` on a long text would hang the process. So each
-- pattern is analysed once; from its quantifiers and the length of the subject follows a bound on the native steps.
--   1. Bound small: the native function.
--   2. Bound small for one starting place: native attempts anchored at each place in turn, a Lua loop between them.
--   3. Else: a matcher compiled to Lua closures, with the same meaning and the same error texts.
-- What must stay true: all three find the same matches and captures (tests compare them).
local K = ...
local raw = K.raw
local byte, sub, char = string.byte, string.sub, string.char
local native_find = string.find
local STEPS_MAX = 30000000       -- about 0.1 s of native matching
local CACHE_MAX = 300            -- analysed and compiled patterns kept
local UNCLOSED, POSITION = -1, -2
local tick = K.tick

local function malformed(what) K.blame('malformed pattern (' .. what .. ')') end

-- Parsing: a pattern becomes a list of items {kind, …, suffix}. The analysis and the compiler share it.
local function set_end(p, i)     -- i at the character after '['; gives the place after ']'
  if sub(p, i, i) == '^' then i = i + 1 end
  repeat
    local c = sub(p, i, i)
    if c == '' then malformed("missing ']'") end
    i = i + 1
    if c == '%' then
      if i > #p then malformed("missing ']'") end
      i = i + 1
    end
  until sub(p, i, i) == ']'
  return i + 1
end
local function class_end(p, i)   -- i at a single-character class; gives the place after it
  local c = sub(p, i, i)
  if c == '%' then
    if i == #p then malformed("ends with '%'") end
    return i + 2
  end
  if c == '[' then return set_end(p, i + 1) end
  return i + 1
end
local suffixes = {['*'] = true, ['+'] = true, ['-'] = true, ['?'] = true}
local function percent(p, i)     -- the special items after '%', or nil
  local c = sub(p, i + 1, i + 1)
  if c == 'b' then
    if i + 3 > #p then malformed("missing arguments to '%b'") end
    return {kind = 'balance', open = byte(p, i + 2), close = byte(p, i + 3)}, i + 4
  elseif c == 'f' then
    if sub(p, i + 2, i + 2) ~= '[' then malformed("missing '[' after '%f' in pattern") end
    local stop = set_end(p, i + 3)
    return {kind = 'frontier', class = sub(p, i + 2, stop - 1)}, stop
  elseif c ~= '' and native_find(c, '^%d') then
    return {kind = 'back', index = byte(c) - 48}, i + 2
  end
end
local function parse(p, anchors)
  local items, i = {}, 1
  if anchors and sub(p, 1, 1) == '^' then items.anchored, i = true, 2 end
  while i <= #p do
    local c, item = sub(p, i, i), nil
    if c == '(' then
      if sub(p, i + 1, i + 1) == ')' then item, i = {kind = 'position'}, i + 2 else item, i = {kind = 'open'}, i + 1 end
    elseif c == ')' then item, i = {kind = 'close'}, i + 1
    elseif c == '$' and i == #p then item, i = {kind = 'end'}, i + 1
    elseif c == '%' then
      local stop
      item, stop = percent(p, i)
      i = stop or i
    end
    if not item then
      local stop = class_end(p, i)
      local suffix = sub(p, stop, stop)
      if not suffixes[suffix] then suffix = nil end
      item = {kind = 'class', class = sub(p, i, stop - 1), suffix = suffix}
      i = suffix and stop + 1 or stop
    end
    items[#items + 1] = item
  end
  return items
end
K.pattern_parse = parse

-- Analysis ----------------------------------------------------------------------------------------------------------
local function trailing_suffix(items)   -- the last item, when nothing after it can fail
  local i = #items
  while i > 0 and items[i].kind == 'close' do i = i - 1 end
  return i
end
-- Bound on native steps from one place: length * 2^optional * (n+1)^power.
local function analyse(p, anchors)
  local ok, items = raw.pcall(parse, p, anchors)
  if not ok then return {hopeless = true} end
  local a = {length = #p, optional = 0, power = 0, starts = items.anchored and 0 or 1}
  local last = trailing_suffix(items)
  for i = 1, #items do
    local item = items[i]
    local suffix = item.suffix
    if item.kind == 'balance' or item.kind == 'back' then a.power = a.power + 1
    elseif suffix == '?' then a.optional = a.optional + 1
    elseif suffix and i ~= last then a.power = a.power + 1 end
  end
  a.factor = (1 + a.length / 4) * 2.0 ^ a.optional
  return a
end
local function cache(make)
  local kept, count = {}, 0
  return function(p, anchors)
    local key = anchors and p or '\0' .. p
    local value = kept[key]
    if not value then
      if count >= CACHE_MAX then kept, count = {}, 0 end
      value = make(p, anchors)
      kept[key], count = value, count + 1
    end
    return value
  end
end
local analysed = cache(analyse)
-- 1, 2 or 3: which matcher may look for p in a subject of n bytes.
local function tier(p, n, anchors)
  local a = analysed(p, anchors)
  if a.hopeless then return 3 end
  local once = a.factor * (n + 1.0) ^ a.power
  if once * (n + 1.0) ^ a.starts <= STEPS_MAX then return 1, once * (n + 1.0) ^ a.starts > 100000 end
  return once <= STEPS_MAX and 2 or 3
end
K.pattern_tier = tier

-- The compiled matcher ----------------------------------------------------------------------------------------------
-- Each item becomes a function from a place to the place after the match, or nil; it calls the next item's function.
-- Matching never leaves this file, so one subject and one set of captures are enough.
local subject, size, starts, stops

local classes = cache(function(class)
  local members = {}
  for code = 0, 255 do members[code] = native_find(char(code), '^' .. class) ~= nil end
  return members
end)
local function members_of(class)
  if #class == 1 and class ~= '.' then return {[byte(class)] = true} end
  return classes(class)
end

local make = {}
function make.class(item, following)
  local members, suffix = members_of(item.class), item.suffix
  if suffix == nil then
    return function(i) if i <= size and members[byte(subject, i)] then return following(i + 1) end end
  elseif suffix == '?' then
    return function(i)
      if i <= size and members[byte(subject, i)] then
        local stop = following(i + 1)
        if stop then return stop end
      end
      return following(i)
    end
  elseif suffix == '-' then
    return function(i)
      while true do
        local stop = following(i)
        if stop then return stop end
        if i > size or not members[byte(subject, i)] then return nil end
        i = i + 1
      end
    end
  end
  local least = suffix == '+' and 1 or 0
  return function(i)
    local j = i
    while j <= size and members[byte(subject, j)] do j = j + 1 end
    while j >= i + least do
      local stop = following(j)
      if stop then return stop end
      j = j - 1
    end
  end
end
make['end'] = function(_, following)
  return function(i) if i == size + 1 then return following(i) end end
end
function make.open(item, following)
  local k = item.capture
  return function(i)
    local start, stop = starts[k], stops[k]
    starts[k], stops[k] = i, UNCLOSED
    local found = following(i)
    if not found then starts[k], stops[k] = start, stop end
    return found
  end
end
function make.close(item, following)
  local k = item.capture
  return function(i)
    stops[k] = i
    local found = following(i)
    if not found then stops[k] = UNCLOSED end
    return found
  end
end
function make.position(item, following)
  local k = item.capture
  return function(i)
    starts[k], stops[k] = i, POSITION
    return following(i)
  end
end
function make.back(item, following)
  local k = item.index
  return function(i)
    if stops[k] == POSITION then malformed('position capture used as a back reference') end
    local text = sub(subject, starts[k], stops[k] - 1)
    if sub(subject, i, i + #text - 1) == text then return following(i + #text) end
  end
end
function make.balance(item, following)
  local open, close = item.open, item.close
  return function(i)
    if byte(subject, i) ~= open then return nil end
    local level = 1
    for j = i + 1, size do
      local c = byte(subject, j)
      if c == close then
        level = level - 1
        if level == 0 then return following(j + 1) end
      elseif c == open then level = level + 1 end
    end
  end
end
function make.frontier(item, following)
  local members = classes(item.class)
  return function(i)
    local previous = i > 1 and byte(subject, i - 1) or 0
    local here = i <= size and byte(subject, i) or 0
    if not members[previous] and members[here] then return following(i) end
  end
end

-- Numbers the captures and checks what the native matcher would only notice on the way.
local function number_captures(items)
  local open, closed, count = {}, {}, 0
  for _, item in ipairs(items) do
    if item.kind == 'open' or item.kind == 'position' then
      count = count + 1
      if count > 32 then K.blame('too many captures') end
      item.capture = count
      if item.kind == 'open' then open[#open + 1] = count else closed[count] = true end
    elseif item.kind == 'close' then
      if #open == 0 then K.blame('invalid pattern capture') end
      item.capture = open[#open]
      closed[item.capture] = true
      open[#open] = nil
    elseif item.kind == 'back' and not closed[item.index] then
      K.blame('invalid capture index %' .. item.index .. ' in pattern')
    end
  end
  if #open > 0 then K.blame('unfinished capture') end
  return count
end
local compiled = cache(function(p, anchors)
  local items = parse(p, anchors)
  local count = number_captures(items)
  local follow = function(i) return i end
  for i = #items, 1, -1 do follow = make[items[i].kind](items[i], follow) end
  return {match = follow, captures = count, anchored = items.anchored}
end)

local function capture_values(k, count, ...)
  if k == 0 then return ... end
  if stops[k] == POSITION then return capture_values(k - 1, count, starts[k], ...) end
  return capture_values(k - 1, count, sub(subject, starts[k], stops[k] - 1), ...)
end
local function compiled_search(s, p, from, anchors)
  local program = compiled(p, anchors)
  subject, size, starts, stops = s, #s, {}, {}
  local last = program.anchored and from or #s + 1
  for i = from, last do
    local stop = program.match(i)
    if stop then return i, stop - 1, capture_values(program.captures, program.captures) end
  end
end
K.pattern_compiled = compiled_search

local function stepwise_search(s, p, from)
  local anchored = '^' .. p
  for i = from, #s + 1 do
    if native_find(s, anchored, i) then return native_find(s, anchored, i) end
  end
end
K.pattern_stepwise = stepwise_search

-- The usual trim is cubic for the analysis and linear in truth; long texts are trimmed often enough to know it.
local TRIM = '^%s*(.-)%s*$'
local spaces = classes('%s')
local function trim_search(s, from)
  local _, before = native_find(s, '^%s*', from)
  local stop = #s
  while stop > before and spaces[byte(s, stop)] do stop = stop - 1 end
  return from, #s, sub(s, before + 1, stop)
end

local function after_heavy(...) tick() return ... end
-- First match at or after `from`: start, stop, captures; nil when there is none. `anchors` false: '^' is an ordinary
-- character (gmatch).
function K.search(s, p, from, anchors)
  local which, heavy = tier(p, #s, anchors)
  if which == 1 then
    if not anchors and byte(p) == 94 then p = '%' .. p end
    if heavy then return after_heavy(native_find(s, p, from)) end
    return native_find(s, p, from)
  elseif p == TRIM and anchors then return trim_search(s, from)
  elseif which == 2 and not (anchors and byte(p) == 94) then return stepwise_search(s, p, from)
  end
  return compiled_search(s, p, from, anchors)
end

-- Plain search: the native one compares up to #p bytes at each place, so long ones go in windows.
local function window_search(s, p, from)
  local window = math.max(1, 10000000 // #p)
  local last = #s - #p + 1
  while from <= last do
    local stop = math.min(from + window + #p - 2, #s)
    local found = native_find(sub(s, from, stop), p, 1, true)
    if found then return from + found - 1, from + found + #p - 2 end
    tick()
    from = from + window
  end
end
function K.plain_search(s, p, from)
  if #s * (#p + 0.0) <= 10000000 then return native_find(s, p, from, true) end
  return window_search(s, p, from)
end
