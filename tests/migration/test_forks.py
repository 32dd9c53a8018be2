"""Migrations of a session that has forks: each goes on with what it had, and may be forked again at any moment."""

import pytest

from llmspell.errors import Conflict, InvalidInput
from llmspell.migration import Custom, Migration, Rename
from llmspell.model.scope import Scope
from llmspell.schemas.schema import Schema
from tests.rooms.conftest import FACES

OLD, NEW = [("p:1", {"name": "one"})], [("p:1", {"title": "one"})]


@pytest.fixture(params=sorted(FACES))
def store(request, tmp_path):
    face = FACES[request.param](tmp_path)
    yield face.open()
    face.close()


@pytest.fixture
def origin(store):
    """A session with a key that is bound to the old version, and a checkpoint."""
    for version, field in (("1.0.0", "name"), ("2.0.0", "title")):
        store.schemas.register(Schema("p", version, {field: "string"}))
    store.migrations.register(Migration("p", "1.0.0", "2.0.0", [Rename("name", "title")]))
    session = store.sessions.create("origin")
    store.schemas.bind("p", "1.0.0", scope=Scope.session(session.id), prefix="p:")
    session.state.set(*OLD[0])
    session.checkpoint("before")
    return session


def bound(store, session):
    return store.schemas.bound("p:1", scope=Scope.session(session.id)).version


def test_forks_keep_the_form_and_the_version_of_the_moment_that_they_left(store, origin):
    earlier = store.sessions.fork(origin.id)
    report = store.migrations.apply(store.migrations.plan("p", "2.0.0"))
    again = store.sessions.fork(origin.id, "before")
    later = store.sessions.fork(origin.id)
    assert (origin.state.items(), bound(store, origin)) == (NEW, "2.0.0")
    for fork in (earlier, again):
        assert (fork.state.items(), bound(store, fork)) == (OLD, "1.0.0")
        with pytest.raises(InvalidInput):
            fork.state.set(*NEW[0])
    assert (later.state.items(), bound(store, later)) == (NEW, "2.0.0")
    store.migrations.rollback(report.id)
    assert (origin.state.items(), bound(store, origin)) == (OLD, "1.0.0")
    assert (later.state.items(), bound(store, later)) == (NEW, "2.0.0")
    past = store.at(earlier.info.forked_at)
    assert past.state_of(Scope.session(again.id)).items() == OLD
    assert store.verify().ok


def test_a_plan_by_the_name_alone_is_about_the_session_and_not_its_forks(store, origin):
    forks = [store.sessions.fork(origin.id) for _ in range(3)]
    plan = store.migrations.plan("p", "2.0.0")
    assert (plan.target.scope, plan.count) == (f"session:{origin.id}", 1)
    store.schemas.unbind(scope=Scope.session(origin.id), prefix="p:")
    with pytest.raises(Conflict) as refused:
        store.migrations.plan("p", "2.0.0")
    assert refused.value.code == "session-is-fork"
    assert [bound(store, fork) for fork in forks] == ["1.0.0"] * 3


def test_a_lazy_migration_of_the_origin_shows_in_forks_of_later_moments_only(store, origin):
    before = store.sessions.fork(origin.id)
    lazy = store.migrations.lazily(store.migrations.plan("p", "2.0.0"))
    assert lazy.get("p:1") == NEW[0][1]
    assert (before.state.items(), store.sessions.fork(origin.id).state.items()) == (OLD, NEW)
    assert store.verify().ok


def test_what_a_fork_restored_as_it_was_sealed_for_its_origin_opens_after_a_rollback(store, origin):
    origin.state.set("p:sealed", {"name": "s3cret"}, state_class="sensitive")
    origin.checkpoint("sealed")
    store.schemas.unbind(scope=Scope.session(origin.id), prefix="p:")
    fork = store.sessions.fork(origin.id)
    fork.state.set("p:sealed", {"name": "another"})
    fork.restore("sealed")
    report = store.migrations.apply(store.migrations.plan("p", "2.0.0", from_version="1.0.0", prefix="p:"))
    assert fork.state.get("p:sealed") == {"title": "s3cret"}
    assert store.migrations.rollback(report.id).left == 0
    assert fork.state.get("p:sealed") == {"name": "s3cret"}
    assert store.verify().ok


