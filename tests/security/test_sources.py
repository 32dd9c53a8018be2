"""Where a master key comes from, and that nothing of what was read shows when it is none."""

import base64
import os
import subprocess
import sys
import traceback
import warnings
from pathlib import Path

import pytest

from llmspell.errors import InvalidInput, LlmspellError, NotFound, StorageFailed
from llmspell.security import sources
from llmspell.security.keys import MasterKey
from llmspell.security.sources import (
    InsecureKey,
    KeyCommand,
    KeyFile,
    KeyVariable,
    parse_key,
    source_of,
    source_of_environment,
)

RAW = bytes(range(180, 212))
KEY = MasterKey(RAW)
HEX = RAW.hex()
SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"
FORMS = [
    HEX.encode(),
    HEX.upper().encode() + b"\n",
    b"\n " + base64.b64encode(RAW) + b" \r\n",
    base64.urlsafe_b64encode(RAW),
    base64.urlsafe_b64encode(RAW).rstrip(b"="),
]
NO_KEYS = [
    b"",
    b"x",
    RAW[:31],
    RAW + b"\n",
    HEX.encode()[:63],
    HEX.encode() + b"0",
    b"g" * 64,
    b"\xff" * 64,
    b"a" * 5000,
]


def _python(code, **options):
    return KeyCommand((sys.executable, "-c", code), **options)


def _private(path, content):
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def _frames_of_ours(error):
    stack = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
    ours = [frame.locals for frame in stack if "tests" not in Path(frame.filename).parts]
    assert ours
    context = error.__suppress_context__ or error.__context__
    return f"{error!r} {error.hint} {error.details} {error.__cause__!r} {context!r} {ours}"


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [RAW, *FORMS])
def test_a_file_holds_a_key_raw_or_as_text(tmp_path, content):
    assert KeyFile(_private(tmp_path / "key", content))() == KEY == parse_key(content)


@pytest.mark.parametrize("content", NO_KEYS)
def test_a_file_of_anything_else_is_refused(tmp_path, content):
    with pytest.raises(InvalidInput) as refused:
        KeyFile(_private(tmp_path / "key", content))()
    assert refused.value.code == "invalid-key"
    with pytest.raises(InvalidInput):
        parse_key(content)


def test_thirty_two_bytes_are_raw_whatever_they_look_like():
    assert parse_key(HEX.encode()[:32]) == MasterKey(HEX.encode()[:32])


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o666])
def test_a_key_open_to_others_is_warned_about(tmp_path, mode):
    path = _private(tmp_path / "key", RAW)
    path.chmod(mode)
    with pytest.warns(InsecureKey, match=f"mode {mode:o}.*chmod 600"):
        assert KeyFile(path)() == KEY


def test_a_private_key_is_not_warned_about(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert KeyFile(_private(tmp_path / "key", RAW))() == KEY


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(NotFound) as missing:
        KeyFile(tmp_path / "key")()
    tmp_path.chmod(0o700)
    with pytest.raises(StorageFailed) as unreadable:
        KeyFile(tmp_path)()
    assert (missing.value.code, unreadable.value.code) == ("key-missing", "key-unreadable")


def test_a_key_may_come_through_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o644)
    writer = subprocess.Popen([sys.executable, "-c", f"open({str(pipe)!r}, 'w').write({HEX!r})"])
    assert KeyFile(pipe)() == KEY
    assert writer.wait(30) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="it takes a terminal with a name")
@pytest.mark.filterwarnings("ignore::llmspell.security.sources.InsecureKey")
def test_a_key_may_be_typed_at_a_terminal(monkeypatch):
    keyboard, terminal = os.openpty()
    real = sources._read_pipe

    def read(descriptor, deadline):
        os.write(keyboard, HEX.encode() + b"\n\x04")
        return real(descriptor, deadline)

    monkeypatch.setattr(sources, "_read_pipe", read)
    try:
        assert KeyFile(Path(os.ttyname(terminal)))() == KEY
    finally:
        os.close(keyboard)
        os.close(terminal)


@pytest.mark.parametrize("holds", [False, True], ids=["nobody opens it", "somebody holds it open"])
def test_a_pipe_that_nobody_writes_to_is_not_waited_for_for_ever(tmp_path, monkeypatch, holds):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    writer = os.open(pipe, os.O_RDWR) if holds else None
    monkeypatch.setattr(sources, "PIPE_TIMEOUT_S", 0.01)
    with pytest.raises(StorageFailed) as refused:
        KeyFile(pipe)()
    assert refused.value.code == "key-unreadable"
    if writer is not None:
        os.close(writer)


def test_what_reads_keys_reads_no_more_of_a_file_than_a_key_takes(tmp_path):
    assert len(sources.read_key_file(Path("/dev/zero"))) == sources.KEY_FILE_BYTES_MAX


# -- commands ----------------------------------------------------------------------------------------------------------


def test_a_command_prints_a_key_raw_or_as_text():
    assert _python(f"print('{HEX}')")() == KEY
    assert _python(f"import os; os.write(1, bytes.fromhex('{HEX}'))")() == KEY


def test_a_command_is_run_without_a_shell(tmp_path):
    touched = tmp_path / "touched"
    assert KeyCommand(("echo", HEX))() == KEY
    with pytest.raises(InvalidInput):
        KeyCommand(("echo", f"$(touch {touched})"))()
    assert not touched.exists()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (f"print('{HEX}'); raise SystemExit(3)", "status 3"),
        ("import time; time.sleep(100)", "longer than 0.5 s"),
        (f"import os, time; os.write(1, b'{SECRET}'); time.sleep(100)", "longer than 0.5 s"),
        (f"import os, time; os.write(1, b'{HEX}'); os.close(1); time.sleep(100)", "longer than 0.5 s"),
        ("import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3)'])", "longer"),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", "far more"),
    ],
)
def test_a_command_that_fails_is_late_or_endless_is_told_clearly(code, found):
    with pytest.raises(StorageFailed, match=found) as refused:
        _python(code, timeout_s=20 if "status" in found or "far" in found else 0.5)()
    assert refused.value.code == "key-command-failed"


