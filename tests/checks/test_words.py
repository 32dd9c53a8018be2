import subprocess

import pytest

from tools.checks import words

# Put together here so that this file does not hold what it forbids.
UNWANTED = [
    "TO" + "DO: later",
    "FIX" + "ME",
    "/wo" + "rk/main",
    "see /ro" + "ot/x",
    "/ho" + "me/anna/x",
    "break" + "point()",
]
WANTED = ["todo lists", "https://example.org/work/1", "~/work/x", "/home/you/x", "./work/x", "src/work/x", "</root>"]


@pytest.fixture
def checkout(planted):
    subprocess.run(["git", "init", "-q", planted.root], check=True)
    return planted


@pytest.mark.parametrize("text", UNWANTED)
@pytest.mark.parametrize("name", ["README.md", "src/llmspell/x.py", "Makefile", "docs/a.md"])
def test_an_unwanted_word_is_found_with_its_line(checkout, name, text):
    checkout.plant(name, f"first line\n# {text}\n")
    assert checkout.findings(words) == [(name, 2, words.RULE)]


@pytest.mark.parametrize("text", WANTED)
def test_words_that_look_alike_pass(checkout, text):
    checkout.plant("README.md", f"{text}\n")
    assert checkout.findings(words) == []


def test_without_git_every_text_file_is_read(planted):
    planted.plant("docs/a.md", f"{UNWANTED[0]}\n")
    assert planted.findings(words) == [("docs/a.md", 1, words.RULE)]


def test_ignored_files_are_not_read(checkout):
    checkout.plant(".gitignore", "scratch/\n")
    checkout.plant("scratch/notes.md", f"{UNWANTED[0]}\n")
    assert checkout.findings(words) == []
