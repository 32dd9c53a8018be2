"""Settings from files, the environment and flags."""

from pathlib import Path

import pytest

from llmspell.config import KEYS, ConfigFile, find_files, load, read_file, unknown_variables, variable
from llmspell.errors import InvalidInput

FOLDER = Path("/somewhere")


def _file(text, name="llmspell.toml"):
    return ConfigFile(FOLDER / name, text)


def test_later_sources_win_and_each_value_knows_its_own():
    files = [
        _file('durability = "none"\ncolor = "never"\n[script]\nmemory_mb = 4\ninstructions = 5000', "user.toml"),
        _file('durability = "process"\nscript.memory_mb = 2'),
    ]
    found = load(files, {"LLMSPELL_SCRIPT_MEMORY_MB": "3"}, {"durability": "full", "store": None})
    assert found["color"].to_dict() == {"key": "color", "value": "never", "origin": "file /somewhere/user.toml"}
    assert found["script.instructions"].value == 5000
    assert found["script.memory_mb"].to_dict() == {
        "key": "script.memory_mb", "value": 3, "origin": "environment LLMSPELL_SCRIPT_MEMORY_MB",
    }  # fmt: skip
    assert (found.value("durability"), found["durability"].origin) == ("full", "flag")
    assert (found["store"].value, found["store"].given) == (None, False)


def test_nothing_said_gives_the_defaults():
    assert [(one.key, one.value) for one in load([], {}, {})] == [(key, default) for key, (default, _) in KEYS.items()]


@pytest.mark.parametrize(
    "text",
    [
        'durability = "strong"', "durability = 1", "store = 5", 'store = ""', "script.memory_mb = 0",
        "script.memory_mb = 1.5",
        "script.memory_mb = true", 'script.memory_mb = "1"', "script.timeout_s = 0", "script.timeout_s = inf",
        "script.timeout_s = nan", "script.instructions = 5", 'color = "red"',
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_key_and_its_file(text):
    with pytest.raises(InvalidInput) as caught:
        load([_file(text)], {}, {})
    assert caught.value.code == "invalid-setting"
    assert text.partition(" ")[0] in caught.value.message
    assert "/somewhere/llmspell.toml" in caught.value.message


@pytest.mark.parametrize(
    "text, key",
    [
        ("colour = 1", "colour"),
        ("[script]\nmemory = 1", "script.memory"),
        ("[x]\ny = 1", "x"),
        ("script = 1", "script"),
    ],
)
def test_an_unknown_key_names_itself_and_its_file(text, key):
    with pytest.raises(InvalidInput) as caught:
        load([_file(text)], {}, {})
    assert caught.value.code == "unknown-setting"
    assert repr(key) in caught.value.message
    assert "/somewhere/llmspell.toml" in caught.value.message


def test_a_file_that_is_no_toml_names_itself():
    with pytest.raises(InvalidInput) as caught:
        load([_file("store = ")], {}, {})
    assert caught.value.code == "invalid-config"
    assert "/somewhere/llmspell.toml" in caught.value.message


def test_a_variable_with_a_wrong_value_names_itself():
    with pytest.raises(InvalidInput) as caught:
        load([], {"LLMSPELL_SCRIPT_MEMORY_MB": "many"}, {})
    assert "environment LLMSPELL_SCRIPT_MEMORY_MB" in caught.value.message


def test_a_store_in_a_file_is_meant_from_the_files_folder():
    def store(text):
        return load([_file(f"store = {text}")], {}, {}).value("store")

    assert store("'data'") == "/somewhere/data"
    assert store("'/abs'") == "/abs"
    assert store("':memory:'") == ":memory:"
    assert store("'postgresql://x'") == "postgresql://x"
    assert load([], {"LLMSPELL_STORE": "data"}, {}).value("store") == "data"


@pytest.mark.parametrize(
    "environ, color",
    [
        ({"NO_COLOR": "1"}, "never"), ({"FORCE_COLOR": "1"}, "always"), ({"FORCE_COLOR": "0"}, "auto"),
        ({"NO_COLOR": ""}, "auto"), ({}, "auto"),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "never"), ({"NO_COLOR": "1", "LLMSPELL_COLOR": "always"}, "always"),
    ],
)  # fmt: skip
def test_the_variables_all_programs_share_decide_about_color(environ, color):
    assert load([], environ, {}).value("color") == color
    assert load([], environ, {"color": "always"}).value("color") == "always"


def test_mistyped_variables_are_found():
    known = {variable(key): "x" for key in KEYS} | {"LLMSPELL_DEBUG": "1", "OTHER": "x"}
    assert unknown_variables(known | {"LLMSPELL_STOER": "x"}) == ["LLMSPELL_STOER"]


def test_the_nearest_file_upwards_applies_after_the_persons_own(tmp_path):
    user, project = tmp_path / "user", tmp_path / "project"
    deep = project / "a" / "b"
    user.mkdir()
    deep.mkdir(parents=True)
    assert find_files(deep, user) == []
    (project / "llmspell.toml").write_text("")
    (user / "llmspell.toml").write_text("")
    assert find_files(deep, user) == [user / "llmspell.toml", project / "llmspell.toml"]
    (deep / "llmspell.toml").write_text("")
    assert find_files(deep, user) == [user / "llmspell.toml", deep / "llmspell.toml"]
    assert find_files(user, user) == [user / "llmspell.toml"]


@pytest.mark.parametrize("content", [b"\xff", b"#" * ((1 << 20) + 1)])
def test_a_file_that_is_no_text_or_far_too_long_is_refused(tmp_path, content):
    (tmp_path / "llmspell.toml").write_bytes(content)
    with pytest.raises(InvalidInput):
        read_file(tmp_path / "llmspell.toml")
