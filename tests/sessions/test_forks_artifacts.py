"""What can be done with many artifacts, or between them, a fork does with what it inherits too, and only there."""

from random import Random

import pytest

from llmspell.errors import AccessDenied, AlreadyExists, Conflict, NotFound
from tests.sessions.forked import filled, looks


@pytest.fixture
def origin(store):
    return filled(store)[0]


@pytest.fixture
def fork(store, origin):
    """A fork with a version of its own, one it changed, and one it dropped; its origin went on."""
    made = store.sessions.fork(origin.id)
    origin.artifacts.put("later", b"later words")
    origin.artifacts.update("r.md", version=1, description="changed later", tags=["later"])
    origin.artifacts.delete("other")
    made.artifacts.put("own", b"own", description="own words", tags=["t"])
    made.artifacts.update("r.md", version=2, tags=["mine"])
    made.artifacts.delete("spare")
    return made


def names(found):
    return sorted((one.name, one.version) for one in found)


def test_queries_in_a_fork_find_what_it_shows(store, origin, fork):
    artifacts = fork.artifacts
    every = [("other", 1), ("own", 1), ("r.md", 1), ("r.md", 2)]
    assert names(artifacts.query()) == every
    assert {one.session for one in artifacts.query()} == {fork.id}
    assert str(artifacts.count()) == str(artifacts.count(exact=True)) == "4"
    assert names(artifacts.query(tags=["t"])) == [("own", 1), ("r.md", 1)]
    assert names(artifacts.query(tags=["mine"])) == [("r.md", 2)]
    assert names(artifacts.query(tags=["later"])) == []
    assert names(artifacts.query(name="o*")) == [("other", 1), ("own", 1)]
    assert names(artifacts.query(name="r.md", max_size=10)) == [("r.md", 1)]
    assert names(artifacts.query(text="first")) == [("r.md", 1)]
    assert names(artifacts.query(text="words")) == [("own", 1)]
    assert names(artifacts.query(fuzzy="othr")) == [("other", 1)]
    assert artifacts.count(text="first").number == artifacts.count(fuzzy="othr").number == 1
    for order in ("created_at", "-updated_at", "name", "-size"):
        got, cursor = [], None
        while True:
            page = artifacts.query(order_by=order, limit=1, cursor=cursor)
            got += page
            cursor = page.next_cursor
            if cursor is None:
                break
        assert names(got) == every, order
    assert [one.name for one in artifacts.query(order_by="name")] == ["other", "own", "r.md", "r.md"]
    assert names(origin.artifacts.query(tags=["later"])) == [("r.md", 1)]
    assert ("own", 1) not in names(origin.artifacts.query())
    assert names(store.artifacts.query(session=fork.id)) == [("own", 1), ("r.md", 2)]  # Rows, and whose they are.


@pytest.mark.parametrize("order", ["name", "created_at", "-updated_at", "size"])
def test_pages_in_a_fork_show_what_there_was_at_the_first_one(fork, order):
    for number in range(6):
        fork.artifacts.put(f"p/{number}", bytes(10 + number))
    every = [(one.name, one.version, one.description) for one in fork.artifacts.query(order_by=order)]
    page = fork.artifacts.query(order_by=order, limit=1)
    found = [(one.name, one.version, one.description) for one in page]
    fork.artifacts.delete("p/3")
    fork.artifacts.delete("other")
    fork.artifacts.rename("r.md", "a.md")
    fork.artifacts.update("p/4", description="later")
    fork.artifacts.put("p/1", bytes(100))
    while page.next_cursor is not None:
        page = fork.artifacts.query(order_by=order, limit=1, cursor=page.next_cursor)
        found += [(one.name, one.version, one.description) for one in page]
    assert found == every


def test_ranges_of_labels_are_found_in_a_fork(store, origin):
    for number in (1, 2):
        origin.artifacts.tag_version("r.md", number, f"v1.{number}.0")
    fork = store.sessions.fork(origin.id)
    origin.artifacts.tag_version("r.md", 1, "v1.9.0")
    assert fork.artifacts.info("r.md", version="^1.0").version == 2
    assert fork.artifacts.get("r.md", version=">=1.0 <1.2").info.version == 1
    fork.artifacts.rename("r.md", "a.md")
    assert fork.artifacts.info("a.md", version="1.x").version == 2
    with pytest.raises(NotFound):
        fork.artifacts.info("a.md", version="^2")


