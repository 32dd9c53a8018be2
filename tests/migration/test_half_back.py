"""A rollback that was interrupted leaves some values as they were before and others after: until it has gone on to its
end, its migration is open, also one that was completed.
"""

import pytest

from llmspell import AgentState
from llmspell.errors import Conflict
from llmspell.migration.changing import Custom, Default
from llmspell.migration.migration import Migration
from llmspell.model.scope import GLOBAL, Scope
from llmspell.schemas.schema import Schema
from tests.migration.test_after_another import FUNCTIONS, apply, numbers, values  # noqa: F401 - a fixture, too

KEYS = [f"n:{number}" for number in range(8)]
BACK = "call rollback again"


class Stopped(Exception):
    """As a kill: in the middle of a rollback."""


def stop(done, _total):
    if done >= 4:
        raise Stopped


def interrupted(store, run):
    with pytest.raises(Stopped):
        store.migrations.rollback(run.id, batch=2, progress=stop)
    return store.migrations.status()


@pytest.fixture
def half(numbers):  # noqa: F811
    """A store of eight values, all 1, that were migrated to 10 and of which four are put back; and the run."""
    numbers.state.set_many(dict.fromkeys(KEYS, 1))
    run = interrupted(numbers, apply(numbers, "2.0.0"))
    assert values(numbers) == [1, 1, 1, 1, 10, 10, 10, 10]
    return numbers, run


def refused(call):
    with pytest.raises(Conflict) as caught:
        call()
    assert caught.value.code == "migration-running"
    return caught.value


def test_a_completed_migration_is_open_while_it_is_being_taken_back(face, half):
    _, run = half
    for store in face.both(half[0]):
        found = store.migrations.status()
        assert (found.id, found.status, found.open, found.alive, found.ended_at) == (
            run.id, "rolling_back", True, False, None,
        )  # fmt: skip
        assert [one.open for one in store.migrations.list()] == [True]
        assert store.verify().ok
    assert store.migrations.rollback(run.id).restored == 8
    assert values(store) == [1] * 8
    assert not store.migrations.status().open
    assert store.verify().ok


def test_nothing_begins_over_values_of_which_half_are_back(half):
    store, run = half
    plan = store.migrations.plan("n", "3.0.0")
    assert any(run.id in warning and "taken back" in warning for warning in plan.warnings)
    before, head = values(store), store.stats()["last_seq"]
    same = store.migrations.plan("n", "2.0.0", from_version="1.0.0")
    for call in (
        lambda: store.migrations.apply(plan, functions=FUNCTIONS),
        lambda: store.migrations.apply(same, functions=FUNCTIONS),
        lambda: store.migrations.apply(plan, functions=FUNCTIONS, dry_run=True),
        lambda: store.migrations.apply(same, functions=FUNCTIONS, dry_run=True),
        lambda: store.migrations.apply(store.migrations.plan("n", "2.0.0")),  # Not already_current: half are not.
        lambda: store.migrations.apply(store.migrations.plan("n", "1.0.0", from_version="1.0.0")),
        lambda: store.migrations.resume(run.id, functions=FUNCTIONS),
        lambda: store.migrations.lazily(plan, scope=GLOBAL, functions=FUNCTIONS),
        lambda: store.migrations.lazily(same, scope=GLOBAL, functions=FUNCTIONS, write=False),
    ):
        error = refused(call)
        assert error.details["id"] == run.id
        assert BACK in error.hint
    assert (values(store), store.stats()["last_seq"]) == (before, head)
    assert store.migrations.rollback(run.id, dry_run=True).restored == 4
    store.migrations.rollback(run.id)
    assert values(store) == [1] * 8


