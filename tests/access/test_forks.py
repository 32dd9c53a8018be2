"""What a principal may do in a session says nothing of its forks, and the other way round."""

from llmspell.model.scope import Scope
from tests.access.conftest import A, denied


def test_a_fork_is_a_scope_of_its_own_to_be_granted(face, store):
    origin = store.sessions.create("origin", state={"k": "inherited"})
    fork = store.sessions.fork(origin.id)
    of_origin, of_fork = Scope.session(origin.id), Scope.session(fork.id)
    store.access.grant(A, of_origin, {"read"})
    handle = store.acting_as(A)
    assert handle.state_of(of_origin).get("k") == "inherited"
    denied(lambda: handle.state_of(of_fork).get("k"))
    store.access.revoke(A, of_origin)
    store.access.grant(A, of_fork, {"read", "write", "list"})
    origin.state.set("k", "later")
    for one in face.both(store):
        there = one.acting_as(A)
        assert there.state_of(of_fork).get("k") == "inherited"
        assert there.state_of(of_fork).items() == [("k", "inherited")]
        assert [change.value for change in there.state_of(of_fork).history("k")] == ["inherited"]
        denied(lambda there=there: there.state_of(of_origin).get("k"))
        denied(lambda there=there: there.state_of(of_fork).delete("k"))
    again = one.acting_as(A)
    again.state_of(of_fork).set("k", "mine")
    assert one.sessions.open(origin.id).state.get("k") == "later"
