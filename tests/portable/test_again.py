"""A session that comes again, under its own id or another, is what its bundle says: no more, and no less."""

import pytest

from llmspell import RetentionPolicy
from llmspell.errors import AlreadyExists, NotFound


@pytest.fixture
def session(store):
    return store.sessions.create("s")


def sound(store):
    report = store.verify()
    assert report.ok, report.findings
    return store


def names(store, session_id):
    return [(one.name, one.version) for one in store.sessions.open(session_id).artifacts.list(all_versions=True)]


def test_numbers_that_stayed_behind_when_a_name_changed_are_free_under_the_new_one(store, session, tmp_path):
    for number in range(3):
        session.artifacts.put("old", f"{number}")
    session.artifacts.delete("old", version=3)
    session.artifacts.rename("old", "new")
    assert session.artifacts.put("new", "third").version == 3
    assert session.artifacts.put("old", "fourth").version == 4
    store.sessions.export(session.id, tmp_path / "b")
    copy = store.sessions.import_(tmp_path / "b", on_conflict="rename")
    assert names(store, copy.id) == names(store, session.id)
    there = store.sessions.open(copy.id).artifacts
    assert there.get("new", version=3).text() == "third"
    assert there.undelete("old", version=3) == 1
    assert there.get("old", version=3).text() == "2"
    sound(store)


@pytest.mark.parametrize("how", ["fail", "replace"])
def test_relations_that_were_said_after_the_export_do_not_come_again(store, session, tmp_path, how):
    one, other = session.artifacts.put("one", "1"), session.artifacts.put("other", "2")
    session.artifacts.relate("one", "child_of", other.id)
    store.sessions.export(session.id, tmp_path / "b")
    session.artifacts.relate("one", "depends_on", other.id)
    if how == "fail":
        store.sessions.delete(session.id)
    store.sessions.import_(tmp_path / "b", on_conflict=how)
    assert [relation.kind for relation in store.artifacts.relations(one.id)] == ["child_of"]
    store.sessions.export(session.id, tmp_path / "c")
    copy = store.sessions.import_(tmp_path / "c", on_conflict="rename")
    there = store.sessions.open(copy.id).artifacts
    assert [relation.kind for relation in there.relations("one")] == ["child_of"]
    sound(store)


def test_an_origin_that_was_deleted_for_good_meanwhile_is_named_once(store, session, tmp_path):
    origin = session.artifacts.put("origin", "1")
    made = session.artifacts.put("made", "2", derived_from=[origin.id])
    store.sessions.export(session.id, tmp_path / "b")
    session.artifacts.delete("origin", hard=True)
    store.sessions.import_(tmp_path / "b", on_conflict="replace")
    there = store.sessions.open(session.id).artifacts
    assert there.info("origin").id != origin.id
    assert [relation.target for relation in there.relations("made")] == there.info("made").derived_from
    assert there.info("made").id == made.id
    sound(store)


def test_what_a_session_had_before_it_came_again_can_only_be_deleted_for_good(store, session, tmp_path):
    session.artifacts.put("kept", "1")
    store.sessions.export(session.id, tmp_path / "b")
    later = session.artifacts.put("later", "2")
    store.sessions.import_(tmp_path / "b", on_conflict="replace")
    there = store.sessions.open(session.id).artifacts
    with pytest.raises(NotFound) as error:
        there.undelete(later.id)
    assert error.value.code == "session-not-found"
    with pytest.raises(NotFound) as error:
        there.undelete("later")
    assert error.value.code == "artifact-not-found"
    there.delete("kept")
    assert there.undelete("kept") == 1
    assert store.artifacts.delete(later.id, hard=True) == 1
    store.sessions.export(session.id, tmp_path / "c")
    copy = store.sessions.import_(tmp_path / "c", on_conflict="rename")
    assert names(store, copy.id) == [("kept", 1)]
    sound(store)


@pytest.mark.parametrize("how", ["fail", "replace"])
def test_what_rules_captured_is_counted_once(store, session, tmp_path, how):
    store.captures.set_rules([{"name": "all", "count_max": 2}])
    session.captures.offer("one", source="tool", name="t")
    counts = session.captures.counts()
    store.sessions.export(session.id, tmp_path / "b")
    if how == "fail":
        store.sessions.delete(session.id)
    store.sessions.import_(tmp_path / "b", on_conflict=how)
    there = store.sessions.open(session.id).captures
    assert there.counts() == counts
    assert [there.offer("more", source="tool", name="t").captured for _ in range(2)] == [True, False]
    sound(store)


@pytest.mark.parametrize("again", ["replaced", "deleted"])
def test_versions_keep_their_numbers_when_one_before_them_was_deleted_for_good(store, tmp_path, again):
    session = store.sessions.create("s")
    for content in (b"one", b"two", b"three"):
        session.artifacts.put("a", content)
    session.artifacts.delete("a", version=1, hard=True)
    session.artifacts.rename("a", "b")
    session.artifacts.delete("b", version=2, hard=True)
    for _ in range(3):
        store.sessions.export(session.id, tmp_path / "again", overwrite=True)
        if again == "deleted":
            store.sessions.delete(session.id)
        store.sessions.import_(tmp_path / "again", on_conflict="replace")
        session = store.sessions.open(session.id)
        assert [(one.name, one.version) for one in session.artifacts.list(all_versions=True)] == [("b", 3)]
        assert session.artifacts.get("b", version=3).read() == b"three"
    assert store.verify().ok


def test_a_file_that_comes_while_a_session_is_exported_stays(store, session, tmp_path):
    session.artifacts.put("a", b"x")
    path = tmp_path / "bundle"

    def come(what, done):
        path.write_text("another's")

    with pytest.raises(AlreadyExists) as error:
        store.sessions.export(session.id, path, progress=come)
    assert error.value.code == "file-exists"
    assert path.read_text() == "another's"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyExists):
        store.sessions.export(session.id, link)
    store.sessions.export(session.id, tmp_path / "free")
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["bundle", "free"]


def test_the_folder_of_archives_is_the_one_that_was_meant_when_the_policy_was_stored(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store.sessions.set_retention(RetentionPolicy(max_count=5, archive_to="old"))
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert store.sessions.retention().archive_to == str(tmp_path / "old")