def test_no_other_migration_is_taken_back_beside_it(numbers):  # noqa: F811
    first, second = apply(numbers, "2.0.0"), apply(numbers, "3.0.0")
    with pytest.raises(Stopped):
        numbers.migrations.rollback(second.id, batch=1, progress=lambda *_: (_ for _ in ()).throw(Stopped()))
    for dry_run in (False, True):
        error = refused(lambda dry_run=dry_run: numbers.migrations.rollback(first.id, dry_run=dry_run))
        assert (error.details["id"], BACK in error.hint) == (second.id, True)
    for run in (second, first):
        numbers.migrations.rollback(run.id)
    assert values(numbers) == [1, 2]


def test_a_plan_made_while_half_were_back_is_outdated_when_all_are(numbers):  # noqa: F811
    numbers.schemas.unbind(prefix="n:")
    _, run = (
        numbers.migrations.apply(
            numbers.migrations.plan("n", end, from_version=start, prefix="n:"), functions=FUNCTIONS
        )
        for start, end in (("1.0.0", "2.0.0"), ("2.0.0", "3.0.0"))
    )
    with pytest.raises(Stopped):
        numbers.migrations.rollback(run.id, batch=1, progress=lambda *_: (_ for _ in ()).throw(Stopped()))
    further = numbers.migrations.plan("n", "4.0.0", from_version="3.0.0", prefix="n:")
    same = numbers.migrations.plan("n", "3.0.0", from_version="2.0.0", prefix="n:")
    numbers.migrations.rollback(run.id)
    with pytest.raises(Conflict) as caught:
        numbers.migrations.apply(further, functions=FUNCTIONS)
    assert caught.value.code == "plan-outdated"
    assert values(numbers) == [10, 20]
    assert numbers.migrations.apply(same, functions=FUNCTIONS).changed == 2


def test_a_handle_writes_nothing_when_a_rollback_begins_between_its_look_and_its_write(numbers):  # noqa: F811
    if not hasattr(numbers, "_store"):
        pytest.skip("a hook of the asynchronous face cannot write by the face that drives it")
    run = apply(numbers, "2.0.0")
    lazy = numbers.migrations.lazily(numbers.migrations.plan("n", "3.0.0"), scope=GLOBAL, functions=FUNCTIONS)

    def begin(context):
        if not begun:
            begun.append(context)
            numbers.schemas.bind("n", "2.0.0", prefix="n:")
            with pytest.raises(Stopped):
                numbers.migrations.rollback(run.id, batch=1, progress=lambda *_: (_ for _ in ()).throw(Stopped()))

    begun = []
    numbers.hooks.on("before_migration_batch")(begin)
    refused(lambda: lazy.get("n:2"))
    assert (len(begun), values(numbers)) == (1, [1, 20])


def test_what_other_plans_are_about_goes_on(half):
    store, run = half
    store.schemas.register(Schema("m", "1.0.0", value="number"))
    store.schemas.register(Schema("m", "2.0.0", value="number"))
    store.migrations.register(Migration("m", "1.0.0", "2.0.0", [Custom("ten")]))
    store.schemas.bind("m", "1.0.0", prefix="m:")
    store.state.set("m:1", 1)
    plan = store.migrations.plan("m", "2.0.0")
    assert not any(run.id in warning for warning in plan.warnings)
    assert store.migrations.apply(store.migrations.plan("m", "1.0.0")).status == "already_current"
    assert store.migrations.apply(plan, functions=FUNCTIONS, dry_run=True).changed == 1
    refused(lambda: store.migrations.apply(plan, functions=FUNCTIONS))
    lazy = store.migrations.lazily(plan, scope=GLOBAL, functions=FUNCTIONS)
    assert (lazy.get("m:1"), store.state.get("m:1")) == (10, 10)


