"""Deleting artifacts: what is deleted can come back until it is deleted for good; quotas; many at once."""

import os

import pytest

import llmspell
from llmspell.errors import LlmspellError
from tests.rooms.conftest import sql

LARGE = os.urandom(300_000)


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


@pytest.fixture
def session(store):
    return store.sessions.create("s")


def held(store, session):
    """Versions and contents of a session by name, in the store as it is."""
    found = {}
    for info in store.sessions.open(session.id).artifacts.list(all_versions=True):
        found[info.name, info.version] = store.artifacts.get(info.id).read()
    return found


def sound(store):
    report = store.verify()
    assert report.ok, [finding.what for finding in report.findings]
    return store


# -- undelete ----------------------------------------------------------------------------------------------------------


def test_a_deleted_name_comes_back_whole_with_its_labels_and_numbers(face, store, session):
    for content in ("one", LARGE, "three"):
        session.artifacts.put("f", content, tags=["t"], metadata={"m": 1}, description="d")
    session.artifacts.tag_version("f", 2, "good")
    before = session.artifacts.versions("f")
    assert session.artifacts.delete("f") == 3
    assert session.artifacts.labels("f") == {}
    assert session.artifacts.undelete("f") == 3
    for opened in face.both(store):
        artifacts = opened.sessions.open(session.id).artifacts
        back = artifacts.versions("f")
        assert [(info.id, info.version, info.tags, info.metadata, info.created_at) for info in back] == [
            (info.id, info.version, info.tags, info.metadata, info.created_at) for info in before
        ]
        assert artifacts.labels("f") == {"good": 2}
        assert artifacts.get("f", version="good").read() == LARGE
        sound(opened)


def test_labels_go_with_the_version_of_their_own_session_alone(store, session):
    other = store.sessions.create("other")
    for one in (session, other):
        one.artifacts.put("f", "one")
        one.artifacts.put("g", "one")
        one.artifacts.tag_version("f", 1, "good")
        one.artifacts.tag_version("g", 1, "good")
    session.artifacts.delete("f")
    assert (session.artifacts.labels("f"), session.artifacts.labels("g")) == ({}, {"good": 1})
    assert (other.artifacts.labels("f"), other.artifacts.labels("g")) == ({"good": 1}, {"good": 1})


def test_a_label_that_means_another_version_by_now_stays_there(session):
    session.artifacts.put("f", "one")
    session.artifacts.put("f", "two")
    session.artifacts.tag_version("f", 1, "good")
    session.artifacts.delete("f", version=1)
    session.artifacts.tag_version("f", 2, "good")
    session.artifacts.undelete("f", version=1)
    assert session.artifacts.labels("f") == {"good": 2}


def test_a_label_that_is_free_again_comes_back_with_the_version_it_was_taken_from(session):
    session.artifacts.put("f", "one")
    session.artifacts.put("f", "two")
    session.artifacts.tag_version("f", 1, "good")
    session.artifacts.delete("f", version=1)
    session.artifacts.tag_version("f", 2, "good")
    session.artifacts.delete("f", version=2)
    session.artifacts.undelete("f", version=1)
    assert session.artifacts.labels("f") == {"good": 1}


def test_a_label_that_had_moved_on_before_does_not_come_back(session):
    session.artifacts.put("f", "one")
    session.artifacts.put("f", "two")
    session.artifacts.tag_version("f", 1, "good")
    session.artifacts.tag_version("f", 2, "good")
    session.artifacts.delete("f", version=1)
    session.artifacts.delete("f", version=2)
    session.artifacts.undelete("f", version=1)
    assert session.artifacts.labels("f") == {}


def test_only_what_is_deleted_comes_back(store, session):
    kept = session.artifacts.put("f", "one")
    assert code(lambda: session.artifacts.undelete("f")) == "artifact-not-found"
    assert code(lambda: session.artifacts.undelete(kept.id)) == "artifact-not-deleted"
    assert code(lambda: session.artifacts.undelete("g")) == "artifact-not-found"
    assert code(lambda: session.artifacts.undelete(kept.id, version=1)) == "invalid-version"
    session.artifacts.delete(kept.id)
    assert code(lambda: session.artifacts.delete(kept.id)) == "artifact-not-found"
    assert session.artifacts.undelete(kept.id) == 1
    session.artifacts.delete(kept.id)
    store.sessions.delete(session.id)
    assert code(lambda: store.artifacts.undelete(kept.id)) == "session-not-found"


