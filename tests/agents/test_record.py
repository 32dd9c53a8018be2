"""An agent's record: it reads back as it was saved, whoever opens the store, and nobody's change is lost unseen."""

import json
import shutil
from copy import deepcopy
from datetime import UTC, datetime

import pytest

import llmspell
from llmspell import AgentMessage, AgentState, ToolUsage
from llmspell.errors import Conflict, InvalidInput, NotFound


def full(agent_id="researcher"):
    return AgentState(
        agent_id,
        agent_type="research",
        conversation=[
            AgentMessage("system", "Be brief."),
            AgentMessage("user", "What do bees eat?", {"channel": "chat"}),
            AgentMessage("assistant", [{"type": "text", "text": "Nectar — and pollen."}]),
        ],
        context_variables={"topic": "bees", "depth": 2**70, "nested": {"käse": [None, -0.0, 1e300]}},
        tool_usage={
            "web": ToolUsage(3, 1, 12.5, datetime(2026, 5, 1, 12, 30, 0, 123456, tzinfo=UTC)),
            "x": ToolUsage(),
        },
        execution_state={"status": "running", "step": 4},
        custom_data={"": {"\0": "\n"}},
        configuration={"model": "any", "temperature": 0.5},
        tools=["web", "files"],
        permissions={"web": ["read"]},
        workflow_progress={"plan": {"done": ["a"], "left": ["b"]}},
        metadata={"owner": "u"},
        schema_version="2.1.0",
    )


def kinds(store, **filters):
    return [entry.kind for entry in store.timeline(limit=10_000, **filters)]


def head(store):
    return store.stats()["last_seq"]


# -- what was saved ----------------------------------------------------------------------------------------------------


def test_a_record_reads_back_exactly_also_after_opening_again(face, store):
    state = full()
    assert store.agents.save(state) == 1
    for opened in face.both(store):
        found = opened.agents.load("researcher")
        assert found == state == full_at(1)
        assert repr(found.context_variables) == repr(state.context_variables)
        assert found.created_at == state.created_at
        assert found.updated_at == state.updated_at
        assert [message.number for message in found.conversation] == [1, 2, 3]
        assert all(message.seq and message.time.tzinfo for message in found.conversation)
        assert opened.verify().ok


def full_at(version):
    state = full()
    state.version = version
    return state


def test_a_record_of_nothing_but_an_id_is_one(face, store):
    assert store.agents.save(AgentState("a")) == 1
    for opened in face.both(store):
        found = opened.agents.load("a")
        assert found.version == 1
        assert found.conversation == []
        assert (found.execution_state, found.schema_version, found.agent_type) == ("idle", "1.0.0", "")
        assert opened.agents.exists("a")


def test_an_agent_without_a_record_loads_as_none_and_has_nothing(store):
    assert store.agents.load("nobody") is None
    assert store.agents.load("nobody", at=1) is None
    assert not store.agents.exists("nobody")
    assert store.agents.delete("nobody") is False
    assert store.agents.history("nobody") == []
    for call in (
        lambda: store.agents.messages("nobody"),
        lambda: store.agents.append("nobody", "user", "hi"),
        lambda: store.agents.record_tool("nobody", "web", 1),
        lambda: store.agents.update("nobody", lambda state: None),
    ):
        with pytest.raises(NotFound) as refused:
            call()
        assert refused.value.code == "agent-not-found"
    assert head(store) == 1, "asking for what is not there writes nothing"


def test_state_of_the_agents_scope_and_its_record_do_not_touch(store):
    store.state_of(llmspell.Scope.agent("a")).set("k", 1)
    assert store.agents.load("a") is None
    assert not store.agents.exists("a")
    store.agents.save(AgentState("a"))
    assert store.state_of(llmspell.Scope.agent("a")).keys() == ["k"]
    assert store.state_of(llmspell.Scope.agent("a")).history("agent") == []
    assert len(store.agents.history("a")) == 1


# -- a save writes what changed ----------------------------------------------------------------------------------------


def test_a_save_without_a_change_writes_nothing(face, store):
    state = full()
    store.agents.save(state)
    before = head(store)
    assert store.agents.save(state) == 1
    loaded = store.agents.load("researcher")
    assert store.agents.save(loaded) == 1
    assert head(store) == before
    again = face.reopen()
    assert again.agents.save(loaded) == 1
    assert head(again) == before


