"""Sessions go by age, count, size, rule and their own wish; never while active; archived before; audited."""

import pytest

import llmspell
from llmspell import RetentionPolicy, SessionConfig, SessionRetention
from llmspell.errors import InvalidInput, NotFound
from llmspell.hooks.results import Cancel

DAY = 86400


def ended(store, name, *, size=0, **fields):
    session = store.sessions.create(name, **fields)
    session.state.set("k", name)
    if size:
        session.artifacts.put("a", bytes(size))
    session.complete()
    return session


def names(store):
    return sorted(info.name for info in store.sessions.list(limit=500))


def went(report):
    return {one["name"]: one["why"] for one in report.deleted}


def test_age_count_size_and_rule_let_sessions_go_and_say_why(store, clock):
    for number in range(6):
        ended(store, f"s{number}", size=10)
        clock.advance(DAY)
    assert went(store.sessions.cleanup(RetentionPolicy(max_age_s=4.5 * DAY), dry_run=True)) == {
        "s0": "age", "s1": "age",
    }  # fmt: skip
    assert went(store.sessions.cleanup(RetentionPolicy(max_count=4), dry_run=True)) == {"s0": "count", "s1": "count"}
    assert went(store.sessions.cleanup(RetentionPolicy(max_bytes=45), dry_run=True)) == {"s0": "size", "s1": "size"}
    rule = RetentionPolicy(rule=lambda info: info.name == "s3")
    assert went(store.sessions.cleanup(rule, dry_run=True)) == {"s3": "rule"}
    assert len(names(store)) == 6
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=4.5 * DAY, max_count=3))
    assert went(report) == {"s0": "age", "s1": "age", "s2": "count"}
    assert report.artifact_bytes == 30
    assert names(store) == ["s3", "s4", "s5"]
    deleted = list(store.timeline(kinds=["session.deleted"]))
    assert {entry.data["why"] for entry in deleted} == {"age", "count"}
    (said,) = store.timeline(kinds=["session.cleaned"])
    assert (said.data["deleted"], said.data["policy"]["max_count"]) == (3, 3)
    assert store.verify().ok


def test_a_dry_run_changes_nothing(store, clock):
    ended(store, "s")
    clock.advance(DAY)
    before = store.stats()
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=1), dry_run=True)
    assert (report.dry_run, len(report.deleted)) == (True, 1)
    assert store.stats() == before


def test_active_and_suspended_sessions_are_never_touched(store, clock):
    store.sessions.create("active")
    store.sessions.create("suspended").suspend()
    ended(store, "done")
    clock.advance(DAY)
    everything = RetentionPolicy(max_age_s=0, max_count=0, max_bytes=0, rule=lambda info: True)
    store.sessions.cleanup(everything)
    assert names(store) == ["active", "suspended"]
    store.sessions.cleanup(RetentionPolicy(max_age_s=0, statuses=["suspended"]))
    assert names(store) == ["active"]
    with pytest.raises(InvalidInput):
        RetentionPolicy(statuses=["active"])


def test_a_session_that_is_resumed_meanwhile_stays(face, store, clock):
    session = store.sessions.create("s")
    session.fail("x")
    clock.advance(DAY)

    seen: list[str] = []
    store.hooks.on("before_session_delete")(lambda context: seen.append(context.operation))
    core = face.core(store)
    let_go = core.sessions._cleaning._let_go

    async def resumed_first(*args):
        await (await core.sessions.open(session.id)).resume()
        await let_go(*args)

    core.sessions._cleaning._let_go = resumed_first
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=1))
    assert seen == ["cleanup"]
    assert report.changed == [session.id]
    assert report.deleted == []
    assert names(store) == ["s"]


def test_a_sessions_own_wish_comes_first(store, clock):
    ended(store, "kept", config=SessionConfig(retention=SessionRetention(keep=True)))
    ended(store, "short", config=SessionConfig(retention=SessionRetention(max_age_s=10)))
    ended(store, "long", config=SessionConfig(retention=SessionRetention(max_age_s=10 * DAY)))
    ended(store, "plain")
    clock.advance(DAY)
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=100, max_count=0))
    assert went(report) == {"short": "own-age", "plain": "age"}
    assert names(store) == ["kept", "long"]


def test_archived_before_deletion_and_back_again(store, clock, tmp_path):
    session = ended(store, "s", size=100_000)
    clock.advance(DAY)
    folder = tmp_path / "archive" / "deep"
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=1, archive_to=folder))
    (path,) = report.archived
    assert names(store) == []
    (gone,) = store.timeline(kinds=["session.deleted"])
    assert gone.data["archive"] == path
    store.sessions.import_(path)
    assert store.sessions.open(session.id).state.get("k") == "s"


