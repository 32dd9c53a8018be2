"""The Lua engine: Lua 5.5 (or 5.4) through lupa, hardened by a prelude written in Lua.

``LuaEngine`` implements the port in ``llmspell.script.engine``; ``conversion`` states what becomes of every value;
``prelude/`` holds the Lua side. Importing this package loads no Lua.

A ``Prelude`` of the binding layer is Lua source that runs once per runtime, before any script, in an environment of its
own. It sees the script's functions (in copies that scripts cannot overwrite) and besides:

- ``host(name, ...)`` calls any host function by its host name and waits for the answer.
- ``namespace(name)`` gives the function table behind a global namespace, made when missing; scripts see it read-only.
- ``define(name, functions)`` adds functions to a namespace.
- ``freeze(fields, title[, text])`` gives a read-only face of a table: handles with methods (``hook:unregister()``).
- ``fail(code, message)`` raises an error with a code.
- ``globals`` is the script's table of globals.

It must not call the host while it is set up; the functions it defines may.
"""

from __future__ import annotations

from llmspell.script.lua.engine import LuaEngine

__all__ = ["LuaEngine"]
