-- Builders: what is asked of sessions, or given to a new one, one thing after the other. They only gather a table of
-- options; the functions of the binding take it, and say what is wrong with it.
local function camel(name)
  return (name:gsub('_(%l)', string.upper))
end

-- What a method does with its arguments: `one` field, a `list` that grows, or a `pair` in a table.
local function builder(title, fields, ends)
  local given = {}
  local methods, face = {}, nil
  local function method(name, f)
    local function checked(self, ...)
      if self ~= face then fail('invalid-argument', title .. ': call ' .. name .. ' with a colon, like b:' .. name .. '(...)') end
      return f(...)
    end
    methods[name], methods[camel(name)] = checked, checked
  end
  for name, field in pairs(fields) do
    local key, how = field[1], field[2]
    method(name, function(value, ...)
      if value == nil then fail('invalid-argument', title .. ':' .. name .. ': expected a value, got nil') end
      if how == 'list' then
        local whole = given[key] or array{}
        if type(value) == 'table' then
          for _, one in ipairs(value) do whole[#whole + 1] = one end
        else
          for _, one in ipairs({value, ...}) do whole[#whole + 1] = one end
        end
        given[key] = whole
      elseif how == 'pair' and type(value) ~= 'table' then
        local one = ...
        if one == nil then fail('invalid-argument', title .. ':' .. name .. ': expected a name and a value') end
        given[key] = given[key] or object{}
        given[key][value] = one
      elseif how == 'pair' then
        given[key] = given[key] or object{}
        for path, one in pairs(value) do given[key][path] = one end
      else
        given[key] = value
      end
      return face
    end)
  end
  for name, host_name in pairs(ends) do
    method(name, function() return host(host_name, given) end)
  end
  face = freeze(methods, title, title)
  return face
end

local asked = {
  status = {'status', 'list'}, tags = {'tags', 'list'}, created_by = {'created_by'}, parent = {'parent'}, name = {'name'},
  metadata = {'metadata', 'pair'}, text = {'text'}, created_after = {'created_after'},
  created_before = {'created_before'}, updated_after = {'updated_after'}, updated_before = {'updated_before'},
  ended_after = {'ended_after'}, ended_before = {'ended_before'},
}
local query_fields = {order_by = {'order_by'}, limit = {'limit'}, cursor = {'cursor'}, paged = {'paged'}}
for name, field in pairs(asked) do query_fields[name], query_fields['with_' .. name] = field, field end
local create_fields = {
  name = {'name'}, description = {'description'}, tags = {'tags', 'list'}, created_by = {'created_by'},
  metadata = {'metadata', 'pair'}, parent = {'parent'}, parent_session_id = {'parent'}, config = {'config', 'pair'},
  state = {'state', 'pair'},
}

local function query_builder() return builder('Session query', query_fields, {execute = 'Session.list'}) end
local function create_builder() return builder('Session builder', create_fields, {build = 'Session.create', create = 'Session.create'}) end
define('Session', {builder = create_builder, query_builder = query_builder, queryBuilder = query_builder})
