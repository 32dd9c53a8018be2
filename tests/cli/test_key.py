"""``llmspell key``, and sensitive values on the command line."""

import json
import os
import subprocess
import sys

import pytest

import llmspell
from tests.migration.people import TO_2, V1, V2


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


@pytest.fixture
def sealed(ok, monkeypatch):
    """A store with a sensitive value, whose key the environment gave; the wrong key is given now."""
    monkeypatch.setenv("LLMSPELL_KEY", RIGHT)
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    monkeypatch.setenv("LLMSPELL_KEY", WRONG)


RIGHT, WRONG = "5a" * 32, "5b" * 32
TRIES = [
    ("state", "set", "n", "1"),
    ("state", "get", "p"),
    ("exec", 'State.set("n", 1) return State.set("global", "zz", 1, {class = "sensitive"})'),
    ("migrate", "apply", "p", "2.0.0"),
    ("verify",),
    ("key", "status"),
    ("key", "export", "zz"),
    ("key", "export", "zz", "--passphrase", "words"),
    ("key", "import", "other"),
    ("key", "rotate"),
]


@pytest.mark.parametrize("words", TRIES, ids=" ".join)
def test_a_wrong_key_that_is_given_ends_every_command_with_12_before_anything_is_written(
    ok, cli, sealed, monkeypatch, tmp_path, words
):
    (tmp_path / "words").write_text("six random words of my own\n")
    (tmp_path / "other").write_text("5c" * 32)
    ran = cli(*words, "--json")
    assert (ran.status, ran.error["code"]) == (12, "wrong-key")
    assert not (tmp_path / "zz").exists()
    monkeypatch.setenv("LLMSPELL_KEY", RIGHT)
    assert [entry["kind"] for entry in ok("timeline", "--json").json["items"]] == ["store.created", "state.set"]


def test_the_key_of_the_environment_may_be_in_a_file_or_come_from_a_command(ok, cli, monkeypatch, tmp_path):
    (tmp_path / "a key").write_text(RIGHT)
    (tmp_path / "a key").chmod(0o600)
    monkeypatch.setenv("LLMSPELL_KEY_FILE", str(tmp_path / "a key"))
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    assert ok("key", "status", "--json").json["source"] == f"file {tmp_path / 'a key'}"
    monkeypatch.delenv("LLMSPELL_KEY_FILE")
    monkeypatch.setenv("LLMSPELL_KEY_COMMAND", f"{sys.executable} -c 'print(open(\"a key\").read())'")
    assert ok("state", "get", "p", "--text").out == "hunter2\n"
    assert ok("key", "status", "--json").json["source"] == f"command {sys.executable}"
    for name, wrong in (("LLMSPELL_KEY_COMMAND", f"echo {WRONG}"), ("LLMSPELL_KEY_FILE", str(tmp_path / "other"))):
        (tmp_path / "other").write_text(WRONG)
        (tmp_path / "other").chmod(0o600)
        monkeypatch.delenv("LLMSPELL_KEY_COMMAND", raising=False)
        monkeypatch.setenv(name, wrong)
        assert cli("state", "set", "n", "1").status == 12
    told = cli("doctor", "--json").json["findings"]
    assert "unknown-variable" not in [one["code"] for one in told]


def test_a_path_in_the_variable_of_the_key_is_refused_and_told_where_it_goes(ok, cli, monkeypatch, tmp_path):
    ok("state", "set", "a", "1")
    (tmp_path / "key").write_text(RIGHT)
    monkeypatch.setenv("LLMSPELL_KEY", str(tmp_path / "key"))
    ran = cli("state", "set", "p", "hunter2", "--class", "sensitive", "--json")
    assert (ran.status, ran.error["code"]) == (2, "invalid-key")
    assert "LLMSPELL_KEY_FILE" in ran.error["hint"]


def test_two_variables_that_name_a_key_are_refused(ok, cli, monkeypatch, tmp_path):
    ok("state", "set", "a", "1")
    monkeypatch.setenv("LLMSPELL_KEY", RIGHT)
    monkeypatch.setenv("LLMSPELL_KEY_FILE", str(tmp_path / "key"))
    ran = cli("state", "get", "a", "--json")
    assert (ran.status, ran.error["code"]) == (2, "invalid-key")


