"""Session, as scripts see it."""

import pytest

from llmspell import SessionConfig, SessionLimits
from tests.script.running import failure, go, lua, ran, value


def test_everything_given_to_create_comes_back():
    script = """
    local parent = Session.create{name = 'parent'}
    local id = Session.create{name = 'n', description = 'd', tags = {'a', 'b'}, created_by = 'me', metadata = {x = {1}},
      parent_session_id = parent, config = {deep = {true}}, state = {first = 'value'}}
    local info = Session.get(id)
    info.parent_is_parent = info.parent_session_id == parent and info.parent == parent
    info.state = Session.state.get(id, 'first')
    return info
    """
    info = value(script)
    given = {"name": "n", "description": "d", "tags": ["a", "b"], "created_by": "me", "metadata": {"x": [1]},
             "custom_metadata": {"x": [1]}, "config": {"deep": [True]}, "status": "active",
               "state": "value"}  # fmt: skip
    assert given.items() <= info.items()
    assert info["parent_is_parent"]
    assert info["created_at"] <= info["updated_at"]


def test_a_field_without_a_value_is_left_out():
    assert value("local i = Session.get() return {i.parent_session_id == nil, i.ended_at == nil, i.reason == nil}") == [
        True, True, True,
    ]  # fmt: skip


def test_list_filters_by_each_condition():
    script = """
    local top = Session.create{name = 'top', tags = {'x'}}
    local a = Session.create{name = 'a', tags = {'x', 'y'}, created_by = 'ann', parent = top}
    local b = Session.create{name = 'b', tags = {'y'}}
    Session.complete(b)
    local function names(filter)
      local found = array{}
      for _, info in ipairs(Session.list(filter)) do found[#found + 1] = info.name end
      table.sort(found)
      return found
    end
    return {names{tags = {'x'}}, names{tags = {'x', 'y'}}, names{tags = 'y'}, names{status = 'completed'},
      names{created_by = 'ann'}, names{parent = top}, names{name = 'top'}, names{status = 'active', tags = {'y'}},
      names{limit = 1, order_by = 'created_at'}}
    """
    assert value(script, name="s.lua") == [
        ["a", "top"], ["a"], ["a", "b"], ["b"], ["a"], ["a"], ["top"], ["a"], ["s"],
    ]  # fmt: skip


def test_the_current_session_is_the_one_the_script_runs_in():
    outcome = lua("return {Session.getCurrent(), Session.get_current(), Session.current(), Session.get().id}")
    assert set(outcome.value) == {outcome.result.session_id}


def test_what_is_done_after_set_current_belongs_to_that_session():
    async def work(store):
        outcome = await ran(store, """
        local other = Session.create{name = 'other'}
        Session.setCurrent(other)
        State.set('k', 1)
        Artifact.store(nil, 'data', 'a.txt', 'x')
        Session.state.set('own', 2)
        local name = Session.get().name
        Session.set_current(nil)
        State.set('l', 2)
        return {other, name, Session.current(), Session.state.get(other, 'own')}
        """)  # fmt: skip
        other, name, current, own = outcome.value
        assert (name, current, own) == ("other", outcome.result.session_id, 2)
        there = [entry.kind for entry in (await store.timeline(session=other))]
        assert {"state.set", "artifact.stored"} <= set(there)
        kept = [
            entry.data["key"]
            for entry in outcome.entries
            if entry.kind == "state.set" and entry.session.hex() == current.replace("-", "")
        ]
        assert kept == ["l"]

    go(work)


@pytest.mark.parametrize("moves, status", [
    (["suspend"], "suspended"), (["suspend", "resume"], "active"), (["complete"], "completed"),
    (["complete", "archive"], "archived"), (["complete", "archive", "unarchive"], "completed"),
])  # fmt: skip
def test_a_session_moves_through_its_life(moves, status):
    steps = "".join(f"Session.{move}(id)\n" for move in moves)
    assert value(f"local id = Session.create{{name = 'n'}}\n{steps} return Session.get(id).status") == status


def test_an_illegal_step_names_from_and_to():
    script = (
        "local id = Session.create{} Session.complete(id) "
        "local ok, e = pcall(Session.suspend, id) return {e.code, e.message}"
    )
    code, message = value(script)
    assert code == "illegal-transition"
    assert "completed" in message
    assert "suspended" in message


def test_fail_keeps_its_reason_in_each_form():
    script = """
    local a, b = Session.create{}, Session.create{}
    Session.fail(a, 'disk full')
    Session.fail(b)
    return {Session.get(a).reason, Session.get(b).reason}
    """
    assert value(script) == ["disk full", "failed by the script"]


def test_fail_with_a_reason_alone_ends_the_scripts_own_session():
    async def work(store):
        outcome = await ran(store, "Session.fail('gave up') return 1")
        info = await store.sessions.get(outcome.result.session_id)
        return outcome.value, str(info.status), info.reason, outcome.result.session_status

    assert go(work) == (1, "failed", "gave up", "failed")


