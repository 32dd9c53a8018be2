"""Changes of state name artifacts: the one is found by the other, after a restart and whatever became of them."""

import pytest

from llmspell.errors import InvalidInput, LimitExceeded, NotFound
from llmspell.model.scope import Scope
from tests.rooms.conftest import FACES

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(params=sorted(FACES))
def face(request, tmp_path):
    made = FACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(face):
    return face.open()


def test_changes_are_found_by_artifact_and_artifacts_by_change(face, store):
    session = store.sessions.create("s")
    one, other = (session.artifacts.put(name, name) for name in ("a.txt", "b.txt"))
    store.state.set("k", 1, artifacts=[one.id, other.id, one.id.upper()])
    session.state.set("x", 2, artifacts=[one.id])
    store.state.set("k", 3)
    store.state.set("p", "secret", state_class="sensitive", artifacts=[other.id])
    for opened in face.both(store):
        found = opened.changes_of(one.id)
        assert [(change.scope, change.key, change.value) for change in found] == [
            (f"session:{session.id}", "x", 2), ("global", "k", 1),
        ]  # fmt: skip
        assert found[1].artifacts == (one.id, other.id)
        assert opened.changes_of(one.id, limit=1) == found[:1]
        assert opened.changes_of(one.id, before=found[0].seq) == found[1:]
        assert [change.value for change in opened.changes_of(other.id)] == ["secret", 1]
        assert [change.artifacts for change in opened.state.history("k")] == [(), (one.id, other.id)]
        assert opened.changes_of(NOBODY) == []
        assert opened.verify().ok
    store = face.reopen()
    store.sessions.delete(session.id)
    assert len(store.changes_of(one.id)) == 2
    with pytest.raises(NotFound):
        store.state.set("k", 4, artifacts=[one.id])


@pytest.mark.parametrize("artifacts,error", [
    ([NOBODY], NotFound), (["a.txt"], InvalidInput), (NOBODY, InvalidInput), (5, InvalidInput), ([None], InvalidInput),
    ([f"00000000-0000-7000-8000-{n:012}" for n in range(300)], LimitExceeded),
])  # fmt: skip
def test_what_is_no_artifact_is_refused_and_nothing_is_written(store, artifacts, error):
    with pytest.raises(error):
        store.state.set("k", 1, artifacts=artifacts)
    assert not store.state.exists("k")


def test_an_ephemeral_value_is_in_no_entry_that_could_name_artifacts(store):
    made = store.sessions.create("s").artifacts.put("a.txt", "a")
    with pytest.raises(InvalidInput):
        store.state_of(Scope.agent("a")).set("k", 1, state_class="ephemeral", artifacts=[made.id])
