"""What goes to which stream, and what a terminal, a pipe and a program get to see."""

import io
import json
import os
import re
import sys

import pytest

import llmspell
from llmspell.cli import printable
from llmspell.cli.asking import confirmed
from llmspell.cli.output import Column, Output
from llmspell.errors import LlmspellError

ANSI = re.compile(r"\x1b\[")


class Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def _table(out):
    out.items([{"name": "x[red]", "status": "active"}], (
        Column("name", lambda item: item["name"]),
        Column("status", lambda item: item["status"], styles={"active": "green"}),
    ), next_cursor=None, nothing="none")  # fmt: skip


def test_a_terminal_gets_colors_and_a_pipe_gets_none(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    screen, pipe = Screen(), io.StringIO()
    _table(Output(stdout=screen))
    _table(Output(stdout=pipe))
    assert ANSI.search(screen.getvalue())
    assert "x[red]" in screen.getvalue(), "names are no markup"
    assert pipe.getvalue() == "NAME    STATUS\nx[red]  active\n"


@pytest.mark.parametrize(
    "color, term, colored", [("never", "xterm", False), ("auto", "dumb", False), ("always", "dumb", True)]
)
def test_color_is_decided_by_setting_and_terminal(monkeypatch, color, term, colored):
    monkeypatch.setenv("TERM", term)
    screen = Screen()
    _table(Output(stdout=screen, color=color))
    assert bool(ANSI.search(screen.getvalue())) is colored


def test_piped_output_of_the_command_has_no_escape_sequence_even_without_no_color(process):
    env = dict.fromkeys(("NO_COLOR",), "") | {"TERM": "xterm-256color"}
    process("session", "create", "R", env=env)
    for words in (
        ("session", "list"),
        ("--help",),
        ("session", "--help"),
        ("verify",),
        ("nope",),
        ("session", "show", "R"),
    ):
        ran = process(*words, env=env)
        assert b"\x1b" not in ran.stdout + ran.stderr, words
    forced = process("session", "list", env=env | {"FORCE_COLOR": "1"})
    assert b"\x1b[" in forced.stdout
    assert b"\x1b" not in process("session", "list", "--no-color", env=env | {"FORCE_COLOR": "1"}).stdout


HOSTILE = "\x1b[2J\x1b]0;title\x07 \u202eevil\u2066 \x9b31m \x7f"


def test_nothing_a_terminal_acts_on_is_printed():
    assert printable.line(HOSTILE + "\n\t\r\ud800") == (
        "\\x1b[2J\\x1b]0;title\\x07 \\u202eevil\\u2066 \\u009b31m \\x7f\\n\\t\\r\\ud800"
    )
    assert printable.block("a\n\tb\x1b") == "a\n\tb\\x1b"
    assert printable.line("grün 蜂 👩‍🚀") == "grün 蜂 👩‍🚀"


def test_json_for_a_screen_is_harmless_and_still_the_same_value():
    text = printable.json_text({HOSTILE: [HOSTILE]})
    assert printable.is_safe(text)
    assert json.loads(text) == {HOSTILE: [HOSTILE]}


def test_hostile_values_reach_people_as_escapes_and_programs_exactly(ok):
    ok("state", "set", "k", json.dumps(HOSTILE))
    for words in (("state", "get", "k"), ("state", "list", "--values"), ("state", "history", "k"), ("timeline",)):
        assert printable.is_safe(ok(*words).out)
    assert ok("state", "get", "k", "--json").json["value"] == HOSTILE


def test_hostile_words_in_errors_are_escaped(cli):
    ran = cli("state", "get", "k\x1b[2J")
    assert ran.status != 0
    assert "\x1b" not in ran.err
    assert "\x1b" not in cli("\x1b[2J").err
    assert "\x1b" not in cli("session", "create", "a\x1bb").err


def test_json_is_ascii_where_the_stream_is(process):
    put = process("state", "set", "k", "grün 蜂", "--json", env={"PYTHONIOENCODING": "ascii"})
    assert put.returncode == 0
    assert json.loads(put.stdout.decode("ascii"))["value"] == "grün 蜂"
    plain = process("state", "list", "--values", env={"PYTHONIOENCODING": "ascii"})
    assert plain.returncode == 0
    assert b"gr\\xfcn" in plain.stdout


def test_words_that_are_no_text_are_refused_without_a_traceback(process):
    ran = process("state", "set", b"k\xff".decode("utf-8", "surrogateescape"), "1")
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr
    ran = process("--json", "session", "show", b"\xff".decode("utf-8", "surrogateescape"))
    assert "error" in json.loads(ran.stdout)


def test_sizes_counts_and_widths_read_well():
    assert [printable.size(n) for n in (0, 999, 1000, 999_949, 999_950, 5 * 10**12)] == [
        "0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "5.0 TB",
    ]  # fmt: skip
    assert [printable.count(*one) for one in ((1, "key"), (2, "key"), (0, "entry"), (1204, "entry"))] == [
        "1 key", "2 keys", "0 entries", "1,204 entries",
    ]  # fmt: skip
    assert (printable.width("abc"), printable.width("蜂a"), printable.width("e\u0301")) == (3, 3, 1)
    assert printable.short("x" * 100, 10) == '"xxxxxxxx…'


def _answer(monkeypatch, text):
    class Keyboard(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Keyboard(text))
    monkeypatch.setattr(sys, "stderr", Screen())


@pytest.mark.parametrize("text, meant", [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)])
def test_on_a_terminal_a_deletion_asks(monkeypatch, text, meant):
    _answer(monkeypatch, text)
    out = Output(stdout=io.StringIO())
    if meant:
        assert confirmed(out, {}, "it all", yes=False, dry_run=False)
    else:
        with pytest.raises(LlmspellError) as caught:
            confirmed(out, {}, "it all", yes=False, dry_run=False)
        assert (caught.value.code, caught.value.exit_status) == ("declined", 1)
    assert sys.stderr.getvalue() == "Delete it all? [y/N] "


