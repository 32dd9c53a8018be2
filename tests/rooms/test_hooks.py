"""Hooks around the rooms' operations: every point fires, and each result does what the table of results promises."""

import tempfile
from pathlib import Path

import pytest

import llmspell
from llmspell.errors import Conflict, InvalidInput, Vetoed
from llmspell.hooks.points import RULES
from llmspell.hooks.results import Cancel, Modified, Redirect, Replace, Retry, Skipped
from llmspell.model import limits
from llmspell.model.names import POINTS
from llmspell.model.scope import Scope

ROOMS = ("state", "session", "artifact", "event")
NOT_HERE = {
    "event_handler_error": "a callback runs outside of any operation; its failures go to the log",
}


def room_of(point):
    parts = point.split("_")
    return parts[1] if parts[0] in {"before", "after"} else parts[0]


EXPECTED = [point.name for point in POINTS if room_of(point.name) in ROOMS and point.name not in NOT_HERE]


def conflict(store):
    with pytest.raises(Conflict):
        store.state.set("a", 1, if_version=99)


def suspended(store):
    store.sessions.create("t").suspend()


def failed(store):
    store.sessions.create("t").fail("why")


def archived(store):
    session = store.sessions.create("t")
    session.complete()
    session.archive()
    session.unarchive()


def stored(store):
    session = store.sessions.create("t")
    session.artifacts.put("f.txt", "text")
    session.artifacts.get("f.txt")
    session.artifacts.update("f.txt", tags=["x"])
    session.artifacts.delete("f.txt")
    session.artifacts.undelete("f.txt")


def offered(store):
    store.captures.set_rules([{"name": "all"}])
    store.sessions.create("t").captures.offer("text", source="tool")


def saved(store):
    session = store.sessions.create("t", state={"a": 1})
    session.checkpoint("c")
    session.state.set("a", 2)
    session.restore("c")
    session.save()


def ported(store):
    with tempfile.TemporaryDirectory() as folder:
        store.sessions.export("s", Path(folder) / "s.bundle")
        store.sessions.import_(Path(folder) / "s.bundle", on_conflict="rename")


# What makes the points of an operation fire.
OPERATIONS = {
    "state_get": lambda store: store.state.get("a"),
    "state_set": lambda store: store.state.set("a", 1),
    "state_delete": lambda store: (store.state.set("a", 1), store.state.delete("a")),
    "state_clear": lambda store: store.state.clear(),
    "state_copy": lambda store: store.state.copy_to(Scope.agent("b")),
    "state_move": lambda store: store.state.move_to(Scope.agent("b")),
    "state_conflict": conflict,
    "session_create": lambda store: store.sessions.create("t"),
    "session_fork": lambda store: store.sessions.fork("s"),
    "session_open": lambda store: store.sessions.open("s"),
    "session_update": lambda store: store.sessions.create("t").update(name="u"),
    "session_suspend": suspended,
    "session_resume": lambda store: (suspended(store), store.sessions.open("t").resume()),
    "session_complete": lambda store: store.sessions.create("t").complete(),
    "session_fail": failed,
    "session_archive": archived,
    "session_unarchive": archived,
    "session_save": saved,
    "session_restore": saved,
    "session_checkpoint": saved,
    "session_export": ported,
    "session_import": ported,
    "session_delete": lambda store: store.sessions.delete("s"),
    "artifact_put": stored,
    "artifact_get": stored,
    "artifact_update": stored,
    "artifact_delete": stored,
    "artifact_undelete": stored,
    "artifact_capture": offered,
    "event_publish": lambda store: store.events.publish("x.y", {"n": 1}),
}


@pytest.fixture
def ready(store):
    store.sessions.create("s", state={"a": 1})
    store.state.set("a", 0)
    return store


def operation_of(point):
    return OPERATIONS[point.removeprefix("before_").removeprefix("after_")]


@pytest.mark.parametrize("point", EXPECTED)
def test_every_point_of_the_rooms_fires(ready, point):
    seen = []
    ready.hooks.register(point, seen.append)
    operation_of(point)(ready)
    assert seen
    context = seen[0]
    assert (context.point, context.component) == (point, room_of(point))
    assert context.operation
    assert context.data


