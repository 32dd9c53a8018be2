"""``llmspell run`` and ``llmspell exec``."""

import json
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def script(tmp_path):
    def write(text, name="task.lua"):
        (tmp_path / name).write_text(text)
        return name

    return write


def _sessions(ok):
    return {item["name"]: item for item in ok("session", "list", "--json").json["items"]}


def test_a_run_prints_what_the_script_prints_and_completes_its_session(ok, script):
    ran = ok("run", script('print("hello", 1 + 1); State.save("global", "k", {n = 1})'))
    assert ran.out == "hello\t2\n"
    assert "is completed" in ran.err
    assert _sessions(ok)["task"]["status"] == "completed"
    assert ok("state", "get", "k", "--json").json["value"] == {"n": 1}


def test_a_quiet_run_says_nothing_of_its_own(ok, script):
    ran = ok("run", script('print("hello")'), "--quiet")
    assert (ran.out, ran.err) == ("hello\n", "")


def test_for_programs_stdout_is_one_object_and_prints_go_beside(ok, script):
    ran = ok("run", script('print("hello") return {a = 1}'), "--json")
    assert (ran.json["value"], ran.json["status"]) == ({"a": 1}, "completed")
    assert ran.err == "hello\n"
    assert ok("session", "show", ran.json["session"], "--json").json["status"] == "completed"


def test_a_script_comes_from_stdin_too(ok):
    assert ok("run", "-", stdin=b"print('piped')").out == "piped\n"


def test_arguments_reach_the_script_by_name_or_in_order(ok, script):
    text = 'print(args.who, args.n, select("#", ...), ...)'
    assert ok("run", script(text), "--args", "who=ada", "n=2").out.startswith("ada\t2\t0")
    assert ok("run", script("print(#args, args[2], ...)"), "--", "a", "--json").out == "2\t--json\ta\t--json\n"


def test_an_error_shows_the_scripts_traceback_fails_its_session_and_exits_1(cli, ok, script):
    ran = cli("run", script("local function f()\n error('boom')\nend\nf()"))
    assert (ran.status, ran.out) == (1, "")
    assert "task.lua:2: boom" in ran.err
    assert "in local 'f'" in ran.err
    assert "Traceback" not in ran.err
    session = _sessions(ok)["task"]
    assert (session["status"], session["reason"]) == ("failed", "task.lua:2: boom")
    assert f"--resume {session['id']}" in ran.err


def test_an_error_for_programs_is_one_object(cli, script):
    ran = cli("run", script("error('boom')"), "--json")
    assert (ran.status, ran.error["code"]) == (1, "script-error")
    assert "task.lua:1" in ran.error["traceback"]


def test_a_text_that_does_not_compile_names_its_line(cli, script):
    ran = cli("run", script("x = = 1"))
    assert ran.status == 1
    assert "task.lua:1:" in ran.err


def test_keep_open_suspends_and_session_goes_on_and_suspends(ok, script):
    ok("run", script("print(1)"), "--keep-open")
    assert _sessions(ok)["task"]["status"] == "suspended"
    ok("run", script("print(2)"), "--session", "task")
    ok("run", script("print(3)"), "--session", "fresh")
    assert {name: item["status"] for name, item in _sessions(ok).items()} == {"task": "suspended", "fresh": "suspended"}


def test_a_completed_session_is_not_gone_on_with(cli, script):
    cli("run", script("print(1)"))
    assert cli("run", script("print(2)"), "--session", "task").status == 14


def test_resume_tries_the_failed_step_again_and_does_nothing_twice(cli, ok, script):
    text = """
        State.save("global", "count", (State.load("global", "count") or 0) + 1)
        Session.suspend("later")
        print("done", State.load("global", "count"))
    """
    assert cli("run", script(text)).status == 1
    again = cli("run", "--resume", "task")
    assert again.status == 1
    assert "later" in again.err
    ok("session", "create", "later")
    assert ok("run", "task.lua", "--resume", "task").out == "done\t1\n"
    assert _sessions(ok)["task"]["status"] == "completed"
    assert cli("run", "--resume", "task").status == 14


def test_a_changed_script_is_resumed_only_when_that_is_said(cli, script):
    cli("run", script("error('one')"))
    ran = cli("run", script("print('two')"), "--resume", "task", "--json")
    assert (ran.status, ran.error["code"]) == (14, "source-changed")
    assert cli("run", script("print('two')"), "--resume", "task", "--changed").out == "two\n"


