"""Migrations beside others: taken back in turn, refused where one came too late, no value changed twice, nor one of
another schema.
"""

from itertools import pairwise

import pytest

from llmspell import AgentState
from llmspell.errors import Conflict
from llmspell.migration.changing import Custom, Default
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Rename
from llmspell.model.scope import GLOBAL, Scope
from llmspell.schemas.schema import Schema

FUNCTIONS = {"ten": lambda value: value * 10}
VERSIONS = ("1.0.0", "2.0.0", "3.0.0", "4.0.0")


@pytest.fixture
def numbers(store):
    """Values that fit every version, so that no schema notices when one is changed twice."""
    for version in VERSIONS:
        store.schemas.register(Schema("n", version, value="number"))
    for one, other in pairwise(VERSIONS):
        store.migrations.register(Migration("n", one, other, [Custom("ten")]))
    store.schemas.bind("n", "1.0.0", prefix="n:")
    store.state.set_many({"n:1": 1, "n:2": 2})
    return store


def apply(store, to):
    return store.migrations.apply(store.migrations.plan("n", to), functions=FUNCTIONS)


def values(store):
    return [value for _, value in store.state.items(prefix="n:")]


def test_no_migration_is_taken_back_beneath_a_lazy_handle_for_the_next_version(numbers):
    run = apply(numbers, "2.0.0")
    lazy = numbers.migrations.lazily(numbers.migrations.plan("n", "3.0.0"), scope=GLOBAL, functions=FUNCTIONS)
    assert lazy.get("n:1") == 100
    for dry_run in (True, False):
        with pytest.raises(Conflict) as caught:
            numbers.migrations.rollback(run.id, dry_run=dry_run)
        assert caught.value.code == "migration-built-on"
    assert lazy.get("n:2") == 200
    numbers.schemas.bind("n", "2.0.0", prefix="n:")
    assert numbers.migrations.rollback(run.id).left == 2


def test_migrations_are_taken_back_one_after_another(face, numbers):
    runs = [apply(numbers, version) for version in VERSIONS[1:]]
    numbers.state.set("n:2", 5)
    assert values(numbers) == [1000, 5]
    for run, expected in zip(reversed(runs), ([100, 5], [10, 5], [1, 5]), strict=True):
        back = numbers.migrations.rollback(run.id)
        assert (back.restored, back.left) == (1, 1)
        assert values(numbers) == expected
        assert numbers.schemas.bound("n:1").version == run.from_version
    for store in face.both(numbers):
        assert values(store) == [1, 5]
        assert store.verify().ok


def test_a_migration_is_taken_back_again_and_again(numbers):
    for _ in range(3):
        first, second = apply(numbers, "2.0.0"), apply(numbers, "3.0.0")
        assert numbers.migrations.rollback(second.id).restored == 2
        assert numbers.migrations.rollback(first.id).restored == 2
        assert values(numbers) == [1, 2]


def test_records_of_agents_are_taken_back_one_after_another(store):
    store.agents.save(AgentState("a", custom_data={"topic": "bees"}))
    for version in VERSIONS[:3]:
        store.schemas.register(Schema("agent", version, {"custom_data": "object"}))
    store.migrations.register(Migration("agent", "1.0.0", "2.0.0", [Rename("custom_data.topic", "subject")]))
    store.migrations.register(Migration("agent", "2.0.0", "3.0.0", [Default("custom_data.depth", 3)]))
    first = store.migrations.apply(store.migrations.plan("agent", "2.0.0", from_version="1.0.0", agents=True))
    second = store.migrations.apply(store.migrations.plan("agent", "3.0.0", agents=True))
    assert store.migrations.rollback(second.id).restored == 1
    assert store.migrations.rollback(first.id).restored == 1
    assert (store.agents.load("a").custom_data, store.agents.load("a").schema_version) == ({"topic": "bees"}, "1.0.0")


def test_what_another_migration_went_on_from_is_not_taken_back_before_it(numbers):
    first, second = apply(numbers, "2.0.0"), apply(numbers, "3.0.0")
    with pytest.raises(Conflict) as caught:
        numbers.migrations.rollback(first.id)
    assert (caught.value.code, caught.value.details["id"]) == ("migration-built-on", second.id)
    assert values(numbers) == [100, 200]


