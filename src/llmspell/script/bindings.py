"""The binding layer of Lua: namespaces from the table of operations, and the little that is written in Lua itself."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, Final

from llmspell.operations.table import ABSENT, ABSENT_NAMESPACES, bindings, nested_callbacks
from llmspell.script.engine import EngineOptions, Limits, Prelude, Seeds

HANDLES: Final = "handles.lua"
BUILDERS: Final = "builders.lua"
_NESTED = """local target = {}
for name, host_name in pairs(globals.JSON.parse(%s)) do
  target[name] = function(...) return host(host_name, ...) end
end
define(%s, {[ %s ] = freeze(target, %s)})
"""
_ABSENT = """local function refuse(name)
  return function() fail('not-available', name .. ' is not available in this version') end
end
for space, names in pairs(globals.JSON.parse(%s)) do
  local functions = {}
  for _, name in ipairs(names) do functions[name] = refuse(space .. '.' .. name) end
  define(space, functions)
end
local function face(title, field)
  local no = refuse(title)
  return setmetatable({}, {__index = field or no, __newindex = no, __call = no, __name = title, __metatable = false})
end
for _, space in ipairs(globals.JSON.parse(%s)) do
  globals[space] = face(space, function(_, key) return face(space .. '.' .. tostring(key)) end)
end
"""
_ARGS = "globals.args = globals.JSON.parse(%s)\n"


def options(args: Any, limits: Limits, seeds: Seeds) -> EngineOptions:
    """How a run's runtime is built. ``args`` become the global ``args``."""
    spaces = {space: names for space, names in bindings().items() if "." not in space}
    return EngineOptions(
        bindings=spaces,
        preludes=(*_fixed(), Prelude("args", _ARGS % quoted(args))),
        nested_callbacks=nested_callbacks(),
        limits=limits,
        seeds=seeds,
    )


@functools.cache
def _fixed() -> tuple[Prelude, ...]:
    folder = resources.files("llmspell.script") / "prelude"
    absent = {space: list(names) for space, names in ABSENT.items()}
    return (
        *(
            Prelude(space, _NESTED % (quoted(names), quoted_text(outer), quoted_text(inner), quoted_text(space)))
            for space, names in bindings().items()
            if "." in space
            for outer, _, inner in [space.partition(".")]
        ),
        Prelude("handles", (folder / HANDLES).read_text("utf-8")),
        Prelude("builders", (folder / BUILDERS).read_text("utf-8")),
        Prelude("absent", _ABSENT % (quoted(absent), quoted(list(ABSENT_NAMESPACES)))),
    )


def quoted(value: Any) -> str:
    """JSON of a value as a Lua string literal."""
    return quoted_text(json.dumps(value, sort_keys=True))


def quoted_text(text: str) -> str:
    """A text that begins with no line break as a Lua string literal."""
    level = "="
    while f"]{level}" in text:
        level += "="
    return f"[{level}[{text}]{level}]"
