"""What is deleted, in a fork or in the session it left, is gone for the one that deleted it and for nobody else."""

import pytest

from llmspell.errors import AlreadyExists, Conflict, NotFound


@pytest.fixture
def origin(store):
    made = store.sessions.create("origin")
    made.artifacts.put("a", b"first")
    return made


def test_a_fork_does_not_bring_back_for_its_origin_what_was_deleted_before_the_fork(store, origin):
    before = origin.artifacts.info("a").id
    origin.artifacts.delete("a")
    fork = store.sessions.fork(origin.id)
    with pytest.raises(NotFound) as error:
        fork.artifacts.undelete(before)
    assert error.value.code == "artifact-not-found"
    assert origin.artifacts.list().items == fork.artifacts.list().items == []
    assert origin.artifacts.undelete(before) == 1


def test_a_fork_that_is_archived_takes_back_nothing(store, origin):
    fork = store.sessions.fork(origin.id)
    fork.artifacts.delete("a")
    fork.complete()
    fork.archive()
    with pytest.raises(Conflict) as error:
        fork.artifacts.undelete("a")
    assert error.value.code == "session-archived"
    fork.unarchive()
    assert fork.artifacts.undelete("a") == 1


def test_labels_that_a_fork_gave_go_with_it_and_do_not_come_with_an_older_bundle(store, origin, tmp_path):
    fork = store.sessions.fork(origin.id)
    store.sessions.export(fork.id, tmp_path / "bundle")
    fork.artifacts.tag_version("a", 1, "best")
    of_fork = store.sessions.fork(fork.id)
    store.sessions.delete(fork.id)
    assert of_fork.artifacts.labels("a") == {"best": 1}
    store.sessions.import_(tmp_path / "bundle")
    assert store.sessions.open(fork.id).artifacts.labels("a") == {}
    assert store.verify().ok


@pytest.mark.parametrize("gone", ["in a fork between", "in a fork that has its own"])
def test_what_no_fork_shows_can_be_deleted_for_good(store, origin, gone):
    fork = store.sessions.fork(origin.id)
    if gone == "in a fork between":
        fork.artifacts.delete("a")
        shown = None
    else:
        fork.artifacts.update("a", tags=["mine"])
        shown = b"first"
    of_fork = store.sessions.fork(fork.id)
    assert origin.artifacts.delete("a", hard=True) == 1
    store.collect()
    for session in (fork, of_fork):
        found = [session.artifacts.get(one.id).read() for one in session.artifacts.list()]
        assert found == ([] if shown is None else [shown])
    assert store.verify().ok


def test_what_only_a_fork_of_a_fork_shows_is_needed(store, origin):
    fork = store.sessions.fork(origin.id)
    of_fork = store.sessions.fork(fork.id)
    fork.artifacts.delete("a")
    with pytest.raises(Conflict) as error:
        origin.artifacts.delete("a", hard=True)
    assert error.value.details["sessions"] == [of_fork.id]


@pytest.mark.parametrize("when", ["in the fork", "before the fork"])
def test_what_a_fork_let_go_and_its_origin_deleted_for_good_stays_so_in_a_bundle_of_the_fork(
    store, origin, tmp_path, when
):
    before = origin.artifacts.put("large", b"large" * 20_000).id
    if when == "before the fork":
        origin.artifacts.delete("large")
    fork = store.sessions.fork(origin.id)
    if when == "in the fork":
        fork.artifacts.delete("large")
        origin.artifacts.rename("large", "larger")
    origin.artifacts.delete(before, hard=True)
    store.collect()
    store.sessions.export(fork.id, tmp_path / "bundle")
    arrived = store.sessions.open(store.sessions.import_(tmp_path / "bundle", on_conflict="rename").id)
    assert arrived.artifacts.deleted() == []
    with pytest.raises(NotFound):
        arrived.artifacts.undelete("large")
    assert [one.name for one in arrived.artifacts.list()] == ["a"]
    assert store.verify().ok


def test_a_name_that_a_fork_only_inherits_is_not_told_to_be_missing_when_the_other_is_taken(store, origin):
    origin.artifacts.put("b", b"second")
    fork = store.sessions.fork(origin.id)
    for taken in ("a", "b"):
        with pytest.raises(AlreadyExists):
            fork.artifacts.rename("a", taken)
    with pytest.raises(NotFound):
        fork.artifacts.rename("nothing", "b")
