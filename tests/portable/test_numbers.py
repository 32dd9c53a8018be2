"""What entries say of each other, and whose they are: numbers are of the store they came to, names of one session."""

import json

import pytest

from llmspell.portable.frames import ENTRIES
from tests.portable.conftest import filled, refused
from tests.portable.test_hostile import edited, read_all

ANOTHER = "01a1ffa3-9dfe-73bb-b169-270c6a8211aa"


def entries(store, session):
    return store.timeline(session=session.id, limit=500).items


def test_what_entries_say_of_each_other_they_say_of_those_here(store, other, tmp_path):
    session = store.sessions.create("s")
    session.state.set("a", 1)
    session.checkpoint("c")
    store.state.set("global", "is no part of it")
    between = store.stats()["last_seq"]
    session.state.set("a", 2)
    session.restore("c")
    session.state.set("a", 3)
    session.restore(between)
    store.sessions.export(session.id, tmp_path / "b")
    other.state.set("before", "so that numbers differ")
    other.sessions.import_(tmp_path / "b")

    here = {entry.id: entry for entry in entries(other, session)}
    seqs = {entry.seq: here[entry.id].seq for entry in entries(store, session)} | {0: 0}
    restored = []
    for entry in entries(store, session):
        found = here[entry.id]
        assert found.cause == seqs[entry.cause]
        assert found.data.get("previous") == seqs.get(entry.data.get("previous"))
        if entry.kind == "session.restored":
            restored.append(found.data["seq"])
    checkpoint = next(one.seq for one in here.values() if one.kind == "session.checkpointed")
    assert restored == [checkpoint] * 2, "what was the newest entry of the session then"
    assert other.verify().ok


@pytest.fixture
def full(store, tmp_path):
    """The bundle of a session with entries of all kinds, and its id."""
    session = filled(store)
    store.sessions.export(session.id, tmp_path / "full")
    return tmp_path / "full", session.id


def named(payload, session):
    """The fields of a payload that say whose it is."""
    return [name for name, value in payload.items() if value in (session, f"session:{session}")]


def test_an_entry_about_another_session_is_refused_whatever_its_kind(other, full):
    path, session = full
    places = {}
    for kind, text in read_all(path):
        for entry in json.loads(text) if kind == ENTRIES else ():
            for name in named(entry["payload"], session):
                places[entry["kind"], name] = True
    assert len({kind for kind, _ in places}) > 15
    for kind, name in places:

        def change(found, kind=kind, name=name):
            for entry in found:
                if entry["kind"] == kind and name in entry["payload"]:
                    entry["payload"][name] = entry["payload"][name].replace(session, ANOTHER)
                    return

        assert refused(other, edited(path, change)).code == "invalid-bundle", (kind, name)