def test_what_is_deleted_by_conditions_goes_in_the_fork_alone(store, origin, fork):
    theirs = looks(store, origin)
    assert names(fork.artifacts.deleted()) == [("spare", 1)]
    assert fork.artifacts.delete_matching(name="*", tags=["t"]) == 2
    assert names(fork.artifacts.query()) == [("other", 1), ("r.md", 2)]
    assert names(fork.artifacts.deleted()) == [("own", 1), ("r.md", 1), ("spare", 1)]
    assert names(fork.artifacts.deleted(name="s*")) == [("spare", 1)]
    assert fork.artifacts.delete_matching(min_size=0) == 2
    assert fork.artifacts.list(all_versions=True).items == []
    assert fork.artifacts.undelete("spare") == 1
    assert looks(store, origin) == theirs
    assert store.verify().ok


def test_a_name_is_changed_with_what_is_inherited_under_it(face, store, origin, fork):
    theirs = looks(store, origin)
    assert fork.artifacts.rename("r.md", "report.md") == 2
    ids = [one.id for one in fork.artifacts.versions("report.md")]
    with pytest.raises(AlreadyExists):
        fork.artifacts.rename("report.md", "other")
    with pytest.raises(AlreadyExists):
        fork.artifacts.rename("report.md", "spare")
    with pytest.raises(NotFound):
        fork.artifacts.get("r.md")
    for one in face.both(store):
        there = one.sessions.open(fork.id).artifacts
        assert names(there.versions("report.md")) == [("report.md", 1), ("report.md", 2)]
        assert there.labels("report.md") == {"v1": 1}
        assert there.get("report.md", version=1).read() == b"one"
        assert there.info(ids[0]).name == "report.md"
        assert looks(one, one.sessions.open(origin.id)) == theirs
        assert one.verify().ok


def test_a_name_that_the_origin_changed_is_what_it_was_in_the_fork(store, origin):
    origin.artifacts.rename("other", "renamed before")
    fork = store.sessions.fork(origin.id)
    id_ = fork.artifacts.info("renamed before").id
    origin.artifacts.rename("renamed before", "renamed later")
    assert fork.artifacts.info(id_).name == fork.artifacts.info("renamed before").name == "renamed before"
    assert fork.artifacts.delete(id_) == 1
    assert fork.artifacts.undelete("renamed before") == 1
    assert fork.artifacts.delete("renamed before") == fork.artifacts.undelete(id_) == 1
    assert fork.artifacts.put("renamed before", b"second").version == 2
    with pytest.raises(NotFound):
        fork.artifacts.info("renamed later")
    with pytest.raises(Conflict):
        origin.artifacts.delete("renamed later", hard=True)


def test_the_history_of_a_version_is_told_up_to_where_the_fork_left_it(origin, fork):
    id_ = fork.artifacts.info("r.md", version=1).id
    assert [one.operation for one in fork.artifacts.history("r.md", version=1)] == ["stored"]
    assert [one.operation for one in fork.artifacts.history(id_)] == ["stored"]
    assert [one.operation for one in origin.artifacts.history(id_)] == ["stored", "updated"]
    assert [one.operation for one in fork.artifacts.history("r.md", version=2)][-1] == "updated"
    assert [one.operation for one in fork.artifacts.history("other")] == ["stored"]


def test_a_fork_reaches_what_it_inherits_and_nothing_that_came_later(store, origin, fork):
    later = origin.artifacts.info("later").id
    for denied in (fork.artifacts.info, fork.artifacts.get, fork.artifacts.delete, fork.artifacts.history):
        with pytest.raises(AccessDenied):
            denied(later)
    own = fork.artifacts.info("own").id
    inherited = fork.artifacts.info("r.md", version=1).id
    with pytest.raises(AccessDenied):
        origin.artifacts.get(own)
    derived = fork.artifacts.put("derived", b"x", derived_from=[inherited, own])
    assert derived.derived_from == [inherited, own]
    with pytest.raises(AccessDenied):
        fork.artifacts.put("derived", b"x", derived_from=[later])
    report = fork.artifacts.put_many([{"name": "many", "data": b"x", "derived_from": [inherited]}])
    assert report.ok, report
    third = store.sessions.create("third")
    with pytest.raises(AccessDenied):
        fork.artifacts.grant(later, third.id, "read")
    fork.artifacts.grant("own", third.id, "read")
    assert third.artifacts.get(own).read() == b"own"
    origin.artifacts.grant("later", fork.id, "read")
    assert fork.artifacts.get(later).read() == b"later words"


