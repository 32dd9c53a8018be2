"""A fork that goes to another store takes along what it goes back to, whole and checked, and is a session like any."""

import pytest

from llmspell import RetentionPolicy
from llmspell.errors import NotFound
from llmspell.journal.reading import check_row
from llmspell.model.ids import id_bytes
from llmspell.portable import flattening
from llmspell.portable.frames import HEADER
from tests.portable.test_hostile import read_all
from tests.sessions.forked import LARGE, change_all, filled, looks

SECRET = bytes(range(32))


def without_places(looked):
    """What shows of a session, without the places of entries."""
    histories = {key: [change[1:] for change in changes] for key, changes in looked["history"].items()}
    checkpoints = [label for label, _, _ in looked["checkpoints"]]  # Hashes are over what is sealed: each time anew.
    artifacts = [{name: one[name] for name in one if name not in {"id", "updated_at"}} for one in looked["artifacts"]]
    return looked | {"history": histories, "checkpoints": checkpoints, "artifacts": artifacts}


@pytest.fixture
def forked(store):
    """A fork of a fork with changes of its own, whose origins went on; gives it with its origins."""
    origin, _ = filled(store)
    between = store.sessions.fork(origin.id, name="between")
    change_all(origin)
    between.state.set("between", 1)
    between.artifacts.update("r.md", version=1, description="of between")
    between.artifacts.delete("spare")
    fork = store.sessions.fork(between.id, name="last")
    between.state.set("between", 2)
    change_all(between)
    fork.artifacts.update("r.md", version=1, tags=["mine"])
    change_all(fork)
    fork.artifacts.put("derived", b"x", derived_from=[fork.artifacts.info("r.md", version=1).id])
    fork.artifacts.delete("mine")
    fork.artifacts.undelete("mine")
    fork.restore("half")
    return fork, between, origin


def test_a_fork_is_the_same_in_another_store(face, store, other, forked, tmp_path):
    fork, _, _ = forked
    told = store.sessions.export(fork.id, tmp_path / "b", key=SECRET, secrets=True)
    done = other.sessions.import_(tmp_path / "b", key=SECRET)
    assert (done.outcome, done.id, done.entries, done.contents) == ("imported", fork.id, told.entries, told.contents)
    there = other.sessions.open(fork.id)
    same = ("name", "description", "tags", "metadata", "config", "created_by", "status", "created_at")
    assert [getattr(there.info, name) for name in same] == [getattr(fork.refresh(), name) for name in same]
    assert (there.info.forked_from, there.info.forked_at) == (None, None)
    here = looks(store, fork)
    assert without_places(looks(other, there)) == without_places(here)
    assert [one.id for one in there.artifacts.list(all_versions=True)] == [
        one.id for one in fork.artifacts.list(all_versions=True)
    ]
    assert there.artifacts.info("derived").derived_from == [there.artifacts.info("r.md", version=1).id]
    assert other.verify().ok
    other.close()
    again = face._open(tmp_path / "other", durability="process", clock=face.clock)
    assert without_places(looks(again, again.sessions.open(fork.id))) == without_places(here)
    again.close()


def test_what_a_fork_goes_back_to_is_told_and_what_is_not_its_own_stays_behind(store, forked, tmp_path):
    fork, between, origin = forked
    told = store.sessions.export(fork.id, tmp_path / "b")
    head = next(text for kind, text in read_all(tmp_path / "b") if kind == HEADER)
    assert b'"lineage":[["%b",' % between.id.encode() in head
    assert b'["%b",' % origin.id.encode() in head
    assert "session.created" not in told.left_out
    assert not {name for name in told.left_out if name.startswith(("state.", "artifact.", "event."))}
    assert b"hidden word" not in (tmp_path / "b").read_bytes()


