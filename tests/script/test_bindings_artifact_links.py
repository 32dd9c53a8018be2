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


def test_sessions_and_artifacts_are_asked_for_in_the_same_words():
    script = """
    local fields = {user = {id = 7}, kinds = {'a', 'b'}}
    local found = {}
    Artifact.store(Session.create{name = 'S', description = 'about bees', tags = {'t'}, metadata = fields},
      'data', 'S', 'one', {description = 'about bees', tags = {'t'}, user = {id = 7}, kinds = {'a', 'b'}})
    for _, asked in ipairs{
      {search_text = '"about be"*', tag = 't'}, {text = 'BEES abo*', custom_metadata = {['user.id'] = 7}},
      {metadata = {kinds = 'b'}, updated_after = '2020-01-01', sort_by = '-created_at'}, {text = '"bees about"'},
    } do
      found[#found + 1] = #Artifact.query(asked) .. #Session.list(asked)
    end
    for _, asked in ipairs{{text = '*'}, {created_after = 'soon'}, {order_by = 'colour'}} do
      local _, one = pcall(Artifact.query, asked)
      local _, other = pcall(Session.list, asked)
      found[#found + 1] = one.code == other.code and one.code
    end
    found[#found + 1] = Artifact.count{text = 'bees'}.text .. Session.count{text = 'bees'}.text
    return found
    """
    codes = ["invalid-text-query", "invalid-time", "invalid-order"]
    assert value(script) == ["11", "11", "11", "00", *codes, "11"]


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


def test_grants_of_what_never_was_are_refused_by_name():
    script = (
        PUT
        + """
    local other = Session.create{name = 'other'}
    local _, read = pcall(Artifact.grants, 'c.md')
    local _, revoked = pcall(Artifact.revoke, 'c.md', other)
    return {read.code, revoked.code, #Artifact.grants('a.md'), Artifact.revoke('a.md', other)}
    """
    )
    assert value(script) == ["artifact-not-found", "artifact-not-found", 0, 0]


def test_a_session_that_is_named_does_only_what_it_was_granted_however_the_artifact_is_named():
    script = PUT + """
    local other = Session.create{name = 'other'}
    local hash = {content_hash = a.content_hash, session_id = a.session_id}
    local function code(...) local ok, e = pcall(...) return ok or e.code end
    local denied = {code(Artifact.get, other, a), code(Artifact.get, other, hash), code(Artifact.info, other, hash),
      code(Artifact.delete, other, a), code(Artifact.undelete, other, a),
      code(Artifact.delete, other, a, {hard = true})}
    Artifact.grant(a, other, 'read')
    local read = {code(Artifact.get, other, a), code(Artifact.get, other, hash)}
    local change = {code(Artifact.update, other, a.id, {description = 'mine'}), code(Artifact.delete, other, hash)}
    return {denied, read, change, Artifact.info(a).description}
    """  # fmt: skip
    denied = "artifact-denied"
    assert value(script) == [[denied] * 6, [True, True], [denied] * 2, "about bees"]


def test_a_fork_that_is_named_changes_what_is_its_own_and_not_its_origin():
    script = PUT + """
    local fork = Session.fork()
    Artifact.update(fork, 'a.md', {description = 'mine'})
    Artifact.delete(fork, 'b.md', {version = 1})
    local gone = {#Artifact.list(fork), #Artifact.list()}
    Artifact.undelete(fork, b)
    Artifact.delete(fork, Artifact.info(fork, 'a.md'))
    return {gone, Artifact.info('a.md').description, Artifact.list(fork)[1].name, #Artifact.list()}
    """  # fmt: skip
    assert value(script) == [[1, 2], "about bees", "b.md", 2]


def test_an_empty_session_is_the_current_one_of_a_query():
    script = PUT + """
    Artifact.store(Session.create{name = 'other'}, 'data', 'c.md', 'x')
    return {#Artifact.query{}, #Artifact.query{session = ''}, Artifact.count{session = ''}.number}
    """  # fmt: skip
    assert value(script) == [3, 2, 2]


def test_a_query_takes_the_conditions_by_the_names_that_other_versions_have():
    script = (
        PUT
        + """
    local query = {session_id = Session.get_current(), type = 'data', name_pattern = 'a*', tags = {'t'}, min_size = 1,
      max_size = 9, created_after = '2000-01-01T00:00:00Z', created_before = '2100-01-01T00:00:00Z', limit = 5}
    query.sessionId, query.session_id = query.session_id, nil
    local camel = Artifact.query(query)[1].id
    query.session_id, query.sessionId = query.sessionId, nil
    return {camel == a.id, Artifact.query(query)[1].id == a.id}
    """
    )
    assert value(script) == [True, True]


def test_history_and_names_are_changed_and_told():
    script = PUT + """
    Artifact.update(a, {description = 'new', mime_type = 'text/x-a'})
    local count = Artifact.rename('a.md', 'c.md')
    local steps = Artifact.history('c.md')
    return {count, steps[1].operation, steps[2].new.description, steps[3].operation}
    """  # fmt: skip
    assert value(script) == [1, "stored", "new", "renamed"]


def test_names_change_and_histories_are_told_in_other_sessions_and_after_a_delete():
    script = """
    local other = Session.create{name = 'other'}
    Artifact.store(other, 'data', 'a', '1', {})
    local count = Artifact.rename(other, 'a', 'b')
    local id = Artifact.info(other, 'b').id
    Artifact.delete(id)
    return {count, #Artifact.history(id), Artifact.history{id = id}[3].operation}
    """
    assert value(script) == [1, 3, "deleted"]


def test_a_bundle_comes_into_the_session_that_is_named(tmp_path):
    with llmspell.open(tmp_path / "other") as store:
        session = store.sessions.create("s")
        session.artifacts.put("x", "content")
        session.artifacts.export(tmp_path / "b.zip")
    script = f"""
    local other = Session.create{{name = 'other'}}
    local r = Artifact.import(other, '{tmp_path}/b.zip', {{on_conflict = 'skip'}})
    return {{#r.artifacts, Artifact.get(other, 'x').content, #Artifact.list()}}
    """
    assert value(script, grants=Grants(files=(tmp_path,))) == [1, "content", 0]


def test_a_session_in_the_place_of_the_type_is_refused():
    """Three texts are type, name and content; with the session before them there are metadata, too."""
    refused = failure("local s = Session.create{name = 'other'} Artifact.store(s, 'a.txt', 'hello')")
    assert refused.code == "invalid-name"
    assert "type" in refused.message


def test_a_bundle_is_read_only_where_the_run_may_read(tmp_path):
    with llmspell.open(tmp_path / "other") as store:
        session = store.sessions.create("s")
        session.artifacts.put("x", "content")
        session.artifacts.export(tmp_path / "b.zip")
    script = f"local r = Artifact.import('{tmp_path}/b.zip') return {{#r.artifacts, Artifact.get('x').content}}"
    assert failure(script).code == "not-granted"
    assert value(script, grants=Grants(files=(tmp_path,))) == [1, "content"]
