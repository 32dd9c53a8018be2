"""Who may write in a scope of others does not decide that their next value is kept less well."""

import pytest

from llmspell.errors import AccessDenied
from llmspell.model.scope import Scope
from tests.access.conftest import A, denied

ORDER = ["trusted", "standard", "external", "sensitive"]
LOWER = [(kept, given) for n, kept in enumerate(ORDER) for given in ORDER[:n]]
RAISE = [(kept, given) for n, kept in enumerate(ORDER) for given in ORDER[n:] if kept == given or given != "external"]


@pytest.fixture
def writer(store, a, b):
    store.access.grant("agent:b", "agent:a", {"write"})
    return b.state_of(A)


def kept_as(store, key):
    return store.state_of(A).entry(key).state_class


@pytest.mark.parametrize("kept,given", LOWER)
def test_a_writer_lowers_no_class_of_a_key(store, writer, kept, given):
    store.state_of(A).set("s", "old", state_class=kept)
    error = denied(lambda: writer.set("s", "new", state_class=given), "class-lowered")
    assert (error.details["principal"], error.details["scope"]) == ("agent:b", "agent:a")
    denied(lambda: writer.set_many({"other": 1, "s": "new"}, state_class=given), "class-lowered")
    assert store.state_of(A).get("s") == "old"
    assert store.state_of(A).get("other") is None
    store.state_of(A).set("s", "a secret")
    assert kept_as(store, "s") == kept


@pytest.mark.parametrize("kept,given", RAISE)
def test_a_writer_may_raise_a_class_or_leave_it(store, writer, kept, given):
    store.state_of(A).set("s", "old", state_class=kept)
    writer.set("s", "new", state_class=given)
    writer.set("s", "newer")
    assert (kept_as(store, "s"), store.state_of(A).get("s")) == (given, "newer")


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("rule,given", LOWER)
def test_a_new_key_is_kept_no_less_than_the_scopes_new_keys_are(store, writer, b, rule, given, watched):
    if watched:
        store.hooks.register("before_state_set", lambda context: None)
    store.state_of(A).set_default_class(rule)
    denied(lambda: writer.set("n", 1, state_class=given), "class-lowered")
    denied(lambda: b.state_of(A, state_class=given).set("n", 1), "class-lowered")
    writer.set("n", 1)
    assert kept_as(store, "n") == rule


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("kept", ["trusted", "standard"])
def test_a_writer_makes_no_key_external_that_has_a_value(store, writer, b, kept, watched):
    """What the owner set there next would not be kept: its secrets would be replaced."""
    if watched:
        store.hooks.register("before_state_set", lambda context: None)
    mine = store.state_of(A)
    mine.set("s", "old", state_class=kept)
    b.own.set("s", "of b", state_class="external")
    for call in (
        lambda: writer.set("s", "new", state_class="external"),
        lambda: writer.set_many({"s": "new"}, state_class="external"),
        lambda: b.state_of(A, state_class="external").set("s", "new", state_class="external"),
        lambda: b.own.copy_to(A),
    ):
        denied(call, "class-lowered")
    mine.set("s", "password: hunter2!x")
    assert (kept_as(store, "s"), mine.get("s")) == (kept, "password: hunter2!x")


def test_a_writer_may_put_what_comes_from_outside_under_a_new_name(store, writer, b):
    mine = store.state_of(A)
    mine.set("gone", "old")
    mine.delete("gone")
    for key in ("new", "gone"):
        writer.set(key, "password: hunter2!x", state_class="external")
        writer.set(key, "password: hunter2!y", state_class="external")
        assert (kept_as(store, key), mine.get(key)) == ("external", "password: [REDACTED]")
    mine.set("new", "password: hunter2!z", state_class="standard")
    assert mine.get("new") == "password: hunter2!z"


def test_a_copy_lowers_no_class_where_it_goes(store, writer, b):
    store.state_of(A).set("s", "old", state_class="sensitive")
    b.own.set("s", "of b")
    denied(lambda: b.own.copy_to(A), "class-lowered")
    denied(lambda: b.own.move_to(A), "class-lowered")
    assert (store.state_of(A).get("s"), b.own.get("s")) == ("old", "of b")
    b.own.set("s", "of b", state_class="sensitive")
    b.own.copy_to(A)
    assert (kept_as(store, "s"), store.state_of(A).get("s")) == ("sensitive", "of b")


