"""Records of agents are migrated when they are loaded by a handle for the plan: once, whole, and with no write lost."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

import llmspell
from llmspell import AgentState
from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.hooks.results import Cancel
from llmspell.migration.changing import Custom
from llmspell.migration.migration import Migration
from tests.migration.test_agents import CATALOG, UP, agents, plan_of  # noqa: F401 - a fixture, too

STEPPED = Migration("agent", "1.0.0", "2.0.0", [*UP.transforms, Custom("step", "context_variables")])


def head(store):
    return store.stats()["last_seq"]


def is_new(state, number):
    fields = (state.context_variables, state.custom_data, state.configuration, state.schema_version)
    return fields == ({"subject": f"t{number}"}, {"kept": number}, {"depth": 3}, "2.0.0")


def test_a_record_is_migrated_when_it_is_loaded_and_only_that_one(face, agents):  # noqa: F811
    lazy, before = agents.migrations.lazily_agents(plan_of(agents)), head(agents)
    state = lazy.load("a3")
    assert is_new(state, 3)
    assert (state.version, [message.content for message in state.conversation]) == (3, ["hello"])
    assert head(agents) == before + 1
    assert lazy.load("a3") == state
    assert lazy.load("none") is None
    assert head(agents) == before + 1, "what is new is not written again"
    newest = agents.agents.history("a3", limit=1)[0]
    assert (newest.operation, newest.seq, newest.version) == ("saved", before + 1, 3)
    assert set(newest.data["fields"]) == {"custom_data", "context_variables", "configuration", "schema_version"}
    store = face.reopen()
    assert store.agents.load("a3") == state
    assert store.agents.load("a3", at=before).custom_data == {"topic": "t3", "kept": 3}
    assert store.agents.load("a4").schema_version == "1.0.0", "a plain load shows what is stored"
    assert store.verify().ok


def test_loading_all_ids_comes_to_what_a_migration_does(agents):  # noqa: F811
    lazy = agents.migrations.lazily_agents(plan_of(agents))
    assert (lazy.ids(limit=2), lazy.ids(after="a1", limit=2)) == (["a0", "a1"], ["a2", "a3"])
    assert all(is_new(lazy.load(one), number) for number, one in enumerate(lazy.ids()))
    report = agents.migrations.apply(plan_of(agents))
    assert (report.seen, report.changed) == (5, 0)
    assert agents.verify().ok


def test_reading_alone_writes_nothing_and_what_was_read_can_be_saved(agents):  # noqa: F811
    lazy, before = agents.migrations.lazily_agents(plan_of(agents), write=False), head(agents)
    state = lazy.load("a2")
    assert is_new(state, 2)
    assert (head(agents), state.version) == (before, 2)
    assert agents.agents.load("a2").schema_version == "1.0.0"
    state.metadata = {"seen": True}
    assert agents.agents.save(state) == 3
    assert is_new(agents.agents.load("a2"), 2)
    assert len(agents.agents.load("a2").conversation) == 1


def test_an_update_writes_the_new_form_and_the_change_at_once(agents):  # noqa: F811
    lazy, before = agents.migrations.lazily_agents(plan_of(agents)), head(agents)

    def turn(state):
        assert is_new(state, 1)
        state.metadata["turns"] = 1

    state = lazy.update("a1", turn)
    assert is_new(state, 1)
    assert (head(agents), state.version) == (before + 1, 3)
    assert (agents.agents.load("a1"), lazy.load("a1").metadata) == (state, {"turns": 1})
    with pytest.raises(NotFound):
        lazy.update("none", turn)


def test_a_record_that_an_update_makes_anew_is_of_the_new_form(agents):  # noqa: F811
    lazy = agents.migrations.lazily_agents(plan_of(agents))
    saved = lazy.update("a1", lambda state: AgentState("a1", context_variables=state.context_variables))
    assert (saved.schema_version, saved.context_variables) == ("2.0.0", {"subject": "t1"})
    before = head(agents)
    assert lazy.load("a1") == agents.agents.load("a1")
    assert head(agents) == before


def test_only_the_two_versions_of_the_plan_are_known(agents):  # noqa: F811
    agents.agents.save(AgentState("a8", schema_version="3.0.0"))
    lazy, before = agents.migrations.lazily_agents(plan_of(agents)), head(agents)
    for call in (lambda: lazy.load("a8"), lambda: lazy.update("a8", lambda state: None)):
        with pytest.raises(Conflict) as refused:
            call()
        assert refused.value.code == "plan-outdated"
    assert head(agents) == before


def test_a_record_that_cannot_be_brought_there_is_named_and_left(agents):  # noqa: F811
    agents.agents.save(AgentState("a9", custom_data={"topic": ["hunter2"]}))
    lazy, before = agents.migrations.lazily_agents(plan_of(agents)), head(agents)
    for call in (lambda: lazy.load("a9"), lambda: lazy.update("a9", lambda state: None)):
        with pytest.raises(InvalidInput) as refused:
            call()
        assert refused.value.code == "migration-failed"
        assert "a9" in str(refused.value)
        assert "hunter2" not in str(refused.value) + repr(refused.value.details)
    assert head(agents) == before
    assert agents.agents.load("a9").custom_data == {"topic": ["hunter2"]}


def test_what_makes_no_sense_is_refused(agents):  # noqa: F811
    plan = plan_of(agents, prefix="a")
    lazy = agents.migrations.lazily_agents(plan)
    of_keys = agents.migrations.plan("agent", "2.0.0", from_version="1.0.0", prefix="k", catalog=CATALOG)
    for call, code in (
        (lambda: lazy.load("b"), "not-a-target"), (lambda: lazy.update("b", print), "not-a-target"),
        (lambda: lazy.load(""), "invalid-scope"), (lambda: lazy.ids(limit=0), "invalid-limit"),
        (lambda: agents.migrations.lazily(plan), "invalid-plan"),
        (lambda: agents.migrations.lazily_agents(of_keys), "invalid-plan"),
        (lambda: agents.migrations.lazily_agents("agent"), "invalid-plan"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as refused:
            call()
        assert refused.value.code == code


def test_secrets_are_replaced_and_hooks_of_saving_are_not_asked(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        store.agents.save(AgentState("a", custom_data={"topic": "t"}))
        store.hooks.register("before_agent_save", lambda context: Cancel("no"))
        leak = Migration("agent", "1.0.0", "2.0.0", [*UP.transforms, Custom("leak", "context_variables")])
        store.migrations.register(leak)
        token = "ghp_" + "a1B2" * 9
        lazy = store.migrations.lazily_agents(plan_of(store), functions={"leak": lambda value: value | {"x": token}})
        assert lazy.load("a").context_variables["x"] == "[REDACTED]"
        assert token not in repr(store.agents.load("a"))


# -- others meanwhile --------------------------------------------------------------------------------------------------


@pytest.fixture
def seed(tmp_path):
    """A store with five agents, which children are given."""
    with llmspell.open(tmp_path / "s", durability="process") as store:
        for number in range(5):
            store.agents.save(AgentState(f"a{number}", custom_data={"topic": f"t{number}", "kept": number}))
            store.agents.append(f"a{number}", "user", "hello")
        store.migrations.register(STEPPED)
        yield store


CHILD = """
import sys, llmspell
from tests.migration.test_agents import plan_of
from tests.migration.test_lazy_agents import dying