def test_a_handle_from_before_gives_and_writes_nothing_until_all_are_back(numbers):  # noqa: F811
    run = apply(numbers, "2.0.0")
    lazy = numbers.migrations.lazily(
        numbers.migrations.plan("n", "3.0.0"), scope=GLOBAL, functions=FUNCTIONS, write=False
    )
    numbers.schemas.bind("n", "2.0.0", prefix="n:")
    with pytest.raises(Stopped):
        numbers.migrations.rollback(run.id, batch=1, progress=lambda *_: (_ for _ in ()).throw(Stopped()))
    head = numbers.stats()["last_seq"]
    for call in (
        lambda: lazy.get("n:1"), lazy.items, lambda: lazy.update("n:1", lambda value: value + 1),
    ):  # fmt: skip
        assert refused(call).details["id"] == run.id
    assert (lazy.keys(), lazy.exists("n:1"), numbers.stats()["last_seq"]) == (["n:1", "n:2"], True, head)


def test_a_migration_that_stopped_is_in_the_way_of_handles_and_of_plans_of_nothing_as_well(numbers):  # noqa: F811
    numbers.state.set_many(dict.fromkeys(KEYS, 1))
    plan = numbers.migrations.plan("n", "2.0.0")
    with pytest.raises(Stopped):
        numbers.migrations.apply(plan, functions=FUNCTIONS, batch=2, progress=stop, rollback_on_failure=False)
    run = numbers.migrations.status()
    for call in (
        lambda: numbers.migrations.lazily(plan, scope=GLOBAL, functions=FUNCTIONS),
        lambda: numbers.migrations.apply(numbers.migrations.plan("n", "1.0.0")),
    ):
        assert "resume it" in refused(call).hint
    assert any(run.id in warning for warning in plan.warnings) is False
    assert any(run.id in warning for warning in numbers.migrations.plan("n", "2.0.0").warnings)
    assert numbers.migrations.apply(plan, functions=FUNCTIONS, dry_run=True).status == "dry_run"
    assert numbers.migrations.apply(plan, functions=FUNCTIONS).status == "completed"
    assert values(numbers) == [10] * 8


def test_records_of_agents_wait_as_well(store):
    for number in range(6):
        store.agents.save(AgentState(f"a{number}", custom_data={}))
    for version in ("1.0.0", "2.0.0"):
        store.schemas.register(Schema("agent", version, {"custom_data": "object"}))
    store.migrations.register(Migration("agent", "1.0.0", "2.0.0", [Default("custom_data.depth", 3)]))
    plan = store.migrations.plan("agent", "2.0.0", from_version="1.0.0", agents=True)
    earlier = store.migrations.lazily_agents(plan)
    run = interrupted(store, store.migrations.apply(plan))
    for call in (
        lambda: earlier.load("a0"), lambda: earlier.update("a0", lambda state: state),
        lambda: store.migrations.lazily_agents(plan),
        lambda: store.migrations.apply(store.migrations.plan("agent", "2.0.0", from_version="2.0.0", agents=True)),
    ):  # fmt: skip
        assert refused(call).details["id"] == run.id
    assert earlier.ids() == [f"a{number}" for number in range(6)]
    assert store.agents.load("a0").schema_version == "1.0.0"
    assert store.migrations.rollback(run.id).left == 0
    assert {store.agents.load(one).schema_version for one in earlier.ids()} == {"1.0.0"}
    assert earlier.load("a0").schema_version == "2.0.0"


def test_no_fork_begins_while_half_are_back_and_the_hint_says_how_to_go_on(store):
    session = store.sessions.create("s", state=dict.fromkeys(KEYS, 1))
    for version in ("1.0.0", "2.0.0"):
        store.schemas.register(Schema("n", version, value="number"))
    store.migrations.register(Migration("n", "1.0.0", "2.0.0", [Custom("ten")]))
    store.schemas.bind("n", "1.0.0", scope=Scope.session(session.id), prefix="n:")
    run = interrupted(store, apply(store, "2.0.0"))
    error = refused(lambda: store.sessions.fork(session.id))
    assert (error.details["id"], error.details["after"], BACK in error.hint) == (run.id, None, True)
    store.migrations.rollback(run.id)
    assert dict(store.sessions.fork(session.id).state.items()) == dict.fromkeys(KEYS, 1)
