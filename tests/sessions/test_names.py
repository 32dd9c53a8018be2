"""A session is named by its id or its unique name, also where a name looks like an id."""

import uuid

import pytest

from llmspell.errors import NotFound

THREAD = uuid.UUID("7edddc98-5fb9-4c60-85b3-a506fe0466db")


@pytest.mark.parametrize("name", [str(THREAD), THREAD.hex, THREAD.urn, f"{{{THREAD}}}", str(THREAD).upper()])
def test_a_name_that_looks_like_an_id_is_a_name(face, store, name):
    session = store.sessions.create(name)
    for opened in face.both(store):
        assert opened.sessions.get(name).id == session.id
        assert opened.sessions.open(name).info.name == name
        below = opened.sessions.create("below", parent=name)
        assert [info.id for info in opened.sessions.list(parent=name)] == [below.id]
        opened.sessions.delete(below.id)
        with pytest.raises(NotFound):
            opened.sessions.get(str(uuid.UUID(int=7)))


def test_an_id_never_means_another_session_that_is_named_by_it(store):
    mine = store.sessions.create("mine")
    other = store.sessions.create(mine.id)
    assert store.sessions.get(mine.id).name == "mine"
    assert store.sessions.get(other.id).name == mine.id
    store.sessions.delete(mine.id)
    for ask in (store.sessions.get, store.sessions.delete, store.sessions.fork):
        with pytest.raises(NotFound):
            ask(mine.id)
    assert store.sessions.get(other.id).status == "active"


def test_the_id_of_a_shredded_session_stays_its_own(store):
    mine = store.sessions.create("mine")
    mine.complete()
    store.sessions.shred(mine.id)
    other = store.sessions.create(mine.id)
    other.complete()
    assert store.sessions.shred(mine.id).id == mine.id
    with pytest.raises(NotFound) as gone:
        store.sessions.get(mine.id)
    assert gone.value.code == "erased"
    assert store.sessions.get(other.id).status == "completed"