def test_an_archived_session_takes_nothing_back(session):
    session.artifacts.put("f", "one")
    session.artifacts.delete("f")
    session.complete()
    session.archive()
    assert code(lambda: session.artifacts.undelete("f")) == "session-archived"


def test_what_was_deleted_for_good_does_not_come_back_and_its_number_is_not_given_again(face, store, session):
    first = session.artifacts.put("f", "one")
    assert session.artifacts.delete("f", hard=True) == 1
    assert code(lambda: session.artifacts.undelete(first.id)) == "artifact-erased"
    assert code(lambda: session.artifacts.undelete("f")) == "artifact-not-found"
    assert code(lambda: session.artifacts.delete(first.id, hard=True)) == "artifact-erased"
    assert code(lambda: session.artifacts.get(first.id)) == "artifact-not-found"
    assert session.artifacts.put("f", "again").version == 2
    for opened in face.both(store):
        assert held(opened, session) == {("f", 2): b"again"}
        sound(opened)


def test_deleting_for_good_takes_what_was_deleted_before_too(store, session):
    old = session.artifacts.put("f", "one")
    session.artifacts.put("f", "two")
    session.artifacts.delete(old.id)
    assert session.artifacts.delete("f", hard=True) == 2
    assert session.artifacts.deleted() == []
    kinds = [entry.kind for entry in store.timeline() if entry.kind.startswith("artifact.")]
    assert kinds == ["artifact.stored", "artifact.stored", "artifact.deleted", "artifact.erased", "artifact.deleted",
                     "artifact.erased"]  # fmt: skip


def test_deleted_names_what_can_come_back_also_of_deleted_sessions(store, session):
    other = store.sessions.create("other")
    other.artifacts.put("in other", "x")
    for name in ("a", "b", "c"):
        session.artifacts.put(name, name)
    session.artifacts.delete("a")
    session.artifacts.delete("b", hard=True)
    store.sessions.delete(other.id)
    assert [info.name for info in session.artifacts.deleted()] == ["a"]
    assert {info.name for info in store.artifacts.deleted()} == {"a", "in other"}
    assert [info.name for info in store.artifacts.deleted(session=other.id)] == ["in other"]


def test_hooks_see_and_may_refuse_an_undelete(store, session):
    session.artifacts.put("f", "one")
    session.artifacts.delete("f")
    seen = []
    store.hooks.register("after_artifact_undelete", lambda context: seen.append(context.data["name"]))
    session.artifacts.undelete("f")
    assert seen == ["f"]
    session.artifacts.delete("f")
    store.hooks.register("before_artifact_undelete", lambda context: __import__("llmspell").Cancel("no"))
    assert code(lambda: session.artifacts.undelete("f")) == "vetoed"
    assert len(session.artifacts.list()) == 0


# -- by what is said about them ----------------------------------------------------------------------------------------


@pytest.fixture
def many(store, session):
    other = store.sessions.create("other")
    for at, (room, name, options) in enumerate(
        [
            (session, "a.tmp", {"type": "data", "tags": ["x"]}),
            (session, "b.tmp", {"type": "code", "tags": ["x", "y"], "metadata": {"n": 1}}),
            (session, "c.md", {"type": "code", "metadata": {"n": True}}),
            (other, "d.tmp", {"type": "data"}),
        ]
    ):
        room.artifacts.put(name, "x" * (10 + at), **options)
    return other


def names(store):
    return {info.name for session in store.sessions.list() for info in store.sessions.open(session.id).artifacts.list()}


