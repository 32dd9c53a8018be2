"""Logger, Utils, Config, JSON, the clock and the arguments."""

import logging
import re

from blake3 import blake3

from llmspell.model.clock import ManualClock
from llmspell.script.host import run_script
from tests.script.running import failure, go, lua, steps_of, value


def test_log_lines_reach_the_logger_with_their_level_and_fields(caplog):
    caplog.set_level(logging.DEBUG, logger="llmspell.script")
    lua("Logger.debug('d') Logger.info('i', {n = 1}) Logger.warn('w') Logger.warning('w2') Logger.error('e')")
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("DEBUG", "script.lua: d"), ("INFO", "script.lua: i n=1"), ("WARNING", "script.lua: w"),
        ("WARNING", "script.lua: w2"), ("ERROR", "script.lua: e"),
    ]  # fmt: skip
    assert caplog.records[1].fields == {"n": 1}


def test_log_and_print_lines_are_kept_in_the_record():
    outcome = lua("print('said', 1) Logger.info('logged', {n = 1})")
    kept = [
        (item["name"], item["args"])
        for item in steps_of(outcome.entries)
        if item.get("name") in {"print", "Logger.info"}
    ]
    assert kept == [("print", ["said\t1"]), ("Logger.info", ["logged", {"n": 1}])]
    assert outcome.lines == ["said\t1"]


def test_a_long_line_is_kept_whole():
    outcome = lua("print(('x'):rep(5000))")
    assert next(item for item in steps_of(outcome.entries) if item.get("name") == "print")["args"] == ["x" * 5000]


def test_digests_and_base64():
    script = """
    return {Utils.hash('abc'), Utils.hash('abc', 'sha256'), Utils.base64_encode('\\0\\255'),
      Utils.base64Decode('AP8=') == '\\0\\255',
      Utils.base64_decode('dGV4dA==')}
    """
    assert value(script) == [
        blake3(b"abc").hexdigest(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "AP8=",
          True, "text",
    ]  # fmt: skip
    assert failure("Utils.hash('x', 'md5')").code == "invalid-argument"
    assert failure("Utils.base64_decode('!')").code == "invalid-argument"


def test_trim_split_and_uuid():
    first, second, parts, trimmed = value(
        "return {Utils.uuid(), Utils.uuid(), Utils.split('a,b,,c', ','), Utils.trim('  x ')}"
    )
    assert re.fullmatch(r"[0-9a-f-]{36}", first)
    assert first < second
    assert (parts, trimmed) == (["a", "b", "", "c"], "x")


def test_settings_are_found_by_dotted_names():
    script = (
        "return {Config.get('a.b'), Config.get('a.c', 7), Config.get('none') == nil, Config.all().a.b,"
        " Config.getAll().x}"
    )
    assert value(script, config={"a": {"b": 1}, "x": 2}) == [1, 7, True, 1, 2]


def test_arguments_are_a_global_and_a_lists_items_the_chunks_own():
    assert value("return {args.name, args.deep[2]}", args={"name": "n", "deep": [1, "]]=] two"]}) == ["n", "]]=] two"]
    assert value("local a, b = ... return {a, b, #args}", args=["x", 2]) == ["x", 2, 2]
    assert value("return next(args) == nil") is True


def test_the_clock_is_the_stores():
    async def work(store):
        return (
            await run_script(store, "return {os.time(), os.date('!%Y-%m-%d', os.time()), Utils.now(), os.clock() >= 0}")
        ).value

    clock = ManualClock(1_700_000_000_500_000_000)
    assert go(work, clock=clock) == [1700000000, "2023-11-14", 1700000000.5, True]


def test_a_host_function_called_with_pure_effect_leaves_no_step():
    outcome = lua("Utils.hash('x') Config.get('y') Session.current() Utils.split('a', 'b')")
    assert [item for item in steps_of(outcome.entries) if item["path"].isdigit()] == []


def test_json_tells_lists_integers_and_null_apart():
    script = """
    local v = JSON.parse('{"a": [], "b": 1.0, "c": 1, "d": null}')
    return {JSON.stringify(v), v.d == null}
    """
    assert value(script) == ['{"a":[],"b":1.0,"c":1,"d":null}', True]


def test_what_scripts_do_not_have_says_so_by_name():
    for call in ("io.open('x')", "os.execute('x')", "os.getenv('HOME')", "require('x')", "load('x')"):
        error = failure(call)
        assert error.code == "not-available", call
        assert call.partition("(")[0] in error.message


def test_a_run_that_only_computes_is_recorded_too():
    outcome = lua("return 6 * 7")
    assert outcome.value == 42
    kinds = [kind for kind in outcome.kinds if not kind.startswith("store.")]
    assert kinds == [
        "session.created", "run.started", "session.completed", "run.recorded", "run.recorded", "run.finished",
    ]  # fmt: skip
