"""What two sessions differ in: fields, keys and artifacts; of forks, only what was written since is looked at."""

import pytest

from llmspell.errors import InvalidInput, NotFound
from tests.sessions.forked import change_all, filled


def told(found):
    return (
        {one.key: one.change for one in found.state},
        {one.name: (one.change, one.versions) for one in found.artifacts},
    )


def test_a_session_and_itself_have_all_of_it_in_common(face, store):
    origin, last = filled(store)
    store.sessions.create("other")
    for one in face.both(store):
        found = one.sessions.compare(origin, origin)
        assert found.identical
        assert (found.ancestor.session, found.ancestor.seq) == (origin.id, last)


def test_a_fork_and_its_origin_differ_in_what_either_did_since(face, store):
    origin, last = filled(store)
    fork = store.sessions.fork(origin.id)
    same = store.sessions.compare(origin, fork)
    assert (same.fields, same.state, same.artifacts) == ({"name": ("origin", "origin (fork)")}, [], [])
    assert not same.identical
    fork.update(name="origin")
    assert store.sessions.compare(origin.id, fork.id).identical
    change_all(fork)
    origin.state.set("long", "z")
    origin.artifacts.put("theirs", b"x")
    for one in face.both(store):
        found = one.sessions.compare(origin.id, fork.id)
        assert (found.ancestor.session, found.ancestor.seq) == (origin.id, last)
        state, artifacts = told(found)
        assert state == {
            "changed": "removed", "first": "changed", "gone": "added", "long": "changed", "new": "added",
            "sealed": "changed",
        }  # fmt: skip
        assert artifacts == {
            "mine": ("added", (1,)), "other": ("removed", (1,)), "r.md": ("changed", (1, 2, 3)),
            "theirs": ("removed", (1,)),
        }  # fmt: skip
        assert found.fields["name"] == ("origin", "renamed")
        assert "word" not in repr(found.to_dict())
        back = one.sessions.compare(fork.id, origin.id)
        assert told(back)[0] == {
            key: {"added": "removed", "removed": "added"}.get(was, was) for key, was in state.items()
        }


def test_forks_of_one_session_and_of_each_other_differ_in_what_they_did(store):
    origin, _ = filled(store)
    one, two = store.sessions.fork(origin.id, name="x"), store.sessions.fork(origin.id, "half", name="x")
    origin.state.set("first", "later")
    one.state.set("a", 1)
    two.state.set("b", 1)
    two.state.set("first", 1)
    found = store.sessions.compare(one, two)
    assert found.ancestor.session == origin.id
    assert found.ancestor.seq == two.info.forked_at
    assert told(found) == ({"a": "removed", "b": "added"}, {})
    deep = store.sessions.fork(two.id, name="x")
    deep.state.delete("b")
    assert told(store.sessions.compare(one, deep)) == ({"a": "removed"}, {})
    assert store.sessions.compare(two, deep).ancestor.session == two.id


def test_sessions_that_have_nothing_in_common_are_compared_whole(store):
    one = store.sessions.create("s", state={"same": {"x": [1]}, "a": 1, "kind": 1})
    two = store.sessions.create("s", state={"same": {"x": [1]}, "b": 1, "kind": True})
    one.artifacts.put("same", b"x")
    two.artifacts.put("same", b"x")
    found = store.sessions.compare(one.id, two.id)
    assert found.ancestor is None
    assert told(found) == ({"a": "removed", "b": "added", "kind": "changed"}, {})
    two.artifacts.tag_version("same", 1, "v1")
    assert told(store.sessions.compare(one.id, two.id))[1] == {"same": ("changed", (1,))}
    assert store.sessions.compare(one.id, one.id).identical


def test_pages_of_a_comparison_are_whole(store):
    origin = store.sessions.create("o")
    origin.state.set_many({f"k{number:02}": number for number in range(40)})
    fork = store.sessions.fork(origin.id, name="o")
    fork.state.set_many({f"k{number:02}": -number for number in range(0, 40, 3)})
    for number in range(7):
        fork.artifacts.put(f"a{number}", b"x")
    keys, names, cursor = [], [], None
    while True:
        page = store.sessions.compare(origin, fork, limit=4, cursor=cursor)
        assert len(page.state) + len(page.artifacts) <= 4
        keys += [one.key for one in page.state]
        names += [one.name for one in page.artifacts]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert keys == [f"k{number:02}" for number in range(3, 40, 3)]  # -0 is 0.
    assert names == [f"a{number}" for number in range(7)]


def test_what_cannot_be_compared_is_refused(store):
    one = store.sessions.create("one")
    for wrong in (7, None, "none"):
        with pytest.raises((InvalidInput, NotFound)):
            store.sessions.compare(one.id, wrong)
    with pytest.raises(InvalidInput):
        store.sessions.compare(one.id, one.id, cursor="nonsense")
    with pytest.raises(InvalidInput):
        store.sessions.compare(one.id, one.id, limit=0)
    gone = store.sessions.create("gone")
    store.sessions.delete(gone.id)
    with pytest.raises(NotFound):
        store.sessions.compare(one.id, gone.id)