def test_update_changes_what_is_given_and_keeps_the_rest():
    script = """
    local id = Session.create{name = 'n', description = 'd', tags = {'a'}}
    Session.update(id, {tags = {'b'}, metadata = {k = 1}})
    Session.update{description = 'mine'}
    local i = Session.get(id)
    return {i.name, i.description, i.tags, i.metadata, Session.get().description}
    """
    assert value(script) == ["n", "d", ["b"], {"k": 1}, "mine"]


def test_delete_removes_it():
    script = "local id = Session.create{} Session.delete(id) local ok, e = pcall(Session.get, id) return e.code"
    assert value(script) == "session-not-found"


def test_delete_for_good_takes_also_what_a_deleted_session_left():
    script = """
    local id = Session.create{name = 'x'}
    Artifact.store(id, 'tool_result', 'a', 'text')
    Session.delete(id)
    Session.delete(id, {hard = true})
    local ok, e = pcall(Session.delete, id, {hard = true})
    local new = Session.create{name = 'y'}
    Session.delete('y', {hard = true})
    return {ok, e.code, select(2, pcall(Session.get, new)).code}
    """
    assert value(script) == [False, "session-not-found", "session-not-found"]


def test_checkpoints_bring_state_back():
    script = """
    Session.state.set('k', 'before')
    local seq = Session.checkpoint('mark')
    Session.state.set('k', 'after')
    local changed = Session.restore('mark')
    local list = Session.checkpoints()
    return {changed, Session.state.get('k'), #list, list[1].label, list[1].seq == seq, math.type(seq)}
    """
    assert value(script) == [1, "before", 1, "mark", True, "integer"]


def test_session_state_has_the_names_of_the_plan():
    script = """
    Session.state.set('a', 1) Session.set('b', 2)
    local keys = Session.list_keys()
    return {Session.state.get('a'), Session.state.has('b'), Session.has('c'), keys, Session.state.list_keys(),
      Session.state.delete('a'), Session.state.has('a'), State.get('session:' .. Session.current(), 'b')}
    """
    assert value(script) == [1, True, False, ["a", "b"], ["a", "b"], True, False, 2]


def test_timeline_is_told_by_kind_and_in_order():
    script = """
    State.set('k', 1) Event.publish('a.b')
    local all = Session.timeline()
    local some = Session.timeline{kinds = {'state.set'}}
    local one = Session.timeline(Session.current(), {kinds = 'event.published', limit = 1})
    return {all[1].kind, some[1].data.key, #some, one[1].data.type, all[1].seq < all[#all].seq}
    """
    assert value(script) == ["session.created", "k", 1, "a.b", True]


def test_a_session_is_named_by_its_unique_name_too():
    script = (
        "local id = Session.create{name = 'unique'} "
        "return Session.load('unique') == id and Session.get('unique').id == id"
    )
    assert value(script) is True
    assert failure("Session.load('nobody')").code == "session-not-found"


def test_save_marks_the_session_saved():
    outcome = lua("Session.save()")
    assert "session.saved" in outcome.kinds


def test_artifacts_of_the_current_session_have_short_forms():
    script = """
    local a = Session.saveArtifact('r.md', 'one', {type = 'agent_output', tags = {'t'}})
    Session.store_artifact('r.md', 'two')
    return {Session.loadArtifact('r.md'), Session.load_artifact('r.md', {version = 1}),
      #Session.listArtifacts(), a.version,
      Session.listArtifacts{all_versions = true}[1].tags}
    """
    assert value(script) == ["two", "one", 1, 1, ["t"]]


def test_limits_of_a_session_hold_in_a_script_that_runs_in_it():
    async def limited(store):
        config = SessionConfig(auto_save_changes=2, limits=SessionLimits(artifacts=1))
        await store.sessions.create("full", config=config)
        return await ran(store, LIMITED, session="full")

    outcome = go(limited)
    assert outcome.error is None, outcome.error
    assert outcome.value == ["session-artifacts-limit", "session-operations-limit", "session-operations-limit", 1]


LIMITED = """
local function code(...) local ok, e = pcall(...) return ok or e.code end
Artifact.store('data', 'a.md', 'one')
local artifacts = code(Artifact.store, 'data', 'b.md', 'two')
local other = Session.create{name = 'other', config = {limits = {operations = 1}}}
local named = code(Session.set, other, 'a', 1)
Session.set_current(other)
local current = code(State.set, 'a', 1)
Session.set_current()
return {artifacts, named, current, State.set('a', 1)}
"""


def test_what_a_script_changes_is_counted_for_saving_by_itself():
    async def counted(store):
        config = SessionConfig(auto_save_changes=3)
        session = await store.sessions.create("busy", config=config)
        async with store.events.subscribe("session.saved") as events:
            await ran(store, "for n = 1, 5 do State.set('k', n) end", session="busy")
            saved = await events.receive(timeout_s=30)
        return saved is not None and saved.data["id"] == session.id

    assert go(counted)
