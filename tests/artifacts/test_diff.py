"""Differences of texts: whoever has the old one and the lines has the new one."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.artifacts.diff import NO_NEWLINE, diff_contents, text_changes
from llmspell.artifacts.info import ArtifactInfo

# Everything that some program or other takes for the end of a line, and what the marks of a diff are made of.
TEXTS = st.text(st.sampled_from("ab \n\n\n\r\x0b\x0c\x1c\x85\u2028-+@\\"), max_size=40)
HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@").fullmatch


def applied(text, lines):
    """A text with a unified diff applied to it; every line that goes or stays is compared."""
    *ended, last = text.split("\n")
    old = [f"{line}\n" for line in ended] + ([last] if last else [])
    new, at = [], 0
    body = list(lines)[2:]
    for number, line in enumerate(body):
        hunk = HUNK(line)
        if hunk:
            first = int(hunk[1]) - (hunk[2] != "0")
            new += old[at:first]
            at = first
            continue
        if line == NO_NEWLINE:
            continue
        sign, content = line[0], line[1:]
        if body[number + 1 : number + 2] != [NO_NEWLINE]:
            content += "\n"
        if sign in " -":
            assert old[at] == content
            at += 1
        if sign in " +":
            new.append(content)
    return "".join([*new, *old[at:]])


@given(TEXTS, TEXTS)
def test_the_lines_make_the_new_text_of_the_old_one(was, now):
    lines = list(text_changes(was, now, "f v1", "f v2"))
    assert (not lines) == (was == now)
    assert applied(was, lines) == now


@given(st.lists(st.sampled_from(["x\n", "y\n", "z\r\n", "\n"]), max_size=30), st.data())
def test_changes_far_apart_are_hunks_of_their_own_that_fit(lines, data):
    at = data.draw(st.integers(0, len(lines)))
    was, now = "".join(lines), "".join([*lines[:at], "new\n", *lines[at + 1 :]])
    assert applied(was, text_changes(was, now, "f v1", "f v2")) == now


@pytest.mark.parametrize(
    "was, now, body",
    [
        ("a\r\nb", "a\nb", ["-a\r", "+a", " b", NO_NEWLINE]),
        ("a", "a\n", ["-a", NO_NEWLINE, "+a"]),
        ("", "\n", ["+"]),
        ("a\x0cb\n", "a\nb\n", ["-a\x0cb", "+a", "+b"]),
        ("\\ No newline at end of file\n", "", ["-" + NO_NEWLINE]),
    ],
)
def test_a_line_ends_with_a_newline_and_with_nothing_else(was, now, body):
    assert list(text_changes(was, now, "f v1", "f v2"))[3:] == body


def test_json_that_is_too_deep_to_be_read_is_compared_as_text():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    info = ArtifactInfo("", "", "deep.json", 1, "data", "application/json", "", [], {}, [], 0, 0, "none", "", at, at)
    deep = b"[" * 5000 + b"]" * 5000
    found = diff_contents(info, info, deep, deep + b"\n")
    assert found.kind == "text"
    assert found.lines[-1] == "+" + deep.decode()