with llmspell.open(sys.argv[1], durability="process") as store:
    lazy = store.migrations.lazily_agents(plan_of(store), functions={"step": lambda value: value})
    dying(int(sys.argv[2]))
    for one in sys.argv[3:] or lazy.ids():
        lazy.load(one)
"""


def dying(statement):
    """Die with the statement of this number that would be written; 0: live."""
    from llmspell.adapters.sqlite.batch import Batch

    run, left = Batch.run, [statement]

    async def counted(self, sql, args=()):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        await run(self, sql, args)

    Batch.run = counted


def child(store, kill_at, *ids):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(store.path), str(kill_at), *ids], check=False,
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip


def saved_since(store, agent):
    return [change for change in store.agents.history(agent) if change.operation == "saved"][:-1]


@pytest.mark.parametrize("kill_at", [1, 3, 6, 11, 20])
def test_a_kill_leaves_every_record_as_it_was_or_as_it_is_to_be(seed, kill_at):
    assert child(seed, kill_at).returncode == -signal.SIGKILL
    states = [seed.agents.load(f"a{number}") for number in range(5)]
    done = [is_new(state, number) for number, state in enumerate(states)]
    assert done == sorted(done, reverse=True)
    assert not all(done)
    for number, state in enumerate(states):
        assert done[number] or state.custom_data == {"topic": f"t{number}", "kept": number}
        assert [message.content for message in state.conversation] == ["hello"]
    assert seed.verify().ok
    finished = child(seed, 0)
    assert finished.returncode == 0, finished.stderr
    for number in range(5):
        assert is_new(seed.agents.load(f"a{number}"), number)
        assert len(saved_since(seed, f"a{number}")) == 1
    assert seed.verify().ok


def meanwhile(store, what):
    """A handle whose transform lets somebody else do something the first time that it is asked."""
    left = [what]

    def step(value):
        if left:
            left.pop()()
        return value

    return store.migrations.lazily_agents(plan_of(store), functions={"step": step})


@pytest.mark.parametrize("by", ["load", "update"])
def test_two_processes_that_meet_migrate_a_record_once(seed, by):
    lazy = meanwhile(seed, lambda: child(seed, 0, "a1").check_returncode())

    def turn(state):
        state.metadata = {"turned": True}

    state = lazy.load("a1") if by == "load" else lazy.update("a1", turn)
    assert is_new(state, 1)
    kept = [set(change.data["fields"]) for change in saved_since(seed, "a1")]
    assert kept[-1] == {"custom_data", "context_variables", "configuration", "schema_version"}
    assert kept[:-1] == ([] if by == "load" else [{"metadata"}])
    assert seed.verify().ok


def test_what_is_appended_or_saved_meanwhile_is_in_what_is_given(seed):
    lazy = meanwhile(seed, lambda: seed.agents.append("a0", "user", "later"))
    state = lazy.load("a0")
    assert (is_new(state, 0), [message.content for message in state.conversation]) == (True, ["hello", "later"])
    assert len(saved_since(seed, "a0")) == 1

    def turn(state):
        state.custom_data["topic"] = "t1, turned"

    state = meanwhile(seed, lambda: seed.agents.update("a1", turn)).load("a1")
    assert (state.context_variables, state.schema_version) == ({"subject": "t1, turned"}, "2.0.0")
    assert meanwhile(seed, lambda: seed.agents.delete("a2")).load("a2") is None
    assert [seed.agents.exists(f"a{number}") for number in range(3)] == [True, True, False]
    assert seed.verify().ok
