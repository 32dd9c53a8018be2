"""Applying a plan: what is written, what is kept, what is refused; through both faces and after reopening."""

import asyncio

import pytest

from llmspell.errors import Conflict, InvalidInput, LimitExceeded, NotFound, Vetoed
from llmspell.hooks.results import Cancel
from llmspell.migration.changing import Custom, Remove
from llmspell.migration.migration import Migration
from llmspell.model.scope import Scope
from llmspell.schemas.catalog import Catalog
from llmspell.schemas.schema import Schema
from tests.migration.people import CATALOG, TO_2, V1, V2, new, old, planned


def values(store):
    return dict(store.state.items(prefix="user:"))


def kinds(store, correlation=None):
    return [entry.kind for entry in store.timeline(correlation=correlation, limit=1000).items]


def test_values_are_migrated_unknown_members_kept_and_others_left(face, users):
    users.state.set("other", {"name": "not a user"})
    users.state_of(Scope.user("x")).set("user:1", old(1))
    report = users.migrations.apply(planned(users))
    assert (report.status, report.total, report.seen, report.changed) == ("completed", 20, 20, 20)
    for store in face.both(users):
        assert values(store) == {f"user:{n:04}": new(n, kept={"n": n}) for n in range(20)}
        assert store.state.get("other") == {"name": "not a user"}
        assert store.state_of(Scope.user("x")).get("user:1") == old(1)
        run = store.migrations.status()
        assert (run.id, run.status, run.changed, run.open, run.alive) == (report.id, "completed", 20, False, False)
        assert store.verify().ok
        assert store.migrations.validate(report.id).ok


def test_every_scope_takes_part_when_none_is_named(users):
    users.state_of(Scope.user("x")).set("user:1", old(1))
    assert users.migrations.apply(planned(users, scope=None)).changed == 21
    assert users.state_of(Scope.user("x")).get("user:1") == new(1)


def test_several_steps_are_one_migration_and_the_next_plan_knows_where_it_stands(users):
    report = users.migrations.apply(planned(users, "3.0.0"))
    assert report.changed == 20
    assert users.state.get("user:0003") == new(3, kept={"n": 3}, tags=[])
    assert users.state.entry("user:0003").version == 2
    again = planned(users, "3.0.0", from_version=None)
    assert (again.from_version, again.steps) == ("3.0.0", ())
    assert users.migrations.apply(again).status == "already_current"


def test_what_does_not_change_is_not_written(users):
    users.state.set("user:9000", new(1))
    before = users.state.entry("user:9000")
    report = users.migrations.apply(planned(users), validation="after")
    assert (report.seen, report.changed) == (21, 20)
    assert users.state.entry("user:9000") == before


def test_all_entries_are_under_one_correlation_and_caused_by_the_first(users):
    seen = []
    plan = planned(users)
    with users.events.subscribe("migration.*") as subscription:
        report = users.migrations.apply(plan, batch=8)
        while event := subscription.receive(timeout_s=0.2):
            seen.append(event.type)
    run = users.migrations.status(report.id)
    entries = users.timeline(correlation=report.id, limit=1000).items
    told = [entry.kind for entry in entries if not entry.kind.startswith("state.")]
    assert told == [
        "correlation.opened", "migration.started", *["migration.batch"] * 3, "migration.completed"
    ]  # fmt: skip
    assert seen == told[1:]
    assert [entry.cause for entry in entries[2:]] == [run.started_seq] * (len(entries) - 2)
    assert sum(entry.kind == "state.set" for entry in entries) == 20
    history = users.state.history("user:0001")
    assert [change.value for change in history] == [new(1, kept={"n": 1}), old(1, kept={"n": 1})]
    assert run.restore_seq < run.started_seq


