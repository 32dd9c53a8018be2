"""What changes about an artifact: its history, its name, labels that are versions, and differences."""

import pytest

from llmspell.artifacts.version_names import newest_fitting, version_of
from llmspell.errors import LlmspellError


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


@pytest.fixture
def session(store):
    return store.sessions.create("s")


def test_the_history_tells_every_step_with_old_and_new_values(face, store, session):
    info = session.artifacts.put("a.txt", "x", tags=["one"])
    session.artifacts.update("a.txt", tags=["two"], mime_type="text/x-two")
    session.artifacts.rename("a.txt", "b.txt")
    session.artifacts.delete("b.txt")
    for opened in face.both(store):
        steps = opened.artifacts.history(info.id)
        assert [step.operation for step in steps] == ["stored", "updated", "renamed", "deleted"]
        assert (steps[1].old, steps[1].new) == (
            {"mime_type": "text/plain", "tags": ["one"]}, {"mime_type": "text/x-two", "tags": ["two"]},
        )  # fmt: skip
        assert (steps[2].old, steps[2].new) == ({"name": "a.txt"}, {"name": "b.txt"})
        assert [step.seq for step in steps] == sorted(step.seq for step in steps)
        assert opened.verify().ok
    store = face.open()
    store.artifacts.undelete(info.id)
    assert [step.operation for step in store.artifacts.history(info.id)][-2:] == ["deleted", "undeleted"]
    assert code(lambda: store.artifacts.history("01900000-0000-7000-8000-000000000000")) == "artifact-not-found"


def test_an_update_without_a_change_writes_nothing(store, session):
    fields = {"description": "d", "tags": ["t"], "metadata": {"n": 1}, "mime_type": "text/plain"}
    info = session.artifacts.put("a.txt", "x", **fields)
    told_of = []
    store.hooks.register("after_artifact_update", lambda context: told_of.append(1))
    fork = store.sessions.fork(session)
    seq = store.stats()["last_seq"]
    for artifacts in (session.artifacts, fork.artifacts):
        assert artifacts.update("a.txt", **fields).id == info.id
    assert (store.stats()["last_seq"], told_of) == (seq, [])
    assert session.artifacts.update("a.txt", **fields | {"metadata": {"n": True}}).metadata == {"n": True}
    assert (store.stats()["last_seq"], told_of) == (seq + 1, [1])
    assert [step.operation for step in session.artifacts.history("a.txt")] == ["stored", "updated"]
    session.artifacts.delete("a.txt")
    assert code(lambda: session.artifacts.update(info.id, **fields)) == "artifact-not-found"


def test_a_name_changes_for_every_version_with_its_labels_and_is_not_used_again(face, store, session):
    session.artifacts.put("a", "1")
    session.artifacts.put("a", "2")
    session.artifacts.put("other", "x")
    session.artifacts.tag_version("a", 1, "v1")
    assert session.artifacts.rename("a", "b") == 2
    for opened in face.both(store):
        room = opened.sessions.open("s").artifacts
        assert [info.version for info in room.versions("b")] == [1, 2]
        assert room.get("b", version="v1").text() == "1"
        assert code(lambda r=room: r.info("a")) == "artifact-not-found"
        assert opened.verify().ok
    room = face.open().sessions.open("s").artifacts
    assert code(lambda: room.rename("b", "a")) == "artifact-exists", "numbers would be given twice"
    assert code(lambda: room.rename("b", "other")) == "artifact-exists"
    assert code(lambda: room.rename("none", "c")) == "artifact-not-found"
    assert code(lambda: room.rename("b", "../c")) == "invalid-name"
    assert room.put("a", "3").version == 3


LABELS = [(1, "v1.0.0"), (2, "1.2.0"), (3, "v1.2.5"), (4, "v1.3.0-rc.1"), (5, "v2.0"), (6, "approved"), (7, "0.3.1")]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ("^1.0", 3), ("^1.2.1", 3), ("~1.2", 3), ("~1.0.0", 1), ("1.x", 3), ("1.*", 3), ("*", 5), (">=1.2 <2", 3),
        (">=1.0.0,<1.2.0", 1), ("<1.2", 1), ("<=1.2", 3), (">1.2.5", 5), ("=1.2.0", 2), ("^2", 5), ("^0.3", 7),
        ("^0.2", None), ("^3", None), (">=1.3.0-rc.1 <1.4", 4), ("~1.3", None), ("< 1", 7), (">= 2", 5),
    ],
)  # fmt: skip
def test_a_range_means_the_highest_label_that_fits(wanted, number):
    assert newest_fitting(LABELS, wanted) == number


