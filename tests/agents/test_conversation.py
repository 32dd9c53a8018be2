"""Conversations that were edited, shortened, put together anew: they read back exactly, and the old ones are kept."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmspell
from llmspell import AgentMessage, AgentState
from llmspell.agentstate.splice import splice

LETTERS = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=14)


def said(*contents):
    return [AgentMessage("user", content) for content in contents]


def apply(rows, steps, digests):
    """What the projection does with a splice: drop, move, put."""
    rows = dict(rows)
    for first, last in steps.dropped:
        rows = {number: digest for number, digest in rows.items() if not first <= number <= last}
    moved = {}
    for number, digest in rows.items():
        by = next((by for first, last, by in steps.moved if first <= number <= last), 0)
        assert number + by not in moved
        moved[number + by] = digest
    for index, number in steps.added:
        moved[number] = digests[index]
    return moved


@given(st.lists(LETTERS, max_size=6))
@settings(max_examples=400)
def test_any_conversation_becomes_any_other_by_dropping_moving_and_putting(versions):
    rows, next_number = {}, 1
    for new in versions:
        old = sorted(rows.items())
        steps = splice(old, new, next_number)
        rows = apply(rows, steps, new)
        assert [digest for _, digest in sorted(rows.items())] == new
        assert sorted(rows) == steps.numbers
        assert steps.next_number >= next_number
        assert all(number < steps.next_number for number in rows)
        next_number = steps.next_number


@given(LETTERS, LETTERS, LETTERS)
def test_what_is_appended_or_cut_or_edited_in_one_place_touches_nothing_else(before, middle, after):
    old = [(number, digest) for number, digest in enumerate([*before, *middle, *after], 1)]
    grown = splice(old, [*(digest for _, digest in old), b"x", b"y"], len(old) + 1)
    assert (grown.dropped, grown.moved) == ([], [])
    assert grown.added == [(len(old), len(old) + 1), (len(old) + 1, len(old) + 2)]
    cut = splice(old, [*before, *after], len(old) + 1)
    assert (cut.added, cut.moved) == ([], [])
    edited = splice(old, [*before, *(b"new" for _ in middle), *after], len(old) + 1)
    assert (edited.dropped, edited.moved) == ([], [])
    assert len(edited.added) == len(middle)
    assert edited.numbers == [number for number, _ in old], "an edited message keeps its number"


@given(st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=30), st.integers(0, 10), st.integers(0, 5))
def test_a_window_that_slides_writes_only_what_came(window, lost, came):
    old = [(number, b"%d" % number + digest) for number, digest in enumerate(window, 1)]
    lost = min(lost, len(old))
    new = [*(digest for _, digest in old[lost:]), *(b"new%d" % number for number in range(came))]
    steps = splice(old, new, len(old) + 1)
    assert len(steps.added) == came
    assert steps.moved == []


def test_ten_thousand_equal_messages_are_compared_in_an_instant():
    old = [(number, b"ok") for number in range(1, 10_001)]
    steps = splice(old, [b"first", *[b"ok"] * 9_999, b"last"], 10_001)
    assert len(steps.added) == 2


@pytest.mark.parametrize(
    "new",
    [
        ("one", "two edited", "three"),
        ("one",),
        (),
        ("two", "three"),
        ("zero", "one", "two", "three"),
        ("one", "between", "and", "two", "three", "four"),
        ("summary", "three", "four"),
        ("three", "two", "one"),
        ("two", "two", "two", "two"),
        ("other",) * 7,
    ],
)
def test_a_conversation_that_was_changed_reads_back_exactly_and_the_old_one_is_in_the_history(face, store, new):
    store.agents.save(AgentState("a", conversation=said("one", "two", "three")))
    before = store.stats()["last_seq"]
    state = store.agents.load("a")
    state.conversation = said(*new)
    assert store.agents.save(state) == 2
    store.agents.append("a", "user", "after")
    for opened in face.both(store):
        found = opened.agents.load("a")
        assert found.conversation == said(*new, "after")
        numbers = [message.number for message in found.conversation]
        assert numbers == sorted(set(numbers))
        assert [message.content for message in opened.agents.messages("a")] == [*new, "after"]
        assert [info.messages for info in opened.agents.list()] == [len(new) + 1]
        assert opened.agents.load("a", at=before).conversation == said("one", "two", "three")
        assert opened.verify().ok


def test_a_regenerated_answer_takes_the_place_of_the_old_one(store):
    store.agents.save(AgentState("a", conversation=said("question", "answer")))
    state = store.agents.load("a")
    state.conversation[-1] = AgentMessage("user", "better answer")
    store.agents.save(state)
    placed = store.agents.history("a")[0]
    assert (placed.operation, placed.data["number"]) == ("message_placed", 2)
    assert [message.number for message in store.agents.messages("a")] == [1, 2]


def test_numbers_at_the_end_are_not_given_twice(store):
    store.agents.save(AgentState("a", conversation=said("one", "two", "three")))
    state = store.agents.load("a")
    del state.conversation[1:]
    store.agents.save(state)
    assert store.agents.append("a", "user", "four").number == 4
    assert [message.content for message in store.agents.messages("a", after=3)] == ["four"]


def test_a_save_of_many_changes_writes_one_entry_for_each_new_message(store):
    store.agents.save(AgentState("a", conversation=said(*range(400))))
    seq = store.stats()["last_seq"]
    state = store.agents.load("a")
    state.conversation = [*state.conversation[100:200], *said("new"), *state.conversation[200:399], *said("edited")]
    store.agents.save(state)
    assert store.stats()["last_seq"] == seq + 3
    assert store.agents.load("a") == state


CONVERSATIONS = st.lists(
    st.tuples(st.lists(st.integers(0, 5), max_size=8), st.booleans(), st.booleans()), min_size=1, max_size=8
)


@given(CONVERSATIONS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_any_run_of_saves_and_appends_reads_back_now_and_as_of_each(steps):
    with llmspell.open(":memory:") as store:
        store.agents.save(AgentState("a"))
        wanted, past = [], {}
        state = store.agents.load("a")
        for contents, fresh, append in steps:
            state = store.agents.load("a") if fresh or append else state
            wanted = said(*contents)
            state.conversation = list(wanted)
            store.agents.save(state)
            if append:
                store.agents.append("a", "user", "appended")
                wanted.append(*said("appended"))
                state = store.agents.load("a")
            assert store.agents.load("a").conversation == wanted
            past[store.stats()["last_seq"]] = wanted
        for seq, conversation in past.items():
            assert store.agents.load("a", at=seq).conversation == conversation
        report = store.verify()
        assert report.ok, report.findings
