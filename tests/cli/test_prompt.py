"""Reading pieces of script from a person or a pipe."""

import io
import stat
import sys

import pytest

from llmspell.cli.prompt import Lines, converse, history


class Typed(Lines):
    """A person's lines; an exception among them is what a key raises."""

    def __init__(self, *lines, interactive=True):
        super().__init__(interactive=interactive)
        self.prompts = []
        self._lines = list(lines)

    def read(self, prompt):
        self.prompts.append(prompt)
        if not self._lines:
            return None
        line = self._lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line


def _pieces(typed):
    """What is taken as a whole (as many brackets close as open), and what is left."""
    taken = []

    def take(text):
        if text.count("(") > text.count(")"):
            return False
        taken.append(text)
        return True

    return taken, converse(typed, take)


def test_lines_are_joined_until_they_make_a_whole():
    typed = Typed("a(", "b", ")", "c")
    assert _pieces(typed) == (["a(\nb\n)", "c"], "")
    assert typed.prompts == ["> ", ">> ", ">> ", "> ", "> "]


def test_an_empty_line_belongs_to_its_piece():
    assert _pieces(Typed("a(", "", ")")) == (["a(\n\n)"], "")


def test_what_never_became_a_whole_is_left():
    assert _pieces(Typed("a", "b(", "c", interactive=False)) == (["a"], "b(\nc")


def test_empty_lines_alone_are_nothing():
    assert _pieces(Typed("", "  ", "a")) == (["a"], "")


def test_ctrl_c_drops_the_piece_begun_on_a_terminal_and_ends_a_pipe(capsys):
    assert _pieces(Typed("a(", KeyboardInterrupt(), "b")) == (["b"], "")
    with pytest.raises(KeyboardInterrupt):
        _pieces(Typed("a(", KeyboardInterrupt(), interactive=False))


def test_a_pipe_is_read_to_its_end_without_a_prompt(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\nb"))
    lines = Lines(interactive=False)
    assert [lines.read("> ") for _ in range(3)] == ["a", "b", None]
    assert capsys.readouterr().out == ""


def test_a_person_sees_the_prompt(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\n"))
    lines = Lines(interactive=True)
    assert [lines.read("> ") for _ in range(2)] == ["a", None]
    assert capsys.readouterr().out.startswith("> ")


def test_the_history_is_kept_for_its_owner_alone(tmp_path):
    readline = pytest.importorskip("readline", reason="this Python has no line editing")
    path = tmp_path / "deep" / "history"
    readline.clear_history()
    with history(path, interactive=True):
        readline.add_history("print(1)")
    readline.clear_history()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with history(path, interactive=True):
        assert readline.get_history_item(1) == "print(1)"


def test_a_history_that_cannot_be_kept_is_no_failure(tmp_path):
    (tmp_path / "file").write_text("")
    with history(tmp_path / "file" / "history", interactive=True):
        pass
    with history(tmp_path / "none", interactive=False):
        pass
    assert not (tmp_path / "none").exists()
