"""Attempts to get out of one's scope, or to be taken for somebody else. Each must fail, whatever it is called."""

import contextlib
import inspect
from functools import partial

import pytest

from llmspell.access import rights, service
from llmspell.errors import InvalidInput, LlmspellError
from llmspell.model.scope import GLOBAL, Scope
from tests.access.conftest import A, denied

SECRET = "of agent:x:y"
TARGET = Scope.agent("x:y")
COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"

SPELLINGS = [
    "agent:x%3Ay", "agent:x%3ay", "agent:x%253Ay", "AGENT:X:Y", "agent:X:y", "agent:x::y", "agent:x:y ", " agent:x:y",
    "agent: x:y", "agent:x:y\u200b", "agent:x\uff1ay", "agent\uff1ax:y", "\u0430gent:x:y", "custom:agent:x:y",
    "custom:agent%3Ax%3Ay", "step:x:y", "step:agent:x:y", "agent:x", "agent:x:y:", "shared:agent:x:y", "agent:x:y%00",
    "agent:x:y/..", "agent:*", "agent:%", "agent:x_y", "' OR 1=1 --", "agent:x:y' OR '1'='1", "owner", "maintenance",
    "session:agent:x:y", "agent:x\x3ay\x00",
]  # fmt: skip


@pytest.fixture
def target(store):
    handle = store.acting_as(TARGET)
    handle.own.set("k", SECRET)
    return handle


@pytest.mark.parametrize("text", SPELLINGS)
def test_no_other_spelling_acts_as_the_principal(store, target, text):
    try:
        thief = store.acting_as(text)
    except InvalidInput:
        return
    assert thief.principal != target.principal
    assert thief.own.get("k") is None
    denied(lambda: thief.state_of(TARGET).get("k"))
    denied(lambda: thief.state_of(TARGET).set("k", "stolen"))
    thief.own.set("k", "mine")
    assert target.own.get("k") == SECRET


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_grant_on_another_spelling_opens_nothing(store, target, text):
    thief = store.acting_as("agent:thief")
    try:
        store.access.grant("agent:thief", text, {"read", "write", "delete", "list"}, children=True)
    except InvalidInput:
        return
    denied(lambda: thief.state_of(TARGET).get("k"))


@pytest.mark.parametrize("text", SPELLINGS)
def test_what_is_spelled_otherwise_is_another_scope(store, target, text):
    try:
        scope = Scope.parse(text)
    except InvalidInput:
        return
    assert scope != TARGET
    error = denied(lambda: store.acting_as("agent:thief").state_of(scope).get("k"))
    assert error.details["scope"] != TARGET.text


def test_the_text_of_a_principal_means_it_again(store, target):
    for scope in (TARGET, Scope.user("100%"), Scope.custom("agent:x:y"), Scope.agent("a%3Ab"), Scope.step("w", "s:t"),
                  Scope.session("x"), Scope.tool("\u00e4")):  # fmt: skip
        handle = store.acting_as(scope)
        assert Scope.parse(handle.principal) == scope
        assert store.acting_as(handle.principal).principal == handle.principal
    assert store.acting_as(target.principal).own.get("k") == SECRET


@pytest.mark.parametrize("given", [
    "global", GLOBAL, "GLOBAL", "shared:x", Scope.shared("x"), "", "agent:", 5, None, b"agent:a", "agent:a\n",
    "agent:a\x00", "agent:" + "x" * 250, "agent:\ud800", Scope.step("a:b", "c"), f"user:{DECOMPOSED}",
    Scope.user(DECOMPOSED), ["agent:a"],
])  # fmt: skip
def test_what_cannot_be_a_principal_is_refused(store, given):
    with pytest.raises(InvalidInput) as error:
        store.acting_as(given)
    assert error.value.code == "invalid-principal"


UNSEEN = [
    "a\u200b",
    "\ufeffa",
    "a\u200d",
    "\u200ca",
    "a\u200db",
    "a\u202eb",
    "a\u00adb",
    "a\u2066b",
    "a ",
    " a",
    "a\u00a0",
    "a\u3000",
    "a\u3164",
    "a\u2800b",
    "a\u034fb",
]


