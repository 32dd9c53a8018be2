"""``llmspell artifact update``, ``restore-version``, ``delete-tree`` and ``delete-matching``."""

import pytest


@pytest.fixture
def filled(ok):
    """A session with two versions of a text and one of a table; gives their ids."""
    ok("session", "create", "S")

    def put(name, content, *more):
        words = ("artifact", "put", "-", "--name", name, "--session", "S", "--json", *more)
        return ok(*words, stdin=content).json["id"]

    return put("a.md", b"one", "--tag", "x", "--meta", "n=1"), put("a.md", b"two!"), put("b.csv", b"1,2", "--tag", "x")


def _names(ok):
    items = ok("artifact", "list", "--session", "S", "--all-versions", "--json").json["items"]
    return [(item["name"], item["version"]) for item in items]


def test_an_update_changes_the_fields_of_one_version(ok, cli, filled):
    words = ("--tag", "a", "--tag", "b", "--description", "Bees", "--mime", "text/plain", "--meta", "m=[1]")
    told = ok("artifact", "update", "a.md", "--session", "S", "--version", "1", *words, "--json").json
    assert (told["id"], told["tags"], told["description"]) == (filled[0], ["a", "b"], "Bees")
    assert (told["mime_type"], told["metadata"]) == ("text/plain", {"m": [1]})
    assert ok("artifact", "show", filled[1], "--json").json["description"] == ""
    told = ok("artifact", "update", filled[0], "--no-tags", "--no-meta", "--json").json
    assert (told["tags"], told["metadata"], told["description"]) == ([], {}, "Bees")
    assert "version 1 has new description" in ok("artifact", "update", filled[0], "--description", "").out
    for more, code in (
        ([], "nothing-to-do"), (["--tag", "a", "--no-tags"], "usage"), (["--meta", "m=1", "--no-meta"], "usage"),
        (["--mime", "nonsense"], "invalid-mime"),
    ):  # fmt: skip
        ran = cli("--json", "artifact", "update", filled[0], *more)
        assert (ran.status, ran.error["code"]) == (2, code), more
    assert cli("--json", "artifact", "update", "a.md", "--description", "x").error["code"] == "usage"


def test_an_older_version_becomes_the_newest_again(ok, cli, filled):
    told = ok("artifact", "restore-version", "a.md", "1", "--session", "S", "--json").json
    assert (told["version"], told["tags"], told["metadata"]) == (3, ["x"], {"n": 1})
    assert ok("artifact", "get", "a.md", "--session", "S").out == "one"
    assert cli("artifact", "restore-version", "a.md", "9", "--session", "S").status == 13


def test_a_tree_is_told_before_it_is_deleted_and_goes_whole(ok, cli, filled):
    leaf = ok("artifact", "put", "-", "--name", "c", "--session", "S", "--json", stdin=b"c").json["id"]
    ok("artifact", "relate", "b.csv", "child_of", filled[1], "--session", "S")
    ok("artifact", "relate", leaf, "child_of", filled[2])
    plan = ok("artifact", "delete-tree", "a.md", "--session", "S", "--dry-run", "--json").json
    assert (plan["count"], [(one["name"], one["distance"]) for one in plan["below"]]) == (3, [("b.csv", 1), ("c", 2)])
    ran = cli("artifact", "delete-tree", "a.md", "--session", "S")
    assert (ran.status, "a.md version 2 and 2 artifacts below it" in ran.err) == (2, True)
    assert len(_names(ok)) == 4
    assert ok("artifact", "delete-tree", filled[1], "--kind", "derived_from", "--dry-run", "--json").json["count"] == 1
    assert ok("artifact", "delete-tree", "a.md", "--session", "S", "--yes", "--json").json["deleted"] == 3
    assert _names(ok) == [("a.md", 1)]
    assert cli("artifact", "delete-tree", filled[1], "--yes").status == 13


@pytest.mark.parametrize(
    "words, gone",
    [
        (["--meta", "n=1"], [("a.md", 1)]), (["--tag", "x", "--type", "data"], [("a.md", 1), ("b.csv", 1)]),
        (["--text", "cs*"], [("b.csv", 1)]), (["--min-size", "4"], [("a.md", 2)]),
        (["--name", "a*", "--max-size", "3"], [("a.md", 1)]), (["--updated-after", "1h"], None),
        (["--created-before", "1h"], []), (["--digest", "0" * 64], []),
    ],
    ids=str,
)  # fmt: skip
def test_conditions_mean_to_a_delete_what_they_mean_to_a_query(ok, filled, words, gone):
    before = _names(ok)
    gone = before if gone is None else gone
    found = ok("artifact", "query", *words, "--json").json["items"]
    assert sorted((one["name"], one["version"]) for one in found) == gone
    plan = ok("artifact", "delete-matching", *words, "--dry-run", "--json").json
    assert (plan["count"], plan["dry_run"], _names(ok)) == (len(gone), True, before)
    assert ok("artifact", "delete-matching", *words, "--yes", "--json").json["deleted"] == len(gone)
    assert sorted(_names(ok)) == sorted(set(before) - set(gone))


def test_a_dry_run_of_a_delete_by_conditions_opens_the_store_for_reading_alone(ok, cli, filled):
    ok("artifact", "delete", filled[2], "--yes")
    told = ok("artifact", "delete-matching", "--name", "*", "--deleted", "--hard", "--dry-run").out
    assert told == "would delete 1 version for good\n"
    assert [one["id"] for one in ok("artifact", "deleted", "--json").json["items"]] == [filled[2]]
    assert cli("--json", "artifact", "delete-matching", "--dry-run").error["code"] == "nothing-selected"


def test_an_import_of_artifacts_says_what_it_would_do_and_asks_only_before_it_replaces(ok, cli):
    ok(
        "artifact",
        "put",
        "-",
        "--name",
        "a.txt",
        "--session",
        ok("session", "create", "S", "-q").out.strip(),
        stdin=b"1",
    )
    ok("artifact", "export", "b.zip", "--session", "S")
    words = ["artifact", "import", "b.zip", "--session", "S", "--on-conflict"]
    head = ok("stats", "--json").json["last_seq"]
    plan = ok(*words, "replace", "--dry-run", "--json").json
    assert ([(one["name"], one["version"]) for one in plan["artifacts"]], plan["replaced"]) == ([("a.txt", 2)], 1)
    assert ok(*words, "rename", "--dry-run").out == "would take in 1 version: 1 B; renamed a.txt to a (2).txt\n"
    ran = cli("--json", *words, "replace")
    assert (ran.status, ran.error["code"]) == (2, "needs-yes")
    assert ok("stats", "--json").json["last_seq"] == head
    assert ok(*words, "replace", "--yes").out == "took in 1 version: 1 B; 1 version deleted to make room\n"
    ok("session", "create", "T")
    assert ok(*words[:-2], "T", "--on-conflict", "replace").out == "took in 1 version: 1 B\n"
