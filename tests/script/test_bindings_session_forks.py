"""Forks and comparisons, as scripts make them."""

from tests.script.running import failure, value

WORLD = """
local origin = Session.create{name = 'origin', tags = {'a'}}
Session.state.set(origin, 'k', 1)
Session.checkpoint(origin, 'here')
Session.state.set(origin, 'k', 2)
"""


def test_a_script_forks_and_both_go_their_way():
    assert value(WORLD + """
    local fork = Session.fork(origin, {at = 'here', name = 'mine'})
    local now = Session.fork(origin)
    Session.state.set(fork, 'own', true)
    local info = Session.get(fork)
    return {Session.state.get(fork, 'k'), Session.state.get(now, 'k'), Session.state.get(origin, 'own') == nil,
      info.name, info.tags, info.forked_from == origin, Session.get(now).name}
    """) == [1, 2, True, "mine", ["a"], True, "origin (fork)"]  # fmt: skip


def test_a_script_compares():
    assert value(WORLD + """
    local fork = Session.fork(origin, {at = 'here', name = 'origin'})
    Session.state.set(fork, 'own', true)
    local found = Session.compare(origin, fork)
    local keys = {}
    for _, one in ipairs(found.state) do keys[one.key] = one.change end
    local page = Session.compare(origin, fork, {limit = 1})
    local rest = Session.compare(origin, fork, {limit = 1, cursor = page.next_cursor})
    return {found.identical, found.ancestor.session == origin, keys, page.state[1].key, rest.state[1].key,
      Session.compare(fork, fork).identical}
    """) == [False, True, {"k": "changed", "own": "added"}, "k", "own", True]  # fmt: skip


def test_what_cannot_be_forked_is_refused_with_a_code():
    assert failure("Session.fork('nobody')").code == "session-not-found"
    assert failure(WORLD + "Session.fork(origin, {at = 'no moment'})").code == "invalid-moment"
    assert failure(WORLD + "Session.fork(origin, {at = 0})").code == "invalid-seq"
