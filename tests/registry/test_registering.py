"""Schemas are registered once and for all, in every process, or refused whole."""

import json
import subprocess
import sys

import pytest

import llmspell
from llmspell.errors import Conflict, InvalidInput, LlmspellError, NotFound, ReadOnly, Vetoed
from llmspell.hooks.results import Cancel
from llmspell.schemas.schema import Schema
from tests.registry.conftest import ONE, TWO, head

WAIT_S = 100


def test_a_schema_is_there_after_a_restart(face, store):
    made = store.schemas.register(ONE)
    assert (made.name, str(made.version)) == ("note", "1.0.0")
    store.schemas.register(Schema.from_dict(TWO))
    for one in face.both(store):
        assert one.schemas.versions("note") == ["1.0.0", "1.1.0"]
        assert one.schemas.get("note").to_dict() == Schema.from_dict(TWO).to_dict()
        assert one.schemas.get("note", "1.0.0") == made
        assert [(each.name, str(each.version)) for each in one.schemas.list()] == [("note", "1.0.0"), ("note", "1.1.0")]
        assert one.verify().ok
    assert face.reopen().schemas.versions("nothing") == []


def test_the_same_again_writes_nothing_and_another_content_is_refused(store):
    store.schemas.register(ONE)
    before = head(store)
    store.schemas.register(ONE)
    with pytest.raises(Conflict) as error:
        store.schemas.register({**ONE, "value": {"type": "object", "fields": {"text": "integer"}}})
    assert error.value.code == "schema-exists"
    assert head(store) == before


def test_a_version_that_breaks_its_promise_is_refused_with_what_breaks(store):
    store.schemas.register(ONE)
    with pytest.raises(InvalidInput) as error:
        store.schemas.register({**TWO, "value": {"type": "object", "fields": {"text": "string", "new": "string"}}})
    assert error.value.code == "schema-incompatible"
    assert error.value.details["changes"][0]["path"] == "$.new"
    store.schemas.register({**TWO, "version": "2.0.0"})
    changed = store.schemas.compare("note", "1.0.0", "2.0.0")
    assert changed.backward
    assert [one.path for one in changed.changes] == ["$.stars"]


def test_several_are_registered_all_or_none_whatever_their_order(store):
    a = {"name": "a", "version": "1.0.0", "value": "string", "dependencies": {"b": "^1.0.0"}}
    b = {"name": "b", "version": "1.0.0", "value": "integer"}
    before = head(store)
    with pytest.raises(NotFound) as error:
        store.schemas.register_all([b, a, {"name": "c", "version": "1.0.0", "value": "any", "dependencies": ["d"]}])
    assert error.value.code == "schema-dependency"
    assert head(store) == before
    assert [one.name for one in store.schemas.register_all([a, b])] == ["a", "b"]
    with pytest.raises(InvalidInput) as error:
        store.schemas.register_all([
            {"name": "x", "version": "1.0.0", "value": "any", "dependencies": ["y"]},
            {"name": "y", "version": "1.0.0", "value": "any", "dependencies": ["x"]},
        ])  # fmt: skip
    assert error.value.code == "schema-cycle"
    assert len(store.schemas.list()) == 2


def test_hooks_are_asked_and_events_tell(store):
    seen = []
    store.hooks.register("after_schema_register", lambda context: seen.append(context.data["version"]))
    store.schemas.register(ONE)
    store.schemas.register(ONE)
    assert seen == ["1.0.0"]
    store.hooks.register("before_schema_register", lambda context: Cancel("not today"))
    with pytest.raises(Vetoed):
        store.schemas.register(TWO)
    assert store.schemas.versions("note") == ["1.0.0"]
    (entry,) = store.timeline(kinds=["schema.registered"])
    assert entry.data["schema"]["name"] == "note"


def test_a_folder_is_loaded_or_the_file_that_is_wrong_is_named(store, tmp_path):
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps([ONE, TWO]))
    (folder / "b.toml").write_text('name = "b"\nversion = "1.0.0"\nvalue = "string"\ndependencies = ["note"]\n')
    (folder / "notes.txt").write_text("not a schema")
    assert [one.name for one in store.schemas.load_folder(folder)] == ["note", "note", "b"]
    assert len(store.schemas.load_folder(str(folder))) == 3
    for name, text in (("c.json", "{"), ("c.json", "[1]"), ("c.toml", "= 1"), ("c.json", "[" * 100_000)):
        (folder / name).write_text(text)
        with pytest.raises(InvalidInput) as error:
            store.schemas.load_folder(folder)
        assert name in str(error.value)
        (folder / name).unlink()
    with pytest.raises(NotFound):
        store.schemas.load_folder(tmp_path / "nowhere")
    assert len(store.schemas.list()) == 3


