"""Migrations of a session that has forks: each goes on with what it had, and may be forked again at any moment."""

import pytest

from llmspell.errors import Conflict, InvalidInput
from llmspell.migration import Migration, Rename
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
