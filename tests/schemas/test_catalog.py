"""The catalog: what may be added to the schemas that are known."""

import pytest

from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.schemas.catalog import Catalog
from llmspell.schemas.schema import Schema


def schema(version="1.0.0", kind="integer", name="s", **given):
    return Schema(name, version, {"a": kind}, **given)


def catalog_of(*schemas):
    return Catalog().adding_all(schemas)


def refusal(catalog, *schemas):
    with pytest.raises((InvalidInput, Conflict, NotFound)) as refused:
        catalog.adding_all(schemas) if len(schemas) > 1 else catalog.adding(schemas[0])
    return refused.value


def test_a_catalog_gives_the_version_asked_for_else_the_latest():
    catalog = catalog_of(schema("1.10.0"), schema("1.9.0"), schema("2.0.0-rc.1", "string"))
    assert str(catalog.get("s").version) == "2.0.0-rc.1"
    assert str(catalog.get("s", "1.9.0").version) == "1.9.0"
    assert [str(one.version) for one in catalog.versions("s")] == ["1.9.0", "1.10.0", "2.0.0-rc.1"]
    assert (len(catalog), catalog.names(), len(list(catalog))) == (3, ["s"], 3)


@pytest.mark.parametrize(("name", "version", "code"), [
    ("t", None, "schema-not-found"), ("s", "9.0.0", "schema-not-found"), ("s", "9", "invalid-version")
])  # fmt: skip
def test_what_is_not_there_is_not_found(name, version, code):
    with pytest.raises((NotFound, InvalidInput)) as refused:
        catalog_of(schema()).get(name, version)
    assert refused.value.code == code


def test_adding_gives_another_catalog_and_leaves_this_one():
    empty = Catalog()
    assert (len(empty.adding(schema())), len(empty)) == (1, 0)


def test_the_same_schema_twice_is_once_and_another_of_its_version_is_refused():
    catalog = catalog_of(schema())
    assert catalog.adding(schema()) is catalog
    assert refusal(catalog, schema(kind="string")).code == "schema-exists"


def test_a_version_that_breaks_its_promise_is_refused_and_says_by_what():
    error = refusal(catalog_of(schema()), schema("1.1.0", "string"))
    assert error.code == "schema-incompatible"
    assert error.details["changes"][0]["path"] == "$.a"
    assert "$.a" in error.message


@pytest.mark.parametrize("allowed", [
    schema("2.0.0", "string"), schema("1.1.0", "string", compatibility="none"), schema("1.1.0-beta", "string"),
    schema("1.1.0", "number"), schema("1.1.0", "string", name="t"),
])  # fmt: skip
def test_another_line_level_or_name_or_a_pre_release_may_break(allowed):
    assert len(catalog_of(schema()).adding(allowed)) == 2


def test_below_one_each_minor_is_a_line():
    assert refusal(catalog_of(schema("0.1.0")), schema("0.1.1", "string")).code == "schema-incompatible"
    assert len(catalog_of(schema("0.1.0"), schema("0.2.0", "string"))) == 2


def test_a_transitive_level_holds_against_every_version_of_the_line():
    loose = [schema("1.0.0", "integer"), schema("1.1.0", "string", compatibility="none")]
    assert len(catalog_of(*loose).adding(schema("1.2.0", "string"))) == 3
    error = refusal(catalog_of(*loose), schema("1.2.0", "string", compatibility="backward_transitive"))
    assert "against 1.0.0" in error.message


def test_a_version_in_between_keeps_the_promise_of_the_next_one():
    catalog = catalog_of(schema("1.0.0", "integer"), schema("1.2.0", "number"))
    assert "1.2.0" in refusal(catalog, schema("1.1.0", "string", compatibility="none")).message
    assert len(catalog.adding(schema("1.1.0", "number"))) == 3
    later = schema("1.1.0", compatibility="none"), schema("1.2.0", "number", compatibility="backward_transitive")
    assert "1.2.0" in refusal(catalog_of(*later), schema("1.0.0", "string", compatibility="none")).message


def test_a_dependency_that_nobody_meets_is_refused():
    error = refusal(Catalog(), schema(dependencies={"person": "^1.0.0"}))
    assert (error.code, type(error)) == ("schema-dependency", NotFound)
    old = catalog_of(schema(name="person", version="2.0.0"))
    assert "2.0.0" in refusal(old, schema(dependencies={"person": "^1.0.0"})).hint
    assert refusal(old, schema(dependencies=["x"]), schema(name="t", dependencies=["s"])).code == "schema-dependency"


def test_a_circle_of_dependencies_is_refused_and_named():
    circle = [
        schema(name="a", dependencies=["b"]),
        schema(name="b", dependencies=["c"]),
        schema(name="c", dependencies=["a"]),
    ]
    error = refusal(Catalog(), *circle, schema(name="d", dependencies=["a"]))
    assert error.code == "schema-cycle"
    assert set(error.details["names"]) == {"a", "b", "c"}


def test_a_circle_through_a_later_version_is_refused():
    catalog = catalog_of(schema(name="b"), schema(name="a", dependencies=["b"]))
    assert refusal(catalog, schema("1.1.0", name="b", dependencies=["a"])).code == "schema-cycle"
    bound = catalog_of(schema(name="b"), schema(name="a", dependencies={"b": "1.0.0"}))
    assert len(bound.adding(schema("1.1.0", name="b", dependencies=["a"]))) == 3


def test_many_are_added_whatever_their_order_and_each_comes_after_what_it_needs():
    chain = [schema(name=f"n{at}", dependencies=[f"n{at - 1}"] if at else []) for at in range(1_500)]
    catalog = Catalog().adding_all(reversed(chain[:30]))
    assert [one.name for one in catalog.dependencies(chain[29])] == [f"n{at}" for at in range(29)]
    large = Catalog()
    for one in chain:
        large = large._with(one)
    assert len(large.dependencies(chain[-1])) == 1_499


def test_diamonds_of_dependencies_are_walked_once():
    catalog = catalog_of(schema(name="n0"))
    for at in range(1, 60):
        catalog = catalog.adding(schema(name=f"l{at}", dependencies=[f"n{at - 1}"]))
        catalog = catalog.adding(schema(name=f"r{at}", dependencies=[f"n{at - 1}"]))
        catalog = catalog.adding(schema(name=f"n{at}", dependencies=[f"l{at}", f"r{at}"]))
    assert len(catalog.dependencies(catalog.get("n59"))) == 177


def test_of_many_all_are_added_or_none():
    catalog = catalog_of(schema())
    refusal(catalog, schema(name="good"), schema("1.1.0", "string"))
    assert catalog.names() == ["s"]
