"""Agents against plain dicts: any run of operations, with crashes and reopenings in between."""

import shutil
import tempfile
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import llmspell
from llmspell import AgentMessage, AgentState
from tests.crash.test_model import VALUES, abandon

pytestmark = pytest.mark.crash

AGENTS = st.sampled_from(["a", "b:c", "käse"])
TYPES = st.sampled_from(["", "chat", "plan"])
MESSAGES = st.lists(st.sampled_from(["hi", "yo", "long " * 300, 7]), max_size=6)
TABLES = st.dictionaries(st.text(max_size=3), VALUES, max_size=2)
OPTIONAL = {
    "agent_type": TYPES,
    "context_variables": TABLES,
    "execution_state": VALUES,
    "custom_data": TABLES,
    "configuration": TABLES,
    "tools": st.lists(st.sampled_from(["web", "files"]), max_size=3),
    "permissions": TABLES,
    "workflow_progress": TABLES,
    "metadata": TABLES,
    "schema_version": st.sampled_from(["1.0.0", "2.0.0"]),
}
FIELDS = st.fixed_dictionaries({}, optional=OPTIONAL)


def empty():
    state = AgentState("x").to_dict()
    return {name: state[name] for name in (*OPTIONAL, "tool_usage", "conversation")}


class Agents(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="agents-"))
        self.model = {}
        self.versions = {}
        self.held = {}
        self.past = []

    @initialize(durability=st.sampled_from(["full", "process"]))
    def begin(self, durability):
        self.durability = durability
        self.folder = self.home / "s"
        self.open()

    def open(self):
        self.store = llmspell.open(self.folder, durability=self.durability)

    def stepped(self, agent, expected):
        self.versions[agent] = self.versions.get(agent, 0) + 1
        assert expected == self.versions[agent]

    @rule(agent=AGENTS)
    def load(self, agent):
        self.held[agent] = self.store.agents.load(agent)
        assert (self.held[agent] is None) is (agent not in self.model)

    @rule(agent=AGENTS, fields=FIELDS)
    def save_fields(self, agent, fields):
        state = self.store.agents.load(agent) or AgentState(agent)
        self.save(agent, state, fields, None)

    @rule(agent=AGENTS, contents=MESSAGES, at=st.integers(0, 6), cut=st.integers(0, 3))
    def edit_conversation(self, agent, contents, at, cut):
        state = self.store.agents.load(agent) or AgentState(agent)
        conversation = deepcopy(self.model.get(agent, empty())["conversation"])
        conversation[at : at + cut] = contents
        self.save(agent, state, {}, conversation)

    @rule(agent=AGENTS, fields=FIELDS)
    def save_what_is_held(self, agent, fields):
        state = self.held.get(agent)
        current = self.versions.get(agent, 0) if agent in self.model else 0
        if state is None or state.version == current:
            return
        for name, value in fields.items():
            setattr(state, name, deepcopy(value))
        with pytest.raises(llmspell.Conflict):
            self.store.agents.save(state)

    def save(self, agent, state, fields, conversation):
        wanted = deepcopy(self.model.get(agent, empty()))
        for name, value in fields.items():
            setattr(state, name, deepcopy(value))
            wanted[name] = deepcopy(value)
        if conversation is not None:
            state.conversation = [AgentMessage("user", deepcopy(content)) for content in conversation]
            wanted["conversation"] = conversation
        before = self.versions.get(agent, 0)
        # JSON tells -0.0 from 0.0 and True from 1, which Python calls equal.
        same = agent in self.model and repr(wanted) == repr(self.model[agent])
        version = self.store.agents.save(state)
        if same:
            assert version == before
        else:
            self.stepped(agent, version)
        self.model[agent] = wanted

    @rule(agent=AGENTS, content=VALUES)
    def append(self, agent, content):
        if agent not in self.model:
            with pytest.raises(llmspell.NotFound):
                self.store.agents.append(agent, "user", content)
            return
        self.store.agents.append(agent, "user", content)
        self.stepped(agent, self.store.agents.load(agent).version)
        self.model[agent]["conversation"].append(deepcopy(content))

    @rule(agent=AGENTS, tool=st.sampled_from(["web", "files"]), ms=st.integers(0, 100), ok=st.booleans())
    def use_tool(self, agent, tool, ms, ok):
        if agent not in self.model:
            return
        usage = self.store.agents.record_tool(agent, tool, ms, ok=ok)
        calls, failures, total = self.model[agent]["tool_usage"].get(tool, (0, 0, 0))
        self.model[agent]["tool_usage"][tool] = calls + 1, failures + (not ok), total + ms
        assert (usage.calls, usage.failures, usage.total_ms) == self.model[agent]["tool_usage"][tool]
        self.stepped(agent, self.store.agents.load(agent).version)

    @rule(agent=AGENTS)
    def forget_tools(self, agent):
        if agent not in self.model or not self.model[agent]["tool_usage"]:
            return
        state = self.store.agents.load(agent)
        state.tool_usage = {}
        self.stepped(agent, self.store.agents.save(state))
        self.model[agent]["tool_usage"] = {}

    @rule(agent=AGENTS)
    def delete(self, agent):
        was = self.model.pop(agent, None) is not None
        assert self.store.agents.delete(agent) is was
        if was:
            self.versions[agent] += 1

    @rule()
    def remember(self):
        self.past.append((self.store.stats()["last_seq"], deepcopy(self.model)))

    @rule()
    def reopen(self):
        self.store.__exit__(None, None, None)
        self.open()

    @rule()
    def crash(self):
        self.folder = abandon(self.store)
        self.open()

    @invariant()
    def records_are_the_dicts(self):
        if not hasattr(self, "store"):
            return
        listed = {info.agent_id: info for info in self.store.agents.list()}
        assert set(listed) == set(self.model)
        for agent, wanted in self.model.items():
            self.compare(self.store.agents.load(agent), wanted)
            info = listed[agent]
            assert (info.version, info.messages) == (self.versions[agent], len(wanted["conversation"]))
            assert info.agent_type == wanted["agent_type"]

    def compare(self, found, wanted):
        assert found is not None
        for name in OPTIONAL:
            assert repr(getattr(found, name)) == repr(wanted[name]), name
        assert repr([message.content for message in found.conversation]) == repr(wanted["conversation"])
        numbers = [message.number for message in found.conversation]
        assert numbers == sorted(set(numbers))
        usages = {tool: (one.calls, one.failures, one.total_ms) for tool, one in found.tool_usage.items()}
        assert usages == wanted["tool_usage"]

    def teardown(self):
        if not hasattr(self, "store"):
            return
        for seq, model in self.past:
            for agent in ("a", "b:c", "käse"):
                found = self.store.agents.load(agent, at=seq)
                if agent in model:
                    self.compare(found, model[agent])
                else:
                    assert found is None
        report = self.store.verify()
        self.store.__exit__(None, None, None)
        shutil.rmtree(self.home)
        assert report.ok, report.findings


class TestAgents(Agents.TestCase):
    settings = settings(
        max_examples=25,
        stateful_step_count=25,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.mark.slow
class TestAgentsLong(Agents.TestCase):
    settings = settings(
        max_examples=200,
        stateful_step_count=60,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
