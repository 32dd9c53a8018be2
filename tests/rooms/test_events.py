"""The events room over the real journal: what is published and what happens arrives, in order, once, from anywhere."""

import asyncio
import itertools
import subprocess
import sys

import pytest

import llmspell
from llmspell.errors import Conflict, LimitExceeded, LlmspellError
from llmspell.events.event import Position
from llmspell.model import limits
from llmspell.model.names import KINDS

WAIT_S = 30


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


def receive(subscription, count):
    events = [subscription.receive(timeout_s=WAIT_S) for _ in range(count)]
    assert None not in events
    return events


# -- publishing --------------------------------------------------------------------------------------------------------


def test_a_published_event_arrives_with_everything_that_was_given(store, clock):
    seen = store.events.subscribe("data.*")
    seq = store.events.publish(
        "data.ready", {"n": 2**70}, tags=["a", "b"], source="importer", target="agent:x", priority=5, ttl_s=60
    )
    event = seen.receive(timeout_s=WAIT_S)
    assert (event.type, event.data, event.seq, event.tags) == ("data.ready", {"n": 2**70}, seq, ("a", "b"))
    assert (event.source, event.target, event.priority, event.system) == ("importer", "agent:x", 5, False)
    assert 59 * 10**9 < event.expires_ns - event.time_ns < 61 * 10**9
    assert event.version == 1
    assert len(event.id) == 36
    assert event.time.tzinfo is not None


def test_events_published_together_are_one_transaction_in_order(store):
    seen = store.events.subscribe("batch.*")
    seqs = store.events.publish_many([{"type": "batch.item", "data": n, "tags": [str(n)]} for n in range(5)])
    assert seqs == list(range(seqs[0], seqs[0] + 5))
    assert [event.data for event in receive(seen, 5)] == list(range(5))
    assert store.events.publish_many([]) == []


def test_a_batch_with_one_bad_event_publishes_none(store):
    head = store.stats()["last_seq"]
    for bad in ({"type": "state.set"}, {"data": 1}, {"type": "x.y", "nonsense": 1}, {"type": "x.y", "data": {1}}):
        refused = code(lambda bad=bad: store.events.publish_many([{"type": "x.y"}, bad]))
        assert refused in {"reserved-type", "invalid-event", "invalid-value"}
    with pytest.raises(LimitExceeded):
        store.events.publish_many([{"type": "x.y"}] * (limits.BATCH_KEYS_MAX + 1))
    assert store.stats()["last_seq"] == head


@pytest.mark.parametrize("kind", sorted(kind.name for kind in KINDS if kind.name.split(".")[0] not in {"hook", "run"}))
def test_the_stores_own_types_are_reserved(store, kind):
    assert code(lambda: store.events.publish(kind)) == "reserved-type"


@pytest.mark.parametrize("arguments", [
    {"type": ""}, {"type": 5}, {"type": "a b"}, {"type": "a..b"}, {"type": "x" * 300}, {"data": {1}},
    {"data": float("nan")}, {"tags": "one"}, {"tags": [5]}, {"priority": "high"}, {"priority": True},
    {"priority": 10**7}, {"ttl_s": 0}, {"ttl_s": "5"}, {"source": ""}, {"source": 5}, {"target": "a\nb"},
])  # fmt: skip
def test_an_event_that_breaks_a_rule_is_refused_and_not_published(store, arguments):
    head = store.stats()["last_seq"]
    assert code(lambda: store.events.publish(**({"type": "x.y"} | arguments))).startswith("invalid-")
    assert store.stats()["last_seq"] == head


def test_an_event_whose_time_is_over_is_not_delivered(store, clock):
    store.events.publish("old.news", ttl_s=5)
    store.events.publish("last.news")
    clock.advance(10)
    seen = store.events.subscribe("*.news", from_position="start")
    assert seen.receive(timeout_s=WAIT_S).type == "last.news"


# -- what the store itself tells ---------------------------------------------------------------------------------------


def test_changes_of_state_carry_both_values_the_version_and_the_operation(store, clock):
    seen = store.events.subscribe("state.*")
    store.state.set("a", 1)
    store.state.set("a", "x" * 3000)
    store.state.delete("a")
    store.state.set("a", 3)
    told = [
        (event.type, event.data["operation"], event.data.get("value"), event.data["old_value"], event.data["version"])
        for event in receive(seen, 4)
    ]
    assert told == [
        ("state.set", "set", 1, None, 1),
        ("state.set", "set", "x" * 3000, 1, 2),
        ("state.deleted", "deleted", None, "x" * 3000, 3),
        ("state.set", "set", 3, None, 4),
    ]


def test_everything_that_happens_arrives_on_one_bus_in_the_order_of_the_journal(store):
    seen = store.events.subscribe("**", from_position="start")
    with store.correlate("work"), store.session("s") as session:
        session.state.set("a", 1)
        store.events.publish("user.said", "hello")
        session.artifacts.put("f.txt", "text")
        session.checkpoint("c")
    head = store.stats()["last_seq"]
    events = receive(seen, head)
    assert [event.seq for event in events] == list(range(1, head + 1))
    assert [event.type for event in events] == [
        "store.created", "correlation.opened", "session.created", "state.set", "user.said", "artifact.stored",
        "session.checkpointed", "session.completed",
    ]  # fmt: skip
    assert [event.system for event in events] == [event.type != "user.said" for event in events]
    assert {event.session for event in events[2:]} == {session.id}
    assert all(event.time_ns <= later.time_ns for event, later in itertools.pairwise(events))


