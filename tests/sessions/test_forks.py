"""A fork shows what its origin held at the moment it left it, and from there on neither sees the other."""

import pytest

from llmspell.errors import Conflict, InvalidInput, LimitExceeded, NotFound
from llmspell.model import limits
from llmspell.model.ids import id_bytes
from llmspell.model.scope import Scope
from tests.sessions.forked import change_all, filled, looks


def test_a_fork_begins_with_all_of_its_origin_and_neither_sees_the_other(face, store):
    origin, last = filled(store)
    then = looks(store, origin)
    fork = store.sessions.fork(origin.id)
    assert fork.info.forked_from == origin.id
    assert fork.info.forked_at == last
    assert fork.info.name == "origin (fork)"
    kept = ("description", "tags", "metadata", "config", "created_by")
    assert [getattr(fork.info, name) for name in kept] == [getattr(origin.info, name) for name in kept]
    assert looks(store, fork) == then
    change_all(fork)
    assert looks(store, origin) == then
    mine = looks(store, fork)
    assert mine != then
    change_all(origin)
    assert looks(store, fork) == mine
    theirs = looks(store, origin)
    store = face.reopen()
    assert looks(store, store.sessions.open(fork.id)) == mine
    assert looks(store, store.sessions.open(origin.id)) == theirs
    assert store.verify().ok, store.verify().findings


def test_a_change_in_a_fork_does_what_it_does_in_its_origin(store):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    change_all(fork)
    change_all(origin)
    one, other = looks(store, fork), looks(store, origin)
    assert one["each"] == other["each"]
    assert one["items"] == other["items"]
    versions = [
        {key: [change[1:] for change in changes] for key, changes in of["history"].items()} for of in (one, other)
    ]
    assert versions[0] == versions[1]
    without_times = [[{**info, "created_at": 0, "updated_at": 0} for info in of["artifacts"]] for of in (one, other)]
    by_name = [{(info["name"], info["version"]): info for info in of} for of in without_times]
    assert by_name[0] == by_name[1]
    assert one["labels"] == other["labels"] == {"v1": 2}


def test_a_fork_of_an_earlier_moment_shows_what_was_there_then(face, store, clock):
    origin, last = filled(store)
    then = looks(store, origin)
    clock.advance(5)
    time = store.at("-1s").time
    clock.advance(5)
    change_all(origin)
    for at in (last, str(last), time, "-6s"):
        fork = store.sessions.fork(origin.id, at, name=f"fork {at}")
        assert looks(store, fork) == then, at
        assert (fork.info.description, fork.info.tags) == ("d", ["a"])
    half = store.sessions.fork(origin, "half")
    labelled = store.sessions.fork(origin.info, "checkpoint:half")
    assert half.info.forked_at == labelled.info.forked_at == next(
        one.seq for one in half.checkpoints() if one.label == "half"
    )  # fmt: skip
    first = store.sessions.fork(origin.id, origin.timeline(limit=1).items[0].seq)
    assert (first.state.items(), first.artifacts.list().items, first.checkpoints()) == ([], [], [])
    assert store.verify().ok


@pytest.mark.parametrize("wrong, code", [
    (0, "invalid-seq"), (10**9, "entry-not-found"), ("tomorrow", "invalid-moment"), ("checkpoint:none", None),
    ("none", "invalid-moment"), (1.5, "invalid-moment"), (True, "invalid-moment"), ("2999-01-01", "invalid-moment"),
])  # fmt: skip
def test_a_moment_that_is_none_is_refused_and_nothing_is_written(store, wrong, code):
    store.state.set("before", 1)
    origin = store.sessions.create("origin")
    last = store.stats()["last_seq"]
    with pytest.raises((InvalidInput, NotFound)) as error:
        store.sessions.fork(origin.id, wrong)
    assert code is None or error.value.code == code
    with pytest.raises(InvalidInput):
        store.sessions.fork(origin.id, 1)
    with pytest.raises(NotFound) as error:
        store.sessions.fork("0190b5b8-0000-7000-8000-000000000000")
    assert error.value.code == "session-not-found"
    with pytest.raises(InvalidInput):
        store.sessions.fork(7)
    with pytest.raises(InvalidInput):
        store.sessions.fork(origin.id, name="")
    assert store.stats()["last_seq"] == last