@pytest.mark.parametrize("given", [
    None, 5, "note", {}, {"name": "x"}, {"name": "x", "version": "1"}, {"name": "x", "version": "1.0.0"},
    {"name": "x", "version": "1.0.0", "value": "nothing"}, {"name": "../x", "version": "1.0.0", "value": "any"},
    {"name": "x", "version": "1.0.0", "value": "any", "extra": 1},
])  # fmt: skip
def test_what_is_no_schema_is_refused_and_writes_nothing(store, given):
    before = head(store)
    with pytest.raises(InvalidInput):
        store.schemas.register(given)
    assert head(store) == before


def test_a_store_that_only_reads_shows_schemas_and_registers_none(face, store):
    store.schemas.register(ONE)
    store = face.reopen(read_only=True)
    assert store.schemas.versions("note") == ["1.0.0"]
    with pytest.raises(ReadOnly):
        store.schemas.register(TWO)


def test_one_schema_given_twice_is_registered_once(store, tmp_path):
    assert [str(one.version) for one in store.schemas.register_all([ONE, TWO, ONE])] == ["1.0.0", "1.1.0", "1.0.0"]
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps({**ONE, "name": "other"}))
    assert len(store.schemas.load_folder(tmp_path)) == 2
    assert len(store.schemas.list()) == 3
    assert len(store.timeline(kinds=["schema.registered"])) == 3


@pytest.mark.parametrize(("given", "code"), [
    ({**ONE, "version": "1.0.1", "value": {"type": "object", "fields": {"text": "integer"}}}, "schema-incompatible"),
    ({**ONE, "value": {"type": "object", "fields": {"text": "integer"}}}, "schema-exists"),
    ({"name": "c", "version": "1.0.0", "value": "any", "dependencies": ["nothing"]}, "schema-dependency"),
])  # fmt: skip
def test_the_file_whose_schema_is_refused_is_named_with_what_is_wrong(store, tmp_path, given, code):
    store.schemas.register(ONE)
    before = head(store)
    (tmp_path / "a.json").write_text(json.dumps(TWO))
    (tmp_path / "wrong.json").write_text(json.dumps(given))
    with pytest.raises(LlmspellError) as error:
        store.schemas.load_folder(tmp_path)
    assert error.value.code == code
    assert "wrong.json" in str(error.value)
    assert ("changes" in error.value.details) == (code == "schema-incompatible")
    assert head(store) == before


def test_validators_given_to_a_registration_judge_the_values_that_try_its_promise(store):
    asked = []
    odd = {"name": "odd", "version": "1.0.0", "value": {"type": "integer", "validators": ["odd"]}}
    store.schemas.register(odd)
    store.schemas.register({**odd, "version": "1.1.0"}, validators={"odd": asked.append})
    assert asked


RACING = """
import sys, llmspell
with llmspell.open(sys.argv[1]) as store:
    for n in range(20):
        store.schemas.register({"name": f"s{n}", "version": "1.0.0", "value": "string"})
        try:
            store.schemas.register({"name": "line", "version": f"1.{n}.0", "value": {"type": "object",
                "fields": {"a": {"type": "integer", "max": 100 - n if sys.argv[2] == "down" else 100 + n}}}})
        except (llmspell.InvalidInput, llmspell.Conflict) as error:
            assert error.code in ("schema-incompatible", "schema-exists"), error
"""


@pytest.mark.crash
def test_processes_that_register_at_once_break_no_promise(tmp_path):
    folder = str(tmp_path / "store")
    with llmspell.open(folder):
        pass
    racing = [subprocess.Popen([sys.executable, "-c", RACING, folder, way]) for way in ("up", "down")]
    assert [one.wait(WAIT_S) for one in racing] == [0, 0]
    with llmspell.open(folder) as store:
        line = [store.schemas.get("line", version) for version in store.schemas.versions("line")]
        limits = [one.fields["a"].max or 0 for one in line]
        assert limits == sorted(limits), "each version reads what the one before it wrote"
        assert len(store.schemas.list()) == 20 + len(line)
        assert store.verify().ok
