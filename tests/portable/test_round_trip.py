"""A session that goes to another store in one file is the same there, with its past, and can go on."""

import asyncio
import os
import subprocess
import sys

import pytest

import llmspell
from llmspell.errors import AlreadyExists, Conflict, InvalidInput, Vetoed
from llmspell.hooks.results import Cancel
from tests.portable.conftest import LARGE, filled, looks


@pytest.fixture
def bundle(store, tmp_path):
    session = filled(store)
    path = tmp_path / "research.bundle"
    told = store.sessions.export(session.id, path)
    return session, path, told


def test_everything_is_the_same_in_another_store_and_after_reopening(face, store, other, bundle, tmp_path):
    session, path, told = bundle
    done = other.sessions.import_(path)
    assert (done.outcome, done.id, done.name) == ("imported", session.id, "Research")
    assert (done.entries, done.contents, done.digest) == (told.entries, told.contents, told.digest)
    assert looks(other, session.id) == looks(store, session.id)
    other.close()
    again = face._open(tmp_path / "other", durability="process", clock=face.clock)
    assert looks(again, session.id) == looks(store, session.id)
    report = again.verify()
    assert report.ok, report.findings
    again.close()


def test_an_export_says_what_stayed_behind_and_the_file_is_only_the_owners(bundle):
    _, path, told = bundle
    assert told.left_out == {"state.set": 1}
    assert told.bytes == path.stat().st_size
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in path.parent.glob("*.part")] == []


def test_imported_entries_say_so_and_when_they_happened(store, other, bundle):
    session, path, _ = bundle
    other.state.set("before", 1)
    other.sessions.import_(path)
    timeline = list(other.timeline(session=session.id, limit=500))
    marker, *rest = timeline
    assert marker.kind == "session.imported"
    assert marker.data["original_id"] == session.id
    assert {entry.actor for entry in rest} == {"imported:owner"}
    created = next(entry for entry in rest if entry.kind == "session.created")
    origin = next(iter(store.timeline(session=session.id, kinds=["session.created"])))
    assert (created.id, created.clock) == (origin.id, origin.at)
    assert created.to_dict()["happened_at"] == origin.to_dict()["time"]
    assert all(entry.at >= marker.at for entry in rest)


def test_an_imported_session_can_be_restored_and_go_on(store, other, bundle):
    session, path, _ = bundle
    other.sessions.import_(path)
    there = other.sessions.open(session.id)
    there.restore("half way")
    assert dict(there.state.items())["gone"] == "soon"
    assert dict(there.state.items())["n"]["i"] == 4
    assert there.artifacts.put("r.md", b"three").version == 3
    there.archive()
    assert str(there.unarchive().status) == "completed"
    assert other.verify().ok


def test_a_session_comes_back_after_its_deletion(store, bundle):
    session, path, _ = bundle
    before = looks(store, session.id)
    store.sessions.delete(session.id)
    assert store.sessions.import_(path).outcome == "imported"
    after = looks(store, session.id)
    assert [one[0] for one in after["history"][:6]] == [one[0] for one in before["history"]]
    for of in (before, after):
        del of["history"]
    assert after == before
    assert store.verify().ok


def test_conflict_rules(store, other, bundle):
    session, path, _ = bundle
    other.sessions.import_(path)
    with pytest.raises(AlreadyExists) as error:
        other.sessions.import_(path)
    assert error.value.code == "session-exists"
    head = other.stats()["last_seq"]
    assert other.sessions.import_(path, on_conflict="skip").outcome == "skipped"
    assert other.stats()["last_seq"] == head
    other.sessions.open(session.id).state.set("n", "mine")
    renamed = other.sessions.import_(path, on_conflict="rename")
    assert (renamed.outcome, renamed.original_id, renamed.name) == ("renamed", session.id, "Research (2)")
    assert renamed.id != session.id
    copy = other.sessions.open(renamed.id)
    assert copy.state.get("n") == "later"
    assert copy.info.correlation_id != session.info.correlation_id
    ids = {one.id for one in copy.artifacts.list(all_versions=True)}
    assert not ids & {one.id for one in session.artifacts.list(all_versions=True)}
    assert copy.artifacts.info("empty").derived_from[0] in ids
    assert other.sessions.open(session.id).state.get("n") == "mine"
    assert other.sessions.import_(path, on_conflict="replace").outcome == "replaced"
    assert other.sessions.open(session.id).state.get("n") == "later"
    assert len(other.sessions.list().items) == 2
    assert other.verify().ok
    with pytest.raises(InvalidInput) as error:
        other.sessions.import_(path, on_conflict="merge")
    assert error.value.code == "invalid-conflict-rule"


