"""The line itself: options anywhere, what is unknown, exit statuses, errors as text and as objects."""

import pytest

from llmspell import errors
from llmspell.cli import exits
from llmspell.cli.dispatch import COMMANDS
from llmspell.cli.flags import split
from llmspell.errors import InvalidInput


def test_common_options_stand_anywhere(ok, tmp_path):
    for words in (
        ("--store", "s", "--json", "state", "set", "k", "1"),
        ("state", "--json", "set", "--store=s", "k", "1"),
        ("state", "set", "k", "1", "--json", "--store", "s"),
    ):
        assert ok(*words).json["value"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_words_behind_the_separator_are_left_alone():
    flags, rest = split(["run", "f.lua", "--yes", "--", "--json", "--yes", "-q"])
    assert (flags.json, flags.quiet) == (False, False)
    assert rest == ["run", "f.lua", "--yes", "--", "--json", "--yes", "-q"]


@pytest.mark.parametrize(
    "words",
    [
        ("--store",), ("--store="), ("--store", "--"), ("--store", "a", "--store", "b"), ("-q", "-v"),
        ("--no-color", "--color", "always"), ("--color", "pink", "session", "list"),
        ("--durability", "strong", "state", "set", "k", "1"), ("--nope",), ("-x",),
    ],
)  # fmt: skip
def test_options_that_mean_nothing_exit_2(cli, tmp_path, words):
    words = (words,) if isinstance(words, str) else words
    ran = cli(*words)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("llmspell: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "word, meant",
    [("sesion", "session"), ("stat", "state"), ("artefact", "artifact"), ("Doctor", "doctor"), ("exce", "exec")],
)
def test_an_unknown_command_exits_2_with_what_was_meant(cli, word, meant):
    ran = cli(word)
    assert ran.status == 2
    assert f"`llmspell {meant}`" in ran.err


@pytest.mark.parametrize("word", ["fork", "export", "backup", "replay", "serve", "mcp", "hook"])
def test_what_does_not_exist_yet_is_an_unknown_command(cli, word):
    ran = cli("--json", word, "list")
    assert (ran.status, ran.error["code"]) == (2, "usage")
    assert f"no command '{word}'" in ran.error["message"]


def test_an_unknown_command_of_a_group_suggests_that_groups(cli):
    ran = cli("session", "shwo", "R")
    assert ran.status == 2
    assert "did you mean `llmspell session show`?" in ran.err


@pytest.mark.parametrize(
    "words, piece",
    [
        (("state", "get"), "needs KEY"),
        (("state", "get", "a", "b"), "does not take 'b'"),
        (("state", "get", "a", "--scop", "x"), "--scope"),
        (("state", "list", "--limit", "many"), "--limit"),
        (("state", "list", "--prefix", "a", "--prefix", "b"), "--prefix"),
        (("state", "get", "a", "--yes"), "--yes"),
        (("session", "create"), "needs NAME"),
        (("artifact", "list"), "needs --session"),
    ],
)
def test_a_wrong_line_names_what_is_wrong_and_how_to_get_help(cli, words, piece):
    ran = cli(*words)
    assert ran.status == 2
    assert piece in ran.err
    assert "--help` shows" in ran.err
    assert cli("--json", *words).error["code"] == "usage"


@pytest.mark.parametrize(
    "words",
    [
        ("state", "get", "k"), ("state", "list"), ("state", "history", "k"), ("session", "list"),
        ("session", "show", "R"), ("artifact", "list", "--session", "R"),
        ("artifact", "get", "a", "--session", "R"), ("timeline",),
        ("verify",), ("stats",), ("event", "tail", "--timeout", "0"), ("session", "suspend", "R"),
        ("session", "delete", "R", "--yes"), ("state", "delete", "k", "--yes"),
        ("state", "set", "k", "1", "--session", "R"),
    ],
)  # fmt: skip
def test_without_a_store_reading_exits_10_and_makes_none(cli, tmp_path, words):
    ran = cli(*words)
    assert (ran.status, ran.out) == (10, "")
    assert str(tmp_path / ".llmspell") in ran.err
    assert "state set KEY VALUE" in ran.err
    assert cli("--json", *words).error["code"] == "store-missing"
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_another_kind_of_file_is_refused_untouched(cli, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "mine.txt").write_text("x")
    ran = cli("--json", "--store", "s", "state", "set", "k", "1")
    assert (ran.status, ran.error["code"]) == (2, "foreign-store")
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["store\0x", ""])
def test_a_store_that_cannot_be_a_path_is_refused(cli, name):
    assert cli(f"--store={name}", "state", "list").status == 2


