-- Wire: packs values into one string for the host and unpacks the host's answers (MessagePack).
--
-- What must stay true: only strings and scalars cross, never a table. The walk reads raw fields only, so that no
-- metamethod runs in it, and it runs in the script's coroutine, where the limits hold. Refusals name the path.
local K = ...
local raw = K.raw
local type, next, rawget, select = type, next, rawget, select
local pack, unpack, byte, sub, char, format = string.pack, string.unpack, string.byte, string.sub, string.char, string.format
local concat, sort, math_type, utf8_len, find = table.concat, table.sort, math.type, utf8.len, string.find
local metatable, setmetatable, tostring = raw.debug.getmetatable, setmetatable, K.tostring
local ARRAY, OBJECT, null, frozen = K.ARRAY, K.OBJECT, K.null, K.frozen
local DEPTH_MAX, NODES_MAX = K.depth_max, K.nodes_max
local CALLBACK = 1               -- extension type of a callback id
local BYTES_PER_INSTRUCTION = 100   -- what long values cost of the instruction budget

-- Callbacks ---------------------------------------------------------------------------------------------------------
local functions, ids, arrivals, last_callback = {}, {}, {}, 0
local function register(f)
  local id = ids[f]
  if not id then
    last_callback = last_callback + 1
    id = last_callback
    ids[f], functions[id], arrivals[id] = id, f, 0
  end
  arrivals[id] = arrivals[id] + 1
  return id
end
function K.release(id)
  local f = functions[id]
  if not f then return false end
  arrivals[id] = arrivals[id] - 1
  if arrivals[id] == 0 then functions[id], ids[f], arrivals[id] = nil, nil, nil end
  return true
end
function K.callback(id) return functions[id] end
function K.callback_count()
  local n = 0
  for _ in next, functions do n = n + 1 end
  return n
end

-- Packing -----------------------------------------------------------------------------------------------------------
local TINY, SHORT, LIST, MAP = {}, {}, {}, {}
for i = 0, 127 do TINY[i] = char(i) end
for i = 0, 31 do SHORT[i] = char(0xa0 + i) end
for i = 0, 15 do LIST[i], MAP[i] = char(0x90 + i), char(0x80 + i) end
local function list_header(n) return LIST[n] or pack('>BI4', 0xdd, n) end
local function map_header(n) return MAP[n] or pack('>BI4', 0xdf, n) end

-- State of the packing under way. Packing never yields, so one is enough; it is reset at each begin. The tables are
-- used again unless they held something large or a refusal left them in the middle.
local out, used, nodes, depth, path, inside, root, nested, registered, text_only
local clean = false              -- whether the last packing ended well
local function fresh() out, path, inside = {}, {}, {} end
local function begin(root_name, allow_functions, refuse_bytes)
  if not clean then fresh() end
  clean = false
  used, nodes, depth = 0, 0, 0
  root, nested, registered, text_only = root_name, allow_functions, nil, refuse_bytes
end
local function place()
  local text = root
  for i = 1, depth do
    local key = path[i]
    if type(key) ~= 'string' then text = text .. '[' .. tostring(key) .. ']'
    elseif #key <= 64 and find(key, '^[%a_][%w_]*$') then text = text .. '.' .. key
    else text = text .. '[' .. format('%q', sub(key, 1, 64)) .. ']' end
  end
  return text
end
local function refuse(what)
  for i = 1, registered and #registered or 0 do K.release(registered[i]) end
  K.fail('not-convertible', place() .. ': ' .. what)
end
K.refuse_at = refuse

local function put_text(s)
  local n = #s
  if utf8_len(s) then
    out[used + 1] = SHORT[n] or pack('>BI4', 0xdb, n)
  else
    if text_only then refuse('string is not UTF-8 (encode bytes as hexadecimal or base64 text first)') end
    out[used + 1] = pack('>BI4', 0xc6, n)
  end
  out[used + 2] = s
  used = used + 2
end

local function describe_key(key)
  if type(key) == 'string' then return format('%q', sub(key, 1, 64)) end
  return type(key) == 'number' and tostring(key) or 'a ' .. type(key)
