"""A binding that was acknowledged holds for every write that follows, however many are on their way at once."""

import asyncio
import subprocess
import sys

import pytest

import llmspell
from llmspell.errors import InvalidInput
from llmspell.registry.kinds import SchemaBound
from llmspell.registry.projection import BOUND
from tests.registry.conftest import ONE, head

GOOD, BAD = {"text": "x"}, {"text": 5}
BIND = """
import sys, llmspell
with llmspell.open(sys.argv[1]) as store:
    store.schemas.bind(sys.argv[2], prefix="notes/")
"""


def bind_elsewhere(folder, name="note"):
    subprocess.run([sys.executable, "-c", BIND, folder, name], check=True)


async def write_at_once(store, ways):
    return await asyncio.gather(*(way(store) for way in ways), return_exceptions=True)


async def check_against_the_past(store):
    """Every value that is there was let pass by what its key was bound to when it was written."""
    for key in await store.state.keys(prefix="notes/"):
        entry = await store.state.entry(key)
        bound = await store.schemas.bound(key, seq=entry.seq)
        if bound is not None:
            assert await store.schemas.check(entry.value, bound.name, bound.version) == [], key
    assert (await store.verify()).ok


WAYS = {
    "set": lambda n: lambda store: store.state.set(f"notes/{n}", BAD),
    "sensitive": lambda n: lambda store: store.state.set(f"notes/{n}", BAD, state_class="sensitive"),
    "set_many": lambda n: lambda store: store.state.set_many({f"notes/{n}": BAD}),
    "create": lambda n: lambda store: store.sessions.create(f"s{n}", state={"notes/1": BAD}),
}


@pytest.mark.crash
@pytest.mark.parametrize("durability", ["full", "process"])
@pytest.mark.parametrize("way", WAYS)
def test_of_writes_at_once_none_goes_past_what_another_process_bound(tmp_path, way, durability):
    folder = str(tmp_path / "store")

    async def scenario():
        async with await llmspell.open_async(folder, durability=durability) as store:
            await store.schemas.register(ONE)
            await store.state.set("warm", 1)
            bind_elsewhere(folder)
            results = await write_at_once(store, [WAYS[way](n) for n in range(5)])
            assert [getattr(one, "code", one) for one in results] == ["schema-mismatch"] * 5
            assert await store.state.keys(prefix="notes/") == []
            assert list(await store.sessions.list()) == []
            await check_against_the_past(store)

    asyncio.run(scenario())


@pytest.mark.parametrize("durability", ["full", "process"])
def test_writes_beside_a_binding_are_before_it_or_held_against_it(tmp_path, durability):
    async def scenario():
        async with await llmspell.open_async(tmp_path / "store", durability=durability) as store:
            await store.schemas.register(ONE)
            await store.state.set("warm", 1)
            writes = [WAYS["set"](n) for n in range(6)]
            bind = [lambda store: store.schemas.bind("note", prefix="notes/")]
            await write_at_once(store, writes[:3] + bind + writes[3:])
            await check_against_the_past(store)
            with pytest.raises(InvalidInput):
                await store.state.set("notes/0", BAD)

    asyncio.run(scenario())


def test_a_binding_that_was_rolled_back_is_not_taken_for_the_one_that_has_its_seq(tmp_path):
    folder = str(tmp_path / "store")

    class Undone(Exception):
        pass

    async def undone(writer):
        scope = await writer.scope("global")
        await writer.append(BOUND, SchemaBound("", "notes/", "note", "1.0.0"), scope, "binding//notes/")
        await writer.guard.confirm(writer)
        raise Undone

    async def scenario():
        async with await llmspell.open_async(folder) as store:
            await store.schemas.register(ONE)
            await store.schemas.register({"name": "text", "version": "1.0.0", "value": "string"})
            with pytest.raises(Undone):
                await store.journal.write(undone)
            bind_elsewhere(folder, "text")
            with pytest.raises(InvalidInput):
                await store.state.set("notes/1", GOOD)
            await store.state.set("notes/1", "a text")

    asyncio.run(scenario())


def test_a_store_opened_again_begins_sessions_and_sets_them_back_at_once(face, store):
    store.schemas.register(ONE)
    store.schemas.bind("note", prefix="notes/")
    session = store.sessions.create("one", state={"notes/1": GOOD})
    session.checkpoint("c")
    session.state.set("notes/1", {"text": "y"})
    name = session.id
    assert face.reopen().sessions.create("two", state={"notes/1": GOOD, "free": 1}).state.get("free") == 1
    session = face.reopen().sessions.open(name)
    assert session.restore("c") == 1
    assert session.state.get("notes/1") == GOOD


def test_a_key_kept_as_trusted_stays_free_when_another_process_binds_it(tmp_path):
    folder = str(tmp_path / "store")
    with llmspell.open(folder) as store:
        store.schemas.register(ONE)
        store.state.set("notes/1", BAD, state_class="trusted")
        bind_elsewhere(folder)
        assert store.state.set("notes/1", {"text": 6}) == 2
        with pytest.raises(InvalidInput):
            store.state.set("notes/2", BAD)


def test_what_was_replaced_in_an_external_value_is_not_judged_again_when_it_is_set_back(store):
    store.schemas.register({"name": "login", "version": "1.0.0", "value": {"type": "object", "fields": {
        "password": {"type": "string", "pattern": "[a-z0-9]{8,20}"}, "user": "string"}}})  # fmt: skip
    store.schemas.bind("login", prefix="login")
    session = store.sessions.create("s")
    session.state.set("login", {"password": "hunter2secret", "user": "ann"}, state_class="external")
    kept = session.state.get("login")
    assert kept["password"] != "hunter2secret"
    session.checkpoint("c")
    session.state.delete("login")
    assert session.restore("c") == 1
    assert session.state.get("login") == kept
    store.schemas.register({"name": "login", "version": "2.0.0", "value": {"type": "object", "fields": {
        "password": "string", "user": "integer"}}})  # fmt: skip
    store.schemas.bind("login", prefix="login")
    session.state.delete("login")
    with pytest.raises(InvalidInput) as error:
        session.restore("c")
    assert "$.user" in str(error.value)


@pytest.mark.parametrize("state_class", ["sensitive", "external"])
def test_a_refusal_of_a_secret_shows_neither_members_nor_what_a_validator_says(store, state_class):
    store.schemas.register({"name": "m", "version": "1.0.0", "value": {"type": "object", "items": "integer"}})
    store.schemas.register({"name": "n", "version": "1.0.0", "value": {"type": "object", "unknown": "refuse",
                                                                       "fields": {"a": "any"}}})  # fmt: skip
    store.schemas.register({"name": "v", "version": "1.0.0", "value": {"type": "string", "validators": ["v"]}})
    store.schemas.validator("v", lambda value: f"{value} is wrong")
    for name, value in (("m", {"hunter2": "x"}), ("n", {"a": 1, "hunter2": 1}), ("v", "hunter2")):
        store.schemas.bind(name, prefix=name)
        before = head(store)
        with pytest.raises(InvalidInput) as error:
            store.state.set(name, value, state_class=state_class)
        assert error.value.code == "schema-mismatch"
        assert "hunter2" not in str(error.value) + repr(error.value.details)
        assert head(store) == before
