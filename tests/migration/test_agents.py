"""Agents' records as values: their fields are migrated, their conversations stay."""

import pytest

from llmspell import AgentState
from llmspell.errors import InvalidInput
from llmspell.migration.changing import Default
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Move, Rename
from llmspell.schemas.catalog import Catalog
from llmspell.schemas.schema import Schema

V1 = Schema("agent", "1.0.0", {"custom_data": {"type": "object", "fields": {"topic": "string"}}})
V2 = Schema("agent", "2.0.0", {"context_variables": {"type": "object", "fields": {"subject": "string"}}})
CATALOG = Catalog().adding_all([V1, V2])
UP = Migration("agent", "1.0.0", "2.0.0", [
    Rename("custom_data.topic", "subject"), Move("custom_data.subject", "context_variables.subject"),
    Default("configuration.depth", 3),
])  # fmt: skip


@pytest.fixture
def agents(store):
    for number in range(5):
        state = AgentState(f"a{number}", custom_data={"topic": f"t{number}", "kept": number})
        store.agents.save(state)
        store.agents.append(f"a{number}", "user", "hello")
    store.migrations.register(UP)
    return store


def plan_of(store, **options):
    return store.migrations.plan("agent", "2.0.0", from_version="1.0.0", agents=True, catalog=CATALOG, **options)


def test_records_are_migrated_and_say_their_version(face, agents):
    report = agents.migrations.apply(plan_of(agents), batch=2)
    assert (report.seen, report.changed) == (5, 5)
    for store in face.both(agents):
        state = store.agents.load("a3")
        assert state.context_variables == {"subject": "t3"}
        assert state.custom_data == {"kept": 3}
        assert state.configuration == {"depth": 3}
        assert state.schema_version == "2.0.0"
        assert [message.content for message in state.conversation] == ["hello"]
        assert store.verify().ok


def test_only_records_of_the_old_version_and_of_the_prefix_take_part(agents):
    agents.agents.save(AgentState("a9", schema_version="2.0.0", custom_data={"topic": "new already"}))
    assert agents.migrations.apply(plan_of(agents, prefix="a")).changed == 5
    assert agents.agents.load("a9").custom_data == {"topic": "new already"}


def test_records_are_taken_back_field_by_field(face, agents):
    before = {number: agents.agents.load(f"a{number}") for number in range(5)}
    report = agents.migrations.apply(plan_of(agents))
    agents.agents.append("a1", "user", "later")

    def edit(state):
        state.custom_data = {"mine": True}

    agents.agents.update("a2", edit)
    agents.agents.delete("a4")
    back = agents.migrations.rollback(report.id)
    assert (back.restored, back.left) == (3, 2)
    assert [key for _, key in back.left_alone] == ["a4", "a2"] or [key for _, key in back.left_alone] == ["a2", "a4"]
    for store in face.both(agents):
        state = store.agents.load("a1")
        assert (state.custom_data, state.context_variables, state.schema_version) == (
            before[1].custom_data, {}, "1.0.0"
        )  # fmt: skip
        assert [message.content for message in state.conversation] == ["hello", "later"]
        touched = store.agents.load("a2")
        assert (touched.custom_data, touched.context_variables) == ({"mine": True}, {})
        assert store.agents.load("a4") is None
        assert store.verify().ok


def test_a_record_has_no_other_fields(agents):
    agents.migrations.register(Migration("agent", "1.0.0", "2.0.0", [Rename("metadata", "extra")]), replace=True)
    plan = plan_of(agents)
    with pytest.raises(InvalidInput) as caught:
        agents.migrations.apply(plan, validation="none")
    assert caught.value.details["problems"][0]["phase"] == "store"
    assert agents.agents.load("a1").schema_version == "1.0.0"
