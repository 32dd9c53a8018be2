"""The runner of snippets finds what is wrong in a document, and leaves alone what is right."""

import pytest

from tools.snippets.__main__ import main, problem
from tools.snippets.blocks import Malformed, blocks
from tools.snippets.printed import mismatch


def fence(language, text, before=""):
    return f"{before}\n```{language}\n{text}\n```\n"


@pytest.fixture
def told(tmp_path):
    """What the runner says about a document of this text."""

    def run(text):
        document = tmp_path / "page.md"
        document.write_text(text, encoding="utf-8")
        return problem(document)

    return run


def test_names_files_and_the_event_loop_carry_on_through_a_document(told):
    text = fence("python", "import asyncio\nfrom pathlib import Path\nx = asyncio.Event()")
    text += fence("python", "x.set()\nassert await x.wait()\nPath('a.txt').write_text('left behind')")
    text += fence("console", "$ cat a.txt\nleft behind")
    assert told(text) is None


def test_a_block_inside_a_list_runs(told):
    text = "1. Do this:\n\n   ```python\n   if True:\n       x = 1\n   ```\n" + fence("python", "assert x == 1")
    assert told(text) is None


@pytest.mark.parametrize(
    "text, says",
    [
        (fence("python", "1 / 0"), "ZeroDivisionError"),
        (fence("python", "x = ("), "SyntaxError"),
        (fence("python", "raise SystemExit(0)"), "SystemExit"),
        (fence("python", "import warnings\nwarnings.warn('old')"), "UserWarning"),
        (fence("python", "print('a')") + fence("output", "b"), "+a"),
        (fence("console", "$ cat missing"), "exit status 1, not 0"),
        (fence("console", "$ echo a  # exit 3"), "exit status 0, not 3"),
        (fence("console", "$ echo a\nb"), "+a"),
        (fence("console", "$ curl example.org"), "'curl' is not run"),
        (fence("console", "llmspell demo"), "begins with a line '$ command'"),
        (fence("python", "x = 1", before="<!-- no-run: -->"), "needs a reason"),
        (fence("json", "{}", before="<!-- no-run: why ever -->"), "never run"),
        (fence("output", "a"), "follows no block"),
        (fence("python", "print(1)") + "\ntext\n" + fence("output", "1"), "follows no block"),
        ("```python\nx = 1\n", "never closed"),
    ],
)
def test_what_is_wrong_is_told(told, text, says):
    assert says in told(text)


def test_a_failure_names_the_line_of_the_document(told):
    assert 'page.md", line 7' in told("# Title\n\ntext\n" + fence("python", "x = 1\n1 / 0"))


def test_a_block_marked_no_run_does_not_run_and_its_reason_is_printed(tmp_path, capsys):
    document = tmp_path / "page.md"
    document.write_text(fence("python", "1 / 0", before="<!-- no-run: needs a key -->"), encoding="utf-8")
    assert main([str(document)]) == 0
    assert "needs a key" in capsys.readouterr().out


def test_one_wrong_document_fails_the_run(tmp_path, capsys):
    (tmp_path / "right.md").write_text(fence("python", "x = 1"), encoding="utf-8")
    (tmp_path / "wrong.md").write_text(fence("python", "1 / 0"), encoding="utf-8")
    assert main([str(tmp_path / "right.md"), str(tmp_path / "wrong.md")]) == 1
    assert "1 of 2 documents wrong" in capsys.readouterr().out


def test_a_snippet_sees_an_empty_home_and_no_settings_of_ours(told, monkeypatch):
    monkeypatch.setenv("LLMSPELL_STORE", "elsewhere")
    seen = "import os\nassert 'LLMSPELL_STORE' not in os.environ\nassert os.listdir(os.environ['HOME']) == []"
    assert told(fence("python", seen)) is None


def test_a_longer_fence_holds_a_shorter_one():
    (block,) = blocks("````python\n'''\n```\n'''\n````\n")
    assert (block.line, block.text) == (2, "'''\n```\n'''\n")


def test_a_marker_reaches_the_next_block_only():
    text = fence("lua", "a()", before="<!-- no-run: needs a key -->") + fence("lua", "b()")
    assert [block.no_run for block in blocks(text)] == ["needs a key", None]


def test_an_output_block_needs_a_block_without_one():
    with pytest.raises(Malformed):
        blocks(fence("python", "1") + fence("output", "1") + fence("output", "1"))


@pytest.mark.parametrize(
    "shown, printed",
    [
        ("a\n", "a  \n\n"),
        ("id ... ok", "id 0193 ok"),
        ("a\n...\nz", "a\nz"),
        ("a\n...\nz", "a\nb\nc\nz"),
        ("...", ""),
        ("a.b*", "a.b*"),
    ],
)
def test_printed_text_matches_what_is_shown(shown, printed):
    assert mismatch(shown, printed) is None


@pytest.mark.parametrize(
    "shown, printed", [("a", "b"), ("a ... z", "a\nz"), ("a.b", "axb"), ("a", "a\nb"), ("a\n...", "b")]
)
def test_another_text_is_a_mismatch(shown, printed):
    assert mismatch(shown, printed)