def test_a_program_is_never_asked(monkeypatch):
    _answer(monkeypatch, "y\n")
    with pytest.raises(LlmspellError) as caught:
        confirmed(Output(json=True, stdout=io.StringIO()), {}, "it", yes=False, dry_run=False)
    assert caught.value.code == "needs-yes"


def test_progress_shows_only_on_a_terminal_and_not_when_quiet(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for stream, quiet, shown in ((Screen(), False, True), (Screen(), True, False), (io.StringIO(), False, False)):
        with Output(stderr=stream, quiet=quiet).progress("working", 10) as advance:
            assert (advance is not None) is shown
            if advance is not None:
                advance(5, None)
        assert bool(stream.getvalue()) is shown


def test_content_a_terminal_could_act_on_is_not_printed_on_one(ok, monkeypatch):
    from llmspell.cli.artifact import _print_content
    from llmspell.cli.flags import Flags
    from llmspell.cli.invocation import Invocation, running

    invocation = Invocation(Flags())
    invocation.__dict__["out"] = Output(stdout=io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(Output, "on_terminal", True)
    token = running.set(invocation)
    try:
        with llmspell.open(":memory:") as store, store.session("R") as session:
            for content in (b"\x1b[2J", b"\xff", b"a\0"):
                session.artifacts.put("x", content)
                with pytest.raises(LlmspellError) as caught:
                    _print_content(session.artifacts.get("x"), asked=False)
                assert caught.value.code == "binary-content"
            session.artifacts.put("x", "grün\r\n\tzwei")
            _print_content(session.artifacts.get("x"), asked=False)
    finally:
        running.reset(token)
    assert invocation.out.stdout.buffer.getvalue() == "grün\r\n\tzwei\n".encode()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_what_python_cannot_encode_is_the_same_json_value(monkeypatch, encoding):
    value = {"a": [1, {"b": [], "c": {}}, 'é\u2028\x7f"', None, True, -1.5e300], "": [[[]]]}

    def shown():
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
        Output(json=True, stdout=stream).one(value, "")
        return stream.buffer.getvalue().decode(encoding)

    def too_deep(*_, **__):
        raise RecursionError

    plain = shown()
    assert json.loads(plain) == value
    monkeypatch.setattr(json, "dumps", too_deep)
    assert shown() == plain


def test_a_closed_pipe_ends_quietly(tmp_path):
    import subprocess

    with llmspell.open(tmp_path / ".llmspell") as store:
        store.state.set_many({f"key-number-{number:05}": number for number in range(5000)})
    command = f"'{sys.executable}' -m llmspell state list --limit 5000; echo status $? >&2"
    ran = subprocess.run(
        ["sh", "-c", f"({command}) | head -1"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    assert ran.stdout == b"KEY\n"
    assert ran.stderr == b"status 0\n"


def test_ctrl_c_ends_tail_with_130_and_no_traceback(process, tmp_path):
    import signal
    import subprocess

    process("event", "publish", "a.b")
    command = [sys.executable, "-m", "llmspell", "event", "tail", "--from", "start"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert b"store.created" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, b"")