end
local function refuse_size() refuse('more than ' .. NODES_MAX .. ' values in one call') end
-- The names of t in order, its number of entries, and the number of integer keys; refuses keys of other types.
local function keys_of(t)
  local keys, n, integers = {}, 0, 0
  for key in next, t do
    local kind = type(key)
    if kind == 'string' then n = n + 1 keys[n] = key
    elseif math_type(key) == 'integer' then integers = integers + 1
    else refuse('key ' .. describe_key(key) .. ' is neither a string nor part of a list 1..n') end
    if n + integers > NODES_MAX then refuse_size() end
  end
  return keys, n, integers
end
local function refuse_mixture(keys, integers)
  sort(keys)
  refuse('table mixes list items 1..' .. integers .. ' with key ' .. describe_key(keys[1]) .. ': use one or the other')
end
local function refuse_hole(at, integers)
  depth = depth - 1
  refuse('list has no item ' .. at .. ' although it has ' .. integers
    .. ' integer keys: fill holes with null, or use tostring(key) for keys of a map')
end
-- How t is sent: its number of items as a list, or nil and its names in order as a map.
local function shape_of(t, meta)
  local keys, names, integers = keys_of(t)
  if meta == OBJECT and integers > 0 then refuse('object{} has an integer key: use tostring(key)') end
  if integers > 0 or meta == ARRAY then
    if names > 0 then refuse_mixture(keys, integers) end
    return integers
  end
  sort(keys)
  return nil, keys, names
end

local put
local function put_list(t, n)
  used = used + 1
  out[used] = list_header(n)
  for i = 1, n do
    local v = rawget(t, i)
    if v == nil then refuse_hole(i, n) end
    path[depth] = i
    put(v)
  end