def several(store, origin):
    """More keys, and a migration that stops in the middle of them; gives it."""
    for number in range(2, 8):
        origin.state.set(f"p:{number}", {"name": "more"})

    def stop(value):
        if len(seen) == 4:
            raise ValueError
        seen.append(value)
        return value

    seen = []
    store.migrations.register(
        Migration("p", "1.0.0", "2.0.0", [Rename("name", "title"), Custom("stop", "title")]), replace=True
    )
    plan = store.migrations.plan("p", "2.0.0")
    with pytest.raises(InvalidInput):
        store.migrations.apply(plan, batch=2, rollback_on_failure=False, functions={"stop": stop})
    return store.migrations.status()


def forms(store, origin, first):
    """For every entry from ``first`` on what a fork there begins with: a field and a version, or why there is none."""
    found = {}
    for seq in range(first, store.stats()["last_seq"] + 1):
        try:
            fork = store.sessions.fork(origin.id, at=seq)
        except Conflict as error:
            found[seq] = error
        else:
            fields = {field for value in dict(fork.state.items()).values() for field in value}
            found[seq] = (*fields, bound(store, fork))
    return found


def test_no_fork_begins_in_the_middle_of_a_migration(store, origin):
    run = several(store, origin)
    assert 0 < run.changed < run.total == 7
    with pytest.raises(Conflict) as refused:
        store.sessions.fork(origin.id)
    assert (refused.value.code, refused.value.details["id"]) == ("migration-running", run.id)
    assert refused.value.details["after"] is None
    assert refused.value.hint.endswith("or resume it or roll it back first")
    assert store.sessions.fork(origin.id, at=refused.value.details["before"]).state.items() == [
        ("p:1", {"name": "one"}), *((f"p:{number}", {"name": "more"}) for number in range(2, 8)),
    ]  # fmt: skip
    store.migrations.resume(run.id, functions={"stop": lambda value: value})
    middle = store.stats()["last_seq"]
    store.migrations.rollback(run.id, batch=2)
    found = forms(store, origin, run.restore_seq)
    old, new = ("name", "1.0.0"), ("title", "2.0.0")
    assert found[run.restore_seq] == found[run.started_seq] == old
    assert found[middle] == new
    assert found[max(found)] == old
    assert {one for one in found.values() if isinstance(one, tuple)} == {old, new}
    errors = {seq: error for seq, error in found.items() if isinstance(error, Conflict)}
    assert len(errors) > 10
    for seq, error in errors.items():
        details = error.details
        assert error.code == "migration-running"
        assert details["before"] < seq < details["after"]
        assert not {details["before"], details["after"]} & errors.keys()
    assert store.verify().ok


def test_no_session_is_restored_to_the_middle_of_a_migration(store, origin):
    run = several(store, origin)
    origin.checkpoint("middle")
    fork = store.sessions.fork(origin.id, at=run.restore_seq)
    before = origin.state.items()
    for moment in ("middle", store.stats()["last_seq"]):
        with pytest.raises(Conflict) as refused:
            origin.restore(moment)
        assert refused.value.code == "migration-running"
    assert origin.state.items() == before
    store.migrations.resume(run.id, functions={"stop": lambda value: value})
    with pytest.raises(Conflict) as refused:
        origin.restore("middle")
    assert origin.restore(refused.value.details["after"]) == 0
    fork.checkpoint("own")
    fork.state.set("q", 1)
    assert fork.restore("own") == 1
    assert fork.restore(run.restore_seq) == 0


def test_only_sessions_that_a_migration_is_about_wait_for_it(store, origin):
    other = store.sessions.create("other", state={"p:1": {"name": "other"}, "q": 1})
    fork = store.sessions.fork(origin.id)
    several(store, origin)
    for session in (other, fork):
        assert store.sessions.fork(session.id).state.get("p:1") == session.state.get("p:1")