def test_a_fork_comes_back_after_its_deletion_while_its_origin_is_there(face, store, forked, tmp_path):
    fork, _, origin = forked
    here, theirs = looks(store, fork), looks(store, origin)
    store.sessions.export(fork.id, tmp_path / "b", key=SECRET, secrets=True)
    store.sessions.delete(fork.id)
    assert store.sessions.import_(tmp_path / "b", key=SECRET).outcome == "imported"
    for one in face.both(store):
        there = one.sessions.open(fork.id)
        back = without_places(looks(one, there))
        for part in ("items", "keys", "contents", "latest", "labels", "checkpoints", "deleted"):
            assert back[part] == without_places(here)[part], part
        assert not [entry for entry in there.timeline(limit=500) if entry.session != id_bytes(fork.id)]
        assert (
            next(entry.kind for entry in there.timeline(limit=500) if entry.actor.startswith("imported:"))
            == "session.created"
        )
        assert looks(one, one.sessions.open(origin.id)) == theirs
        assert one.verify().ok, one.verify().findings
        again = one.sessions.fork(fork.id)
        assert again.state.items() == there.state.items()
        assert again.artifacts.get("r.md", version=2).read() == LARGE
        again.restore("half")
        one.sessions.delete(again.id)


def test_a_fork_comes_in_beside_its_origin_and_under_new_ids(store, other, forked, tmp_path):
    fork, between, origin = forked
    for session in (origin, between, fork):
        store.sessions.export(session.id, tmp_path / session.id, key=SECRET, secrets=True)
        other.sessions.import_(tmp_path / session.id, key=SECRET)
    renamed = other.sessions.import_(tmp_path / fork.id, key=SECRET, on_conflict="rename")
    replaced = other.sessions.import_(tmp_path / fork.id, key=SECRET, on_conflict="replace")
    assert (renamed.outcome, replaced.outcome) == ("renamed", "replaced")
    ids = []
    for name in (origin.id, between.id, fork.id, renamed.id):
        ids += [one.id for one in other.sessions.open(name).artifacts.list(all_versions=True)]
    assert len(ids) == len(set(ids))
    for name in (origin.id, between.id):
        here, there = looks(store, store.sessions.open(name)), looks(other, other.sessions.open(name))
        assert here["items"] == there["items"]
    assert other.sessions.open(renamed.id).state.items() == fork.state.items()
    assert other.verify().ok


def test_a_fork_whose_origin_was_deleted_or_shredded_is_exported_with_what_there_is(store, other, tmp_path):
    origin, _ = filled(store)
    first, second = store.sessions.fork(origin.id), store.sessions.fork(origin.id)
    first.state.set("own", 1)
    second.state.set("own", 2)
    store.sessions.delete(origin.id)
    here = looks(store, first)
    store.sessions.export(first.id, tmp_path / "a", key=SECRET, secrets=True)
    other.sessions.import_(tmp_path / "a", key=SECRET)
    assert without_places(looks(other, other.sessions.open(first.id))) == without_places(here)
    store.sessions.shred(origin.id, detach=True)
    told = store.sessions.export(second.id, tmp_path / "b")
    assert told.contents == 0
    other.sessions.import_(tmp_path / "b")
    assert other.sessions.open(second.id).state.items() == [("own", 2)]
    with pytest.raises(NotFound):
        other.sessions.open(second.id).artifacts.get("r.md")
    assert other.verify().ok


def test_what_a_fork_made_its_own_of_a_shredded_origin_comes_back_from_its_bundle(store, other, tmp_path):
    origin = store.sessions.create("Origin", state={"k": 1})
    for name in ("kept", "dropped", "labelled", "late"):
        origin.artifacts.put(name, name.encode())
    fork = store.sessions.fork(origin.id)
    fork.artifacts.put("late", b"its own")
    fork.artifacts.update("kept", tags=["mine"])
    fork.artifacts.tag_version("kept", 1, "good")
    fork.artifacts.tag_version("labelled", 1, "lost")
    fork.artifacts.relate("kept", "depends_on", "labelled")
    late = next(one for one in fork.artifacts.versions("late") if one.version == 1)
    fork.artifacts.update(late.id, description="before its own")
    fork.artifacts.delete("dropped")
    fork.artifacts.undelete("dropped")
    fork.state.delete("k")
    origin.complete()
    store.sessions.shred(origin.id, detach=True)
    told = store.sessions.export(fork.id, tmp_path / "fork")
    assert told.left_out["artifact.tagged"] == 1
    other.sessions.import_(tmp_path / "fork")
    there = other.sessions.open(fork.id)
    assert _shown(there.artifacts) == _shown(fork.artifacts)
    assert [(one.name, one.version, one.description) for one in there.artifacts.list(all_versions=True)] == [
        ("kept", 1, ""), ("late", 1, "before its own"), ("late", 2, "")
    ]  # fmt: skip
    assert there.artifacts.labels("kept") == {"good": 1}
    assert there.state.items() == []
    assert other.verify().ok


