"""What becomes of forks when they, their origins or what they inherit go; and what is asked, told and bounded."""

import pytest

from llmspell.errors import Conflict, InvalidInput, LimitExceeded, NotFound, Vetoed
from llmspell.hooks.results import Cancel, Modified
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Rename
from llmspell.model.scope import Scope
from llmspell.schemas.schema import Schema
from tests.rooms.conftest import sql
from tests.sessions.forked import LARGE, change_all, filled, looks


@pytest.mark.parametrize("status", ["suspended", "completed", "failed", "archived"])
def test_a_session_of_any_status_can_be_forked_and_its_fork_is_active(store, status):
    origin, _ = filled(store)
    if status == "suspended":
        origin.suspend()
    elif status == "failed":
        origin.fail("why")
    else:
        origin.complete()
    if status == "archived":
        origin.archive()
    fork = store.sessions.fork(origin.id)
    assert (str(fork.info.status), fork.info.reason, fork.info.ended_at) == ("active", None, None)
    change_all(fork)
    fork.complete()
    assert str(origin.refresh().status) == status


def test_deleting_the_origin_leaves_its_forks_what_they_need(face, store):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    of_fork = store.sessions.fork(fork.id)
    then = looks(store, fork)
    store.sessions.delete(origin.id)
    store.collect()
    assert looks(store, fork) == then
    store.sessions.delete(fork.id)
    store.collect()
    store = face.reopen()
    assert looks(store, store.sessions.open(of_fork.id)) == then
    assert store.verify().ok
    again = store.sessions.fork(of_fork.id)
    assert looks(store, again) == then
    with pytest.raises(NotFound):
        store.sessions.fork(origin.id)


def test_a_deleted_fork_inherits_nothing_any_more(store):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    fork.state.set("own", 1)
    then = looks(store, origin)
    last = store.stats()["last_seq"]
    scope = Scope.session(fork.id)
    store.sessions.delete(fork.id)
    assert store.state_of(scope).items() == []
    assert store.state_of(scope).get("first", "nothing") == "nothing"
    assert store.at(last).state_of(scope).get("first") == 1
    assert store.at(store.stats()["last_seq"]).state_of(scope).items() == []
    assert looks(store, origin) == then
    assert store.verify().ok


def test_between_two_lives_a_fork_inherits_nothing_whatever_ended_the_second_one(store, tmp_path):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    scope = Scope.session(fork.id)
    store.sessions.export(fork.id, tmp_path / "bundle")
    store.sessions.delete(fork.id)
    between = store.stats()["last_seq"]
    assert store.sessions.import_(tmp_path / "bundle").id == fork.id
    store.sessions.delete(fork.id)
    assert store.at(between).state_of(scope).items() == []


def test_what_a_fork_shows_is_not_deleted_for_good_and_not_collected(face, store):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    origin.artifacts.delete("r.md")
    origin.artifacts.delete("other")
    store.collect()
    assert fork.artifacts.get("r.md").read() == LARGE
    for name, version in (("r.md", 2), ("other", 1)):
        with pytest.raises(Conflict) as error:
            origin.artifacts.delete(name, version=version, hard=True)
        assert error.value.code == "artifact-needed"
        assert error.value.details["sessions"] == [fork.id]
    with pytest.raises(Conflict) as error:
        fork.artifacts.delete("r.md", hard=True)
    assert error.value.code == "artifact-inherited"
    fork.artifacts.delete("r.md", version=2)
    assert origin.artifacts.delete("r.md", version=2, hard=True) == 1
    store.collect()
    assert [one.version for one in fork.artifacts.versions("r.md")] == [1]
    with pytest.raises(NotFound) as error:
        fork.artifacts.undelete("r.md", version=2)
    assert error.value.code == "artifact-erased"
    store.sessions.delete(fork.id)
    assert origin.artifacts.delete("other", version=1, hard=True) == 1
    store = face.reopen()
    assert store.verify().ok


def needed_by(artifacts, name, version=1):
    """The forks for which a version is not deleted for good."""
    with pytest.raises(Conflict) as error:
        artifacts.delete(name, version=version, hard=True)
    assert error.value.code == "artifact-needed"
    return error.value.details["sessions"]