def test_every_point_that_belongs_to_a_room_is_expected_or_has_a_reason():
    belonging = {point.name for point in POINTS if room_of(point.name) in ROOMS}
    assert belonging == {*EXPECTED, *NOT_HERE}
    assert all(len(reason.split()) > 3 for reason in NOT_HERE.values())


# What is offered is answered: a refusal of it raises nothing.
BEFORE = [point for point in EXPECTED if point.startswith("before_") and point != "before_artifact_capture"]


@pytest.mark.parametrize("point", BEFORE)
def test_a_veto_at_any_before_point_reaches_the_caller_and_nothing_is_written(ready, point):
    heads = []

    def veto(context):
        heads.append(ready.stats()["last_seq"] if ready_is_blocking else None)
        return Cancel("not allowed")

    ready_is_blocking = isinstance(ready, llmspell.Store)
    ready.hooks.register(point, veto)
    with pytest.raises(Vetoed, match="not allowed"):
        operation_of(point)(ready)
    for head in heads:
        if head is not None:
            assert ready.stats()["last_seq"] == head


@pytest.mark.parametrize("point", EXPECTED)
def test_a_hook_that_raises_never_harms_the_operation(ready, point):
    def broken(context):
        raise ZeroDivisionError("in the hook")

    ready.hooks.register(point, broken)
    operation_of(point)(ready)
    assert ready.hooks.failures()[-1].code == "hook-raised"


@pytest.mark.parametrize("point", BEFORE)
def test_a_hook_that_must_agree_refuses_when_it_raises(ready, point):
    def broken(context):
        raise ZeroDivisionError

    ready.hooks.register(point, broken, on_failure="deny")
    with pytest.raises(Vetoed, match="failed"):
        operation_of(point)(ready)


@pytest.mark.parametrize("point", EXPECTED)
def test_what_a_hook_does_to_its_own_copy_changes_nothing(ready, point):
    def scribble(context):
        for key in list(context.data):
            context.data[key] = "scribbled"

    ready.hooks.register(point, scribble)
    operation_of(point)(ready)
    assert ready.hooks.failures() == ()
    assert ready.verify().ok


def test_empty_points_cost_nothing_no_context_is_even_built(ready, monkeypatch):
    def build(*args, **options):
        pytest.fail("a context was built for a point without hooks")

    monkeypatch.setattr("llmspell.hooks.moment.HookContext", build)
    ready.hooks.register("before_tool_execution", lambda context: None)
    for operation in ("state_get", "state_set", "state_delete", "event_publish", "session_open", "artifact_put"):
        OPERATIONS[operation](ready)
    saved(ready)


# -- what contexts say -------------------------------------------------------------------------------------------------


def spy(store, point):
    seen = []
    store.hooks.register(point, seen.append)
    return seen


def test_state_hooks_see_scope_key_both_values_operation_and_version(store):
    before, after = spy(store, "before_state_set"), spy(store, "after_state_set")
    store.state.set("k", 1)
    store.state.set("k", 2)
    assert before[1].data == {
        "scope": "global", "key": "k", "value": 2, "old_value": 1, "operation": "set", "version": 1,
    }  # fmt: skip
    assert after[1].data == {
        "scope": "global", "key": "k", "value": 2, "old_value": 1, "operation": "set", "version": 2,
    }  # fmt: skip
    gone = spy(store, "after_state_delete")
    store.state.delete("k")
    assert (gone[0].data["old_value"], gone[0].data["version"], gone[0].data["operation"]) == (2, 3, "delete")


def test_a_conflict_is_shown_with_what_was_wanted_and_what_was_found(store):
    seen = spy(store, "state_conflict")
    store.state.set("k", 1)
    conflict_of(lambda: store.state.set("k", 2, if_version=7))
    conflict_of(lambda: store.state.delete("k", if_version=8))
    found = [(one.data["operation"], one.data["if_version"], one.data["version"]) for one in seen]
    assert found == [("set", 7, 1), ("delete", 8, 1)]


def conflict_of(call):
    with pytest.raises(Conflict):
        call()


def test_session_hooks_see_the_session_and_its_correlation(store):
    seen = spy(store, "after_session_complete")
    with store.session("s", metadata={"user": "u"}) as session:
        pass
    assert seen[0].data["id"] == session.id == seen[0].session
    assert seen[0].data["info"]["metadata"] == {"user": "u"}
    assert seen[0].data["info"]["status"] == "completed"
    assert seen[0].correlation_id == session.info.correlation_id


