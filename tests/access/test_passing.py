"""Passing rights on: never more than one holds, never for longer, and what was passed on ends with it."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmspell
from llmspell.errors import LlmspellError
from llmspell.model import limits
from llmspell.model.clock import ManualClock
from llmspell.model.scope import Scope
from tests.access.conftest import A, denied

D = Scope.agent("d")


def rights(store, principal, scope="agent:a"):
    return {right for one in store.access.grants(principal=principal, scope=scope) for right in one.rights}


def test_nobody_grants_what_it_does_not_hold(store, a, b):
    for scope in ("agent:a", "global", "shared:x", "workflow:w"):
        error = denied(lambda scope=scope: b.access.grant("agent:c", scope, {"read"}), "grant-exceeds")
        assert error.details["rights"] == ["read"]
    store.access.grant("agent:b", "agent:a", {"read"})
    b.access.grant("agent:c", "agent:a", {"read"})
    assert denied(lambda: b.access.grant("agent:c", "agent:a", {"read", "write"}), "grant-exceeds").details[
        "rights"
    ] == ["write"]
    assert store.acting_as("agent:c").state_of(A).get("k") == "of a"


def test_a_refusal_to_pass_on_is_in_the_audit(store, b):
    denied(lambda: b.access.grant("agent:c", "agent:a", {"read"}), "grant-exceeds")
    (record,) = store.access.audit(principal="agent:b").items
    assert (record.action, record.scope, record.code) == ("denied", "agent:a", "grant-exceeds")


def test_what_everybody_may_is_nobodys_to_give(store, a, b):
    store.access.set_boundary("agent:a", "read-only")
    denied(lambda: b.access.grant("agent:c", "agent:a", {"read"}), "grant-exceeds")


def test_nobody_grants_for_longer_than_it_holds(store, clock, a, b):
    store.access.grant("agent:b", "agent:a", {"read"}, expires_in_s=100)
    denied(lambda: b.access.grant("agent:c", "agent:a", {"read"}), "grant-exceeds")
    denied(lambda: b.access.grant("agent:c", "agent:a", {"read"}, expires_in_s=101), "grant-exceeds")
    b.access.grant("agent:c", "agent:a", {"read"}, expires_in_s=50)
    clock.advance(51)
    denied(lambda: store.acting_as("agent:c").state_of(A).get("k"))
    clock.advance(50)
    denied(lambda: b.access.grant("agent:c", "agent:a", {"read"}, expires_in_s=1), "grant-exceeds")


def test_nobody_opens_what_lies_below_without_holding_it(store, b):
    store.access.grant("agent:b", "workflow:w", {"read"})
    denied(lambda: b.access.grant("agent:c", "workflow:w", {"read"}, children=True), "grant-exceeds")
    denied(lambda: b.access.grant("agent:c", Scope.step("w", "s"), {"read"}), "grant-exceeds")
    workflow = store.acting_as("workflow:w")
    denied(lambda: workflow.access.grant("agent:c", "workflow:w", {"read"}, children=True), "grant-exceeds")
    store.access.grant("agent:b", "workflow:w", {"read"}, children=True)
    b.access.grant("agent:c", Scope.step("w", "s"), {"read"})
    b.access.grant("agent:d", "workflow:w", {"read"}, children=True)
    store.access.grant("agent:b", "workflow:w", {"read"})
    assert rights(store, "agent:c", "step:w:s") == set(), "it could not give this any more"
    assert rights(store, "agent:d", "workflow:w") == set()


def test_what_is_held_of_one_user_is_passed_on_in_that_users_sessions_alone(store, b):
    users = ("one", "two")
    sessions = {user: store.sessions.create(user, created_by=f"user:{user}").id for user in users}
    for user, other in (users, users[::-1]):
        store.access.grant("agent:b", Scope.user(user), {"read"}, children=True)
        denied(lambda other=other: b.access.grant("agent:c", Scope.session(sessions[other]), {"read"}), "grant-exceeds")
        b.access.grant("agent:c", Scope.session(sessions[user]), {"read"})
        assert store.access.revoke("agent:b", Scope.user(user)) == 2


def test_in_its_own_scope_a_principal_grants_anything_but_only_there(store, a, b):
    a.access.grant("agent:b", "agent:a", {"read", "delete"})
    assert b.state_of(A).get("k") == "of a"
    assert a.access.revoke("agent:b", "agent:a", {"delete"}) == 1
    denied(lambda: b.state_of(A).delete("k"))


def test_a_revocation_takes_what_was_passed_on_in_the_same_entrys_transaction(store, a, b):
    store.access.grant("agent:b", "agent:a", {"read", "write"})
    b.access.grant("agent:c", "agent:a", {"read", "write"})
    store.acting_as("agent:c").access.grant("agent:d", "agent:a", {"read"})
    assert store.access.revoke("agent:b", "agent:a", {"read"}) == 3
    assert (rights(store, "agent:b"), rights(store, "agent:c"), rights(store, "agent:d")) == (
        {"write"}, {"write"}, set(),
    )  # fmt: skip
    revoked = store.timeline(kinds=["access.revoked"]).items
    assert len({entry.clock for entry in revoked}) == 1, "one unit"
    assert [entry.data["passed_on"] for entry in revoked] == [False, True, True]


def test_what_another_grantor_holds_up_stays(store, a, b):
    store.access.grant("agent:b", "agent:a", {"read"})
    a.access.grant("agent:c", "agent:a", {"read"})
    b.access.grant("agent:c", "agent:a", {"read"})
    c = store.acting_as("agent:c")
    c.access.grant("agent:d", "agent:a", {"read"})
    assert store.access.revoke("agent:b", "agent:a") == 2
    assert rights(store, "agent:d") == {"read"}, "agent:c still has it of agent:a itself"
    a.access.revoke("agent:c", "agent:a")
    assert rights(store, "agent:d") == set()


def test_grants_that_only_hold_up_each_other_end(store, a, b):
    c = store.acting_as("agent:c")
    store.access.grant("agent:b", "agent:a", {"read"})
    b.access.grant("agent:c", "agent:a", {"read"})
    c.access.grant("agent:d", "agent:a", {"read"})
    store.acting_as("agent:d").access.grant("agent:b", "agent:a", {"read"})
    c.access.grant("agent:b", "agent:a", {"read"})
    assert rights(store, "agent:b") == {"read"}
    store.access.grant("agent:e", "agent:a", {"read"})
    head = store.stats()["last_seq"]
    assert store.access.revoke("agent:b", "agent:a", dry_run=True) == 5
    assert store.access.cut_off("agent:b", passed_on=True, dry_run=True)
    assert store.stats()["last_seq"] == head, "a dry run writes nothing"
    assert store.access.cut_offs() == []
    ended = store.access.revoke("agent:b", "agent:a")
    assert ended == 5
    assert [one.principal for one in store.access.grants()] == ["agent:e"]


def test_a_revoked_cycle_ends_when_only_its_root_goes(store, a, b):
    c = store.acting_as("agent:c")
    a.access.grant("agent:b", "agent:a", {"read"})
    b.access.grant("agent:c", "agent:a", {"read"})
    c.access.grant("agent:b", "agent:a", {"read"})
    assert a.access.revoke("agent:b", "agent:a") == 3
    denied(lambda: b.state_of(A).get("k"))
    denied(lambda: c.state_of(A).get("k"))


def test_a_grant_that_is_shortened_takes_what_outlives_it(store, clock, a, b):
    store.access.grant("agent:b", "agent:a", {"read"})
    b.access.grant("agent:c", "agent:a", {"read"})
    b.access.grant("agent:d", "agent:a", {"read"}, expires_in_s=5)
    store.access.grant("agent:b", "agent:a", {"read"}, expires_in_s=60)
    assert (rights(store, "agent:c"), rights(store, "agent:d")) == (set(), {"read"})


def test_a_principal_takes_back_only_what_it_gave(store, a, b):
    store.access.grant("agent:b", "agent:a", {"read"})
    assert store.acting_as("agent:c").access.revoke("agent:b", "agent:a") == 0
    assert a.access.revoke("agent:b", "agent:a") == 0
    assert b.state_of(A).get("k") == "of a"


def test_a_cut_off_may_end_what_was_passed_on(store, a, b):
    store.access.grant("agent:b", "agent:a", {"read"})
    b.access.grant("agent:c", "agent:a", {"read"})
    b.access.grant("agent:d", "agent:b", {"read"})
    store.acting_as("agent:c").access.grant("agent:e", "agent:a", {"read"})
    store.access.cut_off("agent:b")
    assert rights(store, "agent:c") == {"read"}, "by default it stays"
    assert store.access.cut_off("agent:b", passed_on=True)
    assert [one.principal for one in store.access.grants()] == ["agent:b"]
    store.access.restore("agent:b")
    assert b.state_of(A).get("k") == "of a"
    assert rights(store, "agent:c") == set()


def test_one_principal_cannot_fill_the_table_of_grants(store, a, monkeypatch):
    monkeypatch.setattr(limits, "ACCESS_GRANTS_MAX", 3)
    a.access.grant("agent:b", "agent:a", {"read", "list"})
    with pytest.raises(llmspell.LimitExceeded) as error:
        a.access.grant("agent:c", "agent:a", {"read", "list"})
    assert error.value.code == "too-many-grants"
    a.access.grant("agent:c", "agent:a", {"read"})
    a.access.revoke("agent:b", "agent:a")
    a.access.grant("agent:d", "agent:a", {"read"})


NAMES = st.sampled_from(["owner", "agent:a", "agent:b", "agent:c", "agent:d"])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("grant"), NAMES, NAMES, st.sampled_from(["agent:a", "workflow:w", "step:w:s"]),
            st.sampled_from([{"read"}, {"read", "write"}]), st.sampled_from([None, 3.0, 30.0]), st.booleans(),
        ),
        st.tuples(st.just("revoke"), NAMES, NAMES, st.sampled_from(["agent:a", "workflow:w", "step:w:s"])),
        st.tuples(st.just("cut_off"), NAMES, st.booleans()),
        st.tuples(st.just("restore"), NAMES),
        st.tuples(st.just("boundary"), st.sampled_from(["strict", "read-only"])),
        st.tuples(st.just("wait"), st.sampled_from([1, 10])),
    ),
    max_size=30,
)  # fmt: skip


@given(STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_after_any_steps_every_right_leads_back_to_the_owner_or_to_the_scopes_own_principal(steps):
    clock = ManualClock(step_ns=1000)
    with llmspell.open(":memory:", clock=clock) as store:
        store.state_of(A).set("k", 1)
        for step in steps:
            with contextlib.suppress(LlmspellError):
                take(store, clock, step)
            assert unrooted(store) == []
        assert store.verify().ok


def take(store, clock, step):
    what, *given_ = step
    if what == "wait":
        clock.advance(given_[0])
    elif what == "boundary":
        store.access.set_boundary("agent:a", given_[0])
    elif what == "cut_off":
        store.access.cut_off(given_[0], passed_on=given_[1])
    elif what == "restore":
        store.access.restore(given_[0])
    elif what == "revoke":
        by, principal, scope = given_
        room(store, by).revoke(principal, scope)
    else:
        by, principal, scope, names, expires_in_s, children = given_
        room(store, by).grant(principal, scope, names, expires_in_s=expires_in_s, children=children)


def room(store, by):
    return store.access if by == "owner" else store.acting_as(by).access


def unrooted(store):
    """Grants whose chain of grantors does not end: found by growing the set of those that are sound."""
    left = [(one, right) for one in store.access.grants(limit=1000) for right in one.rights]
    sound = []
    while True:
        more = [pair for pair in left if rooted(*pair, sound)]
        if not more:
            return left
        sound += more
        left = [pair for pair in left if pair not in more]


def rooted(grant, right, sound):
    if grant.granted_by == "owner" or (grant.granted_by == grant.scope and not grant.children):
        return True
    above = "workflow:w" if grant.scope == "step:w:s" else "global"
    for other, held in sound:
        lasts = other.expires_at is None or (grant.expires_at is not None and other.expires_at >= grant.expires_at)
        here = other.scope == grant.scope and other.children >= grant.children
        below = other.scope == above and other.children and not grant.children
        if other.principal == grant.granted_by and held == right and lasts and (here or below):
            return True
    return False


def test_what_lies_below_ones_own_scope_is_given_only_while_one_holds_it(store, b):
    step = Scope.step("w", "s")
    store.access.grant("workflow:w", "workflow:w", {"read"}, children=True)
    workflow = store.acting_as("workflow:w")
    workflow.access.grant("agent:b", "workflow:w", {"read"}, children=True)
    b.access.grant("agent:c", step, {"read"})
    b.access.grant("agent:d", "workflow:w", {"read"}, children=True)
    workflow.access.grant("agent:e", "workflow:w", {"read"})
    assert b.state_of(step).get("k") is None
    assert store.access.revoke("workflow:w", "workflow:w") == 4
    for principal in ("agent:b", "agent:c", "agent:d"):
        denied(lambda principal=principal: store.acting_as(principal).state_of(step).get("k"))
    assert [one.principal for one in store.access.grants()] == ["agent:e"], "of its own scope it may still give"
