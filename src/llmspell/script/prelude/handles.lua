-- Hook handles: what Hook.register gives. A handle knows its hook's id; letting go of it does not unregister the hook.
local ids = {}

local function handle_of(given)
  local function id() return given.id end
  local function point() return given.hook_point end
  local function unregister() return host('Hook.unregister', given.id) end
  local handle = freeze({
    id = id, hook_point = point, hookPoint = point, point = point, unregister = unregister,
  }, 'Hook handle', 'Hook handle ' .. given.id)
  ids[handle] = given.id
  return handle
end

local function register(...) return handle_of(host('Hook.register', ...)) end
local function unregister(which, ...)
  if ids[which] then which = ids[which] end
  return host('Hook.unregister', which, ...)
end

define('Hook', {register = register, on = register, unregister = unregister, off = unregister})
