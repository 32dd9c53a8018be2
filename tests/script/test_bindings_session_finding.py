"""Finding sessions, as scripts do: filters, builders, counts, families, history."""

import pytest

from tests.script.running import failure, value

WORLD = """
local top = Session.create{name = 'top', tags = {'x'}, metadata = {user = {id = 7}}, description = 'bees in June'}
local a = Session.create{name = 'a', tags = {'x', 'y'}, parent = top}
local b = Session.create{name = 'b', parent = top, metadata = {n = 1.5}}
local c = Session.create{name = 'c', parent = a}
local function names(found)
  local all = array{}
  for _, info in ipairs(found) do all[#all + 1] = info.name end
  table.sort(all)
  return all
end
"""


def test_every_filter_of_list_and_query_is_asked_for():
    assert value(WORLD + """
    return {names(Session.list{metadata = {['user.id'] = 7}}), names(Session.query{custom_metadata = {n = 1.5}}),
      names(Session.query{text = 'JUNE bees'}), names(Session.list{search_text = 'nothing'}),
      names(Session.list{createdAfter = '2999-01-01'}), names(Session.list{updated_before = '2999-01-01', tags = 'y'}),
      names(Session.list{created_before = '2000-01-01'}), names(Session.list{updatedAfter = '2000-01-01', name = 'b'})}
    """) == [["top"], ["b"], ["top"], [], [], ["a"], [], ["b"]]  # fmt: skip


def test_a_query_is_built_in_both_styles():
    assert value(WORLD + """
    local first = Session.query_builder():with_tags('x'):with_metadata('user.id', 7):text('bees'):order_by('created_at')
    local second = Session.queryBuilder():withTags({'x', 'y'}):withParent(top):withStatus('active'):withName('a')
    local third = Session.query_builder():createdAfter('2000-01-01'):created_before('2999-01-01')
      :updated_after('2000-01-01'):updatedBefore('2999-01-01'):with_metadata{n = 1.5}
    local paged = Session.query_builder():tags('x'):orderBy('created_at'):limit(1):paged(true):execute()
    local rest = Session.query_builder():tags('x'):orderBy('created_at'):limit(1):cursor(paged.next_cursor):execute()
    return {names(first:execute()), names(second:execute()), names(third:execute()), names(paged.items), names(rest)}
    """) == [["top"], ["a"], ["b"], ["top"], ["a"]]  # fmt: skip


def test_several_statuses_ends_and_every_order_are_asked_for():
    assert value(WORLD + """
    Session.complete(a)
    Session.suspend(b)
    local function listed(options)
      local all = array{}
      for _, info in ipairs(Session.list(options)) do all[#all + 1] = info.name end
      return all
    end
    return {names(Session.list{status = {'completed', 'suspended'}}), Session.count{status = {'active'}}.number,
      names(Session.query_builder():with_status('completed', 'failed'):withStatus{'suspended'}:execute()),
      names(Session.query_builder():ended_after('2000-01-01'):endedBefore('2999-01-01'):execute()),
      listed{order_by = '-name', parent = top}, listed{order_by = '-ended_at', limit = 1},
      listed{sort_by = '-last_activity', parent = top, limit = 1}}
    """) == [["a", "b"], 3, ["a", "b"], ["a"], ["b", "a"], ["a"], ["b"]]  # fmt: skip


def test_a_session_is_built():
    assert value("""
    local parent = Session.builder():name('p'):build()
    local id = Session.builder():name('n'):description('d'):tags('a', 'b'):tags{'c'}:createdBy('me'):parent(parent)
      :metadata('x', 1):metadata{y = {2}}:config('deep', true):state('first', 'value'):create()
    local info = Session.get(id)
    return {info.name, info.description, info.tags, info.created_by, info.parent == parent, info.metadata,
      info.config, Session.state.get(id, 'first')}
    """) == ["n", "d", ["a", "b", "c"], "me", True, {"x": 1, "y": [2]}, {"deep": True}, "value"]  # fmt: skip


@pytest.mark.parametrize("call,code", [
    ("Session.query_builder():with_metadata('x')", "invalid-argument"),
    ("Session.query_builder().text('x')", "invalid-argument"),
    ("Session.query_builder():limit(nil)", "invalid-argument"),
    ("Session.query_builder():with_status('odd'):execute()", "invalid-status"),
    ("Session.query_builder():text('***'):execute()", "invalid-text-query"),
    ("Session.query_builder():limit('x'):execute()", "invalid-argument"),
    ("Session.list{text = ''}", "invalid-text-query"), ("Session.count{limit = 5}", "invalid-argument"),
    ("Session.children('nobody')", "session-not-found"), ("Session.tree('nobody')", "session-not-found"),
])  # fmt: skip
def test_what_means_nothing_is_refused(call, code):
    assert failure(call).code == code


def test_builders_cannot_be_changed():
    assert failure("Session.query_builder().text = nil").code == "read-only"


def test_families_counts_and_history():
    assert value(WORLD + """
    Session.update(a, {name = 'other', tags = {'y'}})
    local tree, history = Session.tree(top), Session.history(a)
    local before = {}
    for _, change in ipairs(history) do before[change.field] = change.before end
    return {names(Session.children(top)), names(Session.parents(c)), Session.count{tags = {'x'}}.number,
      Session.count({tags = 'x', exact = true}).text, tree.children[1].children[1].name, tree.cut,
      #tree.picture > 0, before, Session.recent(1)[1].name, Session.tree(top, {depth = 0}).cut,
      #Session.children(top), #Session.history(a, {before = 1})}
    """) == [
        ["b", "other"], ["other", "top"], 1, "1", "c", False, True, {"name": "a", "tags": ["x", "y"]}, "other", True,
        2, 0,
    ]  # fmt: skip


def test_a_deep_chain_is_cut_rather_than_refused():
    assert value("""
    local above, top = nil, nil
    for n = 1, 60 do above = Session.create{name = 'n' .. n, parent = above}; top = top or above end
    local depth, tree = 0, Session.tree(top)
    while #tree.children > 0 do depth, tree = depth + 1, tree.children[1] end
    return {depth, tree.cut}
    """) == [32, True]
