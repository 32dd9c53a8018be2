"""Ways for principals to work together: each sees, writes and answers what is its own, and no more."""

import threading
from contextlib import contextmanager

import pytest

import llmspell
from llmspell.errors import InvalidInput, LimitExceeded
from tests.access.conftest import A, B, C, denied

DEADLINE_S = 30


@pytest.fixture
def store(tmp_path):
    with llmspell.open(tmp_path / "store") as made:
        yield made


@contextmanager
def answering(store, principal, answer):
    """Have ``answer(sharing, event)`` called for the first request that a principal gets, in another thread."""
    failed = []

    def work():
        try:
            event = asked.receive(timeout_s=DEADLINE_S)
            assert event is not None, "nobody asked"
            answer(store.acting_as(principal).sharing, event)
        except BaseException as exc:  # noqa: BLE001 - told by the test's own thread
            failed.append(exc)

    with store.acting_as(principal).events.subscribe("sum.asked") as asked:
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert not failed


def test_a_request_gets_the_answer_of_whom_it_asked(store):
    with answering(store, "agent:b", lambda sharing, event: sharing.respond(event, sum(event.data["data"]))):
        assert store.acting_as("agent:a").sharing.request("sum.asked", [1, 2], "agent:b", timeout_s=DEADLINE_S) == 3


def test_an_answer_to_another_request_is_passed_over(store):
    def answer(sharing, event):
        events = store.acting_as("agent:b").events
        for number in ("another", None):
            events.publish("sum.asked.reply", {"request": number, "data": "of another"}, target="agent:a")
        sharing.respond(event, "of this")

    with answering(store, "agent:b", answer):
        answered = store.acting_as("agent:a").sharing.request("sum.asked", 1, "agent:b", timeout_s=DEADLINE_S)
    assert answered == "of this"


def test_an_answer_of_anybody_else_is_passed_over(store):
    def answer(_, event):
        forged = {"request": event.data["request"], "data": "forged"}
        store.acting_as("agent:c").events.publish("sum.asked.reply", forged, target="agent:a")
        store.events.publish("sum.asked.reply", forged, target="agent:a")

    # A real answer after it would take the forged one's place, so there is none: the request ends without.
    with answering(store, "agent:b", answer), pytest.raises(LimitExceeded) as error:
        store.acting_as("agent:a").sharing.request("sum.asked", 1, "agent:b", timeout_s=1)
    assert error.value.code == "no-answer"


def test_a_request_that_nobody_answers_ends(store):
    with pytest.raises(LimitExceeded) as error:
        store.acting_as("agent:a").sharing.request("sum.asked", 1, "agent:b", timeout_s=0.01)
    assert error.value.code == "no-answer"


def test_only_whom_a_request_asks_can_answer_it(store):
    seq = store.acting_as("agent:a").sharing.broadcast("sum.asked", {"request": "n"}, ["agent:b"])[0]
    with store.events.subscribe("sum.asked", from_position=seq - 1) as seen:
        event = seen.receive(timeout_s=DEADLINE_S)
    with pytest.raises(InvalidInput) as error:
        store.acting_as("agent:c").sharing.respond(event, "mine")
    assert error.value.code == "not-a-request"
    assert store.acting_as("agent:b").sharing.respond(event, "ours") > seq


def test_a_broadcast_shows_each_receiver_its_own_message_only(store):
    begin = store.stats()["last_seq"]
    seqs = store.acting_as("agent:a").sharing.broadcast("told.you", {"n": 1}, ["agent:b", "agent:c"])
    assert len(seqs) == 2
    for principal, expected in (("agent:b", seqs[:1]), ("agent:c", seqs[1:]), ("agent:d", [])):
        events = store.acting_as(principal).events
        with events.subscribe("told.you", from_position=begin) as own:
            marker = store.acting_as("agent:a").events.publish("told.you", "end", target=principal)
            received = []
            while (event := own.receive(timeout_s=DEADLINE_S)) is not None and event.seq != marker:
                received.append(event.seq)
        assert event is not None
        assert received == expected


def test_members_of_a_shared_scope_have_the_rights_named_and_no_others(store):
    board = store.sharing.collaborate("board", ["agent:a", "agent:b"], ["read", "list"])
    store.state_of(board).set("k", 1)
    for one in (A, B):
        state = store.acting_as(one.text).state_of(board)
        assert (state.get("k"), state.keys()) == (1, ["k"])
        denied(lambda state=state: state.set("k", 2))
        denied(lambda state=state: state.delete("k"))
    denied(lambda: store.acting_as(C.text).state_of(board).get("k"))
    everything = store.sharing.collaborate("desk", ["agent:a"])
    state = store.acting_as("agent:a").state_of(everything)
    assert (state.set("k", 1), state.delete("k")) == (1, True)


def test_a_stage_writes_its_own_output_and_reads_that_of_the_stage_before_alone(store):
    stages = ("agent:a", "agent:b", "agent:c")
    line = store.sharing.pipeline("line", stages)
    for number, stage in enumerate(stages):
        state = store.acting_as(stage).state_of(line.output(number))
        assert state.set("k", number) == 1
        assert state.get("k") == number
    for reader, stage in enumerate(stages):
        for number in range(len(stages)):
            state = store.acting_as(stage).state_of(line.output(number))
            if number == reader:
                continue
            denied(lambda state=state: state.set("k", "mine"))
            denied(lambda state=state: state.delete("k"))
            if number == reader - 1:
                assert (state.get("k"), state.keys(), line.input(reader)) == (number, ["k"], state.scope)
            else:
                denied(lambda state=state: state.get("k"))
                denied(state.keys)


@pytest.mark.parametrize("bound", [None, -1, float("nan"), float("inf"), True, "1"])
def test_a_request_without_a_bound_is_refused_before_anything_is_asked(store, bound):
    begin = store.stats()["last_seq"]
    with pytest.raises(InvalidInput) as error:
        store.acting_as("agent:a").sharing.request("sum.asked", 1, "agent:b", timeout_s=bound)
    assert error.value.code == "invalid-timeout"
    assert store.stats()["last_seq"] == begin
