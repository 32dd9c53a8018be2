"""``llmspell verify``, ``stats``, ``doctor`` and ``config show``."""

import sqlite3

import pytest

from llmspell.cli.doctor import SQLITE_SAFE, holders


def _damage(tmp_path, sql):
    (main,) = (tmp_path / ".llmspell").glob("generation-*/main.db")
    connection = sqlite3.connect(main)
    try:
        connection.execute(sql)
        connection.commit()
    finally:
        connection.close()


def test_verify_of_a_sound_store_is_clean(ok):
    ok("state", "set", "k", "1")
    assert ok("verify").out.startswith("clean: checked ")
    report = ok("verify", "--json").json
    assert (report["ok"], report["findings"], report["checked"]["entries"]) == (True, [], 2)
    assert ok("verify", "-q").out == ""


def test_verify_of_a_damaged_store_names_the_damage_and_exits_16(cli, tmp_path):
    cli("state", "set", "k", "1")
    _damage(tmp_path, "UPDATE state SET version = 7")
    ran = cli("verify")
    assert ran.status == 16
    assert "state" in ran.out
    assert "damaged: 1 finding" in ran.out
    ran = cli("verify", "--json")
    assert (ran.status, ran.json["ok"], len(ran.json["findings"])) == (16, False, 1)


def test_a_damaged_entry_is_never_shown_and_exits_16(cli, tmp_path):
    cli("state", "set", "k", "1")
    _damage(tmp_path, "UPDATE entry SET payload = x'7b7d' WHERE seq = 2")
    ran = cli("--json", "timeline")
    assert (ran.status, ran.error["code"]) == (16, "corrupt")


def test_a_newer_format_exits_15(cli, tmp_path):
    cli("state", "set", "k", "1")
    _damage(tmp_path, "PRAGMA user_version=999")
    assert cli("state", "get", "k").status == 15
    assert cli("--json", "doctor").json["findings"][0]["code"] == "newer-format"


def test_stats_counts(ok):
    ok("session", "create", "R")
    ok("artifact", "put", "-", "--session", "R", "--name", "a", stdin=b"12345")
    found = ok("stats", "--json").json
    assert (found["sessions"], found["artifacts"], found["entries"]) == (1, 1, 3)
    assert "artifacts" in ok("stats").out


def test_doctor_finds_nothing_in_a_sound_store(ok):
    ok("state", "set", "k", "1")
    ran = ok("doctor")
    assert ran.out.endswith("nothing to mend\n")
    found = ok("doctor", "--json").json
    assert found["findings"] == []
    assert (found["store"]["exists"], found["store"]["durability"], found["format"]) == (True, "full", 1)
    assert found["store"]["free_bytes"] > 0
    assert found["store"]["files"]["CURRENT"] > 0
    assert found["lua"] == ["5.5", "5.4"]
    assert tuple(map(int, found["sqlite"].split(".")))[:3] >= SQLITE_SAFE


def test_doctor_makes_no_store_and_misses_only_one_that_was_named(cli, tmp_path):
    assert cli("doctor").status == 0
    assert "not there yet" in cli("doctor").out
    ran = cli("--store", "s", "doctor", "--json")
    assert (ran.status, ran.json["findings"][0]["code"]) == (3, "store-missing")
    assert list(tmp_path.iterdir()) == []


def test_doctor_finds_variables_and_permissions_to_mend(cli, tmp_path, monkeypatch):
    cli("state", "set", "k", "1")
    (tmp_path / ".llmspell").chmod(0o777)
    monkeypatch.setenv("LLMSPELL_DURABILTY", "full")
    ran = cli("doctor", "--json")
    assert ran.status == 3
    assert {one["code"] for one in ran.json["findings"]} == {"unknown-variable", "writable-by-all"}
    assert "finding: LLMSPELL_DURABILTY" in cli("doctor").out


