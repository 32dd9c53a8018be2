"""Tables that are made when a store first needs them: until then they take no page, and nobody can tell."""

import apsw
import pytest

import llmspell
from llmspell.schema import first_tables, later_tables, script


def tables(folder):
    connection = apsw.Connection(str(folder / "generation-000001" / "main.db"), flags=apsw.SQLITE_OPEN_READONLY)
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    connection.close()
    return found


READS = {
    "agents": lambda store: store.agents.list().items,
    "words of sessions": lambda store: store.sessions.list(text="bees").items,
    "words of artifacts": lambda store: store.artifacts.query(text="bees", fuzzy="bee").items,
    "grants": lambda store: store.access.grants().items,
    "audit": lambda store: store.access.audit().items,
    "schemas": lambda store: store.schemas.list(),
    "migrations": lambda store: store.migrations.list(),
    "templates": lambda store: store.sessions.templates(),
    "captures": lambda store: store.captures.rules(),
}


@pytest.fixture
def folder(tmp_path):
    with llmspell.open(tmp_path / "store") as store:
        store.sessions.create("s").artifacts.put("a", "1")
        store.state.set("k", 1)
    return tmp_path / "store"


def test_a_new_store_has_the_first_tables_alone(folder):
    assert not tables(folder) & later_tables().keys()
    assert set(later_tables()) & {"agent", "access_grant", "artifact_words", "session_text"}
    assert (folder / "generation-000001" / "main.db").stat().st_size < 40 * 4096


def test_no_statement_of_the_script_is_in_neither_part():
    both = [first_tables(), *dict.fromkeys(later_tables().values())]
    assert sum(part.count("CREATE ") for part in both) == script("main.sql").count("CREATE ")


@pytest.mark.parametrize("what", READS)
@pytest.mark.parametrize("read_only", [False, True])
def test_what_was_never_needed_is_empty_and_reading_it_makes_nothing(folder, what, read_only):
    with llmspell.open(folder, read_only=read_only) as store:
        assert list(READS[what](store)) == []
        assert list(READS[what](store)) == []
        assert store.verify().ok
    assert not tables(folder) & later_tables().keys()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_handle_that_saw_nothing_sees_what_another_made_since(folder, read_only):
    with llmspell.open(folder, read_only=read_only) as reader, llmspell.open(folder) as writer:
        assert reader.agents.list().items == []
        writer.agents.save(llmspell.AgentState("planner"))
        assert [agent.agent_id for agent in reader.agents.list().items] == ["planner"]
        assert reader.verify().ok
    assert tables(folder) & later_tables().keys() == {"agent", "agent_head", "agent_part", "agent_message"}


def test_a_write_that_is_refused_makes_nothing(folder):
    with llmspell.open(folder) as store:
        session = store.sessions.open("s")
        with pytest.raises(llmspell.NotFound):
            session.artifacts.relate("a", "depends_on", "none")
        with pytest.raises(llmspell.NotFound):
            store.agents.update("planner", print)
        assert store.agents.list().items == []
    assert not tables(folder) & later_tables().keys()


def test_a_table_that_had_rows_and_is_gone_is_told(folder):
    with llmspell.open(folder) as store:
        store.agents.save(llmspell.AgentState("planner"))
    connection = apsw.Connection(str(folder / "generation-000001" / "main.db"))
    connection.execute("DROP TABLE agent_head")
    connection.close()
    with llmspell.open(folder, read_only=True) as store:
        assert [finding.what for finding in store.verify().findings] == ["the table agent_head is missing"]
