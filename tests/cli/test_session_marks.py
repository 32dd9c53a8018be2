"""``llmspell session fail | update | save | checkpoint | checkpoints | restore | restore-recent``."""

import pytest


@pytest.fixture
def drafted(ok):
    """A session with a checkpoint, and the number of its entry; one key is changed since, one is new."""
    ok("session", "create", "Draft", "--state", "text=one")
    seq = ok("session", "checkpoint", "Draft", "first", "--json").json["seq"]
    ok("state", "set", "text", "two", "--session", "Draft")
    ok("state", "set", "extra", "1", "--session", "Draft")
    return seq


def _state(ok):
    keys = [item["key"] for item in ok("state", "list", "--session", "Draft", "--json").json["items"]]
    return {key: ok("state", "get", key, "--session", "Draft", "--json").json["value"] for key in keys}


def test_a_session_fails_with_its_reason_in_the_journal(ok, cli):
    ok("session", "create", "R")
    assert cli("session", "fail", "R").status == 2
    assert ok("session", "fail", "R", "--reason", "no model").out == "session R is failed (was active): no model\n"
    entries = ok("timeline", "R", "--kind", "session.failed", "--json").json["items"]
    assert entries[0]["data"]["reason"] == "no model"
    assert cli("--json", "session", "fail", "R", "--reason", "again").error["code"] == "illegal-transition"
    assert ok("session", "resume", "R", "--json").json["status"] == "active"


def test_an_update_changes_what_is_given_and_nothing_else(ok, cli):
    ok("session", "create", "R", "--tag", "a", "--description", "old", "--meta", "n=1")
    told = ok("session", "update", "R", "--name", "S", "--tag", "b", "--tag", "c", "--json").json
    assert (told["name"], told["tags"], told["description"], told["metadata"]) == ("S", ["b", "c"], "old", {"n": 1})
    told = ok("session", "update", "S", "--meta", "m=[2]", "--description", "new", "--json").json
    assert (told["tags"], told["description"], told["metadata"]) == (["b", "c"], "new", {"m": [2]})
    told = ok("session", "update", "S", "--no-tags", "--no-meta", "--description", "", "--json").json
    assert (told["name"], told["tags"], told["description"], told["metadata"]) == ("S", [], "", {})
    assert "has new description" in ok("session", "update", "S", "--description", "x").out
    for words, code in (
        ([], "nothing-to-do"), (["--tag", "a", "--no-tags"], "usage"), (["--meta", "a=1", "--no-meta"], "usage"),
        (["--meta", "a"], "invalid-pair"), (["--name", ""], "invalid-name"),
    ):  # fmt: skip
        ran = cli("--json", "session", "update", "S", *words)
        assert (ran.status, ran.error["code"]) == (2, code), words


def test_a_save_writes_its_entry(ok):
    ok("session", "create", "R")
    assert ok("session", "save", "R").out.startswith("saved session R ")
    assert len(ok("timeline", "R", "--kind", "session.saved", "--json").json["items"]) == 1


def test_checkpoints_are_listed_and_a_label_is_used_once(ok, cli, drafted):
    (item,) = ok("session", "checkpoints", "Draft", "--json").json["items"]
    assert (item["label"], item["seq"], len(item["state_hash"])) == ("first", drafted, 64)
    assert f"#{drafted}" in ok("session", "checkpoints", "Draft").out
    ran = cli("--json", "session", "checkpoint", "Draft", "first")
    assert (ran.status, ran.error["code"]) == (14, "checkpoint-exists")


def test_restoring_tells_first_asks_and_sets_the_state_back(ok, cli, drafted):
    plan = ok("session", "restore", "Draft", "first", "--dry-run", "--json").json
    assert (plan["keys"], plan["seq"], plan["label"], plan["dry_run"]) == (["extra", "text"], drafted, "first", True)
    assert cli("--json", "session", "restore", "Draft", "first").error["code"] == "needs-yes"
    assert _state(ok) == {"text": "two", "extra": 1}
    done = ok("session", "restore", "Draft", "first", "--yes", "--json").json
    assert done["changed"] == len(plan["keys"]) == 2
    assert _state(ok) == {"text": "one"}
    assert ok("session", "restore", "Draft", str(drafted + 2), "--yes", "--json").json["changed"] == 2
    assert _state(ok) == {"text": "two", "extra": 1}
    assert "changing 0 keys" in ok("session", "restore", "Draft", str(drafted + 2), "--dry-run").out


def test_restoring_nowhere_is_said_before_anybody_is_asked(ok, cli, drafted):
    ok("session", "create", "Late")
    for words, status, code in (
        (("Draft", "frist"), 13, "checkpoint-not-found"), (("Draft", "99999"), 13, "entry-not-found"),
        (("Late", "1"), 2, "invalid-seq"),
    ):  # fmt: skip
        for more in ("--dry-run", "--yes"):
            ran = cli("--json", "session", "restore", *words, more)
            assert (ran.status, ran.error["code"]) == (status, code), words
    assert cli("--json", "session", "restore", "Draft", "frist", "--yes").error["hint"] == "did you mean 'first'?"


def test_a_checkpoint_called_like_a_number_is_meant_before_the_entry(ok, drafted):
    ok("session", "checkpoint", "Draft", "1")
    assert ok("session", "restore", "Draft", "1", "--dry-run", "--json").json["label"] == "1"


def test_what_expired_since_is_not_counted_as_coming_back(ok, drafted):
    ok("state", "set", "brief", "1", "--session", "Draft", "--ttl", "0.001")
    plan = ok("session", "restore", "Draft", str(drafted + 3), "--dry-run", "--json").json
    done = ok("session", "restore", "Draft", str(drafted + 3), "--yes", "--json").json
    assert (plan["keys"], done["changed"]) == ([], 0)


def test_a_fork_is_restored_to_what_it_inherits(ok, drafted):
    ok("session", "fork", "Draft", "--name", "Fork")
    plan = ok("session", "restore", "Fork", str(drafted), "--dry-run", "--json").json
    assert plan["keys"] == ["extra", "text"]
    assert ok("session", "restore", "Fork", "first", "--yes", "--json").json["changed"] == 2


def test_the_sessions_that_changed_last_are_taken_up_again(ok, cli):
    for name in ("one", "two", "three"):
        ok("session", "create", name)
        ok("session", "suspend", name)
    items = ok("session", "restore-recent", "2", "--json").json["items"]
    assert [(item["name"], item["status"]) for item in items] == [("three", "active"), ("two", "active")]
    assert ok("session", "show", "one", "--json").json["status"] == "suspended"
    assert cli("session", "restore-recent", "0").status == 2
