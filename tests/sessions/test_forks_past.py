"""Forks over time: two moments of a fork differ in exactly what its views show, inherited or its own."""

import itertools

import pytest

import llmspell
from llmspell.model.clock import ManualClock
from llmspell.model.scope import Scope


def head(store):
    return store.stats()["last_seq"]


def shown(store, session, seq):
    return dict(store.at(seq).state_of(Scope.session(session.id)).items())


def told(store, session, one, other, limit=100):
    found, cursor = {}, None
    while True:
        page = store.diff(one, other, scope=Scope.session(session.id), limit=limit, cursor=cursor)
        for difference in page:
            found[difference.key] = (
                difference.before and difference.before.value,
                (difference.after and difference.after.value),
            )
        cursor = page.next_cursor
        if cursor is None:
            return found


def expected(store, session, one, other):
    before, after = shown(store, session, one), shown(store, session, other)
    keys = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return {key: (before.get(key), after.get(key)) for key in keys}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def family(clock):
    """A session, a fork of it at an earlier moment and a fork of that; all write before and after."""
    with llmspell.open(":memory:", clock=clock) as store:
        origin = store.sessions.create("origin", state={"kept": 1, "changed": 1, "gone": 1})
        origin.state.set("brief", 1, ttl_s=60)
        origin.state.set("changed", 2)
        origin.state.delete("gone")
        at = head(store)
        origin.state.set("late", 1)
        origin.state.set("changed", 3)
        child = store.sessions.fork(origin.id, at, name="child")
        child.state.set("kept", 2)
        child.state.delete("changed")
        grandchild = store.sessions.fork(child.id, name="grandchild")
        clock.advance(61)
        origin.state.set("brief", 2)
        grandchild.state.set("own", 1)
        child.state.set("kept", 3)
        store.sessions.delete(child.id)
        grandchild.state.set("own", 2)
        yield store, [origin, child, grandchild]


def test_what_two_moments_of_a_fork_differ_in_is_what_its_views_show(family):
    store, sessions = family
    for session in sessions:
        for one, other in itertools.product(range(1, head(store) + 1), repeat=2):
            assert told(store, session, one, other) == expected(store, session, one, other), (session, one, other)


def test_differences_of_a_fork_come_in_pages(family):
    store, sessions = family
    whole = told(store, sessions[2], 1, head(store))
    assert len(whole) == 2
    assert told(store, sessions[2], 1, head(store), limit=1) == whole


def test_among_all_scopes_what_is_inherited_stands_with_the_session_that_wrote_it(family):
    store, (origin, child, grandchild) = family
    found = {(one.scope, one.key) for one in store.diff(0, head(store))}
    names = {session.id: session for session in (origin, child, grandchild)}
    assert {(scope, key) for scope, key in found if key == "late"} == {(f"session:{origin.id}", "late")}
    assert {scope.removeprefix("session:") for scope, _ in found} <= names.keys()
