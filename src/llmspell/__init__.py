"""llmspell: the durable memory of LLM agents and scripts.

    import llmspell

    with llmspell.open("agents") as store, store.session("Research", tags=["nlp"]) as session:
        session.state.set("topic", "bees")
        session.artifacts.put("report.md", "# Bees")

``open`` gives a store for threads, ``open_async`` one for asyncio; both have the same rooms. Everything public is a
name of this module; names load what they need when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {
    "open": "llmspell.sync.opening",
    "open_async": "llmspell.opening",
    "Store": "llmspell.sync.faces",
    "Session": "llmspell.sync.faces",
    "AsyncStore": "llmspell.store",
    "AsyncSession": "llmspell.sessions.session",
    "current_session": "llmspell.sessions.session",
    "carry_context": "llmspell.model.context",
    "Scope": "llmspell.model.scope",
    "Count": "llmspell.model.count",
    "SessionInfo": "llmspell.sessions.info",
    "SessionQuery": "llmspell.sessions.query",
    "SessionTree": "llmspell.sessions.family",
    "SessionChange": "llmspell.sessions.history",
    **dict.fromkeys(("SessionConfig", "SessionLimits", "SessionRetention"), "llmspell.sessions.config"),
    "RetentionPolicy": "llmspell.sessions.retention",
    "SessionStatus": "llmspell.model.session",
    "Checkpoint": "llmspell.sessions.info",
    "Schema": "llmspell.schemas.schema",
    "Field": "llmspell.schemas.field",
    "View": "llmspell.sync.faces",
    "AsyncView": "llmspell.views",
    "Written": "llmspell.model.values",
    "StateEntry": "llmspell.state.values",
    "StateChange": "llmspell.state.values",
    "StateDifference": "llmspell.state.values",
    **dict.fromkeys(
        ("AgentState", "AgentMessage", "ToolUsage", "AgentInfo", "AgentChange"), "llmspell.agentstate.values"
    ),
    "ArtifactInfo": "llmspell.artifacts.info",
    "ArtifactDiff": "llmspell.artifacts.diff",
    "CaptureRule": "llmspell.artifacts.captures.rule",
    **dict.fromkeys(("Capture", "CaptureCount"), "llmspell.artifacts.captures.answer"),
    "ArtifactQuota": "llmspell.artifacts.quotas",
    "ArtifactRevision": "llmspell.artifacts.revising",
    **dict.fromkeys(("Lineage", "Relation", "Relative"), "llmspell.artifacts.relations.lineage"),
    **dict.fromkeys(("ArtifactGrant", "ArtifactAccess"), "llmspell.artifacts.grants.records"),
    "ExportReport": "llmspell.artifacts.bundles.exporting",
    "ImportReport": "llmspell.artifacts.bundles.importing",
    **dict.fromkeys(("BatchItem", "BatchReport"), "llmspell.artifacts.batch"),
    **dict.fromkeys(("CollectReport", "Orphans"), "llmspell.artifacts.collect"),
    "Event": "llmspell.events.event",
    "Position": "llmspell.events.event",
    "Overflow": "llmspell.events.buffer",
    "Right": "llmspell.access.rights",
    "Grant": "llmspell.access.records",
    "AccessRecord": "llmspell.access.records",
    "Principal": "llmspell.sync.faces",
    "AsyncPrincipal": "llmspell.principals.handle",
    "Pipeline": "llmspell.principals.sharing",
    "Entry": "llmspell.model.entry",
    "Page": "llmspell.model.page",
    "Redactor": "llmspell.security.redaction",
    "Verification": "llmspell.verify",
    "HookContext": "llmspell.hooks.context",
    "Priority": "llmspell.hooks.hook",
    **dict.fromkeys(
        ("Continue", "Modified", "Cancel", "Replace", "Redirect", "Retry", "Fork", "Cache", "Skipped"),
        "llmspell.hooks.results",
    ),
    **dict.fromkeys(
        (
            "LlmspellError", "NotFound", "StoreMissing", "Compacted", "AlreadyExists", "Conflict", "InvalidInput",
            "LimitExceeded", "Vetoed", "AccessDenied", "ReadOnly", "Busy", "StorageFailed", "Corrupt", "ScriptFailed",
            "Diverged", "WrongKey", "NeedsMigration",
        ),
        "llmspell.errors",
    ),
}  # fmt: skip

if TYPE_CHECKING:
    from llmspell.access.records import AccessRecord as AccessRecord
    from llmspell.access.records import Grant as Grant
    from llmspell.access.rights import Right as Right
    from llmspell.agentstate.values import AgentChange as AgentChange
    from llmspell.agentstate.values import AgentInfo as AgentInfo
    from llmspell.agentstate.values import AgentMessage as AgentMessage
    from llmspell.agentstate.values import AgentState as AgentState
    from llmspell.agentstate.values import ToolUsage as ToolUsage
    from llmspell.artifacts.batch import BatchItem as BatchItem
    from llmspell.artifacts.batch import BatchReport as BatchReport
    from llmspell.artifacts.bundles.exporting import ExportReport as ExportReport
    from llmspell.artifacts.bundles.importing import ImportReport as ImportReport
    from llmspell.artifacts.captures.answer import Capture as Capture
    from llmspell.artifacts.captures.answer import CaptureCount as CaptureCount
    from llmspell.artifacts.captures.rule import CaptureRule as CaptureRule
    from llmspell.artifacts.collect import CollectReport as CollectReport
    from llmspell.artifacts.collect import Orphans as Orphans
    from llmspell.artifacts.diff import ArtifactDiff as ArtifactDiff
    from llmspell.artifacts.grants.records import ArtifactAccess as ArtifactAccess
    from llmspell.artifacts.grants.records import ArtifactGrant as ArtifactGrant
    from llmspell.artifacts.info import ArtifactInfo as ArtifactInfo
    from llmspell.artifacts.quotas import ArtifactQuota as ArtifactQuota
    from llmspell.artifacts.relations.lineage import Lineage as Lineage
    from llmspell.artifacts.relations.lineage import Relation as Relation
    from llmspell.artifacts.relations.lineage import Relative as Relative
    from llmspell.artifacts.revising import ArtifactRevision as ArtifactRevision
    from llmspell.errors import AccessDenied as AccessDenied
    from llmspell.errors import AlreadyExists as AlreadyExists
    from llmspell.errors import Busy as Busy
    from llmspell.errors import Compacted as Compacted
    from llmspell.errors import Conflict as Conflict
    from llmspell.errors import Corrupt as Corrupt
    from llmspell.errors import Diverged as Diverged
    from llmspell.errors import InvalidInput as InvalidInput
    from llmspell.errors import LimitExceeded as LimitExceeded
    from llmspell.errors import LlmspellError as LlmspellError
    from llmspell.errors import NeedsMigration as NeedsMigration
    from llmspell.errors import NotFound as NotFound
    from llmspell.errors import ReadOnly as ReadOnly
    from llmspell.errors import ScriptFailed as ScriptFailed
    from llmspell.errors import StorageFailed as StorageFailed
    from llmspell.errors import StoreMissing as StoreMissing
    from llmspell.errors import Vetoed as Vetoed
    from llmspell.errors import WrongKey as WrongKey
    from llmspell.events.buffer import Overflow as Overflow
    from llmspell.events.event import Event as Event
    from llmspell.events.event import Position as Position
    from llmspell.hooks.context import HookContext as HookContext
    from llmspell.hooks.hook import Priority as Priority
    from llmspell.hooks.results import Cache as Cache
    from llmspell.hooks.results import Cancel as Cancel
    from llmspell.hooks.results import Continue as Continue
    from llmspell.hooks.results import Fork as Fork
    from llmspell.hooks.results import Modified as Modified
    from llmspell.hooks.results import Redirect as Redirect
    from llmspell.hooks.results import Replace as Replace
    from llmspell.hooks.results import Retry as Retry
    from llmspell.hooks.results import Skipped as Skipped
    from llmspell.model.context import carry_context as carry_context
    from llmspell.model.count import Count as Count
    from llmspell.model.entry import Entry as Entry
    from llmspell.model.page import Page as Page
    from llmspell.model.scope import Scope as Scope
    from llmspell.model.session import SessionStatus as SessionStatus
    from llmspell.model.values import Written as Written
    from llmspell.opening import open_async as open_async
    from llmspell.principals.handle import AsyncPrincipal as AsyncPrincipal
    from llmspell.principals.sharing import Pipeline as Pipeline
    from llmspell.schemas.field import Field as Field
    from llmspell.schemas.schema import Schema as Schema
    from llmspell.security.redaction import Redactor as Redactor
    from llmspell.sessions.config import SessionConfig as SessionConfig
    from llmspell.sessions.config import SessionLimits as SessionLimits
    from llmspell.sessions.config import SessionRetention as SessionRetention
    from llmspell.sessions.family import SessionTree as SessionTree
    from llmspell.sessions.history import SessionChange as SessionChange
    from llmspell.sessions.info import Checkpoint as Checkpoint
    from llmspell.sessions.info import SessionInfo as SessionInfo
    from llmspell.sessions.query import SessionQuery as SessionQuery
    from llmspell.sessions.retention import RetentionPolicy as RetentionPolicy
    from llmspell.sessions.session import AsyncSession as AsyncSession
    from llmspell.sessions.session import current_session as current_session
    from llmspell.state.values import StateChange as StateChange
    from llmspell.state.values import StateDifference as StateDifference
    from llmspell.state.values import StateEntry as StateEntry
    from llmspell.store import AsyncStore as AsyncStore
    from llmspell.sync.faces import Principal as Principal
    from llmspell.sync.faces import Session as Session
    from llmspell.sync.faces import Store as Store
    from llmspell.sync.faces import View as View
    from llmspell.sync.opening import open as open  # noqa: A004 - the name of the face
    from llmspell.verify import Verification as Verification
    from llmspell.views import AsyncView as AsyncView

__all__ = ["__version__", *_PLACES]  # noqa: PLE0604 - the names of the table above


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'llmspell' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(place), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