def test_a_migration_of_every_scope_is_about_sessions_with_such_keys(store, origin):
    store.schemas.unbind(scope=Scope.session(origin.id), prefix="p:")
    store.schemas.bind("p", "1.0.0", prefix="p:")
    other = store.sessions.create("other", state={"q": 1})
    several(store, origin)
    assert store.sessions.fork(other.id).state.items() == [("q", 1)]
    with pytest.raises(Conflict):
        store.sessions.fork(origin.id)


@pytest.fixture
def everywhere(store, origin):
    """The same keys, bound in every scope instead."""
    store.schemas.unbind(scope=Scope.session(origin.id), prefix="p:")
    store.schemas.bind("p", "1.0.0", prefix="p:")
    return origin


def test_a_plan_of_every_scope_counts_what_forks_inherit_and_says_so(store, everywhere):
    assert (store.migrations.plan("p", "2.0.0").inherited, store.migrations.plan("p", "2.0.0").warnings) == (0, ())
    everywhere.state.set("p:2", {"name": "two"}, ttl_s=3600)
    everywhere.state.set("p:3", {"name": "three"})
    everywhere.state.set("q", "no such key")
    first, second = store.sessions.fork(everywhere.id), store.sessions.fork(everywhere.id)
    of_first = store.sessions.fork(first.id)
    everywhere.state.delete("p:1")
    first.state.set("p:1", {"name": "own"})
    first.state.delete("p:2")
    store.sessions.delete(of_first.id)
    plan = store.migrations.plan("p", "2.0.0")
    assert (plan.count, plan.inherited, plan.to_dict()["inherited"]) == (3, 4, 4)
    assert plan.warnings[0].startswith("4 keys that 2 forks inherit stay as they are")
    assert store.migrations.apply(plan, dry_run=True).warnings == plan.warnings
    assert store.migrations.apply(plan).warnings == plan.warnings
    assert (first.state.get("p:1"), second.state.get("p:1")) == ({"title": "own"}, {"name": "one"})


def test_a_validation_of_every_scope_finds_the_old_form_that_a_fork_inherits(store, everywhere):
    everywhere.state.set("p:sealed", {"name": "s3cret"}, state_class="sensitive")
    fork = store.sessions.fork(everywhere.id)
    report = store.migrations.apply(store.migrations.plan("p", "2.0.0"))
    found = store.migrations.validate(report.id)
    assert (found.ok, found.checked, found.failing) == (False, 4, 2)
    assert [(one.scope, one.key) for one in found.problems] == [
        (f"session:{fork.id}", "p:1"), (f"session:{fork.id}", "p:sealed"),
    ]  # fmt: skip
    assert "s3cret" not in str(found)
    fork.state.set("p:1", *[value for _, value in NEW])
    fork.state.delete("p:sealed")
    found = store.migrations.validate(report.id)
    assert (found.ok, found.checked) == (True, 3)
    later = store.sessions.fork(everywhere.id)
    found = store.migrations.validate(report.id)
    assert (found.ok, found.checked) == (True, 5)
    assert later.state.get("p:1") == {"title": "one"}


def test_a_validation_goes_through_more_than_a_page_of_what_is_inherited(store, everywhere):
    everywhere.state.set_many({f"p:{number:04}": {"name": "x"} for number in range(700)})
    for _ in range(2):
        store.sessions.fork(everywhere.id)
    assert store.migrations.plan("p", "2.0.0").inherited == 1402
    assert store.migrations.validate("p", version="1.0.0", prefix="p:").checked == 2103


def test_no_bundle_is_made_in_the_middle_of_a_migration(store, origin, tmp_path):
    run = several(store, origin)
    with pytest.raises(Conflict) as refused:
        store.sessions.export(origin.id, tmp_path / "bundle")
    assert (refused.value.code, list(tmp_path.glob("bundle*"))) == ("migration-running", [])
    store.migrations.rollback(run.id)
    assert store.sessions.export(origin.id, tmp_path / "bundle").entries
