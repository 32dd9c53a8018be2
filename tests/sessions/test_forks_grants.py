"""A fork grants what it inherits: it becomes the fork's own, and the session it left grants nothing by it."""

import pytest

import llmspell
from llmspell.errors import AccessDenied, NotFound


@pytest.fixture
def origin(store):
    made = store.sessions.create("origin")
    made.artifacts.put("a", b"first")
    made.artifacts.put("a", b"second")
    return made


@pytest.fixture
def guest(store):
    return store.sessions.create("guest")


def test_a_name_that_a_fork_inherits_is_granted_with_all_its_versions(store, origin, guest):
    fork = store.sessions.fork(origin.id)
    assert fork.artifacts.grant("a", guest.id, "write") > 0
    versions = fork.artifacts.versions("a")
    assert [guest.artifacts.get(one.id).read() for one in versions] == [b"first", b"second"]
    later = fork.artifacts.put("a", b"third")
    assert guest.artifacts.get(later.id).read() == b"third"
    guest.artifacts.update(versions[0].id, tags=["seen"])
    assert [one.tags for one in fork.artifacts.versions("a")] == [["seen"], [], []]
    assert [one.tags for one in origin.artifacts.versions("a")] == [[], []]
    with pytest.raises(AccessDenied):
        guest.artifacts.get(origin.artifacts.info("a").id)
    assert [(one.session, one.name) for one in guest.artifacts.granted().items] == [(fork.id, "a")]
    assert store.verify().ok


def test_a_version_that_a_fork_inherits_is_granted_by_the_id_it_has_before(store, origin, guest):
    fork = store.sessions.fork(origin.id)
    inherited = fork.artifacts.info("a", version=1).id
    fork.artifacts.grant(inherited, guest.id)
    own = fork.artifacts.info("a", version=1).id
    assert own != inherited
    assert guest.artifacts.get(own).read() == b"first"
    with pytest.raises(AccessDenied):
        guest.artifacts.get(inherited)
    with pytest.raises(AccessDenied):
        guest.artifacts.get(fork.artifacts.info("a", version=2).id)
    assert fork.artifacts.grants(inherited) == fork.artifacts.grants(own) != []
    assert origin.artifacts.grants("a") == []
    assert fork.artifacts.revoke(inherited, guest.id) == 1
    with pytest.raises(AccessDenied):
        guest.artifacts.get(own)
    assert store.verify().ok


def test_a_fork_grants_nothing_that_it_does_not_show(store, origin, guest):
    fork = store.sessions.fork(origin.id)
    inherited = fork.artifacts.info("a", version=1).id
    fork.artifacts.delete("a")
    for what in ("a", "never", inherited):
        with pytest.raises((NotFound, AccessDenied)):
            fork.artifacts.grant(what, guest.id)
    assert guest.artifacts.granted().items == []


def test_what_was_granted_in_a_fork_holds_after_a_restart(tmp_path):
    with llmspell.open(tmp_path / "s") as store:
        origin, guest = store.sessions.create("origin"), store.sessions.create("guest")
        origin.artifacts.put("a", b"first")
        fork = store.sessions.fork(origin.id)
        fork.artifacts.grant("a", guest.id)
        own = fork.artifacts.info("a").id
    with llmspell.open(tmp_path / "s") as store:
        assert store.sessions.open("guest").artifacts.get(own).read() == b"first"
        with pytest.raises(AccessDenied):
            store.sessions.open("guest").artifacts.update(own, tags=["x"])


def test_what_a_fork_inherited_and_dropped_is_nothing_that_never_was(store, origin, guest):
    fork = store.sessions.fork(origin.id)
    fork.artifacts.delete("a")
    origin.artifacts.put("later", b"")
    room = fork.artifacts
    assert (room.grants("a"), room.audit("a").items, room.revoke("a", guest.id)) == ([], [], 0)
    for call in (room.grants, room.audit, lambda name: room.revoke(name, guest.id)):
        with pytest.raises(NotFound):
            call("later")
