"""The class that new keys of a scope get: a rule of the scope, the same for every handle and process, kept for good."""

import subprocess
import sys

import pytest

import llmspell
from llmspell import Scope
from llmspell.errors import AccessDenied, InvalidInput
from llmspell.hooks.results import Modified
from llmspell.model.clock import ManualClock
from tests.rooms.conftest import face, store  # noqa: F401 - fixtures

A = Scope.agent("a")


def kept(store, key, scope=A):  # noqa: F811
    return store.state_of(scope).entry(key).state_class


def test_new_keys_are_kept_as_the_scope_says_whoever_sets_them(face, store):  # noqa: F811
    store.state_of(A).set("before", 1)
    assert store.state_of(A).default_class() == "standard"
    assert store.state_of(A).set_default_class("sensitive")
    assert not store.state_of(A).set_default_class("sensitive")
    first = store
    for store in face.both(first):  # noqa: PLR1704
        assert store.state_of(A).default_class() == "sensitive"
        store.state_of(A).set("k2", "s3cret")
        store.acting_as("agent:a").own.set("own", "s3cret")
        store.state_of(A).set_many({"many": 1, "before": 2})
        store.state_of(A).update("counted", lambda n: (n or 0) + 1)
        store.state_of(A).set("chosen", 1, state_class="standard")
        store.state_of(A, state_class="external").set("handle", 1)
        store.state_of(Scope.agent("b")).set("other", 1)
        assert {key: kept(store, key) for key in store.state_of(A).keys()} == {  # noqa: SIM118
            "before": "standard", "k2": "sensitive", "own": "sensitive", "many": "sensitive", "counted": "sensitive",
            "chosen": "standard", "handle": "external",
        }  # fmt: skip
        assert kept(store, "other", Scope.agent("b")) == "standard"
        assert store.state_of(A).get("k2") == "s3cret"
        assert store.verify().ok
    store.state_of(A).delete("k2")
    assert store.state_of(A).set_default_class("standard")
    store.state_of(A).set("k2", 1)
    assert kept(store, "k2") == "standard"
    assert kept(store, "many") == "sensitive"
    told = [entry.data["state_class"] for entry in store.timeline(kinds=["state.default_set"]).items]
    assert sorted(told) == ["sensitive", "standard"]


def test_no_byte_of_a_new_key_is_in_clear(tmp_path):
    with llmspell.open(tmp_path / "s") as store:  # noqa: F811
        store.state_of(A).set_default_class("sensitive")
    with llmspell.open(tmp_path / "s") as store:
        store.state_of(A).set("k", "canary-in-clear")
        store.acting_as("agent:a").own.set("k2", {"n": "canary-in-clear"})
        store.state_of(A).set_many({"k3": "canary-in-clear"})
    found = [path for path in (tmp_path / "s").rglob("*") if path.is_file() and b"canary-in" in path.read_bytes()]
    assert found == []


def test_hooks_and_the_search_for_secrets_keep_the_rule(tmp_path):
    with llmspell.open(tmp_path / "s", secrets="warn") as store:  # noqa: F811
        store.state_of(A).set_default_class("sensitive")
        store.state_of(A).set("searched", 1)
        store.hooks.register("before_state_set", lambda context: Modified({"value": context.data["value"] + 1}))
        store.state_of(A).set("hooked", 1)
        store.state_of(A).set_many({"both": 1})
        assert {key: kept(store, key) for key in ("searched", "hooked", "both")} == dict.fromkeys(
            ("searched", "hooked", "both"), "sensitive"
        )
        assert store.state_of(A).get("hooked") == 2


def test_a_rule_that_came_while_hooks_ran_holds(tmp_path):
    with llmspell.open(tmp_path / "s") as store:  # noqa: F811
        calls = []

        def meanwhile(context):
            if not calls:
                other = "import llmspell, sys\nwith llmspell.open(sys.argv[1]) as s:\n"
                other += "    s.state_of(llmspell.Scope.agent('a')).set_default_class('trusted')\n"
                subprocess.run([sys.executable, "-c", other, str(tmp_path / "s")], check=True, timeout=60)
            calls.append(context.data["key"])

        store.hooks.register("before_state_set", meanwhile, timeout_ms=60_000)
        store.state_of(A).set("k", 1)
        assert kept(store, "k") == "trusted"


