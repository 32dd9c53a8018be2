"""Values in the middle of a migration, or of its way back, are taken on by nobody: copied, moved, bound."""

import asyncio
import subprocess
import sys

import pytest

import llmspell
from llmspell.errors import Conflict, NotFound
from llmspell.migration.changing import Custom
from llmspell.migration.migration import Migration
from llmspell.model.scope import GLOBAL, Scope
from llmspell.schemas.catalog import Catalog
from llmspell.schemas.schema import Schema
from tests.migration.test_after_another import FUNCTIONS, apply, numbers, values  # noqa: F401 - a fixture, too
from tests.migration.test_half_back import KEYS, Stopped, interrupted, refused, stop

ELSEWHERE = Scope.custom("elsewhere")


@pytest.fixture(params=["forward", "back"])
def half(request, numbers):  # noqa: F811
    """A store of eight values of which a migration that stopped, or its rollback, has changed four; and its id."""
    numbers.state.set_many(dict.fromkeys(KEYS, 1))
    if request.param == "back":
        return numbers, interrupted(numbers, apply(numbers, "2.0.0")).id
    plan = numbers.migrations.plan("n", "2.0.0")
    with pytest.raises(Stopped):
        numbers.migrations.apply(plan, functions=FUNCTIONS, batch=2, progress=stop, rollback_on_failure=False)
    return numbers, numbers.migrations.status().id


