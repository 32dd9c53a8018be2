"""An agent's record as bytes: checked, encoded part by part, and compared with what the store has.

The comparison needs no reading: a loaded record remembers the digests of its parts and the hash of the entry that made
it so. That hash commits to everything before it, so a record is never taken for one of another store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from blake3 import blake3

from llmspell.agentstate.splice import Splice, splice
from llmspell.agentstate.values import AgentMessage, AgentState, ToolUsage
from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model import limits
from llmspell.model.clock import to_datetime, to_ns
from llmspell.model.labels import check_label
from llmspell.model.telling import told
from llmspell.model.values import encode_value

Scan = Callable[[Any], Any]
"""A JSON value as it is to be written, secrets replaced."""
NULL = msgspec.Raw(b"null")


class Body(msgspec.Struct, omit_defaults=True):
    """A message as it stands in its entry."""

    role: str
    content: Any
    metadata: dict[str, Any] = {}


class Totals(msgspec.Struct):
    """A tool's totals as they stand in an entry; the time is nanoseconds since 1970."""

    calls: int
    failures: int
    total_ms: float
    last_used_at: int | None


def usage_of(totals: Totals) -> ToolUsage:
    """The totals as callers see them."""
    last = None if totals.last_used_at is None else to_datetime(totals.last_used_at)
    return ToolUsage(totals.calls, totals.failures, totals.total_ms, last)


def digest_of(encoded: bytes | msgspec.Raw) -> bytes:
    """What parts are compared by, within this process."""
    return blake3(encoded).digest(16)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A record's parts as JSON: fields, tools' totals, messages in order."""

    fields: dict[str, bytes]
    tools: dict[str, bytes]
    messages: list[bytes]


@dataclass(frozen=True, slots=True)
class Base:
    """The record in the store that a change starts from, as digests. ``hash`` is that of its newest entry, in hex."""

    agent_id: str
    version: int
    hash: str
    fields: dict[str, bytes] = field(default_factory=dict)
    tools: dict[str, bytes] = field(default_factory=dict)
    messages: tuple[tuple[int, bytes], ...] = ()
    next_number: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """What a save writes. ``messages`` are (number, JSON, whether it is put inside the conversation)."""

    fields: dict[str, msgspec.Raw]
    tools: dict[str, msgspec.Raw]
    splice: Splice
    messages: list[tuple[int, msgspec.Raw, bool]]

    @property
    def empty(self) -> bool:
        """Whether the record is as it was."""
        return not self.messages and not self.beyond_messages

    @property
    def beyond_messages(self) -> bool:
        """Whether there is more to it than messages that come: then an entry of its own says what."""
        return bool(self.fields or self.tools or self.splice.dropped or self.splice.moved)

    @property
    def names(self) -> list[str]:
        """Names of the fields that change."""
        spliced = self.messages or self.splice.dropped or self.splice.moved
        return [*self.fields, *(("tool_usage",) if self.tools else ()), *(("conversation",) if spliced else ())]


def change_to(new: Encoded, base: Base) -> tuple[Change, Base]:
    """What leads from ``base`` to ``new``, and the base that there is then (without its version and hash)."""
    fields = {name: digest_of(text) for name, text in new.fields.items()}
    tools = {tool: digest_of(text) for tool, text in new.tools.items()}
    digests = [digest_of(text) for text in new.messages]
    steps = splice(base.messages, digests, base.next_number)
    if len(steps.added) > limits.AGENT_MESSAGES_SAVED_MAX:
        raise LimitExceeded(
            f"{len(steps.added):,} messages are new; one save takes at most {limits.AGENT_MESSAGES_SAVED_MAX:,}",
            code="too-many-messages",
            hint="append them in several steps",
        )
    before = DEFAULT_DIGESTS | base.fields
    changed_tools = {tool: msgspec.Raw(new.tools[tool]) for tool in tools if base.tools.get(tool) != tools[tool]}
    changed_tools |= {tool: NULL for tool in base.tools if tool not in tools}
    change = Change(
        {name: msgspec.Raw(new.fields[name]) for name in fields if before[name] != fields[name]},
        changed_tools,
        steps,
        [
            (number, msgspec.Raw(new.messages[index]), number < base.next_number or bool(steps.moved))
            for index, number in steps.added
        ],
    )
    after = Base(
        base.agent_id, 0, "", fields, tools, tuple(zip(steps.numbers, digests, strict=True)), steps.next_number
    )
    return change, after


# -- checking and encoding ---------------------------------------------------------------------------------------------


def _table(name: str, value: Any) -> Any:
    if type(value) is not dict:
        raise InvalidInput(f"{name} is a dict, not a {type(value).__name__}", code="invalid-agent", field=name)
    return value


def _any(_name: str, value: Any) -> Any:
    return value


def _names(name: str, value: Any) -> list[str]:
    if type(value) is not list:
        raise InvalidInput(f"{name} is a list of str, not a {type(value).__name__}", code="invalid-agent", field=name)
    return [check_label(one, "a tool's name") for one in value]


FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "agent_type": lambda _name, value: check_label(value, "an agent's type", empty=True),
    "context_variables": _table,
    "execution_state": _any,
    "custom_data": _table,
    "configuration": _table,
    "tools": _names,
    "permissions": _table,
    "workflow_progress": _table,
    "metadata": _table,
    "schema_version": lambda _name, value: check_label(value, "a schema version", chars_max=limits.TAG_CHARS_MAX),
}
"""The fields of a record that are written whole when they change, with their checks."""


def fields_of(state: AgentState) -> dict[str, Any]:
    """The values of those fields."""
    return {name: getattr(state, name) for name in FIELDS}


def encode_fields(values: Mapping[str, Any], scan: Scan | None) -> dict[str, bytes]:
    """The fields as JSON. Raises InvalidInput, whose message begins with the field's name, LimitExceeded."""
    return {name: encode_part(name, check(name, values[name]), scan) for name, check in FIELDS.items()}


