"""Sessions that are deleted for good: a collect frees what they held, in bounded units, whatever is killed between."""

import os
from functools import partial

import pytest

import llmspell
from llmspell import RetentionPolicy
from llmspell.artifacts import units
from llmspell.errors import Conflict, InvalidInput, NotFound, Vetoed
from llmspell.hooks.results import Cancel
from llmspell.sessions import erasing
from tests.sessions.conftest import read

SIZE = 200_000


def ended(store, name, *, versions=1, size=SIZE):
    session = store.sessions.create(name)
    for _ in range(versions):
        session.artifacts.put("a", os.urandom(size))
    session.complete()
    return session


def test_a_cleanup_for_good_lets_collect_free_the_bytes_and_a_soft_one_does_not(store):
    soft = ended(store, "soft")
    store.sessions.cleanup(RetentionPolicy(max_count=0))
    kept = store.collect()
    assert (kept.chunk_bytes, kept.kept["in-history"] >= SIZE) == (0, True)
    for number in range(4):
        ended(store, f"s{number}")
    report = store.sessions.cleanup(RetentionPolicy(max_bytes=SIZE, hard=True))
    assert (len(report.deleted), report.artifact_bytes) == (3, 3 * SIZE)
    assert store.collect().chunk_bytes >= 3 * SIZE
    (last,) = [entry for entry in store.timeline(kinds=["session.deleted"]) if entry.data["id"] == soft.id]
    assert "hard" not in last.data
    assert store.verify().ok


def test_a_session_deleted_before_is_deleted_for_good_by_its_id_once(face, store):
    gone = ended(store, "gone", versions=3)
    gone.artifacts.delete("a", version=1)
    store.sessions.delete(gone.id)
    assert store.collect().chunk_bytes == 0
    store.sessions.delete(gone.id, hard=True)
    assert store.collect().chunk_bytes >= 3 * SIZE
    with pytest.raises(NotFound) as excinfo:
        store.sessions.delete(gone.id, hard=True)
    assert excinfo.value.code == "session-not-found"
    with pytest.raises(NotFound):
        store.sessions.delete(gone.id)
    with pytest.raises(InvalidInput):
        store.sessions.delete(gone.id, hard=1)


def test_a_hook_may_refuse_also_what_a_deleted_session_left(store):
    gone = ended(store, "gone")
    store.sessions.delete(gone.id)
    seen = []

    def refuse(context):
        seen.append((context.data["id"], context.data["reason"]))
        return Cancel("no")

    store.hooks.register("before_session_delete", refuse)
    with pytest.raises(Vetoed):
        store.sessions.delete(gone.id, hard=True)
    assert seen == [(gone.id, "hard")]
    assert store.collect().chunk_bytes == 0


def test_what_forks_show_stays_for_them_and_goes_with_the_next_cleanup_after_they_did(store):
    base = ended(store, "base", versions=2)
    fork = store.sessions.fork(base)
    late = base.artifacts.put("later", os.urandom(SIZE))
    store.sessions.delete(base.id, hard=True)
    assert store.collect().chunk_bytes >= SIZE
    assert len(fork.artifacts.get("a", version=1).read()) == SIZE
    with pytest.raises(NotFound):
        store.artifacts.undelete(late.id)
    with pytest.raises(Conflict) as excinfo:
        store.sessions.delete(base.id, hard=True)
    assert excinfo.value.code == "session-needed"
    store.sessions.delete(fork.id, hard=True)
    store.sessions.cleanup(RetentionPolicy(max_count=100))
    assert store.collect().chunk_bytes >= 2 * SIZE
    assert read(store, erasing.marked) == []