def test_a_shredded_session_does_not_come_back_under_its_own_id(store, bundle):
    session, path, _ = bundle
    store.sessions.shred(session.id)
    for rule in ("fail", "skip", "replace"):
        with pytest.raises(Conflict) as error:
            store.sessions.import_(path, on_conflict=rule)
        assert error.value.code == "session-shredded"
    assert store.sessions.import_(path, on_conflict="rename").outcome == "renamed"


def test_an_export_of_what_was_imported_is_the_same_again(store, other, bundle, tmp_path):
    session, path, told = bundle
    other.sessions.import_(path)
    again = other.sessions.export(session.id, tmp_path / "again.bundle")
    assert (again.entries, again.contents, dict(again.left_out)) == (told.entries, told.contents, {})
    store.sessions.delete(session.id)
    store.sessions.import_(tmp_path / "again.bundle")
    assert looks(store, session.id)["content"] == [b"one", LARGE]


def test_writers_during_an_export_do_not_change_what_it_holds(store, other, tmp_path):
    session = filled(store)
    core = session

    def meanwhile(what, done):
        if what == "contents" and done == 1:
            store.state.set("meanwhile", 1)

    told = store.sessions.export(core.id, tmp_path / "b", progress=meanwhile if _is_sync(store) else None)
    other.sessions.import_(tmp_path / "b")
    assert told.entries == other.sessions.import_(tmp_path / "b", on_conflict="replace").entries


def _is_sync(store):
    return isinstance(store, llmspell.Store)


def test_progress_is_told_and_a_failing_callback_stops_the_import(store, other, bundle):
    _, path, _ = bundle
    seen = []
    other.sessions.import_(path, progress=lambda what, done: seen.append((what, done)))
    assert ("contents", 4) in seen
    assert seen[-1] == ("entries", len(other.timeline(session=bundle[0].id, limit=500).items) - 1), "all but the import"

    def fail(what, done):
        raise KeyError(what)

    head = other.stats()["last_seq"]
    with pytest.raises(KeyError):
        other.sessions.import_(path, on_conflict="rename", progress=fail)
    assert other.stats()["last_seq"] == head


def test_hooks_may_refuse_both_ways(store, other, bundle, tmp_path):
    session, path, _ = bundle
    store.hooks.on("before_session_export")(lambda context: Cancel("not this one"))
    with pytest.raises(Vetoed):
        store.sessions.export(session.id, tmp_path / "no")
    assert not (tmp_path / "no").exists()
    asked = []

    def judge(context):
        asked.append(context.data["info"]["name"])
        return Cancel("no")

    other.hooks.on("before_session_import")(judge)
    with pytest.raises(Vetoed):
        other.sessions.import_(path)
    assert asked == ["Research"]
    assert other.sessions.list().items == []


def test_paths_that_are_no_place_for_a_bundle_are_refused(face, store, bundle):
    session, path, _ = bundle
    with pytest.raises(AlreadyExists) as error:
        store.sessions.export(session.id, path)
    assert error.value.code == "file-exists"
    store.sessions.export(session.id, path, overwrite=True)
    for wrong, code in ((face.folder / "x", "path-in-store"), ("", "invalid-path"), ("a\0b", "invalid-path")):
        for call in (lambda p: store.sessions.export(session.id, p), store.sessions.import_):
            with pytest.raises(InvalidInput) as error:
                call(wrong)
            assert error.value.code == code
    with pytest.raises(llmspell.NotFound):
        store.sessions.import_(path.parent / "nothing")
    with pytest.raises(llmspell.StorageFailed):
        store.sessions.export(session.id, path.parent / "no folder" / "x")


