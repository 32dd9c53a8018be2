-- JSON.parse and JSON.stringify, in Lua: the limits hold inside them, and they work where a script cannot wait.
--
-- What must stay true: what `parse` gives, `stringify` writes back equal. Integers stay integers (64 bits), floats stay
-- floats ("3.0"), null is `null`, lists keep being lists when empty; what JSON cannot hold is refused with its path.
local K = ...
local raw = K.raw
local type, tonumber, tostring, select, rawget, next = type, tonumber, raw.tostring, select, rawget, next
local find, sub, byte, char, format, gsub, match, rep = string.find, string.sub, string.byte, string.char, string.format,
  string.gsub, string.match, string.rep
local concat, utf8_char, utf8_len, math_type = table.concat, utf8.char, utf8.len, math.type
local null, ARRAY, tick = K.null, K.ARRAY, K.tick
local setmetatable = setmetatable
local DEPTH_MAX = K.depth_max

local M = {}
K.json = M

-- Parsing -------------------------------------------------------------------------------------------------------------
local function refuse(s, at, what)
  local line, start = 1, 1
  while true do
    local newline = find(s, '\n', start, true)
    if not newline or newline >= at then break end
    line, start = line + 1, newline + 1
  end
  K.fail('json-invalid', 'JSON parse error at line ' .. line .. ' column ' .. at - start + 1 .. ': ' .. what)
end
local function skip(s, i) return select(2, find(s, '^[ \t\r\n]*', i)) + 1 end

local escapes = {['"'] = '"', ['\\'] = '\\', ['/'] = '/', b = '\b', f = '\f', n = '\n', r = '\r', t = '\t'}
local function hex4(s, i)
  local digits = match(s, '^%x%x%x%x', i)
  return digits and tonumber(digits, 16) or refuse(s, i, 'four hexadecimal digits expected after \\u')
end
local function unicode(s, i)                            -- i at the digits; gives the text and the place after it
  local code = hex4(s, i)
  if code >= 0xd800 and code <= 0xdbff and sub(s, i + 4, i + 5) == '\\u' then
    local low = hex4(s, i + 6)
    if low >= 0xdc00 and low <= 0xdfff then
      return utf8_char(0x10000 + ((code - 0xd800) << 10) + low - 0xdc00), i + 10
    end
  end
  if code >= 0xd800 and code <= 0xdfff then refuse(s, i, 'half of a surrogate pair') end
  return utf8_char(code), i + 4
end
local function escaped(s, i)                            -- i at the backslash
  local c = sub(s, i + 1, i + 1)
  if c == 'u' then return unicode(s, i + 2) end
  return escapes[c] or refuse(s, i, 'unknown escape \\' .. c), i + 2
