"""What no record can hold is refused by name, nothing of it is written, and odd but legal values come back as given."""

import pytest

import llmspell
from llmspell import AgentMessage, AgentState, ToolUsage
from llmspell.errors import LimitExceeded, LlmspellError
from llmspell.model import limits

LOOP = {}
LOOP["self"] = LOOP
DEEP = []
for _ in range(limits.VALUE_DEPTH_MAX + 2):
    DEEP = [DEEP]


def with_(**fields):
    state = AgentState("a")
    for name, value in fields.items():
        setattr(state, name, value)
    return state


def said(role="user", content="x", metadata=None):
    return with_(conversation=[AgentMessage(role, content, {} if metadata is None else metadata)])


BAD = {
    "no-state": ({"agent_id": "a"}, "invalid-agent"),
    "nan": (with_(context_variables={"x": float("nan")}), "invalid-value"),
    "tuple": (with_(execution_state=(1, 2)), "invalid-value"),
    "int-key": (with_(custom_data={1: 2}), "invalid-value"),
    "bytes": (with_(configuration={"key": b"x"}), "invalid-value"),
    "object": (with_(metadata={"x": object()}), "invalid-value"),
    "cycle": (with_(workflow_progress=LOOP), "value-cycle"),
    "depth": (with_(permissions={"x": DEEP}), "value-depth"),
    "surrogate": (with_(context_variables={"x": "\ud800"}), "invalid-value"),
    "list-for-dict": (with_(context_variables=[1]), "invalid-agent"),
    "none-for-dict": (with_(metadata=None), "invalid-agent"),
    "type": (with_(agent_type=5), "invalid-name"),
    "type-control": (with_(agent_type="a\0"), "invalid-name"),
    "schema-empty": (with_(schema_version=""), "invalid-name"),
    "schema-long": (with_(schema_version="1" * 65), "invalid-name"),
    "tools-text": (with_(tools="web"), "invalid-agent"),
    "tools-int": (with_(tools=[1]), "invalid-name"),
    "usage-dict": (with_(tool_usage={"web": {"calls": 1}}), "invalid-agent"),
    "usage-list": (with_(tool_usage=[]), "invalid-agent"),
    "usage-name": (with_(tool_usage={"": ToolUsage()}), "invalid-name"),
    "usage-twice": (with_(tool_usage={"caf\u00e9": ToolUsage(), "cafe\u0301": ToolUsage()}), "duplicate-key"),
    "usage-negative": (with_(tool_usage={"web": ToolUsage(-1)}), "invalid-agent"),
    "usage-bool": (with_(tool_usage={"web": ToolUsage(True)}), "invalid-agent"),
    "usage-more-failures": (with_(tool_usage={"web": ToolUsage(1, 2)}), "invalid-agent"),
    "usage-nan": (with_(tool_usage={"web": ToolUsage(1, 0, float("nan"))}), "invalid-agent"),
    "usage-naive": (with_(tool_usage={"web": ToolUsage(1, 0, 1.0, "2026-01-01")}), "invalid-agent"),
    "conversation-dict": (with_(conversation={}), "invalid-agent"),
    "conversation-tuple": (with_(conversation=()), "invalid-agent"),
    "message-dict": (with_(conversation=[{"role": "user", "content": "x"}]), "invalid-agent"),
    "role-empty": (said(role=""), "invalid-name"),
    "role-type": (said(role=None), "invalid-name"),
    "content-set": (said(content={1}), "invalid-value"),
    "content-cycle": (said(content=LOOP), "value-cycle"),
    "message-metadata": (said(metadata=[1]), "invalid-agent"),
    "id-empty": (AgentState(""), "invalid-scope"),
    "id-type": (AgentState(7), "invalid-scope"),
    "id-long": (AgentState("x" * 513), "invalid-scope"),
    "id-surrogate": (AgentState("\ud800"), "invalid-scope"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("hooked", [False, True])
def test_a_bad_record_is_refused_and_nothing_is_written(name, hooked):
    state, code = BAD[name]
    with llmspell.open(":memory:") as store:
        if hooked:
            store.hooks.register("before_agent_save", lambda context: None)
        with pytest.raises(LlmspellError) as refused:
            store.agents.save(state)
        assert refused.value.code == code
        assert store.stats()["last_seq"] == 1


CALLS = {
    "save-version": (lambda agents: agents.save(AgentState("a"), if_version=-1), "invalid-version"),
    "save-version-type": (lambda agents: agents.save(AgentState("a"), if_version="1"), "invalid-version"),
    "load-id": (lambda agents: agents.load(None), "invalid-scope"),
    "load-at": (lambda agents: agents.load("there", at="1"), "invalid-seq"),
    "load-at-0": (lambda agents: agents.load("there", at=0), "invalid-seq"),
    "load-at-huge": (lambda agents: agents.load("there", at=1 << 64), "invalid-seq"),
    "exists-id": (lambda agents: agents.exists(b"a"), "invalid-scope"),
    "delete-version": (lambda agents: agents.delete("there", if_version=1.0), "invalid-version"),
    "delete-id": (lambda agents: agents.delete(""), "invalid-scope"),
    "append-role": (lambda agents: agents.append("there", 5, "x"), "invalid-name"),
    "append-role-long": (lambda agents: agents.append("there", "x" * 256, "x"), "invalid-name"),
    "append-content": (lambda agents: agents.append("there", "user", b"x"), "invalid-value"),
    "append-metadata": (lambda agents: agents.append("there", "user", "x", metadata=[]), "invalid-agent"),
    "append-id": (lambda agents: agents.append(5, "user", "x"), "invalid-scope"),
    "messages-after": (lambda agents: agents.messages("there", after=-1), "invalid-number"),
    "messages-before": (lambda agents: agents.messages("there", before="3"), "invalid-number"),
    "messages-after-huge": (lambda agents: agents.messages("there", after=1 << 64), "invalid-number"),
    "messages-limit": (lambda agents: agents.messages("there", limit=0), "invalid-limit"),
    "list-type": (lambda agents: agents.list(agent_type=5), "invalid-name"),
    "list-limit": (lambda agents: agents.list(limit=None), "invalid-limit"),
    "list-cursor": (lambda agents: agents.list(cursor="x"), "invalid-cursor"),
    "history-before": (lambda agents: agents.history("there", before=0), "invalid-seq"),
    "history-limit": (lambda agents: agents.history("there", limit=10**9), "invalid-limit"),
    "tool-name": (lambda agents: agents.record_tool("there", "", 1), "invalid-name"),
    "tool-ms": (lambda agents: agents.record_tool("there", "web", -1), "invalid-duration"),
    "tool-nan": (lambda agents: agents.record_tool("there", "web", float("nan")), "invalid-duration"),
    "tool-inf": (lambda agents: agents.record_tool("there", "web", float("inf")), "invalid-duration"),
    "tool-text": (lambda agents: agents.record_tool("there", "web", "5"), "invalid-duration"),
    "tool-ok": (lambda agents: agents.record_tool("there", "web", 5, ok=0), "invalid-agent"),
    "update-default": (lambda agents: agents.update("a", lambda state: None, default={}), "invalid-agent"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_argument_is_refused_by_name_and_nothing_is_written(name):
    call, code = CALLS[name]
    with llmspell.open(":memory:") as store:
        store.agents.save(AgentState("there"))
        before = store.stats()["last_seq"]
        with pytest.raises(LlmspellError) as refused:
            call(store.agents)
        assert refused.value.code == code
        assert store.stats()["last_seq"] == before


def test_an_error_says_where_in_the_record_it_is():
    with llmspell.open(":memory:") as store:
        state = said(content={"parts": ["x", {1}]})
        state.conversation.insert(0, AgentMessage("user", "fine"))
        with pytest.raises(LlmspellError) as refused:
            store.agents.save(state)
        assert refused.value.message.startswith("conversation[1]: message: $.content.parts[1] is a")
        with pytest.raises(LlmspellError) as refused:
            store.agents.save(with_(context_variables={"a": {"b": ()}}))
        assert refused.value.message.startswith("context_variables: $.a.b is a")
        assert refused.value.details["field"] == "context_variables"


@pytest.mark.parametrize(
    "agent_id",
    ["a:b", "agent:agent:x", "../x", "käse / käse", " ", "%3A", "a" * 512, "\n", "\0", "'; DROP TABLE agent"],
)
def test_any_id_names_an_agent_of_its_own(face, store, agent_id):
    store.agents.save(AgentState("other"))
    store.agents.save(AgentState(agent_id, metadata={"id": agent_id}))
    store.agents.append(agent_id, "user", "hi")
    for opened in face.both(store):
        found = opened.agents.load(agent_id)
        assert (found.agent_id, found.metadata, len(found.conversation)) == (agent_id, {"id": agent_id}, 1)
        assert {info.agent_id for info in opened.agents.list()} == {"other", agent_id}
        assert opened.verify().ok


@pytest.mark.parametrize("tool", ["web", "a/b", "tool/web", "context_variables", "null"])
def test_a_tool_may_be_named_like_a_part(face, store, tool):
    store.agents.save(AgentState("a", context_variables={"x": 1}))
    store.agents.record_tool("a", tool, 1)
    for opened in face.both(store):
        found = opened.agents.load("a")
        assert list(found.tool_usage) == [tool]
        assert found.context_variables == {"x": 1}


@pytest.mark.parametrize("content", [None, False, 0, "", [], {}, "null", 2**200, -0.0, "\0\u2028", "x" * 300_000])
def test_any_json_value_is_content(face, store, content):
    store.agents.save(AgentState("a", conversation=[AgentMessage("user", content)]))
    store.agents.append("a", "user", content, metadata={})
    for opened in face.both(store):
        assert [repr(message.content) for message in opened.agents.messages("a")] == [repr(content)] * 2


def test_what_is_over_a_limit_is_refused_and_the_record_stays(store):
    store.agents.save(AgentState("a"))
    state = store.agents.load("a")
    state.custom_data = {"x": "y" * limits.VALUE_BYTES_MAX}
    with pytest.raises(LimitExceeded) as refused:
        store.agents.save(state)
    assert refused.value.code == "value-too-large"
    with pytest.raises(LimitExceeded):
        store.agents.append("a", "user", "y" * limits.VALUE_BYTES_MAX)
    state.custom_data = {}
    state.conversation = [AgentMessage("user", "ok")] * (limits.AGENT_MESSAGES_SAVED_MAX + 1)
    with pytest.raises(LimitExceeded) as refused:
        store.agents.save(state)
    assert refused.value.code == "too-many-messages"
    found = store.agents.load("a")
    assert (found.version, found.custom_data, found.conversation) == (1, {}, [])


def test_a_record_is_its_callers_own(store):
    state = AgentState("a", context_variables={"list": [1]}, conversation=[AgentMessage("user", [1])])
    store.agents.save(state)
    state.context_variables["list"].append(2)
    state.conversation[0].content.append(2)
    first = store.agents.load("a")
    first.context_variables["list"].append(3)
    second = store.agents.load("a")
    assert second.context_variables == {"list": [1]}
    assert second.conversation == [AgentMessage("user", [1])]
    assert store.agents.save(state) == 2, "what was changed inside a value is seen"
    assert store.agents.load("a") == state