def test_a_save_writes_the_fields_that_changed_and_no_other(store):
    state = full()
    store.agents.save(state)
    seq = head(store)
    state.context_variables["topic"] = "wasps"
    state.tool_usage["web"] = ToolUsage(4, 1, 13.0)
    del state.tool_usage["x"]
    assert store.agents.save(state) == 2
    (entry,) = [entry for entry in store.timeline(limit=1000) if entry.seq > seq]
    assert entry.kind == "agent.saved"
    assert set(entry.data["fields"]) == {"context_variables"}
    assert entry.data["tools"]["x"] is None
    assert entry.data["tools"]["web"]["calls"] == 4
    assert store.agents.load("researcher") == state


def test_a_save_appends_messages_that_are_new_and_no_other(store):
    state = full()
    store.agents.save(state)
    for number in range(3):
        seq = head(store)
        state.conversation.append(AgentMessage("user", f"question {number}"))
        state.conversation.append(AgentMessage("assistant", f"answer {number}"))
        assert store.agents.save(state) == number + 2
        new = [entry for entry in store.timeline(limit=1000) if entry.seq > seq]
        assert [entry.kind for entry in new] == ["agent.message_appended", "agent.message_appended"]
        assert [entry.data["version"] for entry in new] == [number + 2] * 2, "one save is one version"
    assert store.agents.load("researcher") == state


def test_a_record_built_anew_and_saved_over_the_old_one_writes_the_difference(store):
    store.agents.save(full())
    seq = head(store)
    other = full()
    other.conversation.append(AgentMessage("user", "more"))
    assert store.agents.save(other, if_version=1) == 2
    new = [entry for entry in store.timeline(limit=1000) if entry.seq > seq]
    assert [entry.kind for entry in new] == ["agent.message_appended"]
    assert store.agents.load("researcher") == other


def test_a_field_goes_back_to_its_default(face, store):
    state = full()
    store.agents.save(state)
    bare = AgentState("researcher")
    store.agents.save(bare, if_version=1)
    for opened in face.both(store):
        assert opened.agents.load("researcher") == bare
        assert [one.agent_type for one in opened.agents.list()] == [""]
        assert opened.verify().ok


# -- versions ----------------------------------------------------------------------------------------------------------


def test_a_save_relies_on_the_version_that_was_loaded(store):
    store.agents.save(full())
    one, other = store.agents.load("researcher"), store.agents.load("researcher")
    one.context_variables["by"] = "one"
    other.context_variables["by"] = "other"
    store.agents.save(one)
    with pytest.raises(Conflict) as refused:
        store.agents.save(other)
    assert refused.value.details["version"] == 2
    assert refused.value.hint
    assert store.agents.load("researcher") == one
    assert store.agents.save(other, if_version=2) == 3
    assert store.agents.load("researcher") == other


@pytest.mark.parametrize("change", [True, False])
def test_a_stale_record_is_a_conflict_even_if_nothing_in_it_changed(store, change):
    stale = full()
    store.agents.save(stale)
    store.agents.append("researcher", "user", "meanwhile")
    if change:
        stale.metadata["n"] = 1
    with pytest.raises(Conflict):
        store.agents.save(stale)


def test_a_new_record_does_not_replace_one_that_is_there(store):
    store.agents.save(full())
    with pytest.raises(Conflict):
        store.agents.save(AgentState("researcher"))
    with pytest.raises(Conflict):
        store.agents.save(AgentState("other"), if_version=1)
    assert store.agents.load("researcher") == full_at(1)
    assert not store.agents.exists("other")


def test_versions_go_on_after_a_deletion_and_nothing_of_the_old_record_comes_back(face, store):
    state = full()
    store.agents.save(state)
    store.agents.append("researcher", "user", "more")
    assert store.agents.delete("researcher") is True
    assert store.agents.delete("researcher") is False
    for opened in face.both(store):
        assert opened.agents.load("researcher") is None
        assert not opened.agents.exists("researcher")
        assert opened.agents.list().items == []
        with pytest.raises(NotFound):
            opened.agents.messages("researcher")
        with pytest.raises(NotFound):
            opened.agents.append("researcher", "user", "?")
        with pytest.raises(Conflict):
            opened.agents.save(state)
    again = AgentState("researcher", conversation=[AgentMessage("user", "new")])
    store = face.reopen()
    assert store.agents.save(again) == 4
    assert store.agents.load("researcher") == again
    assert [message.number for message in store.agents.messages("researcher")] == [1]
    assert store.verify().ok


