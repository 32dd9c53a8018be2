"""Templates are registered for good, and sessions begin with what they say."""

import pytest

from llmspell import SessionConfig, SessionLimits
from llmspell.errors import InvalidInput, NotFound


def test_a_session_begins_with_its_templates_fields_and_what_is_given_wins(face, store):
    store.sessions.set_template(
        "research",
        {
            "description": "from the template", "tags": ["research"], "metadata": {"a": 1, "b": 1},
            "state": {"step": 0, "x": 1}, "config": SessionConfig(limits=SessionLimits(operations=50)),
        },
    )  # fmt: skip
    for opened in face.both(store):
        session = opened.sessions.create(
            "s", template="research", tags=["mine"], metadata={"b": 2}, state={"x": 2}, created_by="me"
        )
        info = session.info
        assert (info.description, info.tags, info.metadata) == (
            "from the template", ["research", "mine"], {"a": 1, "b": 2},
        )  # fmt: skip
        assert dict(session.state.items()) == {"step": 0, "x": 2}
        assert info.settings.limits.operations == 50
        assert info.created_by == "me"


def test_templates_are_listed_changed_and_taken_away(store):
    store.sessions.set_template("b", {"tags": ["b"]})
    store.sessions.set_template("a", {"tags": ["a"]})
    store.sessions.set_template("b", {"description": "new"})
    assert store.sessions.templates() == {"a": {"tags": ["a"]}, "b": {"description": "new"}}
    store.sessions.set_template("a", None)
    assert list(store.sessions.templates()) == ["b"]
    with pytest.raises(NotFound) as error:
        store.sessions.create("s", template="a")
    assert error.value.code == "template-not-found"
    assert store.verify().ok


@pytest.mark.parametrize("fields", [5, {"name": "x"}, {"tags": "x"}, {"config": {"auto_save_changes": 0}}, {"x": 1}])
def test_templates_that_are_none_are_refused(store, fields):
    with pytest.raises(InvalidInput):
        store.sessions.set_template("t", fields)
    assert store.sessions.templates() == {}


def test_settings_and_metadata_of_a_template_are_merged_at_every_depth(store):
    store.sessions.set_template(
        "t",
        {
            "config": {"limits": {"artifacts": 1, "operations": 9}, "mine": {"a": {"x": 1}}},
            "metadata": {"m": {"a": 1, "b": 1}}, "state": {"s": {"a": 1}},
        },
    )  # fmt: skip
    more = SessionLimits(storage_bytes=5, operations=8)
    for given in ({"limits": {"storage_bytes": 5, "operations": 8}}, SessionConfig(limits=more)):
        session = store.sessions.create("s", template="t", config=given, metadata={"m": {"b": 2}}, state={"s": {}})
        limits = session.info.settings.limits
        assert (limits.artifacts, limits.operations, limits.storage_bytes) == (1, 8, 5)
        assert session.info.config["mine"] == {"a": {"x": 1}}
        assert session.info.metadata == {"m": {"a": 1, "b": 2}}
        assert session.state.get("s") == {}