def test_a_store_without_a_keyring_does_not_run_the_command_of_a_key(ok, monkeypatch, tmp_path):
    monkeypatch.setenv("LLMSPELL_KEY_COMMAND", f"touch {tmp_path / 'ran'}")
    ok("state", "set", "a", "1")
    assert not (tmp_path / "ran").exists()


def test_a_migration_of_sealed_values_is_refused_before_its_first_change_when_the_key_folder_has_another_key(
    ok, cli, keys, tmp_path
):
    for name, content in (("schemas", [V1.to_dict(), V2.to_dict()]), ("migrations", [TO_2.to_dict()])):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    ok("schema", "register", str(tmp_path / "schemas.json"))
    ok("migrate", "register", str(tmp_path / "migrations.json"))
    ok("schema", "bind", "user", "1.0.0", "--prefix", "user:")
    for number in range(3):
        ok("state", "set", f"user:{number}", '{"name": "n", "age": "1"}')
    ok("state", "set", "user:9", '{"name": "n", "age": "1"}', "--class", "sensitive")
    own = next(keys.glob("*.key"))
    right, newest = own.read_bytes(), ok("timeline", "--json").json["items"][-1]["seq"]
    for status, become in ((12, lambda: own.write_text(WRONG)), (13, own.unlink)):
        become()
        assert cli("migrate", "apply", "user", "2.0.0", "--batch", "1").status == status
        assert ok("timeline", "--json").json["items"][-1]["seq"] == newest
        assert ok("state", "get", "user:0", "--json").json["value"] == {"name": "n", "age": "1"}
    own.write_bytes(right)
    own.chmod(0o600)
    assert ok("migrate", "apply", "user", "2.0.0", "--json").json["changed"] == 4


def test_verify_opens_sealed_values_and_steps_and_says_how_many_it_did_not(ok, keys):
    ok(
        "exec",
        'State.set("global", "p", "hunter2", {class = "sensitive"}) return State.get("global", "p") == "hunter2"',
    )
    checked = ok("verify", "--json").json["checked"]
    assert (checked["sealed_values"] > 1, checked["unopened_values"]) == (True, 0), "the value, and the steps of it"
    next(keys.glob("*.key")).unlink()
    told = ok("verify")
    assert f"{checked['sealed_values']} unopened values" in told.out
    assert f"{checked['sealed_values']} sealed values not opened: there is no key at" in told.err


def test_an_import_without_the_keyring_is_refused_and_with_it_only_the_right_key_comes_in(ok, cli, keys, tmp_path):
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    told = ok("key", "export", "kept", "--json").json
    assert told["keyring"] == str(next(keys.glob("*.keyring")))
    (tmp_path / "other").write_text(WRONG)
    (tmp_path / "other").chmod(0o600)
    ring = keys.rename(tmp_path / "away")
    for file in ("kept", "other"):
        ran = cli("key", "import", file, "--json")
        assert (ran.status, ran.error["code"]) == (13, "keyring-missing")
    assert not list(tmp_path.glob("keys/*.key"))
    ring.rename(keys)
    next(keys.glob("*.key")).unlink()
    assert cli("key", "import", "other").status == 12
    assert not list(keys.glob("*.key"))
    ok("key", "import", "kept")
    assert ok("state", "get", "p", "--text").out == "hunter2\n"


def test_a_key_folder_with_another_stores_key_exports_nothing(ok, cli, keys, tmp_path):
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    next(keys.glob("*.key")).write_text(WRONG)
    assert cli("key", "export", "zz").status == 12
    next(keys.glob("*.keyring")).unlink()
    assert cli("key", "export", "zz").status == 13
    assert not (tmp_path / "zz").exists()


def test_a_key_that_was_put_in_its_place_since_the_store_was_opened_is_not_exported(tmp_path, keys):
    with llmspell.open(tmp_path / "s") as store:
        store.state.set("p", "hunter2", state_class="sensitive")
        next(keys.glob("*.key")).write_text(WRONG)
        with pytest.raises(llmspell.WrongKey):
            store.keys.export(tmp_path / "zz")
    assert not (tmp_path / "zz").exists()


