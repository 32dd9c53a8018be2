"""What names a shredded session or its keys from outside: erased, or counted as kept. And what only its key opened."""

import pytest

import llmspell
from llmspell import Schema, Scope
from llmspell.errors import NotFound
from llmspell.migration import Migration, Rename
from tests.vault.test_shredded import opened

WORD = b"zqPREFIXxj"
PREFIX = WORD.decode() + "/"


def files_with(folder, word):
    return {path.name for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()}


def registered(store):
    for version, field in (("1.0.0", "name"), ("2.0.0", "first")):
        store.schemas.register(Schema("p", version, {field: "string"}))
    store.migrations.register(Migration("p", "1.0.0", "2.0.0", [Rename("name", "first")]))


def test_what_was_bound_to_keys_of_a_shredded_session_is_erased(tmp_path):
    with opened(tmp_path / "s") as store, opened(tmp_path / "s") as other:
        registered(store)
        session = store.sessions.create("one")
        scope = Scope.session(session.id)
        store.schemas.bind("p", "1.0.0", scope=scope, prefix=PREFIX)
        with session:
            store.schemas.bind("p", "2.0.0", scope=scope, prefix=PREFIX)
            store.schemas.unbind(scope=scope, prefix=PREFIX)
            store.schemas.bind("p", "2.0.0", prefix="kept/")
        store.schemas.bind("p", "1.0.0", scope=scope, prefix=PREFIX)
        other.state_of(scope).set(PREFIX + "k", {"name": "x"})
        session.complete()
        looked = store.sessions.shred(session.id, dry_run=True)
        done = store.sessions.shred(session.id)
        assert done.payloads == looked.payloads
        assert done.kept == looked.kept == {"schema.bound": 1}
        assert [one.prefix for one in store.schemas.bindings()] == ["kept/"]
        assert store.schemas.bound(PREFIX + "k", scope=scope) is None
        for one in (store, other):
            one.state_of(scope).set(PREFIX + "k", "anything")
        store.sessions.shred(session.id)
        assert store.verify().findings == []
        assert files_with(tmp_path, WORD) == set()
    with opened(tmp_path / "s") as store:
        assert store.verify().ok
        assert [one.prefix for one in store.schemas.bindings()] == ["kept/"]


def test_the_last_binding_of_a_store_can_be_that_of_a_shredded_session(tmp_path):
    with opened(tmp_path / "s") as store:
        registered(store)
        session = store.sessions.create("one")
        store.schemas.bind("p", scope=Scope.session(session.id), prefix=PREFIX)
        session.complete()
        store.sessions.shred(session.id)
        assert store.schemas.bindings() == []
        assert store.verify().findings == []
        store.schemas.bind("p", "1.0.0", prefix="a/")
        assert store.verify().findings == []


def test_what_names_a_shredded_session_and_stays_is_counted(tmp_path):
    with opened(tmp_path / "s") as store:
        registered(store)
        session, another = store.sessions.create("one"), store.sessions.create("another")
        scope = Scope.session(session.id)
        for one in (session, another):
            one.state.set(PREFIX + "k", {"name": "x"})
        for target in (scope, None, Scope.session(another.id)):
            plan = store.migrations.plan("p", "2.0.0", from_version="1.0.0", scope=target, prefix=PREFIX)
            store.migrations.rollback(store.migrations.apply(plan).id)
        store.access.grant("agent:a", scope, {"read"})
        store.acting_as("agent:a").state_of(scope).get(PREFIX + "k")
        store.access.grant("agent:a", Scope.session(another.id), {"read"})
        session.complete()
        looked = store.sessions.shred(session.id, dry_run=True)
        done = store.sessions.shred(session.id)
        assert looked.kept == {
            "access.granted": 1, "access.used": 1, "migration.batch": 1, "migration.started": 1,
        }  # fmt: skip
        assert done.kept == {**looked.kept, "access.revoked": 1}
        assert len(store.migrations.list()) == 3
        assert store.verify().ok


