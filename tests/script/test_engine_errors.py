"""Errors name their place, keep their code, and lead back to the host call they came from."""
# ruff: noqa: E501  a script on one line reads better than one broken anywhere

import pytest

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.script.engine import SOURCE_BYTES_MAX


def test_uncaught_error_has_the_scripts_lines_only(host):
    error = host.error(
        "local function inner()\n  error('boom')\nend\nlocal function outer()\n  inner()\n  return 1\nend\nouter()"
    )
    assert (error.code, error.origin, error.message) == ("script-error", "script", "script.lua:2: boom")
    lines = [line.strip() for line in error.traceback.splitlines()]
    assert lines[0] == "stack traceback:"
    assert [line.split(" in ")[0] for line in lines[1:]] == ["script.lua:2:", "script.lua:5:", "script.lua:8:"]


def test_host_failure_names_the_scripts_line_and_the_call(host):
    error = host.error("local a = 1\nlocal v = Host.fail(a)\nreturn v")
    assert (error.code, error.message, error.origin) == ("not-found", "no such thing", "host")
    assert error.details == {"key": "k"}
    assert error.ref == 1
    assert "script.lua:2:" in error.traceback
    assert str(error).startswith("no such thing\nstack traceback:")


def test_host_failure_thrown_again_still_leads_to_its_call(host):
    error = host.error("Host.echo(1) local ok, e = pcall(Host.fail) Host.echo(2) error(e)")
    assert error.ref == 2


def test_host_failure_told_in_other_words_has_no_reference(host):
    error = host.error("local ok, e = pcall(Host.fail) error('wrapped: ' .. tostring(e), 0)")
    assert (error.message, error.ref, error.code) == ("wrapped: not-found: no such thing", None, "script-error")


def test_caught_failure_reads_like_text_and_like_a_table(host):
    source = """
    local ok, e = pcall(Host.fail)
    return {e.code, e.message, e.details.key, tostring(e), 'Error: ' .. e, e:match('no such (%w+)'), e:find('such') ~= nil}
    """
    assert host.value(source) == [
        "not-found", "no such thing", "k", "not-found: no such thing", "Error: not-found: no such thing", "thing", True,
    ]  # fmt: skip


def test_error_table_of_the_script_keeps_code_and_message(host):
    error = host.error("error({code = 'my-code', message = 'mine', details = {1, 2}})")
    assert (error.code, error.message, error.details, error.origin) == ("my-code", "mine", [1, 2], "script")


@pytest.mark.parametrize(
    "thrown, message",
    [
        ("nil", "error object"),
        ("{}", "(error object is a table value)"),
        ("true", "(error object is a boolean value)"),
        ("print", "(error object is a function value)"),
        ("42", "42"),
        ("setmetatable({}, {__tostring = function() return 'shown' end})", "shown"),
        ("setmetatable({}, {__tostring = function() return {} end})", "its __tostring failed"),
    ],
)
def test_any_error_object_gives_a_message(host, thrown, message):
    assert message in host.error(f"error({thrown})").message


def test_error_levels_point_at_the_caller(host):
    assert host.error("local function f() error('x', 2) end\n\nf()").message == "script.lua:3: x"
    assert host.error("error('x', 0)").message == "x"


def test_syntax_error_names_chunk_and_line(host):
    error = host.error("local a = 1\nlocal b = = 2")
    assert (error.code, error.origin, error.incomplete) == ("syntax-error", "syntax", False)
    assert error.message.startswith("script.lua:2:")


@pytest.mark.parametrize("source", ["for i = 1, 3 do", "local t = {", "x = ", "if a then", 'return "abc" ..'])
def test_unfinished_text_is_told_apart(host, source):
    assert host.error(source).incomplete


def test_xpcall_handler_sees_the_traceback_of_the_error(host):
    text = host.value(
        "local function inner()\n  error('deep')\nend\nlocal ok, t = xpcall(function()\n  inner()\n end, debug.traceback)\nreturn t"
    )
    assert text.startswith("script.lua:2: deep\nstack traceback:\n")
    assert "script.lua:5:" in text


def test_xpcall_passes_arguments_and_results(host):
    assert host.value("local ok, n = xpcall(function(...) return select('#', ...) end, print, 1, nil, 3) return n") == 3
    assert host.value("local ok, e = xpcall(error, function(e) return e .. '!' end, 'x') return e") == "x!"
    assert host.value("return tostring((xpcall(error, function(e) error('y') end, 'x')))") == "false"


def test_traceback_of_a_coroutine(host):
    text = host.value(
        "local co = coroutine.create(function()\n  error('x')\nend)\ncoroutine.resume(co)\nreturn debug.traceback(co, 'm')"
    )
    assert text.startswith("m\nstack traceback:")
    assert "script.lua:2:" in text


def test_library_errors_name_the_scripts_line(host):
    for source in (
        "\nstring.rep()", "\nlocal x = ('x'):rep({})", "\nstring.find('a', '[')", "\nipairs()", "\nfor _ in pairs(nil) do end",
        "\nstring.gsub('a', 'a', true)", "\ntable.insert({}, 1, 2, 3)", "\ntable.concat({{}})", "\nos.date('%Q', 0)",
        "\nstring.format('%d', 'x')", "\ntable.sort({1, 'a', 2})", "\nsetmetatable(1, {})", "\ntonumber()", "\nmath.floor('x')",
    ):  # fmt: skip
        message = host.error(source).message
        assert message.startswith("script.lua:2: "), message


def test_denied_function_names_itself_and_what_to_use(host):
    error = host.error("os.execute('sleep 1')")
    assert error.code == "not-available"
    assert "os.execute is not available in scripts" in error.message
    assert "Utils.sleep" in error.message
    assert host.value("local ok, e = pcall(require, 'x') return e.message").startswith("require is not available")


def test_error_in_a_coroutine_iterator_reaches_the_script(host):
    assert host.error("for v in coroutine.wrap(function() error('x') end) do end").message == "script.lua:1: x"


def test_source_that_cannot_be_a_script_is_refused(host):
    with pytest.raises(InvalidInput):
        host.run("return '\ud800'")
    with pytest.raises(LimitExceeded):
        host.run("-" * (SOURCE_BYTES_MAX + 1))
    with pytest.raises(InvalidInput):
        host.run("return 1", name="two\nlines")
    with pytest.raises(InvalidInput):
        host.run("return 1", name="")


def test_error_given_by_the_host_must_have_code_and_message(make_host):
    engine = make_host({"f": None}).engine
    (event,) = engine.start("Host.f()", "a.lua")
    for bad in (None, {}, {"code": 1, "message": "x"}, {"code": "x"}, "text"):
        with pytest.raises(InvalidInput):
            engine.settle(event.call_id, False, bad)
    assert engine.settle(event.call_id, False, {"code": "c", "message": "m"})[0].error.code == "c"


def test_shebang_and_byte_order_mark_keep_line_numbers(host):
    assert host.error("#!/usr/bin/env llmspell\nerror('x')").message == "script.lua:2: x"
    assert host.error("\ufeffreturn 1 +\n").code == "syntax-error"
    assert host.value("\ufeffreturn 7") == 7


def test_error_in_a_returned_call_names_the_function_that_returned_it(host):
    assert "script.lua: in a call returned by the function at line 0" in host.error("return Host.fail()").traceback
    error = host.error("local function f() return Host.fail() end\nlocal v = f()")
    assert "script.lua:2: in main chunk" in error.traceback
