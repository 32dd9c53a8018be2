"""Templates are registered for good, and sessions begin with what they say."""

import pytest

from llmspell import SessionConfig, SessionLimits
from llmspell.errors import InvalidInput, LimitExceeded, NotFound


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
    for name in ("a", "never"):
        with pytest.raises(NotFound) as refused:
            store.sessions.set_template(name, None)
        assert refused.value.code == "template-not-found"
    with pytest.raises(NotFound) as error:
        store.sessions.create("s", template="a")
    assert error.value.code == "template-not-found"
    assert store.verify().ok


@pytest.mark.parametrize("fields", [5, {"name": "x"}, {"tags": "x"}, {"config": {"auto_save_changes": 0}}, {"x": 1}])
def test_templates_that_are_none_are_refused(store, fields):
    with pytest.raises(InvalidInput):
        store.sessions.set_template("t", fields)
    assert store.sessions.templates() == {}


@pytest.mark.parametrize(
    "state", [{"__x": 1}, {"a/../b": 1}, {1: 2}, {"a": {1}}, {"\u00e9": 1, "e\u0301": 2}, {"": 0}, [1]]
)
def test_a_template_takes_the_state_that_create_takes(store, state):
    codes = []
    for call in (
        lambda: store.sessions.create("s", state=state),
        lambda: store.sessions.set_template("t", {"state": state}),
    ):
        with pytest.raises(InvalidInput) as refused:
            call()
        codes.append(refused.value.code)
    assert codes[0] == codes[1]
    assert store.sessions.templates() == {}


def test_a_session_begins_with_as_many_keys_as_are_set_at_once(store):
    most = {f"k{number}": 0 for number in range(10_000)}
    for call in (
        lambda: store.sessions.create("s", state={**most, "more": 0}),
        lambda: store.sessions.set_template("t", {"state": {**most, "more": 0}}),
    ):
        with pytest.raises(LimitExceeded) as refused:
            call()
        assert refused.value.code == "too-many-keys"
    assert store.sessions.list().items == []
    store.sessions.set_template("t", {"state": most})
    with pytest.raises(LimitExceeded):
        store.sessions.create("s", template="t", state={"more": 0})
    assert store.sessions.create("s", template="t").state.get("k9999") == 0


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


def test_a_key_spelled_otherwise_is_the_one_of_the_template(store):
    store.sessions.set_template("t", {"state": {"caf\u00e9": 1, "other": 2}})
    session = store.sessions.create("s", template="t", state={"cafe\u0301": 3})
    assert dict(session.state.items()) == {"caf\u00e9": 3, "other": 2}
