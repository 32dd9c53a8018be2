"""Which Lua runs a chunk, prompts that evaluate piece by piece, and what importing loads."""

import subprocess
import sys

import pytest

from llmspell.errors import InvalidInput, ScriptFailed
from llmspell.script.engine import Engine
from llmspell.script.lua import LuaEngine, runtime

ONLY_54 = "for i = 1, 3 do i = i * 2 end return _VERSION"


def done(events):
    return events[0]


def test_chunk_runs_on_55_by_default():
    engine: Engine = LuaEngine()  # the checker holds it to the port
    assert done(engine.start("return _VERSION", "a.lua")).value == "Lua 5.5"
    assert engine.info.language_version == "5.5"


def test_first_chunk_that_only_54_compiles_runs_on_54():
    engine = LuaEngine()
    assert done(engine.start(ONLY_54, "a.lua")).value == "Lua 5.4"
    assert engine.info.language_version == "5.4"
    assert engine.info.string_hash_seed is None
    assert done(engine.start("return _VERSION", "b.lua")).value == "Lua 5.4"


def test_later_chunk_that_only_54_compiles_says_so():
    engine = LuaEngine()
    engine.start("x = 1", "a.lua")
    error = done(engine.start(ONLY_54, "b.lua")).error
    assert error.code == "syntax-error"
    assert "Lua 5.4 compiles it" in error.message
    assert done(engine.start("return x", "c.lua")).value == 1


def test_chosen_version_is_kept():
    assert done(LuaEngine(version="5.5").start(ONLY_54, "a.lua")).error.code == "syntax-error"
    assert done(LuaEngine(version="5.4").start("return _VERSION", "a.lua")).value == "Lua 5.4"


def test_chunk_no_version_compiles_gives_the_default_versions_error():
    engine = LuaEngine()
    assert "a.lua:1:" in done(engine.start("local = 1", "a.lua")).error.message
    assert engine.info.language_version == "5.5"


def test_unknown_version_is_refused():
    with pytest.raises(InvalidInput) as caught:
        LuaEngine(version="5.1")
    assert caught.value.code == "engine-unknown"


def test_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(runtime.MODULES, "5.5", "lupa.no_such_module")
    runtime._compiled.cache_clear()
    with pytest.raises(ScriptFailed) as caught:
        LuaEngine()
    assert caught.value.code == "engine-missing"
    assert "Lua 5.5 is not in this installation" in caught.value.message
    assert done(LuaEngine(version="5.4").start("return 1", "a.lua")).ok


def test_missing_54_leaves_the_syntax_error_of_55(monkeypatch):
    monkeypatch.setitem(runtime.MODULES, "5.4", "lupa.no_such_module")
    runtime._compiled.cache_clear()
    assert done(LuaEngine().start(ONLY_54, "a.lua")).error.code == "syntax-error"


def test_prompt_evaluates_expressions_and_statements_in_one_runtime(host):
    assert host.run("x = 20", expression=True).values == ()
    assert host.run("x + 1, 'two'", expression=True).values == (21, "two")
    assert host.run("function f(a) return a * 2 end", expression=True).ok
    assert host.run("f(x)", expression=True).value == 40
    assert host.run("local y = 1 return y", expression=True).value == 1
    assert host.run("for i = 1, 3 do", expression=True).error.incomplete
    assert host.run("x +", expression=True).error.incomplete


def test_prompt_shows_what_cannot_cross_as_text(host):
    values = host.run("print, {print}, Host, {1, 2}, coroutine.create(print), null", expression=True).values
    assert [str(value).split(":")[0] for value in values] == ["function", "table", "Host", "[1, 2]", "thread", "None"]


def test_prompt_gives_errors_of_expressions_their_line(host):
    error = host.run("error('x')", expression=True).error
    assert error.message == "script.lua:1: x"


def test_importing_the_port_and_the_package_loads_no_lua():
    code = "import sys, llmspell.script.engine, llmspell.script.lua; print([m for m in sys.modules if 'lupa' in m])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert process.stdout.strip() == "[]"


def test_prelude_files_are_package_data():
    from importlib import resources

    names = {entry.name for entry in (resources.files("llmspell.script.lua") / "prelude").iterdir()}
    assert names == {f"{name}.lua" for name in runtime.PRELUDE_FILES}
