"""A session with everything in it, a second store to bring it to, and what a refused import must leave behind."""

import random

import pytest

import llmspell
from tests.rooms.conftest import FACES


@pytest.fixture(autouse=True)
def keys(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("keys") / "keys"
    monkeypatch.setenv("LLMSPELL_KEYS", str(folder))
    return folder


@pytest.fixture(params=sorted(FACES))
def face(request, tmp_path):
    made = FACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(face):
    return face.open()


@pytest.fixture
def other(face, tmp_path):
    """Another store, empty."""
    made = face._open(tmp_path / "other", durability="process", clock=face.clock)
    yield made
    made.close()


LARGE = random.Random(1).randbytes(300_000)


def filled(store, name="Research"):
    """A completed session with history, checkpoints, versions, labels, an event, and something about other things."""
    session = store.sessions.create(
        name, description="d", tags=["a", "b"], created_by="me", metadata={"u": 1}, config={"c": True}, state={"k": 1}
    )
    for number in range(5):
        session.state.set("n", {"i": number, "text": "x" * number * 600})
    session.state.set("gone", "soon")
    session.checkpoint("half way")
    session.state.delete("gone")
    session.state.set("n", "later")
    session.artifacts.put("r.md", b"one", tags=["t"])
    second = session.artifacts.put("r.md", LARGE, description="second")
    session.artifacts.put("empty", b"", derived_from=[second.id])
    session.artifacts.tag_version("r.md", 1, "v1")
    session.artifacts.update("r.md", description="changed")
    session.artifacts.put("doomed", b"doomed")
    session.artifacts.delete("doomed")
    session.artifacts.relate("empty", "depends_on", "r.md")
    session.artifacts.relate("empty", "version_of", "r.md")
    session.artifacts.unrelate("empty", "version_of", "r.md")
    session.artifacts.put("draft", b"draft")
    session.artifacts.rename("draft", "final")
    session.artifacts.update("final", mime_type="text/x-final")
    session.events.publish("step.done", {"n": 1})
    with session:
        store.state.set("global", 1)
    session.suspend()
    session.resume()
    session.save()
    session.complete()
    session.archive()
    session.unarchive()
    return session


def looks(store, session_id):
    """Everything that can be read of a session, to be compared between stores."""
    session = store.sessions.open(session_id)
    # What else was done in the session stays behind, so it counts fewer entries.
    info = {name: value for name, value in session.info.to_dict().items() if name != "operation_count"}
    return {
        "info": info,
        "state": session.state.items(),
        "history": [(one.value, one.version, one.operation, one.time) for one in session.state.history("n")],
        "versions": [one.to_dict() | {"stored_size": 0} for one in session.artifacts.list(all_versions=True)],
        "content": [session.artifacts.get("r.md", version=number).read() for number in (1, 2)],
        "labels": session.artifacts.labels("r.md"),
        "checkpoints": [(one.label, one.state_hash, one.time) for one in session.checkpoints()],
    }


def refused(store, path, error=llmspell.Corrupt, **options):
    """The error of an import that must change nothing."""
    before = store.stats()
    with pytest.raises(error) as caught:
        store.sessions.import_(path, **options)
    after = store.stats()
    assert after == before
    return caught.value
