"""``llmspell repl``, from a pipe and on a terminal."""

import asyncio
import json
import os
import select
import signal
import sys
import time

import pytest

pty = pytest.importorskip("pty", reason="this system has no pseudo terminals")


def test_a_pipe_gets_results_without_a_prompt(process):
    text = b'x = 1\nx + 1\nfunction f()\n\n return {1, 2}\nend\nf()\nprint("p")\nnil\n"a", "b"\n'
    ran = process("repl", input=text)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.decode().splitlines() == ["2", "[1, 2]", "p", "nil", '"a"\t"b"']


def test_the_first_error_ends_a_pipe_with_its_traceback(process, ok):
    ran = process("repl", input=b'State.save("global", "k", 1)\nerror("boom")\nprint("never")\n')
    assert ran.returncode == 1
    assert b"never" not in ran.stdout
    assert b"prompt:1: boom" in ran.stderr
    assert b"Traceback" not in ran.stderr
    assert ok("state", "get", "k").out == "1\n"


def test_an_end_in_the_middle_is_an_error(process):
    ran = process("repl", "--json", input=b"1\nf(\n")
    assert ran.returncode == 1
    first, second = ran.stdout.splitlines()
    assert json.loads(first) == {"values": [1]}
    assert json.loads(second)["error"]["code"] == "syntax-error"


def test_the_session_ends_as_with_run(process, ok):
    process("repl", input=b"1\n")
    process("repl", "--session", "mine", input=b".quit\nerror('never')\n")
    items = ok("session", "list", "--json").json["items"]
    assert {item["name"]: item["status"] for item in items} == {"repl": "completed", "mine": "suspended"}
    assert process("repl", "--session", "mine", "--keep-open").returncode == 2


def test_an_unknown_command_of_the_prompt_names_the_known_ones(process):
    ran = process("repl", input=b".qit\n")
    assert ran.returncode == 2
    assert b".help and .quit" in ran.stderr
    assert b".quit" in process("repl", input=b".help\n").stdout


class Terminal:
    """A prompt on a pseudo terminal."""

    def __init__(self, folder, *words):
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execv(sys.executable, [sys.executable, "-m", "llmspell", *words])  # noqa: S606  the child of a fork
        self.seen = b""

    def type(self, keys):
        os.write(self._descriptor, keys.encode())

    def wait_for(self, text, deadline_s=60):
        """Read until ``text`` comes after what was waited for before."""
        deadline = time.monotonic() + deadline_s
        while text.encode() not in self.seen:
            ready, _, _ = select.select([self._descriptor], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self._descriptor, 4096)
        self.seen = self.seen.partition(text.encode())[2]

    def end(self):
        """The exit status, once it has ended."""
        try:
            while os.read(self._descriptor, 4096):
                pass
        except OSError:  # how a terminal without a process reads on Linux
            pass
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    opened = []

    def start(*words):
        opened.append(Terminal(tmp_path, *words))
        return opened[-1]

    yield start
    for one in opened:
        try:
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def test_a_person_has_a_prompt_goes_on_after_errors_and_keeps_a_history(terminal, ok):
    screen = terminal("repl")
    screen.wait_for(".help, .quit")
    screen.wait_for("> ")
    screen.type("function f()\n")
    screen.wait_for(">> ")
    screen.type("return 40 + 2 end\n")
    screen.wait_for("> ")
    screen.type("f()\n")
    screen.wait_for("42")
    screen.type("error('bo' .. 'om')\n")
    screen.wait_for("boom")
    screen.type(".hlep\n")
    screen.wait_for("hint: there are .help and .quit")
    screen.type("f(\n")
    screen.wait_for(">> ")
    screen.type("\x03")
    screen.type("\n")  # line editing may be so new that it sees the interruption only with the next key
    screen.wait_for("> ")
    screen.type("f() + 1\n")
    screen.wait_for("43")
    screen.wait_for("> ")
    screen.type("\x04")
    assert screen.end() == 0
    assert ok("session", "list", "--json").json["items"][0]["status"] == "completed"
    again = terminal("repl")
    again.wait_for("> ")
    again.type("\x1b[A")
    again.wait_for("f() + 1")
    again.type("\n")
    again.wait_for("attempt to call")
    again.type(".quit\n")
    assert again.end() == 0


def test_ctrl_c_stops_what_runs_and_the_prompt_goes_on(terminal):
    screen = terminal("repl")
    screen.wait_for("> ")
    screen.type("print('wait' .. 'ing') Event.receive(Event.subscribe('never.comes'), 60000)\n")
    screen.wait_for("waiting")
    screen.type("\x03")
    screen.wait_for("> ")
    screen.type("1 + 1\n")
    screen.wait_for("\n2")
    screen.type(".quit\n")
    assert screen.end() == 0


def test_events_are_served_while_nobody_types(terminal, ok):
    screen = terminal("repl")
    screen.wait_for("> ")
    screen.type("Event.on('data.ready', function(e) print('g' .. 'ot ' .. e.data) end)\n")
    screen.wait_for("> ")
    ok("event", "publish", "data.ready", "it")
    screen.wait_for("got it")
    screen.type(".quit\n")
    assert screen.end() == 0


def test_without_a_terminal_for_results_there_is_no_prompt(process):
    assert b"> " not in process("repl", input=b"1\n").stdout


def test_an_interruption_cancels_what_the_loop_does_and_waits_for_its_end():
    from llmspell.cli.loop_thread import LoopThread

    ended = []

    async def long():
        signal.raise_signal(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def short():
        return 3

    async def fails():
        raise ValueError("oh")

    before = signal.getsignal(signal.SIGINT)
    with LoopThread() as loop:
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                loop.call(long())
            assert loop.call(short()) == 3
        with pytest.raises(ValueError, match="oh"):
            loop.call(fails())
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert len(ended) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interruption_before_the_first_step_leaves_nothing_running(monkeypatch):
    from llmspell.cli.loop_thread import LoopThread

    async def never():
        raise AssertionError("it was cancelled before it began")

    with LoopThread() as loop:
        submit = loop._loop.call_soon_threadsafe

        def interrupted(work):
            submit(loop._cancel)
            submit(work)
            submit(loop._cancel)

        monkeypatch.setattr(loop._loop, "call_soon_threadsafe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loop.call(never())
        monkeypatch.undo()