def forked(store):
    """A session with a sealed value, a fork that was set back to it, and a fork of that."""
    origin = store.sessions.create("origin")
    origin.state.set("sec", "hidden", state_class="sensitive")
    origin.state.set("std", "plain")
    origin.checkpoint("c1")
    fork = store.sessions.open(store.sessions.fork(origin.id).id)
    fork.state.set("sec", "changed")
    fork.restore("c1")
    assert fork.state.get("sec") == "hidden"
    of_fork = store.sessions.open(store.sessions.fork(fork.id).id)
    origin.complete()
    return origin, fork, of_fork


def test_a_fork_stays_readable_when_what_it_was_set_back_to_is_shredded(tmp_path):
    with opened(tmp_path / "s") as store:
        origin, fork, of_fork = forked(store)
        middle = store.stats()["last_seq"]
        fork.state.set("own", 1)
        looked = store.sessions.shred(origin.id, detach=True, dry_run=True)
        done = store.sessions.shred(origin.id, detach=True)
        assert (done.fork_keys, done.payloads) == (2, looked.payloads)
        assert looked.fork_keys == 2
        assert (fork.state.items(), of_fork.state.items()) == ([("own", 1)], [])
        assert [(one.operation, one.value) for one in fork.state.history("sec")] == [
            ("deleted", None), ("set", None), ("set", "changed"),
        ]  # fmt: skip
        assert fork.state.copy_to(Scope.agent("copy")) == 1
        assert of_fork.state.copy_to(Scope.agent("copy")) == 0
        late = store.sessions.open(store.sessions.fork(fork.id, at=middle).id)
        assert (late.state.items(), late.state.get("sec")) == ([], None)
        for number, one in enumerate((fork, of_fork, late)):
            one.state.set("sec", number, state_class="sensitive")
            assert one.state.get("sec") == number
            one.checkpoint("again")
        found = store.verify()
        assert (found.findings, found.checked.get("unopened_values", 0)) == ([], 0)
        with pytest.raises(NotFound) as error:
            store.at(middle).state_of(Scope.session(fork.id)).get("sec")
        assert error.value.code == "erased"
        again = store.sessions.shred(origin.id, detach=True)
        assert (again.fork_keys, again.payloads) == (0, 0)


def test_what_a_fork_wrote_over_is_erased_from_its_history_too(tmp_path):
    with opened(tmp_path / "s") as store:
        origin, fork, of_fork = forked(store)
        fork.state.set("sec", "own again")
        store.sessions.delete(of_fork.id)
        done = store.sessions.shred(origin.id, detach=True)
        assert done.fork_keys == 0
        assert fork.state.items() == [("sec", "own again")]
        assert [one.value for one in fork.state.history("sec")] == ["own again", None, "changed"]
        assert store.verify().ok


def test_shredding_that_was_killed_while_forks_lost_their_keys_is_finished(tmp_path, monkeypatch):
    with opened(tmp_path / "s") as store:
        origin, fork, of_fork = forked(store)

        def stop(*_, **__):
            raise KeyboardInterrupt

        from llmspell.shredding import service

        for name in ("drop_in_forks", "_erase_bindings", "naming"):
            with monkeypatch.context() as patched:
                patched.setattr(service, name, stop)
                try:
                    store.sessions.shred(origin.id, detach=True)
                except KeyboardInterrupt:
                    pass
                else:
                    raise AssertionError
        assert not store.verify().ok
        assert store.sessions.shred(origin.id, detach=True).fork_keys == 2
        assert store.verify().findings == []
        assert (fork.state.items(), of_fork.state.items()) == ([], [])
    with llmspell.open(tmp_path / "s") as store:
        assert store.verify().ok


def test_shredding_a_fork_takes_nothing_from_its_origin(tmp_path):
    with opened(tmp_path / "s") as store:
        origin, fork, _ = forked(store)
        fork.state.set("std", "own")
        store.state_of(Scope.session(fork.id)).set("std", "from outside")
        fork.complete()
        assert store.sessions.shred(fork.id, detach=True).kept == {}
        assert (origin.state.get("std"), origin.state.get("sec")) == ("plain", "hidden")
        assert [one.value for one in origin.state.history("std")] == ["plain"]
        assert store.verify().findings == []