def test_a_dry_run_shows_what_would_be_and_writes_nothing(users):
    users.state.set("user:bad", {"name": "x", "age": "many"})
    users.state.set("user:0000", old(0), state_class="sensitive")
    plan = planned(users)
    before = users.stats()["last_seq"]
    report = users.migrations.apply(plan, dry_run=True)
    assert users.stats()["last_seq"] == before
    assert (report.status, report.id, report.seen, report.changed, report.skipped) == ("dry_run", None, 21, 20, 1)
    assert [(one.key, one.path, one.phase) for one in report.problems] == [("user:bad", "$.age", "transform")]
    first, second = report.samples[:2]
    assert (first.key, first.before, first.after) == ("user:0000", "[REDACTED]", "[REDACTED]")
    assert (second.before, second.after) == (old(1, kept={"n": 1}), new(1, kept={"n": 1}))
    assert "many" not in str(report.to_dict()["problems"])


@pytest.mark.parametrize(("bad", "phase"), [({"name": "x"}, "before"), ({"name": "x", "age": "secret"}, "transform")])
def test_a_failure_takes_everything_back_to_the_byte_and_names_the_value(face, users, bad, phase):
    users.state.set("user:0007", bad)
    before = values(users)
    plan = planned(users)
    with pytest.raises(InvalidInput) as caught:
        users.migrations.apply(plan, batch=3)
    assert caught.value.code == "migration-failed"
    assert caught.value.details["status"] == "rolled_back"
    (problem,) = caught.value.details["problems"]
    assert (problem["key"], problem["path"], problem["phase"]) == ("user:0007", "$.age", phase)
    assert "secret" not in str(caught.value) + str(caught.value.details)
    for store in face.both(users):
        assert values(store) == before
        run = store.migrations.status(caught.value.details["migration"])
        assert (run.status, run.restored, run.changed, run.left_alone) == ("rolled_back", 6, 6, 0)
        assert run.reason.startswith("the migration failed at global 'user:0007'")
        assert store.verify().ok
    users = store
    users.state.set("user:0007", old(7))
    assert users.migrations.apply(plan).changed == 20


def test_what_is_made_must_meet_the_new_version(users):
    users.migrations.register(Migration("user", "1.0.0", "2.0.0", [Remove("name")]))
    plan = users.migrations.plan("user", "2.0.0", from_version="1.0.0", prefix="user:", catalog=CATALOG)
    with pytest.raises(InvalidInput) as caught:
        users.migrations.apply(plan)
    assert caught.value.details["problems"][0]["phase"] == "after"
    assert users.migrations.apply(plan, validation="none").changed == 20


def test_with_report_values_that_do_not_fit_stay_and_are_reported(users):
    users.state.set("user:0007", {"name": "x", "age": "many"})
    report = users.migrations.apply(planned(users), validation="report", batch=4)
    assert (report.status, report.changed, report.skipped) == ("completed", 19, 1)
    assert [one.key for one in report.problems] == ["user:0007"]
    assert users.state.get("user:0007") == {"name": "x", "age": "many"}
    checked = users.migrations.validate(report.id)
    assert (checked.checked, checked.failing, checked.problems[0].key) == (20, 1, "user:0007")


def test_without_rollback_a_failed_run_stays_open_and_goes_on_when_it_is_mended(face, users):
    users.state.set("user:0007", {"name": "x", "age": "many"})
    plan = planned(users)
    with pytest.raises(InvalidInput):
        users.migrations.apply(plan, batch=3, rollback_on_failure=False)
    users = face.reopen()
    run = users.migrations.status()
    assert (run.status, run.open, run.alive, run.changed) == ("failed", True, False, 6)
    with pytest.raises(Conflict) as caught:
        users.migrations.apply(planned(users, "3.0.0"))
    assert (caught.value.code, caught.value.details["id"]) == ("migration-running", run.id)
    users.state.set("user:0007", old(7))
    report = users.migrations.apply(plan)
    assert (report.id, report.changed) == (run.id, 20)
    assert users.migrations.status().attempt == 2
    with pytest.raises(Conflict) as caught:
        users.migrations.resume(run.id)
    assert caught.value.code == "migration-not-open"


