"""What scripts see of sessions, artifacts, events and entries: the field names of the original project, and ours.

A field without a value is left out, so that ``if info.description then`` asks what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from llmspell.artifacts.info import ArtifactInfo
    from llmspell.events.event import Event
    from llmspell.hooks.context import HookContext
    from llmspell.model.entry import Entry
    from llmspell.model.page import Page
    from llmspell.sessions.info import SessionInfo
    from llmspell.state.values import StateChange, StateEntry

T = TypeVar("T")


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def listed(page: Page[T], table: Callable[[T], dict[str, Any]], *, paged: bool) -> Any:
    """A page as a list of tables; ``paged``: as {items, next_cursor}, which is the only way to learn of a next one."""
    items = [table(item) for item in page]
    return present({"items": items, "next_cursor": page.next_cursor}) if paged else items


def session_table(info: SessionInfo) -> dict[str, Any]:
    """A session. ``custom_metadata`` is ``metadata``, ``parent_session_id`` is ``parent``."""
    fields = info.to_dict()
    return present({**fields, "custom_metadata": fields["metadata"], "parent_session_id": fields["parent"]})


def artifact_id(info: ArtifactInfo) -> dict[str, Any]:
    """What names exactly one artifact version. ``id`` alone does; the rest says what it is."""
    return {
        "id": info.id, "content_hash": info.digest, "session_id": info.session, "sequence": info.version,
        "name": info.name, "version": info.version,
    }  # fmt: skip


def artifact_table(info: ArtifactInfo) -> dict[str, Any]:
    """An artifact's metadata. ``artifact_type`` is the type as it was given, ``custom`` what the caller added."""
    return present({
        **artifact_id(info), "artifact_type": info.type, "type": info.type, "mime_type": info.mime_type,
        "description": info.description, "tags": info.tags, "custom": info.metadata, "metadata": info.metadata,
        "size": info.size, "original_size": info.size, "stored_size": info.stored_size,
        "is_compressed": info.compression != "none", "compression": info.compression,
        "created_at": info.created_at.isoformat(), "updated_at": info.updated_at.isoformat(),
        "derived_from": info.derived_from, "parent_artifact": info.derived_from[0] if info.derived_from else None,
    })  # fmt: skip


def event_table(event: Event) -> dict[str, Any]:
    """An event. ``event_type`` and ``type`` are the same, ``sequence`` is its place in the journal."""
    about = present({
        "correlation_id": event.correlation_id, "source": event.source, "target": event.target,
        "tags": list(event.tags), "priority": event.priority,
    })  # fmt: skip
    return present({
        "id": event.id, "event_type": event.type, "type": event.type, "data": event.data,
        "timestamp": event.time.isoformat(), "sequence": event.seq, "correlation_id": event.correlation_id,
        "session": event.session, "cause": event.cause, "actor": event.actor, "system": event.system,
        "metadata": about, "serialization_version": "1.0",
    })  # fmt: skip


def entry_table(entry: Entry) -> dict[str, Any]:
    """An entry of the journal."""
    return present(entry.to_dict())


def value_table(entry: StateEntry) -> dict[str, Any]:
    """A key's value with its version."""
    return present(entry.to_dict())


def change_table(change: StateChange) -> dict[str, Any]:
    """One step of a key's history."""
    return present(change.to_dict())


def hook_table(context: HookContext) -> dict[str, Any]:
    """What a hook's function is called with."""
    kind, _, name = context.component.partition(":")
    return present({
        "point": context.point, "component": context.component, "component_id": {"type": kind, "name": name or kind},
        "operation": context.operation, "correlation_id": context.correlation_id, "session": context.session,
        "metadata": context.metadata, "data": context.data, "cause": context.cause, "language": "lua",
    })  # fmt: skip
