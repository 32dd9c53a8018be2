"""The care of keys: made, shown, exported and rotated; a rotation that is killed leaves a store that opens."""

import os
from threading import Thread

import pytest

import llmspell
from llmspell.errors import AlreadyExists, InvalidInput, NotFound, StorageFailed, WrongKey
from llmspell.security.keyring import Keyring
from llmspell.security.user_key import UserKey


def opened(tmp_path, **options):
    return llmspell.open(tmp_path / "s", durability="process", **options)


@pytest.fixture
def filled(tmp_path):
    with opened(tmp_path) as store:
        store.state.set("p", "x", state_class="sensitive")
        store.state_of(llmspell.Scope.agent("a")).set("p", "y", state_class="sensitive")
    return tmp_path


def reads(tmp_path, **options):
    with opened(tmp_path, **options) as store:
        return store.state.get("p"), store.state_of(llmspell.Scope.agent("a")).get("p")


def test_status_tells_what_there_is_and_no_secret(tmp_path, keys):
    with opened(tmp_path) as store:
        assert store.keys.status().keyring is None
        made = store.keys.create()
        assert (made.keys, made.private) == (0, True)
        with pytest.raises(AlreadyExists):
            store.keys.create()
        store.state.set("p", "x", state_class="sensitive")
        assert store.keys.status().keys == 1
    secret = next(keys.glob("*.key")).read_text().strip()
    assert secret not in str(made.to_dict())


@pytest.mark.skipif(os.name == "nt", reason="no modes of files there")
@pytest.mark.filterwarnings("ignore::llmspell.security.sources.InsecureKey")
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("suffix", ["key", "keyring"])
def test_status_says_when_others_may_read_the_key_or_the_keyring(filled, keys, suffix, named):
    next(keys.glob(f"*.{suffix}")).chmod(0o644)
    with opened(filled, **({"key": next(keys.glob("*.key"))} if named else {})) as store:
        assert not store.keys.status().private
        next(keys.glob(f"*.{suffix}")).chmod(0o600)
        assert store.keys.status().private


@pytest.mark.skipif(os.name == "nt", reason="no modes of files there")
@pytest.mark.filterwarnings("ignore::llmspell.security.sources.InsecureKey")
def test_status_says_when_others_may_read_a_key_that_no_keyring_is_there_for_yet(tmp_path):
    (tmp_path / "own").write_text("5a" * 32)
    (tmp_path / "own").chmod(0o640)
    with opened(tmp_path, key=tmp_path / "own") as store:
        assert (store.keys.status().keyring, store.keys.status().private) == (None, False)
    with opened(tmp_path, key=b"5" * 32) as store:
        assert store.keys.status().private, "a key that is in no file has none to be read"


def test_an_exported_key_opens_the_store_and_is_never_written_over_a_file(filled, keys):
    with opened(filled) as store:
        store.keys.export(filled / "kept")
        with pytest.raises(AlreadyExists):
            store.keys.export(filled / "kept")
    assert (filled / "kept").stat().st_mode & 0o077 == 0
    next(keys.glob("*.key")).unlink()
    with pytest.raises(NotFound):
        reads(filled)
    assert reads(filled, key=filled / "kept") == ("x", "y")


def test_an_export_that_cannot_be_written_says_so(filled):
    with opened(filled) as store, pytest.raises(StorageFailed) as error:
        store.keys.export(filled / "no such folder" / "kept")
    assert error.value.code == "cannot-write-key"


def test_a_key_that_is_given_is_tried_before_there_is_anything_to_open_with_it(tmp_path):
    with opened(tmp_path) as store:
        store.state.set("k", 1)
    with pytest.raises(NotFound):
        opened(tmp_path, key=tmp_path / "no such key")


def test_the_folder_of_keys_is_made_with_all_above_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "not" / "yet" / "there"))
    with opened(tmp_path, key=b"k" * 32) as store:
        store.state.set("p", "x", state_class="sensitive")
    with opened(tmp_path, key=b"k" * 32) as store:
        assert store.state.get("p") == "x"


def test_a_key_goes_elsewhere_and_comes_back_by_its_passphrase(filled, keys):
    with opened(filled) as store:
        store.keys.export(filled / "kept", passphrase="six random words of my own")
    file = next(keys.glob("*.key"))
    secret = file.read_text().strip()
    assert secret not in (filled / "kept").read_text()
    file.unlink()
    with opened(filled) as store:
        for wrong in ("six random words of yours", None):
            with pytest.raises((WrongKey, InvalidInput)):
                store.keys.import_(filled / "kept", passphrase=wrong)
        assert not file.exists()
        store.keys.import_(filled / "kept", passphrase="six random words of my own")
        with pytest.raises(AlreadyExists):
            store.keys.import_(filled / "kept", passphrase="six random words of my own")
    assert reads(filled) == ("x", "y")