def test_doctor_finds_keys_that_are_lost_or_open_to_others(ok, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    ok("state", "set", "p", "hunter2", "--class", "sensitive")
    assert ok("doctor", "--json").json["findings"] == []
    next((tmp_path / "keys").glob("*.keyring")).chmod(0o644)
    ran = cli("doctor", "--json")
    assert (ran.status, [one["code"] for one in ran.json["findings"]]) == (3, ["key-open-to-others"])
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "elsewhere"))
    ran = cli("doctor", "--json")
    assert (ran.status, [one["code"] for one in ran.json["findings"]]) == (3, ["keyring-missing"])
    assert ran.json["store"]["exists"]


def test_doctor_reports_a_full_disk_and_an_old_engine(cli, monkeypatch):
    import llmspell.cli.doctor as module

    cli("state", "set", "k", "1")
    monkeypatch.setattr(module, "FREE_BYTES_MIN", 1 << 62)
    monkeypatch.setattr(module, "WAL_BYTES_MAX", -1)
    monkeypatch.setattr(module, "SQLITE_SAFE", (99, 0, 0))
    codes = {one["code"] for one in cli("doctor", "--json").json["findings"]}
    assert codes == {"disk-nearly-full", "wal-large", "sqlite-too-old"}


def test_doctor_tells_who_has_the_store_open(ok, tmp_path):
    import subprocess
    import sys

    ok("state", "set", "k", "1")
    if holders(tmp_path) is None:
        pytest.skip("this system does not tell who has a file open")
    code = "import llmspell, sys\nwith llmspell.open('.llmspell'):\n print('open', flush=True)\n sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"open\n"
        found = ok("doctor", "--json").json["store"]["open_in"]
        child.stdin.close()
    assert [one["pid"] for one in found] == [child.pid]
    assert "no other process" in ok("doctor").out


def test_config_show_names_every_origin(ok, tmp_path, monkeypatch):
    (tmp_path / "llmspell.toml").write_text('store = "mine"\n[script]\nmemory_mb = 32\n')
    monkeypatch.setenv("LLMSPELL_SCRIPT_TIMEOUT_S", "2.5")
    ran = ok("config", "show", "--json", "--durability", "process")
    found = {item["key"]: (item["value"], item["origin"]) for item in ran.json["items"]}
    file = f"file {tmp_path / 'llmspell.toml'}"
    assert found["store"] == (str(tmp_path / "mine"), file)
    assert found["script.memory_mb"] == (32, file)
    assert found["script.timeout_s"] == (2.5, "environment LLMSPELL_SCRIPT_TIMEOUT_S")
    assert found["durability"] == ("process", "flag")
    assert found["color"] == ("never", "environment NO_COLOR")
    assert "script.memory_mb" in ok("config", "show").out


def test_config_show_says_which_store_is_meant_when_nobody_named_one(ok, tmp_path):
    def store():
        return next(item for item in ok("config", "show", "--json").json["items"] if item["key"] == "store")

    assert store() == {"key": "store", "value": str(tmp_path / ".llmspell"), "origin": "default"}
    ok("state", "set", "k", "1")
    assert store()["origin"] == "nearest"


def test_a_store_named_by_the_file_is_used_from_any_folder_below(ok, tmp_path, monkeypatch):
    (tmp_path / "llmspell.toml").write_text('store = "mine"\n')
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    ok("state", "set", "k", "1")
    assert (tmp_path / "mine" / "CURRENT").is_file()


def test_a_mistake_in_the_file_stops_every_command_and_names_key_and_file(cli, tmp_path):
    (tmp_path / "llmspell.toml").write_text('durabilty = "full"\n')
    ran = cli("--json", "state", "set", "k", "1")
    assert (ran.status, ran.error["code"]) == (2, "unknown-setting")
    assert "durabilty" in ran.error["message"]
    assert "llmspell.toml" in ran.error["message"]
    assert ran.error["hint"] == "did you mean durability?"
    assert not (tmp_path / ".llmspell").exists()
    assert cli("--help").status == 0
