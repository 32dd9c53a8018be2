"""Artifact, as scripts see it."""

import pytest

from llmspell.script.grants import Grants
from tests.script.running import failure, go, ran, value

STORE = "local a = Artifact.store('', 'tool_result', 'r.md', 'text', {tags = {'t'}, description = 'd', mine = {1}})\n"


def test_an_item_of_the_list_can_be_fetched_and_deleted():
    script = STORE + """
    local item = Artifact.list('')[1]
    local content = Artifact.get('', item.id).content
    return {content, Artifact.get(item.id).content, Artifact.get(item).content, Artifact.delete('', item.id),
      #Artifact.list()}
    """  # fmt: skip
    assert value(script) == ["text", "text", "text", 1, 0]


def test_an_artifact_is_found_by_each_of_its_names():
    script = STORE + """
    local here = Session.current()
    local bare = {content_hash = a.content_hash, session_id = a.session_id, sequence = a.sequence}
    return {Artifact.get(a).content, Artifact.get(a.id).content, Artifact.get('r.md').content,
      Artifact.get(here, a).content,
      Artifact.get(here, bare).content, Artifact.get(bare).content, Artifact.get(nil, 'r.md', {version = 1}).content,
      Artifact.get({name = 'r.md', version = 1}).content, Artifact.get('r.md', {version = 'latest'}).content}
    """  # fmt: skip
    assert value(script) == ["text"] * 9


def test_the_same_bytes_under_two_names_are_two_artifacts():
    script = """
    local a = Artifact.store('', 'data', 'a', 'same')
    local b = Artifact.store('', 'data', 'b', 'same')
    local ok, e = pcall(Artifact.get, {content_hash = a.content_hash, session_id = a.session_id, sequence = 1})
    return {a.id ~= b.id, a.content_hash == b.content_hash, Artifact.get(a).metadata.name,
      Artifact.get(b).metadata.name,
      e.code}
    """
    assert value(script) == [True, True, "a", "b", "ambiguous-name"]


def test_metadata_comes_back_as_it_was_given():
    found = value(STORE + "return Artifact.get(a).metadata")
    wanted = {"name": "r.md", "artifact_type": "tool_result", "type": "tool_result", "description": "d", "tags": ["t"],
              "custom": {"mine": [1]}, "mime_type": "text/markdown", "version": 1, "size": 4}  # fmt: skip
    assert wanted.items() <= found.items()


@pytest.mark.parametrize("kind", ["agent_output", "user_input", "my own kind"])
def test_a_type_comes_back_as_given(kind):
    assert (
        value(f"local a = Artifact.store('', '{kind}', 'x', 'y') return Artifact.get(a).metadata.artifact_type") == kind
    )


def test_binary_content_is_kept_byte_for_byte():
    script = """
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local content = table.concat(bytes)
    local a = Artifact.store('', 'data', 'b.bin', content)
    local back = Artifact.get(a)
    return {back.content == content, #back.content, back.metadata.size}
    """
    assert value(script) == [True, 256, 256]


def test_forms_with_fewer_arguments_mean_the_current_session():
    script = """
    Artifact.put('data', 'one', '1')
    Artifact.put{name = 'two', content = '2', type = 'code', tags = {'x'}, metadata = {k = 1}, description = 'about'}
    local two = Artifact.info('two')
    return {#Artifact.list(), two.type, two.tags, two.custom, two.description, Artifact.info('one').type}
    """
    assert value(script) == [2, "code", ["x"], {"k": 1}, "about", "data"]


def test_versions_labels_and_differences():
    script = """
    for i = 1, 3 do Artifact.store('', 'data', 'r.txt', 'line one\\nline ' .. i .. '\\n') end
    Artifact.tag_version('r.txt', 1, 'v1')
    local d = Artifact.diff('r.txt', 1, 3)
    local restored = Artifact.restoreVersion('r.txt', 'v1')
    local versions = Artifact.versions('r.txt')
    return {#versions, versions[4].version, restored.version, Artifact.get('r.txt', {version = 'v1'}).content,
      Artifact.get('r.txt').content, d.kind, #d.lines > 0}
    """
    assert value(script) == [4, 4, 4, "line one\nline 1\n", "line one\nline 1\n", "text", True]


def test_lineage_is_kept():
    script = """
    local a = Artifact.store('', 'data', 'a', '1')
    local b = Artifact.store('', 'data', 'b', '2', {parent_artifact = a})
    return {Artifact.get(b).metadata.parent_artifact == a.id, Artifact.get(b).metadata.derived_from[1] == a.id}
    """
    assert value(script) == [True, True]


