"""``llmspell schema``: what it registers and binds holds for the next command."""

import json

import pytest

from tests.registry.conftest import ONE, TWO


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "note.json"
    path.write_text(json.dumps([ONE, TWO]))
    return str(path)


def test_schemas_are_registered_shown_and_compared(ok, cli, file):
    made = ok("schema", "register", file, "--json").json["items"]
    assert [one["version"] for one in made] == ["1.0.0", "1.1.0"]
    assert [one["version"] for one in ok("schema", "list", "--json").json["items"]] == ["1.0.0", "1.1.0"]
    assert ok("schema", "list", "nothing", "--json").json["items"] == []
    assert ok("schema", "show", "note", "--json").json["version"] == "1.1.0"
    assert json.loads(ok("schema", "show", "note", "1.0.0").out)["version"] == "1.0.0"
    changed = ok("schema", "compare", "note", "1.0.0", "1.1.0", "--json").json
    assert changed["backward"]
    assert cli("schema", "compare", "note", "1.1.0", "1.0.0", "--level", "full").status in (0, 3)
    assert cli("schema", "show", "nothing").status == 13


def test_a_binding_holds_for_the_next_command(ok, cli, file):
    ok("schema", "register", file)
    ok("schema", "bind", "note", "1.0.0", "--prefix", "n/")
    (one,) = ok("schema", "bindings", "--json").json["items"]
    assert (one["name"], one["version"], one["scope"], one["prefix"]) == ("note", "1.0.0", None, "n/")
    refused = cli("state", "set", "n/1", '{"text": 5}', "--json")
    assert (refused.status, refused.error["code"]) == (2, "schema-mismatch")
    ok("state", "set", "n/1", '{"text": "x"}')
    assert ok("schema", "unbind", "--prefix", "n/", "--json").json["ended"]
    ok("state", "set", "n/1", '{"text": 5}')


def test_a_value_that_does_not_meet_its_schema_ends_with_3(ok, cli, file):
    ok("schema", "register", file)
    assert ok("schema", "check", "note", '{"text": "x"}', "--json").json["items"] == []
    found = cli("schema", "check", "note", '{"text": 5}', "--json")
    assert found.status == 3
    assert found.json["items"][0]["path"] == "$.text"


def test_a_folder_is_loaded_whole_or_not_at_all(ok, cli, tmp_path, file):
    ok("state", "set", "k", "1")
    (tmp_path / "wrong.json").write_text("{")
    assert cli("schema", "load", str(tmp_path)).status == 2
    assert ok("schema", "list", "--json").json["items"] == []
    (tmp_path / "wrong.json").unlink()
    ok("schema", "load", str(tmp_path))
    assert len(ok("schema", "list", "--json").json["items"]) == 2
    assert cli("schema", "register", str(tmp_path / "none.json")).status == 13


def test_a_script_sees_the_versions(ok, file):
    ok("schema", "register", file)
    told = ok("exec", 'return table.concat(State.list_schema_versions("note"), " ") .. "|" .. #State.schema_versions()')
    assert "1.0.0 1.1.0|2" in told.out


def test_what_is_no_file_holds_no_schema(cli, tmp_path):
    for path in (str(tmp_path), "nowhere.json"):
        assert cli("--json", "schema", "register", path).error["code"] == "file-not-found"
    assert cli("--json", "schema", "register", "a\0b").error["code"] == "invalid-path"


def test_a_version_that_breaks_its_promise_is_refused_with_every_change(ok, cli, tmp_path):
    path = tmp_path / "note.json"
    path.write_text(json.dumps({"name": "n", "version": "1.0.0", "value": {"type": "object", "fields": {
        "a": "integer", "b": "integer"}}}))  # fmt: skip
    ok("schema", "register", str(path))
    path.write_text(json.dumps({"name": "n", "version": "1.1.0", "value": {"type": "object", "fields": {
        "a": "string", "b": "string"}}}))  # fmt: skip
    refused = cli("schema", "register", str(path), "--json").error
    assert refused["code"] == "schema-incompatible"
    changes = refused["details"]["changes"]
    assert [one["path"] for one in changes] == ["$.a", "$.b"]
    told = cli("schema", "register", str(path))
    assert told.status == 2
    for one in changes:
        assert f"  {one['path']}: {one['explanation']}" in told.err.splitlines()
    folder = tmp_path / "many"
    folder.mkdir()
    path.rename(folder / "note.json")
    assert cli("schema", "load", str(folder), "--json").error["details"]["changes"] == changes
