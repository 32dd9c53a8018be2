"""What is deleted, in a fork or in the session it left, is gone for the one that deleted it and for nobody else."""

import asyncio

import pytest

import llmspell
from llmspell.errors import AccessDenied, AlreadyExists, Conflict, NotFound


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


def arrived(store, fork, path):
    """What a bundle of a fork that is taken in under new ids comes to."""
    store.collect()
    store.sessions.export(fork.id, path)
    return store.sessions.open(store.sessions.import_(path, on_conflict="rename").id)


@pytest.mark.parametrize("deleted", ["before", "with it"])
def test_a_bundle_of_a_fork_of_before_does_not_have_what_its_origin_then_deleted_for_good(
    store, origin, tmp_path, deleted
):
    gone = origin.artifacts.put("large", b"large" * 20_000).id
    origin.artifacts.tag_version("large", 1, "best")
    moment = store.stats()["last_seq"]
    if deleted == "before":
        origin.artifacts.delete("large")
        origin.artifacts.put("b", b"second")
    origin.artifacts.delete(gone, hard=True)
    fork = store.sessions.fork(origin.id, moment)
    fork.artifacts.put("large", b"its own")
    there = arrived(store, fork, tmp_path / "bundle")
    for session in (fork, there):
        shown = [(one.name, one.version) for one in session.artifacts.list(all_versions=True)]
        assert shown == [("a", 1), ("large", 2)]
        assert session.artifacts.labels("large") == {}
        with pytest.raises(NotFound):
            session.artifacts.undelete("large")
    assert there.artifacts.deleted() == []
    assert store.verify().ok


@pytest.mark.parametrize("moment", ["now", "when it was there again"])
def test_a_bundle_of_a_fork_of_a_fork_does_not_have_what_was_deleted_for_good_in_between(
    store, origin, tmp_path, moment
):
    gone = origin.artifacts.put("large", b"large" * 20_000).id
    between = store.sessions.fork(origin.id)
    between.artifacts.delete("large")
    origin.artifacts.delete("large")
    between.artifacts.undelete("large")
    then = store.stats()["last_seq"]
    between.artifacts.delete("large")
    origin.artifacts.delete(gone, hard=True)
    fork = store.sessions.fork(between.id, then if moment != "now" else None)
    there = arrived(store, fork, tmp_path / "bundle")
    assert [one.name for one in fork.artifacts.list()] == [one.name for one in there.artifacts.list()] == ["a"]
    assert there.artifacts.deleted() == []
    assert store.verify().ok


def test_what_another_life_of_the_origin_had_is_not_in_a_bundle_of_its_fork(store, origin, tmp_path):
    store.sessions.export(origin.id, tmp_path / "before")
    gone = origin.artifacts.put("b", b"second").id
    origin.artifacts.put("c", b"third")
    store.sessions.delete(origin.id)
    store.sessions.import_(tmp_path / "before")
    fork = store.sessions.fork(origin.id)
    store.artifacts.delete(gone, hard=True)
    there = arrived(store, fork, tmp_path / "bundle")
    assert [one.name for one in there.artifacts.list()] == ["a"]
    assert store.verify().ok


def test_a_fork_keeps_the_checkpoints_of_an_origin_that_was_deleted_and_imported_again(store, origin, tmp_path):
    store.sessions.export(origin.id, tmp_path / "before")
    origin.state.set("k", 1)
    origin.checkpoint("first life")
    fork = store.sessions.fork(origin.id)
    fork.state.set("k", 2)
    store.sessions.delete(origin.id)
    store.sessions.import_(tmp_path / "before")
    again = store.sessions.open(origin.id)
    assert again.checkpoints() == []
    again.state.set("k", 3)
    again.checkpoint("first life")
    later = store.sessions.fork(origin.id)
    for session, value in ((fork, 1), (later, 3)):
        assert [one.label for one in session.checkpoints()] == ["first life"]
        session.state.set("k", 4)
        session.restore("first life")
        assert session.state.get("k") == value
    there = arrived(store, fork, tmp_path / "bundle")
    assert [one.label for one in there.checkpoints()] == ["first life"]
    assert store.verify().ok