def test_a_plan_for_values_that_were_migrated_since_is_refused(numbers):
    plan = numbers.migrations.plan("n", "2.0.0")
    run = numbers.migrations.apply(plan, functions=FUNCTIONS)
    with pytest.raises(Conflict) as caught:
        numbers.migrations.apply(plan, functions=FUNCTIONS)
    assert caught.value.code == "plan-outdated"
    assert values(numbers) == [10, 20]
    numbers.migrations.rollback(run.id)
    assert numbers.migrations.apply(plan, functions=FUNCTIONS).changed == 2


def test_a_plan_for_keys_without_a_binding_is_refused_the_second_time(numbers):
    numbers.schemas.unbind(prefix="n:")
    plan = numbers.migrations.plan("n", "2.0.0", from_version="1.0.0", prefix="n:")
    assert numbers.migrations.apply(plan, functions=FUNCTIONS).changed == 2
    with pytest.raises(Conflict, match=r"by now"):
        numbers.migrations.apply(plan, functions=FUNCTIONS)
    assert values(numbers) == [10, 20]


def test_a_plan_for_keys_that_are_migrated_when_they_are_read_is_refused(numbers):
    plan = numbers.migrations.plan("n", "2.0.0")
    assert numbers.migrations.lazily(plan, scope=GLOBAL, functions=FUNCTIONS).get("n:1") == 10
    with pytest.raises(Conflict, match=r"by now"):
        numbers.migrations.apply(plan, functions=FUNCTIONS)
    assert values(numbers) == [10, 2]


def test_what_was_migrated_at_once_is_not_migrated_again_when_it_is_read(numbers):
    plan = numbers.migrations.plan("n", "2.0.0")
    numbers.migrations.apply(plan, functions=FUNCTIONS)
    numbers.state.set("n:3", 3)
    lazy = numbers.migrations.lazily(plan, scope=GLOBAL, functions=FUNCTIONS)
    assert lazy.items() == [("n:1", 10), ("n:2", 20), ("n:3", 3)]


def test_a_handle_from_before_a_rollback_gives_no_old_values_as_new_ones(numbers):
    plan = numbers.migrations.plan("n", "2.0.0")
    run = numbers.migrations.apply(plan, functions=FUNCTIONS)

    def handle():
        return numbers.migrations.lazily(plan, scope=GLOBAL, functions=FUNCTIONS)

    lazy = handle()
    assert lazy.items() == [("n:1", 10), ("n:2", 20)]
    numbers.migrations.rollback(run.id)
    seq = numbers.stats()["last_seq"]
    for call in (lambda: lazy.get("n:1"), lazy.items, lambda: lazy.update("n:1", lambda value: value + 1)):
        with pytest.raises(Conflict) as caught:
            call()
        assert caught.value.code == "plan-outdated"
    assert (values(numbers), numbers.stats()["last_seq"]) == ([1, 2], seq)
    again = handle()
    assert [again.get("n:1"), lazy.keys()] == [10, ["n:1", "n:2"]]
    with pytest.raises(Conflict):
        lazy.get("n:2")
    assert again.items() == [("n:1", 10), ("n:2", 20)]


def test_keys_that_are_bound_to_another_schema_take_no_part(numbers):
    numbers.schemas.register(Schema("other", "1.0.0", value="any"))
    own = numbers.state_of(Scope.agent("a"))
    own.set("n:1", 3)
    numbers.schemas.bind("other", prefix="n:other:")
    numbers.schemas.bind("other", scope=own.scope)
    numbers.state.set("n:other:1", 7)
    numbers.state.set("n:other:2", {"no": "number"})
    plan = numbers.migrations.plan("n", "2.0.0", prefix="n:")
    assert numbers.migrations.apply(plan, functions=FUNCTIONS, dry_run=True).changed == 2
    run = numbers.migrations.apply(plan, functions=FUNCTIONS)
    assert (run.changed, run.skipped) == (2, 0)
    assert (values(numbers), own.get("n:1")) == ([10, 20, 7, {"no": "number"}], 3)
    assert numbers.migrations.validate(run.id).ok
    lazy = numbers.migrations.lazily(numbers.migrations.plan("n", "3.0.0"), scope=GLOBAL, functions=FUNCTIONS)
    assert dict(lazy.items()) == {"n:1": 100, "n:2": 200, "n:other:1": 7, "n:other:2": {"no": "number"}}