def test_update_changes_descriptive_fields():
    script = STORE + "return Artifact.update(a, {tags = {'new'}, description = 'other'})"
    changed = value(script)
    assert (changed["tags"], changed["description"], changed["custom"]) == (["new"], "other", {"mine": [1]})


def test_delete_of_a_name_deletes_all_versions():
    script = "for i = 1, 3 do Artifact.store('', 'data', 'r', tostring(i)) end return Artifact.delete('r')"
    assert value(script) == 3
    assert failure("Artifact.delete('nothing')").code == "artifact-not-found"


def test_artifacts_of_another_session_are_reached_by_naming_it():
    script = """
    local other = Session.create{name = 'other'}
    local a = Artifact.store(other, 'data', 'r', 'there')
    local ok, e = pcall(Artifact.get, 'r')
    return {Artifact.get(other, 'r').content, #Artifact.list(other), #Artifact.list(), ok, e.code,
      a.session_id == other}
    """
    assert value(script) == ["there", 1, 0, False, "artifact-not-found", True]


def test_a_file_is_refused_by_name_unless_granted(tmp_path):
    (tmp_path / "note.txt").write_text("from disk")
    error = failure(f"Artifact.storeFile('', '{tmp_path}/note.txt', 'data')")
    assert error.code == "not-granted"
    assert "Artifact.store_file" in error.message


def test_a_granted_file_is_stored_under_its_name(tmp_path):
    (tmp_path / "note.txt").write_text("from disk")
    script = (
        f"local a = Artifact.store_file('', '{tmp_path}/note.txt', 'data', {{tags = {{'x'}}}}) "
        f"return {{a.name, Artifact.get(a).content}}"
    )
    assert value(script, grants=Grants((tmp_path,))) == ["note.txt", "from disk"]


def test_a_grant_ends_at_its_folder_whatever_leads_out(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("no")
    (inside / "link").symlink_to(outside / "secret")
    for path in (f"{inside}/../out/secret", f"{inside}/link"):
        assert failure(f"Artifact.store_file('{path}', 'data')", grants=Grants((inside,))).code == "not-granted"
    assert failure(f"Artifact.store_file('{inside}/none', 'data')", grants=Grants((inside,))).code == "file-not-found"


def test_metadata_of_a_wrong_type_is_refused_by_field():
    assert "metadata.tags is a list of texts" in failure("Artifact.store('', 'data', 'x', 'y', {tags = {1}})").message


def test_content_written_by_a_script_is_what_python_reads():
    async def work(store):
        outcome = await ran(store, "return Artifact.store('', 'data', 'r', 'ü\\0').id")
        return await (await store.artifacts.get(outcome.value)).read()

    assert go(work) == "ü\0".encode()


def test_a_list_longer_than_a_page_is_read_to_its_end():
    script = """
    for n = 1, 5 do Artifact.store('', 'data', 'a' .. n, 'x') Session.create{name = 's' .. n} end
    local function count(list, options)
      local seen, pages, page = {}, 0, {}
      repeat
        options.cursor = page.next_cursor
        page = list(options)
        pages = pages + 1
        for _, item in ipairs(page.items) do seen[item.id] = true end
      until not page.next_cursor
      local n = 0
      for _ in pairs(seen) do n = n + 1 end
      return {n, pages}
    end
    return {count(Artifact.list, {paged = true, limit = 2}), count(Session.list, {paged = true, limit = 4}),
      count(Session.timeline, {paged = true, limit = 3, kinds = 'artifact.stored'}), #Artifact.list{limit = 2}}
    """
    assert value(script) == [[5, 3], [6, 2], [5, 2], 2]


def test_what_a_script_deleted_comes_back_or_goes_for_good():
    script = STORE + """
    Artifact.put('data', 'big', string.rep('0123456789abcdef', 20000))
    local deleted = Artifact.delete('r.md')
    local back = Artifact.undelete('r.md')
    local again = Artifact.delete(a)
    local backAgain = Artifact.undelete(a)
    local soft = Artifact.delete('big')
    local kept = Artifact.collect().contents
    local hard = Artifact.delete('big', {hard = true})
    local estimate = Artifact.collect{dry_run = true}
    local report = Artifact.collect()
    local ok, e = pcall(Artifact.undelete, 'big', {version = 1})
    return {deleted, back, again, backAgain, soft, kept, hard, estimate.contents, report.contents, report.dry_run,
      Artifact.get('r.md').content, e.code}
    """  # fmt: skip
    assert value(script) == [1, 1, 1, 1, 1, 0, 1, 1, 1, False, "text", "artifact-erased"]
