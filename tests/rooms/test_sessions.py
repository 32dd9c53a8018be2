"""The sessions room: fields, statuses, checkpoints, deletion, lists that stay right while sessions change."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmspell
from llmspell.errors import Conflict, LlmspellError, NotFound
from llmspell.model import limits
from llmspell.model.clock import ManualClock
from llmspell.model.scope import Scope
from tests.rooms.conftest import sql

GIVEN = {
    "description": "Two lines\nof text",
    "tags": ["nlp", "käse"],
    "created_by": "alice",
    "metadata": {"user_id": "u", "deep": {"list": [1, None]}},
    "config": {"retention": 5, "on": True},
}


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


# -- fields ------------------------------------------------------------------------------------------------------------


def test_every_field_that_was_given_comes_back_also_after_opening_again(face, store):
    parent = store.sessions.create("parent")
    made = store.sessions.create("Research", parent=parent.id, state={"topic": "bees"}, **GIVEN)
    for opened in face.both(store):
        info = opened.sessions.get(made.id)
        assert (info.name, info.parent, str(info.status), info.reason) == ("Research", parent.id, "active", None)
        assert {field: getattr(info, field) for field in GIVEN} == GIVEN
        assert opened.sessions.open(made.id).state.get("topic") == "bees"
        assert info.created_at == info.started_at == info.updated_at
        assert info.ended_at is None
        assert info.operation_count == 2
        assert info == made.info
        assert info.to_dict() == made.info.to_dict()


def test_what_create_gives_is_what_a_read_gives(store):
    made = store.sessions.create("s", state={"a": 1, "b": 2}, **GIVEN)
    assert made.info == store.sessions.get(made.id)
    assert made.info == made.refresh()


def test_the_initial_state_is_one_transaction_with_the_session(store):
    head = store.stats()["last_seq"]
    assert code(lambda: store.sessions.create("s", state={"ok": 1, "..": 2})) == "invalid-key"
    assert code(lambda: store.sessions.create("s", state={"ok": 1, "bad": {1: 2}})) == "invalid-value"
    assert code(lambda: store.sessions.create("s", state={"caf\u00e9": 1, "cafe\u0301": 2})) == "duplicate-key"
    assert (
        code(lambda: store.sessions.create("s", parent="01900000-0000-7000-8000-000000000000")) == "session-not-found"
    )
    assert store.stats()["last_seq"] == head


BAD_FIELDS = {
    "name": ["", "a\nb", "x" * 256, 5, None, "\ud800"],
    "description": [5, "x" * (limits.DESCRIPTION_CHARS_MAX + 1), "\ud800"],
    "tags": ["one", [""], ["x" * 65], [5], 5, None, [str(n) for n in range(257)]],
    "created_by": ["", 5, "a\nb"],
    "metadata": [5, "text", [1], {1: 2}, {"a": float("nan")}],
    "config": [5, "text", {"a": {1}}],
    "state": [5, "text", [1]],
    "parent": ["", 5],
}


@pytest.mark.parametrize("field,value", [(field, value) for field, values in BAD_FIELDS.items() for value in values])
def test_a_field_that_breaks_a_rule_is_refused_by_name_and_makes_no_session(store, field, value):
    given = {"name": "s", field: value}
    refused = code(lambda: store.sessions.create(**given))
    assert refused.startswith("invalid-"), refused
    assert len(store.sessions.list()) == 0


def test_an_update_changes_what_is_given_and_keeps_the_rest_and_the_history(store):
    made = store.sessions.create("old", **GIVEN)
    info = made.update(name="new", tags=["x"], metadata={})
    assert (info.name, info.tags, info.metadata) == ("new", ["x"], {})
    assert (info.description, info.created_by, info.config) == ("Two lines\nof text", "alice", GIVEN["config"])
    assert made.info == info == store.sessions.get(made.id)
    assert info.updated_at > info.created_at
    assert made.update(description="").description == ""
    changes = store.timeline(kinds=["session.updated"]).items
    assert [entry.data["changed"] for entry in changes] == [
        {"name": "new", "tags": ["x"], "metadata": {}},
        {"description": ""},
    ]


def test_an_update_of_nothing_or_of_nonsense_is_refused(store):
    made = store.sessions.create("s")
    assert code(made.update) == "nothing-to-do"
    for field in ("name", "description", "tags", "metadata"):
        for value in BAD_FIELDS[field]:
            if value is not None:
                assert code(lambda field=field, value=value: made.update(**{field: value})).startswith("invalid-")


def test_counts_follow_what_is_done_in_the_session(store):
    made = store.sessions.create("s")
    made.state.set("a", 1)
    made.artifacts.put("x.txt", "twelve bytes")
    made.artifacts.put("x.txt", "twelve bytes")
    made.artifacts.put("y.txt", "four")
    info = made.refresh()
    assert (info.artifact_count, info.artifact_bytes, info.operation_count) == (3, 28, 5)
    made.artifacts.delete("x.txt")
    assert (made.refresh().artifact_count, made.info.artifact_bytes) == (1, 4)


# -- status ------------------------------------------------------------------------------------------------------------

STEPS = {
    "suspend": ("suspended", {"active"}),
    "resume": ("active", {"suspended", "failed"}),
    "complete": ("completed", {"active", "suspended"}),
    "fail": ("failed", {"active", "suspended"}),
    "archive": ("archived", {"completed", "failed"}),
}
WAYS = {
    "active": [],
    "suspended": ["suspend"],
    "completed": ["complete"],
    "failed": ["fail"],
    "archived": ["complete", "archive"],
}


def step(session, verb):
    return session.fail("why") if verb == "fail" else getattr(session, verb)()


@pytest.mark.parametrize("status,verb", list(itertools.product(WAYS, STEPS)))
def test_a_step_is_taken_exactly_when_it_is_legal_and_a_refusal_says_from_and_to(store, status, verb):
    session = store.sessions.create("s")
    for earlier in WAYS[status]:
        step(session, earlier)
    assert str(session.info.status) == status
    to, legal_from = STEPS[verb]
    if status in legal_from:
        assert str(step(session, verb).status) == to == str(store.sessions.get(session.id).status)
        return
    head = store.stats()["last_seq"]
    with pytest.raises(Conflict) as refused:
        step(session, verb)
    assert refused.value.code == "illegal-transition"
    assert refused.value.details == {"from": status, "to": to}
    assert status in refused.value.message
    assert to in refused.value.message
    assert store.stats()["last_seq"] == head
    assert str(store.sessions.get(session.id).status) == status


@pytest.mark.parametrize("before", ["completed", "failed"])
def test_unarchiving_gives_the_status_that_it_had(store, before):
    session = store.sessions.create("s")
    step(session, WAYS[before][0])
    ended = session.info.ended_at
    session.archive()
    assert session.info.ended_at == ended
    info = session.unarchive()
    assert (str(info.status), info.ended_at) == (before, ended)
    assert info.reason == ("why" if before == "failed" else None)


@pytest.mark.parametrize("status", ["active", "suspended", "completed", "failed"])
def test_only_an_archived_session_is_unarchived(store, status):
    session = store.sessions.create("s")
    for earlier in WAYS[status]:
        step(session, earlier)
    with pytest.raises(Conflict) as refused:
        session.unarchive()
    assert refused.value.details["from"] == status


def test_ending_sets_the_end_and_resuming_clears_it(store):
    session = store.sessions.create("s")
    session.fail("broken")
    assert (session.info.reason, session.info.ended_at) == ("broken", session.info.updated_at)
    session.resume()
    assert (session.info.reason, session.info.ended_at, str(session.info.status)) == (None, None, "active")


@pytest.mark.parametrize("reason", [5, None, "\ud800", "x" * (limits.DESCRIPTION_CHARS_MAX + 1)])
def test_a_reason_is_a_text_within_its_limit(store, reason):
    session = store.sessions.create("s")
    assert code(lambda: session.fail(reason)) == "invalid-text"
    assert str(session.refresh().status) == "active"


def test_two_handles_of_one_session_share_its_status(store):
    session = store.sessions.create("s")
    other = store.sessions.open("s")
    session.suspend()
    assert code(other.suspend) == "illegal-transition"
    assert str(other.info.status) == "active", "a handle shows its own last step"
    assert str(other.refresh().status) == "suspended"


# -- blocks ------------------------------------------------------------------------------------------------------------


def test_a_block_completes_its_session_and_everything_inside_belongs_to_it(store):
    with store.session("s", tags=["t"]) as session:
        store.state.set("a", 1)
        store.events.publish("x.y")
        store.artifacts.put("f.txt", "text")
    info = store.sessions.get(session.id)
    assert (str(info.status), info.tags) == ("completed", ["t"])
    kinds = [entry.kind for entry in session.timeline()]
    assert kinds == ["session.created", "state.set", "event.published", "artifact.stored", "session.completed"]
    store.state.set("after", 1)
    assert len(session.timeline()) == 5


def test_an_error_in_a_block_fails_the_session_with_the_reason_and_goes_through(store):
    with pytest.raises(ZeroDivisionError), store.session("s") as session:
        store.state.set("a", 1 // 0)
    info = store.sessions.get(session.id)
    assert (str(info.status), info.reason) == ("failed", "ZeroDivisionError: integer division or modulo by zero")


@pytest.mark.parametrize("text", ["bad \ud800 text", "x" * 50_000])
def test_an_error_whose_text_cannot_be_stored_as_it_is_still_goes_through(store, text):
    with pytest.raises(ValueError, match=r"^(bad|x)"), store.session("s") as session:
        raise ValueError(text)
    info = store.sessions.get(session.id)
    assert str(info.status) == "failed"
    assert info.reason.startswith("ValueError: ")


def fail_after(call):
    call()
    raise RuntimeError


def test_a_block_that_set_the_status_itself_keeps_it(store):
    with store.session("s") as session:
        session.suspend()
    assert str(store.sessions.get(session.id).status) == "suspended"
    with pytest.raises(RuntimeError), store.session("t") as session:
        fail_after(session.complete)
    assert str(store.sessions.get(session.id).status) == "completed"


def test_a_block_that_deleted_its_session_ends_quietly_or_with_its_own_error(store):
    with store.session("s") as session:
        store.sessions.delete(session.id)
    with pytest.raises(RuntimeError), store.session("t") as session:
        fail_after(lambda: store.sessions.delete(session.id))


def test_an_error_is_not_hidden_by_a_session_that_cannot_be_failed(store):
    @store.hooks.on("before_session_fail")
    def refuse(context):
        return llmspell.Cancel("not today")

    with pytest.raises(ZeroDivisionError) as through, store.session("s") as session:
        raise ZeroDivisionError
    assert any("not today" in note for note in through.value.__notes__)
    assert str(store.sessions.get(session.id).status) == "active"


def test_an_opened_session_is_a_block_that_ends_nothing(store):
    made = store.sessions.create("s")
    with store.sessions.open("s") as session:
        store.state.set("a", 1)
    assert str(store.sessions.get(made.id).status) == "active"
    assert [entry.kind for entry in session.timeline()] == ["session.created", "state.set"]


# -- save, checkpoint, restore -----------------------------------------------------------------------------------------


def test_restore_sets_the_state_back_and_loses_nothing(store):
    session = store.sessions.create("s", state={"a": 1, "b": [1], "long": "x" * 5000})
    seq = session.checkpoint("before")
    session.state.set("a", 2)
    session.state.delete("b")
    session.state.set("c", "new")
    session.state.set("long", "y" * 5000)
    assert session.restore("before") == 4
    assert dict(session.state.items()) == {"a": 1, "b": [1], "long": "x" * 5000}
    assert session.restore("before") == 0, "nothing differs any more"
    assert [change.value for change in session.state.history("a")] == [1, 2, 1]
    assert session.restore(seq) == 0
    assert store.verify().ok


def test_a_restored_state_has_the_hash_of_its_checkpoint(store):
    session = store.sessions.create("s", state={"a": 1, "long": "x" * 5000})
    session.checkpoint("one")
    session.state.set_many({"a": 2, "b": 3})
    session.checkpoint("two")
    session.restore("one")
    one, two = session.checkpoints()
    assert one.state_hash != two.state_hash
    restored = store.timeline(kinds=["session.restored"]).items[0]
    assert restored.data["state_hash"] == one.state_hash
    assert (restored.data["label"], restored.data["changed"]) == ("one", 2)


def test_restore_to_a_seq_gives_the_state_as_it_was_at_that_entry(store):
    session = store.sessions.create("s")
    states = {}
    for n in range(6):
        session.state.set(f"k{n % 3}", n)
        states[store.stats()["last_seq"]] = dict(session.state.items())
    for seq, expected in states.items():
        session.restore(seq)
        assert dict(session.state.items()) == expected


def test_a_restored_value_keeps_its_time_to_live(store, clock):
    session = store.sessions.create("s")
    session.state.set("soon", 1, ttl_s=10)
    session.state.set("late", 1, ttl_s=1000)
    session.checkpoint("c")
    session.state.clear()
    clock.advance(20)
    assert session.restore("c") == 1
    assert dict(session.state.items()) == {"late": 1}
    clock.advance(1000)
    assert session.state.items() == []


def test_checkpoints_are_listed_in_order_and_a_label_is_used_once(face, store):
    session = store.sessions.create("s")
    first = session.checkpoint("one")
    second = session.checkpoint("two")
    assert code(lambda: session.checkpoint("one")) == "checkpoint-exists"
    for opened in face.both(store):
        found = opened.sessions.open("s").checkpoints()
        assert [(mark.label, mark.seq) for mark in found] == [("one", first), ("two", second)]
        assert found[0].to_dict()["label"] == "one"


@pytest.mark.parametrize("to", ["none-such", "", 0, -1, 10**9, 1.5, True, None])
def test_a_place_that_is_none_to_restore_to_is_refused(store, to):
    store.state.set("before", 1)
    session = store.sessions.create("s")
    assert code(lambda: session.restore(to)) in {"checkpoint-not-found", "invalid-seq"}


def test_two_spellings_of_a_label_are_one_checkpoint(store):
    session = store.sessions.create("s", state={"a": 1})
    session.checkpoint("cafe\u0301")
    session.state.set("a", 2)
    assert code(lambda: session.checkpoint("caf\u00e9")) == "checkpoint-exists"
    for spelling in ("caf\u00e9", "cafe\u0301"):
        session.restore(spelling)
        assert session.state.get("a") == 1


def test_a_seq_before_the_session_is_refused(store):
    store.state.set("before", 1)
    session = store.sessions.create("s")
    assert code(lambda: session.restore(session.timeline().items[0].seq - 1)) == "invalid-seq"


def test_save_writes_its_entry_and_syncs_everything_acknowledged(face, store):
    session = store.sessions.create("s", state={"a": 1})
    session.artifacts.put("large.bin", bytes(range(256)) * 2000)
    before = session.info.updated_at
    assert session.save().updated_at > before
    entry = store.timeline(kinds=["session.saved"]).items[0]
    assert entry.data["id"] == session.id
    session.checkpoint("c")
    assert session.checkpoints()[0].state_hash == entry.data["state_hash"]


# -- deletion ----------------------------------------------------------------------------------------------------------


def test_deleting_removes_state_and_artifacts_of_the_session_and_of_no_other(face, store):
    gone, kept = store.sessions.create("gone", state={"a": 1}), store.sessions.create("kept", state={"a": 2})
    artifact = gone.artifacts.put("f.txt", "gone")
    stays = kept.artifacts.put("f.txt", "kept")
    store.sessions.delete(gone.id)
    for opened in face.both(store):
        assert code(lambda opened=opened: opened.sessions.get(gone.id)) == "session-not-found"
        assert [info.name for info in opened.sessions.list()] == ["kept"]
        assert opened.state_of(Scope.session(gone.id)).keys() == []
        assert code(lambda opened=opened: opened.artifacts.get(artifact.id)) == "artifact-not-found"
        assert opened.artifacts.get(stays.id).text() == "kept"
        assert opened.sessions.open("kept").state.get("a") == 2
        assert opened.verify().ok


def test_the_journal_keeps_what_happened_in_a_deleted_session(store):
    session = store.sessions.create("s", state={"a": 1})
    store.sessions.delete("s")
    kinds = [entry.kind for entry in store.timeline(session=session.id)]
    assert kinds == ["session.created", "state.set", "state.deleted", "session.deleted"]


def test_every_step_on_a_deleted_session_is_not_found(store):
    session = store.sessions.create("s")
    store.sessions.delete(session.id)
    for call in (
        session.suspend, session.complete, session.archive, session.unarchive, session.save, session.refresh,
        lambda: session.fail("x"), lambda: session.checkpoint("c"), lambda: session.update(name="x"),
        lambda: session.artifacts.put("x", b"x"), lambda: store.sessions.delete(session.id),
        lambda: store.sessions.open(session.id),
    ):  # fmt: skip
        with pytest.raises(NotFound) as refused:
            call()
        assert refused.value.code == "session-not-found"


# -- naming and listing ------------------------------------------------------------------------------------------------


def test_a_session_is_named_by_id_or_by_its_unique_name_in_any_spelling(store):
    made = store.sessions.create("caf\u00e9")
    assert store.sessions.get("cafe\u0301").id == made.id == store.sessions.open(made.id).id
    assert [info.id for info in store.sessions.list(name="cafe\u0301")] == [made.id]
    assert code(lambda: store.sessions.get("nobody")) == "session-not-found"
    assert code(lambda: store.sessions.get("")) == "invalid-id"
    assert code(lambda: store.sessions.get(5)) == "invalid-id"


def test_a_name_that_several_have_is_refused_and_an_id_works(store):
    one, _ = store.sessions.create("twin"), store.sessions.create("twin")
    for call in (store.sessions.get, store.sessions.open, store.sessions.delete):
        with pytest.raises(Conflict) as refused:
            call("twin")
        assert refused.value.code == "ambiguous-name"
    store.sessions.delete(one.id)
    assert store.sessions.get("twin").id != one.id


def test_every_filter_of_list_holds_and_they_hold_together(store):
    parent = store.sessions.create("p", tags=["x"], created_by="alice")
    store.sessions.create("a", tags=["x", "y"], created_by="alice", parent=parent.id)
    store.sessions.create("b", tags=["y"], created_by="bob", parent=parent.id).suspend()
    store.sessions.create("c", tags=["xy"]).complete()

    def names(**filters):
        return [info.name for info in store.sessions.list(order_by="created_at", **filters)]

    assert names() == ["p", "a", "b", "c"]
    assert names(status="active") == ["p", "a"]
    assert names(status="completed") == ["c"]
    assert names(tags=["x"]) == ["p", "a"]
    assert names(tags=["x", "y"]) == ["a"]
    assert names(created_by="alice") == ["p", "a"]
    assert names(parent=parent.id) == ["a", "b"]
    assert names(name="b") == ["b"]
    assert names(parent=parent.id, status="suspended", tags=["y"], created_by="bob") == ["b"]
    assert names(tags=["%"]) == []


def test_lists_are_ordered_as_asked(store):
    made = [store.sessions.create(name) for name in "abc"]
    made[0].update(tags=["touched"])

    def names(order_by):
        return [info.name for info in store.sessions.list(order_by=order_by)]

    assert names("created_at") == ["a", "b", "c"]
    assert names("-created_at") == ["c", "b", "a"]
    assert names("updated_at") == ["b", "c", "a"]
    assert names("-updated_at") == ["a", "c", "b"]
    assert [info.name for info in store.sessions.list()] == ["a", "c", "b"]


BAD_LISTS = [
    {"status": "asleep"}, {"order_by": "size"}, {"order_by": "--created_at"}, {"order_by": 5}, {"limit": 0},
    {"limit": 10_001}, {"limit": 1.5}, {"limit": True}, {"parent": ""}, {"tags": "x"}, {"created_by": 5},
    {"created_by": {}}, {"name": 5}, {"cursor": "garbage"}, {"cursor": ""}, {"cursor": 5}, {"cursor": "\ud800"},
]  # fmt: skip


@pytest.mark.parametrize("arguments", BAD_LISTS, ids=str)
def test_a_list_refuses_arguments_that_break_a_rule(store, arguments):
    assert code(lambda: store.sessions.list(**arguments)).startswith("invalid-")


def test_a_cursor_that_was_forged_is_refused(store):
    from llmspell.model.page import write_cursor

    for number in range(3):
        store.sessions.create(f"s{number}")
    real = store.sessions.list(limit=1, order_by="created_at").next_cursor
    assert code(lambda: store.sessions.list(limit=1, order_by="updated_at", cursor=real)) == "invalid-cursor"
    forged = [
        ("artifacts", "a", 1), ("sessions", "created_at", 5, 7, "00"), ("sessions", "created_at", "5", "aa", "bb"),
        ("sessions", "created_at", 5, "zz", "00"), ("sessions", "created_at", 5, "00", "zz"),
        ("sessions", "created_at", 2**70, "00", "00"), ("sessions", "created_at", -1, "00", "00"),
        ("sessions", "created_at", 5, "00", None), ("sessions", "created_at", 5, {}, "00"),
        ("sessions", ["created_at"], 5, "00", "00"), ("sessions", "created_at", True, "00", "00"),
    ]  # fmt: skip
    for parts in forged:
        cursor = write_cursor(*parts)
        assert code(lambda cursor=cursor: store.sessions.list(limit=1, order_by="created_at", cursor=cursor)) == (
            "invalid-cursor"
        ), parts
    edge = write_cursor("sessions", "updated_at", 5, "text", "00")
    assert code(lambda: store.sessions.list(order_by="updated_at", cursor=edge)) == "invalid-cursor"


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    count=st.integers(1, 9),
    limit=st.integers(1, 4),
    order_by=st.sampled_from(["created_at", "-created_at", "updated_at", "-updated_at"]),
    status=st.sampled_from([None, "active"]),
    between=st.lists(
        st.tuples(st.sampled_from(["update", "complete", "delete", "create", "rename"]), st.integers(0, 8)), max_size=8
    ),
)
def test_paging_gives_the_sessions_of_the_first_page_whatever_happens_meanwhile(
    count, limit, order_by, status, between
):
    with llmspell.open(":memory:", clock=ManualClock(step_ns=1000)) as store:
        sessions = [store.sessions.create(f"s{n}") for n in range(count)]
        for session in sessions[::3]:
            session.update(tags=["touched"])
        for session in sessions[1::4]:
            session.suspend()
        expected = [
            (info.id, info.name, str(info.status)) for info in store.sessions.list(order_by=order_by, status=status)
        ]
        found, cursor = [], None
        changes = iter(between)
        while True:
            page = store.sessions.list(order_by=order_by, status=status, limit=limit, cursor=cursor)
            assert len(page) <= limit
            found += [(info.id, info.name, str(info.status)) for info in page]
            cursor = page.next_cursor
            if cursor is None:
                break
            disturb(store, sessions, next(changes, None))
        assert found == expected


def disturb(store, sessions, change):
    if change is None:
        return
    what, which = change
    session = sessions[which % len(sessions)]
    try:
        if what == "create":
            store.sessions.create("new")
        elif what == "delete":
            store.sessions.delete(session.id)
        elif what == "complete":
            session.complete()
        elif what == "rename":
            session.update(name=session.info.name + "x")
        else:
            session.update(metadata={"n": which})
    except (Conflict, NotFound):
        return  # Completed twice, or deleted before: it stays as it is.


def test_a_damaged_name_is_found_by_verify(face, store):
    store.sessions.create("s")
    sql(face, store)("UPDATE session SET name = 'other'")
    report = store.verify()
    assert [finding.where for finding in report.findings] == ["session"]
