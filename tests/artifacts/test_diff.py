"""Differences of texts: whoever has the old one and the lines has the new one."""

import random
import re
import tracemalloc
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.artifacts import lines as lines_module
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


def rewritten(number, lines, mode):
    rnd = random.Random(number)
    was = [f"{mode(at, rnd)}\n" for at in range(lines)]
    now = [line for line in was if rnd.random() < 0.98]
    for _ in range(lines // 50):
        now.insert(rnd.randrange(len(now) + 1), f"new {rnd.randrange(9)}\n")
    return "".join(was), "".join(now)


MODES = {
    "unique": lambda at, rnd: at, "often": lambda at, rnd: rnd.randrange(8), "one": lambda at, rnd: 0,
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_few_changes_of_many_lines_are_few_lines(mode):
    for number in range(3):
        was, now = rewritten(number, 6000, MODES[mode])
        lines = list(text_changes(was, now, "f v1", "f v2"))
        assert applied(was, lines) == now
        assert sum(line[0] in "+-" for line in lines[2:]) <= 2 * sum(1 for _ in changed(was, now))


def changed(was, now):
    """What a minimal edit would touch, roughly: lines that the one has more often."""
    counts = Counter(was.split("\n"))
    others = Counter(now.split("\n"))
    yield from ((counts - others) + (others - counts)).elements()


def test_lines_that_come_again_and_again_are_compared_right():
    was, now = rewritten(1, 6000, lambda at, rnd: at % 7)
    assert applied(was, text_changes(was, now, "f v1", "f v2")) == now


@pytest.mark.parametrize("other", [
    lambda lines: [str(2 * int(line)) for line in lines], lambda lines: lines[::-1],
    lambda lines: [str(int(line) % 5) for line in lines], sorted,
], ids=["doubled", "reversed", "in turn", "sorted"])  # fmt: skip
def test_no_two_texts_are_compared_line_by_line(monkeypatch, other):
    """Which would be 10,000,000,000 pairs here: ``difflib`` is asked about few at a time, and few in all."""
    asked = []

    def by_pairs(_a, _b, gap):
        asked.append(gap)
        return []

    monkeypatch.setattr(lines_module, "_by_pairs", by_pairs)
    lines = [str(n) for n in range(100_000)]
    list(text_changes("\n".join(lines), "\n".join(other(lines)), "f v1", "f v2"))
    pairs = [(gap.a_high - gap.a_low) * (gap.b_high - gap.b_low) for gap in asked]
    assert max(pairs, default=0) <= 4096
    assert sum(pairs) <= 2_000_000


def test_what_is_held_beside_lines_of_two_texts_is_bounded():
    rnd = random.Random(1)
    was, now = ("".join(rnd.choices(("\n", "a\n"), k=20_000)) for _ in range(2))
    tracemalloc.start()
    try:
        assert applied(was, text_changes(was, now, "f v1", "f v2")) == now
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most / 40_000 < 300, "bytes a line"
