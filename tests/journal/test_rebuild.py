"""The projections are what the journal makes of them: any run of operations, verified against a rebuild."""

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmspell
from llmspell import AgentMessage, AgentState
from llmspell.errors import LlmspellError
from llmspell.model.clock import ManualClock
from llmspell.model.ids import SequentialIds
from llmspell.model.scope import Scope

SMALL = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), SMALL, SMALL, st.sampled_from([None, 5.0])),
        st.tuples(st.just("long"), SMALL, SMALL),
        st.tuples(st.just("many"), SMALL),
        st.tuples(st.just("delete"), SMALL, SMALL),
        st.tuples(st.just("clear"), SMALL),
        st.tuples(st.just("copy"), SMALL, SMALL),
        st.tuples(st.just("move"), SMALL, SMALL),
        st.tuples(st.just("session"), SMALL),
        st.tuples(st.just("step"), SMALL, st.sampled_from(["suspend", "resume", "complete", "archive", "unarchive"])),
        st.tuples(st.just("fail"), SMALL),
        st.tuples(st.just("update"), SMALL),
        st.tuples(st.just("checkpoint"), SMALL, SMALL),
        st.tuples(st.just("restore"), SMALL, SMALL),
        st.tuples(st.just("drop"), SMALL),
        st.tuples(st.just("put"), SMALL, SMALL),
        st.tuples(st.just("label"), SMALL, SMALL),
        st.tuples(st.just("revert"), SMALL, SMALL),
        st.tuples(st.just("undo"), SMALL, SMALL),
        st.tuples(st.just("describe"), SMALL, SMALL),
        st.tuples(st.just("publish"), SMALL),
        st.tuples(st.just("correlate"), SMALL),
        st.tuples(st.just("turn"), SMALL, SMALL, SMALL),
        st.tuples(st.just("append"), SMALL),
        st.tuples(st.just("tool"), SMALL, SMALL),
        st.tuples(st.just("retire"), SMALL),
        st.tuples(st.just("wait"), st.sampled_from([1, 10, -4, 100_000])),
    ),
    max_size=40,
)

OF_AGENT = {"turn", "append", "tool", "retire"}


def take(store, clock, step):
    what, *given_ = step
    number = given_[0]
    scope = store.state_of(Scope.agent(str(number)))
    if what == "wait":
        clock.jump(number)
    elif what == "set":
        scope.set(f"k{given_[1]}", number, ttl_s=given_[2])
    elif what == "long":
        scope.set(f"k{given_[1]}", f"{number}" * 3000)
    elif what == "many":
        scope.set_many({"k0": 1, "k1": [2], "k9": None})
    elif what == "delete":
        scope.delete(f"k{given_[1]}")
    elif what == "clear":
        scope.clear()
    elif what == "copy":
        scope.copy_to(Scope.agent(str(given_[1])))
    elif what == "move":
        scope.move_to(Scope.agent(str(given_[1])))
    elif what == "publish":
        store.events.publish("x.y", number)
    elif what == "correlate":
        with store.correlate("outer"), store.correlate(f"inner {number}"):
            store.state.set("in", number)
    elif what == "session":
        store.sessions.create(f"s{number}", tags=["t"], metadata={"n": number}, state={"k0": 0, "k1": "x" * 2000})
    else:
        (of_agent if what in OF_AGENT else in_session)(store, what, given_)


def of_agent(store, what, given_):
    name = str(given_[0])

    def turn(state):
        state.agent_type = f"type {given_[1]}"
        state.conversation[given_[1] : given_[1] + 1] = [AgentMessage("user", n) for n in range(given_[2])]
        state.tool_usage.pop("t0", None)

    if what == "turn":
        store.agents.update(name, turn, default=AgentState(name))
    elif what == "append":
        store.agents.append(name, "user", "x" * 600)
    elif what == "tool":
        store.agents.record_tool(name, f"t{given_[1]}", 1)
    else:
        store.agents.delete(name)


def in_session(store, what, given_):
    session = store.sessions.open(f"s{given_[0]}")
    name = f"f{given_[-1]}.txt"
    if what == "step":
        getattr(session, given_[1])()
    elif what == "fail":
        session.fail("why")
    elif what == "update":
        session.update(description="new", tags=["u"])
    elif what == "checkpoint":
        session.checkpoint(f"c{given_[1]}")
    elif what == "restore":
        session.restore(f"c{given_[1]}")
    elif what == "drop":
        store.sessions.delete(session.id)
    elif what == "put":
        session.artifacts.put(name, f"text {given_}")
    elif what == "label":
        session.artifacts.tag_version(name, 1, "good")
    elif what == "revert":
        session.artifacts.restore_version(name, 1)
    elif what == "undo":
        session.artifacts.delete(name)
    elif what == "describe":
        session.artifacts.update(name, description="new")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_after_any_run_of_operations_the_tables_are_what_a_rebuild_gives(steps):
    clock = ManualClock(step_ns=7)
    with llmspell.open(":memory:", clock=clock, ids=SequentialIds()) as store:
        for step in steps:
            with contextlib.suppress(LlmspellError):  # What is refused is refused whole, which is what is checked.
                take(store, clock, step)
        report = store.verify()
        assert report.ok, [finding.what for finding in report.findings]
        assert report.checked["entries"] == store.stats()["last_seq"]


def test_two_stores_given_the_same_ids_clock_and_operations_hold_the_same_bytes():
    heads = []
    for _ in range(2):
        clock = ManualClock(step_ns=7)
        with llmspell.open(":memory:", clock=clock, ids=SequentialIds()) as store:
            for step in (("session", 1), ("put", 1, 1), ("set", 1, 1, 5.0), ("correlate", 2), ("checkpoint", 1, 1),
                         ("wait", 10), ("restore", 1, 1), ("publish", 1)):  # fmt: skip
                take(store, clock, step)
            heads.append(store.verify().head)
    assert heads[0] == heads[1]
