"""``llmspell init --encrypt`` and ``llmspell session shred``."""

import pytest


@pytest.fixture(autouse=True)
def keys(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("keys") / "keys"
    monkeypatch.setenv("LLMSPELL_KEYS", str(folder))
    return folder


def test_init_makes_an_encrypted_store_that_its_key_opens(ok, cli, keys, tmp_path):
    made = ok("init", "--encrypt", "--json").json
    assert made["encrypted"] is True
    ok("state", "set", "topic", "canary-77")
    assert ok("state", "get", "topic").out == '"canary-77"\n'
    assert not any(b"canary-77" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    keys.rename(keys.with_name("away"))
    ran = cli("state", "get", "topic", "--json")
    assert (ran.status, ran.error["code"]) == (12, "key-needed")


def test_init_leaves_a_store_as_it_is(ok, cli):
    ok("init")
    made = ok("init", "--json").json
    assert made["encrypted"] is False
    ran = cli("init", "--encrypt", "--json")
    assert (ran.status, ran.error["code"]) == (2, "not-encrypted")


def test_shred_asks_tells_and_is_told_by_the_timeline(ok, cli):
    session = ok("session", "create", "R", "--state", "topic=1", "-q").out.strip()
    assert cli("session", "shred", "R", "--yes", "--json").error["code"] == "session-active"
    ok("session", "complete", "R")
    told = ok("session", "shred", "R", "--dry-run").out
    assert told == f"would shred session {session} with 3 payloads, 1 key and 0 artifact versions\n"
    ran = cli("session", "shred", "R", "--json")
    assert (ran.status, ran.error["code"]) == (2, "needs-yes")
    done = ok("session", "shred", "R", "--yes", "--json").json
    assert (done["shredded"], done["payloads"], done["state_keys"]) == (True, 3, 1)
    out = ok("timeline", session).out
    assert out.count("(erased)") == 3
    assert "session.shredded" in out
    shown = cli("session", "show", session, "--json")
    assert (shown.status, shown.error["code"]) == (13, "erased")
    assert ok("session", "shred", session, "--yes", "--json").json["payloads"] == 0
    assert ok("verify").out.startswith("clean")
