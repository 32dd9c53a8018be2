"""The key that is made in the person's key folder, and its rotation."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell.errors import InvalidInput, NotFound, WrongKey
from llmspell.security.key_files import key_folder
from llmspell.security.keyring import Keyring
from llmspell.security.keys import MasterKey
from llmspell.security.sources import KeyFile
from llmspell.security.user_key import UserKey

STORE = bytes(range(16))
NAME = "00010203-0405-0607-0809-0a0b0c0d0e0f.key"
CALLS = ("open", "write", "fsync", "replace", "link", "unlink", "ftruncate")


class Killed(BaseException):
    """What a kill does to the process: no call of the system is made any more."""


@pytest.fixture
def key(tmp_path):
    return UserKey(STORE, tmp_path / "keys")


@pytest.fixture
def kill_at(monkeypatch):
    """Lets a call of the system and all after it raise ``Killed``."""

    def arm(at):
        count = [0]

        def counted(real):
            def call(*args, **kwargs):
                count[0] += 1
                if count[0] > at:
                    raise Killed
                return real(*args, **kwargs)

            return call

        for name in CALLS:
            monkeypatch.setattr(os, name, counted(getattr(os, name)))

    return arm


def test_a_key_is_made_once_and_is_its_owners_alone(key):
    made = key.make()
    assert key.make() == made == key() == KeyFile(key.path)()
    assert key.path.name == NAME
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.path.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in key.path.parent.iterdir()) == [NAME, f"{NAME}.lock"]


def test_asking_makes_no_key(key):
    with pytest.raises(NotFound) as refused:
        key()
    assert refused.value.code == "key-missing"
    assert not key.path.parent.exists()


def test_the_key_folder_is_where_the_persons_data_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert key_folder() == tmp_path / "llmspell" / "keys"
    assert UserKey(STORE).path == key_folder() / NAME


@pytest.mark.parametrize("inside", [".", "deep/er"])
def test_a_key_is_never_made_inside_the_store(tmp_path, inside):
    store = tmp_path / "store"
    (store / inside).mkdir(parents=True)
    (tmp_path / "link").symlink_to(store / inside)
    for folder in (store / inside, store / inside / "keys", tmp_path / "link"):
        with pytest.raises(InvalidInput) as refused:
            UserKey(STORE, folder).make(outside=store)
        assert refused.value.code == "key-in-store"
    assert not list(store.rglob("*.key*"))
    UserKey(STORE, tmp_path / "store-keys").make(outside=store)


def test_processes_that_make_the_key_at_once_make_one(key):
    code = (
        "import sys\nfrom pathlib import Path\nfrom llmspell.security.user_key import UserKey\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        f"print(UserKey({STORE!r}, Path(sys.argv[1])).make().id.hex())"
    )
    command = [sys.executable, "-c", code, str(key.path.parent)]
    makers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for maker in makers:
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        maker.stdin.write("\n")
        maker.stdin.flush()
    assert {maker.communicate(timeout=60)[0].strip() for maker in makers} == {key().id.hex()}


def test_rotation_makes_a_new_key_and_destroys_the_old(key, tmp_path):
    old = key.make()
    kept = os.open(key.path, os.O_RDONLY)
    with key.open_keyring(tmp_path / "ring", create=True) as keyring, key.open_keyring(tmp_path / "ring") as other:
        data = keyring.data_key("a")
        new = key.rotate(keyring)
        assert new != old
        assert key() == new
        assert keyring.data_key("a") == other.data_key("a") == data  # The other asked its source again.
        newest = key.rotate(other)
        assert keyring.data_key("a") == data
    assert set(os.pread(kept, 1000, 0)) == {0}
    os.close(kept)
    with pytest.raises(WrongKey):
        Keyring.open(tmp_path / "ring", new, STORE)
    assert key() == newest


def test_a_rotation_killed_at_any_call_is_taken_up(tmp_path, kill_at, monkeypatch):
    ended = set()
    for at in range(200):
        key, ring = UserKey(STORE, tmp_path / f"{at}" / "keys"), tmp_path / f"{at}" / "ring"
        old = key.make()
        with key.open_keyring(ring, create=True) as keyring:
            data = keyring.data_key("a")
            kill_at(at)
            try:
                key.rotate(keyring)
                done = True
            except Killed:
                done = False
            monkeypatch.undo()
        with key.open_keyring(ring) as keyring:
            assert keyring.find("a") == data
            assert keyring.status().master_id == key().id
            ended.add((done, key() == old))
            if done:
                break
            key.rotate(keyring)
            assert keyring.find("a") == data
        assert sorted(path.name for path in key.path.parent.iterdir()) == [NAME, f"{NAME}.lock"]
    assert ended == {(False, True), (False, False), (True, False)}
    assert at > 20


def test_making_a_key_killed_at_any_call_is_taken_up(tmp_path, kill_at, monkeypatch):
    for at in range(200):
        key = UserKey(STORE, tmp_path / f"{at}")
        kill_at(at)
        try:
            key.make()
            done = True
        except Killed:
            done = False
        monkeypatch.undo()
        assert key.make() == key()
        assert sorted(path.name for path in key.path.parent.iterdir()) == [NAME, f"{NAME}.lock"]
        if done:
            break
    assert at > 5


def test_no_key_is_destroyed_while_the_keyring_is_away(key, tmp_path, kill_at, monkeypatch):
    """The next key may be the only one that opens the keyring."""
    key.make()
    ring, following = tmp_path / "ring", key.path.with_name(f"{NAME}.next")
    with key.open_keyring(ring, create=True) as keyring:
        data = keyring.data_key("a")
        monkeypatch.setattr(UserKey, "_promote", lambda _self: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            key.rotate(keyring)
        monkeypatch.undo()
    ring.rename(tmp_path / "away")
    for create in (False, True):
        with pytest.raises(NotFound):
            key.open_keyring(ring, create=create)
        assert following.exists()
    (tmp_path / "away").rename(ring)
    with key.open_keyring(ring) as keyring:
        assert keyring.find("a") == data
    assert not following.exists()


def test_two_keys_that_both_do_not_open_the_keyring_are_both_kept(key, tmp_path):
    key.make()
    UserKey(STORE, tmp_path / "elsewhere").make()
    UserKey(STORE, tmp_path / "elsewhere").open_keyring(tmp_path / "ring", create=True).close()
    following = key.path.with_name(f"{NAME}.next")
    following.write_text("ab" * 32)
    following.chmod(0o600)
    with pytest.raises(WrongKey):
        key.open_keyring(tmp_path / "ring")
    assert following.read_text() == "ab" * 32
    assert Path(key.path).exists()


def test_a_process_that_has_the_keyring_open_goes_on_when_a_rotation_was_killed(key, tmp_path, monkeypatch):
    def killed(_):
        raise Killed

    path = tmp_path / "ring"
    key.make()
    with key.open_keyring(path, create=True) as open_before:
        before = open_before.data_key("a")
        with key.open_keyring(path) as rotating, monkeypatch.context() as patched:
            patched.setattr(UserKey, "_promote", killed)
            with pytest.raises(Killed):
                key.rotate(rotating)
        assert open_before.data_key("a") == before
        made = open_before.data_key("b")
        key.open_keyring(path).close()
        assert open_before.data_key("b") == made


def test_whoever_holds_the_keyring_does_not_wait_for_a_rotation_that_waits_for_it(tmp_path):
    key = UserKey(b"s" * 16, tmp_path / "keys", busy_timeout_s=0.2)
    key.make()
    path = tmp_path / "ring"
    with key.open_keyring(path, create=True) as keyring:
        with key.open_keyring(path) as other:
            key.rotate(other)
        with key._lock():  # As another rotation has it, from before it wraps the keyring until it is done.
            key._write(MasterKey.generate())
            assert keyring.data_key("a").id == keyring.data_key("a").id
        key.open_keyring(path).close()
