"""Whatever writes a file refuses a path among the files of a store and those of keys, and all stay as they were."""

import inspect
import sys
from pathlib import Path

import pytest

import llmspell
from llmspell.cli import dispatch
from llmspell.cli.main import main
from llmspell.errors import InvalidInput
from llmspell.sync import faces

METHODS = {
    "Artifacts.export": lambda store, path: store.artifacts.export(path, overwrite=True),
    "Sessions.export": lambda store, path: store.sessions.export("s", path, overwrite=True),
    "Keys.export": lambda store, path: store.keys.export(path),
    "Keys.rotate": lambda store, path: store.keys.rotate(path),
    "Sessions.cleanup": lambda store, path: store.sessions.cleanup(policy(path)),
    "Sessions.set_retention": lambda store, path: store.sessions.set_retention(policy(path)),
}
READING = {"Artifacts.import_", "Sessions.import_", "Keys.import_", "Schemas.load_folder"}
COMMANDS = {
    ("artifact", "export", "file"): ("artifact", "export", "PATH", "--overwrite"),
    ("artifact", "get", "output"): ("artifact", "get", "a.txt", "--session", "s", "-o", "PATH"),
    ("artifact", "unseal", "output"): ("artifact", "unseal", "sealed", "--session", "s", "-o", "PATH"),
    ("session", "export", "file"): ("session", "export", "s", "PATH", "--overwrite"),
    ("session", "cleanup", "archive_to"): ("session", "cleanup", "--max-count", "0", "--archive-to", "PATH", "--yes"),
    ("session", "retention", "archive_to"): ("session", "retention", "--max-count", "0", "--archive-to", "PATH"),
    ("key", "export", "path"): ("key", "export", "PATH"),
    ("key", "rotate", "to"): ("key", "rotate", "--to", "PATH"),
    ("--install-completion", "output"): ("--install-completion", "--shell", "bash", "-o", "PATH"),
}
READING_COMMANDS = {
    ("artifact", "put", "file"), ("artifact", "offer", "file"), ("artifact", "import", "file"), ("run", "file"),
    ("session", "import", "file"), ("schema", "register", "file"), ("schema", "load", "folder"),
    ("migrate", "register", "file"), ("key", "import", "path"), ("key", "import", "passphrase"),
    ("key", "export", "passphrase"),
}  # fmt: skip


READS_KEY = {"Keys.rotate", ("key", "rotate", "to")}
"""What takes a path of a key in order to read it: it is refused in a store all the same, where no key is to lie."""


def policy(path):
    return llmspell.RetentionPolicy(max_count=0, archive_to=str(path))


@pytest.fixture(autouse=True)
def keys(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path):
    """A store with something for every export, and another beside it."""
    for name in (".llmspell", "other"):
        with llmspell.open(tmp_path / name, durability="process") as store:
            session = store.sessions.create("s")
            session.artifacts.put("a.txt", "hello")
            store.captures.set_rules([{"name": "all", "privacy": "seal", "store_as": "sealed"}])
            session.captures.offer('{"token": "hunter2"}', source="tool")
            assert session.captures.unseal("sealed")
    return tmp_path


def ways(folder):
    """Paths among the files of a store, by every kind of name."""
    store = folder / ".llmspell"
    (folder / "to_file").symlink_to(store / "generation-000001" / "main.db")
    (folder / "to_folder").symlink_to(store, target_is_directory=True)
    (folder / "to_nothing").symlink_to(store / "new.db")
    (store / "inward").symlink_to(folder / "elsewhere")
    return [
        str(store / "generation-000001" / "main.db"), ".llmspell/generation-000001/main.db", ".llmspell/CURRENT",
        "x/../.llmspell/new", "to_file", "to_folder/generation-000001/main.db", "to_nothing", ".llmspell/inward",
        "other/generation-000001/content.db",
    ]  # fmt: skip


def files_of(folder):
    found = {}
    for name in (".llmspell", "other"):
        for path in (folder / name).rglob("*"):
            if path.is_file() and not path.name.endswith(("-shm", ".lock")):
                found[path] = path.read_bytes()
    return found


def takes_path(param):
    return "Path" in str(param.annotation)


def test_every_method_that_takes_a_path_is_known_to_read_or_to_write_there():
    found = {
        f"{name}.{method}"
        for name, face in vars(faces).items() if inspect.isclass(face) and face.__module__ == faces.__name__
        for method, function in vars(face).items() if inspect.isfunction(function) and not method.startswith("__")
        for param in inspect.signature(function).parameters.values() if takes_path(param)
    }  # fmt: skip
    by_policy = {"Sessions.cleanup", "Sessions.set_retention"}
    assert found | by_policy == METHODS.keys() | READING


@pytest.mark.parametrize("method", METHODS)
def test_no_method_writes_among_the_files_of_a_store(folder, method):
    paths = ways(folder)
    with llmspell.open(folder / ".llmspell", durability="process") as store:
        before = files_of(folder)
        for path in [*paths, *map(Path, paths)]:
            with pytest.raises(InvalidInput) as refused:
                METHODS[method](store, path)
            assert refused.value.code == "path-in-store", path
        assert files_of(folder) == before
        assert store.verify().ok