@pytest.mark.parametrize("overwrite", [False, True])
def test_only_a_plain_file_is_written_over(store, bundle, tmp_path, overwrite):
    """A device or a pipe that became a file would break whoever else uses it."""
    session, _, _ = bundle
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to a pipe").symlink_to(tmp_path / "pipe")
    session.artifacts.put("a", b"a")
    for name in ("pipe", "to a pipe", "folder"):
        with pytest.raises(AlreadyExists) as error:
            store.sessions.export(session.id, tmp_path / name, overwrite=overwrite)
        assert error.value.code == "file-exists"
        assert "overwrite" not in str(error.value.hint)
        if name != "folder":
            with pytest.raises(AlreadyExists):
                session.artifacts.export(tmp_path / name, overwrite=overwrite)
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "to a pipe").is_symlink()


def test_a_link_is_written_over_and_what_it_leads_to_stays(store, bundle, tmp_path):
    session, _, _ = bundle
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    store.sessions.export(session.id, tmp_path / "link", overwrite=True)
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "link").is_symlink()


def test_a_name_may_be_as_long_as_the_disk_takes_and_no_longer(store, bundle, tmp_path):
    session, _, _ = bundle
    session.artifacts.put("a", b"a")
    longest = "\U0001f41d" * 63 + ".zi"
    for export in (lambda path: store.sessions.export(session.id, path), session.artifacts.export):
        export(tmp_path / longest)
        (tmp_path / longest).unlink()
        with pytest.raises(llmspell.StorageFailed) as error:
            export(tmp_path / ("n" * 300))
        assert error.value.code == "cannot-write"
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


KILLED = """
import os, signal, sys, llmspell
def dead(what, done):
    if what == sys.argv[3] and done >= int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
with llmspell.open(sys.argv[1]) as store:
    store.sessions.import_(sys.argv[2], progress=dead)
"""


@pytest.mark.parametrize(("what", "done"), [("contents", 1), ("contents", 4), ("entries", 1)])
def test_a_kill_during_an_import_leaves_nothing_visible(tmp_path, what, done):
    with llmspell.open(tmp_path / "a") as store:
        session = filled(store)
        told = store.sessions.export(session.id, tmp_path / "b")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "c"), str(tmp_path / "b"), what, str(done)], check=False
    )
    assert ended.returncode == -9
    with llmspell.open(tmp_path / "c", create=False) as store:
        assert store.sessions.list().items == []
        assert store.stats()["last_seq"] == 1
        assert store.verify().ok
        assert store.sessions.import_(tmp_path / "b").entries == told.entries
        assert store.verify().ok


def test_a_large_session_streams(tmp_path):
    """More entries than fit on a page, and other tasks go on while it is taken in."""

    async def main():
        async with (
            await llmspell.open_async(tmp_path / "a", durability="process") as store,
            await llmspell.open_async(tmp_path / "b", durability="process") as other,
        ):
            session = await store.sessions.create("big")
            for start in range(0, 3000, 500):
                await session.state.set_many({f"k{number}": number for number in range(start, start + 500)})
            await store.sessions.export(session.id, tmp_path / "bundle")
            turns = 0
            work = asyncio.ensure_future(other.sessions.import_(tmp_path / "bundle"))
            while not work.done():
                await asyncio.sleep(0)
                turns += 1
            assert (await work).entries == 3001
            assert turns > 1
            assert len(await (await other.sessions.open(session.id)).state.keys()) == 3000
            assert (await other.verify()).ok

    asyncio.run(main())


def test_deleted_undeleted_and_erased_versions_and_quotas_travel(store, other, tmp_path):
    session = store.sessions.create("s")
    first = session.artifacts.put("a", b"first")
    session.artifacts.put("b", b"second")
    session.artifacts.delete("a")
    session.artifacts.undelete(first.id)
    session.artifacts.delete("b", hard=True)
    store.sessions.export(session.id, tmp_path / "b")
    other.sessions.import_(tmp_path / "b")
    there = other.sessions.open(session.id).artifacts
    assert [(one.name, one.id) for one in there.list()] == [("a", first.id)]
    assert there.get("a").read() == b"first"
    report = other.verify()
    assert report.ok, report.findings