def test_relations_that_a_fork_makes_are_of_its_own_versions(store, origin, fork):
    inherited = fork.artifacts.info("r.md", version=1).id
    before = store.stats()["last_seq"]
    assert fork.artifacts.relate(inherited, "depends_on", "own")
    info = fork.artifacts.info("r.md", version=1)
    assert info.id != inherited
    assert [(one.source, one.target) for one in fork.artifacts.relations("own")] == [
        (info.id, fork.artifacts.info("own").id)
    ]
    assert origin.artifacts.relations("r.md") == []
    assert not [one for one in origin.timeline(limit=500) if one.seq > before]
    assert fork.artifacts.unrelate(info.id, "depends_on", "own")
    assert fork.artifacts.relate("own", "child_of", "other")
    with pytest.raises(Conflict) as error:
        fork.artifacts.unrelate("other", "child_of", "own")
    assert error.value.code == "artifact-inherited"
    with pytest.raises(Conflict) as error:
        fork.artifacts.delete_tree("other")
    assert error.value.code == "artifact-inherited"
    assert fork.artifacts.delete_tree("own") == 1
    assert store.verify().ok


def test_a_file_of_a_forks_artifacts_has_what_it_shows_and_comes_in_beside_it(store, origin, fork, tmp_path):
    theirs = looks(store, origin)
    report = fork.artifacts.export(tmp_path / "a.zip")
    assert report.artifacts == 4
    other = store.sessions.create("other")
    other.artifacts.import_(tmp_path / "a.zip")
    assert names(other.artifacts.list(all_versions=True)) == names(fork.artifacts.list(all_versions=True))
    assert other.artifacts.labels("r.md") == {"v1": 1}
    with pytest.raises(AlreadyExists):
        fork.artifacts.import_(tmp_path / "a.zip")
    assert fork.artifacts.import_(tmp_path / "a.zip", on_conflict="rename").renamed
    assert fork.artifacts.get("other (2)").read() == b"other"
    fork.artifacts.import_(tmp_path / "a.zip", on_conflict="replace")
    assert [one.version for one in fork.artifacts.versions("other")] == [2]
    with pytest.raises((Conflict, AlreadyExists)):
        store.artifacts.import_(tmp_path / "a.zip", session=store.sessions.fork(origin.id).id, on_conflict="replace")
    assert looks(store, origin) == theirs
    assert store.verify().ok


def test_a_fork_is_told_what_it_inherits_of_relations_as_it_is_there(store):
    origin = store.sessions.create("origin")
    raw = origin.artifacts.put("raw", b"raw")
    made = origin.artifacts.put("made", b"made", derived_from=[raw.id])
    fork = store.sessions.fork(origin.id)
    later = origin.artifacts.put("later", b"later", derived_from=[made.id])
    origin.artifacts.rename("raw", "renamed later")
    origin.artifacts.delete("renamed later")
    told = [(one.name, one.version, one.state, one.session) for one in fork.artifacts.ancestors("made")]
    assert told == [("raw", 1, "present", fork.id)]
    assert [(one.id, one.name, one.state) for one in fork.artifacts.descendants("made")] == [(later.id, None, "hidden")]
    assert [row["name"] for row in fork.artifacts.lineage("made").to_rows()] == ["raw", "made", None]
    fork.artifacts.delete("raw")
    assert [(one.name, one.state) for one in fork.artifacts.ancestors("made")] == [("raw", "deleted")]


def test_a_circle_through_what_a_fork_inherits_and_changed_is_refused(store, tmp_path):
    origin = store.sessions.create("origin")
    raw = origin.artifacts.put("raw", b"raw")
    origin.artifacts.put("made", b"made", derived_from=[raw.id])
    between = store.sessions.fork(origin.id)
    between.artifacts.rename("made", "made there")
    fork = store.sessions.fork(between.id)
    fork.artifacts.update("made there", description="the fork's own")
    for artifacts, source in ((fork.artifacts, "raw"), (store.artifacts, fork.artifacts.update("raw", tags=["t"]).id)):
        with pytest.raises(Conflict) as refused:
            artifacts.relate(source, "derived_from", fork.artifacts.info("made there").id)
        assert refused.value.code == "relation-cycle"
    assert fork.artifacts.relate("made there", "child_of", "raw")
    store.sessions.export(fork.id, tmp_path / "b")
    there = store.sessions.open(store.sessions.import_(tmp_path / "b", on_conflict="rename").id)
    assert [one.name for one in there.artifacts.ancestors("made there")] == ["raw"]


def test_a_label_that_moves_is_in_a_fork_of_each_moment_what_it_was_then(store):
    origin = store.sessions.create("origin")
    artifacts, moments = origin.artifacts, []
    for version in (1, 2, 3):
        artifacts.put("f", f"number {version}")
    for step, labels in (
        (lambda: artifacts.tag_version("f", 1, "good"), {"good": 1}),
        (lambda: artifacts.tag_version("f", 2, "good"), {"good": 2}),
        (lambda: artifacts.delete("f", version=2), {}),
        (lambda: artifacts.undelete("f", version=2), {"good": 2}),
        (lambda: artifacts.delete("f", version=2), {}),
        (lambda: artifacts.tag_version("f", 3, "good"), {"good": 3}),
    ):
        step()
        moments.append((store.stats()["last_seq"], labels))
    for moment, labels in moments:
        assert store.sessions.fork(origin.id, at=moment).artifacts.labels("f") == labels


