"""What is done in a session while it is being let go is never lost: it stays, or its archive holds all of it."""

import pytest

import llmspell
from llmspell import RetentionPolicy, SessionConfig, SessionRetention
from llmspell.errors import InvalidInput
from llmspell.sessions import archiving, retention
from llmspell.sync.drive import drive

DAY = 86400
PASSPHRASE = "a long passphrase"


def ended(store, name, **fields):
    session = store.sessions.create(name, **fields)
    session.state.set("k", name)
    session.complete()
    return session


def ids(store):
    return {info.id for info in store.sessions.list(limit=500)}


async def put_late(core, id_):
    handle = await core.sessions.open(id_)
    await handle.artifacts.put("late", b"late")


async def set_late(core, id_):
    handle = await core.sessions.open(id_)
    await handle.state.set("late", 1)


async def set_from_outside(core, id_):
    await core.state_of(llmspell.Scope.session(id_)).set("late", 1)


LATE = pytest.mark.parametrize("late", [put_late, set_late, set_from_outside])


def meanwhile(core, function, work):
    """Have ``work`` done right after what a cleanup does outside of its units."""
    porter = core.sessions.neighbours.porter
    off = porter.off

    async def then(asked, *args):
        value = await off(asked, *args)
        if asked is function:
            await work()
        return value

    porter.off = then


@LATE
def test_what_is_written_while_a_session_is_archived_keeps_it(face, store, clock, tmp_path, late):
    session = ended(store, "s")
    clock.advance(DAY)
    core = face.core(store)
    meanwhile(core, archiving.archived, lambda: late(core, session.id))
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=0, archive_to=tmp_path / "archive"))
    assert (report.changed, report.deleted, report.archived) == ([session.id], [], [])
    assert ids(store) == {session.id}


@LATE
def test_what_is_written_after_it_was_judged_keeps_it(face, store, clock, late):
    session = ended(store, "s")
    clock.advance(DAY)
    core = face.core(store)
    meanwhile(core, retention.due_sessions, lambda: late(core, session.id))
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=1))
    assert (report.changed, report.deleted) == ([session.id], [])
    assert ids(store) == {session.id}


@LATE
@pytest.mark.parametrize("own", [False, True])
def test_age_counts_from_the_last_thing_done_in_a_session(face, store, clock, late, own):
    wish = SessionRetention(max_age_s=DAY if own else None)
    session = store.sessions.create("s", config=SessionConfig(retention=wish))
    session.suspend()
    clock.advance(DAY)
    core = face.core(store)
    getattr(face, "settle", drive)(late(core, session.id))
    clock.advance(DAY / 2)
    policy = RetentionPolicy(max_age_s=DAY, statuses=["suspended"])
    assert store.sessions.cleanup(policy).deleted == []
    clock.advance(DAY)
    assert [one["id"] for one in store.sessions.cleanup(policy).deleted] == [session.id]


def sealed(store):
    session = store.sessions.create("s")
    session.state.set("token", "hush", state_class="sensitive")
    session.complete()
    return session


def test_a_session_with_sealed_values_is_not_deleted_for_an_archive_without_a_key(store, clock, tmp_path):
    session, plain = sealed(store), ended(store, "plain")
    clock.advance(DAY)
    policy = RetentionPolicy(max_age_s=1, archive_to=tmp_path / "archive")
    report = store.sessions.cleanup(policy)
    assert (report.failed, report.codes) == ([session.id], {session.id: "archive-needs-key"})
    assert [one["id"] for one in report.deleted] == [plain.id]
    assert [path.name.partition(".")[0] for path in (tmp_path / "archive").iterdir()] == [plain.id]
    (said,) = store.timeline(kinds=["session.cleaned"])
    assert said.data["codes"] == {"archive-needs-key": 1}
    assert store.sessions.open(session.id).state.get("token") == "hush"


