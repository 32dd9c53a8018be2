"""Keys, scopes, labels, tags, metadata and cursors: each rule by table, and nothing changed in silence."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model import limits
from llmspell.model.ids import SequentialIds, SystemIds, id_bytes, id_text
from llmspell.model.keys import check_key
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.page import check_limit, read_cursor, write_cursor
from llmspell.model.scope import GLOBAL, Scope

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100)


def refused(call):
    with pytest.raises(InvalidInput) as error:
        call()
    return error.value


# -- keys --------------------------------------------------------------------------------------------------------------

RULES: dict[str, list] = {
    "type": [5, None, b"key", ["key"], True],
    "empty": [""],
    "length": ["x" * 257, "\u00e4" * 129, "\U0001f600" * 65],
    "traversal": ["..", "a..b", "../a", "a/..", "a\\b", "a//b", "\\", "//"],
    "control": ["a\0", "\n", "a\tb", "\x7f", "\x80", "a\x9fb"],
    "reserved": ["__proto__", "__", "$$ref", "$$"],
    "unicode": ["\ud800", "a\udfff"],
}


@pytest.mark.parametrize("rule,key", [(rule, key) for rule, keys in RULES.items() for key in keys])
def test_a_key_that_breaks_a_rule_is_refused_and_the_rule_is_named(rule, key):
    error = refused(lambda: check_key(key))
    assert error.code == "invalid-key"
    assert error.details["rule"] == rule
    assert len(error.message) < 200


@pytest.mark.parametrize("key", [
    "a", " ", "a b", "a/b/c", "/a", "a/", "a.b", ".", ".a", "_a", "_", "$a", "$", "a__b", "a$$", "x" * 256, "[0]", "~",
    "\u00e4" * 128, "\U0001f600" * 64, "key:with:colons", "%2e%2e", "'; DROP TABLE state; --", "\u202e", "\u200b",
])  # fmt: skip
def test_an_unusual_key_is_a_key_as_it_is(key):
    assert check_key(key) == key


@given(TEXT)
def test_a_key_is_in_its_normal_form_or_refused(text):
    try:
        key = check_key(text)
    except InvalidInput as error:
        assert error.details["rule"] in RULES  # noqa: PT017 - either outcome is right, each with its own claim
    else:
        assert key == unicodedata.normalize("NFC", text)
        assert check_key(key) == key
        assert 1 <= len(key.encode()) <= limits.KEY_BYTES_MAX


def test_two_spellings_of_a_key_are_one_key():
    assert check_key("cafe\u0301") == check_key("caf\u00e9") == "caf\u00e9"
    assert check_key("e\u0301" * 100) == "\u00e9" * 100, "the length is that of the normal form"


# -- scopes ------------------------------------------------------------------------------------------------------------

KINDS = {"user": 1, "session": 1, "agent": 1, "tool": 1, "workflow": 1, "step": 2, "hook": 1, "custom": 1}


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_ids_come_back_from_a_scopes_name(kind, data):
    ids = tuple(data.draw(TEXT) for _ in range(KINDS[kind]))
    scope = Scope.of(kind, *ids)
    assert (scope.kind, scope.ids) == (kind, ids)
    assert Scope.from_name(scope.name) == scope
    assert str(scope) == scope.name
    assert "\n" not in scope.name


@given(
    st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.lists(TEXT, min_size=2, max_size=2)), min_size=2, max_size=8)
)
def test_two_scopes_share_a_name_only_if_they_are_one(drawn):
    scopes = [Scope.of(kind, *ids[: KINDS[kind]]) for kind, ids in drawn]
    for left in scopes:
        for right in scopes:
            assert (left.name == right.name) == (left == right) == ((left.kind, left.ids) == (right.kind, right.ids))


@pytest.mark.parametrize("text,expected", [
    ("global", GLOBAL), ("GLOBAL", GLOBAL), ("agent:a", Scope.agent("a")), ("Agent:a:b", Scope.agent("a:b")),
    ("step:w:s", Scope.step("w", "s")), ("step:w:s:t", Scope.step("w", "s:t")), ("mine", Scope.custom("mine")),
    ("unknown:x", Scope.custom("unknown:x")), ("global:x", Scope.custom("global:x")),
    ("user:\u00e4", Scope.user("\u00e4")),
    ("agent", Scope.custom("agent")), ("a b", Scope.custom("a b")),
])  # fmt: skip
def test_a_scope_is_read_from_what_a_person_types(text, expected):
    assert Scope.parse(text) == expected


@pytest.mark.parametrize("call", [
    lambda: Scope.agent(""), lambda: Scope.agent(5), lambda: Scope.agent(None), lambda: Scope.of("planet", "x"),
    lambda: Scope.of("step", "x"), lambda: Scope.of("global", "x"), lambda: Scope.agent("\ud800"),
    lambda: Scope.agent("x" * (limits.SCOPE_ID_BYTES_MAX + 1)), lambda: Scope.parse(""), lambda: Scope.parse(5),
    lambda: Scope.parse("agent:"), lambda: Scope.parse("step:w"), lambda: Scope.parse("step:w:"),
])  # fmt: skip
def test_a_scope_that_breaks_a_rule_is_refused(call):
    assert refused(call).code == "invalid-scope"


def test_the_tree_of_scopes_by_kind():
    assert GLOBAL.parent is None
    assert Scope.step("w", "s").parent == Scope.workflow("w")
    assert Scope.workflow("w").parent == Scope.session("s").parent == GLOBAL


# -- labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "a\nb", "a\0", "x" * 256, 5, None, b"x", "\u0085"])
def test_a_name_that_breaks_a_rule_is_refused(text):
    assert refused(lambda: check_label(text, "a name")).code == "invalid-name"


def test_a_name_is_in_its_normal_form():
    assert check_label("cafe\u0301", "a name") == "caf\u00e9"
    assert check_label("x" * 255, "a name")
    assert check_label("", "a name", empty=True) == ""
    assert refused(lambda: check_label("\ud800", "a name")).code == "invalid-text"


def test_a_longer_text_may_have_lines_and_is_kept_as_it_is():
    assert check_text("two\nlines\te\u0301", "a text") == "two\nlines\te\u0301"
    assert refused(lambda: check_text("x" * 10_001, "a text")).code == "invalid-text"
    assert refused(lambda: check_text(5, "a text")).code == "invalid-text"
    assert refused(lambda: check_text("\ud800", "a text")).code == "invalid-text"


def test_tags_lose_only_repetitions():
    assert check_tags(["b", "a", "b", "cafe\u0301", "caf\u00e9"]) == ["b", "a", "caf\u00e9"]
    assert check_tags(tag for tag in ("x", "y")) == ["x", "y"]
    assert check_tags([]) == []
    for bad in ("text", 5, None):
        assert refused(lambda bad=bad: check_tags(bad)).code == "invalid-tags"
    assert refused(lambda: check_tags([str(n) for n in range(257)])).code == "invalid-tags"


def test_metadata_is_a_copy_of_a_json_object_within_its_limit():
    given_ = {"a": [1]}
    assert check_metadata(given_) == given_
    assert check_metadata(given_) is not given_
    numbered: dict = {1: 2}
    assert refused(lambda: check_metadata(numbered)).code == "invalid-value"
    assert refused(lambda: check_metadata([])).code == "invalid-metadata"
    with pytest.raises(LimitExceeded) as error:
        check_metadata({"a": "x" * limits.METADATA_BYTES_MAX})
    assert error.value.code == "metadata-too-large"


# -- cursors and ids ---------------------------------------------------------------------------------------------------


@given(st.lists(st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.none(), max_size=4))
def test_a_cursor_comes_back_and_only_for_its_purpose(parts):
    cursor = write_cursor("mine", *parts)
    assert read_cursor(cursor, "mine", len(parts) + 1) == ["mine", *parts]
    assert refused(lambda: read_cursor(cursor, "other", len(parts) + 1)).code == "invalid-cursor"
    assert refused(lambda: read_cursor(cursor, "mine", len(parts) + 2)).code == "invalid-cursor"


@given(st.text() | st.binary() | st.integers() | st.none())
def test_garbage_is_no_cursor(garbage):
    assert refused(lambda: read_cursor(garbage, "mine", 2)).code == "invalid-cursor"


@pytest.mark.parametrize("limit", [0, -1, limits.PAGE_ROWS_MAX + 1, 1.0, "1", None, True])
def test_a_limit_that_is_none_is_refused(limit):
    assert refused(lambda: check_limit(limit)).code == "invalid-limit"


@given(st.binary(min_size=16, max_size=16))
def test_an_id_comes_back_from_its_text(raw):
    assert id_bytes(id_text(raw)) == raw
    assert len(id_text(raw)) == 36


@pytest.mark.parametrize("text", ["", "x", 5, None, b"x" * 16, "0" * 31, "\ud800"])
def test_what_is_no_id_is_refused(text):
    assert refused(lambda: id_bytes(text)).code == "invalid-id"


@pytest.mark.parametrize("source", [SystemIds, SequentialIds])
def test_ids_are_unique_and_ordered_and_salts_never_repeat(source):
    ids = source()
    made = [ids.new() for _ in range(2000)]
    assert made == sorted(set(made))
    salts = [ids.salt() for _ in range(2000)]
    assert len(set(salts)) == 2000
    assert {len(one) for one in made + salts} == {16}