def test_a_completed_migration_is_taken_back_but_not_what_somebody_changed_since(face, users):
    before = values(users)
    report = users.migrations.apply(planned(users))
    users.state.set("user:0003", {"full_name": "changed", "age": 3})
    users.state.delete("user:0004")
    head = users.stats()["last_seq"]
    tried = users.migrations.rollback(report.id, dry_run=True)
    assert (tried.status, tried.id, tried.restored, tried.left) == ("dry_run", report.id, 18, 2)
    assert users.stats()["last_seq"] == head
    back = users.migrations.rollback(report.id)
    assert tried.left_alone == back.left_alone
    assert (back.status, back.restored, back.left) == ("rolled_back", 18, 2)
    assert back.left_alone == (("global", "user:0003"), ("global", "user:0004"))
    expected = before | {"user:0003": {"full_name": "changed", "age": 3}}
    del expected["user:0004"]
    for store in face.both(users):
        assert values(store) == expected
        assert store.verify().ok
    users = store
    for dry_run in (False, True):
        with pytest.raises(Conflict) as caught:
            users.migrations.rollback(report.id, dry_run=dry_run)
        assert caught.value.code == "migration-not-open"
    entries = users.timeline(kinds=["migration.rolled_back"]).items
    assert [entry.data["restored"] for entry in entries] == [18]


def test_a_migration_of_a_session_that_was_shredded_since_is_taken_back_elsewhere(users):
    session = users.sessions.create("gone")
    session.state.set("user:1", old(1))
    report = users.migrations.apply(planned(users, scope=None))
    session.complete()
    users.sessions.shred(session.id)
    back = users.migrations.rollback(report.id)
    assert (back.restored, back.left, back.status) == (20, 0, "rolled_back")
    assert values(users)["user:0003"] == old(3, kept={"n": 3})
    assert not users.migrations.status().open
    assert users.verify().ok


def test_classes_are_kept_and_sealed_values_stay_sealed(face, users):
    token = "ghp_" + "a1B2" * 9
    users.state.set("user:s", old(1, secret="canary-in-clear"), state_class="sensitive")
    users.state.set("user:x", old(2), state_class="external")
    users.state.set("user:t", old(3), state_class="trusted", ttl_s=3600)
    users.migrations.register(Migration("user", "1.0.0", "2.0.0", [*TO_2.transforms, Custom("leak", "note")]))
    users.state.set("user:x", old(2, note="fine"), state_class="external")
    plan = users.migrations.plan("user", "2.0.0", from_version="1.0.0", prefix="user:", catalog=CATALOG)
    before = {key: users.state.entry(key) for key in ("user:s", "user:t")}
    report = users.migrations.apply(plan, functions={"leak": lambda _: token})
    assert report.changed == 23
    classes = {key: users.state.entry(key).state_class for key in ("user:s", "user:x", "user:t")}
    assert classes == {"user:s": "sensitive", "user:x": "external", "user:t": "trusted"}
    assert users.state.get("user:s") == new(1, secret="canary-in-clear")
    assert token not in str(users.state.get("user:x"))
    assert users.state.entry("user:t").expires_at == before["user:t"].expires_at
    users.migrations.rollback(report.id)
    assert users.state.entry("user:s").value == before["user:s"].value
    assert users.state.entry("user:t").expires_at == before["user:t"].expires_at
    face.close_stores()
    for path in face.folder.rglob("*"):
        if path.is_file():
            assert b"canary-in-clear" not in path.read_bytes(), path


def test_ephemeral_values_take_no_part(users):
    users.state.set("user:e", old(1), state_class="ephemeral")
    assert users.migrations.apply(planned(users)).changed == 20
    assert users.state.get("user:e") == old(1)


