"""Paths: what they name, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.migration.paths import EACH, Path, escaped, reach


@pytest.mark.parametrize(("text", "steps"), [
    ("", ("",)),
    ("user.name", ("", "user", "name")),
    ("items[].price", ("", "items", EACH, "price")),
    ("[].a", ("", EACH, "a")),
    ("rows[][]", ("", "rows", EACH, EACH)),
    (r"a\.b.c", ("", "a.b", "c")),
    (r"a\[0\\", ("", "a[0\\")),
])  # fmt: skip
def test_a_path_names_its_steps(text, steps):
    assert Path.parse(text).steps == steps


@pytest.mark.parametrize(
    "text", [".", "a.", ".a", "a..b", "a[0]", "a[", "a]", r"a\b", "a\\", "a.[]", "[]a", 5, None, "a" * 1001]
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(InvalidInput) as caught:
        Path.parse(text)
    assert caught.value.code == "invalid-path"


@given(st.lists(st.text(min_size=1, max_size=8).filter(lambda text: "]" not in text), min_size=1, max_size=5))
def test_escaped_names_come_back_as_they_were(names):
    assert Path.parse(".".join(map(escaped, names))).steps == ("", *names)


def test_what_is_missing_or_behind_null_is_no_place():
    box = {"": {"a": None, "items": [{"x": 1}, {}, None, {"x": 2}]}}
    assert list(reach(box, Path.parse("a.b").steps)) == []
    assert list(reach(box, Path.parse("nothing.b").steps)) == []
    found = list(reach(box, Path.parse("items[].x").steps))
    assert found == [(1, "$.items[0].x"), (2, "$.items[3].x")]


@pytest.mark.parametrize(("path", "place"), [("a.b", "$.a"), ("a[].b", "$.a"), ("l.b", "$.l"), ("l[].x", "$.l[1]")])
def test_another_type_than_the_path_needs_is_an_error_that_names_where_and_shows_nothing(path, place):
    box = {"": {"a": "secret", "l": [{}, "secret"]}}
    with pytest.raises(InvalidInput) as caught:
        list(reach(box, Path.parse(path).steps))
    assert caught.value.details["path"] == place
    assert "secret" not in str(caught.value)
