"""Hooks around agents' records: they see what is to be written, may change or refuse it, and hear what was."""

import pytest

from llmspell import AgentMessage, AgentState, Cancel, Modified
from llmspell.errors import Conflict, InvalidInput, Vetoed


def heard(store, *points):
    seen = []
    for point in points:
        store.hooks.register(point, lambda context: seen.append((context.point, dict(context.data))))
    return seen


def test_a_save_is_told_before_with_the_whole_record_and_after_with_its_version(store):
    seen = heard(store, "before_agent_save", "after_agent_save")
    state = AgentState("a", agent_type="t", context_variables={"x": 1}, conversation=[AgentMessage("user", "hi")])
    store.agents.save(state)
    (before, told), (after, done) = seen
    assert (before, after) == ("before_agent_save", "after_agent_save")
    assert (told["agent_id"], told["version"], told["operation"]) == ("a", 0, "save")
    assert told["context_variables"] == {"x": 1}
    assert told["conversation"][0]["content"] == "hi"
    assert done == {
        "agent_id": "a", "agent_type": "t", "version": 1, "operation": "save",
        "changed": ["agent_type", "context_variables", "conversation"], "messages": 1,
    }  # fmt: skip


def test_a_save_that_writes_nothing_has_no_after(store):
    store.agents.save(AgentState("a"))
    seen = heard(store, "before_agent_save", "after_agent_save")
    store.agents.save(store.agents.load("a"))
    assert [point for point, _ in seen] == ["before_agent_save"]


def test_a_veto_leaves_everything_as_it_was(face, store):
    store.agents.save(AgentState("a"))
    before = store.stats()["last_seq"]
    for point in ("before_agent_save", "before_agent_append", "before_agent_delete"):
        store.hooks.register(point, lambda context: Cancel("not now"))
    state = store.agents.load("a")
    state.metadata["n"] = 1
    for call in (
        lambda: store.agents.save(state),
        lambda: store.agents.save(AgentState("b")),
        lambda: store.agents.append("a", "user", "hi"),
        lambda: store.agents.delete("a"),
        lambda: store.agents.update("a", lambda found: found.metadata.update(n=2)),
    ):
        with pytest.raises(Vetoed):
            call()
    assert store.stats()["last_seq"] == before
    assert state.version == 1


def test_a_hook_changes_what_is_saved(face, store):
    def redact(context):
        messages = [{**one, "content": "***"} for one in context.data["conversation"]]
        return Modified({"conversation": messages, "context_variables": {"clean": True}, "execution_state": [1]})

    store.hooks.register("before_agent_save", redact)
    state = AgentState("a", context_variables={"secret": 1}, conversation=[AgentMessage("user", "s", {"m": 1})])
    store.agents.save(state)
    found = face.reopen().agents.load("a")
    assert found.conversation == [AgentMessage("user", "***", {"m": 1})]
    assert (found.context_variables, found.execution_state) == ({"clean": True}, [1])


def test_a_hook_changes_what_is_appended(face, store):
    store.agents.save(AgentState("a"))
    store.hooks.register(
        "before_agent_append", lambda context: Modified({"content": "***", "metadata": {"by": "hook"}})
    )
    seen = heard(store, "after_agent_append")
    message = store.agents.append("a", "user", "secret")
    assert message == AgentMessage("user", "***", {"by": "hook"})
    assert seen[0][1] == {
        "agent_id": "a", "role": "user", "content": "***", "metadata": {"by": "hook"}, "operation": "append",
        "number": 1,
    }  # fmt: skip
    assert face.reopen().agents.messages("a") == [message]


@pytest.mark.parametrize(
    "changed",
    [
        {"agent_id": "b"},
        {"version": 7},
        {"agent_type": "x"},
        {"tool_usage": {"web": {}}},
        {"context_variables": []},
        {"tools": "web"},
        {"tools": [1]},
        {"conversation": {}},
        {"conversation": ["hi"]},
        {"conversation": [{"role": "user"}]},
        {"conversation": [{"role": "", "content": 1}]},
        {"conversation": [{"role": "user", "content": 1, "name": "x"}]},
        {"conversation": [{"role": "user", "content": 1, "metadata": []}]},
    ],
)
def test_a_change_that_is_no_record_counts_as_a_failed_hook(store, changed):
    store.hooks.register("before_agent_save", lambda context: Modified(changed), name="bad")
    state = AgentState("a", context_variables={"x": 1})
    store.agents.save(state)
    assert [failure.code for failure in store.hooks.failures()] == ["invalid-result"]
    assert store.agents.load("a") == state


def test_a_deletion_that_hooks_watched_is_of_the_version_they_saw(face, store):
    store.agents.save(AgentState("a"))
    seen = []

    def meddle(context):
        seen.append(context.data["version"])
        if len(seen) == 1:
            import llmspell

            with llmspell.open(face.folder) as other:
                other.agents.append("a", "user", "meanwhile")

    store.hooks.register("before_agent_delete", meddle)
    done = heard(store, "after_agent_delete")
    assert store.agents.delete("a") is True
    assert seen == [1, 2]
    assert done[0][1] == {"agent_id": "a", "version": 3, "operation": "delete"}
    assert store.agents.delete("a") is False
    assert len(done) == 1, "nothing was deleted, nothing is told"


def test_a_deletion_that_depends_on_a_version_is_a_conflict_with_hooks_too(store):
    store.agents.save(AgentState("a"))
    store.hooks.register("before_agent_delete", lambda context: None)
    with pytest.raises(Conflict):
        store.agents.delete("a", if_version=5)
    assert store.agents.exists("a")


def test_only_the_store_triggers_these_points(face, store):
    for point in ("before_agent_save", "after_agent_save", "before_agent_append", "after_agent_delete"):
        with pytest.raises(InvalidInput) as refused:
            face.call(store.hooks.trigger, point, {})
        assert refused.value.code == "reserved-point"