def commands(app, names=()):
    """Every command with its function."""
    for name in app:
        if name.startswith("-") and name != "--install-completion":
            continue
        one = app[name]
        if one.default_command is not None:
            yield (*names, name), one.default_command
        yield from commands(one, (*names, name))


def test_every_command_that_takes_a_file_is_known_to_read_or_to_write_it():
    names = {"file", "output", "path", "folder", "archive_to", "to"}
    found = {
        (*words, param.name)
        for words, function in commands(dispatch.program(colored=False))
        for param in inspect.signature(function).parameters.values()
        if takes_path(param) or param.name in names
    }
    assert found >= COMMANDS.keys()
    no_files = {one for one in found if one[-1] == "to" and one not in COMMANDS}
    assert found - no_files == COMMANDS.keys() | READING_COMMANDS


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_writes_among_the_files_of_a_store(folder, command, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", None)
    paths = ways(folder)
    before = files_of(folder)
    for path in paths:
        status = main([path if word == "PATH" else word for word in COMMANDS[command]])
        told = capfd.readouterr().err
        assert status == 2, told
        assert "path-in-store" in told or "folder of a store" in told, (path, told)
    assert files_of(folder) == before
    with llmspell.open(folder / ".llmspell") as store:
        assert store.verify().ok


def test_a_folder_that_only_looks_a_little_like_a_store_is_written_to(folder):
    (folder / "rocks").mkdir()
    (folder / "rocks" / "CURRENT").write_text("MANIFEST-000001\n")
    with llmspell.open(folder / ".llmspell") as store:
        report = store.artifacts.export(folder / "rocks" / "x.zip")
    assert Path(report.path).is_file()


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def keyed(folder):
    """The same with a key that was made, and a second store whose key is in a file of its own."""
    with llmspell.open(folder / ".llmspell") as store:
        store.state.set("pin", "4711", state_class="sensitive")
    (folder / "own.key").write_text("11" * 32)
    (folder / "own.key").chmod(0o600)
    with llmspell.open(folder / "third", key=folder / "own.key") as store:
        store.state.set("pin", "4711", state_class="sensitive")
    return folder


def ways_to_keys(folder):
    """Paths of keys and keyrings, by every kind of name, and of what is there only while they are changed."""
    keys = folder / "keys"
    name = next(keys.glob("*.key")).stem
    (folder / "to_key").symlink_to(keys / f"{name}.key")
    (folder / "to_keys").symlink_to(keys, target_is_directory=True)
    (folder / "same_key").hardlink_to(folder / "own.key")
    return [
        str(keys / f"{name}.key"), f"keys/{name}.keyring", f"x/../keys/{name}.key", "to_key", f"to_keys/{name}.KEY",
        f"keys/{name}.key.next", f"keys/{name}.keyring.new", "own.key", "same_key",
    ]  # fmt: skip


def files_of_keys(folder):
    found = [path for path in (folder / "keys").iterdir() if not path.name.endswith(".lock")]
    return {path: path.read_bytes() for path in [*found, folder / "own.key"]}


@pytest.mark.parametrize("method", METHODS.keys() - READS_KEY)
def test_no_method_writes_over_a_key_or_a_keyring(keyed, method):
    paths, before = ways_to_keys(keyed), files_of_keys(keyed)
    with llmspell.open(keyed / ".llmspell") as store, llmspell.open(keyed / "third", key="own.key"):
        for path in paths:
            with pytest.raises(InvalidInput) as refused:
                METHODS[method](store, path)
            assert refused.value.code == "path-of-key", path
        assert files_of_keys(keyed) == before
        assert store.state.get("pin") == "4711"


@pytest.mark.parametrize("command", COMMANDS.keys() - READS_KEY, ids=" ".join)
def test_no_command_writes_over_a_key_or_a_keyring(keyed, command, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", None)
    paths = ways_to_keys(keyed)
    with llmspell.open(keyed / ".llmspell") as store:
        store.keys.rotate("own.key")
    monkeypatch.setenv("LLMSPELL_KEY_FILE", "own.key")
    before = files_of_keys(keyed)
    for path in paths:
        status = main([path if word == "PATH" else word for word in COMMANDS[command]])
        told = capfd.readouterr().err
        assert (status, "path-of-key" in told or "file of a key" in told) == (2, True), (path, told)
    assert files_of_keys(keyed) == before


def test_beside_keys_and_over_what_only_looks_like_one_is_written(keyed):
    with llmspell.open(keyed / ".llmspell") as store:
        (keyed / "copy.key").write_text("22" * 32)
        name = next((keyed / "keys").glob("*.key")).name
        (keyed / name).write_text("33" * 32)
        for path in ("keys/backup.zip", "copy.key", name, "own.key"):
            assert Path(store.artifacts.export(path, overwrite=True).path).is_file()