def test_archives_are_kept_outside_of_the_stores_folder(face, store, clock, tmp_path, monkeypatch):
    ended(store, "s")
    clock.advance(DAY)
    monkeypatch.chdir(face.folder)
    (tmp_path / "link").symlink_to(face.folder)
    for folder in (face.folder, face.folder / "archive", "archive", tmp_path / "link" / "deep"):
        policy = RetentionPolicy(max_age_s=1, archive_to=folder)
        for call in (store.sessions.set_retention, store.sessions.cleanup):
            with pytest.raises(InvalidInput) as refused:
                call(policy)
            assert refused.value.code == "path-in-store"
    assert store.sessions.retention() is None
    assert names(store) == ["s"]


def test_what_cannot_be_archived_is_not_deleted(store, clock, tmp_path):
    session = ended(store, "s")
    clock.advance(DAY)
    (tmp_path / "file").write_text("in the way")
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=1, archive_to=tmp_path / "file"))
    assert (report.failed, report.deleted) == ([session.id], [])
    assert names(store) == ["s"]


def test_hooks_may_keep_a_session(store, clock):
    kept = ended(store, "kept")
    ended(store, "gone")
    clock.advance(DAY)
    store.hooks.on("before_session_delete")(
        lambda context: Cancel("mine") if context.data["info"]["name"] == "kept" else None
    )
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=1))
    assert (report.vetoed, went(report)) == ([kept.id], {"gone": "age"})
    assert names(store) == ["kept"]


def test_what_is_written_to_a_session_after_its_deletion_is_an_orphan(store):
    session = ended(store, "s")
    state = session.state
    store.sessions.delete(session.id)
    state.set("late", 1)
    other = store.state_of(llmspell.Scope.session("never-was-one"))
    other.set("mine", 1)
    assert store.sessions.cleanup(RetentionPolicy(), dry_run=True).orphans == 1
    assert store.sessions.cleanup(RetentionPolicy()).orphans == 1
    assert state.get("late") is None
    assert other.get("mine") == 1
    assert store.sessions.cleanup(RetentionPolicy()).orphans == 0
    assert store.verify().ok


def test_the_stored_policy_runs_in_the_background_of_an_open_store(face, store, clock):
    policy = RetentionPolicy(max_age_s=DAY, max_count=5)
    store.sessions.set_retention(policy, every_s=60)
    for number in range(3):
        ended(store, f"s{number}")
    clock.advance(2 * DAY)
    store.sessions.create("active")
    again = face.reopen()  # Closing is an occasion for maintenance.
    assert names(again) == ["active"]
    assert again.sessions.retention() == policy
    (said,) = again.timeline(kinds=["session.cleaned"])
    assert (said.actor, said.data["deleted"]) == ("maintenance", 3)
    ended(again, "later")
    again.sessions.set_retention(None)
    clock.advance(2 * DAY)
    last = face.reopen()
    assert names(last) == ["active", "later"]
    assert last.sessions.retention() is None
    assert last.verify().ok
    with pytest.raises(NotFound) as error:
        last.sessions.cleanup()
    assert error.value.code == "no-policy"


def test_the_background_leaves_to_cleanup_what_a_hook_may_refuse(face, store, clock):
    store.sessions.set_retention(RetentionPolicy(max_age_s=1), every_s=60)
    ended(store, "s")
    clock.advance(DAY)
    store.hooks.on("before_session_delete")(lambda context: None)
    core = face.core(store)
    core._maintenance.run()
    assert names(store) == ["s"]
    assert len(store.sessions.cleanup().deleted) == 1


def test_the_background_does_not_run_again_before_its_time(face, store, clock):
    store.sessions.set_retention(RetentionPolicy(max_count=0), every_s=3600)
    run = face.core(store)._maintenance.run
    ended(store, "first")
    run()
    assert names(store) == []
    ended(store, "second")
    run()
    assert names(store) == ["second"]
    clock.advance(3601)
    run()
    assert names(store) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"max_age_s": -1}, {"max_age_s": "1"}, {"max_count": 1.5}, {"max_bytes": -1}, {"rule": 5},
        {"statuses": "failed"},
        {"statuses": ["nothing"]}, {"archive_to": 5}, {"archive_to": "a\0b"},
    ],
)  # fmt: skip
def test_policies_that_are_none_are_refused(fields):
    with pytest.raises(InvalidInput):
        RetentionPolicy(**fields)


def test_a_rule_is_not_stored(store):
    with pytest.raises(InvalidInput) as error:
        store.sessions.set_retention(RetentionPolicy(rule=bool))
    assert error.value.code == "rule-not-stored"
    with pytest.raises(InvalidInput):
        store.sessions.set_retention(RetentionPolicy(), every_s=0)
