"""An agent's record, as it is saved and loaded, and what else the room gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmspell.agentstate.encoded import Base


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """One message of a conversation. ``content`` is any JSON value, ``metadata`` the caller's own fields.

    ``number`` (its place in the conversation), ``seq`` (its entry) and ``time`` are the store's, 0 and None before the
    message is in it; they do not count when messages are compared.
    """

    role: str
    content: Any
    metadata: dict[str, Any] = field(default_factory=dict)
    number: int = field(default=0, compare=False)
    seq: int = field(default=0, compare=False)
    time: datetime | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "role": self.role,
            "content": self.content,
            "metadata": self.metadata,
            "number": self.number,
            "seq": self.seq,
            "time": self.time and self.time.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class ToolUsage:
    """How an agent used one tool: calls, how many of them failed, their time together, and when the last one was."""

    calls: int = 0
    failures: int = 0
    total_ms: float = 0.0
    last_used_at: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "calls": self.calls,
            "failures": self.failures,
            "total_ms": self.total_ms,
            "last_used_at": self.last_used_at and self.last_used_at.isoformat(),
        }


@dataclass(slots=True)
class AgentState:
    """Everything kept of one agent: change it as you like and save it.

    ``version`` is that of the record as it was loaded or last saved, 0 for one that was not; a save relies on it. It,
    ``created_at`` and ``updated_at`` are set by the store.
    """

    agent_id: str
    agent_type: str = ""
    conversation: list[AgentMessage] = field(default_factory=list)
    context_variables: dict[str, Any] = field(default_factory=dict)
    tool_usage: dict[str, ToolUsage] = field(default_factory=dict)
    execution_state: Any = "idle"
    custom_data: dict[str, Any] = field(default_factory=dict)
    configuration: dict[str, Any] = field(default_factory=dict)
    tools: list[str] = field(default_factory=list)
    permissions: dict[str, Any] = field(default_factory=dict)
    workflow_progress: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    schema_version: str = "1.0.0"
    version: int = field(default=0, init=False)
    created_at: datetime | None = field(default=None, init=False, compare=False)
    updated_at: datetime | None = field(default=None, init=False, compare=False)
    _base: Base | None = field(default=None, init=False, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "agent_id": self.agent_id,
            "agent_type": self.agent_type,
            "conversation": [message.to_dict() for message in self.conversation],
            "context_variables": self.context_variables,
            "tool_usage": {tool: usage.to_dict() for tool, usage in self.tool_usage.items()},
            "execution_state": self.execution_state,
            "custom_data": self.custom_data,
            "configuration": self.configuration,
            "tools": self.tools,
            "permissions": self.permissions,
            "workflow_progress": self.workflow_progress,
            "metadata": self.metadata,
            "schema_version": self.schema_version,
            "version": self.version,
            "created_at": self.created_at and self.created_at.isoformat(),
            "updated_at": self.updated_at and self.updated_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """What a list says about an agent. ``messages`` counts its conversation, ``seq`` is its newest entry."""

    agent_id: str
    agent_type: str
    version: int
    messages: int
    seq: int
    created_at: datetime
    updated_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "agent_id": self.agent_id,
            "agent_type": self.agent_type,
            "version": self.version,
            "messages": self.messages,
            "seq": self.seq,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class AgentChange:
    """One entry of an agent's history. ``operation`` is the kind without its room, ``message_appended`` for one;
    ``data`` the entry's payload, None when that was erased.
    """

    agent_id: str
    operation: str
    version: int
    data: dict[str, Any] | None
    seq: int
    time: datetime
    session: str | None
    correlation_id: str

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "agent_id": self.agent_id,
            "operation": self.operation,
            "version": self.version,
            "data": self.data,
            "seq": self.seq,
            "time": self.time.isoformat(),
            "session": self.session,
            "correlation_id": self.correlation_id,
        }
