"""``llmspell session list``, ``count``, ``tree`` and ``history``."""

import re

import pytest

import llmspell


@pytest.fixture
def filled(ok):
    ok("session", "create", "Top", "--tag", "a", "--meta", 'user={"id": 7}', "--description", "bees in June")
    ok("session", "create", "Left", "--parent", "Top", "--created-by", "ada", "--meta", "n=1")
    ok("session", "create", "Right", "--parent", "Top", "--tag", "a", "--tag", "b")
    ok("session", "create", "Below", "--parent", "Left")
    ok("session", "complete", "Right")
    return ok


@pytest.mark.parametrize("words,names", [
    (("--meta", "user.id=7"), ["Top"]), (("--meta", "n=1"), ["Left"]), (("--meta", 'n="1"'), []),
    (("--text", "JUNE bees"), ["Top"]), (("--text", "right"), ["Right"]), (("--tag", "a", "--tag", "b"), ["Right"]),
    (("--created-by", "ada"), ["Left"]), (("--parent", "Top"), ["Left", "Right"]),
    (("--status", "completed"), ["Right"]), (("--status", "completed", "--status", "failed"), ["Right"]),
    (("--ended-after", "1h"), ["Right"]), (("--ended-before", "2020-01-01T00:00:00Z"), []),
    (("--created-after", "1h"), ["Below", "Left", "Right", "Top"]),
    (("--created-before", "1h"), []), (("--updated-after", "2020-01-01"), ["Below", "Left", "Right", "Top"]),
    (("--updated-before", "2020-01-01T00:00:00Z"), []), (("--tag", "a", "--status", "active"), ["Top"]),
])  # fmt: skip
def test_each_filter_chooses_what_is_listed_and_counted(filled, words, names):
    found = filled("session", "list", "--json", *words).json["items"]
    assert sorted(item["name"] for item in found) == names
    assert filled("session", "count", "--json", *words).json["number"] == len(names)
    assert filled("session", "count", "--exact", *words).out == f"{len(names)} session(s)\n"


@pytest.mark.parametrize("words", [("--text", "***"), ("--meta", "x"), ("--created-after", "soon"), ("--parent",)])
def test_a_filter_that_means_nothing_is_refused(filled, cli, words):
    for command in ("list", "count"):
        assert cli("session", command, *words).status == 2


def test_a_tree_is_drawn_for_people_and_nested_for_programs(filled):
    drawn = filled("session", "tree", "Top").out.splitlines()
    assert [line.split("  [")[0] for line in drawn] == ["Top", "├─ Left", "│  └─ Below", "└─ Right"]
    nested = filled("session", "tree", "Top", "--json").json
    assert [child["name"] for child in nested["children"]] == ["Left", "Right"]
    assert nested["children"][0]["children"][0]["name"] == "Below"
    flat = filled("session", "tree", "Top", "--depth", "1").out.splitlines()
    assert [line.split("  [")[0] for line in flat] == ["Top", "├─ Left", "│  └─ …", "└─ Right"]
    assert filled("session", "tree", "Below").out.startswith("Below")
    assert filled("session", "tree", "Below", "--up").out.splitlines() == drawn
    assert len(filled("session", "tree", "Top", "--limit", "2").out.splitlines()) == 4


def test_a_chain_of_a_thousand_sessions_is_nested_like_any_other(ok, tmp_path):
    with llmspell.open(tmp_path / ".llmspell") as store:
        above = None
        for number in range(1000):
            above = store.sessions.create(f"n{number}", parent=above).id
    out = ok("session", "tree", "n0", "--json").out
    assert re.findall(r'"name": "n(\d+)"', out) == [str(number) for number in range(1000)]
    assert out.endswith('"children": [], "cut": false, "more": false}' + '], "cut": false, "more": false}' * 999 + "\n")


def test_a_tree_of_nobody_is_not_found(filled, cli):
    assert cli("session", "tree", "Nobody").status == 13
    assert cli("session", "tree", "Top", "--limit", "0").status == 2


def test_history_shows_what_was_changed(filled):
    changes = filled("session", "history", "Right", "--json").json["items"]
    assert [(one["field"], one["before"], one["after"]) for one in changes] == [("status", "active", "completed")]
    assert "completed" in filled("session", "history", "Right").out
    assert filled("session", "history", "Top", "--json").json["items"] == []
