from __future__ import annotations

from collections import Counter

import pytest

from llmspell.errors import InvalidInput
from llmspell.model import names

UPSTREAM = """
BeforeAgentInit AfterAgentInit BeforeAgentExecution AfterAgentExecution AgentError
BeforeAgentShutdown AfterAgentShutdown BeforeToolDiscovery AfterToolDiscovery BeforeToolExecution
AfterToolExecution ToolValidation ToolError BeforeWorkflowStart WorkflowStageTransition
BeforeWorkflowStage AfterWorkflowStage WorkflowCheckpoint WorkflowRollback AfterWorkflowComplete
WorkflowError BeforeStateRead AfterStateRead BeforeStateWrite AfterStateWrite StateConflict
StateMigration SystemStartup SystemShutdown ConfigurationChange ResourceLimitExceeded
SecurityViolation SessionStart SessionEnd SessionCheckpoint SessionRestore SessionSave
BeforeEventEmit AfterEventEmit EventHandlerError PerformanceThresholdExceeded MemoryUsageHigh
CpuUsageHigh
""".split()  # noqa: SIM905 - one word after the other reads better


@pytest.mark.parametrize("name", UPSTREAM)
def test_every_point_of_the_original_names_one_of_ours(name):
    assert names.canonical_point(name) in names.POINT_NAMES


@pytest.mark.parametrize(
    "alias,point",
    [
        ("BeforeStateWrite", "before_state_set"),
        ("AfterStateRead", "after_state_get"),
        ("SessionStart", "after_session_create"),
        ("session:start", "after_session_create"),
        ("session:end", "after_session_complete"),
        ("artifact:created", "after_artifact_put"),
        ("artifact:accessed", "after_artifact_get"),
        ("BeforeEventEmit", "before_event_publish"),
        ("BeforeStateSet", "before_state_set"),
        ("before_state_set", "before_state_set"),
        ("pipeline.validate", "pipeline.validate"),
    ],
)
def test_a_point_has_one_canonical_name_from_any_spelling(alias, point):
    assert names.canonical_point(alias) == point


@pytest.mark.parametrize(
    "name",
    ["", "befor_state_set", "nonsense", "custom:mine", "a..b", ".a", "a b.c", "x" * 400 + ".y", "x" * 400, 7, None],
)
def test_a_point_that_does_not_exist_is_refused_when_it_is_named(name):
    with pytest.raises(InvalidInput) as caught:
        names.canonical_point(name)
    assert caught.value.code == "unknown-point"


def test_a_misspelt_point_gets_the_nearest_name():
    with pytest.raises(InvalidInput) as caught:
        names.canonical_point("before_state_sett")
    assert "before_state_set" in str(caught.value.hint)


@pytest.mark.parametrize(
    "kind,point",
    [
        ("state.set", "after_state_set"),
        ("session.created", "after_session_create"),
        ("session.checkpointed", "after_session_checkpoint"),
        ("artifact.stored", "after_artifact_put"),
        ("event.published", "after_event_publish"),
        ("state.changed", "after_state_set"),
    ],
)
def test_an_event_type_is_no_custom_point_and_the_refusal_names_the_fitting_one(kind, point):
    with pytest.raises(InvalidInput) as caught:
        names.canonical_point(kind)
    assert point in str(caught.value.hint)


@pytest.mark.parametrize("room", sorted(names.ROOMS))
def test_no_custom_point_begins_with_a_room(room):
    with pytest.raises(InvalidInput):
        names.canonical_point(f"{room}.mine")


@pytest.mark.parametrize(
    "name,types",
    [
        ("state.set", ("state.set",)),
        ("state.changed", ("state.set", "state.deleted")),
        ("state:changed", ("state.set", "state.deleted")),
        ("session:start", ("session.created",)),
        ("state.moved", ("state.set", "state.deleted")),
        ("session.end", ("session.completed", "session.failed")),
        ("artifact:created", ("artifact.stored",)),
        ("data.ready", ("data.ready",)),
        ("myapp:ready", ("myapp:ready",)),
        ("session.*", ("session.*",)),
        ("session:*", ("session.*",)),
    ],
)
def test_event_types_of_the_original_stand_for_ours_and_users_own_pass(name, types):
    assert names.canonical_event_types(name) == types


@pytest.mark.parametrize("name", ["", None, 3, "x" * 300])
def test_what_cannot_be_an_event_type_is_refused(name):
    with pytest.raises(InvalidInput) as caught:
        names.canonical_event_types(name)
    assert caught.value.code == "invalid-event-type"


def test_no_spelling_means_two_things():
    for table in (names.POINTS, names.KINDS):
        spellings = Counter(spelling for row in table for spelling in (row.name, *row.aliases))
        assert [spelling for spelling, count in spellings.items() if count > 1] == []
    assert not names.GROUPS.keys() & {alias for kind in names.KINDS for alias in (kind.name, *kind.aliases)}


def test_a_group_of_one_is_an_event_type_and_no_custom_point():
    with pytest.raises(InvalidInput) as caught:
        names.canonical_point("state.cleared")
    assert "after_state_clear" in str(caught.value.hint)


def test_every_group_and_alias_leads_to_a_kind_that_exists():
    assert all(kind in names.KIND_NAMES for kinds in names.GROUPS.values() for kind in kinds)
    assert all(names.canonical_event_types(alias) == (kind.name,) for kind in names.KINDS for alias in kind.aliases)


def test_the_printed_table_has_every_point_kind_and_alias():
    rows = names.rows()
    listed = {row.canonical for row in rows} | {alias for row in rows for alias in row.aliases}
    assert {*names.POINT_NAMES, *names.KIND_NAMES, *UPSTREAM, *names.GROUPS} <= listed


def test_every_kind_that_the_rooms_write_is_in_the_table():
    from llmspell.entry_kinds import KINDS

    assert {"state.set", "session.created", "artifact.stored"} <= set(KINDS.names()) <= names.KIND_NAMES
