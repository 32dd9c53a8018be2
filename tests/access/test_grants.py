"""Who may do what: own scope, grants, children, boundaries, expiry, cut-off."""

import pytest

import llmspell
from llmspell.errors import InvalidInput
from llmspell.model.clock import ManualClock
from llmspell.model.scope import Scope
from tests.access.conftest import A, B, denied, head

CALLS = {
    "get": (lambda state: state.get("k"), {"read"}),
    "entry": (lambda state: state.entry("k"), {"read"}),
    "exists": (lambda state: state.exists("k"), {"read"}),
    "get_many": (lambda state: state.get_many(["k"]), {"read"}),
    "history": (lambda state: state.history("k"), {"read"}),
    "keys": (lambda state: state.keys(), {"list"}),
    "items": (lambda state: state.items(), {"read", "list"}),
    "set": (lambda state: state.set("k", 1), {"write"}),
    "set sensitive": (lambda state: state.set("k", 1, state_class="sensitive"), {"write"}),
    "set ephemeral": (lambda state: state.set("e", 1, state_class="ephemeral"), {"read", "write", "delete", "list"}),
    "default class": (lambda state: state.set_default_class("sensitive"), {"read", "write", "delete", "list"}),
    "set_many": (lambda state: state.set_many({"k": 1, "l": 2}), {"write"}),
    "update": (lambda state: state.update("k", lambda value: [value]), {"read", "write"}),
    "delete": (lambda state: state.delete("k"), {"delete"}),
    "clear": (lambda state: state.clear(), {"delete"}),
    "copy_to": (lambda state: state.copy_to(Scope.agent("b")), {"read", "list"}),
    "move_to": (lambda state: state.move_to(Scope.agent("b")), {"read", "list", "delete"}),
}
ALL = {"read", "write", "delete", "list"}


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_needs_exactly_its_rights(store, a, b, name):
    call, needed = CALLS[name]
    foreign = b.state_of(A)
    for missing in sorted(needed):
        store.access.revoke("agent:b", "agent:a")
        store.access.grant("agent:b", "agent:a", ALL - {missing})
        before = store.state_of(A).items()
        error = denied(lambda: call(foreign))
        assert (error.details["principal"], error.details["scope"], error.details["right"]) == (
            "agent:b", "agent:a", missing,
        )  # fmt: skip
        assert f"agent:b may not {missing} agent:a" in error.message
        assert store.state_of(A).items() == before
    store.access.revoke("agent:b", "agent:a")
    store.access.grant("agent:b", "agent:a", needed)
    call(foreign)
    assert store.verify().ok


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_refused_in_ones_own_scope(store, a, name):
    call, _ = CALLS[name]
    if name in {"copy_to", "move_to"}:
        store.access.grant("agent:a", "agent:b", {"write"})
    call(a.own)
    assert "denied" not in {record.action for record in store.access.audit()}


def test_a_copy_needs_write_where_it_goes(store, a, b):
    store.access.grant("agent:b", "agent:a", ALL)
    for move in ("copy_to", "move_to"):
        error = denied(lambda move=move: getattr(b.state_of(A), move)(Scope.agent("c")))
        assert (error.details["scope"], error.details["right"]) == ("agent:c", "write")
    assert store.state_of(A).keys() == ["k"]
    assert store.state_of(Scope.agent("c")).keys() == []


def test_the_global_scope_is_closed_too(store, b):
    denied(lambda: b.state.get("k"))
    store.access.grant("agent:b", "global", {"read"})
    store.state.set("k", 1)
    assert b.state.get("k") == 1


def test_a_grant_of_one_scope_opens_no_other(store, a, b):
    store.access.grant("agent:b", "agent:a", ALL)
    for scope in (Scope.agent("c"), Scope.user("a"), Scope.custom("a"), Scope.agent("a:k"), Scope.agent("A")):
        denied(lambda scope=scope: b.state_of(scope).get("k"))


def test_whether_a_scope_or_key_exists_makes_no_difference(store, a, b):
    messages = set()
    for scope in (A, Scope.agent("never used")):
        for key in ("k", "no such key"):
            error = denied(lambda scope=scope, key=key: b.state_of(scope).get(key))
            messages.add(error.message.replace(scope.text, "X"))
    assert len(messages) == 1
    assert denied(lambda: b.state_of(Scope.agent("never used")).keys()).details["right"] == "list"
    assert denied(lambda: b.state_of(Scope.agent("never used")).history("k")).details["right"] == "read"


