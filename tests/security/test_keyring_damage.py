"""A damaged file is refused; a disk that fails harms no key that was there."""

import os

import pytest
from blake3 import blake3

from llmspell.errors import (
    Corrupt,
    InvalidInput,
    NeedsMigration,
    StorageFailed,
)
from llmspell.security import keyring_format
from tests.security.rings import MASTER, OTHER, made, opened


def test_a_change_of_any_byte_is_refused_or_harmless(ring):
    names = ("a", "b", "c")
    keys = made(ring, *names)
    whole = ring.read_bytes()
    harmless, codes = set(), set()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0x41
        ring.write_bytes(changed)
        try:
            with opened(ring) as keyring:
                assert [keyring.find(name) for name in names] == keys
                assert keyring.data_key("d").id not in {key.id for key in keys}
        except Corrupt as refused:
            codes.add(refused.code)
        else:
            harmless.add(at)
    assert codes == {"not-a-keyring", "keyring-damaged"}
    assert harmless == set(range(keyring_format.COUNT_AT, keyring_format.HEADER_BYTES))


def test_a_keyring_cut_anywhere_is_refused(ring):
    made(ring, "a", "b")
    whole = ring.read_bytes()
    for end in range(len(whole)):
        ring.write_bytes(whole[:end])
        with pytest.raises(Corrupt) as refused:
            opened(ring)
        assert refused.value.code in {"not-a-keyring", "keyring-damaged"}


def test_records_are_not_moved_dropped_or_taken_from_another_file(ring, tmp_path):
    made(ring, "a", "b", "c")
    made(tmp_path / "other", "a", "b", "c")
    head, size = keyring_format.HEADER_BYTES, keyring_format.RECORD_BYTES
    whole, other = ring.read_bytes(), (tmp_path / "other").read_bytes()
    first, second, third = (whole[head + at * size : head + (at + 1) * size] for at in range(3))
    for records in (second + first + third, first + third + third, first * 3, first + second + other[-size:]):
        ring.write_bytes(whole[:head] + records)
        with pytest.raises(Corrupt):
            opened(ring)
    ring.write_bytes(other[:head] + whole[head:])
    with pytest.raises(Corrupt):
        opened(ring)


def test_a_newer_version_asks_for_migration(ring):
    made(ring, "a")
    content = bytearray(ring.read_bytes())
    content[9] = 2
    content[176:192] = blake3(bytes(content[:176])).digest(16)
    ring.write_bytes(content)
    with pytest.raises(NeedsMigration) as refused:
        opened(ring)
    assert refused.value.code == "keyring-version"


def test_a_file_too_long_to_be_a_keyring_is_not_read(ring, monkeypatch):
    made(ring, "a")
    monkeypatch.setattr("llmspell.security.keyring_shared.FILE_BYTES_MAX", 300)
    with pytest.raises(Corrupt):
        opened(ring)


def test_a_store_id_of_another_length_is_refused(ring):
    with pytest.raises(InvalidInput):
        opened(ring, store=b"short", create=True)


@pytest.mark.parametrize("call", ["write", "fsync", "ftruncate", "replace", "unlink"])
@pytest.mark.parametrize("act", ["make", "shred", "rotate"])
@pytest.mark.parametrize("error", [28, 5, 30])
def test_a_failing_call_is_an_error_of_ours_and_harms_nothing(ring, monkeypatch, call, act, error):
    a, b = made(ring, "a", "b")
    real, codes = getattr(os, call), set()
    for at in range(6):
        left = [at]

        def fail(*args, _left=left, **kwargs):
            _left[0] -= 1
            if _left[0] == -1:
                raise OSError(error, os.strerror(error))
            return real(*args, **kwargs)

        with opened(ring) as keyring:
            monkeypatch.setattr(os, call, fail)
            acts = {"make": keyring.data_key, "shred": keyring.shred, "rotate": lambda _name: keyring.rotate(OTHER)}
            try:
                acts[act]("c")
            except StorageFailed as failed:
                codes.add(failed.code)
            monkeypatch.undo()
            assert keyring.data_keys(["a", "b"]) == [a, b]
            keyring.data_key("c")
            if keyring.status().master_id == OTHER.id:
                keyring.rotate(MASTER)
        with opened(ring) as keyring:
            assert keyring.data_keys(["a", "b"]) == [a, b]
        assert sorted(path.name for path in ring.parent.iterdir()) == ["ring", "ring.lock"]
    assert codes <= {{28: "disk-full", 5: "io-failed", 30: "keyring-denied"}[error]}


def test_a_key_whose_sync_failed_is_not_there(ring, monkeypatch):
    made(ring, "a")
    size = ring.stat().st_size

    def fail(_descriptor):
        raise OSError(5, "Input/output error")

    with opened(ring) as keyring:
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StorageFailed):
            keyring.data_key("b")
        monkeypatch.undo()
        assert keyring.find("b") is None
        assert ring.stat().st_size == size
