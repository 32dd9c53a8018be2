"""The transforms: each by example, and what holds for all of them."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput, NotFound
from llmspell.migration.changing import Convert, Custom, Default, Remove
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Copy, Merge, Move, Rename, Split
from llmspell.migration.transform import Transform
from llmspell.migration.transforms import OPS, transform_of
from llmspell.schemas.checking import identity
from llmspell.schemas.risk import Risk

EXAMPLES = [
    (Rename("name", "title"), {"a": 1, "name": 2, "z": 3}, {"a": 1, "title": 2, "z": 3}),
    (Rename("user.name", "title"), {"user": {"name": 2}, "name": 1}, {"user": {"title": 2}, "name": 1}),
    (Rename("items[].p", "price"), {"items": [{"p": 1}, {}, {"p": 2}]}, {"items": [{"price": 1}, {}, {"price": 2}]}),
    (Rename("nothing", "title"), {"a": 1}, {"a": 1}),
    (Rename("a", "b", overwrite=True), {"a": 1, "b": 2}, {"b": 1}),
    (Copy("a", "b.c"), {"a": [1]}, {"a": [1], "b": {"c": [1]}}),
    (Copy("items[].p", "items[].q.r"), {"items": [{"p": 1}]}, {"items": [{"p": 1, "q": {"r": 1}}]}),
    (Move("a.b", "c"), {"a": {"b": 1, "x": 2}}, {"a": {"x": 2}, "c": 1}),
    (Move("", "data"), 5, {"data": 5}),
    (Move("data", ""), {"data": [5]}, [5]),
    (Move("a", "a.b"), {"a": 5}, {"a": {"b": 5}}),
    (Move("a.b", "a"), {"a": {"b": 5}}, {"a": 5}),
    (Convert("n", "integer"), {"n": "-42"}, {"n": -42}),
    (Convert("n", "integer"), {"n": 5.0}, {"n": 5}),
    (Convert("n", "integer"), {"n": True}, {"n": 1}),
    (Convert("n", "float"), {"n": 5}, {"n": 5.0}),
    (Convert("n", "float"), {"n": "1e3"}, {"n": 1000.0}),
    (Convert("n", "number"), {"n": "7"}, {"n": 7}),
    (Convert("n", "number"), {"n": "7.5"}, {"n": 7.5}),
    (Convert("n", "string"), {"n": 1.0}, {"n": "1.0"}),
    (Convert("n", "string"), {"n": {"a": [1]}}, {"n": '{"a":[1]}'}),
    (Convert("n", "boolean"), {"n": "Yes"}, {"n": True}),
    (Convert("n", "boolean"), {"n": 0}, {"n": False}),
    (Convert("n", "object"), {"n": '{"a":[1]}'}, {"n": {"a": [1]}}),
    (Convert("n", "list", wrap=True), {"n": "x"}, {"n": ["x"]}),
    (Convert("n", "integer", wrap=True), {"n": ["3"]}, {"n": 3}),
    (Convert("n", "integer"), {"n": None}, {"n": None}),
    (Convert("n[]", "string"), {"n": [1, "a", None]}, {"n": ["1", "a", None]}),
    (Convert("n", "integer", otherwise=-1), {"n": "many"}, {"n": -1}),
    (Convert("", "integer"), "5", 5),
    (Default("a", {"x": 1}), {}, {"a": {"x": 1}}),
    (Default("a", 1), {"a": 2}, {"a": 2}),
    (Default("a", 1), {"a": None}, {"a": None}),
    (Default("a", 1, when_null=True), {"a": None}, {"a": 1}),
    (Default("u.a", 1), {}, {}),
    (Default("u.a", 1, create=True), {}, {"u": {"a": 1}}),
    (Default("items[].a", 1), {"items": [{}, {"a": 2}, None]}, {"items": [{"a": 1}, {"a": 2}, None]}),
    (Remove("a.b"), {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
    (Remove("items[].a"), {"items": [{"a": 1}, {"b": 1}]}, {"items": [{}, {"b": 1}]}),
    (Split("name", ("first", "last")), {"name": "Ada King Lovelace"}, {"first": "Ada", "last": "King Lovelace"}),
    (Split("name", ("name", "last")), {"name": "Ada L"}, {"name": "Ada", "last": "L"}),
    (Split("at", ("x", "y"), keep=True), {"at": [1, 2]}, {"at": [1, 2], "x": 1, "y": 2}),
    (Split("name", ("first", "last"), partial=True), {"name": "Ada"}, {"first": "Ada"}),
    (Merge(("first", "last"), "name"), {"first": "Ada", "last": "L"}, {"name": "Ada L"}),
    (Merge(("first", "last"), "name"), {"first": "Ada", "last": None}, {"name": "Ada"}),
    (Merge(("x", "y"), "at", into="list"), {"x": 1, "y": 2}, {"at": [1, 2]}),
    (Merge(("x", "y"), "at", into="object"), {"x": 1, "y": 2}, {"at": {"x": 1, "y": 2}}),
    (Merge(("x", "y"), "at"), {"z": 1}, {"z": 1}),
    (Custom("double", "n"), {"n": 4}, {"n": 8}),
]
FUNCTIONS = {"double": lambda value: value * 2, "bad": lambda value: {1: value}, "raise": lambda value: 1 / 0}
ALL = [one for one, _, _ in EXAMPLES]


@pytest.mark.parametrize(("transform", "before", "after"), EXAMPLES, ids=lambda one: getattr(one, "op", None))
def test_a_transform_gives_this_and_leaves_what_it_was_given(transform, before, after):
    given_ = deepcopy(before)
    made = transform.apply(given_, FUNCTIONS)
    assert identity(made) == identity(after)
    assert list(made) == list(after) if isinstance(after, dict) else True
    assert given_ == before


@pytest.mark.parametrize("transform", ALL, ids=lambda one: one.op)
def test_a_transform_comes_back_from_json(transform):
    again = transform_of(transform.to_dict())
    assert type(again) is type(transform)
    assert again.to_dict() == transform.to_dict()
    assert transform.describe().startswith(transform.op)


def test_every_transform_has_an_example():
    assert {one.op for one in ALL} == set(OPS)


@pytest.mark.parametrize("transform", ALL, ids=lambda one: one.op)
def test_what_a_transform_does_not_name_is_kept(transform: Any) -> None:
    if "" in (transform.to_dict().get("path"), transform.to_dict().get("to")):
        return  # It names the value as a whole.
    for _, before, _ in (one for one in EXAMPLES if one[0] is transform):
        value: Any = dict(before) | {"unknown member": [1.0, None]}  # type: ignore[call-overload]
        made = transform.apply(value, FUNCTIONS)
        assert identity(made["unknown member"]) == identity([1.0, None])


def test_what_split_keeps_and_what_it_deals_out_are_changed_apart():
    migration = Migration("x", "1.0.0", "2.0.0", [Split("pair", ("a", "b"), keep=True), Convert("a.n", "integer")])
    assert migration.apply({"pair": [{"n": "1"}, {"n": "2"}]}) == {
        "pair": [{"n": "1"}, {"n": "2"}], "a": {"n": 1}, "b": {"n": "2"},
    }  # fmt: skip


@pytest.mark.parametrize("make", [lambda it: Default("a", it), lambda it: Convert("a", "integer", otherwise=it)])
def test_a_transform_stays_what_it_was_when_it_was_made(make):
    given = [1]
    one = make(given)
    said = repr(one.to_dict())
    given.append(2)
    one.to_dict().popitem()[1].append(3)
    assert repr(one.to_dict()) == said


FAILING = [
    (Rename("a", "b"), {"a": "secret", "b": 1}, "$.b", "transform-occupied"),
    (Copy("a", "b.c"), {"a": 1, "b": "secret"}, "$.b", "transform-failed"),
    (Copy("a", "b.c"), {"a": 1, "b": None}, "$.b", "transform-occupied"),
    (Move("data", ""), {"data": 1, "other": "secret"}, "$", "transform-occupied"),
    (Convert("a.n", "integer"), {"a": {"n": "secret"}}, "$.a.n", "transform-failed"),
    (Convert("a[].n", "boolean"), {"a": [{}, {"n": "secret"}]}, "$.a[1].n", "transform-failed"),
    (Convert("n", "float"), {"n": (1 << 53) + 1}, "$.n", "transform-failed"),
    (Convert("n", "float"), {"n": "1e999"}, "$.n", "transform-failed"),
    (Convert("n", "integer"), {"n": 1.5}, "$.n", "transform-failed"),
    (Convert("n", "list"), {"n": '{"a": "secret"}'}, "$.n", "transform-failed"),
    (Split("n", ("a", "b")), {"n": "secret"}, "$.n", "transform-failed"),
    (Split("n", ("a", "b")), {"n": 5}, "$.n", "transform-failed"),
    (Split("n", ("a", "b")), {"n": "x secret", "b": 1}, "$.b", "transform-occupied"),
    (Split("", ("a", "b"), partial=True), [], "$", "transform-failed"),
    (Merge(("a", "b"), "c"), {"a": "secret", "b": 5}, "$.b", "transform-failed"),
    (Custom("raise", "n"), {"n": "secret"}, "$.n", "transform-failed"),
    (Custom("bad", "n"), {"n": "secret"}, "$.n", "transform-failed"),
]  # fmt: skip


@pytest.mark.parametrize(("transform", "value", "place", "code"), FAILING, ids=lambda one: getattr(one, "op", None))
def test_a_failing_transform_names_the_place_and_never_shows_the_value(transform, value, place, code):
    with pytest.raises(InvalidInput) as caught:
        transform.apply(value, FUNCTIONS)
    assert (caught.value.code, caught.value.details["path"]) == (code, place)
    assert "secret" not in str(caught.value)
    with pytest.raises(InvalidInput, match="transform 1"):
        Migration("x", "1.0.0", "2.0.0", [transform]).apply(value, FUNCTIONS)


@pytest.mark.parametrize("make", [
    lambda: Rename("a.b", "b"), lambda: Rename("", "b"), lambda: Rename("a[]", "b"), lambda: Rename("a", ""),
    lambda: Move("a", "a"), lambda: Copy("items[].a", "b"), lambda: Copy("a", "items[].b"), lambda: Move("a[]", "b"),
    lambda: Convert("a", "text"), lambda: Convert("a", "integer", otherwise={1: 2}), lambda: Default("a[]", 1),
    lambda: Default("a", float("nan")), lambda: Remove(""), lambda: Split("a", ("b",)), lambda: Split("a", ("b", "b")),
    lambda: Split("a", ("b", "c"), separator=""), lambda: Split("a", "bc"), lambda: Merge(("a", "x.b"), "c[].d"),
    lambda: Merge(("x.a", "y.a"), "c", into="object"), lambda: Merge(("a", "b"), "c", into="set"), lambda: Custom(""),
    lambda: transform_of({"op": "rename", "path": "a"}), lambda: transform_of({"op": "swap"}), lambda: transform_of(5),
    lambda: transform_of({"op": "remove", "path": "a", "really": True}), lambda: transform_of({"op": ["remove"]}),
    lambda: transform_of({"op": "rename", "path": "a", "to": "b", "overwrite": "yes"}),
])  # fmt: skip
def test_a_transform_that_makes_no_sense_is_refused_when_it_is_made(make):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert caught.value.code in {"invalid-path", "invalid-transform", "invalid-value"}


@dataclass(frozen=True, slots=True)
class Mine(Transform):
    op = "mine"


@dataclass(frozen=True, slots=True)
class Disguised(Remove):
    """A kind of ours that does something else than what its name says."""


@pytest.mark.parametrize("transform", [Transform(), Mine(), Disguised("a")])
def test_a_transform_that_nobody_could_read_back_is_refused(transform):
    with pytest.raises(InvalidInput) as caught:
        Migration("x", "1.0.0", "2.0.0", [transform])
    assert caught.value.code == "invalid-transform"


def test_a_function_that_is_not_given_is_named():
    with pytest.raises(NotFound) as caught:
        Custom("mine").apply(1)
    assert (caught.value.code, caught.value.details["function"]) == ("unknown-function", "mine")


def test_what_drops_or_overwrites_is_critical():
    assert {one.op for one in (Remove("a"), Rename("a", "b", overwrite=True)) if one.risk is Risk.CRITICAL} == {
        "remove",
        "rename",
    }
    assert Default("a", 1).risk is Risk.LOW
    assert Migration("x", "1.0.0", "2.0.0", [Default("a", 1), Remove("b")]).risk is Risk.CRITICAL
    assert Migration("x", "1.0.0", "2.0.0").risk is Risk.LOW


NAMES = st.sampled_from("abcd")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda part: st.lists(part) | st.dictionaries(NAMES | st.text(), part), max_leaves=10)
OBJECTS = st.dictionaries(NAMES, VALUES)


@given(OBJECTS, NAMES, NAMES)
def test_there_and_back_is_where_it_began(value, one, other):
    if one == other or other in value:
        return
    there = Rename(one, other).apply(value)
    assert (one in there, other in there) == (False, one in value)
    back = Rename(other, one).apply(there)
    assert identity(back) == identity(value)
    assert list(back) == list(value)
    moved = Move(f"box.{other}", one).apply(Move(one, f"box.{other}").apply(value))
    assert identity({name: item for name, item in moved.items() if name != "box"}) == identity(value)


@given(st.lists(st.text(alphabet="xyz", min_size=1), min_size=2, max_size=4), OBJECTS)
def test_split_and_merge_undo_each_other(parts, more):
    names = [f"part {number}" for number in range(len(parts))]
    value = {**more, "whole": "-".join(parts)}
    apart = Split("whole", names, separator="-").apply(value)
    assert [apart[name] for name in names] == parts
    assert identity(Merge(names, "whole", separator="-").apply(apart)) == identity(value)


@given(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.lists(VALUES) | OBJECTS)
def test_what_becomes_a_string_comes_back_from_it(value):
    names = {int: "integer", bool: "boolean", float: "float", list: "list", dict: "object"}
    there = Convert("", "string").apply(value)
    assert type(there) is str
    if len(there) <= 1000:
        assert identity(Convert("", names[type(value)]).apply(there)) == identity(value)


@given(VALUES, st.sampled_from(ALL))
def test_any_value_is_changed_or_refused_with_its_place(value, transform):
    before = deepcopy(value)
    caught = None
    try:
        transform.apply(value, {"double": lambda one: one})
    except InvalidInput as exc:
        caught = exc
    assert caught is None or caught.code in {"transform-failed", "transform-occupied"}
    assert caught is None or caught.details["path"].startswith("$")
    assert identity(value) == identity(before)
