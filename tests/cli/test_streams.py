"""Standard streams that are closed or full, and words that are no text: nothing crashes, nothing is half done."""

import json
import os
import shlex
import subprocess
import sys

import pytest

HAS_FULL = os.path.exists("/dev/full")  # noqa: PTH110 - a device
needs_full = pytest.mark.skipif(not HAS_FULL, reason="this system has no /dev/full")


@pytest.fixture
def shell(tmp_path):
    """``shell("state get k", ">&-")``: a command line with redirections; buffered, as outside of test runs."""

    def run(words, redirections, **env):
        command = f"exec {shlex.quote(sys.executable)} -m llmspell {words} {redirections}"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | env
        return subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
        )

    return run


@pytest.mark.parametrize(
    "words",
    [
        "state get k", "state get k --json", "state list", "exec 'print(1) return 2'", "exec 'print(1)'", "--version",
        "state --help", "artifact get a --session S", "stats", "state set k 2",
    ],
)  # fmt: skip
def test_a_result_that_nobody_gets_because_stdout_is_closed_is_a_failure_in_one_line(shell, tmp_path, words):
    (tmp_path / "a").write_bytes(b"content")
    shell("session create S", "")
    shell("state set k 1", "")
    shell("artifact put a --session S", "")
    ran = shell(words, ">&-")
    assert (ran.returncode, ran.stdout) == (1, b""), ran
    assert ran.stderr == b"llmspell: there is nobody to tell: standard output is closed\n"


@pytest.mark.parametrize("words", ["state set k 2", "exec 'print(1) State.set(\"k\", 2)'"])
def test_what_is_done_is_done_though_nobody_is_told(shell, words):
    shell("state set k 1", "")
    assert shell(words, ">&-").returncode == 1
    assert shell("state get k", "").stdout == b"2\n"
    items = json.loads(shell("session list --json", "").stdout)["items"]
    assert [one["status"] for one in items] == ["completed"] * words.startswith("exec")


def test_a_command_that_has_nothing_to_say_needs_nobody_to_tell(shell):
    shell("state set k 1", "")
    assert (shell("verify -q", ">&-").returncode, shell("verify", ">&-").returncode) == (0, 1)


def test_an_error_keeps_its_status_and_stays_off_stdout_when_stderr_is_closed(shell):
    shell("state set k 1", "")
    ran = shell("state get nothing", "2>&-")
    assert (ran.returncode, ran.stdout) == (13, b"")
    assert shell("exec 'error(\"boom\")'", ">&- 2>&-").returncode == 1


@pytest.mark.parametrize("words", ["state set k -", "run -", "repl", "artifact put - --session S --name x"])
def test_a_closed_stdin_is_an_error_and_not_the_empty_text(shell, words):
    shell("session create S", "")
    ran = shell(words, "<&-")
    assert ran.returncode == 1
    assert ran.stderr.startswith(b"llmspell: ")
    assert b"internal" not in ran.stderr
    assert b"Traceback" not in ran.stderr
    assert shell("state get k", "").returncode == 13


@needs_full
@pytest.mark.parametrize("words", ["state get k", "state list --json", "stats", "state get nothing --json"])
def test_a_full_disk_behind_stdout_is_said_in_one_line(shell, words):
    shell("state set k 1", "")
    ran = shell(words, ">/dev/full")
    assert ran.returncode in (1, 13)
    assert ran.stderr.startswith(b"llmspell: ")
    assert b"Traceback" not in ran.stderr
    assert b"ignored" not in ran.stderr


@needs_full
def test_a_script_whose_output_cannot_be_written_fails_for_that_reason(shell):
    ran = shell("exec 'print(1)'", ">/dev/full")
    assert ran.returncode == 1
    assert b"what the script prints cannot be written: No space left on device" in ran.stderr
    assert b"internal" not in ran.stderr
    (item,) = json.loads(shell("session list --json", "").stdout)["items"]
    assert item["status"] == "failed"


@pytest.mark.parametrize(
    "words",
    [
        (b"state", b"set", b"k", b"\xff"),
        (b"state", b"set", b"\xff", b"1"),
        (b"session", b"create", b"\xff"),
        (b"event", b"publish", b"a.b", b"\xff"),
        (b"--store", b"\xff", b"state", b"set", b"k", b"1"),
        (b"--store", b"~no such user/s", b"state", b"set", b"k", b"1"),
    ],
)
def test_words_that_are_no_text_or_lead_nowhere_are_refused(process, words):
    ran = process(*words, env={"LC_ALL": "C.UTF-8"})
    assert ran.returncode == 2, ran
    assert b"internal" not in ran.stderr


def test_each_json_value_is_one_line_whatever_a_program_takes_for_a_line_end(ok):
    text = "a\u2028b\u2029c\x85d\x9b31m\u202e"
    ok("state", "set", "k", text)
    ran = ok("state", "get", "k", "--json")
    assert len(ran.out.splitlines()) == 1
    assert ran.json["value"] == text


def test_a_script_cannot_drive_the_terminal_it_prints_to(cli, monkeypatch):
    from llmspell.cli import scripts

    monkeypatch.setattr(scripts, "is_terminal", lambda _stream: True)
    assert cli("exec", 'print("\\27]52;c;eA==\\7", "gr\\u{fc}n\\tx")').out == "\\x1b]52;c;eA==\\x07\tgrün\tx\n"
    monkeypatch.setattr(scripts, "is_terminal", lambda _stream: False)
    assert cli("exec", 'print("\\27[1m")').out == "\x1b[1m\n"