def test_a_command_that_is_not_there_is_told_clearly(tmp_path):
    with pytest.raises(StorageFailed, match="cannot be started") as refused:
        KeyCommand((str(tmp_path / "missing"),))()
    assert refused.value.code == "key-command-failed"


@pytest.mark.parametrize("arguments", ["pass show key", (), [], ("pass", 3), ("pa\0ss",)])
def test_a_command_is_a_list_of_texts(arguments):
    with pytest.raises(InvalidInput) as refused:
        KeyCommand(arguments)
    assert refused.value.code == "invalid-key-command"


def test_a_command_reads_nothing_and_its_complaints_go_nowhere(capfd):
    assert _python(f"import sys; sys.stderr.write('{SECRET}'); print(sys.stdin.read() + '{HEX}')")() == KEY
    assert capfd.readouterr() == ("", "")


def test_what_a_command_is_given_is_not_shown():
    command = KeyCommand(("echo", SECRET))
    assert SECRET not in f"{command} {command!r}"


# -- variables ---------------------------------------------------------------------------------------------------------


def test_a_variable_holds_a_key_as_text(monkeypatch):
    for text in FORMS:
        monkeypatch.setenv("LLMSPELL_KEY", text.decode())
        assert KeyVariable()() == KEY
    monkeypatch.setenv("ANOTHER", HEX)
    assert KeyVariable("ANOTHER")() == KEY


def test_a_variable_of_thirty_two_characters_is_no_raw_key(monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEY", "x" * 32)
    with pytest.raises(InvalidInput):
        KeyVariable()()


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_told_so(monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("LLMSPELL_KEY", value)
    with pytest.raises(NotFound) as refused:
        KeyVariable()()
    assert refused.value.code == "key-missing"


# -- nothing shows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["file", "command", "status", "missing", "late", "variable", "parse", "source"])
def test_no_error_shows_what_was_read(tmp_path, monkeypatch, way):
    monkeypatch.setenv("LLMSPELL_KEY", SECRET)
    calls = {
        "file": KeyFile(_private(tmp_path / "key", SECRET.encode())),
        "command": KeyCommand(("echo", SECRET)),
        "status": _python(f"print('{SECRET}'); raise SystemExit(1)"),
        "missing": KeyCommand((f"/nowhere/{tmp_path.name}", SECRET)),
        "late": _python(f"import os, time; os.write(1, b'{SECRET}'); time.sleep(100)", timeout_s=0.5),
        "variable": KeyVariable(),
        "parse": lambda: parse_key(SECRET.encode()),
        "source": lambda: source_of([SECRET]),
    }
    with pytest.raises(LlmspellError) as refused:
        calls[way]()
    assert "hunter2" not in _frames_of_ours(refused.value)


# -- what a caller gives -----------------------------------------------------------------------------------------------


def test_bytes_are_a_key_a_path_is_a_file_and_a_source_is_itself(tmp_path):
    assert source_of(RAW) == KEY
    assert source_of(KEY) is KEY
    assert source_of(tmp_path / "key") == source_of(str(tmp_path / "key")) == KeyFile(tmp_path / "key")
    assert source_of("~/key") == KeyFile(Path.home() / "key")
    source = KeyVariable()
    assert source_of(source) is source


@pytest.mark.parametrize("key", [None, 32, "", "a\0b", b"short", b"", [RAW], object()])
def test_anything_else_is_no_key(key):
    with pytest.raises(InvalidInput) as refused:
        source_of(key)
    assert refused.value.code == "invalid-key"


# -- what the environment says -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "source"),
    [
        ("LLMSPELL_KEY", HEX, KeyVariable()),
        ("LLMSPELL_KEY_FILE", "/k/a key", KeyFile(Path("/k/a key"))),
        ("LLMSPELL_KEY_COMMAND", "pass show 'my agents'", KeyCommand(("pass", "show", "my agents"))),
    ],
)
def test_each_variable_names_a_source_and_an_empty_one_none(monkeypatch, name, value, source):
    assert source_of_environment() is None
    monkeypatch.setenv(name, "")
    assert source_of_environment() is None
    monkeypatch.setenv(name, value)
    assert source_of_environment() == source


@pytest.mark.parametrize("command", [f"echo '{SECRET}", " "])
def test_a_command_that_does_not_end_or_is_none_is_refused_and_not_shown(monkeypatch, command):
    monkeypatch.setenv("LLMSPELL_KEY_COMMAND", command)
    with pytest.raises(InvalidInput) as refused:
        source_of_environment()
    assert refused.value.code == "invalid-key-command"
    assert ("a quote" in refused.value.message) == bool(command.strip())
    assert "hunter2" not in _frames_of_ours(refused.value)


def test_a_file_in_the_home_of_nobody_is_refused(tmp_path, monkeypatch):
    nobody = "~no-such-user-here/key"
    with pytest.raises(InvalidInput) as refused:
        source_of(nobody)
    assert refused.value.code == "invalid-path"
    monkeypatch.setenv("LLMSPELL_KEY_FILE", nobody)
    with pytest.raises(InvalidInput) as refused:
        source_of_environment()
    assert refused.value.code == "invalid-path"
