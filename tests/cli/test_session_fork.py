"""``llmspell session fork`` and ``compare``."""

import pytest


@pytest.fixture
def origin(ok):
    ok("session", "create", "Origin", "--tag", "a")
    ok("state", "set", "k", "1", "--session", "Origin")
    last = ok("session", "fork", "Origin", "--name", "first", "--json").json["forked_at"]
    ok("state", "set", "k", "2", "--session", "Origin")
    return ok("session", "show", "Origin", "--json").json["id"], str(last)


def test_a_fork_leaves_at_an_entry_or_now_and_says_where(ok, origin):
    session, last = origin
    told = ok("session", "fork", "Origin", "--at", last, "--name", "Fork", "--json").json
    assert (told["name"], told["forked_from"], told["tags"], told["status"]) == ("Fork", session, ["a"], "active")
    assert ok("state", "get", "k", "--session", "Fork").out.strip() == "1"
    line = ok("session", "fork", "Origin").out
    assert line.startswith("forked session Origin at entry ")
    assert "Origin (fork)" in line
    assert ok("state", "get", "k", "--session", "Origin (fork)").out.strip() == "2"
    assert ok("session", "fork", "Fork", "--at", str(told["forked_at"]), "--name", "Third").status == 0


def test_a_fork_leaves_some_time_ago(ok, cli, origin):
    _, last = origin
    told = ok("session", "fork", "Origin", "--at", "-0s", "--json").json
    assert told["forked_at"] > int(last)
    done = cli("session", "fork", "Origin", "--at", "-5w")
    assert done.status == 2
    assert "begins with entry" in done.err


def test_what_differs_is_a_table_for_people_and_nested_for_programs(ok, origin):
    session, last = origin
    ok("session", "fork", "Origin", "--at", last, "--name", "Fork")
    ok("state", "set", "own", "true", "--session", "Fork")
    told = ok("session", "compare", "Origin", "Fork", "--json").json
    assert told["ancestor"]["session"] == session
    assert {one["key"]: one["change"] for one in told["state"]} == {"k": "changed", "own": "added"}
    assert told["fields"] == {"name": {"a": "Origin", "b": "Fork"}}
    shown = ok("session", "compare", "Origin", "Fork")
    for word in ("field", "Origin", "Fork", "key", "changed", "added", "own"):
        assert word in shown.out
    page = ok("session", "compare", "Origin", "Fork", "--limit", "1", "--json").json
    rest = ok("session", "compare", "Origin", "Fork", "--cursor", page["next_cursor"], "--json").json
    assert [one["key"] for one in page["state"] + rest["state"]] == ["k", "own"]
    same = ok("session", "compare", "Fork", "Fork")
    assert "nothing differs" in same.out + same.err


@pytest.mark.parametrize("words, status", [
    (("fork", "nobody"), 13), (("fork", "Origin", "--at", "no moment"), 2), (("fork", "Origin", "--name", ""), 2),
    (("compare", "Origin", "nobody"), 13), (("fork", "Origin", "--at", "999999"), 13),
])  # fmt: skip
@pytest.mark.usefixtures("origin")
def test_what_cannot_be_is_refused(cli, words, status):
    done = cli("session", *words)
    assert done.status == status, done.err
    assert "Traceback" not in done.err


def test_artifacts_are_found_in_a_fork_with_what_it_inherits(ok, origin, tmp_path):
    (tmp_path / "f.txt").write_text("bees")
    ok("artifact", "put", str(tmp_path / "f.txt"), "--session", "Origin", "--name", "f.txt")
    ok("session", "fork", "Origin", "--name", "Fork")
    ok("artifact", "put", str(tmp_path / "f.txt"), "--session", "Fork", "--name", "own.txt")
    found = ok("artifact", "query", "--session", "Fork", "--name", "*.txt", "--json").json
    assert sorted(one["name"] for one in found["items"]) == ["f.txt", "own.txt"]
    assert ok("artifact", "count", "--session", "Fork").out.split()[0] == "2"
    assert "Fork" in ok("artifact", "query", "--session", "Fork").out