def test_artifact_hooks_see_name_type_size_and_version(store):
    before, after = spy(store, "before_artifact_put"), spy(store, "after_artifact_put")
    session = store.sessions.create("s")
    session.artifacts.put("f.txt", "12345", type="code", metadata={"m": 1})
    assert before[0].data == {
        "session_id": session.id, "name": "f.txt", "type": "code", "size": 5, "tags": [], "metadata": {"m": 1},
        "version": None,
    }  # fmt: skip
    assert (after[0].data["version"], after[0].data["size"]) == (1, 5)


# -- modify ------------------------------------------------------------------------------------------------------------


def test_a_hook_may_change_the_value_that_is_set(store):
    store.hooks.register("before_state_set", lambda context: Modified({"value": context.data["value"] * 2}))
    store.state.set("a", 21)
    assert store.state.get("a") == 42
    assert store.state.set_many({"b": 1, "c": 2}) == {"b": 1, "c": 1}
    assert dict(store.state.items()) == {"a": 42, "b": 2, "c": 4}
    assert store.state.update("a", lambda value: value + 1) == 43
    assert store.state.get("a") == 86


def test_a_hook_may_change_what_a_reader_gets_but_not_what_is_stored(store):
    store.state.set("a", "secret")
    handle = store.hooks.register("after_state_get", lambda context: Modified({"value": "[REDACTED]"}))
    assert store.state.get("a") == "[REDACTED]"
    handle.unregister()
    assert store.state.get("a") == "secret"


def test_a_hook_may_answer_a_read_itself(store):
    store.hooks.register("before_state_get", lambda context: Replace({"cached": context.data["key"]}))
    assert store.state.get("nothing") == {"cached": "nothing"}


@pytest.mark.parametrize("point,make", [
    ("before_session_create", lambda store: store.sessions.create("s", tags=["given"])),
    ("before_session_fork", lambda store: store.sessions.fork(store.sessions.create("s"))),
    ("before_session_update", lambda store: store.sessions.create("s").update(tags=["given"])),
])  # fmt: skip
def test_a_hook_may_change_name_tags_and_metadata_of_a_session(store, point, make):
    change = {"name": "changed", "tags": ["one"], "metadata": {"by": "hook"}}
    store.hooks.register(point, lambda context: Modified(change))
    make(store)
    info = store.sessions.get("changed")
    assert {field: getattr(info, field) for field in change} == change


def test_a_hook_may_change_the_reason_of_a_failure(store):
    store.hooks.register("before_session_fail", lambda context: Modified({"reason": "said the hook"}))
    session = store.sessions.create("s")
    assert session.fail("mine").reason == "said the hook"


def test_a_hook_may_change_tags_and_metadata_of_an_artifact(store):
    session = store.sessions.create("s")
    store.hooks.register("before_artifact_put", lambda context: Modified({"tags": ["a"], "metadata": {"b": 1}}))
    info = session.artifacts.put("f.txt", "text")
    assert (info.tags, info.metadata) == (["a"], {"b": 1})
    again = session.artifacts.restore_version("f.txt", 1)
    assert (again.version, again.tags) == (2, ["a"])
    store.hooks.register("before_artifact_update", lambda context: Modified({"metadata": {"c": 2}}))
    assert session.artifacts.update("f.txt", tags=["x"]).metadata == {"c": 2}


def test_a_hook_may_change_data_and_tags_of_an_event(store):
    store.hooks.register("before_event_publish", lambda context: Modified({"data": {"n": 2}, "tags": ["t"]}))
    seen = store.events.subscribe("x.*")
    store.events.publish("x.y", {"n": 1})
    event = seen.receive(timeout_s=30)
    assert (event.data, event.tags) == ({"n": 2}, ("t",))


