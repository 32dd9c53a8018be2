"""Shredding and rotation: what is gone is gone from every file, and the rest stays."""

import os
import shutil

import pytest

from llmspell.errors import (
    InvalidInput,
    NotFound,
    WrongKey,
)
from llmspell.security import keyring_format
from llmspell.security.keys import MasterKey
from tests.security.rings import MASTER, OTHER, made, opened


def test_a_shredded_key_is_gone_and_the_others_stay(ring):
    a, b = made(ring, "a", "b")
    with opened(ring) as keyring:
        assert keyring.shred("a", "never seen") == [a.id]
        assert keyring.shred("a") == []
        assert keyring.find("a") is None
        assert keyring.find("b") == b
        assert keyring.erasures() == {a.id}
        fresh = keyring.data_key("a")
        assert fresh.id != a.id
        assert fresh.reveal() != a.reveal()
        assert keyring.erasures() == {a.id}


def test_no_usable_byte_of_a_shredded_key_is_in_any_file_even_the_one_replaced(ring):
    a = made(ring, "a", "b")[0]
    content = ring.read_bytes()
    at = content.index(a.id)
    wrapped = content[at + 44 : at + 92]
    inode = ring.parent / "another name of the file"
    inode.hardlink_to(ring)
    with opened(ring) as keyring:
        keyring.shred("a")
    assert inode.read_bytes() == bytes(len(content))
    inode.unlink()
    for path in ring.parent.iterdir():
        for piece in range(0, 48, 8):
            assert wrapped[piece : piece + 8] not in path.read_bytes()


def test_the_replaced_file_is_overwritten_also_where_there_are_no_links(ring, monkeypatch):
    a = made(ring, "a")[0]
    descriptor = os.open(ring, os.O_RDONLY)

    def refuse(*_args, **_kwargs):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    with opened(ring) as keyring:
        assert keyring.shred("a") == [a.id]
    assert set(os.pread(descriptor, 10_000, 0)) == {0}
    os.close(descriptor)


def test_an_older_copy_put_back_forgets_what_was_shredded(ring, tmp_path):
    a, b = made(ring, "a", "b")
    shutil.copy(ring, tmp_path / "copy")
    with opened(ring) as keyring:
        keyring.shred("a")
        newest = keyring.erasures()
    ring.unlink()
    shutil.copy(tmp_path / "copy", ring)
    with opened(ring) as keyring:
        assert keyring.find("a") == a
        assert keyring.apply_erasures(newest) == [a.id]
        assert keyring.find("a") is None
        assert keyring.find("b") == b
        assert keyring.apply_erasures(newest) == []
        assert keyring.erasures() == newest


def test_an_erasure_of_a_key_that_was_never_here_is_kept(ring):
    with opened(ring, create=True) as keyring:
        assert keyring.apply_erasures([b"e" * 16]) == [b"e" * 16]
        with pytest.raises(NotFound):
            keyring.key(b"e" * 16)


@pytest.mark.parametrize("bad", [b"short", "e" * 16, None])
def test_what_is_no_key_id_is_no_erasure(ring, bad):
    with opened(ring, create=True) as keyring, pytest.raises(InvalidInput) as refused:
        keyring.apply_erasures([b"e" * 16, bad])
    assert refused.value.code == "invalid-id"


def test_another_handle_knows_at_once_of_a_shredded_key(ring):
    a = made(ring, "a")[0]
    with opened(ring) as one, opened(ring) as other:
        assert other.data_key("a") == a
        one.shred("a")
        assert other.find("a") is None
        with pytest.raises(NotFound):
            other.key(a.id)
        assert a.id not in other._open_keys


def test_a_file_that_gets_the_inode_of_an_earlier_one_is_still_noticed(ring):
    """Without a descriptor kept open, every second replacement would have the same inode and size."""
    names = [f"{number}" for number in range(30)]
    made(ring, *names)
    with opened(ring) as one, opened(ring) as other:
        for name in names:
            one.shred(name)
            assert other.find(name) is None


def test_rotation_changes_the_master_key_and_no_data_key(ring):
    a, b, c = made(ring, "a", "b", "c")
    with opened(ring) as keyring:
        keyring.shred("c")
        keyring.rotate(OTHER)
        assert keyring.data_keys(["a", "b"]) == [a, b]
    with pytest.raises(WrongKey):
        opened(ring)
    with opened(ring, OTHER) as keyring:
        assert [keyring.find(name) for name in ("a", "b", "c")] == [a, b, None]
        assert keyring.erasures() == {c.id}


def test_rotation_leaves_nothing_that_the_old_master_key_opens(ring):
    made(ring, "a")
    wrapped = ring.read_bytes()[keyring_format.HEADER_BYTES + 36 :][:60]
    kept = os.open(ring, os.O_RDONLY)
    with opened(ring) as keyring:
        keyring.rotate(OTHER)
    assert wrapped not in ring.read_bytes()
    assert set(os.pread(kept, 10_000, 0)) == {0}
    os.close(kept)


def test_rotation_to_the_same_key_is_refused(ring):
    with opened(ring, create=True) as keyring, pytest.raises(InvalidInput) as refused:
        keyring.rotate(MasterKey(MASTER.reveal()))
    assert refused.value.code == "same-key"


def test_an_open_handle_asks_its_source_again_after_a_rotation(ring):
    a = made(ring, "a")[0]
    now, asked = [MASTER], []

    def source():
        asked.append(now[0])
        return now[0]

    with opened(ring, source) as served, opened(ring) as rotating:
        assert served.data_key("a") == a
        assert len(asked) == 1
        rotating.rotate(OTHER)
        with pytest.raises(WrongKey):
            served.data_key("a")
        now[0] = OTHER
        assert served.data_key("a") == a


def test_a_wrong_source_is_asked_once(ring):
    made(ring, "a")
    answers = iter([OTHER])
    with pytest.raises(WrongKey):
        opened(ring, lambda: next(answers))  # A second question would find no answer.
