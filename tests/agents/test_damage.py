"""Damage to entries and rows is seen before it is served, and every question is answered from an index."""

import pytest

import llmspell
from llmspell import AgentMessage, AgentState
from llmspell.errors import Corrupt
from llmspell.schema import queries
from tests.rooms.conftest import sql

SQL = queries("llmspell.agentstate")


@pytest.fixture
def saved(store):
    store.agents.save(
        AgentState("a", context_variables={"x": 1}, conversation=[AgentMessage("user", number) for number in range(4)])
    )
    store.agents.record_tool("a", "web", 1)
    store.agents.save(AgentState("b", context_variables={"x": 2}, conversation=[AgentMessage("user", "b")]))
    return store


DAMAGE = {
    "a message's payload": "UPDATE entry SET payload = replace(payload, '2', '7') WHERE seq = 5",
    "a field's payload": "UPDATE entry SET payload = replace(payload, '1', '7') WHERE seq = 2",
    "an entry's header": "UPDATE entry SET cause = 1 WHERE seq = 4",
    "a message's number": "UPDATE agent_message SET number = 9 WHERE number = 2",
    "a message of another agent": "UPDATE agent_message SET entry_seq = 9, since_seq = 9 WHERE entry_seq = 3",
    "an entry that is no message": "UPDATE agent_message SET entry_seq = 2, since_seq = 2 WHERE number = 2",
    "an entry that is not there": "UPDATE agent_message SET entry_seq = 99, since_seq = 99 WHERE number = 2",
    "a message that is lost": "DELETE FROM agent_message WHERE number = 2",
    "a message that came back": "INSERT INTO agent_message SELECT id, 0, 9, 5, 5 FROM agent_message WHERE number = 2",
    "the version": "UPDATE agent_head SET version = 9",
    "the newest entry": "UPDATE agent_head SET seq = 2",
    "a part's entry": "UPDATE agent_part SET since_seq = 3 WHERE part = 'context_variables'",
    "a part's name": "UPDATE agent_part SET part = 'metadata' WHERE part = 'context_variables'",
    "a tool's name": "UPDATE agent_part SET part = 'tool/other' WHERE part = 'tool/web'",
    "a tool's entry": "UPDATE agent_part SET since_seq = 2 WHERE part = 'tool/web'",
    "the type": "UPDATE agent SET agent_type = 'x'",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_never_served_and_verify_finds_it(face, saved, what):
    sql(face, saved)(DAMAGE[what])
    with pytest.raises(Corrupt):
        saved.agents.load("a")
    report = saved.verify()
    assert not report.ok


@pytest.mark.parametrize("number", range(4))
def test_a_page_of_messages_checks_each_of_them(face, saved, number):
    damage = "UPDATE entry SET payload = replace(payload, ?, '8}') WHERE seq = ?"
    sql(face, saved)(damage, (f"{number}}}", number + 3))
    with pytest.raises(Corrupt):
        saved.agents.messages("a")
    with pytest.raises(Corrupt):
        saved.agents.messages("a", after=number, limit=1)
    others = [other for other in range(4) if other != number]
    found = [saved.agents.messages("a", after=other, limit=1)[0].content for other in others]
    assert found == others


def test_damage_to_one_agent_leaves_the_other(face, saved):
    sql(face, saved)(DAMAGE["a message's payload"])
    assert saved.agents.load("b").context_variables == {"x": 2}


def test_counting_a_call_on_damaged_totals_is_refused(face, saved):
    sql(face, saved)("UPDATE entry SET payload = replace(payload, '1', '7') WHERE kind = 'agent.tool_used'")
    with pytest.raises(Corrupt):
        saved.agents.record_tool("a", "web", 1)


def explained(face, store, statement):
    args = (1, 1) if "?1" in statement else tuple(1 for _ in range(statement.count("?")))
    return [row[3] for row in sql(face, store)(f"EXPLAIN QUERY PLAN {statement}", args)]


@pytest.mark.parametrize("name", sorted(SQL))
def test_no_question_walks_a_table(saved, face, name):
    statement = SQL[name]
    plan = explained(face, saved, statement)
    assert not [step for step in plan if step.startswith("SCAN")], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


@pytest.mark.parametrize(
    "name",
    ["open_messages", "some_messages", "last_messages", "count_messages", "close_messages", "close_all_messages"],
)
def test_the_present_is_found_without_the_past(saved, face, name):
    """A conversation that was edited ten thousand times reads as fast as a new one."""
    (step,) = explained(face, saved, SQL[name])
    assert "(id=? AND until_seq=?" in step


def test_entries_are_found_by_their_numbers(saved, face):
    from llmspell.agentstate import reading

    for statement in (reading._AMONG, reading._NEWEST, reading._NEXT, reading._EARLIER, reading._AT):
        args = ("[1,2]",) if "json_each" in statement else tuple(1 for _ in range(statement.count("?")))
        plan = [row[3] for row in sql(face, saved)(f"EXPLAIN QUERY PLAN {statement}", args)]
        assert [step for step in plan if step.startswith("SEARCH entry")], plan
        assert not [step for step in plan if step.startswith("SCAN entry")], plan


def test_a_store_opened_to_read_reads_records_and_writes_none(face, saved):
    face.close_stores()
    with llmspell.open(face.folder, read_only=True) as store:
        state = store.agents.load("a")
        assert len(state.conversation) == 4
        assert store.agents.save(state) == 2
        with pytest.raises(llmspell.ReadOnly):
            store.agents.append("a", "user", "x")