def test_rights_end_at_their_time_and_not_before(store, clock, a, b):
    store.access.grant("agent:b", "agent:a", {"read"}, expires_in_s=60)
    clock.advance(59)
    assert b.state_of(A).get("k") == "of a"
    assert len(store.access.grants()) == 1
    clock.advance(1)
    denied(lambda: b.state_of(A).get("k"))
    assert len(store.access.grants()) == 0


def test_rights_end_at_their_very_moment_in_the_scope_below_it_and_in_lists(tmp_path):
    clock = ManualClock()  # It stands still, so that the moment can be hit.
    with llmspell.open(tmp_path / "still", clock=clock) as store:
        b, session = store.acting_as("agent:b"), store.sessions.create("s", created_by="user:u")
        scopes = [A, Scope.step("w", "s"), Scope.session(session.id), Scope.session(store.sessions.create("t").id)]
        for scope in (A, Scope.workflow("w"), Scope.user("u"), scopes[-1]):
            store.access.grant("agent:b", scope, {"read", "write"}, expires_in_s=60, children=scope.kind != "session")
        clock.advance(60 - 1e-9)
        for scope in scopes:
            b.state_of(scope).set("k", 1)
            assert b.state_of(scope).get("k") == 1
        assert len(store.access.grants().items) == 4
        clock.advance(1e-9)
        for scope in scopes:
            denied(lambda scope=scope: b.state_of(scope).get("k"))
            denied(lambda scope=scope: b.state_of(scope).set("k", 2))
        assert store.access.grants().items == []


def test_a_later_grant_replaces_an_earlier_one_right_by_right(store, clock, a, b):
    store.access.grant("agent:b", "agent:a", {"read", "write"})
    store.access.grant("agent:b", "agent:a", {"write"}, expires_in_s=5)
    clock.advance(6)
    assert b.state_of(A).get("k") == "of a"
    denied(lambda: b.state_of(A).set("k", 1))
    assert [one.rights for one in store.access.grants()] == [("read",)]


def test_grants_boundaries_and_cut_offs_survive_a_restart(face, store, a):
    store.access.grant("agent:b", "agent:a", {"read"})
    store.access.set_boundary("shared:board", {"read", "write"})
    store.access.cut_off("agent:c")
    store = face.reopen()
    assert store.acting_as("agent:b").state_of(A).get("k") == "of a"
    denied(lambda: store.acting_as("agent:b").state_of(A).set("k", 1))
    assert store.acting_as("agent:x").state_of(Scope.shared("board")).set("k", 1) == 1
    denied(lambda: store.acting_as("agent:c").own.get("k"), "principal-cut-off")
    assert store.access.boundaries() == {"shared:board": ("read", "write")}
    assert store.access.cut_offs() == ["agent:c"]
    assert store.verify().ok


def test_a_boundary_is_what_everybody_may(store, a, b):
    assert store.access.set_boundary("agent:a", "read-only")
    assert not store.access.set_boundary("agent:a", "read-only")
    assert b.state_of(A).items() == [("k", "of a")]
    denied(lambda: b.state_of(A).set("k", 1))
    assert store.access.set_boundary("agent:a", {"write"})
    b.state_of(A).set("k", 1)
    denied(lambda: b.state_of(A).get("k"))
    assert store.access.set_boundary("agent:a", "strict")
    denied(lambda: b.state_of(A).set("k", 2))
    assert store.access.boundaries() == {}


def test_one_call_cuts_a_principal_off_and_another_restores_it(store, a, b):
    store.access.grant("agent:b", "agent:a", ALL)
    assert store.access.cut_off("agent:b")
    assert not store.access.cut_off("agent:b")
    for call in (
        lambda: b.own.get("k"), lambda: b.own.set("k", 1), lambda: b.state_of(A).get("k"),
        lambda: b.own.set("k", 1, state_class="ephemeral"), lambda: b.events.publish("x.y"),
        lambda: b.events.subscribe("x.*"), lambda: b.access.grant("agent:c", "agent:b", {"read"}),
        lambda: b.access.revoke("agent:c", "agent:b"), b.access.grants, b.access.audit,
        lambda: b.sharing.broadcast("x.y", 1, ["agent:a"]), lambda: b.sharing.request("x.y", 1, "agent:a"),
    ):  # fmt: skip
        denied(call, "principal-cut-off")
    assert a.own.get("k") == "of a"
    assert store.access.restore("agent:b")
    assert not store.access.restore("agent:b")
    assert b.state_of(A).get("k") == "of a"


