"""What the journal says about agents' records: the payloads of its entries.

Every entry carries the version that the record has from then on; those of one save carry the same.
"""

from __future__ import annotations

import msgspec

from llmspell.model.scope import Scope


class _OfAgent(msgspec.Struct, omit_defaults=True):
    agent_id: str
    version: int

    @property
    def scope(self) -> str:
        """Name of the agent's scope, whose journal salt its subject has."""
        return Scope.agent(self.agent_id).name


class AgentSaved(_OfAgent):
    """Parts of an agent's record changed; new messages of the same save follow as entries of their own.

    ``fields`` are those with a new value; ``tools`` new totals by tool, null where one was removed. ``dropped`` are
    ranges of messages (first and last number) that left the conversation; ``moved`` ranges whose numbers grew by the
    third figure, which made room for messages put between others.
    """

    created: bool = False
    fields: dict[str, msgspec.Raw] = {}
    tools: dict[str, msgspec.Raw] = {}
    dropped: list[tuple[int, int]] = []
    moved: list[tuple[int, int, int]] = []


class AgentMessageAppended(_OfAgent):
    """A message came to the end of an agent's conversation: ``role``, ``content`` and, if any, ``metadata``."""

    number: int
    message: msgspec.Raw


class AgentMessagePlaced(AgentMessageAppended):
    """A message was put inside the conversation: in the place of the one that had its number, or between others."""


class AgentToolUsed(_OfAgent):
    """A tool was called. ``usage`` are the tool's totals with this call."""

    tool: str
    ms: float
    ok: bool
    usage: msgspec.Raw


class AgentDeleted(_OfAgent):
    """An agent's record was deleted. It takes a version of its own, so that an agent's versions never repeat."""