def test_a_class_does_not_end_with_a_time_to_live_that_a_writer_gave(store, clock, writer):
    store.state_of(A).set("s", "old", state_class="sensitive")
    denied(lambda: writer.set("s", "new", ttl_s=1), "class-lowered")
    writer.set("plain", 1, ttl_s=1)
    store.state_of(A).set("token", "old", state_class="sensitive", ttl_s=60)
    writer.set("token", "new", ttl_s=60)
    clock.advance(61)
    writer.set("token", "newest", ttl_s=60)
    writer.set("plain", 2)
    assert (store.state_of(A).get("token"), kept_as(store, "plain")) == ("newest", "standard")


def test_a_writer_ends_no_key_sooner_whose_class_would_end_with_it(store, clock, writer):
    store.state_of(A).set("token", "old", state_class="sensitive", ttl_s=3600)
    denied(lambda: writer.set("token", "new", ttl_s=1), "class-lowered")
    denied(lambda: writer.set_many({"token": "new"}, ttl_s=3599), "class-lowered")
    writer.set("token", "new", ttl_s=3601)
    clock.advance(2)
    denied(lambda: writer.set("token", "newer", state_class="standard"), "class-lowered")
    store.state_of(A).set("token", "a secret", ttl_s=3600)
    assert kept_as(store, "token") == "sensitive"


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("kept", ORDER)
def test_a_key_whose_time_ran_out_can_be_written_without_a_class(store, clock, writer, kept, watched):
    if watched:
        store.hooks.register("before_state_set", lambda context: None)
    store.state_of(A).set("s", "old", state_class=kept, ttl_s=1)
    clock.advance(2)
    writer.set("s", "new")
    assert store.state_of(A).get("s") == "new"


def test_the_default_class_of_a_scope_takes_all_four_rights(store, a, b):
    store.state_of(A).set_default_class("sensitive")
    store.access.grant("agent:b", "agent:a", {"read", "write", "list"})
    denied(lambda: b.state_of(A).set_default_class("standard"))
    assert store.state_of(A).default_class() == "sensitive"
    store.access.grant("agent:b", "agent:a", {"delete"})
    assert b.state_of(A).set_default_class("external")
    assert a.own.set_default_class("trusted")
    assert store.state_of(A).default_class() == "trusted"


def test_in_its_own_scope_a_principal_chooses_any_class(store, a):
    for kept in reversed(ORDER):
        a.own.set("s", 1, state_class=kept)
        assert kept_as(store, "s") == kept


def test_a_writer_makes_no_key_of_another_ephemeral(store, writer, b):
    for call in (
        lambda: writer.set("e", 1, state_class="ephemeral"), lambda: b.state_of(A, state_class="ephemeral").set("e", 1),
        lambda: b.state_of(A, state_class="ephemeral").update("e", lambda value: 1),
    ):  # fmt: skip
        with pytest.raises(AccessDenied):
            call()
    store.state_of(A).set("e", "kept")
    assert kept_as(store, "e") == "standard"


def test_a_refusal_to_lower_a_class_is_in_the_audit(store, writer):
    store.state_of(A).set("s", "old", state_class="sensitive")
    denied(lambda: writer.set("s", "new", state_class="standard"), "class-lowered")
    (record,) = [one for one in store.access.audit(principal="agent:b") if one.action == "denied"]
    assert (record.code, record.scope, record.rights) == ("class-lowered", "agent:a", ("write",))


def test_members_of_a_shared_scope_raise_classes_only(store, a, b):
    board = store.sharing.collaborate("board", ["agent:a", "agent:b"])
    a.state_of(board).set("s", "old", state_class="sensitive")
    denied(lambda: b.state_of(board).set("s", "new", state_class="standard"), "class-lowered")
    assert store.state_of(Scope.shared("board")).get("s") == "old"
