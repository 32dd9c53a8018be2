"""``llmspell access``: what it changes holds for the next command, and for principals of programs."""

import pytest

import llmspell
from llmspell.model.scope import Scope


def test_a_grant_is_made_listed_and_revoked(ok):
    ok("state", "set", "k", "1", "--scope", "agent:a")
    assert ok("access", "list", "--json").json == {"items": [], "next_cursor": None}
    seq = ok("access", "grant", "agent:b", "agent:a", "read", "list", "--expires-in", "60", "--json").json["seq"]
    (one,) = ok("access", "list", "--json").json["items"]
    assert (one["principal"], one["scope"], one["rights"], one["granted_by"], one["seq"]) == (
        "agent:b", "agent:a", ["read", "list"], "owner", seq
    )  # fmt: skip
    assert ok("access", "revoke", "agent:b", "agent:a", "read", "--yes", "--json").json["ended"] == 1
    assert ok("access", "list", "--json").json["items"][0]["rights"] == ["list"]
    ok("access", "revoke", "agent:b", "agent:a", "--yes")
    assert ok("access", "list", "--json").json["items"] == []
    actions = [one["action"] for one in ok("access", "audit", "--principal", "agent:b", "--json").json["items"]]
    assert actions == ["revoked", "revoked", "granted"]


def test_what_a_command_grants_holds_in_a_program(ok, monkeypatch, tmp_path):
    where = str(tmp_path / "kept")
    ok("--store", where, "state", "set", "k", "1", "--scope", "agent:a")
    ok("--store", where, "access", "grant", "agent:b", "agent:a", "read")
    with llmspell.open(where) as store:
        assert store.acting_as("agent:b").state_of(Scope.agent("a")).get("k") == 1
    ok("--store", where, "access", "cut-off", "agent:b", "--yes")
    assert ok("--store", where, "access", "cut-off", "--json").json["items"] == [{"principal": "agent:b"}]
    with llmspell.open(where) as store, pytest.raises(llmspell.AccessDenied):
        store.acting_as("agent:b").own.get("k")
    ok("--store", where, "access", "restore", "agent:b")
    assert ok("--store", where, "access", "cut-off", "--json").json["items"] == []


def test_boundaries_are_set_and_shown(ok):
    assert ok("access", "boundary", "global", "read-only", "--json").json["changed"]
    assert not ok("access", "boundary", "global", "read", "list", "--json").json["changed"]
    assert ok("access", "boundary", "--json").json["items"] == [{"scope": "global", "rights": ["read", "list"]}]
    ok("access", "boundary", "global", "strict")
    assert ok("access", "boundary", "--json").json["items"] == []


@pytest.mark.parametrize("args", [
    ("grant", "global", "agent:a", "read"), ("grant", "agent:b", "agent:a", "everything"),
    ("grant", "agent:b", "agent:a"),
    ("boundary", "global"), ("boundary", "global", "open"), ("cut-off", "--passed-on"), ("cut-off", "--yes"),
    ("list", "--limit", "0"),
    ("grant", "agent:b", "agent:a", "read", "--expires-in", "-1"),
])  # fmt: skip
def test_what_makes_no_sense_ends_with_2_and_changes_nothing(ok, cli, args):
    ok("state", "set", "k", "1")
    before = ok("stats", "--json").json["last_seq"]
    assert cli("access", *args).status == 2
    assert ok("stats", "--json").json["last_seq"] == before


def test_what_takes_rights_away_can_be_tried_and_asks(ok, cli, tmp_path):
    ok("access", "grant", "agent:b", "agent:a", "read", "list")
    with llmspell.open(tmp_path / ".llmspell") as store:
        store.acting_as("agent:b").access.grant("agent:c", "agent:a", ["read"])
    before = ok("stats", "--json").json["last_seq"]
    revoking = ("access", "revoke", "agent:b", "agent:a", "read")
    assert ok(*revoking, "--dry-run", "--json").json == {
        "principal": "agent:b", "scope": "agent:a", "rights": ["read"], "ended": 2, "dry_run": True
    }  # fmt: skip
    assert cli(*revoking, "--json").error["code"] == "needs-yes"
    cutting = ("access", "cut-off", "agent:b", "--passed-on")
    assert ok(*cutting, "--dry-run", "--json").json == {
        "principal": "agent:b", "passed_on": True, "changed": True, "dry_run": True
    }  # fmt: skip
    assert cli(*cutting, "--json").error["code"] == "needs-yes"
    assert ok("stats", "--json").json["last_seq"] == before
    assert len(ok("access", "list", "--json").json["items"]) == 2
    assert ok(*revoking, "--yes", "--json").json["ended"] == 2
    assert ok(*revoking, "--json").json["ended"] == 0
    assert ok(*cutting, "--yes", "--json").json["changed"]