def test_a_key_of_another_store_is_not_imported(filled, keys):
    with llmspell.open(filled / "other") as store:
        store.keys.create()
        store.keys.export(filled / "others")
    with opened(filled) as store:
        file = keys / f"{store.id}.key"
        file.unlink()
        with pytest.raises(WrongKey):
            store.keys.import_(filled / "others")
        assert not file.exists()


def test_rotation_makes_another_key_and_the_old_one_opens_nothing(filled, keys):
    old = next(keys.glob("*.key")).read_bytes()
    with opened(filled) as store:
        before = store.keys.status()
        assert store.keys.rotate().master != before.master
        assert store.state.get("p") == "x"
    assert next(keys.glob("*.key")).read_bytes() != old
    assert reads(filled) == ("x", "y")
    (filled / "old").write_bytes(old)
    (filled / "old").chmod(0o600)
    with pytest.raises(WrongKey):
        opened(filled, key=filled / "old")


def test_rotation_to_a_key_of_the_callers_own(filled):
    (filled / "new").write_text("7f" * 32)
    (filled / "new").chmod(0o600)
    with opened(filled) as store:
        store.keys.rotate(filled / "new")
        assert store.state.get("p") == "x"
    assert reads(filled, key=filled / "new") == ("x", "y")
    with opened(filled, key=bytes.fromhex("7f" * 32)) as store:
        with pytest.raises(InvalidInput) as refused:
            store.keys.rotate()
        assert refused.value.code == "key-not-ours"


class Killed(BaseException):
    """What stands for the end of the process."""


@pytest.mark.parametrize("step", ["wrap", "turn"])
def test_a_rotation_that_is_killed_leaves_a_store_that_opens(filled, monkeypatch, step):
    def die(*_args):
        raise Killed

    with opened(filled) as store, monkeypatch.context() as patch:
        where = (Keyring, "rotate") if step == "wrap" else (UserKey, "_promote")
        patch.setattr(*where, die)
        with pytest.raises(Killed):
            store.keys.rotate()
    assert reads(filled) == ("x", "y")
    with opened(filled) as store:
        store.keys.rotate()
    assert reads(filled) == ("x", "y")


def test_a_store_in_memory_keeps_no_keys():
    with llmspell.open(":memory:") as store, pytest.raises(InvalidInput):
        store.keys.status()


def test_a_second_keyring_is_not_made_unasked_for_a_store_that_has_sealed_values(tmp_path, monkeypatch):
    with llmspell.open(tmp_path / "s") as store:
        store.state.set("a", "sealed", state_class="sensitive")
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "another folder"))
    with llmspell.open(tmp_path / "s") as store:
        for write in (
            lambda: store.state.set("b", "sealed", state_class="sensitive"),
            lambda: store.state.set("a", "sealed anew"),
            lambda: store.state.set_many({"b": 1}, state_class="sensitive"),
        ):
            with pytest.raises(NotFound) as gone:
                write()
            assert gone.value.code == "keyring-missing"
        assert not (tmp_path / "another folder").exists()
        store.state.set("plain", 1)
        store.keys.create()
        store.state.set("b", "sealed", state_class="sensitive")
        assert store.state.get("b") == "sealed"


def test_threads_that_read_and_write_go_on_while_others_rotate_the_key(tmp_path):
    failed = []

    def trying(work):
        def run():
            try:
                for number in range(12):
                    work(number)
            except Exception as exc:  # noqa: BLE001 - told below
                failed.append(exc)

        return Thread(target=run)

    with opened(tmp_path) as store:
        store.keys.create()
        agents = [store.state_of(llmspell.Scope.agent(f"a{number}")) for number in range(12)]
        threads = [trying(lambda _: store.keys.rotate()) for _ in range(2)]
        threads.append(trying(lambda number: agents[number].set("k", number, state_class="sensitive")))
        threads.append(trying(lambda _: (store.state.set("k", 1, state_class="sensitive"), store.state.get("k"))))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert [agent.get("k") for agent in agents] == list(range(12))
    with opened(tmp_path) as store:
        assert store.state.get("k") == 1
