-- What scripts do not have: each name answers with an error that says so and what to use instead.
--
-- A denied library is a table whose every field raises when it is used, so `if io then … end` still meets the message,
-- and pcall(os.getenv, 'HOME') catches it.
local K = ...
local DENIED = {
  io = 'scripts have no files: use print, State or Artifact',
  package = 'scripts load no modules: put everything into one chunk',
  require = 'scripts load no modules: put everything into one chunk',
  dofile = 'scripts load no files', loadfile = 'scripts load no files',
  load = 'scripts compile no code: use functions', loadstring = 'scripts compile no code: use functions',
  collectgarbage = 'memory is limited by the host and freed by itself',
  ['string.dump'] = 'functions cannot be turned into bytes',
  ['os.execute'] = 'scripts start no processes; to wait, use Utils.sleep(milliseconds)',
  ['os.exit'] = 'return from the script, or raise with error()',
  ['os.getenv'] = 'scripts see no environment: pass values as arguments or by Config',
  ['os.remove'] = 'scripts have no files: use Artifact.delete', ['os.rename'] = 'scripts have no files: use Artifact',
  ['os.tmpname'] = 'scripts have no files: use State or Artifact', ['os.setlocale'] = 'the locale belongs to the host',
}
local DEBUG = {'debug', 'gethook', 'getinfo', 'getlocal', 'getmetatable', 'getregistry', 'getupvalue', 'getuservalue',
  'sethook', 'setlocal', 'setmetatable', 'setupvalue', 'setuservalue', 'upvalueid', 'upvaluejoin', 'setcstacklimit'}
for _, name in ipairs(DEBUG) do DENIED['debug.' .. name] = 'only debug.traceback is available' end

local function denied(name, hint)
  return function() K.fail('not-available', name .. ' is not available in scripts: ' .. hint) end
end
K.denied = {}
for name, hint in pairs(DENIED) do K.denied[name] = denied(name, hint) end
-- Fields of a denied library: each may be called or looked into, and says its name then.
local function refusing(name, hint, field)
  local refuse = denied(name, hint)
  local face = setmetatable({}, {
    __index = field or refuse, __newindex = refuse, __call = refuse, __pairs = refuse, __len = refuse,
    __name = name, __metatable = false,
  })
  K.frozen[face] = name
  return face
end
for _, library in ipairs{'io', 'package'} do
  K.denied[library] = refusing(library, DENIED[library], function(_, key)
    return refusing(library .. '.' .. K.tostring(key), DENIED[library])
  end)
end