def test_the_record_of_a_script_has_what_it_read_of_an_ephemeral_value_as_the_guide_says(ok, tmp_path):
    ok("exec", 'State.set("global", "e", "canary", {class = "ephemeral"}) return #State.get("global", "e")')
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".llmspell").rglob("*") if path.is_file())
    assert b'"result":"canary"' in kept


def test_after_a_rotation_to_a_file_the_key_of_the_folder_is_gone_and_the_file_is_importable(ok, cli, keys, tmp_path):
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    (before,) = keys.glob("*.key")
    old = before.read_text()
    (tmp_path / "mine").write_text("5a" * 32)
    (tmp_path / "mine").chmod(0o600)
    ok("key", "rotate", "--to", str(tmp_path / "mine"))
    assert not before.exists()
    assert cli("state", "get", "p").status == 13
    ok("key", "import", str(tmp_path / "mine"))
    assert ok("state", "get", "p", "--text").out == "hunter2\n"
    (tmp_path / "next").write_text("5b" * 32)
    (tmp_path / "next").chmod(0o600)
    ok("key", "rotate", "--to", str(tmp_path / "next"))
    before.write_text(old)
    refused = cli("key", "import", str(tmp_path / "next"))
    assert refused.status == 14
    assert "move it away" in refused.err


def test_a_rotation_to_the_very_file_of_the_key_folder_does_not_destroy_it(keys, tmp_path):
    with llmspell.open(tmp_path / "s") as store:
        store.state.set("p", "hunter2", state_class="sensitive")
        (own,) = keys.glob("*.key")
        (tmp_path / "link").symlink_to(own)
        store.keys.status()
        own.write_text("5a" * 32)
        store.keys.rotate(tmp_path / "link")
    with llmspell.open(tmp_path / "s") as store:
        assert store.state.get("p") == "hunter2"


@pytest.mark.filterwarnings("default::llmspell.security.sources.InsecureKey")
def test_a_warning_about_a_key_is_one_line_for_a_person(tmp_path, keys):
    (tmp_path / "open").write_text("5a" * 32)
    (tmp_path / "open").chmod(0o644)
    ran = subprocess.run(
        [sys.executable, "-m", "llmspell", "--store", "s", "state", "set", "p", "1", "--class", "sensitive"],
        cwd=tmp_path,
        env={**os.environ, "LLMSPELL_KEY_FILE": str(tmp_path / "open")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = ran.stderr.splitlines()
    assert line == (
        f"llmspell: warning: {tmp_path}/open holds a key and is open to others (mode 644): chmod 600 {tmp_path}/open"
    )


def test_an_import_without_the_passphrase_says_that_there_is_one(ok, cli, keys, tmp_path):
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    (tmp_path / "words").write_text("six random words of my own\n")
    ok("key", "export", str(tmp_path / "kept"), "--passphrase", str(tmp_path / "words"))
    next(keys.glob("*.key")).unlink()
    refused = cli("key", "import", str(tmp_path / "kept"), "--json")
    assert (refused.status, refused.error["code"]) == (2, "invalid-key")
    assert "exported with a passphrase" in refused.error["message"]


@pytest.mark.parametrize("where", ["/dev/zero", "long", "missing", "folder", "bytes"])
def test_a_passphrase_is_a_short_text_in_a_file(ok, cli, keys, tmp_path, where):
    ok("state", "set", "a", "1")
    ok("key", "create")
    (tmp_path / "long").write_text("words " * 1000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe" * 10)
    refused = cli("key", "export", str(tmp_path / "kept"), "--passphrase", str(tmp_path / where), "--json")
    assert (refused.status, refused.error["code"]) == (2, "file-unreadable")
    assert not (tmp_path / "kept").exists()


def test_the_status_of_a_lost_keyring_is_not_that_there_was_none_yet(ok, cli, keys, monkeypatch, tmp_path):
    ok("state", "set", "a", "1")
    assert ok("key", "status", "--json").json["keyring"] is None
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "elsewhere"))
    lost = cli("key", "status", "--json")
    assert (lost.status, lost.error["code"]) == (13, "keyring-missing")
    ok("key", "create")
    assert ok("key", "status", "--json").json["keyring"] is not None