def test_quotas_of_the_store_count_what_is_imported(store, other, tmp_path):
    session = filled(store)
    store.sessions.export(session.id, tmp_path / "b")
    other.artifacts.set_quota(total_bytes_max=1000)
    head = other.stats()["last_seq"]
    with pytest.raises(llmspell.LimitExceeded) as error:
        other.sessions.import_(tmp_path / "b")
    assert error.value.code == "store-quota-exceeded"
    assert other.stats()["last_seq"] == head
    other.artifacts.set_quota(total_bytes_max=1 << 20)
    other.sessions.import_(tmp_path / "b")
    report = other.verify()
    assert report.ok, report.findings


def test_captures_and_their_rules_travel_and_are_counted_on(store, other, tmp_path):
    session = store.sessions.create("s")
    session.captures.set_rules([{"name": "mine", "sources": ["tool"], "count_max": 2}])
    store.captures.set_rules([{"name": "all", "record_skips": True, "size_max": 3}])
    info = session.captures.offer("one", source="tool", name="n").artifact
    session.captures.offer("by the store's", source="user")
    session.captures.offer("two", source="user")
    with session:  # About the whole store, though it was set in the session.
        store.captures.set_rule({"name": "later"})
        store.artifacts.set_quota(total_bytes_max=1 << 20)
    store.sessions.export(session.id, tmp_path / "b")
    for target in (other, store):
        came = target.sessions.import_(tmp_path / "b", on_conflict="rename" if target is store else "fail")
        there = target.sessions.open(came.id)
        assert [rule.name for rule in there.captures.rules()] == ["mine"]
        counts = {(one.rule, one.owner): (one.captured, one.skipped) for one in there.captures.counts()}
        assert counts == {("mine", "session"): (1, 0), ("all", "store"): (1, 1)}
        assert there.captures.offer("two", source="tool", name="n").artifact.version == 2
        assert there.captures.offer("three", source="tool", name="n").reason == "capture-cap-reached"
        captured = there.timeline(kinds=["artifact.captured"]).items[0].data
        assert (captured["id"] == info.id) == (target is other)
        assert captured["owner"] == there.id
        report = target.verify()
        assert report.ok, report.findings
    assert other.captures.rules() == []


@pytest.mark.parametrize("how", ["fail", "skip", "rename", "replace"])
def test_a_dry_run_of_an_import_says_what_is_then_done_and_changes_nothing(store, other, bundle, how):
    _, path, _ = bundle
    asked = []
    for target in (other, store):
        target.hooks.on("before_session_import")(lambda context: asked.append(context.data["id"]))
        head = target.stats()["last_seq"]
        if target is store and how == "fail":
            with pytest.raises(AlreadyExists):
                target.sessions.import_(path, dry_run=True)
            continue
        plan = target.sessions.import_(path, on_conflict=how, dry_run=True)
        assert (target.stats()["last_seq"], asked, plan.dry_run) == (head, [], True)
        done = target.sessions.import_(path, on_conflict=how)
        told, did = plan.to_dict(), done.to_dict()
        if plan.outcome == "renamed":
            assert (told.pop("id"), plan.name) == ("", "Research (2)")
            did.pop("id")
        assert told == {**did, "dry_run": True}
        asked.clear()
    assert store.verify().ok


def test_a_dry_run_refuses_a_file_that_is_not_whole_and_a_key_that_is_wrong(store, other, bundle, tmp_path):
    session, path, _ = bundle
    whole = path.read_bytes()
    head = other.stats()["last_seq"]
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "bad").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(llmspell.LlmspellError):
            other.sessions.import_(tmp_path / "bad", dry_run=True)
    store.sessions.export(session.id, tmp_path / "sealed", key="a long passphrase")
    with pytest.raises(llmspell.WrongKey):
        other.sessions.import_(tmp_path / "sealed", dry_run=True, key="another passphrase")
    assert other.sessions.import_(tmp_path / "sealed", dry_run=True, key="a long passphrase").outcome == "imported"
    with pytest.raises(InvalidInput):
        other.sessions.import_(path, dry_run="yes")
    assert other.stats()["last_seq"] == head