def encode_part(name: str, value: Any, scan: Scan | None) -> bytes:
    """A value as JSON, scanned; what is wrong with it is said with the field's name."""
    try:
        encoded = encode_value(value)
        return encoded if scan is None else encode_value(scan(value))
    except (InvalidInput, LimitExceeded) as exc:
        details = {**exc.details, "field": name}
        raise type(exc)(f"{name}: {exc.message}", code=exc.code, hint=exc.hint, **details) from None


def encode_message(role: str, content: Any, metadata: Mapping[str, Any] | None, scan: Scan | None) -> bytes:
    """A message as JSON. Raises InvalidInput, LimitExceeded."""
    message: dict[str, Any] = {"role": check_label(role, "a message's role"), "content": content}
    if metadata:
        message["metadata"] = _table("a message's metadata", metadata)
    elif metadata is not None and type(metadata) is not dict:
        _table("a message's metadata", metadata)
    return encode_part("message", message, scan)


def encode_conversation(messages: Any, scan: Scan | None) -> list[bytes]:
    """Messages as JSON, in order. Raises InvalidInput naming the one that is wrong, LimitExceeded."""
    if type(messages) is not list:
        raise InvalidInput(f"conversation is a list, not a {type(messages).__name__}", code="invalid-agent")
    encoded = []
    for place, message in enumerate(messages):
        if not isinstance(message, AgentMessage):
            raise InvalidInput(
                f"conversation[{place}] is a {type(message).__name__}, not an AgentMessage",
                code="invalid-agent",
                hint="AgentMessage(role, content, metadata)",
            )
        try:
            encoded.append(encode_message(message.role, message.content, message.metadata, scan))
        except (InvalidInput, LimitExceeded) as exc:
            where = f"conversation[{place}]: {exc.message}"
            raise type(exc)(where, code=exc.code, hint=exc.hint, **exc.details) from None
    return encoded


def encode_tools(usages: Any) -> dict[str, bytes]:
    """Tools' totals as JSON, by tool. Raises InvalidInput."""
    _table("tool_usage", usages)
    encoded = {
        check_tool(tool): encode_value(msgspec.to_builtins(_totals(tool, usage))) for tool, usage in usages.items()
    }
    if len(encoded) != len(usages):
        raise InvalidInput("tool_usage: two of the names are spellings of one name", code="duplicate-key")
    return encoded


def check_tool(tool: str) -> str:
    """A tool's name. Raises InvalidInput (``invalid-name``)."""
    return check_label(tool, "a tool's name")


def check_ms(ms: float) -> float:
    """A time in milliseconds. Raises InvalidInput (``invalid-duration``)."""
    if type(ms) not in (int, float) or not 0 <= ms < limits.AGENT_TOOL_MS_MAX:
        raise InvalidInput(f"ms is a number of milliseconds from 0 on, not {told(ms)}", code="invalid-duration")
    return float(ms)


def _totals(tool: str, usage: Any) -> Totals:
    if not isinstance(usage, ToolUsage):
        raise InvalidInput(
            f"tool_usage[{tool!r}] is a {type(usage).__name__}, not a ToolUsage", code="invalid-agent", tool=tool
        )
    counts = (usage.calls, usage.failures)
    if any(type(count) is not int or not 0 <= count < 1 << 62 for count in counts) or usage.failures > usage.calls:
        raise InvalidInput(
            f"tool_usage[{tool!r}] counts {usage.calls!r} calls and {usage.failures!r} failures",
            code="invalid-agent",
            tool=tool,
        )
    last = usage.last_used_at
    if last is not None and (type(last) is not datetime or last.tzinfo is None):
        raise InvalidInput(
            f"tool_usage[{tool!r}].last_used_at is an aware datetime or None, not {last!r}",
            code="invalid-agent",
            tool=tool,
        )
    total = usage.total_ms
    if type(total) not in (int, float) or not 0 <= total < float("inf"):
        raise InvalidInput(
            f"tool_usage[{tool!r}].total_ms is a number of milliseconds from 0 on, not {str(total)[:40]}",
            code="invalid-agent",
            tool=tool,
        )
    return Totals(usage.calls, usage.failures, float(total), None if last is None else to_ns(last))


def encode_state(state: AgentState, scan: Scan | None) -> Encoded:
    """A whole record as JSON, each part checked."""
    return Encoded(
        encode_fields(fields_of(state), scan),
        encode_tools(state.tool_usage),
        encode_conversation(state.conversation, scan),
    )


def scanned(name: str, encoded: bytes, scan: Scan) -> bytes:
    """An encoded part with its secrets replaced; itself when it has none. Raises LimitExceeded."""
    value = msgspec.json.decode(encoded)
    clean = scan(value)
    return encoded if clean is value else encode_part(name, clean, None)


def scanned_state(plain: Encoded, scan: Scan) -> Encoded:
    """A whole record with its secrets replaced."""
    fields = {name: scanned(name, text, scan) for name, text in plain.fields.items()}
    messages = [scanned(f"conversation[{place}]", text, scan) for place, text in enumerate(plain.messages)]
    return Encoded(fields, plain.tools, messages)


DEFAULTS: dict[str, bytes] = encode_fields(fields_of(AgentState("default")), None)
"""What a field that was never written holds."""
DEFAULT_DIGESTS = {name: digest_of(text) for name, text in DEFAULTS.items()}