@pytest.mark.parametrize("text", [f"agent:{name}" for name in UNSEEN] + ["step:w :s", "step:w: s"], ids=ascii)
def test_no_two_principals_differ_in_what_nobody_sees(store, text):
    for call in (
        lambda: store.acting_as(text), lambda: store.access.grant(text, "agent:x", {"read"}),
        lambda: store.access.cut_off(text),
        lambda: store.sharing.collaborate("board", ["agent:a", text]),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as error:
            call()
        assert error.value.code == "invalid-principal"


@pytest.mark.parametrize(
    "name", ["two words", "\U0001f469\u200d\U0001f4bb", "\u0645\u06cc\u200c\u062e\u0648", "a-b.c@d/e%2A*"]
)
def test_names_of_all_scripts_are_principals(store, name):
    store.acting_as(Scope.agent(name)).own.set("k", 1)
    assert store.state_of(Scope.agent(name)).get("k") == 1


def test_two_normal_forms_of_a_name_are_never_mixed_up(store):
    store.acting_as(f"user:{COMPOSED}").own.set("k", SECRET)
    store.state_of(Scope.user(DECOMPOSED)).set("k", "other")
    assert store.acting_as(f"user:{COMPOSED}").own.get("k") == SECRET
    denied(lambda: store.acting_as(f"user:{COMPOSED}").state_of(Scope.user(DECOMPOSED)).get("k"))


@pytest.mark.parametrize("name", [
    "acting_as", "sessions", "session", "artifacts", "hooks", "timeline", "journal", "keys", "close", "verify", "stats",
    "correlate", "protection", "path",
])  # fmt: skip
def test_the_handle_has_no_way_to_what_is_not_isolated(store, name):
    handle = store.acting_as("agent:a")
    with pytest.raises(AttributeError):
        getattr(handle, name)


def test_everything_public_of_a_principals_handle_is_known_here(store):
    handle = getattr(store.acting_as("agent:a"), "_inner", None) or store.acting_as("agent:a")
    names = {name for name in dir(handle) if not name.startswith("_")}
    assert names == {"principal", "own", "state", "state_of", "access", "events", "sharing"}
    for room in ("own", "state", "access", "events", "sharing"):
        for name, member in inspect.getmembers(getattr(handle, room)):
            if not name.startswith("_") and not callable(member):
                assert isinstance(member, Scope), f"{room}.{name} leads outside"


def test_a_guessed_key_tells_nothing(store, a, b):
    errors = []
    for key in ("k", "../k", "agent:a:k", "k\x00", "__proto__", "k' OR 1=1"):
        with pytest.raises(LlmspellError) as error:
            b.state_of(A).get(key)
        errors.append(error.value.code)
    assert set(errors) == {"access-denied", "invalid-key"}


def test_a_conflict_is_no_way_to_read(store, a, b):
    for version in (0, 1, 2):
        denied(lambda version=version: b.state_of(A).set("k", "x", if_version=version))
        denied(lambda version=version: b.state_of(A).delete("k", if_version=version))


def test_a_hook_of_ones_own_is_no_way_out(store, b):
    assert not hasattr(b, "hooks")
    store.hooks.register("before_state_set", lambda context: {"type": "redirect", "target": "../agent:a"},
                         language="lua")  # fmt: skip
    store.state_of(A)
    with contextlib.suppress(LlmspellError):
        b.own.set("k", 1)
    assert store.state_of(A).keys() == []


def test_a_grant_cannot_be_forged_by_an_event(store, a, b):
    for kind in ("access.granted", "access.restored", "state.set", "session.created"):
        with pytest.raises(InvalidInput) as error:
            b.events.publish(kind, {"principal": "agent:b", "scope": "agent:a", "rights": ["read"]})
        assert error.value.code == "reserved-type"
    denied(lambda: b.state_of(A).get("k"))


def test_nobody_publishes_under_a_name_that_is_not_its_own(store, b):
    with pytest.raises(TypeError):
        b.events.publish("x.y", source="agent:a")
    with pytest.raises(InvalidInput) as error:
        b.events.publish_many([{"type": "x.y", "source": "agent:a"}])
    assert error.value.code == "foreign-source"
    b.events.publish_many([{"type": "x.y"}, {"type": "x.y", "source": "agent:b"}])
    assert [entry.data["source"] for entry in store.timeline(kinds=["event.published"])] == ["agent:b"] * 2


def test_rights_in_a_users_sessions_need_the_stores_own_record_of_the_user(store, b):
    store.access.grant("agent:b", "user:u", {"read"}, children=True)
    for author in ("user:", "user:u2", "user:U", "xuser:u", "user:u:v", "User :u", None):
        session = store.sessions.create(f"by {author}", created_by=author, state={"k": 1})
        denied(lambda session=session: b.state_of(Scope.session(session.id)).get("k"))
    assert b.state_of(Scope.session(store.sessions.create("x", created_by="user:u", state={"k": 1}).id)).get("k") == 1


def test_ids_with_every_escape_stay_apart(store):
    ids = ["a", "a:b", "a%3Ab", "a%253Ab", "a b", "a\tb", "a%09b", "%", "%25"]
    for one in ids:
        store.state_of(Scope.agent(one)).set("k", one)
    for one in ids:
        store.access.grant("tool:t", Scope.agent(one), {"read"})
        for other in ids:
            if other == one:
                assert store.acting_as("tool:t").state_of(Scope.agent(other)).get("k") == other
            else:
                denied(lambda other=other: store.acting_as("tool:t").state_of(Scope.agent(other)).get("k"))
        assert store.access.revoke("tool:t", Scope.agent(one)) == 1


def test_what_is_no_event_and_no_name_is_refused(store):
    with pytest.raises(InvalidInput) as refused:
        store.acting_as("agent:a").sharing.respond({"request": "1"}, "an answer")
    assert refused.value.code == "not-a-request"
    with pytest.raises(InvalidInput) as refused:
        store.sharing.pipeline(5, ["agent:a", "agent:b"])
    assert refused.value.code == "invalid-scope"


@pytest.mark.parametrize("text", ["agent:a\u200b", "agent: a", "step:w :s"], ids=ascii)
def test_what_such_a_name_was_granted_before_can_be_seen_and_ended(face, store, monkeypatch, text):
    with monkeypatch.context() as before:
        before.setattr(service, "principal_of", partial(rights.principal_of, known=True))
        store.access.grant(text, "agent:x", {"read"})
        store.access.cut_off(text)
    for opened in face.both(store):
        assert [one.principal for one in opened.access.grants(principal=text).items] == [Scope.parse(text).text]
        assert opened.access.audit(principal=text).items
    assert opened.access.restore(text)
    assert opened.access.revoke(text, "agent:x") == 1
    assert not opened.access.grants().items