def test_another_process_sees_the_rule_at_once(tmp_path):
    with llmspell.open(tmp_path / "s") as store:  # noqa: F811
        store.state_of(A).set("known", 1)
        for rule in ("trusted", "standard", "external"):
            code = "import llmspell, sys\nwith llmspell.open(sys.argv[1]) as s:\n"
            code += "    s.state_of(llmspell.Scope.agent('a')).set_default_class(sys.argv[2])\n"
            subprocess.run([sys.executable, "-c", code, str(tmp_path / "s"), rule], check=True, timeout=60)
            store.state_of(A).set(rule, 1)
            assert kept(store, rule) == rule


def test_a_fork_has_the_rule_that_its_origin_had_where_it_left(store):  # noqa: F811
    session = store.sessions.create("origin")
    session.state.set_default_class("trusted")
    fork = store.sessions.fork(session.id)
    session.state.set_default_class("external")
    assert (fork.state.default_class(), session.state.default_class()) == ("trusted", "external")
    fork.state.set("k", 1)
    session.state.set("k", 1)
    assert (fork.state.entry("k").state_class, session.state.entry("k").state_class) == ("trusted", "external")
    assert fork.state.set_default_class("standard")
    fork.state.set("k2", 1)
    assert fork.state.entry("k2").state_class == "standard"
    assert store.verify().ok


def test_a_principal_sets_the_rule_of_its_own_scope_and_of_no_other(store):  # noqa: F811
    agent = store.acting_as("agent:a")
    assert agent.own.set_default_class("trusted")
    assert agent.own.default_class() == "trusted"
    other = store.acting_as("agent:b").state_of(A)
    for call in (other.default_class, lambda: other.set_default_class("standard")):
        with pytest.raises(AccessDenied):
            call()
    store.access.grant("agent:b", "agent:a", ["write"])
    other.set("of b", 1)
    assert kept(store, "of b") == "trusted"


@pytest.mark.parametrize("wrong", ["ephemeral", "secret", None, 5])
def test_what_is_no_class_of_a_store_is_refused(store, wrong):  # noqa: F811
    before = store.stats()["last_seq"]
    with pytest.raises(InvalidInput) as error:
        store.state_of(A).set_default_class(wrong)
    assert error.value.code == "invalid-class"
    assert store.stats()["last_seq"] == before


def test_a_bundle_carries_the_rule_also_that_of_a_fork(store, tmp_path):  # noqa: F811
    session = store.sessions.create("origin")
    session.state.set("k", 1)
    store.state_of(Scope.session(session.id)).set_default_class("trusted")  # From outside of the session.
    fork = store.sessions.fork(session.id)
    session.state.set_default_class("external")
    for name, one, expected in (("own", session, "external"), ("fork", fork, "trusted")):
        store.sessions.export(one.id, tmp_path / name)
        with llmspell.open(tmp_path / f"{name} elsewhere") as other:
            copy = other.sessions.open(other.sessions.import_(tmp_path / name).id)
            assert copy.state.default_class() == expected
            copy.state.set("new", 1)
            assert copy.state.entry("new").state_class == expected
            assert other.verify().ok


def test_a_key_whose_time_is_over_is_new(tmp_path):
    clock = ManualClock()
    with llmspell.open(tmp_path / "s", clock=clock) as store:  # noqa: F811
        state = store.state_of(A)
        for key in ("k1", "k2", "k3"):
            state.set(key, 0, ttl_s=1)
        state.set_default_class("sensitive")
        clock.advance(2)
        state.set("k1", "canary-in-clear")
        state.set_many({"k2": "canary-in-clear"})
        state.update("k3", lambda _: "canary-in-clear")
        assert [kept(store, key) for key in ("k1", "k2", "k3")] == ["sensitive"] * 3
    found = [path for path in (tmp_path / "s").rglob("*") if path.is_file() and b"canary-in" in path.read_bytes()]
    assert found == []
