"""Artifact.put_many, quotas, labels and the like from Lua, and what is left of each after a restart."""

import asyncio

import pytest

import llmspell
from tests.script.running import failure, ran, value

PUT = """
local here = Session.current()
local done = Artifact.put_many{{name = 'a.md', content = 'one', tags = {'t'}, mine = nil},
  {name = 'b.md', content = 'two', type = 'code', metadata = {n = 1}}, {name = '', content = 'x'}}
"""


def after(tmp_path, source, look, **options):
    """The value of a script, and what ``look(store)`` sees when the store is opened again."""

    async def run():
        async with await llmspell.open_async(tmp_path / "s", durability="process") as store:
            outcome = await ran(store, source, **options)
            assert outcome.error is None, outcome.error
            return outcome.value

    found = asyncio.run(run())
    with llmspell.open(tmp_path / "s") as store:
        seen = look(store)
        assert store.verify().ok
    return found, seen


def test_many_are_put_and_had_again_and_one_that_fails_keeps_no_other(tmp_path):
    script = PUT.replace("{name = '', content = 'x'}", "{name = 'x/../y', content = 'x'}").replace(", mine = nil", "")
    script += """
    local got = Artifact.getMany{'a.md', done.items[2].artifact, 'none'}
    return {done.ok, done.done, done.failed, done.items[2].artifact.name, done.items[3].error.code, got.failed,
      got.items[1].content, got.items[2].artifact.artifact_type, got.items[3].error.code, got.items[3].index,
      #Artifact.put_many{}.items, Artifact.load_many(here, {'a.md'}).items[1].content}
    """
    found, seen = after(tmp_path, script, lambda store: [
        (info.name, info.type, info.tags, info.metadata, store.artifacts.get(info.id).text())
        for info in store.artifacts.query(order_by="name")
    ])  # fmt: skip
    assert found[:4] == [False, 2, 1, "b.md"]
    assert found[4] == "invalid-name"
    assert found[5:] == [1, "one", "code", "artifact-not-found", 3, 0, "one"]
    assert seen == [("a.md", "data", ["t"], {}, "one"), ("b.md", "code", [], {"n": 1}, "two")]


def test_long_and_binary_content_of_many_comes_as_it_is(tmp_path):
    script = """
    Artifact.put_many{{name = 'long', content = ('x'):rep(5000)}, {name = 'bytes', content = '\\255\\0'}}
    local got = Artifact.get_many{'long', 'bytes'}
    return {#got.items[1].content, got.items[2].content == '\\255\\0', got.ok}
    """
    assert value(script) == [5000, True, True]


def test_labels_and_what_is_deleted_are_listed(tmp_path):
    script = """
    Artifact.store('data', 'a.md', 'one') Artifact.store('data', 'a.md', 'two') Artifact.store('data', 'b.md', 'x')
    Artifact.tag_version('a.md', 1, 'approved')
    local labels = Artifact.labels('a.md')
    Artifact.delete('b.md')
    local other = Session.create{name = 'other'}
    Artifact.store(other, 'data', 'c.md', 'y')
    Artifact.delete(other, 'c.md')
    return {labels.approved, Artifact.listLabels(Session.current(), 'a.md').approved, #Artifact.deleted(),
      Artifact.deleted{session = ''}[1].name, Artifact.deleted{session = other}[1].name,
      Artifact.list_deleted{name = 'c*'}[1].name, #Artifact.deleted{session = 'other', name = 'b*'}}
    """
    found, seen = after(tmp_path, script, lambda store: sorted(info.name for info in store.artifacts.deleted()))
    assert found == [1, 1, 2, "b.md", "c.md", "c.md", 0]
    assert seen == ["b.md", "c.md"]
    assert value("return next(Artifact.labels('none')) == nil") is True


def test_what_matches_is_deleted_and_a_dry_run_only_counts(tmp_path):
    script = """
    for n = 1, 5 do Artifact.store{name = n .. '.txt', content = 'x', tags = {n > 2 and 'high' or 'low'}} end
    local plan = Artifact.delete_matching{tags = {'high'}, dry_run = true}
    local there = #Artifact.list()
    return {plan, there, Artifact.deleteMatching{tags = {'high'}, session = ''}, #Artifact.list(),
      Artifact.delete_matching{name = '*', deleted = true, hard = true}, Artifact.orphans().content_count}
    """
    found, seen = after(tmp_path, script, lambda store: (
        sorted(info.name for info in store.artifacts.query()), store.artifacts.deleted()
    ))  # fmt: skip
    assert found == [3, 5, 3, 2, 3, 0]
    assert seen == (["1.txt", "2.txt"], [])
    assert failure("Artifact.delete_matching{}").code == "nothing-selected"


