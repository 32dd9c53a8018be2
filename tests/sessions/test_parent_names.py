"""A parent is named as any session is: by id, unique name, handle or info."""

import pytest

from llmspell import SessionQuery
from llmspell.errors import Conflict, InvalidInput, NotFound


@pytest.mark.parametrize("by", ["id", "name", "handle", "info"])
def test_a_parent_is_named_by(store, by):
    above = store.sessions.create("Above")
    given = {"id": above.id, "name": "Above", "handle": above, "info": above.info}[by]
    below = store.sessions.create("below", parent=given)
    assert below.info.parent == above.id
    assert [info.id for info in store.sessions.list(parent=given)] == [below.id]
    assert store.sessions.count(parent=given).number == 1
    assert SessionQuery().with_parent(given).count(store).number == 1


def test_a_parent_that_nobody_or_several_are_is_refused(store):
    for _ in range(2):
        store.sessions.create("twice")
    for ask in (
        lambda parent: store.sessions.create("x", parent=parent),
        lambda parent: store.sessions.list(parent=parent),
        lambda parent: store.sessions.count(parent=parent),
    ):
        with pytest.raises(NotFound) as excinfo:
            ask("nobody")
        assert excinfo.value.code == "session-not-found"
        with pytest.raises(Conflict) as ambiguous:
            ask("twice")
        assert ambiguous.value.code == "ambiguous-name"
        for wrong in (7, "", b"x", object()):
            with pytest.raises(InvalidInput):
                ask(wrong)
    with pytest.raises(InvalidInput):
        SessionQuery().with_parent(7)
    assert store.sessions.count().number == 2