end
local function text(s, i)                               -- i at the character after the opening quote
  local out, n = {}, 0
  while true do
    local stop = find(s, '["\\%c]', i)
    if not stop then refuse(s, #s + 1, 'string is not closed') end
    n = n + 1
    out[n] = sub(s, i, stop - 1)
    local c = byte(s, stop)
    if c == 34 then return n == 1 and out[1] or concat(out), stop + 1 end
    n = n + 1
    if c == 92 then out[n], i = escaped(s, stop)
    elseif c == 127 then out[n], i = '\127', stop + 1
    else refuse(s, stop, 'control character in a string') end
  end
end
local function number(s, i)
  local digits = match(s, '^-?%d+', i)
  if not digits then refuse(s, i, 'value expected') end
  if find(digits, '^-?0%d') then refuse(s, i, 'number with a leading zero') end
  local stop = i + #digits
  local fraction = match(s, '^%.%d+', stop) or ''
  local exponent = match(s, '^[eE][+-]?%d+', stop + #fraction) or ''
  stop = stop + #fraction + #exponent
  if find(s, '^[%w.+-]', stop) then refuse(s, stop, 'malformed number') end
  local value = #digits < 400 and tonumber(digits .. fraction .. exponent) or nil
  if fraction == '' and exponent == '' then
    if math_type(value) ~= 'integer' then refuse(s, i, 'integer ' .. sub(digits, 1, 30) .. ' does not fit 64 bits') end
  elseif value == nil or value - value ~= 0 then refuse(s, i, 'number is too large') end
  return value, stop
end

local value
local function list(s, i, depth)
  local t, n = setmetatable({}, ARRAY), 0
  i = skip(s, i)
  if byte(s, i) == 93 then return t, i + 1 end
  while true do
    n = n + 1
    t[n], i = value(s, i, depth)
    i = skip(s, i)
    local c = byte(s, i)
    if c == 93 then return t, i + 1 end
    if c ~= 44 then refuse(s, i, "',' or ']' expected") end
    i = i + 1
  end
end
local function map(s, i, depth)
  local t = {}
  i = skip(s, i)
  if byte(s, i) == 125 then return t, i + 1 end
  while true do
    i = skip(s, i)
    if byte(s, i) ~= 34 then refuse(s, i, 'string expected as key') end
    local key
    key, i = text(s, i + 1)
    i = skip(s, i)
    if byte(s, i) ~= 58 then refuse(s, i, "':' expected") end
    t[key], i = value(s, i + 1, depth)
    i = skip(s, i)
    local c = byte(s, i)
    if c == 125 then return t, i + 1 end
    if c ~= 44 then refuse(s, i, "',' or '}' expected") end
    i = i + 1
  end
end
local literals = {t = 'true', f = 'false', n = 'null'}
local meanings = {['true'] = true, ['false'] = false, null = null}
function value(s, i, depth)
  i = skip(s, i)
  local c = byte(s, i)
  if c == 34 then return text(s, i + 1) end
  if c == 123 or c == 91 then
    if depth >= DEPTH_MAX then refuse(s, i, 'nested deeper than ' .. DEPTH_MAX .. ' levels') end
    if c == 123 then return map(s, i + 1, depth + 1) end
    return list(s, i + 1, depth + 1)
  end
  local word = c and literals[char(c)]
  if word and sub(s, i, i + #word - 1) == word then return meanings[word], i + #word end
  if not c then refuse(s, i, 'text ends where a value was expected') end
  return number(s, i)
end
function M.parse(s)
  if type(s) ~= 'string' then K.fail('json-invalid', 'JSON parse error: string expected, got ' .. type(s)) end
  if not utf8_len(s) then K.fail('json-invalid', 'JSON parse error: text is not UTF-8') end
  local result, i = value(s, 1, 0)
  i = skip(s, i)
  if i <= #s then refuse(s, i, 'something follows the value') end
  return result
end

-- Writing -------------------------------------------------------------------------------------------------------------
local short = {['"'] = '\\"', ['\\'] = '\\\\', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t'}
local function escape(c) return short[c] or format('\\u%04x', byte(c)) end
local function quoted(s) return '"' .. gsub(s, '[%c"\\]', escape) .. '"' end
local function number_text(v)
  if math_type(v) == 'integer' then return format('%d', v) end
  for digits = 15, 17 do
    local s = gsub(format('%.' .. digits .. 'g', v), ',', '.')
    if tonumber(s) == v then return find(s, '[.eE]') and s or s .. '.0' end
  end
end
-- Writes what the wire would send, so the rules and refusals are those of every host call.
local function write(v, out, indent, margin)
  local kind = type(v)
  if v == null or v == nil then out[#out + 1] = 'null'
  elseif kind == 'string' then out[#out + 1] = quoted(v)
  elseif kind == 'number' then out[#out + 1] = number_text(v)
  elseif kind == 'boolean' then out[#out + 1] = tostring(v)
  else
    local listed = raw.debug.getmetatable(v) == ARRAY or rawget(v, 1) ~= nil
    local inner = indent and margin .. indent
    local keys = not listed and K.sorted_keys(v)
    local n = listed and rawlen(v) or #keys
    out[#out + 1] = listed and '[' or '{'
    for i = 1, n do
      if i > 1 then out[#out + 1] = ',' end
      if indent then out[#out + 1] = inner end
      if not listed then
        out[#out + 1] = quoted(keys[i])
        out[#out + 1] = indent and ': ' or ':'
      end
      write(rawget(v, listed and i or keys[i]), out, indent, inner)
    end
    if indent and n > 0 then out[#out + 1] = margin end
    out[#out + 1] = listed and ']' or '}'
  end
end
local function indent_text(indent)
  if indent == nil or indent == false or indent == null then return nil end
  if indent == true then return '  ' end
  if math_type(indent) == 'integer' and indent >= 0 and indent <= 10 then return rep(' ', indent) end
  K.fail('json-invalid', 'JSON stringify error: indent must be true or a number of spaces from 0 to 10')
end
function M.stringify(v, indent)
  indent = indent_text(indent)
  K.encode_value(v, 'JSON stringify error: value', true)
  local out = {}
  write(v, out, indent, '\n')
  local result = concat(out)
  tick()
  return result
end
