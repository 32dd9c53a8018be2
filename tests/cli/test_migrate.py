"""``llmspell migrate``: what it registers, applies and takes back is there for the next command."""

import json

import pytest

import llmspell
from tests.migration.people import TO_2, V1, V2


@pytest.fixture
def users(ok, tmp_path):
    for name, content in (("schemas", [V1.to_dict(), V2.to_dict()]), ("migrations", [TO_2.to_dict()])):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    ok("schema", "register", str(tmp_path / "schemas.json"))
    ok("migrate", "register", str(tmp_path / "migrations.json"))
    ok("schema", "bind", "user", "1.0.0", "--prefix", "user:")
    for number in range(3):
        ok("state", "set", f"user:{number}", json.dumps({"name": f"n{number}", "age": str(number)}))


@pytest.mark.usefixtures("users")
def test_a_plan_is_shown_applied_checked_and_taken_back(ok, cli):
    assert ok("migrate", "status", "--json").json == {"status": "none"}
    assert "3 values" in ok("migrate", "plan", "user", "2.0.0").out
    assert ok("migrate", "plan", "user", "2.0.0", "--json").json["risk"] == "high"
    dry = ok("migrate", "apply", "user", "2.0.0", "--dry-run", "--json").json
    assert (dry["status"], dry["changed"], dry["samples"][0]["after"]) == ("dry_run", 3, {"full_name": "n0", "age": 0})
    assert ok("state", "get", "user:0", "--json").json["value"] == {"name": "n0", "age": "0"}
    done = ok("migrate", "apply", "user", "2.0.0", "--json").json
    assert (done["status"], done["changed"]) == ("completed", 3)
    assert ok("state", "get", "user:0", "--json").json["value"] == {"full_name": "n0", "age": 0}
    assert ok("migrate", "validate", done["id"], "--json").json["ok"]
    assert ok("migrate", "status", "--json").json["status"] == "completed"
    assert "completed" in ok("migrate", "status").out
    ok("state", "set", "user:1", '{"full_name": "mine", "age": 1}')
    before = ok("stats", "--json").json["last_seq"]
    tried = ok("migrate", "rollback", done["id"], "--dry-run", "--json").json
    assert (tried["status"], tried["restored"], tried["left_alone"], tried["dry_run"]) == (
        "dry_run", 2, [{"scope": "global", "key": "user:1"}], True
    )  # fmt: skip
    assert "2 values put back, 1 left" in ok("migrate", "rollback", done["id"], "--dry-run").out
    assert cli("migrate", "rollback", done["id"], "--json").error["code"] == "needs-yes"
    assert ok("stats", "--json").json["last_seq"] == before
    back = cli("migrate", "rollback", done["id"], "--yes", "--json")
    assert (back.status, back.json["restored"], back.json["left_alone"]) == (
        3, 2, [{"scope": "global", "key": "user:1"}]
    )  # fmt: skip
    assert cli("migrate", "rollback", done["id"], "--dry-run", "--json").error["code"] == "migration-not-open"
    assert cli("migrate", "validate", "user", "1.0.0").status == 3
    assert ok("migrate", "history", "--json").json["items"][0]["status"] == "rolled_back"
    assert [one["risk"] for one in ok("migrate", "list", "--json").json["items"]] == ["high"]


@pytest.mark.usefixtures("users")
def test_a_failed_one_can_be_kept_and_resumed(ok, cli):
    ok("state", "set", "user:1", '{"name": "n1", "age": "many"}')
    failed = cli("migrate", "apply", "user", "2.0.0", "--keep", "--batch", "1", "--json")
    assert (failed.status, failed.json["error"]["code"]) == (2, "migration-failed")
    assert "many" not in failed.out
    run = ok("migrate", "status", "--json").json
    assert (run["status"], run["changed"]) == ("failed", 1)
    assert cli("migrate", "apply", "user", "2.0.0", "--from", "1.0.0", "--prefix", "x").status == 14
    ok("state", "set", "user:1", '{"name": "n1", "age": "1"}')
    assert ok("migrate", "resume", run["id"], "--json").json["changed"] == 3
    assert cli("migrate", "resume", run["id"]).status == 14


@pytest.mark.usefixtures("users")
def test_a_rollback_that_was_interrupted_is_shown_with_how_it_goes_on(ok, cli, tmp_path):
    run = ok("migrate", "apply", "user", "2.0.0", "--json").json["id"]

    def stop(*_):
        raise RuntimeError

    with llmspell.open(tmp_path / ".llmspell", durability="process") as store, pytest.raises(RuntimeError):
        store.migrations.rollback(run, batch=1, progress=stop)
    assert "rolling back, interrupted: `llmspell migrate rollback` goes on" in ok("migrate", "status").out
    refused = cli("migrate", "apply", "user", "2.0.0", "--json")
    assert (refused.status, refused.error["code"]) == (14, "migration-running")
    assert cli("migrate", "resume", run, "--json").error["code"] == "migration-running"
    assert ok("migrate", "rollback", run, "--yes", "--json").json["restored"] == 3
    assert ok("migrate", "apply", "user", "2.0.0", "--json").json["changed"] == 3


def test_what_is_wrong_has_its_status(ok, cli, tmp_path):
    ok("state", "set", "a", "1")
    assert cli("migrate", "plan", "nothing", "2.0.0").status == 13
    assert cli("migrate", "register", str(tmp_path / "missing.json")).status == 13
    (tmp_path / "bad.json").write_text("{")
    assert cli("migrate", "register", str(tmp_path / "bad.json")).status == 2
    (tmp_path / "deep.json").write_text("[" * 100_000, "utf-8")
    assert cli("migrate", "register", str(tmp_path / "deep.json")).status == 2
    assert cli("migrate", "rollback", "0190a0a0-0000-7000-8000-000000000000").status == 13
    assert cli("migrate", "apply", "x", "2.0.0", "--validation", "lax").status == 2