def test_a_refusal_of_whom_is_cut_off_says_what_it_wanted(store, b):
    store.access.cut_off("agent:b")
    wanted = denied(lambda: b.state_of(A).get("k"), "principal-cut-off")
    assert str(wanted) == "agent:b is cut off and may do nothing, not even read agent:a"


def test_a_cut_off_holds_in_what_a_boundary_opens(store, a, b):
    store.access.set_boundary("agent:a", "read-only")
    store.access.cut_off("agent:b")
    denied(lambda: b.state_of(A).get("k"), "principal-cut-off")


def test_children_open_the_scopes_directly_below(store, b):
    step, other = Scope.step("w", "s"), Scope.step("v", "s")
    store.state_of(step).set("k", 1)
    store.access.grant("agent:b", "workflow:w", {"read"})
    denied(lambda: b.state_of(step).get("k"))
    store.access.grant("agent:b", "workflow:w", {"read"}, children=True)
    assert b.state_of(step).get("k") == 1
    denied(lambda: b.state_of(other).get("k"))
    store.access.grant("agent:b", "workflow:w", {"read"})
    denied(lambda: b.state_of(step).get("k"))
    workflow = store.acting_as("workflow:w")
    denied(lambda: workflow.state_of(step).get("k"))
    store.access.grant("workflow:w", "workflow:w", {"read"}, children=True)
    assert workflow.state_of(step).get("k") == 1, "below its own scope a principal needs a grant as well"


def test_a_session_lies_below_the_user_who_created_it(store):
    mine = store.sessions.create("one", created_by="user:al:ice%", state={"k": 1})
    other = store.sessions.create("two", created_by="alice", state={"k": 2})
    parent = store.acting_as("tool:t")
    store.access.grant("tool:t", Scope.user("al:ice%"), {"read"}, children=True)
    assert parent.state_of(Scope.session(mine.id)).get("k") == 1
    denied(lambda: parent.state_of(Scope.session(other.id)).get("k"))
    denied(lambda: parent.state_of(Scope.session(mine.id.upper())).get("k"))
    store.access.grant("tool:t", "global", {"read"}, children=True)
    assert parent.state_of(Scope.session(other.id)).get("k") == 2
    store.access.revoke("tool:t", Scope.user("al:ice%"))
    denied(lambda: parent.state_of(Scope.session(mine.id)).get("k"))


def test_a_session_that_was_deleted_lies_below_nothing(store, b):
    session = store.sessions.create("one", created_by="user:alice", state={"diary": "private"})
    past = b.state_of(Scope.session(session.id))
    store.access.grant("agent:b", "global", ALL, children=True)
    denied(lambda: past.history("diary"))
    store.sessions.delete(session.id)
    denied(lambda: past.history("diary"))
    denied(lambda: b.access.grant("agent:c", Scope.session(session.id), {"read"}), "grant-exceeds")
    assert store.verify().ok


@pytest.mark.parametrize("end", ["delete", "shred"])
def test_every_right_in_and_of_a_session_ends_with_it(face, store, a, b, end):
    session = store.sessions.create("one")
    scope = Scope.session(session.id)
    member = store.acting_as(scope)
    store.access.grant("agent:b", scope, ALL, expires_in_s=3600)
    store.access.grant(scope, "agent:a", {"read"})
    member.access.grant("agent:d", "agent:a", {"read"})
    member.access.grant("agent:d", scope, {"read"})
    store.acting_as("agent:d").access.grant("agent:e", "agent:a", {"read"})
    store.access.grant("agent:b", "agent:a", {"list"})
    store.access.set_boundary(scope, "read-only")
    session.complete()
    getattr(store.sessions, end)(session.id)
    first = store
    for store in face.both(first):  # noqa: PLR1704
        assert [(one.principal, one.scope) for one in store.access.grants()] == [("agent:b", "agent:a")]
        assert store.access.boundaries() == {}
        denied(lambda store=store: store.acting_as("agent:b").state_of(scope).set("k", 1))
        denied(lambda store=store: store.acting_as(scope).state_of(A).get("k"))
        assert store.verify().ok


