from __future__ import annotations

from typing import Any

import pytest

from llmspell.hooks import Cache, Cancel, Continue, Fork, Modified, Redirect, Replace, Retry, Skipped
from llmspell.hooks.points import HANDED, RULES, markdown, rule_of, table
from llmspell.hooks.results import RESULT_TYPES
from llmspell.model.names import POINT_NAMES

DATA = {
    "key": "k",
    "name": "n",
    "value": 1,
    "tags": [],
    "metadata": {},
    "reason": "r",
    "data": {},
    "old_value": 0,
    "version": 2,
}
FIELD_VALUES: dict[str, Any] = {
    "value": 2,
    "tags": ["t"],
    "mime_type": "text/plain",
    "metadata": {"a": 1},
    "reason": "s",
    "data": [1],
    "name": "n",
    "role": "user",
    "content": [1],
    "conversation": [{"role": "user", "content": 1}],
    "context_variables": {"a": 1},
    "execution_state": "busy",
    "custom_data": {"a": 1},
    "configuration": {"a": 1},
    "tools": ["web"],
    "permissions": {"web": ["read"]},
    "workflow_progress": {"a": 1},
}
OBSERVED_ROOMS = ("after_state_", "after_session_", "after_artifact_", "after_agent_save", "after_agent_append")
OBSERVED_ONLY = {point for point in POINT_NAMES if point.startswith(OBSERVED_ROOMS)}
OBSERVED_ONLY -= {"after_state_get"}


def sample(kind, point):
    fields = RULES[point].fields if point in RULES else None
    changed = {"value": 2} if not fields else {name: FIELD_VALUES[name] for name in fields}
    return {
        Continue: Continue(),
        Modified: Modified(changed),
        Cancel: Cancel("no"),
        Replace: Replace(5),
        Redirect: Redirect("other"),
        Retry: Retry(0, 1),
        Fork: Fork([{"id": 1}]),
        Cache: Cache("k", 1),
        Skipped: Skipped("not mine"),
    }[kind]


@pytest.mark.parametrize("kind", RESULT_TYPES, ids=lambda kind: kind.__name__)
def test_a_result_is_accepted_exactly_where_the_table_allows_it(kind, face):
    for point in (*sorted(POINT_NAMES), "mine.own"):
        hooks = face.hooks()
        answers = [sample(kind, point)]
        hooks.register(point, lambda _, answers=answers: answers.pop() if answers else None)
        outcome = face.ask(hooks, point, DATA)
        refused = outcome.reports[0].verdict == "failed"
        assert refused is (kind not in rule_of(point).effects), point
        if refused:
            assert hooks.failures()[0].code == "invalid-result"
            assert (outcome.data, outcome.decision) == (DATA, None)


def test_after_points_of_the_rooms_only_observe():
    for point in OBSERVED_ONLY:
        assert set(RULES[point].effects) == {Continue, Skipped}, point


def test_every_before_point_of_the_rooms_can_refuse_and_none_is_without_a_rule():
    for point in POINT_NAMES:
        assert not point.startswith("before_") or Cancel in RULES[point].effects, point
    assert set(RULES) == POINT_NAMES


def test_denial_is_possible_exactly_where_the_operation_can_still_be_refused():
    for point, rule in RULES.items():
        assert rule.deniable is (Cancel in rule.effects or point == "after_state_get"), point


def test_custom_points_and_agents_allow_every_result():
    assert set(HANDED.effects) == set(RESULT_TYPES)
    assert rule_of("mine.own") is HANDED
    assert rule_of("before_agent_execution") is HANDED
    assert rule_of("tool_error") is HANDED


def test_the_table_for_the_documents_has_every_point_and_every_allowed_pair():
    text = markdown()
    assert all(f"`{point}`" in text for point in (*POINT_NAMES, "(custom)"))
    pairs = {(point, result) for point, result, _ in table()}
    assert ("before_state_set", "redirect") in pairs
    assert ("before_state_get", "replace") in pairs
    assert ("after_state_set", "modified") not in pairs
    assert all("{" not in effect for _, _, effect in table())
    assert all(line.count("|") == 4 for line in text.splitlines())