def test_a_deletion_can_depend_on_the_version(store):
    store.agents.save(full())
    with pytest.raises(Conflict):
        store.agents.delete("researcher", if_version=2)
    assert store.agents.delete("researcher", if_version=1) is True
    with pytest.raises(Conflict):
        store.agents.delete("researcher", if_version=1)


@pytest.mark.parametrize("changed", [True, False])
def test_a_record_of_another_store_is_not_mistaken_for_this_ones(tmp_path, changed):
    """Same agent, same version, another past: what is saved is what was given, whatever the store held."""
    with llmspell.open(tmp_path / "one") as one, llmspell.open(tmp_path / "two") as two:
        mine = AgentState("a", context_variables={"where": "one"}, conversation=[AgentMessage("user", "in one")])
        one.agents.save(mine)
        two.agents.save(AgentState("a", context_variables={"where": "two"}, conversation=[AgentMessage("user", "2")]))
        if changed:
            mine.metadata["n"] = 1
        assert two.agents.save(mine) == 2, "not 'unchanged': this store has something else"
        assert two.agents.load("a") == mine
        mine.conversation.append(AgentMessage("user", "more"))
        assert two.agents.save(mine) == 3, "from here on it is this store's"
        assert two.agents.load("a") == mine
        with pytest.raises(Conflict):
            one.agents.save(mine)