def test_labels_that_are_no_versions_are_left_alone(session):
    assert version_of("approved") is None
    assert version_of("v1.2.3.4") is None
    session.artifacts.put("f", "1")
    session.artifacts.tag_version("f", 1, "^odd")
    assert session.artifacts.info("f", version="^odd").version == 1, "a label of exactly this text comes first"
    assert code(lambda: session.artifacts.info("f", version="^1")) == "artifact-not-found"
    assert code(lambda: session.artifacts.info("f", version="^one")) == "invalid-version"
    assert code(lambda: session.artifacts.info("f", version="none")) == "artifact-not-found"


def test_two_artifacts_are_compared_by_their_ids_with_their_fields(store, session):
    one = session.artifacts.put("a.json", '{"n": 1}', tags=["x"])
    two = session.artifacts.put("b.json", '{"n": 2}', metadata={"k": 1})
    found = store.artifacts.diff(one.id, two.id)
    assert found.changes == [{"path": "$.n", "op": "changed", "old": 1, "new": 2}]
    assert {change["path"] for change in found.fields} == {"$.name", "$.tags", "$.metadata.k"}
    assert code(lambda: store.artifacts.diff(one.id, 1)) == "invalid-version"
    assert code(lambda: store.artifacts.diff(one.id, two.id, two.id)) == "invalid-version"


def test_large_contents_are_compared_without_being_held(session):
    large = bytes(9 << 20) + b"middle" + bytes(range(256)) * (33 << 10)
    changed = large[:-100] + b"!" + large[-99:]
    one = session.artifacts.put("one", large)
    two = session.artifacts.put("two", changed)
    three = session.artifacts.put("three", large)
    found = session.artifacts.diff(one.id, two.id)
    assert (found.kind, found.common_prefix, found.common_suffix) == ("binary", len(large) - 100, 99)
    assert found.to_dict()["removed_bytes"] == found.to_dict()["added_bytes"] == 1
    assert session.artifacts.diff(one.id, three.id).kind == "same"


def test_what_is_shredded_leaves_no_relation_no_grant_and_no_word(face, store, session):
    other = store.sessions.create("other")
    mine = session.artifacts.put("mine.txt", "x", description="unmistakable", tags=["rarelabel"])
    theirs = other.artifacts.put("theirs.txt", "y")
    store.artifacts.relate(mine.id, "depends_on", theirs.id)
    store.artifacts.relate(theirs.id, "version_of", mine.id)
    session.artifacts.grant("mine.txt", other.id)
    other.artifacts.grant("theirs.txt", session.id)
    session.artifacts.delete("mine.txt", hard=True)
    from tests.rooms.test_artifact_query import index

    index(face, store)
    session.complete()
    store.sessions.shred(session.id, detach=True)
    for opened in face.both(store):
        report = opened.verify()
        assert report.ok, report.findings
        assert opened.artifacts.query(text="unmistakable").items == []
        assert opened.artifacts.ancestors(theirs.id)[0].state == "unknown"
    face.close_stores()
    held = b"".join(path.read_bytes() for path in face.folder.rglob("*") if path.is_file())
    assert b"unmistakable" not in held
    assert b"rarelabel" not in held


def test_a_version_that_has_to_be_said_is_not_the_latest_by_default(session):
    session.artifacts.put("a", "one")
    for call in (
        lambda: session.artifacts.diff("a", None), lambda: session.artifacts.restore_version("a", None),
        lambda: session.artifacts.tag_version("a", None, "v1"),
    ):  # fmt: skip
        assert code(call) == "invalid-version"
    assert [info.version for info in session.artifacts.versions("a")] == [1]
    assert session.artifacts.labels("a") == {}