def test_an_engine_that_does_not_exist_is_named(cli):
    ran = cli("--json", "--store", "postgresql://db", "state", "list")
    assert (ran.status, ran.error["code"]) == (2, "unknown-engine")


STATUSES = {
    "LlmspellError": 1, "NotFound": 13, "StoreMissing": 10, "Compacted": 13, "AlreadyExists": 14, "Conflict": 14,
    "InvalidInput": 2, "LimitExceeded": 1, "Vetoed": 1, "AccessDenied": 1, "ReadOnly": 1, "Busy": 11,
    "StorageFailed": 1, "Corrupt": 16, "ScriptFailed": 1, "Diverged": 3, "WrongKey": 12, "NeedsMigration": 15,
}  # fmt: skip


def test_every_error_has_the_exit_status_of_the_table(capsys):
    classes = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    found = {
        name: exits.report(kind("what", hint="do this"), json=False, verbose=False)
        for name, kind in classes.items()
        if issubclass(kind, errors.LlmspellError)
    }
    assert found == STATUSES
    assert capsys.readouterr().err.count("llmspell: what\nhint: do this\n") == len(STATUSES)


def _raising(error):
    def work():
        raise error

    return work


def test_an_unexpected_error_is_one_line_and_a_traceback_only_when_asked(capsys, monkeypatch):
    assert exits.guarded(_raising(ZeroDivisionError("oh")), json=False, verbose=False) == 1
    quiet = capsys.readouterr()
    assert (quiet.out, quiet.err.splitlines()[0]) == ("", "llmspell: internal error: ZeroDivisionError: oh")
    assert "Traceback" not in quiet.err
    assert exits.guarded(_raising(ZeroDivisionError("oh")), json=False, verbose=True) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("LLMSPELL_DEBUG", "1")
    exits.guarded(_raising(ZeroDivisionError("oh")), json=False, verbose=False)
    assert "Traceback" in capsys.readouterr().err


def test_a_refusal_of_the_system_names_the_file_and_no_internal_error(capsys):
    assert exits.guarded(_raising(PermissionError(13, "Permission denied", "f")), json=False, verbose=False) == 1
    assert capsys.readouterr().err == "llmspell: the system refused 'f': Permission denied\n"


def test_an_interruption_exits_130(capsys):
    assert exits.guarded(_raising(KeyboardInterrupt()), json=False, verbose=False) == 130
    assert capsys.readouterr() == ("", "")


def test_an_error_of_a_script_shows_the_scripts_own_traceback(capsys):
    error = errors.ScriptFailed("boom", traceback="main.lua:3: in function f")
    exits.report(error, json=False, verbose=False)
    assert capsys.readouterr().err == "llmspell: boom\nmain.lua:3: in function f\n"


def test_errors_under_json_are_one_object_on_stdout_and_nothing_else(cli):
    ran = cli("--json", "state", "get", "a", "b")
    assert ran.err == ""
    assert set(ran.json) == {"error"}
    assert set(ran.error) == {"code", "message", "hint"}
    assert cli("--json", "--store").error["code"] == "usage"


def test_help_is_there_for_every_command_and_needs_no_store(ok, tmp_path):
    out = ok("--help").out
    for name in COMMANDS:
        assert f"  {name}: " in out
        assert "Everywhere: --store" in ok(name, "--help").out
    assert ok().out == out
    assert list(tmp_path.iterdir()) == []


def test_commands_of_groups_explain_every_option(ok):
    for words in (("state", "set"), ("session", "create"), ("artifact", "put"), ("event", "tail"), ("timeline",)):
        lines = ok(*words, "--help").out.splitlines()
        assert not [line for line in lines if line.startswith("  --") and ":" not in line]


def test_version_is_told_with_and_without_json(ok):
    assert ok("--version").out.startswith("llmspell ")
    assert ok("--version", "--json").json["version"] == ok("-V").out.split()[1]


def test_split_refuses_a_value_that_is_missing():
    with pytest.raises(InvalidInput) as caught:
        split(["state", "--store"])
    assert caught.value.code == "usage"
