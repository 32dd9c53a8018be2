-- The clock: os.time, os.date, os.clock and os.difftime, without the machine's time zone.
--
-- What must stay true: the only readings are host calls, so that a re-run is answered from the record; everything else
-- is arithmetic on the proleptic Gregorian calendar in UTC.
local K = ...
local type, floor, format, rawget, tointeger = type, math.floor, string.format, rawget, math.tointeger
local sub, concat, find = string.sub, table.concat, string.find
local blame = K.blame
local YEAR_MAX = 200000000       -- years beyond this are refused

local M = {}
K.os = M

local DAYS = {'Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'}
local MONTHS = {'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October',
  'November', 'December'}

-- Days since 1970-01-01 of a date whose month may be out of range (era arithmetic: 400 years have 146097 days).
local function days_from_civil(year, month, day)
  year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
  if month <= 2 then year = year - 1 end
  local era = year // 400
  local year_of_era = year - era * 400
  local day_of_year = (153 * (month + (month > 2 and -3 or 9)) + 2) // 5 + day - 1
  return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
end
local function civil_from_days(days)
  days = days + 719468
  local era = days // 146097
  local day_of_era = days - era * 146097
  local year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
  local day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
  local shifted = (5 * day_of_year + 2) // 153
  local month = shifted + (shifted < 10 and 3 or -9)
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return year, month, day_of_year - (153 * shifted + 2) // 5 + 1
end

local function fields_of(time)
  local days, seconds = time // 86400, time % 86400
  local year, month, day = civil_from_days(days)
  return {
    year = year, month = month, day = day,
    hour = seconds // 3600, min = seconds // 60 % 60, sec = seconds % 60,
    wday = (days + 4) % 7 + 1, yday = days - days_from_civil(year, 1, 1) + 1, isdst = false,
  }
end

local function date_field(t, key, default)
  local v = t[key]
  local n = tointeger(v) or type(v) == 'string' and tointeger(tonumber(v)) or nil
  if n == nil then
    if v ~= nil then blame("field '" .. key .. "' is not an integer") end
    if default == nil then blame("field '" .. key .. "' missing in date table") end
    return default
  end
  if n > YEAR_MAX * 400 or n < -YEAR_MAX * 400 then blame("field '" .. key .. "' is out-of-bound") end
  return n
end
local function time_of(t)
  local year = date_field(t, 'year')
  if year > YEAR_MAX or year < -YEAR_MAX then blame("field 'year' is out-of-bound") end
  local month, day = date_field(t, 'month'), date_field(t, 'day')
  local hour, minute, second = date_field(t, 'hour', 12), date_field(t, 'min', 0), date_field(t, 'sec', 0)
  local time = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
  for key, value in next, fields_of(time) do t[key] = value end
  return time
end
local function now() return floor(K.host('clock.now')) end

function M.time(t)
  if t == nil then return now() end
  if type(t) ~= 'table' then blame("bad argument #1 to 'time' (table expected, got " .. type(t) .. ')') end
  return time_of(t)
end
function M.clock() return K.host('clock.elapsed') + 0.0 end
function M.difftime(a, b)
  if type(a) ~= 'number' or type(b) ~= 'number' then blame("bad argument to 'difftime' (two times expected)") end
  return a - b + 0.0
end

-- Week of the year as ISO 8601 counts it, and the year it belongs to.
local function iso_week(f)
  local weekday = (f.wday + 5) % 7                      -- Monday is 0
  local week = (f.yday - 1 - weekday + 10) // 7
  if week < 1 then
    local last = fields_of((days_from_civil(f.year, 1, 1) - 1) * 86400)
    return iso_week(last)
  end
  if week == 53 then
    local january_first = (days_from_civil(f.year + 1, 1, 1) + 3) % 7
    if january_first <= 3 then return 1, f.year + 1 end
  end
  return week, f.year
end
local function hour12(f) return (f.hour + 11) % 12 + 1 end
local conversions
local function render(template, f, time)
  local out, n, i = {}, 0, 1
  while true do
    local at = find(template, '%', i, true)
    n = n + 1
    if not at then out[n] = sub(template, i) break end
    out[n] = sub(template, i, at - 1)
    local conversion = conversions[sub(template, at + 1, at + 1)]
    if not conversion then
      blame("bad argument #1 to 'date' (invalid conversion specifier '%" .. sub(template, at + 1, at + 1) .. "')")
    end
    n = n + 1
    out[n] = type(conversion) == 'string' and render(conversion, f, time) or conversion(f, time)
    i = at + 2
  end
  return concat(out)
end
local function two(key) return function(f) return format('%02d', f[key]) end end
conversions = {
  a = function(f) return sub(DAYS[f.wday], 1, 3) end, A = function(f) return DAYS[f.wday] end,
  b = function(f) return sub(MONTHS[f.month], 1, 3) end, B = function(f) return MONTHS[f.month] end,
  c = '%a %b %e %H:%M:%S %Y', C = function(f) return format('%02d', f.year // 100) end,
  d = two 'day', D = '%m/%d/%y', e = function(f) return format('%2d', f.day) end, F = '%Y-%m-%d',
  g = function(f) local _, year = iso_week(f) return format('%02d', year % 100) end,
  G = function(f) local _, year = iso_week(f) return format('%d', year) end, h = '%b',
  H = two 'hour', I = function(f) return format('%02d', hour12(f)) end, j = function(f) return format('%03d', f.yday) end,
  m = two 'month', M = two 'min', n = function() return '\n' end,
  p = function(f) return f.hour < 12 and 'AM' or 'PM' end, r = '%I:%M:%S %p', R = '%H:%M',
  s = function(_, time) return format('%d', time) end, S = two 'sec', t = function() return '\t' end, T = '%H:%M:%S',
  u = function(f) return format('%d', (f.wday + 5) % 7 + 1) end,
  U = function(f) return format('%02d', (f.yday + 7 - f.wday) // 7) end,
  V = function(f) return format('%02d', (iso_week(f))) end, w = function(f) return format('%d', f.wday - 1) end,
  W = function(f) return format('%02d', (f.yday + 6 - (f.wday + 5) % 7) // 7) end,
  x = '%m/%d/%y', X = '%H:%M:%S', y = function(f) return format('%02d', f.year % 100) end,
  Y = function(f) return format('%d', f.year) end, z = function() return '+0000' end, Z = function() return 'UTC' end,
  ['%'] = function() return '%' end,
}

function M.date(template, time)
  if template == nil then template = '%c' end
  if type(template) ~= 'string' then blame("bad argument #1 to 'date' (string expected, got " .. type(template) .. ')') end
  if time == nil then time = now() else
    local whole = tointeger(time)
    if not whole then blame("bad argument #2 to 'date' (number has no integer representation)") end
    if whole // 31557600 > YEAR_MAX or whole // 31557600 < -YEAR_MAX then
      blame('time result cannot be represented in this installation')
    end
    time = whole
  end
  if sub(template, 1, 1) == '!' then template = sub(template, 2) end
  local fields = fields_of(time)
  if sub(template, 1, 2) == '*t' then return fields end
  return render(template, fields, time)
end