def test_long_values_are_migrated_like_short_ones(users):
    users.state.set("user:long", old(1, text="long " * 5000))
    assert users.migrations.apply(planned(users)).changed == 21
    assert users.state.get("user:long") == new(1, text="long " * 5000)


def test_hooks_run_once_a_batch_and_may_refuse(users):
    calls = []
    for point in ("before_migration", "after_migration", "before_migration_batch", "after_migration_batch"):
        users.hooks.on(point)(lambda context: calls.append((context.point, context.data.get("number"))))
    users.hooks.on("before_state_set")(lambda context: calls.append(context.point))
    users.migrations.apply(planned(users), batch=10)
    assert calls == [
        ("before_migration_apply", None), ("before_migration_batch", 1), ("after_migration_batch", 1),
        ("before_migration_batch", 2), ("after_migration_batch", 2), ("after_migration_apply", None),
    ]  # fmt: skip


def test_a_vetoed_migration_writes_nothing_and_a_vetoed_batch_takes_all_back(users):
    plan, before = planned(users), values(users)
    today = []
    users.hooks.on("before_migration_apply")(lambda context: None if today else Cancel("not today"))
    seq = users.stats()["last_seq"]
    with pytest.raises(Vetoed, match="not today"):
        users.migrations.apply(plan)
    assert users.stats()["last_seq"] == seq
    today.append("now")
    users.hooks.on("before_migration_batch")(lambda context: Cancel("enough") if context.data["number"] == 3 else None)
    with pytest.raises(Vetoed, match="enough") as caught:
        users.migrations.apply(plan, batch=5)
    assert caught.value.details["status"] == "rolled_back"
    assert values(users) == before


def test_a_timeout_takes_all_back(face, users):
    before = values(users)
    with pytest.raises(LimitExceeded) as caught:
        users.migrations.apply(planned(users), batch=1, timeout_s=0.000001)
    assert (caught.value.code, caught.value.details["status"]) == ("migration-timeout", "rolled_back")
    assert values(users) == before


def test_functions_and_validators_must_be_there_before_anything_is_written(users):
    schemas = Catalog().adding_all([
        Schema("user", "1.0.0", {"name": "string"}),
        Schema("user", "2.0.0", {"name": {"type": "string", "validators": ["mine"]}}),
    ])  # fmt: skip
    users.migrations.register(Migration("user", "1.0.0", "2.0.0", [Custom("up", "name")]))
    plan = users.migrations.plan("user", "2.0.0", from_version="1.0.0", prefix="user:", catalog=schemas)
    seq = users.stats()["last_seq"]
    with pytest.raises(NotFound) as caught:
        users.migrations.apply(plan)
    assert caught.value.code == "unknown-function"
    with pytest.raises(NotFound) as caught:
        users.migrations.apply(plan, functions={"up": str.upper})
    assert caught.value.code == "unknown-validator"
    assert users.stats()["last_seq"] == seq
    report = users.migrations.apply(plan, functions={"up": str.upper}, validators={"mine": str.isupper})
    assert report.changed == 20
    assert users.state.get("user:0001")["name"] == "NAME 1"


def test_registering_again_is_known_and_another_one_is_refused_unless_it_replaces(face, users):
    assert users.migrations.register(TO_2)
    assert not users.migrations.register(TO_2)
    other = Migration("user", "1.0.0", "2.0.0", [Remove("age")])
    with pytest.raises(Conflict) as caught:
        users.migrations.register(other)
    assert caught.value.code == "migration-exists"
    assert users.migrations.register(other, replace=True)
    for store in face.both(users):
        assert [one.hash for one in store.migrations.registered("user")] == [other.hash]
        assert [one.hash for one in store.migrations.registered()] == [other.hash]


