"""``llmspell key``, and sensitive values on the command line."""

import pytest


@pytest.fixture(autouse=True)
def keys(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


def test_a_sensitive_value_is_not_repeated_on_the_screen_and_is_read_back(ok):
    told = ok("state", "set", "p", "hunter2", "--class", "sensitive")
    assert "hunter2" not in told.out
    assert ok("state", "get", "p", "--text").out == "hunter2\n"
    assert ok("key", "status", "--json").json["keys"] == 1


def test_an_external_value_says_what_was_replaced(ok):
    told = ok("state", "set", "x", '{"password": "hunter2"}', "--class", "external", "--json").json
    assert told["redactions"] == [{"path": "$.password", "kind": "named-field"}]
    assert ok("state", "get", "x", "--json").json["value"] == {"password": "[REDACTED]"}


def test_ephemeral_makes_no_sense_on_the_command_line(cli):
    assert cli("state", "set", "x", "1", "--class", "ephemeral").status == 2


def test_a_key_is_made_exported_rotated_and_imported(ok, cli, keys, tmp_path):
    ok("state", "set", "a", "1")
    assert ok("key", "status", "--json").json["keyring"] is None
    ok("key", "create")
    assert cli("key", "create").status == 14
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    before = ok("key", "status", "--json").json["master"]
    assert ok("key", "rotate", "--json").json["master"] != before
    (tmp_path / "words").write_text("six random words of my own\n")
    ok("key", "export", str(tmp_path / "kept"), "--passphrase", str(tmp_path / "words"))
    next(keys.glob("*.key")).unlink()
    assert cli("state", "get", "p").status == 13
    (tmp_path / "wrong").write_text("six random words of yours\n")
    assert cli("key", "import", str(tmp_path / "kept"), "--passphrase", str(tmp_path / "wrong")).status == 12
    ok("key", "import", str(tmp_path / "kept"), "--passphrase", str(tmp_path / "words"))
    assert ok("state", "get", "p", "--text").out == "hunter2\n"


def test_the_key_of_the_environment_is_used_and_a_wrong_one_ends_with_12(ok, cli, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEY", "5a" * 32)
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    monkeypatch.setenv("LLMSPELL_KEY", "5b" * 32)
    assert cli("state", "get", "p").status == 12