def test_forks_of_forks_go_back_to_each_up_to_where_it_was_left(face, store):
    origin, _ = filled(store)
    chain, seen = [origin], [looks(store, origin)]
    for number in range(3):
        fork = store.sessions.fork(chain[-1].id, name=f"fork {number}")
        change_all(chain[-1])
        assert looks(store, fork) == seen[-1]
        fork.state.set(f"mine {number}", number)
        fork.artifacts.put("r.md", f"of fork {number}".encode())
        if number == 0:
            fork.artifacts.delete("spare")
        chain.append(fork)
        seen.append(looks(store, fork))
    last = looks(store, chain[-1])
    for session in chain[:-1]:
        session.state.set("first", "nobody sees it")
    assert looks(store, chain[-1]) == last
    before = store.sessions.fork(chain[-1].id, chain[0].checkpoints()[0].seq)
    assert before.info.forked_from == origin.id
    assert before.state.get("changed") == "old"
    store = face.reopen()
    assert looks(store, store.sessions.open(chain[-1].id)) == last
    assert store.verify().ok


def test_a_lineage_ends_at_its_longest(store):
    session = store.sessions.create("origin", state={"k": 1})
    for _ in range(limits.FORK_DEPTH_MAX):
        session = store.sessions.fork(session.id, name="fork")
    assert session.state.get("k") == 1
    with pytest.raises(LimitExceeded) as error:
        store.sessions.fork(session.id)
    assert error.value.code == "fork-depth"


def test_the_timeline_of_a_fork_is_its_origins_and_then_its_own(store):
    origin, last = filled(store)
    before = [entry.seq for entry in store.timeline(session=origin.id, limit=500)]
    store.state.set("meanwhile", 1)
    fork = store.sessions.fork(origin.id, last)
    origin.state.set("after", 1)
    fork.state.set("own", 1)
    own = [entry.seq for entry in store.timeline(limit=500) if entry.session == id_bytes(fork.id)]
    assert len(own) == 2
    whole = [entry.seq for entry in fork.timeline(limit=500)]
    assert whole == before + own
    assert [entry.seq for entry in store.timeline(session=fork.id, limit=500, newest_first=True)] == whole[::-1]
    paged, cursor = [], None
    while True:
        page = fork.timeline(limit=4, cursor=cursor)
        paged += [entry.seq for entry in page]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == whole
    kinds = [entry.kind for entry in fork.timeline(kinds=["session.created", "session.forked"])]
    assert kinds == ["session.created", "session.forked"]


def test_a_fork_goes_back_to_labels_and_entries_of_its_origin(store):
    origin, _ = filled(store)
    origin.state.set("first", "later")
    fork = store.sessions.fork(origin.id)
    hash_ = fork.checkpoints()[0].state_hash
    fork.state.set("new", 1)
    fork.state.delete("changed")
    assert fork.restore("half") == 3
    assert fork.state.get("first") == 1
    assert fork.state.get("changed") == "old"
    assert fork.state.get("sealed") == {"p": "hidden word"}
    fork.checkpoint("again")
    assert fork.checkpoints()[-1].state_hash == hash_
    begun = origin.timeline(limit=1).items[0].seq
    fork.restore(begun)
    assert fork.state.items() == []
    with pytest.raises(InvalidInput):
        fork.restore(begun - 1)
    assert origin.state.get("first") == "later"
    fork.restore("half")
    fork.checkpoint("half way")
    assert store.verify().ok
    origin.complete()
    store.sessions.shred(origin.id, detach=True)
    assert fork.state.get("first") == 1


def test_a_key_that_expires_does_so_in_a_fork_too(store, clock):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    last = store.stats()["last_seq"]
    assert fork.state.get("short lived") == 1
    clock.advance(61)
    assert fork.state.get("short lived", "gone") == "gone"
    assert not fork.state.exists("short lived")
    assert fork.state.keys(prefix="short") == []
    origin.state.set("short lived", 2)
    assert fork.state.get("short lived", "gone") == "gone"
    assert store.at(last).state_of(Scope.session(fork.id)).get("short lived") == 1
    fork.state.set("short lived", 3, ttl_s=10)
    assert origin.state.get("short lived") == 2
    clock.advance(11)
    assert fork.state.get("short lived", "gone") == "gone"
    assert store.verify().ok