def test_what_a_fork_shows_is_needed_whatever_it_did_to_other_names_and_versions(store):
    origin = store.sessions.create("origin")
    for name in ("f", "f", "f", "dropped"):
        origin.artifacts.put(name, b"content")
    fork = store.sessions.fork(origin.id)
    fork.artifacts.put("own", b"own")
    assert needed_by(origin.artifacts, "f") == [fork.id]
    fork.artifacts.delete("dropped")
    assert needed_by(origin.artifacts, "f") == [fork.id]
    fork.artifacts.update("f", version=2, tags=["own"])
    assert needed_by(origin.artifacts, "f") == [fork.id]
    fork.artifacts.delete("f", version=3)
    assert needed_by(origin.artifacts, "f") == [fork.id]


@pytest.mark.parametrize("change", [
    lambda artifacts: artifacts.update("f", tags=["own"]), lambda artifacts: artifacts.delete("f"),
])  # fmt: skip
def test_what_a_fork_between_changed_is_needed_by_those_that_left_before(store, change):
    origin = store.sessions.create("origin")
    origin.artifacts.put("f", b"content")
    between = store.sessions.fork(origin.id)
    before = store.sessions.fork(between.id)
    change(between.artifacts)
    store.sessions.fork(between.id, name="after")
    assert needed_by(origin.artifacts, "f") == [before.id]
    store.sessions.delete(before.id)
    assert origin.artifacts.delete("f", hard=True) == 1


def test_what_was_deleted_in_a_fork_comes_back_there_with_what_it_was(store):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    assert fork.artifacts.delete("r.md") == 2
    assert fork.artifacts.labels("r.md") == {}
    assert origin.artifacts.labels("r.md") == {"v1": 1}
    with pytest.raises(NotFound):
        fork.artifacts.get("r.md")
    with pytest.raises(NotFound):
        fork.artifacts.delete("r.md")
    assert fork.artifacts.put("r.md", b"three").version == 3
    assert fork.artifacts.undelete("r.md") == 2
    assert [one.version for one in fork.artifacts.versions("r.md")] == [1, 2, 3]
    assert fork.artifacts.get("r.md", version=1).read() == b"one"
    with pytest.raises(Conflict):
        fork.artifacts.undelete("r.md", version=1)
    fork.artifacts.update("r.md", version=1, description="mine")
    fork.artifacts.delete("r.md", version=1)
    fork.artifacts.undelete("r.md", version=1)
    assert fork.artifacts.info("r.md", version=1).description == "mine"
    assert origin.artifacts.info("r.md", version=1).description == "first"
    assert store.verify().ok


def test_shredding_an_origin_waits_for_its_forks_or_leaves_nothing_of_it_in_them(face, store):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    of_fork = store.sessions.fork(fork.id)
    fork.state.set("own", "stays")
    origin.complete()
    with pytest.raises(Conflict) as error:
        store.sessions.shred(origin.id)
    assert error.value.code == "session-needed"
    assert set(error.value.details["sessions"]) == {fork.id, of_fork.id}
    fork.suspend()
    with pytest.raises(Conflict):
        store.sessions.shred(fork.id)
    assert fork.state.get("sealed") == {"p": "hidden word"}
    store.sessions.shred(origin.id, detach=True)
    for one in face.both(store):
        for name, own in ((fork.id, [("own", "stays")]), (of_fork.id, [])):
            session = one.sessions.open(name)
            assert session.state.items() == own
            assert session.state.get("first", "nothing") == "nothing"
            assert session.artifacts.list(all_versions=True).items == []
            assert session.checkpoints() == []
            assert session.state.history("first") == []
        shown = repr([(entry.kind, entry.data) for entry in one.timeline(session=of_fork.id, limit=500)])
        assert "was here" not in shown
        assert "xxxx" not in shown
        assert one.verify().ok
        assert one.sessions.open(fork.id).state.set(f"new {one is store}", 3) == 1
        one.sessions.open(fork.id).state.delete(f"new {one is store}")


def test_hooks_of_a_fork_are_asked_and_told(store):
    origin = store.sessions.create("origin", tags=["a"])
    told = []

    def before(context):
        told.append((context.point, context.data["info"]["forked_from"]))
        return Modified({**context.data, "tags": ["by hook"]})

    store.hooks.register("before_session_fork", before, name="before")
    store.hooks.register(
        "after_session_fork", lambda context: told.append((context.point, context.data["id"])), name="after"
    )
    fork = store.sessions.fork(origin.id)
    assert told == [("before_session_fork", origin.id), ("after_session_fork", fork.id)]
    assert fork.info.tags == store.sessions.get(fork.id).tags == ["by hook"]
    last = store.stats()["last_seq"]
    store.hooks.register("before_session_fork", lambda context: Cancel("no"), name="cancel", priority=-100)
    with pytest.raises(Vetoed):
        store.sessions.fork(origin.id)
    assert store.sessions.list().items[0].id == fork.id
    assert [one.kind for one in store.timeline(limit=500) if one.seq > last and one.kind == "session.forked"] == []