@pytest.mark.parametrize(
    "words",
    [
        (), ("task.lua", "--session", "a", "--resume", "b"), ("task.lua", "--session", "a", "--keep-open"),
        ("--resume", "a", "--keep-open"), ("--resume", "a", "--args", "k=1"), ("task.lua", "--changed"),
        ("task.lua", "--args", "k=1", "--", "w"), ("task.lua", "--args", "novalue"), ("task.lua", "--memory-mb", "0"),
        ("task.lua", "--timeout-s=-1"), ("task.lua", "--instructions", "5"), (".",), ("",), ("--reume=a",),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_or_mean_nothing_exit_2(cli, script, tmp_path, words):
    script("print(1)")
    assert cli("run", *words).status == 2
    assert not (tmp_path / ".llmspell").exists()


def test_a_script_that_is_not_there_or_is_no_text_makes_no_store(cli, tmp_path):
    (tmp_path / "bin.lua").write_bytes(b"\xff\xfe")
    assert cli("run", "missing.lua").status == 13
    assert cli("run", "bin.lua").status == 2
    assert cli("run", "--resume", "x").status == 10
    assert not (tmp_path / ".llmspell").exists()


@pytest.mark.parametrize(
    "words, text, code",
    [
        (("--instructions", "100000"), "while true do end", "instruction-limit"),
        (
            ("--memory-mb", "4"),
            "local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end",
            "memory-limit",
        ),
        (
            ("--timeout-s", "0.2"),
            "sleep = Timer and Timer.sleep; while true do State.load('global', 'k') end",
            "time-limit",
        ),
    ],
)
def test_limits_end_a_script(cli, script, words, text, code):
    ran = cli("run", script(text), "--json", *words)
    assert (ran.status, ran.error["code"]) == (1, code)


def test_limits_come_from_the_settings_too(cli, script, tmp_path):
    (tmp_path / "llmspell.toml").write_text("[script]\ninstructions = 100000\n")
    assert cli("run", script("while true do end"), "--json").error["code"] == "instruction-limit"


def test_exec_prints_the_value_of_an_expression_as_json(ok):
    assert ok("exec", "1 + 1").out == "2\n"
    assert ok("exec", "return {a = {1, 2}}").out == '{"a": [1, 2]}\n'
    assert ok("exec", "print('x')").out == "x\n"
    assert ok("exec", "'\\255'").out == '{"base64": "/w=="}\n'
    assert ok("exec", "2", "--json").json["value"] == 2


def test_exec_takes_a_comment_but_no_mistyped_option(cli):
    assert cli("exec", "-- a comment\nreturn 1").out == "1\n"
    assert cli("exec", "-1").out == "-1\n"
    assert cli("exec", "--sesion=x").status == 2
    assert cli("exec", "prnt(").status == 1


def test_a_killed_run_is_resumed_by_another_process(process, ok, script, tmp_path):
    text = """
        for i = 1, 3 do
            local n = (State.load("global", "n") or 0) + 1
            State.save("global", "n", n)
            print(n)
            if n == 2 and not State.load("global", "go") then while true do end end
        end
    """
    command = [sys.executable, "-m", "llmspell", "run", script(text), "--instructions", str(1 << 59)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"1\n"
        assert child.stdout.readline() == b"2\n"
        child.send_signal(signal.SIGKILL)
    ok("state", "set", "go", "true")
    ran = process("run", "--resume", "task")
    assert ok("state", "get", "n").out == "3\n", ran
    assert ran.returncode == 0
    assert ok("session", "show", "task", "--json").json["status"] == "completed"


def test_ctrl_c_suspends_the_session_and_exits_130(ok, script, tmp_path):
    text = 'print("on") while true do State.load("global", "k") end'
    command = [sys.executable, "-m", "llmspell", "run", script(text)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"on\n"
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, b"")
    assert _sessions(ok)["task"]["status"] == "suspended"


def test_a_reader_that_goes_away_does_not_end_the_run(ok, script, tmp_path):
    text = 'for i = 1, 5000 do print(string.rep("x", 100)) end State.save("global", "done", true)'
    name = script(text)
    ran = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m llmspell -q run {name} | head -1"], cwd=tmp_path, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (len(ran.stdout), ran.stderr) == (101, b"")
    assert json.loads(ok("state", "get", "done").out) is True


def test_a_length_is_an_expression_and_a_shebang_line_is_none(ok, script):
    assert ok("exec", "#'four'").out == "4\n"
    assert ok("exec", "#!/usr/bin/env llmspell\n1").out == "1\n"
    assert ok("run", script("# for the shell\nprint(1)")).out == "1\n"


@pytest.mark.parametrize("words", [("--memory-mb", "1"), ("--memory-mb", "4000"), ("--instructions", str(1 << 61))])
@pytest.mark.parametrize("command", [("exec", "1"), ("repl",)])
def test_limits_that_no_runtime_takes_are_refused_by_their_name_before_there_is_a_session(cli, ok, command, words):
    ok("state", "set", "k", "1")
    ran = cli(*command, *words)
    assert ran.status == 2
    assert f"script.{words[0][2:].replace('-', '_')}" in ran.err
    assert _sessions(ok) == {}
