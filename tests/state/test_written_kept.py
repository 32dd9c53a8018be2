"""The version that an external value got is an int wherever a JSON value is taken, also in one and among many."""

import asyncio

import pytest

import llmspell
from llmspell.hooks.results import Modified
from llmspell.migration.changing import Custom, Default
from llmspell.migration.migration import Migration
from llmspell.model.values import encode_value, plain_value
from llmspell.schemas.field import Field
from llmspell.schemas.schema import Schema
from tests.rooms.conftest import face, store  # noqa: F401 - fixtures
from tests.script.running import ran


def versions(of):
    """A version as a value itself, and deep in one."""
    version = of.state.set("external", {"password": "hunter2hunter2"}, state_class="external")
    assert type(version) is llmspell.Written
    return version, {"at": [1, version], "more": {"n": version}}


SAME = {"at": [1, 1], "more": {"n": 1}}


def plain(value):
    """Whether exact types are in it, and nothing else."""
    encode_value(value)
    return plain_value(value) is value


@pytest.mark.parametrize("state_class", [None, "standard", "trusted", "ephemeral", "sensitive", "external"])
@pytest.mark.parametrize("hooked", [False, True])
def test_state_keeps_it_in_every_class(face, store, state_class, hooked):  # noqa: F811
    seen = []
    if hooked:
        store.hooks.on("after_state_set")(lambda context: seen.append(context.data["value"]))
    for key, value in zip("ab", versions(store), strict=True):
        store.state.set(key, value, state_class=state_class)
    if state_class != "ephemeral":
        store.state.set_many({"c": value}, state_class=state_class)
        store.state.update("d", lambda _none, value=value: value)
        store = face.reopen()
        assert (store.state.get("c"), store.state.get("d")) == (SAME, SAME)
    assert (store.state.get("a"), store.state.get("b")) == (1, SAME)
    assert type(store.state.get("a")) is int
    assert all(map(plain, seen))


def test_a_schema_takes_it_for_the_integer_that_it_is(store):  # noqa: F811
    store.schemas.register(Schema("n", "1.0.0", value={"type": "integer", "enum": [1], "validators": ["exact"]}))
    store.schemas.validator("exact", lambda value: type(value) is int)
    store.schemas.bind("n", prefix="n")
    version, _ = versions(store)
    assert store.state.set("n", version) == 1
    assert store.state.set_many({"n2": version}) == {"n2": 1}
    assert store.schemas.check(version, "n") == []
    with pytest.raises(llmspell.InvalidInput):
        store.state.set("n3", store.state.set("external", "again"))


def test_metadata_events_and_initial_state_keep_it(face, store):  # noqa: F811
    _, value = versions(store)
    seq = store.events.publish("a.b", value)
    store.events.publish_many([{"type": "a.c", "data": value["more"]["n"]}])
    session = store.sessions.create("s", metadata=value, state={"k": value, "n": value["more"]["n"]})
    artifact = session.artifacts.put("x", b"1", metadata=value)
    session.update(metadata=value | {"again": value})
    store = face.reopen()
    entry = next(one for one in store.timeline(kinds=["event.published"]) if one.seq == seq)
    assert b'{"at":[1,1],"more":{"n":1}}' in entry.payload
    assert dict(store.sessions.open(session.id).state.items()) == {"k": SAME, "n": 1}
    assert store.sessions.get(session.id).metadata == SAME | {"again": SAME}
    assert store.artifacts.get(artifact.id).info.metadata == SAME
    assert store.verify().ok


def test_agents_and_captures_keep_it(face, store):  # noqa: F811
    version, value = versions(store)
    store.agents.save(llmspell.AgentState("a", custom_data=value, execution_state=version))
    store.agents.append("a", "tool", value, metadata=value)
    with store.session("s") as session:
        assert session.captures.offer(version, source="tool", name="t").reason
    loaded = face.reopen().agents.load("a")
    assert (loaded.custom_data, loaded.execution_state, loaded.conversation[0].content) == (SAME, 1, SAME)


def test_hooks_may_give_it(store):  # noqa: F811
    version, _ = versions(store)
    store.hooks.on("before_state_set")(lambda context: Modified({"value": {"was": version}}))
    store.state.set("k", 0)
    assert store.state.get("k") == {"was": 1}


def test_schemas_and_migrations_keep_it(face, store):  # noqa: F811
    version, value = versions(store)
    store.schemas.register(Schema("v", "1.0.0", {"a": Field("integer", default=version)}))
    store.schemas.register(Schema("v", "2.0.0", {"a": "integer", "b": "object"}))
    store.migrations.register(Migration("v", "1.0.0", "2.0.0", [Default("b", value), Custom("count", "a")]))
    store.state.set("v:1", {"a": 7})
    plan = store.migrations.plan("v", "2.0.0", from_version="1.0.0", prefix="v:")
    assert store.migrations.apply(plan, functions={"count": lambda _value: version}).changed == 1
    assert face.reopen().state.get("v:1") == {"a": 1, "b": SAME}


def test_a_script_is_given_the_int(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "store", durability="process") as opened:
            version = await opened.state.set("x", "bees", state_class="external")
            outcome = await ran(
                opened, "local n = ...; State.set('n', n); return math.type(n)", args=[version], name="s.lua"
            )
            assert (outcome.error, outcome.value, await opened.state.get("n")) == (None, "integer", 1)

    asyncio.run(main())


def test_any_other_kind_of_int_is_refused_with_its_path(store):  # noqa: F811
    version, value = versions(store)
    value["at"].append(type("Mine", (int,), {})(3))
    with pytest.raises(llmspell.InvalidInput) as caught:
        store.state.set("k", value)
    assert (caught.value.code, caught.value.details["path"]) == ("invalid-value", "$.at[2]")
    value["at"][2] = float("nan")
    with pytest.raises(llmspell.InvalidInput) as caught:
        store.state.set("k", value)
    assert caught.value.details["path"] == "$.at[2]"
    value["at"][2] = "\ud800"
    with pytest.raises(llmspell.InvalidInput) as caught:
        store.state.set("k", value)
    assert (caught.value.code, version) == ("invalid-value", 1)


def test_what_is_published_is_what_was_given_then(tmp_path):
    """Whoever goes on changing it changes nothing that is on its way: no NaN becomes null without a word."""

    async def main():
        async with await llmspell.open_async(tmp_path / "store") as opened:
            data, more = {"n": 1}, {"n": 1}
            published = asyncio.create_task(opened.events.publish("a.b", data))
            made = asyncio.create_task(opened.sessions.create("s", metadata={"deep": more}))
            await asyncio.sleep(0)
            data["n"] = more["n"] = float("nan")
            await published
            session = await made
            (entry,) = await opened.timeline(kinds=["event.published"])
            assert b'"n":1' in (entry.payload or b"")
            assert (await opened.sessions.get(session.id)).metadata == {"deep": {"n": 1}}

    asyncio.run(main())