def test_a_fork_is_an_event_and_one_entry(store):
    origin, last = filled(store)
    with store.events.subscribe("session.*") as events:
        fork = store.sessions.fork(origin.id)
        event = next(events)
    assert (event.type, event.data["id"], event.data["of"]) == ("session.forked", fork.id, origin.id)
    assert event.data["lineage"] == [[origin.id, last]]
    assert store.stats()["last_seq"] == last + 1


def test_a_fork_takes_its_own_quota_and_limits(store):
    origin = store.sessions.create("origin")
    origin.artifacts.put("a", b"x" * 100)
    origin.artifacts.set_quota(total_bytes_max=150)
    fork = store.sessions.fork(origin.id)
    fork.artifacts.put("b", b"x" * 100)
    fork.artifacts.set_quota(total_bytes_max=250)
    fork.artifacts.update("a", description="mine")
    assert fork.artifacts.quota().used_bytes == 200
    with pytest.raises(LimitExceeded):
        fork.artifacts.put("c", b"x" * 100)
    with pytest.raises(LimitExceeded):
        origin.artifacts.put("c", b"x" * 100)
    assert origin.artifacts.quota().used_bytes == 100
    assert store.verify().ok


def test_what_binds_the_keys_of_an_origin_binds_those_of_its_fork(store):
    origin = store.sessions.create("origin")
    store.schemas.register(Schema("number", "1.0.0", {"n": "integer"}))
    origin.state.set("n/a", {"n": 1})
    store.schemas.bind("number", scope=Scope.session(origin.id), prefix="n/")
    fork = store.sessions.fork(origin.id)
    with pytest.raises(InvalidInput):
        fork.state.set("n/a", "text")
    store.schemas.unbind(scope=Scope.session(fork.id), prefix="n/")
    fork.state.set("n/a", "text")
    with pytest.raises(InvalidInput):
        origin.state.set("n/a", "text")


def test_sealed_values_of_a_fork_stay_sealed(face, store):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    assert fork.state.get("sealed") == {"p": "hidden word"}
    shown = [entry.data for entry in fork.timeline(limit=500)]
    assert "hidden word" not in repr(shown)
    origin.state.delete("sealed")
    store = face.reopen()
    fork = store.sessions.open(fork.id)
    assert fork.state.get("sealed") == {"p": "hidden word"}
    assert fork.state.entry("sealed").state_class == "sensitive"
    fork.state.set("sealed", "mine", state_class="sensitive")
    half = fork.checkpoints()[0]
    fork.restore(half.seq)
    assert fork.state.get("sealed") == {"p": "hidden word"}
    files = [path.read_bytes() for path in face.folder.rglob("*") if path.is_file()]
    assert not any(b"hidden word" in one for one in files)


def test_a_level_that_was_lost_is_found_by_the_check(face, store):
    origin, _ = filled(store)
    store.sessions.fork(origin.id)
    assert store.verify().ok
    sql(face, store)("UPDATE fork_level SET bound = bound - 1")
    report = store.verify()
    assert not report.ok
    assert any("fork_level" in finding.what for finding in report.findings), report.findings


def test_values_that_a_fork_inherits_are_not_said_to_be_migrated(store):
    origin = store.sessions.create("origin", state={"n": {"n": 1}})
    for version, name in (("1.0.0", "n"), ("2.0.0", "m")):
        store.schemas.register(Schema("number", version, {name: "integer"}))
    store.migrations.register(Migration("number", "1.0.0", "2.0.0", [Rename("n", "m")]))
    every = store.migrations.plan("number", "2.0.0", from_version="1.0.0", prefix="n")
    fork = store.sessions.fork(origin.id)
    with pytest.raises(Conflict) as error:
        store.migrations.plan("number", "2.0.0", from_version="1.0.0", scope=Scope.session(fork.id))
    assert error.value.code == "session-is-fork"
    with pytest.raises(Conflict):
        store.migrations.lazily(every, scope=Scope.session(fork.id))
    store.migrations.apply(store.migrations.plan("number", "2.0.0", from_version="1.0.0", prefix="n"))
    assert (origin.state.get("n"), fork.state.get("n")) == ({"m": 1}, {"n": 1})
