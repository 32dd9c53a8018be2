"""The history of a session's fields: who changed which, from what, to what."""

import pytest

import llmspell


def told(changes):
    return [(change.field, change.before, change.after) for change in changes]


def test_every_change_of_a_field_is_told_newest_first_also_after_opening_again(face, store):
    session = store.sessions.create("one", tags=["a"], metadata={"n": 1}, description="d")
    session.update(name="two", tags=["a", "b"])
    session.checkpoint("here")
    session.update(metadata={"n": 2}, description="d")
    session.fail("no luck")
    session.resume()
    for opened in face.both(store):
        history = opened.sessions.open(session.id).history()
        assert told(history) == [
            ("status", "failed", "active"), ("status", "active", "failed"), ("metadata", {"n": 1}, {"n": 2}),
            ("name", "one", "two"), ("tags", ["a"], ["a", "b"]),
        ]  # fmt: skip
        assert [change.reason for change in history] == [None, "no luck", None, None, None]
        assert len({change.actor for change in history}) == 1
        entry = opened.timeline(session=session.id, kinds=["session.updated"]).items[0]
        assert (history[-1].seq, history[-1].actor) == (entry.seq, entry.actor)
        assert history[-1].to_dict()["time"] == history[-1].time.isoformat()


def test_an_update_without_a_change_writes_nothing(store):
    session = store.sessions.create("s", tags=["a"], metadata={"n": 1})
    told_of = []
    store.hooks.register("after_session_update", lambda context: told_of.append(context.data["info"]["metadata"]))
    before, seq = session.info, store.stats()["last_seq"]
    assert session.update(name="s", tags=["a"], metadata={"n": 1}, description="") == before
    assert store.stats()["last_seq"] == seq
    for number, value in enumerate((1.0, True), 1):  # Equal in Python, and other values.
        assert session.update(metadata={"n": value}).metadata == {"n": value}
        assert store.stats()["last_seq"] == seq + number
    assert [type(one["n"]) for one in told_of] == [float, bool]
    store.sessions.delete(session.id)
    with pytest.raises(llmspell.NotFound):
        session.update(name="s")


def test_a_history_comes_in_pages_that_do_not_part_an_entry(store):
    session = store.sessions.create("s0")
    for n in range(1, 4):
        session.update(name=f"s{n}", description=str(n))
    first = session.history(limit=2)
    assert [change.after for change in first] == ["s3", "3", "s2", "2"]
    rest = session.history(limit=2, before=first[-1].seq)
    assert told(rest) == [("name", "s0", "s1"), ("description", "", "1")]
    assert session.history(before=rest[-1].seq) == []


def test_a_deleted_session_keeps_its_history(store):
    session = store.sessions.create("s")
    session.update(name="t")
    store.sessions.delete(session.id)
    assert told(session.history()) == [("name", "s", "t")]


@pytest.mark.parametrize("bounds,code", [
    ({"limit": 0}, "invalid-limit"), ({"before": 0}, "invalid-seq"), ({"before": "x"}, "invalid-seq"),
])  # fmt: skip
def test_bounds_of_a_history_are_checked(store, bounds, code):
    session = store.sessions.create("s")
    with pytest.raises(llmspell.InvalidInput) as refused:
        session.history(**bounds)
    assert refused.value.code == code


@pytest.mark.parametrize("how", ["replace", "deleted"])
def test_only_the_present_life_has_a_history(face, store, tmp_path, how):
    """What an earlier life changed later stood before what the bundle brought, and the rest came twice."""
    session = store.sessions.create("one")
    session.update(name="two")
    fork = store.sessions.fork(session.id)
    store.sessions.export(session.id, tmp_path / "b")
    session.update(name="three")
    if how == "deleted":
        store.sessions.delete(session.id)
    store.sessions.import_(tmp_path / "b", on_conflict="replace")
    store.sessions.open(session.id).update(name="four")
    for opened in face.both(store):
        assert told(opened.sessions.open(session.id).history()) == [("name", "two", "four"), ("name", "one", "two")]
        assert told(opened.sessions.open(fork.id).history()) == [("name", "one", "two")]
