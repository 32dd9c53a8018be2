"""Plans: the shortest way, and what is told of it."""

import json
import random
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell.errors import InvalidInput, NotFound
from llmspell.migration.changing import Convert, Custom, Default, Remove
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Rename
from llmspell.migration.plan import Plan, Target, find_path, warnings_of
from llmspell.schemas.risk import Risk
from llmspell.schemas.schema import Schema
from tests.migration.people import fill, old, planned

VERSIONS = [f"{number}.0.0" for number in range(1, 7)]
RISKY = {Risk.LOW: [], Risk.HIGH: [Convert("a", "integer")], Risk.CRITICAL: [Remove("a")]}


def edge(start, end, risk=Risk.LOW):
    return Migration("user", start, end, RISKY[risk])


def brute(migrations, start, end):
    """(steps, risk, versions) of the best way, trying all orders of all subsets of versions."""
    if start == end:
        return 0, 0, (start,)
    ways = {(str(one.from_version), str(one.to_version)): one for one in migrations}
    found = []
    between = [version for version in VERSIONS if version not in {start, end}]
    for length in range(len(between) + 1):
        for middle in permutations(between, length):
            way = (start, *middle, end)
            steps = list(pairwise(way))
            if all(step in ways for step in steps):
                found.append((len(steps), sum(ways[step].risk for step in steps), way))
    return min(found, default=None)


@given(
    st.dictionaries(st.tuples(*[st.sampled_from(VERSIONS)] * 2), st.sampled_from(list(RISKY)), max_size=14),
    st.sampled_from(VERSIONS),
    st.sampled_from(VERSIONS),
)
def test_the_path_is_the_one_that_trying_all_finds(edges, start, end):
    migrations = [edge(one, other, risk) for (one, other), risk in edges.items() if one != other]
    migrations.append(Migration("other", start, "9.0.0"))
    best = brute([one for one in migrations if one.name == "user"], start, end)
    if best is None:
        with pytest.raises(NotFound) as caught:
            find_path(migrations, "user", start, end)
        assert caught.value.code == "migration-path-missing"
        return
    path = find_path(migrations, "user", start, end)
    way = (start, *(str(one.to_version) for one in path))
    assert (len(path), sum(one.risk for one in path), way) == best


def test_a_missing_path_says_how_far_one_gets_and_what_to_register():
    migrations = [edge("1.0.0", "2.0.0"), edge("3.0.0", "4.0.0")]
    with pytest.raises(NotFound) as caught:
        find_path(migrations, "user", "1.0.0", "4.0.0")
    assert "2.0.0" in caught.value.message
    assert "3.0.0" in caught.value.message
    assert "'2.0.0', '3.0.0'" in str(caught.value.hint)


def plan_of(*transforms, to=None, functions=()):
    v1 = Schema("user", "1.0.0", {"age": "string"})
    v2 = to or Schema("user", "2.0.0", {"age": "integer"})
    made = [*transforms, *map(Custom, functions)]
    return Plan("user", v1, v2, Target(), (Migration("user", "1.0.0", "2.0.0", made),))


def test_warnings_name_what_is_dropped_and_what_made_up_values_fail_on():
    told = "\n".join(warnings_of(plan_of(Remove("age"))))
    assert "remove(path='age')" in told
    assert "$.age: is missing" in told
    assert warnings_of(plan_of(Convert("age", "integer", otherwise=0)))[0].endswith("drops or overwrites data")
    assert len(warnings_of(plan_of(Convert("age", "integer", otherwise=0)))) == 1
    assert "mine" in warnings_of(plan_of(functions=["mine"]))[0]


def test_a_plan_says_its_risk_and_whether_computing_can_bring_the_old_values_back():
    harmless = plan_of(Default("x", 1))
    assert (harmless.risk, harmless.restore_point_needed) == (Risk.LOW, False)
    assert plan_of(Remove("age")).restore_point_needed
    assert plan_of(Remove("age")).to_dict()["risk"] == "critical"


def test_a_plan_comes_back_from_its_entry_and_is_the_same_plan():
    plan = plan_of(Convert("age", "integer"), functions=["f"])
    assert Plan.from_entry(plan.to_entry()).hash == plan.hash
    assert plan_of(Convert("age", "float")).hash != plan.hash


@pytest.mark.parametrize("make", [
    lambda: Migration("user", "1.0.0", "1.0.0"), lambda: Migration("", "1.0.0", "2.0.0"),
    lambda: Migration("user", "1", "2.0.0"), lambda: Migration("user", "1.0.0", "2.0.0", "remove"),
    lambda: Migration("user", "1.0.0", "2.0.0", [Remove("a")] * 201), lambda: Migration.from_dict([]),
    lambda: Migration.from_dict({"name": "user"}), lambda: Migration("user", "1.0.0", "2.0.0", description=5),
    lambda: Migration.from_dict({"name": "u", "from_version": "1.0.0", "to_version": "2.0.0", "then": 1}),
    lambda: Migration("user", "1.0.0", "2.0.0", [Rename("a", "b", overwrite="false")]),
    lambda: Migration("user", "1.0.0", "2.0.0", [Default("a", 1, when_null=5)]),
    lambda: Migration("user", "1.0.0", "2.0.0", [Convert("a", "list", wrap="no")]),
])  # fmt: skip
def test_a_migration_that_makes_no_sense_is_refused(make):
    with pytest.raises(InvalidInput):
        make()


def test_a_plan_estimates_by_how_many_values_there_are_and_how_long_they_are(users):
    plan = planned(users)
    stored = [json.dumps(value, separators=(",", ":")) for _, value in users.state.items(prefix="user:")]
    assert (plan.count, plan.bytes) == (20, sum(len(text) for text in stored))
    assert plan.to_dict()["seconds"] == plan.seconds > 0
    fill(users, 980, start=20)
    some = planned(users)
    fill(users, 3000, start=1000)
    many = planned(users)
    assert (some.count, many.count) == (1000, 4000)
    assert 3.8 < many.seconds / some.seconds < 4.2, "four times as many take about four times as long"
    users.state.set("user:long", old(1, text=random.Random(1).randbytes(6_000_000).hex()))
    assert planned(users).seconds > 1.5 * many.seconds, "long values, which stand in their entries, take longer"
    assert planned(users, prefix="user:none").seconds == 0
