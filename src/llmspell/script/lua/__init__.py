"""The Lua engine: Lua 5.5 (or 5.4) through lupa, hardened by a prelude written in Lua.

``LuaEngine`` implements the port in ``llmspell.script.engine``; ``conversion`` states what becomes of every value;
``prelude/`` holds the Lua side. Importing this package loads no Lua.
"""

from __future__ import annotations

from llmspell.script.lua.engine import LuaEngine

__all__ = ["LuaEngine"]