@pytest.mark.parametrize("how", ["plain", "hooks", "sensitive", "bound"])
def test_no_scope_is_copied_or_moved_in_the_middle(face, half, how, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    store, run = half
    if how == "sensitive":
        store.state.set("other", 1, state_class="sensitive")
    if how == "bound":
        store.schemas.register(Schema("free", "1.0.0", value="any"))
        store.schemas.bind("free", "1.0.0", scope=ELSEWHERE, prefix="x")
    before, head = values(store), store.stats()["last_seq"]
    for opened in face.both(store):
        if how == "hooks":
            for point in ("before_state_copy", "before_state_move"):
                opened.hooks.on(point)(lambda _context: None)
        for transfer in (opened.state.copy_to, opened.state.move_to):
            assert refused(lambda transfer=transfer: transfer(ELSEWHERE)).details["id"] == run
        assert (values(opened), opened.state_of(ELSEWHERE).keys()) == (before, [])
        assert opened.stats()["last_seq"] == head
    opened.migrations.rollback(run)
    assert opened.state.copy_to(ELSEWHERE) == len(opened.state.keys())
    assert {opened.state_of(ELSEWHERE).get(key) for key in KEYS} == {1}


def test_what_no_migration_is_about_is_copied_beside_it(half):
    store, _ = half
    other = store.state_of(Scope.custom("other"))
    other.set_many({"m:1": 1, "nn": 2})
    assert other.copy_to(ELSEWHERE) == 2
    assert other.move_to(GLOBAL) == 2
    assert store.state.get("nn") == 2


def test_a_migration_of_one_scope_hinders_no_other(store):
    for version in ("1.0.0", "2.0.0"):
        store.schemas.register(Schema("n", version, value="number"))
    store.migrations.register(Migration("n", "1.0.0", "2.0.0", []))
    one, other = Scope.custom("one"), Scope.custom("other")
    for scope in (one, other):
        store.state_of(scope).set_many(dict.fromkeys(KEYS, 1))
    with pytest.raises(Stopped):
        store.migrations.apply(
            store.migrations.plan("n", "2.0.0", from_version="1.0.0", scope=one, prefix="n:"), batch=2, progress=stop,
            rollback_on_failure=False,
        )  # fmt: skip
    assert store.state_of(other).copy_to(ELSEWHERE) == len(KEYS)
    store.schemas.bind("n", "1.0.0", scope=other)
    refused(lambda: store.schemas.bind("n", "1.0.0"))
    refused(lambda: store.state_of(one).copy_to(ELSEWHERE))


def test_nothing_is_bound_otherwise_in_the_middle(face, half):
    store, run = half
    bound, head = store.schemas.bindings(), store.stats()["last_seq"]
    for opened in face.both(store):
        for where in ({"prefix": "n:"}, {}, {"scope": GLOBAL, "prefix": "n:4"}):
            error = refused(lambda opened=opened, where=where: opened.schemas.bind("n", "3.0.0", **where))
            assert error.details["id"] == run
        refused(lambda opened=opened: opened.schemas.unbind(prefix="n:"))
        assert (opened.schemas.bindings(), opened.stats()["last_seq"]) == (bound, head)
        assert opened.schemas.unbind(prefix="n:9") is False
    opened.migrations.rollback(run)
    assert [one.version for one in opened.schemas.bindings()] == ["1.0.0"]
    assert opened.schemas.bind("n", "3.0.0", prefix="n:").version == "3.0.0"
    assert opened.schemas.unbind(prefix="n:")


def test_keys_that_no_migration_is_about_are_bound_beside_it(half):
    store, _ = half
    assert store.schemas.bind("n", "3.0.0", prefix="m:").version == "3.0.0"
    assert store.schemas.unbind(prefix="m:")


BINDER = """
import sys, llmspell
with llmspell.open(sys.argv[1]) as store:
    for call in (lambda: store.schemas.bind("n", "3.0.0", prefix="n:"), lambda: store.schemas.unbind(prefix="n:"),
                 lambda: store.state.copy_to(llmspell.Scope.custom("there"))):
        try:
            print(call())
        except llmspell.LlmspellError as exc:
            print(exc.code, "wait" in exc.hint)
"""


def test_another_process_is_refused_and_told_that_somebody_is_at_it(tmp_path):
    with llmspell.open(tmp_path / "store", durability="process") as store:
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            store.schemas.register(Schema("n", version, value="number"))
        store.schemas.bind("n", "1.0.0", prefix="n:")
        store.migrations.register(Migration("n", "1.0.0", "2.0.0", [Custom("ten")]))
        store.state.set_many(dict.fromkeys(KEYS, 1))
        told = []

        def ask(done, _total):
            if done == 4:
                command = [sys.executable, "-c", BINDER, str(tmp_path / "store")]
                told.append(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)

        run = store.migrations.apply(store.migrations.plan("n", "2.0.0"), functions=FUNCTIONS, batch=2, progress=ask)
        store.migrations.rollback(run.id, batch=2, progress=ask)
    assert [one.splitlines() for one in told if one] == [["migration-running True"] * 3] * len(told)
    assert len(told) == 2


def test_a_handle_binds_only_what_is_still_bound_to_the_old_version(store, monkeypatch):
    """Somebody binds otherwise between a handle's look and its binding."""
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        store.schemas.register(Schema("n", version, value="number"))
    store.migrations.register(Migration("n", "1.0.0", "2.0.0", []))
    store.schemas.bind("n", "1.0.0", prefix="n:")
    core = getattr(store, "_store", None) or store._inner
    real = core.journal.write

    async def write(work, **options):
        monkeypatch.setattr(core.journal, "write", real)
        await core.schemas.bind("n", "3.0.0", prefix="n:")
        return await real(work, **options)

    plan = store.migrations.plan("n", "2.0.0")
    monkeypatch.setattr(core.journal, "write", write)
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            store.migrations.lazily(plan, scope=GLOBAL)
        assert caught.value.code == "plan-outdated"
        assert [one.version for one in store.schemas.bindings()] == ["3.0.0"]


def test_two_handles_made_at_once_bind_once(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "store", durability="process") as store:
            for version in ("1.0.0", "2.0.0"):
                await store.schemas.register(Schema("n", version, value="number"))
            await store.migrations.register(Migration("n", "1.0.0", "2.0.0", []))
            await store.schemas.bind("n", "1.0.0", prefix="n:")
            plan = await store.migrations.plan("n", "2.0.0")
            handles = await asyncio.gather(*(store.migrations.lazily(plan, scope=GLOBAL) for _ in range(8)))
            assert len({handle._bound for handle in handles}) == 1
            bound = [entry.seq for entry in await store.timeline(kinds=["schema.bound"])]
            assert len(bound) == 2
            assert (await store.schemas.bindings())[0].since_seq == bound[1]

    asyncio.run(main())


def test_a_plan_binds_to_nothing_that_is_not_registered(store):
    one = Schema("n", "1.0.0", value="number")
    two, other = Schema("n", "2.0.0", value="number"), Schema("n", "2.0.0", value="integer")
    store.schemas.register(one)
    store.schemas.bind("n", "1.0.0", prefix="n:")
    store.migrations.register(Migration("n", "1.0.0", "2.0.0", []))
    store.state.set("n:1", 1)
    plan = store.migrations.plan("n", "2.0.0", catalog=Catalog().adding_all([one, two]))
    head = store.stats()["last_seq"]
    calls = (
        store.migrations.apply, lambda plan: store.migrations.apply(plan, dry_run=True),
        lambda plan: store.migrations.lazily(plan, scope=GLOBAL),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(NotFound) as caught:
            call(plan)
        assert caught.value.code == "schema-not-found"
    store.schemas.register(other)
    calls = (
        store.migrations.apply, lambda plan: store.migrations.apply(plan, dry_run=True),
        lambda plan: store.migrations.lazily(plan, scope=GLOBAL),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(Conflict) as caught:
            call(plan)
        assert caught.value.code == "schema-exists"
    assert store.stats()["last_seq"] == head + 1
    assert [one.version for one in store.schemas.bindings()] == ["1.0.0"]


def bound(store):
    return {(one.scope, one.prefix): one.version for one in store.schemas.bindings()}


@pytest.mark.parametrize("way", ["apply", "lazily"])
def test_whatever_of_the_keys_is_bound_to_the_old_version_is_bound_to_the_new_one(face, numbers, way):  # noqa: F811
    """Its values are of the new version by then: held against the old one, nobody could write them any more."""
    own = Scope.agent("a")
    numbers.schemas.bind("n", "1.0.0", prefix="n:more:")
    numbers.schemas.bind("n", "1.0.0", scope=own, prefix="n:")
    numbers.schemas.bind("n", "2.0.0", prefix="n:new:")
    numbers.schemas.bind("n", "1.0.0", prefix="m:")
    numbers.state.set_many({"n:more:1": 1, "n:new:1": 10, "m:1": 1})
    numbers.state_of(own).set("n:1", 1)
    before, run = bound(numbers), None
    plan = numbers.migrations.plan("n", "2.0.0", prefix="n:")
    if way == "apply":
        run = numbers.migrations.apply(plan, functions=FUNCTIONS)
    else:
        numbers.migrations.lazily(plan, scope=GLOBAL, functions=FUNCTIONS).items()
    for store in face.both(numbers):
        assert bound(store) == {
            (None, "m:"): "1.0.0", (None, "n:"): "2.0.0", (None, "n:more:"): "2.0.0", (None, "n:new:"): "2.0.0",
            (own.name, "n:"): "2.0.0",
        }  # fmt: skip
    assert dict(store.state.items()) == {"n:1": 10, "n:2": 20, "n:more:1": 10, "n:new:1": 10, "m:1": 1}
    if run is not None:
        assert store.state_of(own).get("n:1") == 10
        store.migrations.rollback(run.id)
        assert bound(store) == before, "what was bound to the new version before stays so"
        assert dict(store.state.items()) == {"n:1": 1, "n:2": 2, "n:more:1": 1, "n:new:1": 10, "m:1": 1}
    assert store.verify().ok


def test_what_was_bound_among_keys_that_are_not_as_a_whole_is_bound_to_the_new_version(numbers):  # noqa: F811
    plan = numbers.migrations.plan("n", "2.0.0", from_version="1.0.0", scope=None, prefix="n")
    run = numbers.migrations.apply(plan, functions=FUNCTIONS)
    assert bound(numbers) == {(None, "n:"): "2.0.0"}
    numbers.migrations.rollback(run.id)
    assert bound(numbers) == {(None, "n:"): "1.0.0"}


def test_what_is_not_bound_as_a_whole_is_bound_by_a_handle_and_not_changed_twice(numbers):  # noqa: F811
    numbers.schemas.bind("n", "2.0.0", prefix="n:new:")
    numbers.state.set("n:new:1", 10)
    plan = numbers.migrations.plan("n", "2.0.0", from_version="1.0.0", prefix="n")
    assert numbers.migrations.apply(plan, functions=FUNCTIONS, dry_run=True).changed == 2
    run = numbers.migrations.apply(plan, functions=FUNCTIONS)
    after = {"n:1": 10, "n:2": 20, "n:new:1": 10}
    assert dict(numbers.state.items()) == after, "what was written as the new version is left as it is"
    numbers.migrations.rollback(run.id)
    numbers.schemas.register(Schema("n", "5.0.0", value="string"))
    numbers.migrations.register(Migration("n", "1.0.0", "5.0.0", [Custom("text")]))
    further = numbers.migrations.plan("n", "5.0.0", from_version="1.0.0", prefix="n")
    lazy = numbers.migrations.lazily(further, scope=GLOBAL, functions={"text": str})
    assert bound(numbers) == {(None, "n:"): "5.0.0", (None, "n:new:"): "2.0.0"}
    assert dict(lazy.items()) == {"n:1": "1", "n:2": "2", "n:new:1": 10}
    numbers.state.set("n:1", "one")
    assert lazy.get("n:1") == "one"


def test_a_rollback_ends_whatever_the_plan_took_the_old_version_for(numbers):  # noqa: F811
    """Its values are again what they were, and are held against what they were held against."""
    mine = Catalog().adding_all([Schema("n", "1.0.0", value="any"), numbers.schemas.get("n", "2.0.0")])
    run = numbers.migrations.apply(numbers.migrations.plan("n", "2.0.0", catalog=mine), functions=FUNCTIONS)
    assert numbers.migrations.rollback(run.id).status == "rolled_back"
    assert (bound(numbers), values(numbers)) == ({(None, "n:"): "1.0.0"}, [1, 2])


def test_what_is_bound_is_known_to_whoever_opens_the_store_and_writes_nothing(tmp_path):
    with llmspell.open(tmp_path / "store", durability="process") as store:
        for name, version in (("n", "1.0.0"), ("n", "2.0.0"), ("other", "1.0.0")):
            store.schemas.register(Schema(name, version, value="number"))
        store.migrations.register(Migration("n", "1.0.0", "2.0.0", [Custom("ten")]))
        store.schemas.bind("n", "1.0.0", prefix="n:")
        store.schemas.bind("other", "1.0.0", prefix="n:o")
        store.state.set_many({"n:1": 1, "n:o": 1})
    with llmspell.open(tmp_path / "store") as store:
        plan = store.migrations.plan("n", "2.0.0")
        assert store.migrations.apply(plan, functions=FUNCTIONS, dry_run=True).changed == 1
        lazy = store.migrations.lazily(plan, scope=GLOBAL, functions=FUNCTIONS)
        assert dict(lazy.items()) == dict(store.state.items()) == {"n:1": 10, "n:o": 1}


def test_what_a_handle_bound_is_bound_back_with_the_run_that_came_after_it(numbers):  # noqa: F811
    numbers.schemas.bind("n", "1.0.0", prefix="n:more:")
    numbers.schemas.bind("n", "2.0.0", prefix="n:new:")
    numbers.state.set("n:more:1", 1)
    numbers.migrations.lazily(numbers.migrations.plan("n", "2.0.0", prefix="n:"), scope=GLOBAL, functions=FUNCTIONS)
    plan = numbers.migrations.plan("n", "2.0.0", from_version="1.0.0", prefix="n:")
    run = numbers.migrations.apply(plan, functions=FUNCTIONS)
    assert (run.changed, set(bound(numbers).values())) == (3, {"2.0.0"})
    numbers.schemas.bind("n", "2.0.0", prefix="n:later:")
    numbers.state.set("n:later:1", 10)
    assert numbers.migrations.rollback(run.id).restored == 3
    assert bound(numbers) == {
        (None, "n:"): "1.0.0", (None, "n:more:"): "1.0.0", (None, "n:new:"): "2.0.0", (None, "n:later:"): "2.0.0",
    }  # fmt: skip


def test_a_handle_writes_nothing_that_is_bound_otherwise_between_its_look_and_its_write(numbers):  # noqa: F811
    if not hasattr(numbers, "_store"):
        pytest.skip("a hook of the asynchronous face cannot write by the face that drives it")
    numbers.schemas.register(Schema("other", "1.0.0", value="number"))
    lazy = numbers.migrations.lazily(numbers.migrations.plan("n", "2.0.0"), scope=GLOBAL, functions=FUNCTIONS)
    numbers.hooks.on("before_migration_batch")(lambda _: numbers.schemas.bind("other", prefix="n:2") and None)
    assert (lazy.get("n:2"), dict(numbers.state.items())) == (2, {"n:1": 1, "n:2": 2})