@pytest.mark.parametrize("point,fields", [
    ("before_state_set", {"version": 9}),
    ("before_session_create", {"id": "x"}),
    ("before_artifact_update", {"name": "renamed"}),
    ("before_artifact_put", {"size": 1}),
    ("before_event_publish", {"type": "other.type"}),
    ("after_state_set", {"value": 2}),
])  # fmt: skip
def test_a_field_that_a_hook_may_not_change_makes_it_fail_and_the_operation_goes_on(ready, point, fields):
    ready.hooks.register(point, lambda context: Modified(fields))
    operation_of(point)(ready)
    assert [failure.code for failure in ready.hooks.failures()] == ["invalid-result"]


@pytest.mark.parametrize("point,fields", [
    ("before_session_create", {"name": "a\nb"}),
    ("before_session_update", {"metadata": {"a": "x" * (limits.METADATA_BYTES_MAX + 1)}}),
    ("before_artifact_put", {"name": "../up"}),
    ("before_artifact_put", {"name": "12345678-1234-1234-1234-123456789012"}),
    ("before_session_fail", {"reason": "x" * (limits.DESCRIPTION_CHARS_MAX + 1)}),
    ("before_event_publish", {"tags": ["a\nb"]}),
])  # fmt: skip
def test_a_change_that_breaks_the_rooms_own_rules_makes_the_hook_fail_and_is_never_stored(ready, point, fields):
    head = ready.stats()["last_seq"]
    ready.hooks.register(point, lambda context: Modified(fields))
    operation_of(point)(ready)
    assert [failure.code for failure in ready.hooks.failures()] == ["invalid-result"]
    assert ready.verify().ok
    for entry in ready.timeline(limit=1000):
        if entry.seq > head:
            for value in fields.values():
                assert value not in (entry.data or {}).values()


# -- redirect, retry, skip ---------------------------------------------------------------------------------------------


def test_a_redirect_writes_another_key_with_its_own_version(store):
    store.state.set("target", "old")
    after = spy(store, "after_state_set")
    store.hooks.register("before_state_set", lambda context: Redirect("target") if context.data["key"] == "a" else None)
    assert store.state.set("a", 1) == 2
    assert dict(store.state.items()) == {"target": 1}
    assert (after[0].data["key"], after[0].data["old_value"], after[0].data["version"]) == ("target", "old", 2)


def test_a_redirect_to_another_spelling_of_a_key_is_that_key(store):
    store.hooks.register("before_state_set", lambda context: Redirect("cafe\u0301"))
    assert store.state.set("a", 1) == 1
    assert store.state.keys() == ["caf\u00e9"]


def test_two_keys_that_hooks_redirect_to_one_are_refused_and_nothing_is_written(store):
    store.hooks.register("before_state_set", lambda context: Redirect("one"))
    with pytest.raises(InvalidInput) as refused:
        store.state.set_many({"a": 1, "b": 2})
    assert refused.value.code == "duplicate-key"
    assert store.state.keys() == []


def test_a_redirect_stores_an_artifact_under_another_name(store):
    session = store.sessions.create("s")
    session.artifacts.put("target.txt", "old")
    store.hooks.register("before_artifact_put", lambda context: Redirect("target.txt"))
    info = session.artifacts.put("a.txt", "new")
    assert (info.name, info.version) == ("target.txt", 2)


def test_the_state_a_session_begins_with_is_asked_about_key_by_key_and_one_veto_stops_all(store):
    seen = []
    store.hooks.register("after_state_set", lambda context: seen.append((context.data["key"], context.data["version"])))
    store.hooks.register("before_state_set", lambda context: Modified({"value": context.data["value"] * 2}))
    session = store.sessions.create("s", state={"a": 1, "b": 2})
    assert session.state.items() == [("a", 2), ("b", 4)]
    assert seen == [("a", 1), ("b", 1)]
    store.hooks.register("before_state_set", lambda context: Cancel("no") if context.data["key"] == "b" else None)
    before = store.stats()["last_seq"]
    with pytest.raises(Vetoed):
        store.sessions.create("t", state={"a": 1, "b": 2})
    assert store.stats()["last_seq"] == before


def test_a_retry_asks_the_hooks_again(store):
    asked = []

    def once(context):
        asked.append(context.data["old_value"])
        return Retry(delay_ms=0, attempts=3) if len(asked) < 3 else None

    store.hooks.register("before_state_set", once)
    assert store.state.set("a", 1) == 1
    assert len(asked) == 3


