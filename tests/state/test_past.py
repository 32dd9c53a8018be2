"""Views show what was, whatever came after; and two moments differ in exactly what they show."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmspell
from llmspell.errors import InvalidInput, NotFound
from llmspell.model.clock import ManualClock
from llmspell.model.scope import Scope
from tests.rooms.conftest import FACES

AGENT = Scope.agent("a")
KEYS = ["a", "b", "c", "long"]


@pytest.fixture(params=sorted(FACES))
def face(request, tmp_path):
    made = FACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(face):
    return face.open()


def head(store):
    return store.stats()["last_seq"]


def test_a_limit_is_filled_beyond_many_keys_that_came_later(store):
    store.state.set_many({f"k{number:04}": number for number in range(0, 400, 100)})
    past = store.at(head(store))
    store.state.set_many({f"k{number:04}": "later" for number in range(401)})
    everything = [(f"k{number:04}", number) for number in range(0, 400, 100)]
    for limit in (1, 2, 3, 4, 5, 10**30):
        assert past.state.items(limit=limit) == everything[:limit]
    assert past.state.keys(after="k0100", limit=1) == ["k0200"]


def test_a_view_shows_what_was_and_stays_so(face, store):
    store.state.set("topic", "bees")
    store.state_of(AGENT).set("long", "x" * 5000)
    seq = head(store)
    past = store.at(seq)
    store.state.set("topic", "ants")
    store.state.delete("topic")
    store.state_of(AGENT).set("long", "y")
    store.state.set("later", 1)
    for view_of in (lambda: past, lambda: store.at(seq), lambda: face.reopen().at(seq)):
        view = view_of()
        assert view.state.get("topic") == "bees"
        assert view.state_of(AGENT).get("long") == "x" * 5000
        assert view.state.items() == [("topic", "bees")]
        assert not view.state.exists("later")
        assert view.state.get("later", default=7) == 7
        assert [change.value for change in view.state.history("topic")] == ["bees"]
        assert (view.seq, view.state.entry("topic").version) == (seq, 1)
    store = face.reopen()
    assert store.at(0).state.keys() == []
    assert store.at(head(store)).state.keys() == ["later"]


def test_the_time_of_an_entry_shows_that_entry(store, face):
    entries = []
    for value in range(4):
        store.state.set("k", value)
        entries.append(store.state.entry("k"))
        face.clock.advance(seconds=1.5)
    for value, entry in enumerate(entries):
        assert store.at(entry.updated_at).state.get("k") == value
        assert store.at(entry.updated_at.isoformat()).state.get("k") == value
        assert store.at(str(entry.seq)).state.get("k") == value
    assert store.at("-2s").state.get("k") == 2
    assert store.at("-1d").state.get("k") is None
    assert store.at(entries[0].updated_at - timedelta(microseconds=1)).state.get("k") is None
    assert len(store.timeline(until=entries[0].updated_at)) == entries[0].seq


def test_a_value_ends_in_a_view_when_its_time_had_run_out_then(store, face):
    store.state.set("k", 1, ttl_s=10)
    seq = head(store)
    face.clock.advance(seconds=5)
    store.state.set("x", 1)
    middle = head(store)
    face.clock.advance(seconds=10)
    store.state.set("x", 2)
    assert store.at(seq).state.get("k") == 1
    assert store.at(middle).state.keys() == ["k", "x"]
    assert store.at(head(store)).state.keys() == ["x"]
    (gone,) = [one for one in store.diff(middle, head(store)) if one.key == "k"]
    assert (gone.change, gone.before.value, gone.after) == ("removed", 1, None)


def test_a_checkpoint_is_a_moment(store):
    session = store.sessions.create("s", state={"k": 1})
    session.checkpoint("before deploy")
    session.state.set("k", 2)
    past = store.at("checkpoint:before deploy")
    assert past.state_of(Scope.session(session.id)).get("k") == 1


def test_sealed_values_do_not_show_in_views(tmp_path):
    with llmspell.open(":memory:") as store:
        store.state.set("p", "hunter2", state_class="sensitive")
        seq = store.stats()["last_seq"]
        assert store.at(seq).state.get("p") == "[REDACTED]"
        store.state.set("p", "hunter3")
        assert store.at(seq).state.items() == [("p", "[REDACTED]")]
        assert store.at(seq).state.history("p")[0].value == "[REDACTED]"
        (changed,) = store.diff(seq, seq + 1)
        assert (changed.before.value, changed.after.value, changed.change) == ("[REDACTED]", "[REDACTED]", "changed")
        assert store.state.get("p") == "hunter3"


def test_what_differs_is_told_once_with_both_values(store):
    store.state.set("same", 1)
    store.state.set("changed", {"a": 1})
    store.state.set("gone", 1)
    store.state.set("there and back", 1)
    a = head(store)
    store.state.set("changed", {"a": 2})
    store.state.delete("gone")
    store.state_of(AGENT).set("new", 1)
    store.state.set("there and back", 2)
    store.state.set("there and back", 1)
    store.state.set("came and went", 1)
    store.state.delete("came and went")
    store.state.set("type", 1)
    b = head(store)
    told = {(one.scope, one.key): one for one in store.diff(a, b)}
    assert {place: one.change for place, one in told.items()} == {
        ("global", "changed"): "changed", ("global", "gone"): "removed", ("agent:a", "new"): "added",
        ("global", "type"): "added",
    }  # fmt: skip
    assert told["global", "changed"].before.value == {"a": 1}
    assert told["global", "changed"].after.value == {"a": 2}
    assert [one.key for one in store.diff(a, b, scope=AGENT)] == ["new"]
    back = {(one.scope, one.key): one.change for one in store.diff(b, a)}
    assert back["global", "gone"] == "added"
    assert back["agent:a", "new"] == "removed"
    store.state.set("type", True)
    assert [one.key for one in store.diff(b, head(store))] == ["type"]
    assert store.diff(b, b).items == []


def test_differences_come_in_pages(store):
    a = head(store)
    store.state.set_many({f"k{number:03}": number for number in range(25)})
    store.state_of(AGENT).set_many({f"k{number:03}": number for number in range(5)})
    seen, cursor = [], None
    while True:
        page = store.diff(a, "-0s", limit=7, cursor=cursor)
        seen += [(one.scope, one.key) for one in page]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [("global", f"k{n:03}") for n in range(25)] + [("agent:a", f"k{n:03}") for n in range(5)]


@pytest.mark.parametrize("when,code", [
    ("yesterday", "invalid-moment"), ("", "invalid-moment"), (True, "invalid-moment"), (1.5, "invalid-moment"),
    (None, "invalid-moment"), ("-5y", "invalid-moment"), ("9999-01-01", "invalid-moment"),
    (datetime.max.replace(tzinfo=UTC), "invalid-moment"), (99, "entry-not-found"), (-1, "entry-not-found"),
    ("99", "entry-not-found"), (1 << 70, "entry-not-found"), ("checkpoint:none", "checkpoint-not-found"),
    ("checkpoint:", "invalid-name"), ("-" + "9" * 400 + "s", "invalid-moment"), ("٣", "invalid-moment"),
    ("-999999999w", None),
])  # fmt: skip
def test_what_is_no_moment_is_refused_by_name(store, when, code):
    store.state.set("k", 1)
    if code is None:
        assert store.at(when).seq == 0
        return
    with pytest.raises((InvalidInput, NotFound)) as error:
        store.at(when)
    assert error.value.code == code
    with pytest.raises((InvalidInput, NotFound)):
        store.diff(1, when)


@pytest.mark.parametrize("call", [
    lambda store: store.at(1).state_of("agent:a"), lambda store: store.diff(1, 1, scope="agent:a"),
    lambda store: store.diff(1, 1, cursor="x"), lambda store: store.diff(1, 1, limit=0),
    lambda store: store.at(1).state.get(".."), lambda store: store.at(1).state.keys(limit=0),
    lambda store: store.at(1).state.history("k", limit=0), lambda store: store.at(1).state.history("k", before="x"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(store, call):
    store.state.set("k", 1)
    with pytest.raises(InvalidInput):
        call(store)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "ttl", "delete", "clear", "copy", "many"]),
        st.sampled_from(KEYS),
        st.sampled_from([None, 1, True, 1.0, "x" * 2000]),
        st.integers(0, 3),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_at_every_entry_a_view_shows_what_a_reader_saw_then_and_differences_are_those_of_the_views(steps):
    clock = ManualClock(step_ns=1000)
    with llmspell.open(":memory:", clock=clock) as store:
        states = [store.state, store.state_of(AGENT)]
        seen = {}

        def look():
            seen.setdefault(store.stats()["last_seq"], [state.items() for state in states])

        look()
        for verb, key, value, number in steps:
            state = states[number % 2]
            if verb == "set":
                state.set(key, value)
            elif verb == "ttl":
                state.set(key, value, ttl_s=number + 0.5)
            elif verb == "delete":
                state.delete(key)
            elif verb == "clear":
                state.clear()
            elif verb == "copy":
                state.copy_to(states[1 - number % 2].scope)
            else:
                state.set_many({key: value, "b": number})
            look()
            clock.advance(seconds=number)
        for seq, (one, other) in seen.items():
            past = store.at(seq)
            assert past.state.items() == one
            assert past.state_of(AGENT).items() == other
            assert past.state.keys(prefix="l", after="c", limit=1) == [key for key, _ in one if key == "long"]
        moments = sorted(seen)
        for a, b in [(moments[0], moments[-1]), (moments[-1], moments[0]), (moments[len(moments) // 2], moments[-1])]:
            for state, number in ((Scope.parse("global"), 0), (AGENT, 1)):
                before, after = dict(seen[a][number]), dict(seen[b][number])
                told = {one.key: (one.before, one.after) for one in store.diff(a, b, scope=state)}
                differ = {
                    key for key in before.keys() | after.keys()
                    if (key in before) != (key in after) or repr(before[key]) != repr(after[key])
                }  # fmt: skip
                assert told.keys() == differ
                for key, (was, is_) in told.items():
                    assert (was is None) == (key not in before)
                    assert (is_ is None) == (key not in after)


def test_now_shows_all_that_is_written_after_the_clock_was_set_back():
    clock = ManualClock(step_ns=1000)
    with llmspell.open(":memory:", clock=clock) as store:
        clock.advance(seconds=7200)
        store.state.set("before", 1)
        seq = store.stats()["last_seq"]
        clock.jump(seconds=-3600)
        store.state.set("after", 2)
        assert store.at("-0s").state.keys() == ["after", "before"]
        assert [one.key for one in store.diff(seq, "-0s")] == ["after"]