@pytest.mark.parametrize("condition, gone", [
    ({"name": "*.tmp"}, {"a.tmp", "b.tmp", "d.tmp"}),
    ({"type": "code"}, {"b.tmp", "c.md"}),
    ({"tags": ["x", "y"]}, {"b.tmp"}),
    ({"metadata": {"n": 1}}, {"b.tmp"}),
    ({"min_size": 11, "max_size": 12}, {"b.tmp", "c.md"}),
    ({"updated_after": "2999-01-01T00:00:00Z"}, set()),
    ({"updated_before": "2999-01-01T00:00:00Z"}, {"a.tmp", "b.tmp", "c.md", "d.tmp"}),
    ({"name": "*.tmp", "type": "data"}, {"a.tmp", "d.tmp"}),
    ({"created_after": "2999-01-01T00:00:00Z"}, set()),
    ({"created_before": "2999-01-01T00:00:00Z"}, {"a.tmp", "b.tmp", "c.md", "d.tmp"}),
    ({"name": "[ab]*"}, {"a.tmp", "b.tmp"}),
    ({"text": "tm*"}, {"a.tmp", "b.tmp", "d.tmp"}),
    ({"text": "y", "type": "code"}, {"b.tmp"}),
], ids=lambda value: "-".join(sorted(map(str, value))))  # fmt: skip
def test_what_fits_all_conditions_is_deleted_and_nothing_else(face, store, session, many, condition, gone):
    before = names(store)
    assert {one.name for one in store.artifacts.query(**condition)} == gone, "a query means the same by it"
    assert store.artifacts.delete_matching(**condition, dry_run=True) == len(gone)
    assert names(store) == before
    assert store.artifacts.delete_matching(**condition) == len(gone)
    assert before - names(store) == gone
    sound(face.reopen())


def test_a_session_deletes_only_its_own(store, session, many):
    assert session.artifacts.delete_matching(name="*") == 3
    assert names(store) == {"d.tmp"}
    assert code(lambda: session.artifacts.delete_matching(session=many.id)) == "invalid-selection"
    assert store.artifacts.delete_matching(session=many.id) == 1


def test_what_is_deleted_can_be_matched_to_be_deleted_for_good(store, session, many):
    store.artifacts.delete_matching(name="*.tmp")
    assert store.artifacts.delete_matching(name="*", deleted=True, hard=True) == 3
    assert store.artifacts.deleted() == []
    assert names(store) == {"c.md"}


@pytest.mark.parametrize("condition, why", [
    ({}, "nothing-selected"), ({"name": "*", "deleted": True}, "invalid-selection"),
    ({"name": 5}, "invalid-name"), ({"min_size": -1}, "invalid-selection"),
    ({"digest": "zz"}, "invalid-selection"), ({"created_after": "yesterday"}, "invalid-time"),
    ({"session": "nobody"}, "invalid-id"), ({"text": "..."}, "invalid-text-query"),
    ({"updated_before": "tomorrow"}, "invalid-time"), ({"dry_run": 1, "name": "*"}, "invalid-input"),
], ids=str)  # fmt: skip
def test_a_selection_that_says_nothing_or_nonsense_is_refused(store, session, many, condition, why):
    assert code(lambda: store.artifacts.delete_matching(**condition)) == why
    assert len(names(store)) == 4


def test_one_veto_keeps_everything_that_was_matched(store, session, many):
    import llmspell

    store.hooks.register(
        "before_artifact_delete", lambda context: llmspell.Cancel("kept") if context.data["name"] == "d.tmp" else None
    )
    assert code(lambda: store.artifacts.delete_matching(name="*.tmp")) == "vetoed"
    assert len(names(store)) == 4


# -- quotas ------------------------------------------------------------------------------------------------------------


def test_a_session_quota_bounds_bytes_and_versions_and_survives_opening(face, store, session):
    session.artifacts.put("before", "x" * 40)
    quota = session.artifacts.set_quota(total_bytes_max=100, versions_max=3)
    assert (quota.used_bytes, quota.used_versions) == (40, 1)
    session.artifacts.put("f", "x" * 60)
    store = face.reopen()
    session = store.sessions.open(session.id)
    assert code(lambda: session.artifacts.put("g", "x")) == "session-quota-exceeded"
    session.artifacts.put("g", "")
    assert code(lambda: session.artifacts.put("h", "")) == "session-quota-exceeded"
    session.artifacts.delete("f")
    assert session.artifacts.quota().used_bytes == 40
    session.artifacts.put("g", "x" * 50)
    assert code(lambda: session.artifacts.undelete("f")) == "session-quota-exceeded"
    assert session.artifacts.quota().used_versions == 3
    session.artifacts.delete("g")
    session.artifacts.undelete("f")
    assert (session.artifacts.quota().used_bytes, session.artifacts.quota().used_versions) == (100, 2)
    other = store.sessions.create("free")
    other.artifacts.put("f", LARGE)
    sound(face.reopen())


