"""The keyring: one durable key for a name, and nothing for who has the wrong master key."""

import os
import stat
import traceback
from pathlib import Path

import pytest

from llmspell.errors import (
    Corrupt,
    InvalidInput,
    LimitExceeded,
    NotFound,
    StorageFailed,
    WrongKey,
)
from llmspell.security import keyring as keyring_module
from llmspell.security import keyring_format
from tests.security.rings import MASTER, OTHER, STORE, made, opened


def test_a_name_has_one_key_which_survives_closing(ring):
    a, b, again = made(ring, "session:1", "session:2", "session:1")
    assert a == again != b
    with opened(ring) as keyring:
        assert keyring.data_key("session:1") == a
        assert keyring.key(b.id) == keyring.find("session:2") == b


def test_finding_makes_no_key(ring):
    with opened(ring, create=True) as keyring:
        assert keyring.find("agent:a") is None
        assert keyring.status().keys == 0


def test_the_file_tells_neither_names_nor_keys(ring):
    key = made(ring, "session:alice@example.com")[0]
    content = ring.read_bytes()
    for secret in (b"alice", b"session", key.reveal(), MASTER.reveal()):
        assert secret not in content


def test_all_names_take_the_same_room(ring):
    made(ring, "a", "session:" + "x" * 5000)
    assert len(ring.read_bytes()) == keyring_format.HEADER_BYTES + 2 * keyring_format.RECORD_BYTES


@pytest.mark.parametrize("name", ["", None, b"a", 1, "\ud800"])
def test_what_is_no_name_has_no_key(ring, name):
    with opened(ring, create=True) as keyring:
        for call in (keyring.data_key, keyring.find, keyring.shred):
            with pytest.raises(InvalidInput) as refused:
                call(name)
            assert refused.value.code == "invalid-name"


def test_few_keys_are_kept_unwrapped(ring, monkeypatch):
    monkeypatch.setattr(keyring_module, "OPEN_KEYS_MAX", 3)
    names = [f"agent:{number}" for number in range(20)]
    with opened(ring, create=True) as keyring:
        keys = keyring.data_keys(names)
        assert len(keyring._open_keys) == 3
        assert keyring.data_keys(names) == keys


def test_a_full_keyring_says_so_and_stays_as_it_is(ring, monkeypatch):
    kept = made(ring, "a", "b")
    monkeypatch.setattr(keyring_format, "RECORDS_MAX", 3)
    with opened(ring) as keyring:
        with pytest.raises(LimitExceeded) as refused:
            keyring.data_keys(["c", "d"])
        assert refused.value.code == "keyring-full"
        assert keyring.data_keys(["a", "b"]) == kept
        assert keyring.find("c") is None


def test_file_and_folder_are_their_owners_alone(ring):
    made(ring, "a")
    mask = os.umask(0)
    try:
        with opened(ring) as keyring:
            keyring.shred("a")
            assert keyring.status().private
    finally:
        os.umask(mask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ring.parent.iterdir()}
    assert modes == {"ring": 0o600, "ring.lock": 0o600}
    assert stat.S_IMODE(ring.parent.stat().st_mode) == 0o700
    ring.chmod(0o644)
    with opened(ring) as keyring:
        assert not keyring.status().private


def test_status_counts_and_names_the_master_key(ring):
    made(ring, "a", "b")
    with opened(ring) as keyring:
        keyring.shred("a")
        keyring.rotate(OTHER)
        status = keyring.status()
    assert (status.keys, status.erased, status.rewritings) == (1, 1, 2)
    assert (status.master_id, status.store_id) == (OTHER.id, STORE)
    assert status.size_bytes == ring.stat().st_size


def test_a_closed_keyring_says_so(ring):
    keyring = opened(ring, create=True)
    keyring.close()
    keyring.close()
    with pytest.raises(StorageFailed) as refused:
        keyring.data_key("a")
    assert refused.value.code == "closed"


def test_opening_and_closing_leaks_no_descriptor(ring):
    made(ring, "a")
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    for number in range(20):
        with opened(ring) as keyring:
            keyring.data_key(f"{number}")
            keyring.shred("a")
        with pytest.raises(WrongKey):
            opened(ring, OTHER)
    assert not before or len(list(Path("/proc/self/fd").iterdir())) == before


def _seen(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("master", "store", "code"), [(OTHER, STORE, "wrong-key"), (MASTER, b"x" * 16, "wrong-keyring")]
)
def test_a_wrong_key_is_named_so_and_nothing_is_touched(ring, master, store, code, create):
    made(ring, "a")
    (ring.parent / "ring.lock").unlink()
    before = _seen(ring.parent)
    with pytest.raises(WrongKey) as refused:
        opened(ring, master, store, create=create)
    assert (refused.value.code, refused.value.exit_status) == (code, 12)
    assert _seen(ring.parent) == before


def test_a_missing_keyring_is_not_made_unasked(ring):
    with pytest.raises(NotFound) as refused:
        opened(ring)
    assert refused.value.code == "keyring-missing"
    assert not ring.parent.exists()


def test_an_unknown_key_id_is_told_from_a_shredded_one(ring):
    with opened(ring, create=True) as keyring:
        gone = keyring.data_key("a").id
        keyring.shred("a")
        with pytest.raises(NotFound) as shredded:
            keyring.key(gone)
        with pytest.raises(WrongKey) as unknown:
            keyring.key(b"?" * 16)
    assert (shredded.value.code, unknown.value.code) == ("key-shredded", "unknown-data-key")


@pytest.mark.parametrize("source", [lambda: b"m" * 32, lambda: None])
def test_a_source_that_gives_no_master_key_is_refused(ring, source):
    with pytest.raises(InvalidInput):
        opened(ring, source, create=True)
    assert not ring.exists()


def test_no_error_shows_a_key_in_the_frames_of_its_traceback(ring):
    secrets = [key.reveal() for key in made(ring, "a", "b")] + [MASTER.reveal()]
    damaged = bytearray(ring.read_bytes())
    damaged[-1] ^= 1

    def fails():
        with opened(ring) as keyring:
            keyring.data_keys(["a", "b"])
            keyring.key(b"?" * 16)

    def fails_on_damage():
        ring.write_bytes(damaged)
        opened(ring)

    for call in (fails, lambda: opened(ring, OTHER), fails_on_damage):
        with pytest.raises((WrongKey, Corrupt)) as refused:
            call()
        stack = traceback.StackSummary.extract(traceback.walk_tb(refused.value.__traceback__), capture_locals=True)
        ours = [frame for frame in stack if "tests" not in Path(frame.filename).parts]
        assert ours
        told = f"{refused.value!r} {refused.value.details} {[frame.locals for frame in ours]}"
        for secret in secrets:
            assert secret.hex() not in told
            assert repr(secret)[2:-1] not in told
