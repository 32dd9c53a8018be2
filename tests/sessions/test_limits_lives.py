"""A session that was deleted or replaced and came from a bundle again: only its present life counts."""

import pytest

import llmspell
from llmspell import SessionConfig, SessionLimits
from llmspell.errors import LimitExceeded
from llmspell.journal import terms
from llmspell.sync.drive import drive
from tests.sessions.conftest import core


def take_in(store, entries_max):
    """A step of the lagging index; gives what it took in."""
    return drive(core(store).journal.database.write(lambda tx: terms.step(tx, entries_max)))


def written(store, count=20, **limits):
    session = store.sessions.create("s", config=SessionConfig(limits=SessionLimits(**limits)))
    for number in range(count):
        session.state.set("k", number)
    return session


@pytest.fixture(params=["delete", "replace"])
def begin_anew(request):
    """Takes a bundle in where its session is, or was."""

    def begin(store, id_, bundle):
        if request.param == "delete":
            store.sessions.delete(id_)
        return store.sessions.import_(bundle, on_conflict="replace")

    return begin


@pytest.fixture
def store(tmp_path):
    with llmspell.open(tmp_path / "lives", durability="process") as opened:
        yield opened


@pytest.mark.parametrize("before", [0, 7, 1000], ids="indexed {}".format)
@pytest.mark.parametrize("after", [5, 1000], ids="steps of {}".format)
def test_only_the_present_life_counts_wherever_the_index_stands(store, tmp_path, begin_anew, before, after):
    session = written(store, operations=60)
    store.sessions.export(session.id, tmp_path / "b")
    if before:
        take_in(store, before)
    for _ in range(3):
        begin_anew(store, session.id, tmp_path / "b")
        found = store.sessions.get(session.id).operation_count
        assert found == 22  # What came in the bundle, and the entry that says so.
        assert store.verify().ok
    again = store.sessions.open(session.id)
    for number in range(38):
        again.state.set("k", number)
    with pytest.raises(LimitExceeded) as excinfo:
        again.state.set("k", "more")
    assert excinfo.value.details["found"] == 61
    while take_in(store, after):
        assert store.sessions.get(session.id).operation_count == 60
        assert store.verify().ok
    assert store.sessions.list().items[0].operation_count == 60
    assert store.verify().ok


def test_a_count_that_has_an_earlier_life_in_it_is_found_by_verify(store, tmp_path):
    session = written(store)
    store.sessions.export(session.id, tmp_path / "b")
    take_in(store, 1000)
    store.sessions.import_(tmp_path / "b", on_conflict="replace")
    take_in(store, 1000)
    assert store.verify().ok
    sql = "UPDATE session_activity SET entries = entries + 21 WHERE session = (SELECT max(session) FROM entry)"
    drive(core(store).journal.database.write(lambda tx: tx.run(sql)))
    assert not store.verify().ok
