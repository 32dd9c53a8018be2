"""Captures that are sealed go into a plain archive sealed, and open again where they were sealed, and nowhere else."""

import pytest

from llmspell import RetentionPolicy
from llmspell.errors import NotFound

SEAL = [{"name": "all", "privacy": "seal", "store_as": "s"}]


@pytest.fixture
def archived(store, tmp_path):
    """The id of a session with a sealed capture that a cleanup let go, its artifact's id, and the file."""
    store.captures.set_rules(SEAL)
    session = store.sessions.create("s")
    artifact = session.captures.offer("private", source="user").artifact
    session.complete()
    (path,) = store.sessions.cleanup(RetentionPolicy(max_count=0, archive_to=tmp_path / "old")).archived
    return session.id, artifact.id, path


def refused(store, artifact):
    with pytest.raises(NotFound) as error:
        store.captures.unseal(artifact)
    return error.value.code


def test_a_sealed_capture_opens_when_its_session_comes_back(store, archived):
    session, artifact, path = archived
    store.sessions.import_(path)
    assert store.captures.unseal(artifact) == b"private"
    store.sessions.import_(path, on_conflict="replace")
    assert store.captures.unseal(artifact) == b"private"
    assert store.sessions.open(session).captures.offer("more", source="user").captured
    assert store.verify().ok


def test_without_the_keyring_the_session_comes_back_and_says_what_is_missing(face, store, archived, keys):
    _, artifact, path = archived
    face.close_stores()
    (ring,) = keys.glob("*.keyring")
    ring.rename(keys / "away")
    again = face.open()
    again.sessions.import_(path)
    assert refused(again, artifact) == "keyring-missing"
    with pytest.raises(NotFound) as error:
        again.state.set("token", "hush", state_class="sensitive")
    assert error.value.code == "keyring-missing"
    assert not ring.exists(), "no other keyring takes its place"
    assert again.verify().ok
    (keys / "away").rename(ring)
    assert again.captures.unseal(artifact) == b"private"


def test_another_store_takes_it_in_names_what_it_cannot_open_and_seals_as_before(other, archived):
    session, artifact, path = archived
    other.sessions.import_(path)
    assert refused(other, artifact) == "sealed-elsewhere"
    handle = other.sessions.open(session)
    handle.artifacts.update("s", description="changed here")
    assert refused(other, artifact) == "sealed-elsewhere"
    other.state.set("token", "hush", state_class="sensitive")
    assert other.state.get("token") == "hush"
    other.captures.set_rules(SEAL)
    mine = other.sessions.create("mine").captures.offer("of this store", source="user").artifact
    assert other.captures.unseal(mine.id) == b"of this store"
    assert refused(other, artifact) == "sealed-elsewhere"
    assert other.verify().ok


def test_under_another_id_it_is_named_as_sealed_elsewhere_and_its_own_still_opens(store, archived):
    _, artifact, path = archived
    store.sessions.import_(path)
    renamed = store.sessions.open(store.sessions.import_(path, on_conflict="rename").id)
    (copy,) = renamed.artifacts.list()
    assert refused(store, copy.id) == "sealed-elsewhere"
    assert store.captures.unseal(artifact) == b"private"
