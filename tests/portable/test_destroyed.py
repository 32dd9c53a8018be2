"""What becomes of an export when somebody destroys the session, or some of it, while it goes on."""

import random

import pytest

import llmspell
from llmspell.errors import Conflict, NotFound


def noise(seed):
    return random.Random(seed).randbytes(100_000)


@pytest.fixture
def session(store):
    made = store.sessions.create("s")
    for number in range(3):
        made.artifacts.put(f"f{number}", noise(number))
    for number in range(600):
        made.state.set("n", number)
    made.suspend()
    return made


def at(place, does):
    """A progress that does something once it comes to a place."""

    def progress(*told):
        if told == place:
            does()

    return progress


@pytest.mark.parametrize("place", [("contents", 1), ("contents", 3), ("entries", 256), ("entries", 605)])
def test_a_session_that_is_shredded_meanwhile_is_not_exported(face, store, session, tmp_path, place):
    """Not what is left of it either: a bundle without entries, that nobody could take in, was told as a success."""
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:
        with pytest.raises(NotFound) as gone:
            store.sessions.export(
                session.id, tmp_path / "b", progress=at(place, lambda: elsewhere.sessions.shred(session.id))
            )
        assert gone.value.code == "erased"
        assert list(tmp_path.glob("*b*.part")) == []
        assert not (tmp_path / "b").exists()


def test_a_fork_whose_origin_is_shredded_meanwhile_is_not_exported(face, store, session, tmp_path):
    fork = store.sessions.fork(session.id)
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:
        shred = at(("contents", 3), lambda: elsewhere.sessions.shred(session.id, detach=True))
        with pytest.raises(NotFound) as gone:
            store.sessions.export(fork.id, tmp_path / "b", progress=shred)
    assert gone.value.code == "erased"
    assert store.sessions.export(fork.id, tmp_path / "b").entries


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_deleted_for_good_and_collected_meanwhile_is_no_damage(face, store, session, tmp_path, whole):
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:

        def destroy():
            if whole:
                elsewhere.sessions.delete(session.id, hard=True)
            else:
                elsewhere.sessions.open(session.id).artifacts.delete_matching(name="f*", hard=True)
            elsewhere.collect()

        with pytest.raises(Conflict) as changed:
            store.sessions.export(session.id, tmp_path / "b", progress=at(("contents", 1), destroy))
    assert changed.value.code == "session-changed"
    assert not (tmp_path / "b").exists()
    assert store.verify().ok


def test_content_that_goes_between_two_pages_of_contents_is_missed(face, store, session, tmp_path, monkeypatch):
    """A page of digests was read after the version was deleted, which then looked as if nobody needed it."""
    monkeypatch.setattr("llmspell.portable.exporting._DIGESTS", 1)
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:

        def destroy():
            elsewhere.sessions.open(session.id).artifacts.delete_matching(name="f*", hard=True)
            elsewhere.collect()

        with pytest.raises(Conflict) as changed:
            store.sessions.export(session.id, tmp_path / "b", progress=at(("contents", 1), destroy))
    assert changed.value.code == "session-changed"


def test_a_soft_delete_meanwhile_changes_nothing(face, store, other, session, tmp_path):
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:
        delete = at(("contents", 1), lambda: elsewhere.sessions.delete(session.id))
        store.sessions.export(session.id, tmp_path / "b", progress=delete)
    other.sessions.import_(tmp_path / "b")
    assert other.sessions.open(session.id).artifacts.get("f2").read() == noise(2)


def test_a_cleanup_calls_what_somebody_destroyed_changed(face, store, session, tmp_path, monkeypatch):
    session.complete()
    policy = llmspell.RetentionPolicy(max_count=0, archive_to=tmp_path / "archives")
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:
        real = llmspell.portable.exporting._Bundle.write

        def write(bundle, *args):
            elsewhere.sessions.shred(session.id)
            return real(bundle, *args)

        monkeypatch.setattr("llmspell.portable.exporting._Bundle.write", write)
        report = store.sessions.cleanup(policy)
    assert (report.changed, report.failed) == ([session.id], [])