def test_a_store_quota_bounds_all_sessions_and_can_be_taken_away(face, store, session):
    other = store.sessions.create("other")
    store.artifacts.set_quota(total_bytes_max=1000, artifact_bytes_max=600)
    session.artifacts.put("f", "x" * 600)
    assert code(lambda: other.artifacts.put("f", "x" * 500)) == "store-quota-exceeded"
    assert code(lambda: other.artifacts.put("f", "x" * 601)) == "artifact-too-large"
    assert store.artifacts.quota().used_bytes == 600
    store.sessions.delete(session.id)
    other.artifacts.put("f", "x" * 500)
    assert store.artifacts.quota().used_bytes == 500
    store.artifacts.set_quota()
    other.artifacts.put("g", LARGE)
    assert store.artifacts.quota().to_dict() == {
        "artifact_bytes_max": None, "total_bytes_max": None, "versions_max": None,
        "used_bytes": 500 + len(LARGE), "used_versions": 2,
    }  # fmt: skip
    sound(face.reopen())


@pytest.mark.parametrize("source", ["bytes", "stream", "restored"])
def test_content_above_the_bound_of_a_version_is_refused_however_it_comes(store, session, source):
    old = session.artifacts.put("old", LARGE)
    session.artifacts.set_quota(artifact_bytes_max=200_000)
    taken = []

    def stream():
        for _ in range(1000):
            taken.append(1)
            yield LARGE[:100_000]

    put = {
        "bytes": lambda: session.artifacts.put("f", LARGE + b"x"),
        "stream": lambda: session.artifacts.put("f", stream()),
        "restored": lambda: session.artifacts.restore_version("old", 1),
    }[source]
    assert code(put) == "artifact-too-large"
    assert len(taken) <= 3, "a stream is not read to its end to be refused"
    assert [info.id for info in session.artifacts.list()] == [old.id]
    assert not store.orphans().in_progress


@pytest.mark.parametrize("bound", [-1, 1.5, "1", True, 1 << 70], ids=repr)
def test_a_bound_that_is_no_number_of_bytes_is_refused(session, bound):
    assert code(lambda: session.artifacts.set_quota(total_bytes_max=bound)) == "invalid-quota"


def test_without_quotas_a_put_counts_nothing(face, store, session):
    session.artifacts.put("f", "x")
    entry = next(entry for entry in store.timeline(kinds=["artifact.stored"]))
    assert "metered" not in entry.data
    assert sql(face, store)("SELECT count(*) FROM artifact_quota").fetchall() == [(0,)]


# -- many at once ------------------------------------------------------------------------------------------------------


def test_a_batch_of_puts_stores_what_it_can_and_names_what_it_cannot(face, store, session, tmp_path):
    session.artifacts.set_quota(artifact_bytes_max=400_000)
    told = []
    report = session.artifacts.put_many(
        [
            {"name": "a", "data": "one", "tags": ["t"]},
            {"name": "..", "data": "bad name"},
            {"name": "big", "data": LARGE},
            {"name": "missing", "data": tmp_path / "no such file"},
            {"name": "a", "data": "two"},
            {"name": "huge", "data": LARGE + LARGE},
            {"name": "odd", "data": "x", "colour": "red"},
            {"name": "heir", "data": "x", "derived_from": ["018f0000-0000-7000-8000-000000000000"]},
        ],
        progress=lambda done, total: told.append((done, total)),
    )
    assert [item.error.code if item.error else None for item in report] == [
        None, "invalid-name", None, "file-not-found", None, "artifact-too-large", "invalid-item", "artifact-not-found",
    ]  # fmt: skip
    assert not report.ok
    assert [item.index for item in report.failed] == [1, 3, 5, 6, 7]
    assert report.to_dict()["done"] == 3
    assert told == [(8, 8)]
    assert [info.version for info in report.results] == [1, 1, 2]
    for opened in face.both(store):
        assert held(opened, session) == {("a", 1): b"one", ("a", 2): b"two", ("big", 1): LARGE}
        assert not sound(opened).orphans().in_progress


class Broken:
    def read(self, _count):
        raise RuntimeError("no more")


def endless():
    yield b"x"
    raise ZeroDivisionError