@pytest.mark.parametrize(("options", "code"), [
    ({"from_version": None}, "version-unknown"), ({"from_version": "0.9.0"}, "schema-not-found"),
    ({"catalog": None}, "schema-not-found"), ({"scope": ""}, "invalid-scope"), ({"prefix": 5}, "invalid-prefix"),
    ({"agents": True}, "invalid-scope"), ({"scope": 5}, "invalid-scope"), ({"from_version": "one"}, "invalid-version"),
])  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused(users, options, code):
    with pytest.raises((InvalidInput, NotFound)) as caught:
        planned(users, **options)
    assert caught.value.code == code


@pytest.mark.parametrize(("options", "code"), [
    ({"batch": 0}, "invalid-batch"), ({"batch": True}, "invalid-batch"), ({"timeout_s": 0}, "invalid-timeout"),
    ({"timeout_s": "5"}, "invalid-timeout"), ({"validation": "lax"}, "invalid-validation"),
    ({"functions": ["f"]}, "invalid-functions"), ({"functions": {"f": 5}}, "invalid-functions"),
    ({"functions": {"f": asyncio.sleep}}, "invalid-functions"),
    ({"validators": ["f"]}, "invalid-functions"), ({"progress": 5}, "invalid-callback"),
])  # fmt: skip
def test_options_that_make_no_sense_are_refused(users, options, code):
    plan = planned(users)
    with pytest.raises(InvalidInput) as caught:
        users.migrations.apply(plan, **options)
    assert caught.value.code == code
    assert users.migrations.status() is None


@pytest.mark.parametrize("before", [0, -1, 1 << 63, "5", True])
def test_a_page_of_runs_begins_before_a_seq(users, before):
    with pytest.raises(InvalidInput) as caught:
        users.migrations.list(before=before)
    assert caught.value.code == "invalid-seq"


def test_an_unknown_migration_is_not_found(users):
    for call in (users.migrations.resume, users.migrations.rollback, users.migrations.status):
        with pytest.raises(NotFound) as caught:
            call("0190a0a0-0000-7000-8000-000000000000")
        assert caught.value.code == "migration-not-found"
    with pytest.raises(InvalidInput):
        users.migrations.resume("yesterday's")
    assert users.migrations.status() is None


def test_values_are_validated_by_a_schema_too(users):
    assert users.migrations.validate("user", version="1.0.0", prefix="user:", catalog=CATALOG).ok
    found = users.migrations.validate(V2, prefix="user:")
    assert (found.checked, found.failing) == (20, 20)
    assert "name 1" not in str(found.to_dict())


def test_keys_that_are_bound_are_held_against_the_new_version_when_it_is_done(face, users):
    for one in (V1, V2):
        users.schemas.register(one)
    users.schemas.bind("user", "1.0.0", scope=Scope.parse("global"), prefix="user:")
    users.migrations.register(TO_2)
    users.state.set("user:t", {"anything": 1}, state_class="trusted")
    plan = users.migrations.plan("user", "2.0.0")
    assert (str(plan.target), plan.from_version, plan.count) == ("keys user:* of global", "1.0.0", 21)
    report = users.migrations.apply(plan)
    for store in face.both(users):
        assert store.schemas.bound("user:1").version == "2.0.0"
        with pytest.raises(InvalidInput) as caught:
            store.state.set("user:0001", old(1))
        assert caught.value.code == "schema-mismatch"
        store.state.set("user:0001", new(1))
    assert store.migrations.validate("user").ok
    store.migrations.rollback(report.id)
    assert store.schemas.bound("user:1").version == "1.0.0"
    store.state.set("user:0002", old(2))
    assert store.verify().ok


def test_a_schema_bound_in_several_places_asks_which(users):
    users.schemas.register(V1)
    users.schemas.register(V2)
    users.migrations.register(TO_2)
    for prefix in ("a", "b"):
        users.schemas.bind("user", "1.0.0", prefix=prefix)
    with pytest.raises(InvalidInput) as caught:
        users.migrations.plan("user", "2.0.0")
    assert caught.value.code == "several-bindings"
    assert users.migrations.plan("user", "2.0.0", prefix="a").from_version == "1.0.0"