def test_a_dry_run_foresees_what_only_a_key_could_archive(store, clock, tmp_path):
    session, plain = sealed(store), ended(store, "plain")
    clock.advance(DAY)
    policy = RetentionPolicy(max_age_s=1, archive_to=tmp_path / "archive")
    plan = store.sessions.cleanup(policy, dry_run=True)
    assert (plan.failed, plan.codes) == ([session.id], {session.id: "archive-needs-key"})
    assert [one["id"] for one in plan.deleted] == [plain.id]
    assert not (tmp_path / "archive").exists()
    for other, options in ((policy, {"archive_key": PASSPHRASE}), (RetentionPolicy(max_age_s=1), {})):
        plan = store.sessions.cleanup(other, dry_run=True, **options)
        assert (len(plan.deleted), plan.failed) == (2, [])


def test_a_dry_run_foresees_what_is_too_damaged_to_be_archived(face, store, clock, tmp_path):
    session = ended(store, "s")
    (entry,) = store.timeline(session=session.id, kinds=["state.set"])
    face.core(store)._files.engine.writer.execute("UPDATE entry SET payload = '{bad' WHERE seq = ?", (entry.seq,))
    clock.advance(DAY)
    policy = RetentionPolicy(max_age_s=1, archive_to=tmp_path / "archive")
    plan, done = (store.sessions.cleanup(policy, dry_run=dry_run) for dry_run in (True, False))
    assert plan.failed == done.failed == [session.id]
    assert plan.codes == done.codes


@pytest.mark.parametrize("where", ["last", "outside", "overwritten"])
def test_a_session_that_needs_a_key_is_refused_before_a_file_is_begun(store, clock, tmp_path, where, monkeypatch):
    monkeypatch.setattr("llmspell.portable.exporting._replacing", lambda *_: pytest.fail("a file is begun in vain"))
    session = store.sessions.create("s")
    if where == "outside":
        store.state_of(llmspell.Scope.session(session.id)).set("token", "hush", state_class="sensitive")
    else:
        session.state.set_many({f"k{number}": number for number in range(600)})
        session.state.set("token", "hush", state_class="sensitive")
    if where == "overwritten":
        session.state.delete("token")
    session.complete()
    clock.advance(DAY)
    report = store.sessions.cleanup(RetentionPolicy(max_age_s=1, archive_to=tmp_path / "archive"))
    assert report.codes == {session.id: "archive-needs-key"}


def test_an_archive_with_a_key_holds_what_is_sealed(store, clock, tmp_path):
    session = sealed(store)
    clock.advance(DAY)
    policy = RetentionPolicy(max_age_s=1, archive_to=tmp_path / "archive")
    (path,) = store.sessions.cleanup(policy, archive_key=PASSPHRASE).archived
    assert ids(store) == set()
    store.sessions.import_(path, key=PASSPHRASE)
    assert store.sessions.open(session.id).state.get("token") == "hush"
    (said,) = store.timeline(kinds=["session.cleaned"])
    assert PASSPHRASE not in str(said.data)


def test_the_background_keeps_what_only_a_key_could_archive(face, store, clock, tmp_path):
    session = sealed(store)
    store.sessions.set_retention(RetentionPolicy(max_age_s=1, archive_to=tmp_path / "archive"), every_s=60)
    clock.advance(DAY)
    face.core(store)._maintenance.run()
    assert ids(store) == {session.id}
    (said,) = store.timeline(kinds=["session.cleaned"])
    assert (said.data["failed"], said.data["codes"]) == (1, {"archive-needs-key": 1})


def test_a_key_that_would_not_be_used_or_is_none_is_refused(store, clock, tmp_path):
    session = ended(store, "s")
    clock.advance(DAY)
    with pytest.raises(InvalidInput) as error:
        store.sessions.cleanup(RetentionPolicy(max_age_s=1), archive_key=PASSPHRASE)
    assert error.value.code == "invalid-policy"
    with pytest.raises(InvalidInput) as error:
        store.sessions.cleanup(RetentionPolicy(max_age_s=1, archive_to=tmp_path / "a"), archive_key="short")
    assert error.value.code == "weak-passphrase"
    assert ids(store) == {session.id}