def test_many_versions_go_in_steps_and_the_next_cleanup_ends_what_was_killed(store, monkeypatch):
    monkeypatch.setattr(units, "UNIT_VERSIONS", 3)
    ended(store, "many", versions=11, size=100)
    real = erasing.step
    steps = []

    async def killed(writer, session, after, erase):
        if len(steps) == 2:
            raise KeyboardInterrupt
        steps.append(await real(writer, session, after, erase))
        return steps[-1]

    monkeypatch.setattr(erasing, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        store.sessions.cleanup(RetentionPolicy(max_count=0, hard=True))
    monkeypatch.setattr(erasing, "step", real)
    assert store.sessions.list().items == []
    assert len(list(store.timeline(kinds=["artifact.erased"]))) == 9
    assert store.verify().ok
    store.sessions.cleanup(RetentionPolicy(max_count=100))
    assert len(list(store.timeline(kinds=["artifact.erased"], limit=100))) == 11
    assert read(store, erasing.marked) == []


def test_an_import_of_the_same_session_keeps_what_it_brings_from_the_rest_of_a_deletion(store, tmp_path, monkeypatch):
    monkeypatch.setattr(units, "UNIT_VERSIONS", 2)
    session = ended(store, "again", versions=5, size=100)
    store.sessions.export(session.id, tmp_path / "b")
    real = erasing.to_the_end

    async def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(erasing, "to_the_end", killed)
    with pytest.raises(KeyboardInterrupt):
        store.sessions.delete(session.id, hard=True)
    monkeypatch.setattr(erasing, "to_the_end", real)
    store.sessions.import_(tmp_path / "b")
    store.sessions.cleanup(RetentionPolicy(max_count=100))
    again = store.sessions.open(session.id)
    assert [len(again.artifacts.get("a", version=number).read()) for number in range(1, 6)] == [100] * 5
    store.collect()
    assert store.verify().ok


def test_a_number_that_an_import_brought_back_is_deleted_and_undeleted_like_any(face, store, tmp_path):
    session = ended(store, "again")
    store.sessions.export(session.id, tmp_path / "b")
    for _ in range(2):
        store.sessions.delete(session.id, hard=True)
        store.sessions.import_(tmp_path / "b")
    again = store.sessions.open(session.id)
    assert again.artifacts.delete("a", version=1) == 1
    assert again.artifacts.undelete("a", version=1) == 1
    assert len(again.artifacts.get("a", version=1).read()) == SIZE
    assert again.artifacts.delete("a", version=1, hard=True) == 1
    assert store.collect().chunk_bytes >= SIZE
    for act in (again.artifacts.undelete, partial(again.artifacts.delete, hard=True)):
        with pytest.raises(NotFound) as excinfo:
            act("a", version=1)
        assert excinfo.value.code == "artifact-erased"


def test_what_comes_back_after_a_deletion_for_good_keeps_its_numbers_however_often_it_does(face, store, tmp_path):
    session = ended(store, "again", versions=2, size=100)
    session.artifacts.tag_version("a", 1, "best")
    store.sessions.export(session.id, tmp_path / "b")
    store.sessions.delete(session.id, hard=True)
    again = session
    for _ in range(3):
        store.sessions.import_(tmp_path / "b", on_conflict="replace")
        again = store.sessions.open(session.id)
        assert [info.version for info in again.artifacts.versions("a")] in ([1, 2], [2, 1])
        assert len(again.artifacts.get("a", version="best").read()) == 100
    assert again.artifacts.delete("a", version=1) == 1
    assert again.artifacts.undelete("a", version=1) == 1
    fork = store.sessions.fork(again)
    store.sessions.delete(session.id, hard=True)
    store.sessions.import_(tmp_path / "b")
    store.collect()
    assert len(fork.artifacts.get("a", version=1).read()) == 100
    assert len(store.sessions.open(session.id).artifacts.get("a", version=1).read()) == 100
    assert store.verify().ok


def test_a_stored_policy_for_good_is_shown_and_applied_in_the_background(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        ended(store, "s", versions=2)
        with store.events.subscribe("session.cleaned") as told:
            store.sessions.set_retention(RetentionPolicy(max_count=0, hard=True), every_s=1)
            assert store.sessions.retention().hard is True
            assert told.receive(timeout_s=30).type == "session.cleaned"
        assert store.collect().chunk_bytes >= 2 * SIZE


def test_the_background_goes_on_in_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(units, "UNIT_VERSIONS", 2)
    with llmspell.open(tmp_path / "s", durability="process") as store:
        ended(store, "s", versions=7, size=100)
        with store.events.subscribe("session.cleaned") as told:
            store.sessions.set_retention(RetentionPolicy(max_count=0, hard=True), every_s=1)
            assert told.receive(timeout_s=30).type == "session.cleaned"
        assert len(list(store.timeline(kinds=["artifact.erased"], limit=100))) == 7
