"""What an import that is over leaves behind: nothing that the next collect does not take, and nobody who holds it."""

import os

import pytest

from llmspell.artifacts.bundles import importing
from llmspell.errors import AlreadyExists, LimitExceeded, NotFound
from tests.portable.conftest import LARGE, filled


@pytest.fixture
def bundle(store, tmp_path):
    session = filled(store)
    path = tmp_path / "research.bundle"
    store.sessions.export(session.id, path)
    return path


@pytest.fixture
def archive(store, tmp_path):
    artifacts = store.sessions.create("s").artifacts
    for number in range(5):
        artifacts.put(f"small {number}", f"content {number}")
    artifacts.put("large", LARGE)
    artifacts.put("empty", b"")
    artifacts.export(tmp_path / "archive.zip")
    return tmp_path / "archive.zip"


def contents(store):
    stats = store.stats()
    return stats["blobs"], stats["chunks"]


def test_a_collect_after_an_import_of_a_session_knows_that_no_put_is_in_progress(other, bundle):
    other.sessions.import_(bundle)
    assert not other.orphans().in_progress


def test_content_of_a_session_that_was_refused_at_last_is_collected(other, bundle):
    before = contents(other)
    other.artifacts.set_quota(total_bytes_max=1000)
    with pytest.raises(LimitExceeded):
        other.sessions.import_(bundle)
    other.collect()
    assert contents(other) == before
    assert not other.orphans().in_progress


@pytest.mark.parametrize("held", [0, 12, 1 << 20])
def test_small_content_of_artifacts_that_were_refused_is_collected(other, archive, monkeypatch, held):
    monkeypatch.setattr(importing, "INLINE_BYTES_MAX", held)
    taken = other.sessions.create("t").artifacts
    taken.put("small 4", "mine")
    before = contents(other)
    with pytest.raises(AlreadyExists):
        taken.import_(archive)
    other.collect()
    assert contents(other) == before


@pytest.mark.parametrize("held", [0, 12])
def test_small_content_comes_in_whole_however_much_of_it_there_is(face, other, archive, tmp_path, monkeypatch, held):
    monkeypatch.setattr(importing, "INLINE_BYTES_MAX", held)
    session = other.sessions.create("t")
    session.artifacts.import_(archive)
    other.close()
    again = face._open(tmp_path / "other", durability="process", clock=face.clock)
    there = again.sessions.open(session.id).artifacts
    assert [there.get(f"small {number}").text() for number in range(5)] == [f"content {n}" for n in range(5)]
    assert there.get("large").read() == LARGE
    assert there.get("empty").read() == b""
    assert there.put("again", "content 4").size == 9
    report = again.verify()
    again.close()
    assert report.ok, report.findings


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="it takes a pipe with a name")
@pytest.mark.parametrize("room", ["sessions", "artifacts"])
def test_a_pipe_that_nobody_writes_to_is_no_bundle_and_holds_nobody(other, tmp_path, room):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    importing = other.sessions if room == "sessions" else other.sessions.create("s").artifacts
    for path in (pipe, tmp_path, "/dev/null", tmp_path / "none", tmp_path / "none" / "below"):
        with pytest.raises(NotFound) as refused:
            importing.import_(path)
        assert refused.value.code == "file-not-found"
