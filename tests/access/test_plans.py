"""A check asks indexes of what holds now, however much has ended; and the audit's pages come from indexes as well."""

import pytest

from llmspell.access.check import Demand
from llmspell.access.records import Selection, grants_query, records_query
from llmspell.model.ids import id_text
from llmspell.model.scope import GLOBAL, Scope

B = Scope.agent("b")


@pytest.fixture
def plan(face, store):
    def read(sql, args):
        # Both faces keep the engine in the same place.
        inner = getattr(store, "_inner", store)
        files = inner._files
        rows = files.engine.read(lambda view: view.all(f"EXPLAIN QUERY PLAN {sql}", tuple(args)))
        return [row[3] for row in rows]

    return read


@pytest.mark.parametrize("scope", [
    GLOBAL, Scope.agent("a"), Scope.step("w", "s"), Scope.session(id_text(b"0" * 16)), B,
], ids=str)  # fmt: skip
def test_a_check_searches_open_rows_only(plan, scope):
    demand = Demand(B, scope, 1)
    steps = [step for step in plan(demand.sql, demand.args(0)) if "SCAN" in step or "SEARCH" in step]
    assert steps
    for step in steps:
        found = "SEARCH" in step and "_open" in step
        assert found or "SCAN CONSTANT ROW" in step, step


@pytest.mark.parametrize("chosen,index", [
    (Selection(), "access_grant_since"), (Selection(principal=B.name), "access_grant"),
    (Selection(scope=B.name), "access_grant"), (Selection(about=B.name), "access_grant"),
])  # fmt: skip
def test_a_page_of_grants_scans_nothing_that_has_ended(plan, chosen, index):
    sql, args = grants_query(chosen, 0, 1 << 62, 10)
    for step in plan(sql, args):
        assert "SCAN" not in step, step
        if "SEARCH" in step:
            assert index in step


@pytest.mark.parametrize("chosen,index", [
    (Selection(), "PRIMARY KEY"), (Selection(principal=B.name), "access_record_principal"),
    (Selection(scope=B.name), "access_record_scope"), (Selection(about=B.name), "access_record_"),
])  # fmt: skip
def test_a_page_of_the_audit_comes_from_an_index(plan, chosen, index):
    sql, args = records_query(chosen, 1 << 62, 10)
    steps = plan(sql, args)
    assert not [step for step in steps if "SCAN" in step]
    assert [step for step in steps if index in step]
