"""Migrations from scripts, by both names."""

import asyncio

import pytest

from llmspell.opening import open_async
from llmspell.schemas.schema import Schema
from tests.migration.people import TO_2, V1, V2, new, old
from tests.script.running import ran


@pytest.mark.parametrize("name", ["migrate", "migrate_to_version", "migrateToVersion"])
def test_a_script_migrates_what_is_bound_and_takes_it_back(tmp_path, name):
    async def work():
        async with await open_async(tmp_path / "s", durability="process") as store:
            for schema in (V1, V2):
                await store.schemas.register(schema)
            await store.schemas.bind("user", "1.0.0", prefix="user:")
            await store.migrations.register(TO_2)
            await store.state.set_many({f"user:{n}": old(n) for n in range(5)})
            script = f"""
                local before = State.get_migration_status()
                local done = State.{name}("2.0.0")
                local again = State.{name}("user", "2.0.0")
                local after = State.migration_status("user")
                return {{ before = before, done = done, again = again, after = after }}
            """
            outcome = await ran(store, script, name="m.lua")
            assert outcome.error is None, outcome.error
            got = outcome.value
            assert got["before"]["current_version"] == "1.0.0"
            assert got["before"]["migration_targets"] == ["2.0.0"]
            assert (got["done"]["success"], got["done"]["status"], got["done"]["items_migrated"]) == (
                True,
                "completed",
                5,
            )
            again = got["again"]
            assert (again["success"], again["status"], again["items_migrated"]) == (True, "completed", 0)
            assert (again["from_version"], again["to_version"]) == ("2.0.0", "2.0.0")
            assert "version 2.0.0 already" in again["message"]
            assert "message" not in got["done"]
            assert (got["after"]["current_version"], got["after"]["is_latest"]) == ("2.0.0", True)
            assert await store.state.get("user:3") == new(3)
            back = await ran(store, f"return State.rollback_migration('{got['done']['id']}').restored", name="b.lua")
            assert back.value == 5
            assert await store.state.get("user:3") == old(3)

    asyncio.run(work())


def test_a_failure_is_a_table_and_nothing_is_left_of_it(tmp_path):
    async def work():
        async with await open_async(tmp_path / "s", durability="process") as store:
            for schema in (V1, V2):
                await store.schemas.register(schema)
            await store.migrations.register(TO_2)
            await store.state.set_many({"user:1": old(1), "user:2": {"name": "x", "age": "many"}})
            options = "{from_version = '1.0.0', prefix = 'user:'}"
            outcome = await ran(store, f"return State.migrate('user', '2.0.0', {options})", name="m.lua")
            assert (outcome.value["success"], outcome.value["code"]) == (False, "migration-failed")
            assert outcome.value["status"] == "rolled_back"
            assert await store.state.get("user:1") == old(1)
            outcome = await ran(store, "return State.migrate('user', '9.0.0')", name="m.lua")
            assert outcome.error.code == "schema-not-found"

    asyncio.run(work())


def test_the_version_of_values_that_nothing_says_is_unknown(tmp_path):
    async def work():
        async with await open_async(tmp_path / "s", durability="process") as store:
            for schema in (V1, V2):
                await store.schemas.register(schema)
            await store.migrations.register(TO_2)
            await store.state.set("user:1", old(1))
            script = """
                local before = State.get_migration_status()
                State.migrate("user", "2.0.0", { from_version = "1.0.0", prefix = "user:" })
                return { before = before, after = State.get_migration_status() }
            """
            outcome = await ran(store, script, name="m.lua")
            assert outcome.error is None, outcome.error
            before, after = outcome.value["before"], outcome.value["after"]
            assert (before["current_version"], before["is_latest"]) == ("unknown", False)
            assert (before["migration_available"], before["migration_targets"]) == (True, ["2.0.0"])
            assert (after["current_version"], after["is_latest"], after["migration_available"]) == (
                "2.0.0", True, False
            )  # fmt: skip

    asyncio.run(work())


def test_the_status_counts_major_versions_and_names_those_that_take_values_as_they_are(tmp_path):
    async def work():
        async with await open_async(tmp_path / "s", durability="process") as store:
            script = "return State.get_migration_status()"
            none = (await ran(store, script, name="m.lua")).value
            assert (none["current_version"], none["major_versions_count"], none["compatible_versions"]) == (
                "unknown", 0, []
            )  # fmt: skip
            wider = {"name": "string", "age": "string", "note": {"type": "string", "required": False}}
            for schema in (V1, Schema("user", "1.1.0", wider), V2):
                await store.schemas.register(schema)
            await store.schemas.bind("user", "1.0.0", prefix="user:")
            found = (await ran(store, script, name="m.lua")).value
            assert (found["major_versions_count"], found["compatible_versions"]) == (2, ["1.1.0"])
            assert (found["oldest_version"], found["latest_version"]) == ("1.0.0", "2.0.0")

    asyncio.run(work())