def _shown(artifacts):
    found = artifacts.list(all_versions=True)
    return [(one.id, one.name, one.version, one.tags, one.created_at, artifacts.get(one.id).read()) for one in found]


def test_a_fork_that_a_cleanup_deletes_is_archived_whole_before(store, other, forked, face, tmp_path):
    fork, _, _ = forked
    fork.complete()
    here = looks(store, fork)
    face.clock.advance(100)
    (tmp_path / "archive").mkdir()
    policy = RetentionPolicy(max_age_s=50, archive_to=tmp_path / "archive")
    assert store.sessions.cleanup(policy).codes == {fork.id: "archive-needs-key"}
    report = store.sessions.cleanup(policy, archive_key=SECRET)
    assert len(report.deleted) == 1
    (path,) = (tmp_path / "archive").iterdir()
    other.sessions.import_(path, key=SECRET)
    there = looks(other, other.sessions.open(fork.id))
    assert there["contents"] == here["contents"]
    assert there["labels"] == here["labels"]
    assert there["each"] == here["each"] | {"short lived": "nothing"}


def test_a_fork_of_a_session_with_captures_comes_with_what_they_made_and_its_own_rules(store, other, tmp_path):
    store.captures.set_rules([{"name": "all"}])
    origin = store.sessions.create("origin")
    origin.captures.set_rules([{"name": "tools", "sources": ["tool"], "count_max": 2}])
    origin.captures.offer("one", source="tool", name="t")
    origin.captures.offer("two", source="user", name="u")
    origin.captures.offer("", source="agent", name="a", record=True)
    fork = store.sessions.fork(origin.id)
    fork.captures.set_rules([{"name": "tools", "sources": ["tool"], "count_max": 1}])
    assert fork.captures.offer("three", source="tool", name="t").artifact.version == 2
    told = store.sessions.export(fork.id, tmp_path / "b")
    assert {"artifact.captured", "artifact.capture_rules_set"} <= told.left_out.keys()
    other.sessions.import_(tmp_path / "b")
    renamed = other.sessions.import_(tmp_path / "b", on_conflict="rename")
    for there in (other.sessions.open(fork.id), other.sessions.open(renamed.id)):
        assert [there.artifacts.get("tool/t", version=number).text() for number in (1, 2)] == ["one", "three"]
        assert there.captures.rules() == fork.captures.rules()
        assert there.captures.counts() == fork.captures.counts()
    assert other.verify().ok


def test_what_was_deleted_for_good_since_travels_and_each_entry_of_it_is_checked_once(
    store, other, tmp_path, monkeypatch
):
    origin, _ = filled(store)
    fork = store.sessions.fork(origin.id)
    for name in ("other", "spare"):
        fork.artifacts.delete(name)
        origin.artifacts.delete(name, hard=True)
    erased = {entry.seq for entry in store.timeline(kinds=["artifact.erased"])}
    checked = []

    def check(row):
        entry = check_row(row)
        checked.append(entry.seq)
        return entry

    monkeypatch.setattr(flattening, "check_row", check)
    store.sessions.export(fork.id, tmp_path / "b")
    assert erased <= set(checked)
    assert len(checked) == len(set(checked))
    other.sessions.import_(tmp_path / "b")
    with pytest.raises(NotFound) as gone:
        other.sessions.open(fork.id).artifacts.undelete("spare", version=1)
    assert gone.value.code == "artifact-erased"
    assert other.verify().ok