def test_what_a_fork_let_go_and_its_origin_deleted_for_good_is_not_told_as_deleted(store, origin):
    fork = store.sessions.fork(origin.id)
    fork.artifacts.delete("a")
    origin.artifacts.delete("a", hard=True)
    assert fork.artifacts.deleted() == []
    with pytest.raises(NotFound):
        fork.artifacts.undelete("a")


def test_a_fork_that_was_deleted_and_imported_again_is_to_its_origin_as_any_session(store, origin, tmp_path):
    theirs = origin.artifacts.put("b", b"second").id
    fork = store.sessions.fork(origin.id)
    store.sessions.export(fork.id, tmp_path / "bundle")
    fork.artifacts.delete("a")
    fork.artifacts.tag_version("b", 1, "best")
    store.sessions.delete(fork.id)
    again = store.sessions.open(store.sessions.import_(tmp_path / "bundle").id)
    assert again.id == fork.id
    assert [one.name for one in again.artifacts.list()] == ["a", "b"]
    assert again.artifacts.deleted() == []
    calls = (
        lambda: again.artifacts.get(theirs),
        lambda: again.artifacts.update(theirs, tags=["by another"]),
        lambda: again.artifacts.delete(theirs),
        lambda: again.artifacts.put("c", b"third", derived_from=[theirs]),
    )
    for call in calls:
        with pytest.raises(AccessDenied):
            call()
    origin.artifacts.grant("b", again.id, "admin")
    assert again.artifacts.get(theirs).read() == b"second"
    assert again.artifacts.update(theirs, tags=["granted"]).session == origin.id
    assert again.artifacts.delete(theirs) == 1
    assert [one.name for one in origin.artifacts.list()] == ["a"]
    assert store.verify().ok


def test_a_fork_of_a_fork_that_came_back_from_a_bundle_goes_back_to_that_alone(store, origin, tmp_path):
    fork = store.sessions.fork(origin.id)
    was_fork = store.stats()["last_seq"]
    store.sessions.export(fork.id, tmp_path / "first")
    store.sessions.import_(tmp_path / "first", on_conflict="replace")
    store.sessions.open(fork.id).artifacts.rename("a", "b")
    of_fork = store.sessions.fork(fork.id)
    assert [one.name for one in of_fork.artifacts.list()] == ["b"]
    there = arrived(store, of_fork, tmp_path / "bundle")
    assert [one.name for one in there.artifacts.list()] == ["b"]
    of_then = store.sessions.fork(fork.id, was_fork)
    assert [one.name for one in of_then.artifacts.list()] == ["a"]
    assert store.verify().ok


CHANGES = {
    "update": lambda artifacts, theirs, other: artifacts.update(theirs, tags=["by the fork"]),
    "tag": lambda artifacts, theirs, other: artifacts.tag_version("a", 1, "by the fork"),
    "relate": lambda artifacts, theirs, other: artifacts.relate(theirs, "child_of", other),
    "be related": lambda artifacts, theirs, other: artifacts.relate(other, "child_of", theirs),
    "be derived from": lambda artifacts, theirs, other: artifacts.put("d", b"fourth", derived_from=[theirs]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_fork_drops_while_it_is_to_be_changed_is_changed_nowhere(tmp_path, change):
    async def both():
        async with await llmspell.open_async(tmp_path / "s") as store:
            origin = await store.sessions.create("origin")
            theirs = (await origin.artifacts.put("a", b"first")).id
            fork = await store.sessions.fork(origin.id)
            other = (await fork.artifacts.put("c", b"third")).id
            before = await origin.artifacts.info("a"), await origin.artifacts.labels("a")
            calls = fork.artifacts.delete("a"), CHANGES[change](fork.artifacts, theirs, other)
            dropped, changed = await asyncio.gather(*calls, return_exceptions=True)
            assert dropped == 1
            assert isinstance(changed, NotFound)
            assert changed.code == "artifact-not-found"
            assert before == (await origin.artifacts.info("a"), await origin.artifacts.labels("a"))
            assert await store.artifacts.relations(theirs) == await store.artifacts.relations(other) == []
            assert [one.name for one in await fork.artifacts.list()] == ["c"]

    asyncio.run(both())