def test_what_sources_and_validators_raise_keeps_no_other_from_being_stored(face, store, session):
    session.artifacts.add_validator("odd", lambda _info, _content: str(int("odd")))
    report = session.artifacts.put_many([
        {"name": "a", "data": "one"}, {"name": "b", "data": Broken()}, {"name": "c", "data": endless()},
        {"name": "d", "data": "x", "type": "odd"}, {"name": "e", "data": "two"},
    ])  # fmt: skip
    assert [item.error.code if item.error else None for item in report] == [
        None, "source-failed", "source-failed", "invalid-artifact", None,
    ]  # fmt: skip
    assert "no more" in report.items[1].error.message
    assert isinstance(report.items[2].error.__cause__, ZeroDivisionError)
    for opened in face.both(store):
        assert held(opened, session) == {("a", 1): b"one", ("e", 1): b"two"}
        assert not sound(opened).orphans().in_progress


def test_many_small_puts_share_commits(store, session):
    report = session.artifacts.put_many([{"name": f"f{n}", "data": f"{n}"} for n in range(200)])
    assert report.ok
    assert [info.name for info in report.results] == [f"f{n}" for n in range(200)]
    times = {entry.clock for entry in store.timeline(kinds=["artifact.stored"], limit=1000)}
    assert len(times) < 10, "each would have a time of its own"


def test_a_batch_of_gets_gives_contents_and_what_is_missing(session):
    first = session.artifacts.put("a", "one")
    session.artifacts.put("b", LARGE)
    told = []
    report = session.artifacts.get_many(["a", "nope", first.id, "b"], progress=lambda *at: told.append(at))
    assert [item.ok for item in report] == [True, False, True, True]
    assert report.failed[0].error.code == "artifact-not-found"
    assert told[-1] == (4, 4)
    assert report.to_dict()["items"][0]["artifact"]["name"] == "a"


def test_contents_of_a_batch_of_gets_are_handles_of_the_face(face, session):
    session.artifacts.put("a", "one")
    item = next(iter(session.artifacts.get_many(["a"])))
    found = item.result.read()
    assert (face.settle(found) if face.name == "async" else found) == b"one"


# -- others meanwhile --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hard", [False, True])
def test_a_name_is_deleted_though_another_deletes_some_of_it_meanwhile(store, session, hard):
    """A hook runs between the selection and its unit, as another process may."""
    for number in range(4):
        session.artifacts.put("f", f"{number}")
    told = []

    @store.hooks.on("before_artifact_delete")
    def meanwhile(context):
        if context.data["version"] == 1:
            with llmspell.open(store.path) as other:
                other.sessions.open(session.id).artifacts.delete("f", version=2, hard=True)

    @store.hooks.on("after_artifact_delete")
    def after(context):
        told.append(context.data["version"])

    assert session.artifacts.delete("f", hard=hard) == 3
    assert told == [1, 3, 4]
    assert [info.version for info in session.artifacts.deleted()] == ([] if hard else [1, 3, 4])
    sound(store)


def test_a_name_is_brought_back_though_another_brings_back_some_of_it_meanwhile(store, session):
    for number in range(4):
        session.artifacts.put("f", f"{number}")
    session.artifacts.delete("f")
    told = []

    @store.hooks.on("before_artifact_undelete")
    def meanwhile(context):
        if context.data["version"] == 1:
            with llmspell.open(store.path) as other:
                there = other.sessions.open(session.id).artifacts
                there.undelete("f", version=2)
                there.delete("f", version=3, hard=True)

    @store.hooks.on("after_artifact_undelete")
    def after(context):
        told.append(context.data["version"])

    assert session.artifacts.undelete("f") == 2
    assert told == [1, 4]
    assert [info.version for info in session.artifacts.versions("f")] == [1, 2, 4]
    sound(store)


def test_what_another_deleted_meanwhile_altogether_is_not_found(store, session):
    session.artifacts.put("f", "0")

    @store.hooks.on("before_artifact_delete")
    def meanwhile(context):
        with llmspell.open(store.path) as other:
            other.sessions.open(session.id).artifacts.delete("f")

    assert code(lambda: session.artifacts.delete("f")) == "artifact-not-found"
    assert code(lambda: session.artifacts.delete("f", version=1)) == "artifact-not-found"
    assert store.artifacts.undelete(session.artifacts.deleted()[0].id) == 1
    assert store.artifacts.delete_matching(name="f") == 0
    sound(store)