async def _awaited(info):
    return False


def _to_be_awaited(info):
    return _awaited(info)


class _Awaited:
    async def __call__(self, info):
        return False


@pytest.mark.parametrize("rule", [_awaited, _Awaited()])
def test_an_async_rule_is_refused(rule):
    with pytest.raises(InvalidInput) as error:
        RetentionPolicy(rule=rule)
    assert error.value.code == "invalid-policy"


@pytest.mark.parametrize("rule", [lambda info: 1, lambda info: None, _to_be_awaited])
def test_a_rule_that_does_not_say_true_or_false_deletes_nothing(store, rule):
    first, second = ended(store, "first"), ended(store, "second")
    with pytest.raises(InvalidInput) as error:
        store.sessions.cleanup(RetentionPolicy(rule=rule))
    assert error.value.code == "invalid-policy"
    assert ids(store) == {first.id, second.id}


def test_an_async_progress_is_refused(store):
    session = ended(store, "s")
    with pytest.raises(InvalidInput) as error:
        store.sessions.cleanup(RetentionPolicy(max_count=0), progress=_awaited)
    assert error.value.code == "invalid-callback"
    assert ids(store) == {session.id}


def test_cleanup_says_how_many_it_looked_at_and_tells_its_progress(store, clock):
    ended(store, "kept", config=SessionConfig(retention=SessionRetention(keep=True)))
    for name in ("a", "b"):
        ended(store, name)
    store.sessions.create("active")
    told = []
    report = store.sessions.cleanup(RetentionPolicy(max_count=0), progress=lambda what, done: told.append((what, done)))
    assert (report.looked_at, len(report.deleted)) == (3, 2)
    assert told == [("sessions", 1), ("sessions", 2)]


def test_sessions_that_are_kept_for_ever_count_towards_nothing(store, clock):
    plain = ended(store, "plain")
    clock.advance(1)
    for number in range(3):
        ended(store, f"kept {number}", config=SessionConfig(retention=SessionRetention(keep=True)))
    assert store.sessions.cleanup(RetentionPolicy(max_count=1), dry_run=True).deleted == []
    clock.advance(1)
    newer = ended(store, "newer")
    report = store.sessions.cleanup(RetentionPolicy(max_count=1))
    assert [one["id"] for one in report.deleted] == [plain.id]
    assert newer.id in ids(store)


async def _nothing(core, id_):
    handle = await core.sessions.open(id_)
    await handle.update(description="changed")


@pytest.mark.parametrize("late", [put_late, set_late, set_from_outside, _nothing])
@pytest.mark.parametrize("bounds", [{"max_count": 1}, {"max_bytes": 15}])
def test_what_stays_of_so_many_are_those_in_which_something_was_done_last(face, store, clock, late, bounds):
    first, second = (store.sessions.create(name) for name in ("first", "second"))
    for session in (first, second):
        session.artifacts.put("a", b"ten bytes.")
        session.suspend()
        clock.advance(1)
    getattr(face, "settle", drive)(late(face.core(store), first.id))
    policy = RetentionPolicy(statuses=["suspended"], **bounds)
    report = store.sessions.cleanup(policy)
    assert [one["id"] for one in report.deleted] == [second.id]
    assert ids(store) == {first.id}


def test_a_session_that_another_cleanup_let_go_first_changed_and_did_not_fail(tmp_path):
    policy = RetentionPolicy(max_count=0, archive_to=tmp_path / "old")
    with llmspell.open(tmp_path / "s") as store, llmspell.open(tmp_path / "s") as other:
        for name in ("a", "b"):
            store.sessions.create(name).complete()
        first = []

        def tell(*_):
            if not first:
                first.append(other.sessions.cleanup(policy))

        report = store.sessions.cleanup(policy, progress=tell)
        assert (len(report.deleted), len(report.changed), report.failed, report.codes) == (1, 1, [], {})
        assert len(first[0].deleted) == 1
