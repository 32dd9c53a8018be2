"""Hooks of migrations: asked and told whatever the way is that stored values change by, and which way it is."""

import pytest

from llmspell.errors import Conflict, InvalidInput, Vetoed
from llmspell.hooks.results import Cancel
from llmspell.model.scope import GLOBAL
from tests.migration.people import fill, new, old, planned
from tests.migration.test_agents import agents, plan_of  # noqa: F401 - a fixture, too
from tests.migration.test_lazily import bound, head

POINTS = ("before_migration_apply", "after_migration_apply", "before_migration_batch", "after_migration_batch")


def watch(store):
    """What hooks are told from here on: the point, the operation, and the data."""
    calls = []
    for point in POINTS:
        store.hooks.on(point)(lambda context: calls.append((context.point, context.operation, dict(context.data))))
    return calls


def told(calls):
    found = [(point, operation) for point, operation, _ in calls]
    assert all(data["operation"] == operation for _, operation, data in calls)
    calls.clear()
    return found


def veto(store, point, reason="frozen", when=lambda data: True):
    store.hooks.on(point)(lambda context: Cancel(reason) if when(context.data) else None)


def test_making_a_handle_asks_and_so_does_each_value_that_it_writes(users):
    plan, calls = planned(users), watch(users)
    lazy = users.migrations.lazily(plan)
    assert calls[0][2]["write"] is True
    assert told(calls) == [("before_migration_apply", "lazy"), ("after_migration_apply", "lazy")]
    lazy.get("user:0003")
    assert calls[0][2] | {"scope": "global", "key": "user:0003", "number": 1, "count": 1} == calls[0][2]
    assert calls[1][2] == calls[0][2] | {"changed": 1, "done": 1}
    assert told(calls) == [("before_migration_batch", "lazy"), ("after_migration_batch", "lazy")]
    lazy.get("user:0003")
    lazy.get("user:none")
    lazy.update("user:0003", lambda value: value | {"more": 1})
    assert told(calls) == [], "nothing had to be migrated"
    lazy.update("user:0004", lambda value: value | {"more": 1})
    assert [data["key"] for _, _, data in calls] == ["user:0004"] * 2
    assert told(calls) == [("before_migration_batch", "lazy"), ("after_migration_batch", "lazy")]
    only = users.migrations.lazily(plan, write=False)
    assert calls[0][2]["write"] is False
    calls.clear()
    only.get("user:0005")
    assert told(calls) == []


def test_a_handle_that_hooks_refuse_is_not_made_and_binds_nothing(store):
    fill(store, 2)
    plan = bound(store)
    veto(store, "before_migration_apply")
    seq = head(store)
    for write in (True, False):
        with pytest.raises(Vetoed, match="frozen"):
            store.migrations.lazily(plan, write=write)
    assert (head(store), store.schemas.bound("user:1").version) == (seq, "1.0.0")


def test_a_value_that_hooks_refuse_is_given_in_the_new_form_and_stays_as_it_is(users):
    lazy = users.migrations.lazily(planned(users))
    veto(users, "before_migration_batch", when=lambda data: data["key"] == "user:0003")
    calls, seq = watch(users), head(users)
    assert lazy.get("user:0003") == new(3, kept={"n": 3})
    assert ("after_migration_batch", "lazy") not in told(calls)
    assert users.state.get("user:0003") == old(3, kept={"n": 3})
    with pytest.raises(Vetoed, match="frozen"):
        lazy.update("user:0003", lambda value: value | {"more": 1})
    assert head(users) == seq
    assert dict(lazy.items())["user:0003"] == new(3, kept={"n": 3})
    assert head(users) == seq + 19


def test_records_of_agents_are_asked_for_in_the_same_way(agents):  # noqa: F811
    plan, calls = plan_of(agents), watch(agents)
    lazy = agents.migrations.lazily_agents(plan)
    assert told(calls) == [("before_migration_apply", "lazy"), ("after_migration_apply", "lazy")]
    lazy.load("a0")
    lazy.load("a0")
    lazy.update("a1", lambda state: state)
    lazy.update("a1", lambda state: state)
    assert [(data["scope"], data["key"]) for _, _, data in calls] == [("agent:a0", "a0")] * 2 + [("agent:a1", "a1")] * 2
    assert told(calls) == [("before_migration_batch", "lazy"), ("after_migration_batch", "lazy")] * 2
    veto(agents, "before_migration_batch")
    seq = head(agents)
    assert lazy.load("a2").schema_version == "2.0.0"
    ran = []
    with pytest.raises(Vetoed, match="frozen"):
        lazy.update("a2", ran.append)
    assert (head(agents), agents.agents.load("a2").schema_version, ran) == (seq, "1.0.0", [])
    assert lazy.update("a1", lambda state: None).schema_version == "2.0.0", "it is in the new form already"
    veto(agents, "before_migration_apply")
    with pytest.raises(Vetoed):
        agents.migrations.lazily_agents(plan)


def test_a_rollback_that_is_called_asks_and_tells(users):
    report = users.migrations.apply(planned(users))
    calls = watch(users)
    users.migrations.rollback(report.id, dry_run=True)
    assert told(calls) == []
    users.migrations.rollback(report.id)
    before, after = (data for _, _, data in calls)
    assert told(calls) == [("before_migration_apply", "rollback"), ("after_migration_apply", "rollback")]
    assert before | {"id": report.id, "status": "completed", "count": 20, "automatic": False} == before
    assert after == before | {"status": "rolled_back", "restored": 20, "left": 0}
    with pytest.raises(Conflict):
        users.migrations.rollback(report.id)
    assert told(calls) == [], "what is refused anyway asks nobody"


def test_a_rollback_that_hooks_refuse_writes_nothing(users):
    report = users.migrations.apply(planned(users))
    veto(users, "before_migration_apply", when=lambda data: data["operation"] == "rollback")
    seq = head(users)
    with pytest.raises(Vetoed, match="frozen"):
        users.migrations.rollback(report.id)
    assert (head(users), users.migrations.status(report.id).status) == (seq, "completed")
    assert users.state.get("user:0003") == new(3, kept={"n": 3})


def test_a_failure_is_taken_back_whatever_hooks_say_and_they_are_told(users):
    users.state.set("user:bad", {"name": "n", "age": "none"})
    veto(users, "before_migration_apply", when=lambda data: data["operation"] == "rollback")
    plan, calls = planned(users), watch(users)
    with pytest.raises(InvalidInput) as caught:
        users.migrations.apply(plan, batch=5)
    assert caught.value.details["status"] == "rolled_back"
    assert users.state.get("user:0003") == old(3, kept={"n": 3})
    data = calls[-1][2]
    assert data["automatic"] is True
    assert data["restored"] == data["count"] == 20
    assert told(calls)[-1] == ("after_migration_apply", "rollback")


def test_a_freeze_of_all_migrations_leaves_no_way_to_change_a_value(store):
    fill(store, 3)
    plan = bound(store)
    for point in POINTS[::2]:
        veto(store, point)
    seq = head(store)
    for call in (lambda: store.migrations.apply(plan), lambda: store.migrations.lazily(plan, scope=GLOBAL)):
        with pytest.raises(Vetoed):
            call()
    assert head(store) == seq