def test_a_copy_of_a_store_that_went_its_own_way_is_another_store(tmp_path):
    with llmspell.open(tmp_path / "one") as one:
        one.agents.save(AgentState("a"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with llmspell.open(tmp_path / "one") as one, llmspell.open(tmp_path / "two") as two:
        one.agents.append("a", "user", "in one")
        two.agents.append("a", "user", "in two")
        mine = one.agents.load("a")
        assert two.agents.save(mine) == 3
        assert [message.content for message in two.agents.load("a").conversation] == ["in one"]


def test_a_record_that_was_given_another_id_is_another_agents(store):
    store.agents.save(full())
    store.agents.save(AgentState("copy", metadata={"old": True}))
    state = store.agents.load("researcher")
    state.agent_id = "copy"
    store.agents.save(state)
    assert store.agents.load("copy") == state
    assert store.agents.load("researcher") == full_at(1)
    state.agent_id = "third"
    with pytest.raises(Conflict):
        store.agents.save(state)


def test_update_gives_what_it_saved_and_may_begin_with_a_default(store):
    def turn(state):
        state.conversation.append(AgentMessage("user", "hi"))

    default = AgentState("a", agent_type="chat")
    first = store.agents.update("a", turn, default=default)
    assert (first.version, default.conversation) == (1, [])
    second = store.agents.update("a", turn, default=default)
    assert second.version == 2
    assert store.agents.load("a") == second
    assert len(second.conversation) == 2


def test_update_takes_what_the_function_returns_if_it_is_the_same_agents(store):
    store.agents.save(full())
    replaced = store.agents.update("researcher", lambda state: AgentState("researcher", metadata={"n": 1}))
    assert store.agents.load("researcher") == replaced
    assert replaced.version == 2
    with pytest.raises(InvalidInput):
        store.agents.update("researcher", lambda state: AgentState("other"))
    with pytest.raises(InvalidInput):
        store.agents.update("researcher", lambda state: {"agent_id": "researcher"})


def test_update_runs_again_when_somebody_wrote_in_between(face, store):
    store.agents.save(AgentState("a", context_variables={"n": 0}))
    seen = []

    def grow(state):
        seen.append(state.version)
        if len(seen) == 1:
            with llmspell.open(face.folder) as other:
                other.agents.append("a", "user", "meanwhile")
        state.context_variables["n"] += 1

    assert store.agents.update("a", grow).version == 3
    assert seen == [1, 2]
    found = store.agents.load("a")
    assert (len(found.conversation), found.context_variables) == (1, {"n": 1})


# -- messages and calls ------------------------------------------------------------------------------------------------


def test_an_appended_message_is_one_entry_and_comes_back(face, store):
    store.agents.save(full())
    seq = head(store)
    message = store.agents.append("researcher", "tool", {"rows": [1, 2]}, metadata={"tool": "web"})
    assert (message.number, message.seq, message.metadata) == (4, seq + 1, {"tool": "web"})
    assert head(store) == seq + 1
    for opened in face.both(store):
        (found,) = opened.agents.messages("researcher", after=3)
        assert found == message
        assert (found.number, found.seq, found.time) == (message.number, message.seq, message.time)
        assert opened.agents.load("researcher").version == 2


def test_messages_come_in_pages_from_either_end(store):
    store.agents.save(AgentState("a"))
    for number in range(1, 8):
        store.agents.append("a", "user", number)
    messages = store.agents.messages

    def contents(**options):
        return [message.content for message in messages("a", **options)]

    assert contents() == [1, 2, 3, 4, 5, 6, 7]
    assert contents(limit=3) == [1, 2, 3]
    assert contents(limit=3, after=3) == [4, 5, 6]
    assert contents(limit=3, newest_first=True) == [7, 6, 5]
    assert contents(limit=3, newest_first=True, before=5) == [4, 3, 2]
    assert contents(after=2, before=5) == [3, 4]
    assert contents(after=7) == []


def test_calls_of_a_tool_add_up(face, store):
    store.agents.save(AgentState("a", tool_usage={"web": ToolUsage(10, 2, 100.0)}))
    store.agents.record_tool("a", "web", 5)
    totals = store.agents.record_tool("a", "web", 0.25, ok=False)
    assert (totals.calls, totals.failures, totals.total_ms) == (12, 3, 105.25)
    assert totals.last_used_at.tzinfo is not None
    assert store.agents.record_tool("a", "new", 1).calls == 1
    for opened in face.both(store):
        state = opened.agents.load("a")
        assert state.tool_usage["web"] == totals
        assert state.version == 4
        before = head(opened)
        assert opened.agents.save(state) == 4
        assert head(opened) == before, "totals that were loaded are not written again"


# -- history -----------------------------------------------------------------------------------------------------------


def test_a_record_loads_as_of_every_entry_it_ever_had(face, store):
    state = full()
    past = {}

    def note():
        past[head(store)] = deepcopy(store.agents.load("researcher"))

    past[head(store)] = None
    store.agents.save(state)
    note()
    store.agents.append("researcher", "user", "one")
    note()
    state = store.agents.load("researcher")
    state.conversation[1] = AgentMessage("user", "edited")
    del state.conversation[0]
    state.conversation.insert(1, AgentMessage("system", "between"))
    state.agent_type = "other"
    store.agents.save(state)
    note()
    store.agents.record_tool("researcher", "web", 3)
    note()
    store.agents.delete("researcher")
    past[head(store)] = None
    store.agents.save(AgentState("researcher", agent_type="third"))
    note()
    for opened in face.both(store):
        for seq, wanted in past.items():
            found = opened.agents.load("researcher", at=seq) if seq else None
            assert found == wanted, seq
            if wanted is not None:
                assert (found.created_at, found.updated_at) == (wanted.created_at, wanted.updated_at)


@pytest.mark.parametrize("count", [3, 250])
@pytest.mark.parametrize("field", [True, False])
def test_half_of_a_save_is_never_shown(store, field, count):
    store.agents.save(AgentState("a"))
    store.agents.append("a", "user", "first")
    first = head(store)
    state = store.agents.load("a")
    state.conversation = [AgentMessage("user", number) for number in range(count)]
    if field:
        state.metadata["n"] = 1
    store.agents.save(state)
    last = head(store)
    assert last == first + count + field
    for seq in {first, first + 1, last - 1}:
        found = store.agents.load("a", at=seq)
        assert (found.version, [message.content for message in found.conversation]) == (2, ["first"]), seq
    assert store.agents.load("a", at=last) == state


def test_half_of_a_first_save_is_no_record(store):
    store.agents.save(full())
    assert [store.agents.load("researcher", at=seq) is None for seq in range(1, 6)] == [True] * 4 + [False]


def test_history_tells_every_change_and_pages(store):
    store.agents.save(full())
    store.agents.append("researcher", "user", "one")
    store.agents.record_tool("researcher", "web", 3)
    store.agents.delete("researcher")
    changes = store.agents.history("researcher")
    assert [change.operation for change in changes] == [
        "deleted", "tool_used", "message_appended", *["message_appended"] * 3, "saved",
    ]  # fmt: skip
    assert [change.version for change in changes] == [4, 3, 2, 1, 1, 1, 1]
    first = store.agents.history("researcher", limit=3)
    assert [*first, *store.agents.history("researcher", before=first[-1].seq)] == changes
    assert changes[2].data["message"] == {"role": "user", "content": "one"}
    assert changes[0].to_dict()["time"] == changes[0].time.isoformat()


# -- lists -------------------------------------------------------------------------------------------------------------


def test_agents_are_listed_by_id_in_pages_and_by_type(face, store):
    for number in range(7):
        store.agents.save(AgentState(f"agent-{number}", agent_type="odd" if number % 2 else "even"))
    store.agents.append("agent-3", "user", "hi")
    store.agents.delete("agent-4")
    for opened in face.both(store):
        ids, cursor = [], None
        while True:
            page = opened.agents.list(limit=2, cursor=cursor)
            ids += [info.agent_id for info in page]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert ids == [f"agent-{number}" for number in (0, 1, 2, 3, 5, 6)]
        odd = opened.agents.list(agent_type="odd")
        assert [(info.agent_id, info.version, info.messages) for info in odd] == [
            ("agent-1", 1, 0), ("agent-3", 2, 1), ("agent-5", 1, 0),
        ]  # fmt: skip
        assert opened.agents.list(agent_type="none").items == []
        assert opened.stats()["agents"] == 6


def test_pages_are_of_the_agents_that_were_there_at_the_first(store):
    for name in "bdf":
        store.agents.save(AgentState(name))
    page = store.agents.list(limit=1)
    store.agents.save(AgentState("c"))
    store.agents.delete("d")
    rest = store.agents.list(limit=5, cursor=page.next_cursor)
    assert [info.agent_id for info in rest] == ["d", "f"]
    assert [info.agent_id for info in store.agents.list()] == ["b", "c", "f"]


def test_a_cursor_belongs_to_its_list(store):
    for name in "ab":
        store.agents.save(AgentState(name, agent_type="t"))
    cursor = store.agents.list(limit=1).next_cursor
    for bad in (cursor, "nonsense", store.timeline(limit=1).next_cursor):
        with pytest.raises(InvalidInput) as refused:
            store.agents.list(agent_type="t", cursor=bad or "x")
        assert refused.value.code == "invalid-cursor"


# -- around it ---------------------------------------------------------------------------------------------------------


def test_what_is_saved_in_a_session_belongs_to_it_and_outlives_it(face, store):
    with store.session("Research") as session:
        store.agents.save(full())
        store.agents.append("researcher", "user", "inside")
        entries = session.timeline(kinds=["agent.saved", "agent.message_appended"])
        assert len(entries.items) == 5
        assert {entry.correlation for entry in entries} == {entries.items[0].correlation}
        assert all(entry.cause for entry in entries)
    assert store.agents.history("researcher")[0].session == session.id
    store.sessions.delete(session.id)
    assert face.reopen().agents.exists("researcher")


def test_changes_are_events_with_the_agents_id(store):
    state = full()
    store.agents.save(state)
    store.agents.append("researcher", "user", "hi")
    state = store.agents.load("researcher")
    state.conversation[0] = AgentMessage("system", "edited")
    store.agents.save(state)
    store.agents.record_tool("researcher", "web", 1)
    store.agents.delete("researcher")
    assert kinds(store)[1:] == [
        "agent.saved", *["agent.message_appended"] * 4, "agent.message_placed", "agent.tool_used",
        "agent.deleted",
    ]  # fmt: skip
    with store.events.subscribe("agent.*", from_position="start") as subscription:
        events = [subscription.receive(timeout_s=20) for _ in range(8)]
    assert {event.data["agent_id"] for event in events} == {"researcher"}


def test_the_scan_decides_what_is_written(face, store):
    def scan(value):
        return json.loads(json.dumps(value).replace("hunter2", "[REDACTED]"))

    face.core(store).agents._scan = scan
    state = AgentState("a", context_variables={"password": "hunter2"})
    state.conversation.append(AgentMessage("user", "it is hunter2", {"note": "hunter2"}))
    store.agents.save(state)
    assert store.agents.append("a", "user", ["hunter2"]).content == ["[REDACTED]"]
    assert "hunter2" not in str([entry.data for entry in store.timeline(limit=100)])
    found = store.agents.load("a")
    assert found.context_variables == {"password": "[REDACTED]"}
    assert found.conversation[0] == AgentMessage("user", "it is [REDACTED]", {"note": "[REDACTED]"})
