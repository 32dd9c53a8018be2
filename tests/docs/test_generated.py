"""The pages that are written from the code are what the code says."""

import pytest

import llmspell
from llmspell import Scope
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Rename
from llmspell.model.names import POINT_NAMES
from tools.make_docs import MARKED, TRIGGERED, Codes, raised_codes, wanted

pytestmark = pytest.mark.docs


def test_every_generated_page_and_table_is_current():
    stale = [path.name for path, text in wanted().items() if path.read_text("utf-8") != text]
    assert not stale, "run python tools/make_docs.py"


def test_a_table_in_a_page_by_hand_is_found_stale():
    page = "before\n<!-- generated: hook_results -->\nold\n<!-- end -->\nafter"
    assert [found[2] for found in MARKED.finditer(page)] == ["hook_results"]
    assert "old" not in MARKED.sub(lambda found: found[1] + found[3], page)


def test_codes_are_found_by_keyword_in_tables_and_through_functions():
    import ast

    source = (
        'A = "by-constant"\n'
        'raise NotFound("x", code="by-keyword")\n'
        'ROW = (StorageFailed, A, "found", "do")\n'
        'def refuse(what, code="by-default"):\n    raise InvalidInput(what, code=code)\n'
        'refuse("x", "by-position")\n'
    )
    assert set(Codes(ast.parse(source)).found()) == {
        ("by-constant", "StorageFailed"),
        ("by-keyword", "NotFound"),
        ("by-default", "InvalidInput"),
        ("by-position", "InvalidInput"),
    }


@pytest.mark.parametrize("code", ["invalid-key", "disk-full", "invalid-event-type", "read-only-after-failure"])
def test_the_page_of_errors_knows_codes_made_in_every_way(code):
    assert code in {one for one, _ in raised_codes()}


def test_the_points_called_triggered_are_those_that_fire(tmp_path):
    fired = set()
    with llmspell.open(tmp_path / "store") as store:
        for point in POINT_NAMES:
            store.hooks.register(point, lambda context: fired.add(context.point))
        _do_everything(store)
        _do_more(store, tmp_path / "session.bundle")
    assert fired == TRIGGERED


def _do_everything(store):
    state, other = store.state, store.state_of(Scope.custom("other"))
    state.set("a", 1)
    state.get("a")
    with pytest.raises(llmspell.Conflict):
        state.set("a", 2, if_version=7)
    state.copy_to(Scope.custom("other"))
    other.move_to(Scope.custom("third"))
    state.delete("a")
    state.clear()
    session = store.sessions.create("one")
    session.update(name="two")
    session.suspend()
    session.resume()
    session.checkpoint("here")
    session.restore("here")
    session.save()
    session.artifacts.put("a.txt", "text")
    session.artifacts.get("a.txt")
    session.artifacts.update("a.txt", tags=["t"])
    session.artifacts.delete("a.txt")
    session.events.publish("data.ready")
    store.agents.save(llmspell.AgentState("a"))
    store.agents.append("a", "user", "hi")
    store.agents.delete("a")
    session.fail("for a test")
    session.resume()
    session.complete()
    session.archive()
    session.unarchive()
    store.sessions.open(session.id)
    store.sessions.delete(session.id)


def _do_more(store, bundle):
    session = store.sessions.create("three")
    session.artifacts.put("a.txt", "text")
    session.artifacts.delete("a.txt")
    session.artifacts.undelete("a.txt")
    session.captures.offer("said", source="agent", record=True)
    store.sessions.fork(session.id)
    store.sessions.export(session.id, bundle)
    store.sessions.import_(bundle, on_conflict="rename")
    for version, fields in (("1.0.0", {"a": "integer"}), ("2.0.0", {"b": "integer"})):
        store.schemas.register({"name": "n", "version": version, "value": {"type": "object", "fields": fields}})
    store.migrations.register(Migration("n", "1.0.0", "2.0.0", [Rename("a", "b")]))
    store.schemas.bind("n", "1.0.0", prefix="n:")
    store.state.set("n:1", {"a": 1})
    store.migrations.apply(store.migrations.plan("n", "2.0.0"))