end
local function put_map(t, keys, n)
  used = used + 1
  out[used] = map_header(n)
  for i = 1, n do
    local key = keys[i]
    path[depth] = key
    if not utf8_len(key) then refuse('key is not UTF-8') end
    out[used + 1], out[used + 2] = SHORT[#key] or pack('>BI4', 0xdb, #key), key
    used = used + 2
    put(rawget(t, key))
  end
end
local function put_table(t)
  if t == null then used = used + 1 out[used] = '\xc0' return end
  if frozen[t] then refuse(frozen[t] .. ' is not data') end
  if inside[t] then refuse('table contains itself') end
  if depth >= DEPTH_MAX then refuse('nested deeper than ' .. DEPTH_MAX .. ' levels') end
  inside[t] = true
  local n, keys, names = shape_of(t, metatable(t))
  depth = depth + 1
  if n then put_list(t, n) else put_map(t, keys, names) end
  depth = depth - 1
  inside[t] = nil
end
local function put_number(v)
  used = used + 1
  if math_type(v) == 'integer' then
    out[used] = TINY[v] or pack('>Bi8', 0xd3, v)
  else
    if v - v ~= 0 then refuse((v ~= v and 'NaN' or v > 0 and 'infinity' or '-infinity') .. ' cannot be stored') end
    out[used] = pack('>Bd', 0xcb, v)
  end
end
function put(v)
  nodes = nodes + 1
  if nodes > NODES_MAX then refuse_size() end
  local kind = type(v)
  if kind == 'string' then put_text(v)
  elseif kind == 'number' then put_number(v)
  elseif kind == 'table' then put_table(v)
  elseif kind == 'boolean' then used = used + 1 out[used] = v and '\xc3' or '\xc2'
  elseif kind == 'nil' then used = used + 1 out[used] = '\xc0'
  elseif kind == 'function' and (depth == 0 and nested ~= nil or nested) then
    local id = register(v)
    registered = registered or {}
    registered[#registered + 1] = id
    used = used + 1
    out[used] = pack('>BBi8', 0xd7, CALLBACK, id)
  else refuse('a ' .. kind .. ' is not data') end
end
local function take()
  local packed = concat(out, '', 1, used)
  if #packed > 4096 then
    fresh()
    K.charge(#packed // BYTES_PER_INSTRUCTION)
    K.tick()
  end
  clean = true
  return packed
end
local nested_callbacks = {}
function K.allow_nested(names)
  for i = 1, #names do nested_callbacks[names[i]] = true end
end
function K.encode_arguments(name, n, ...)
  begin('', nested_callbacks[name] == true)
  used = 1
  out[1] = list_header(n)
  local values = {...}
  for i = 1, n do
    root = name .. ': argument ' .. i
    put(values[i])
  end
  return take()
end
local function displayable(v)
  local kind = type(v)
  if kind == 'function' or kind == 'thread' or frozen[v] and v ~= null then return tostring(v) end
  if kind ~= 'table' then return v end
  local ok = K.pcall(K.encode_value, v)
  if ok then return v end
  return tostring(v)
end
-- With `display` (a prompt shows the results) what cannot cross becomes its text.
function K.encode_results(display, ...)
  local n = select('#', ...)
  if display then
    local shown = {...}
    for i = 1, n do shown[i] = displayable(shown[i]) end
    return K.encode_results(false, raw.table.unpack(shown, 1, n))
  end
  begin('', nil)
  used = 1
  out[1] = list_header(n)
  local values = {...}
  for i = 1, n do
    root = 'result ' .. i
    put(values[i])
  end
  return take()
end
function K.encode_value(v, name, refuse_bytes)
  begin(name or 'value', nil, refuse_bytes)
  put(v)
  return take()
end

-- Unpacking ---------------------------------------------------------------------------------------------------------
local get
local function get_list(s, i, n)
  local t = setmetatable({}, ARRAY)
  for k = 1, n do
    local value
    value, i = get(s, i)
    if value == nil then value = null end
    t[k] = value
  end
  return t, i
end
local function get_map(s, i, n)
  local t = {}
  for _ = 1, n do
    local key, value
    key, i = get(s, i)
    value, i = get(s, i)
    if value == nil then value = null end
    t[key] = value
  end
  return t, i
end
local function text_of(width)
  return function(s, i)
    local n
    n, i = unpack(width, s, i)
    return sub(s, i, i + n - 1), i + n
  end
end
local function number_of(width) return function(s, i) return unpack(width, s, i) end end
local readers = {
  [0xc0] = function(_, i) return nil, i end,
  [0xc2] = function(_, i) return false, i end,
  [0xc3] = function(_, i) return true, i end,
  [0xc4] = text_of('>I1'), [0xc5] = text_of('>I2'), [0xc6] = text_of('>I4'),
  [0xd9] = text_of('>I1'), [0xda] = text_of('>I2'), [0xdb] = text_of('>I4'),
  [0xcb] = number_of('>d'),
  [0xcc] = number_of('>I1'), [0xcd] = number_of('>I2'), [0xce] = number_of('>I4'), [0xcf] = number_of('>i8'),
  [0xd0] = number_of('>i1'), [0xd1] = number_of('>i2'), [0xd2] = number_of('>i4'), [0xd3] = number_of('>i8'),
  [0xd7] = function(s, i)
    local _, id, after = unpack('>Bi8', s, i)
    return functions[id], after
  end,
  [0xdc] = function(s, i) return get_list(s, i + 2, (unpack('>I2', s, i))) end,
  [0xdd] = function(s, i) return get_list(s, i + 4, (unpack('>I4', s, i))) end,
  [0xde] = function(s, i) return get_map(s, i + 2, (unpack('>I2', s, i))) end,
  [0xdf] = function(s, i) return get_map(s, i + 4, (unpack('>I4', s, i))) end,
}
function get(s, i)
  local tag = byte(s, i)
  i = i + 1
  if tag < 0x80 then return tag, i end
  if tag >= 0xe0 then return tag - 256, i end
  if tag >= 0xc0 then return readers[tag](s, i) end
  if tag >= 0xa0 then
    local stop = i + tag - 0xa0
    return sub(s, i, stop - 1), stop
  end
  if tag >= 0x90 then return get_list(s, i, tag - 0x90) end
  return get_map(s, i, tag - 0x80)
end
function K.decode(packed) return (get(packed, 1)) end
-- The items of a packed list as separate values; here None is nil, as it is for any argument.
function K.decode_arguments(packed)
  local n, i, values = 0, 1, {}
  local tag = byte(packed, 1)
  if tag == 0xdc then n, i = unpack('>I2', packed, 2)
  elseif tag == 0xdd then n, i = unpack('>I4', packed, 2)
  else n, i = tag - 0x90, 2 end
  for k = 1, n do values[k], i = get(packed, i) end
  return raw.table.unpack(values, 1, n)
end
function K.decode_answer(form, value)
  if form == 2 then return functions[value] end
  return (get(value, 1))
end