@pytest.mark.parametrize("end", ["delete", "shred"])
def test_nobody_is_let_into_the_scope_of_a_session_that_ended_nor_it_anywhere(face, store, a, b, end):
    scope = Scope.session(store.sessions.create("one", state={"k": 1}).id)
    store.sessions.open("one").complete()
    getattr(store.sessions, end)(scope.ids[0])
    first = store
    for store in face.both(first):  # noqa: PLR1704
        before = head(store)
        for call in (
            lambda store=store: store.access.grant("agent:b", scope, {"read"}),
            lambda store=store: store.access.grant(scope, "agent:a", {"read"}),
            lambda store=store: store.access.set_boundary(scope, "read-only"),
            lambda store=store: store.sharing.collaborate("board", [scope, "agent:a"]),
        ):
            with pytest.raises(llmspell.NotFound) as refused:
                call()
            assert refused.value.code == "session-not-found"
        assert head(store) == before
        assert store.access.revoke("agent:b", scope) == 0
        assert not store.access.set_boundary(scope, "strict")
        assert store.access.cut_off(scope)
        assert store.access.restore(scope)
        denied(lambda store=store: store.acting_as("agent:b").access.grant("agent:c", scope, {"read"}), "grant-exceeds")


def test_an_id_that_no_session_ever_had_is_a_name_like_any_other(store, b):
    scope = Scope.session("0199aaaa-0000-7000-8000-000000000001")
    store.access.grant("agent:b", scope, ALL)
    b.state_of(scope).set("k", 1)
    store.access.grant(scope, "agent:a", {"read"})
    assert store.access.set_boundary(scope, "read-only")


def test_children_reach_one_level_and_never_a_shared_scope(store, b):
    store.access.grant("agent:b", "global", ALL, children=True)
    assert b.state_of(Scope.workflow("w")).keys() == []
    denied(lambda: b.state_of(Scope.step("w", "s")).keys())
    denied(lambda: b.state_of(Scope.shared("board")).keys())


def test_entries_of_a_principal_have_it_as_their_actor(store, a, b):
    store.access.grant("agent:b", "agent:a", ALL)
    with store.sessions.create("s"):
        b.state_of(A).set("k", 1)
        b.state_of(A).delete("k")
    b.events.publish("x.y")
    acts = [(entry.kind, entry.actor) for entry in store.timeline(kinds=["state.*", "event.published"])]
    assert acts == [
        ("state.set", "agent:a"), ("state.set", "agent:b"), ("state.deleted", "agent:b"),
        ("event.published", "agent:b"),
    ]  # fmt: skip
    assert store.timeline(kinds=["state.deleted"]).items[0].session is not None


def test_hooks_are_not_asked_about_what_is_refused(store, a, b):
    asked = []
    for point in ("before_state_get", "before_state_set", "before_state_clear", "before_state_copy",
                  "before_state_delete", "before_state_move", "before_event_publish"):  # fmt: skip
        store.hooks.register(point, lambda context: asked.append(context.point))
    foreign = b.state_of(A)
    for call in (
        lambda: foreign.get("k"), lambda: foreign.set("k", 1), foreign.clear, lambda: foreign.delete("k"),
        lambda: foreign.copy_to(B), lambda: foreign.move_to(B), lambda: foreign.set_many({"k": 1}),
    ):  # fmt: skip
        denied(call)
    store.access.cut_off("agent:b")
    denied(lambda: b.events.publish("x.y"), "principal-cut-off")
    assert asked == []


def test_hooks_watch_what_is_allowed(store, a, b):
    seen = []
    store.hooks.register("before_state_set", lambda context: seen.append(context.data["key"]))
    store.access.grant("agent:b", "agent:a", {"write"})
    b.state_of(A).set("k", 1)
    assert seen == ["k"]


def test_values_in_memory_are_isolated_too(store, a, b):
    store.state_of(A).set("e", 1, state_class="ephemeral")
    for call in (
        lambda: b.state_of(A).get("e"), lambda: b.state_of(A).delete("e"), lambda: b.state_of(A).clear(),
        lambda: b.state_of(A).get_many(["e"]), lambda: b.state_of(A).keys(),
        lambda: b.state_of(A, state_class="ephemeral").set("e", 2),
    ):  # fmt: skip
        denied(call)
    assert a.own.get("e") == 1


