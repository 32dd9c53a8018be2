"""All operations, by the name they have at an engine's port, and names that this version knows but does not have."""

from __future__ import annotations

from types import MappingProxyType

from llmspell.operations import (
    artifact_captures,
    artifact_care,
    artifact_links,
    artifacts,
    events,
    hooks,
    migrations,
    session_finding,
    session_forks,
    session_life,
    session_state,
    sessions,
    state,
    tools,
)
from llmspell.operations.operation import Operation
from llmspell.operations.types import camel

OPERATIONS: tuple[Operation, ...] = (
    *state.OPERATIONS, *migrations.OPERATIONS, *sessions.OPERATIONS, *session_finding.OPERATIONS,
    *session_forks.OPERATIONS,
    *session_life.OPERATIONS, *session_state.OPERATIONS, *artifacts.OPERATIONS, *artifact_links.OPERATIONS,
    *artifact_captures.OPERATIONS, *artifact_care.OPERATIONS,
    *hooks.OPERATIONS, *events.OPERATIONS, *tools.OPERATIONS,
)  # fmt: skip
BY_NAME = MappingProxyType({
    operation.title: operation for operation in (*OPERATIONS, *tools.ENGINE)
})  # fmt: skip
"""Operations by title, their name at an engine's port; its own calls (``print``, ``clock.now`` …) are among them."""

_ABSENT = {
    "State": ("create_backup list_backups restore_backup validate_backup get_storage_usage cleanup_backups query all"),
    "Session": (
        "can_replay replay get_replay_metadata list_replayable export"
        " start_replay step continue set_breakpoint create_backup"
    ),
    "Artifact": "export",
    "Event": "query receive_batch subscription_stats unsubscribe_pattern",
    "Hook": "enable disable enable_builtin disable_builtin is_builtin_enabled history",
    "Config": "set",
}
ABSENT = MappingProxyType({
    space: tuple(dict.fromkeys(style for name in names.split() for style in (name, camel(name))))
    for space, names in _ABSENT.items()
})  # fmt: skip
"""Functions of the original project, and of issues to come, that are refused by name."""
ABSENT_NAMESPACES = ("Replay", "Agent", "Tool", "Workflow", "Streaming", "Security")
"""Globals of which this version has nothing: using any function of theirs is refused by name."""


def bindings() -> dict[str, dict[str, str]]:
    """Namespace to {script name: title}, as engines take it. A namespace with a dot is a table in another."""
    found: dict[str, dict[str, str]] = {}
    for operation in OPERATIONS:
        names = found.setdefault(operation.namespace, {})
        for name in operation.script_names:
            if name in names:
                raise ValueError(f"{operation.namespace}.{name} is two operations: {names[name]}, {operation.title}")
            names[name] = operation.title
    return found


def nested_callbacks() -> frozenset[str]:
    """Operations that take functions inside of tables."""
    return frozenset({"Hook.register"})