def test_a_name_of_the_original_still_means_the_event(store):
    seen = store.events.subscribe("state.changed")
    store.state.set("a", 1)
    store.state.delete("a")
    assert [event.type for event in receive(seen, 2)] == ["state.set", "state.deleted"]


# -- positions ---------------------------------------------------------------------------------------------------------


def test_a_subscriber_resumes_behind_its_last_event_after_the_store_was_opened_again(face, store):
    seen = store.events.subscribe("item.*")
    for n in range(5):
        store.events.publish("item.new", n)
    kept = str(receive(seen, 3)[-1].position)
    store = face.reopen()
    for n in range(5, 8):
        store.events.publish("item.new", n)
    for position in (kept, Position.parse(kept), Position.parse(kept).seq):
        again = store.events.subscribe("item.*", from_position=position)
        assert [event.data for event in receive(again, 5)] == [3, 4, 5, 6, 7]


def test_a_subscription_gives_exactly_what_is_committed_after_it_began(store):
    store.events.publish("item.new", "before")
    seen = store.events.subscribe("item.*")
    store.events.publish("item.new", "after")
    assert seen.receive(timeout_s=WAIT_S).data == "after"
    assert seen.receive(timeout_s=0) is None


def test_a_position_of_another_store_or_of_the_future_is_refused(face, store, tmp_path):
    store.events.publish("item.new")
    with llmspell.open(tmp_path / "other") as other:
        other.events.publish("item.new")
        watched = other.events.subscribe("item.*", from_position="start")
        foreign = watched.receive(timeout_s=WAIT_S).position
    assert code(lambda: store.events.subscribe("*", from_position=foreign)) == "other-timeline"
    assert code(lambda: store.events.subscribe("*", from_position=10**6)) == "position-ahead"
    assert code(lambda: store.events.subscribe("*", from_position="p1.garbage")) == "invalid-position"
    assert code(lambda: store.events.subscribe("*", from_position=-1)) == "invalid-position"


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_a_sessions_room_publishes_for_it_and_hears_only_it(store):
    mine, other = store.sessions.create("mine"), store.sessions.create("other")
    seen = mine.events.subscribe("**")
    store.events.publish("loose.event")
    other.events.publish("other.event")
    other.state.set("a", 1)
    mine.events.publish("mine.event")
    mine.state.set("a", 2)
    with mine:
        store.events.publish("inside.event")
    events = receive(seen, 3)
    assert [event.type for event in events] == ["mine.event", "state.set", "inside.event"]
    assert {event.session for event in events} == {mine.id}
    assert {event.correlation_id for event in events} == {mine.info.correlation_id}


# -- other processes ---------------------------------------------------------------------------------------------------

CHILD = """
import sys, llmspell
with llmspell.open(sys.argv[1], durability="process") as store:
    for line in sys.stdin:
        store.events.publish("their.event", int(line))
        store.state.set("n", int(line))
        print("done", flush=True)
"""


def test_events_of_another_process_arrive_in_order_between_our_own(store):
    seen = store.events.subscribe("**")
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        for n in range(5):
            store.events.publish("our.event", n)
            other.stdin.write(f"{n}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "done\n"
        other.stdin.close()
        assert other.wait(WAIT_S) == 0
    events = receive(seen, 15)
    assert [event.type for event in events] == ["our.event", "their.event", "state.set"] * 5
    assert [event.seq for event in events] == list(range(events[0].seq, events[0].seq + 15))


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_subscription_of_a_closed_store_gives_what_is_there_and_then_says_closed(face, store):
    seen = store.events.subscribe("x.*")
    store.events.publish("x.y", 1)
    assert seen.receive(timeout_s=WAIT_S).data == 1
    face.close_stores()
    with pytest.raises(Conflict) as refused:
        seen.receive(timeout_s=WAIT_S)
    assert refused.value.code == "closed"


def test_iteration_gives_events_until_the_subscription_is_closed(store):
    seen = store.events.subscribe("x.*")
    for n in range(3):
        store.events.publish("x.y", n)
    found = []
    for event in seen:
        found.append(event.data)
        if len(found) == 3:
            seen.close()
    assert found == [0, 1, 2]


def test_a_callback_is_called_in_order_on_both_faces(tmp_path):
    async def main():
        heard, enough = [], asyncio.Event()
        async with await llmspell.open_async(tmp_path / "a") as store:

            async def hear(event):
                heard.append(event.data)
                if len(heard) == 3:
                    enough.set()

            store.events.subscribe("x.*", hear)
            await store.events.publish_many([{"type": "x.y", "data": n} for n in range(3)])
            await asyncio.wait_for(enough.wait(), WAIT_S)
        return heard

    assert asyncio.run(main()) == [0, 1, 2]
    import threading

    heard, enough = [], threading.Event()
    with llmspell.open(tmp_path / "b") as store:

        def hear(event):
            heard.append(event.data)
            if len(heard) == 3:
                enough.set()

        store.events.subscribe("x.*", hear)
        store.events.publish_many([{"type": "x.y", "data": n} for n in range(3)])
        assert enough.wait(WAIT_S)
    assert heard == [0, 1, 2]