@pytest.mark.parametrize("call,code", [
    (lambda store: store.access.grant("agent:a", "agent:a", {"read"}), "own-scope"),
    (lambda store: store.acting_as("agent:a").access.grant("agent:a", "agent:b", {"read"}), "own-scope"),
    (lambda store: store.access.grant("agent:a", "agent:b", "read"), "invalid-right"),
    (lambda store: store.access.grant("agent:a", "agent:b", set()), "invalid-right"),
    (lambda store: store.access.grant("agent:a", "agent:b", {"admin"}), "invalid-right"),
    (lambda store: store.access.grant("agent:a", "agent:b", [1]), "invalid-right"),
    (lambda store: store.access.grant("agent:a", "agent:b", {"read"}, children="yes"), "invalid-right"),
    (lambda store: store.access.grant("agent:a", "agent:b", {"read"}, expires_in_s=0), "invalid-ttl"),
    (lambda store: store.access.grant("agent:a", "agent:b", {"read"}, expires_in_s=float("nan")), "invalid-ttl"),
    (lambda store: store.access.grant("agent:a", "agent:b", {"read"}, expires_in_s=True), "invalid-ttl"),
    (lambda store: store.access.grant("agent:a", 5, {"read"}), "invalid-scope"),
    (lambda store: store.access.grant("global", "agent:b", {"read"}), "invalid-principal"),
    (lambda store: store.access.revoke("agent:a", "agent:b", []), "invalid-right"),
    (lambda store: store.access.set_boundary("agent:a", "open"), "invalid-boundary"),
    (lambda store: store.access.grants(cursor="x"), "invalid-cursor"),
    (lambda store: store.access.audit(limit=0), "invalid-limit"),
    (lambda store: store.acting_as("agent:a").state_of("agent:b"), "invalid-scope"),
    (lambda store: store.acting_as("agent:a").own.copy_to("agent:b"), "invalid-scope"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name_and_writes_nothing(store, call, code):
    before = head(store)
    with pytest.raises(InvalidInput) as error:
        call(store)
    assert error.value.code == code
    assert head(store) == before


def test_grants_are_listed_by_pages_and_by_whose_they_are(store):
    for number in range(5):
        store.access.grant(f"agent:{number}", "shared:x" if number % 2 else "shared:y", {"read", "list"})
    page = store.access.grants(limit=2)
    seen = [one.principal for one in page]
    while page.next_cursor:
        page = store.access.grants(limit=2, cursor=page.next_cursor)
        seen += [one.principal for one in page]
    assert seen == [f"agent:{number}" for number in (4, 3, 2, 1, 0)]
    assert [one.principal for one in store.access.grants(scope="shared:x")] == ["agent:3", "agent:1"]
    assert [one.scope for one in store.access.grants(principal="agent:2")] == ["shared:y"]
    assert store.access.grants(principal="agent:2").items[0].to_dict()["rights"] == ["read", "list"]


def test_the_audit_is_read_by_pages_newest_first(store):
    for number in range(5):
        store.access.grant(f"agent:{number}", "shared:x", {"read"})
    page = store.access.audit(limit=2)
    seen = [one.principal for one in page]
    while page.next_cursor:
        page = store.access.audit(limit=2, cursor=page.next_cursor)
        seen += [one.principal for one in page]
    assert seen == [f"agent:{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("spelled", ["USER:bob", "User:bob", "user:bob"])
def test_a_creator_is_the_principal_that_the_same_text_acts_as(store, spelled):
    session = store.sessions.create("one", created_by=spelled, state={"k": 1})
    store.access.grant("user:bob", "user:bob", {"read"}, children=True)
    assert store.acting_as(spelled).state_of(Scope.session(session.id)).get("k") == 1
    assert session.info.created_by == store.acting_as(spelled).principal == "user:bob"
    assert [one.id for one in store.sessions.list(created_by=spelled)] == [session.id]


@pytest.mark.parametrize("name", ["alice", "Global", "USER:", "Mail: a@b", "custom:X", "A: step"])
def test_a_creator_that_is_no_principal_keeps_its_spelling(store, name):
    assert store.sessions.create("one", created_by=name).info.created_by == name