def test_labels_of_a_forks_own_come_back_with_the_inherited_version_they_mean(store, origin):
    origin.artifacts.tag_version("r.md", 2, "theirs")
    fork = store.sessions.fork(origin.id)
    before = fork.artifacts.labels("r.md")
    for label in ("back", "moved"):
        fork.artifacts.tag_version("r.md", 2, label)
    fork.artifacts.delete("r.md", version=2)
    assert not {"back", "moved", "theirs"} & fork.artifacts.labels("r.md").keys()
    fork.artifacts.tag_version("r.md", 1, "moved")
    fork.artifacts.undelete("r.md", version=2)
    assert fork.artifacts.labels("r.md") == before | {"back": 2, "moved": 1}
    assert "back" not in origin.artifacts.labels("r.md")
    assert store.verify().ok


def given_away(session, name, changed):
    """Version 1 goes with its label, which goes to version 2 and with that; then version 1 comes back."""
    if changed:
        session.artifacts.update(name, version=1, description="changed")
    session.artifacts.delete(name, version=1)
    session.artifacts.tag_version(name, 2, "v1")
    session.artifacts.delete(name, version=2)
    gone = session.artifacts.labels(name)
    session.artifacts.undelete(name, version=1)
    return gone, session.artifacts.labels(name)


@pytest.mark.parametrize("changed", [False, True], ids=["inherited", "its own by now"])
def test_a_label_that_the_fork_gave_away_comes_back_with_the_version_it_was_inherited_with(
    face, store, origin, changed, tmp_path
):
    twin, _ = filled(store, "twin")
    fork, deeper = store.sessions.fork(origin.id), store.sessions.fork(store.sessions.fork(origin.id).id)
    assert given_away(fork, "r.md", changed) == given_away(deeper, "r.md", changed) == ({}, {"v1": 1})
    assert given_away(twin, "r.md", changed) == ({}, {"v1": 1}), "as where nothing is inherited"
    fork.artifacts.undelete("r.md", version=2)
    assert fork.artifacts.labels("r.md") == origin.artifacts.labels("r.md") == {"v1": 1}
    store.sessions.export(fork.id, tmp_path / "b")
    there = store.sessions.open(store.sessions.import_(tmp_path / "b", on_conflict="rename").id)
    assert there.artifacts.labels("r.md") == {"v1": 1}
    for one in face.both(store):
        assert one.sessions.open(fork.id).artifacts.info("r.md", version="v1").version == 1
        assert one.verify().ok


def test_a_label_that_meant_another_version_when_the_inherited_one_went_stays_away(store, origin):
    fork = store.sessions.fork(origin.id)
    fork.artifacts.tag_version("r.md", 2, "v1")
    fork.artifacts.delete("r.md")
    fork.artifacts.undelete("r.md", version=1)
    assert fork.artifacts.labels("r.md") == {}
    fork.artifacts.undelete("r.md", version=2)
    assert fork.artifacts.labels("r.md") == {"v1": 2}
    fork.artifacts.delete("r.md", version=1)
    fork.artifacts.undelete("r.md", version=1)
    assert fork.artifacts.labels("r.md") == {"v1": 2}


def test_what_becomes_of_labels_in_a_fork_is_what_would_without_one(store):
    """Chance does the same to a session and to one that is forked on the way."""
    random = Random(7)
    for _ in range(40):
        plain, forked = store.sessions.create("plain"), store.sessions.create("forked")
        for session in (plain, forked):
            for number in (1, 2):
                session.artifacts.put("a", b"")
                session.artifacts.tag_version("a", number, "xy"[number - 1])
        there = {1, 2}
        for step in range(15):
            if len(there) == 2 and (step < 2 or random.random() < 0.1):
                forked = store.sessions.fork(forked.id)
            version, label = random.choice((1, 2)), random.choice("xy")
            what = random.choice(("delete", "tag", "tag", "update")) if version in there else "undelete"
            for artifacts in (plain.artifacts, forked.artifacts):
                match what:
                    case "delete" | "undelete":
                        getattr(artifacts, what)("a", version=version)
                    case "tag":
                        artifacts.tag_version("a", version, label)
                    case "update":
                        artifacts.update("a", version=version, description=f"{step}")
            if what in {"delete", "undelete"}:
                there ^= {version}
            assert forked.artifacts.labels("a") == plain.artifacts.labels("a")
