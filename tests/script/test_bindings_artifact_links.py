"""Artifact.query, relate, grant and the like, as scripts see them."""

import llmspell
from llmspell.script.grants import Grants
from tests.script.running import failure, value

PUT = """
local a = Artifact.store('', 'data', 'a.md', 'one', {tags = {'t'}, description = 'about bees'})
local b = Artifact.store('', 'data', 'b.md', 'two', {derived_from = {a.id}})
"""


def test_what_a_query_finds_can_be_fetched_and_deleted():
    script = PUT + """
    local item = Artifact.query{text = 'bees', tags = {'t'}}[1]
    return {item.name, Artifact.get(item.id).content, #Artifact.query{}, Artifact.count{name = '*.md'}.number,
      Artifact.delete(item.id), #Artifact.query{text = 'bees'}}
    """  # fmt: skip
    assert value(script) == ["a.md", "one", 2, 2, 1, 0]


def test_relations_are_made_followed_and_ended():
    script = PUT + """
    local made = Artifact.relate('b.md', 'depends_on', a)
    local again = Artifact.relate(b, 'depends_on', a.id)
    local ok, e = pcall(Artifact.relate, a, 'derived_from', b)
    local up, down = Artifact.ancestors('b.md'), Artifact.descendants(a, {kind = 'derived_from'})
    return {made, again, e.code, up[1].name, down[1].name, #Artifact.lineage(b).edges,
      Artifact.unrelate(b, 'depends_on', a)}
    """  # fmt: skip
    assert value(script) == [True, False, "relation-cycle", "a.md", "b.md", 2, True]


def test_grants_are_given_to_sessions_and_hold_where_a_session_is_named():
    script = PUT + """
    local other = Session.create{name = 'other'}
    local ok, e = pcall(Artifact.get, other, a.id)
    Artifact.grant(a, other, 'read', {expires_in_s = 60})
    local content = Artifact.get(other, a.id).content
    local grants = Artifact.grants(a)
    return {e.code, content, #grants, grants[1].right, Artifact.revoke(a, other), #Artifact.grants(a)}
    """  # fmt: skip
    assert value(script) == ["artifact-denied", "one", 1, "read", 1, 0]


def test_history_and_names_are_changed_and_told():
    script = PUT + """
    Artifact.update(a, {description = 'new', mime_type = 'text/x-a'})
    local count = Artifact.rename('a.md', 'c.md')
    local steps = Artifact.history('c.md')
    return {count, steps[1].operation, steps[2].new.description, steps[3].operation}
    """  # fmt: skip
    assert value(script) == [1, "stored", "new", "renamed"]


def test_a_bundle_is_read_only_where_the_run_may_read(tmp_path):
    with llmspell.open(tmp_path / "other") as store:
        session = store.sessions.create("s")
        session.artifacts.put("x", "content")
        session.artifacts.export(tmp_path / "b.zip")
    script = f"local r = Artifact.import('{tmp_path}/b.zip') return {{#r.artifacts, Artifact.get('x').content}}"
    assert failure(script).code == "not-granted"
    assert value(script, grants=Grants(files=(tmp_path,))) == [1, "content"]