def test_a_hook_that_abstains_changes_nothing(store):
    store.hooks.register("before_state_set", lambda context: Skipped("not mine"))
    assert store.state.set("a", 1) == 1
    assert store.state.get("a") == 1


@pytest.mark.parametrize("point", EXPECTED)
def test_a_result_that_the_table_does_not_allow_is_refused_and_harms_nothing(ready, point):
    results = [Modified({"x": 1}), Cancel("x"), Replace(1), Redirect("x"), Retry(delay_ms=0), Skipped("x")]
    forbidden = next(result for result in results if type(result) not in RULES[point].effects)
    ready.hooks.register(point, lambda context: forbidden)
    operation_of(point)(ready)
    assert ready.hooks.failures()[-1].code == "invalid-result"


# -- versions that move while hooks run --------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(face, store):
    """Another handle of the same store, as another process would have."""
    with llmspell.open(face.folder, durability="process") as other:
        yield other


def test_hooks_and_unit_run_again_when_the_version_moved_while_hooks_ran(store, elsewhere):
    seen = []

    def slow(context):
        seen.append(context.data["old_value"])
        if len(seen) < 3:
            elsewhere.state.set("a", f"theirs {len(seen)}")

    store.hooks.register("before_state_set", slow)
    assert store.state.set("a", "mine") == 3
    assert seen == [None, "theirs 1", "theirs 2"]
    assert store.state.get("a") == "mine"


@pytest.mark.parametrize("call", ["set", "set_many", "delete"])
def test_a_version_that_never_stands_still_is_a_conflict_after_eight_runs(store, elsewhere, call):
    store.state.set("a", "first")
    runs = []

    def meddle(context):
        runs.append(1)
        elsewhere.state.set("a", len(runs))

    store.hooks.register("before_state_delete" if call == "delete" else "before_state_set", meddle)
    arguments = {"set": ("a", "mine"), "set_many": ({"a": "mine", "b": 1},), "delete": ("a",)}[call]
    with pytest.raises(Conflict, match="kept changing"):
        getattr(store.state, call)(*arguments)
    assert len(runs) == limits.CONFLICT_RETRIES_MAX * (2 if call == "set_many" else 1)
    assert store.state.get("b") is None


def test_a_version_that_the_caller_gave_is_not_tried_again(store, elsewhere):
    store.state.set("a", "first")
    runs = []

    def meddle(context):
        runs.append(1)
        elsewhere.state.set("a", len(runs))

    store.hooks.register("before_state_set", meddle)
    with pytest.raises(Conflict):
        store.state.set("a", "mine", if_version=1)
    assert len(runs) == 1


def test_all_before_hooks_of_a_batch_run_first_and_one_veto_stops_all(store):
    asked = []

    def guard(context):
        asked.append(context.data["key"])
        return Cancel("not c") if context.data["key"] == "c" else None

    store.hooks.register("before_state_set", guard)
    after = spy(store, "after_state_set")
    with pytest.raises(Vetoed):
        store.state.set_many({"a": 1, "b": 2, "c": 3})
    assert asked == ["a", "b", "c"]
    assert after == []
    assert store.state.keys() == []


def test_one_veto_stops_all_events_of_a_batch(store):
    store.hooks.register("before_event_publish", lambda c: Cancel("no") if c.data["data"] == 2 else None)
    head = store.stats()["last_seq"]
    with pytest.raises(Vetoed):
        store.events.publish_many([{"type": "a.b", "data": n} for n in range(3)])
    assert store.stats()["last_seq"] == head


def test_one_veto_stops_the_deletion_of_all_versions(store):
    session = store.sessions.create("s")
    for n in range(3):
        session.artifacts.put("f.txt", f"text {n}")
    store.hooks.register("before_artifact_delete", lambda c: Cancel("no") if c.data["version"] == 2 else None)
    with pytest.raises(Vetoed):
        session.artifacts.delete("f.txt")
    assert len(session.artifacts.versions("f.txt")) == 3


def test_an_async_hook_is_awaited_by_both_faces(store):
    seen = []

    @store.hooks.on("before_state_set")
    async def check(context):
        seen.append(context.data["key"])
        return Modified({"value": "from async"})

    store.state.set("a", 1)
    assert seen == ["a"]
    assert store.state.get("a") == "from async"