def test_a_tree_is_deleted_whole(tmp_path):
    script = """
    local a = Artifact.store('data', 'a', '1')
    local b = Artifact.store{name = 'b', content = '2', derived_from = {a.id}}
    Artifact.store{name = 'c', content = '3', derived_from = {b.id}}
    Artifact.store('data', 'd', '4')
    return {Artifact.delete_tree(a, {kind = 'derived_from', dry_run = true}), #Artifact.list(),
      Artifact.deleteTree('a', {kind = 'derived_from'}), #Artifact.list()}
    """
    found, seen = after(tmp_path, script, lambda store: [info.name for info in store.artifacts.query()])
    assert found == [3, 4, 3, 1]
    assert seen == ["d"]


def test_quotas_hold_for_a_session_and_for_the_store(tmp_path):
    script = """
    local none = Artifact.quota{session = ''}
    local set = Artifact.set_quota{session = '', versions_max = 1}
    Artifact.setQuota{total_bytes_max = 100}
    Artifact.store('data', 'a', 'xx')
    local _, e = pcall(Artifact.store, 'data', 'b', 'x')
    return {none.versions_max == nil, set.versions_max, Artifact.get_quota{session = ''}.used_bytes,
      Artifact.quota().total_bytes_max, e.code}
    """
    found, seen = after(tmp_path, script, lambda store: (
        store.artifacts.quota().total_bytes_max,
        store.sessions.open(store.sessions.list().items[0].id).artifacts.quota().versions_max,
    ))  # fmt: skip
    assert found == [True, 1, 2, 100, "session-quota-exceeded"]
    assert seen == (100, 1)
    assert failure("Artifact.set_quota{versions_max = -1}").code == "invalid-quota"


def test_what_was_granted_and_the_audit_are_read(tmp_path):
    script = """
    local a = Artifact.store('data', 'a.md', 'one')
    local other = Session.create{name = 'other'}
    Artifact.grant('a.md', other, 'read')
    Artifact.get(other, a.id)
    pcall(Artifact.delete, other, a.id)
    local granted = Artifact.granted(other)
    local page = Artifact.audit('a.md', {limit = 1, paged = true})
    Artifact.delete('a.md', {hard = true})
    local audit = Artifact.audit(a)
    return {#granted, granted[1].name, granted[1].right, #Artifact.listGranted(), audit[#audit].action,
      #page.items, page.next_cursor ~= nil, audit[#audit].grantee == other}
    """
    found, seen = after(tmp_path, script, lambda store: {
        one.action for info in store.artifacts.deleted() for one in store.artifacts.audit(info.id)
    })  # fmt: skip
    assert found == [1, "a.md", "read", 0, "granted", 1, True, True]
    assert seen <= {"granted", "used", "denied"}


def test_orphans_are_those_that_a_collect_takes(tmp_path):
    script = """
    Artifact.store('data', 'a', 'gone')
    Artifact.delete('a', {hard = true})
    local before = Artifact.orphans().content_count
    Artifact.collect()
    return {before, Artifact.listOrphans().content_count}
    """
    found, seen = after(tmp_path, script, lambda store: store.orphans().content_count)
    assert (found, seen) == ([1, 0], 0)


@pytest.mark.parametrize("call, said", [
    ("Artifact.put_many{{name = 'a'}}", "argument 1 (items[1]): the field 'content' is missing"),
    ("Artifact.put_many{{name = 'a', content = 'x'}, {name = 'b', content = 5}}", "items[2].content"),
    ("Artifact.put_many('a')", "expected a list"),
    ("Artifact.get_many{'a', 5}", "artifacts[2]"),
    ("Artifact.delete_matching{fuzzy = 'a'}", "no option 'fuzzy'"),
])  # fmt: skip
def test_a_wrong_item_is_named_with_its_place(call, said):
    error = failure(call)
    assert error.code == "invalid-argument"
    assert said in error.message, error.message