def test_versions_in_a_fork_go_on_from_those_of_its_origin(store):
    origin = store.sessions.create("origin", state={"k": 1})
    origin.state.set("k", 2)
    origin.state.set("d", 1)
    origin.state.delete("d")
    fork = store.sessions.fork(origin.id)
    with pytest.raises(Conflict):
        fork.state.set("k", 3, if_version=1)
    with pytest.raises(Conflict):
        fork.state.set("k", 3, if_version=0)
    assert fork.state.set("k", 3, if_version=2) == 3
    assert fork.state.set("d", 3, if_version=0) == 3
    with pytest.raises(Conflict):
        fork.state.delete("k", if_version=2)
    assert fork.state.delete("k", if_version=3)
    assert not fork.state.delete("k")
    assert origin.state.entry("k").version == 2
    other = store.sessions.fork(origin.id)
    assert other.state.delete("k", if_version=2)
    assert other.state.clear() == 0
    third = store.sessions.fork(origin.id)
    third.state.set("own", 1)
    assert third.state.clear() == 2
    assert third.state.items() == []
    assert origin.state.items() == [("k", 2)]
    fourth = store.sessions.fork(origin.id)
    fourth.state.update("k", lambda value: value + 1)
    assert (fourth.state.get("k"), origin.state.get("k")) == (3, 2)


def test_state_of_a_fork_is_copied_and_moved_with_what_it_inherits(store):
    origin = store.sessions.create("origin", state={"k": 1})
    fork = store.sessions.fork(origin.id)
    fork.state.set("own", 2)
    fork.state.copy_to(Scope.user("u"))
    assert store.state_of(Scope.user("u")).items() == [("k", 1), ("own", 2)]
    fork.state.move_to(Scope.user("v"))
    assert store.state_of(Scope.user("v")).items() == [("k", 1), ("own", 2)]
    assert fork.state.items() == []
    assert origin.state.items() == [("k", 1)]
    again = store.sessions.fork(fork.id)
    assert again.state.items() == []


def test_pages_of_many_inherited_and_own_keys_and_names_are_whole(store):
    origin = store.sessions.create("origin")
    origin.state.set_many({f"k{number:03}": number for number in range(0, 400, 2)})
    fork = store.sessions.fork(origin.id)
    origin.state.set_many({f"k{number:03}": "later" for number in range(400)})
    fork.state.set_many({f"k{number:03}": -number for number in range(0, 400, 3)})
    for number in range(0, 400, 5):
        fork.state.delete(f"k{number:03}")
    wanted = {f"k{n:03}": -n if n % 3 == 0 else n for n in range(400) if n % 5 and (n % 2 == 0 or n % 3 == 0)}
    assert dict(fork.state.items()) == wanted
    got = []
    while page := fork.state.items(limit=7, after=got[-1][0] if got else ""):
        got += page
    assert got == sorted(wanted.items())
    assert fork.state.keys(prefix="k1") == [key for key in sorted(wanted) if key.startswith("k1")]


def test_pages_of_many_artifacts_are_whole(store):
    origin = store.sessions.create("origin")
    for number in range(12):
        origin.artifacts.put(f"a{number:02}", b"of origin")
    fork = store.sessions.fork(origin.id)
    for number in range(0, 12, 3):
        fork.artifacts.put(f"a{number:02}", b"of fork")
        origin.artifacts.put(f"b{number:02}", b"later")
    for number in range(0, 12, 4):
        fork.artifacts.delete(f"a{number:02}")
    fork.artifacts.put("c", b"own")
    every = fork.artifacts.list(all_versions=True).items
    assert [(one.name, one.version) for one in every] == sorted(
        [(f"a{n:02}", 1) for n in range(12) if n % 4] + [("a03", 2), ("a06", 2), ("a09", 2), ("c", 1)]
    )
    got, cursor = [], None
    while True:
        page = fork.artifacts.list(limit=2, cursor=cursor)
        got += [(one.name, one.version) for one in page]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert got == [(f"a{n:02}", 2 if n % 3 == 0 else 1) for n in range(12) if n % 4] + [("c", 1)]
