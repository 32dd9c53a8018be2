"""Artifact: outputs that are offered, and the rules that say which of them are captured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell.operations.artifact_found import find
from llmspell.operations.artifacts import as_text
from llmspell.operations.host import Host
from llmspell.operations.operation import Operation
from llmspell.operations.shapes import artifact_id, present
from llmspell.operations.types import (
    ANY,
    BOOL,
    INT,
    LIST,
    NAME,
    REFERENCE,
    SESSION,
    TABLE,
    TEXTS,
    Param,
    options,
)

if TYPE_CHECKING:
    from llmspell.artifacts.captures.rule import CaptureRule
    from llmspell.artifacts.captures.service import AsyncCaptures

_LISTS = {"sources", "names", "mime_types", "tags"}


async def _room(host: Host, options: Mapping[str, Any] | None) -> AsyncCaptures:
    """The captures of the session that the options name ('' is the current one), else of the store."""
    given = options or {}
    return (await host.session(given["session"])).captures if "session" in given else host.store.captures


async def _offer(host: Host, content: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(options)
    room = (await host.session(given.pop("session", None))).captures
    answer = await room.offer(content, **given)
    told = present(answer.to_dict())
    if answer.artifact is not None:
        told["artifact"] = artifact_id(answer.artifact)
    return told


async def _rules(host: Host, options: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return _told(await (await _room(host, options)).rules(**_other(options)))


async def _set_rules(host: Host, rules: list[Any], options: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return _told(await (await _room(host, options)).set_rules([_given(one) for one in rules]))


async def _set_rule(
    host: Host, rule: Mapping[str, Any], options: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    return _told(await (await _room(host, options)).set_rule(_given(rule), **_other(options)))


async def _remove_rule(host: Host, name: str, options: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return _told(await (await _room(host, options)).remove_rule(name))


async def _counts(host: Host, session: str | None = None) -> list[dict[str, Any]]:
    return [present(one.to_dict()) for one in await (await host.session(session)).captures.counts()]


async def _unseal(host: Host, artifact: str | dict[str, Any]) -> str | bytes:
    info = await find(host, artifact, None, None)
    host.keep({"id": info.id})
    return as_text(await host.store.captures.unseal(info.id))


async def _unseal_again(host: Host, _: None, kept: dict[str, Any]) -> str | bytes:
    return as_text(await host.store.captures.unseal(kept["id"]))


def _other(options: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (options or {}).items() if name != "session"}


def _given(rule: Any) -> Any:
    """A rule as a script gives it: an empty table is an empty list where a list is meant."""
    if not isinstance(rule, Mapping):
        return rule
    fields = {name: [] if name in _LISTS and value == {} else value for name, value in rule.items()}
    if fields.get("metadata") == []:
        fields["metadata"] = {}
    return fields


def _told(rules: list[CaptureRule]) -> list[dict[str, Any]]:
    return [rule.to_dict() for rule in rules]


_OFFERED = Param(
    "options",
    options(
        Param("source", NAME, "tool, agent or user"),
        Param("name", NAME, "of the tool, the agent or the input", optional=True),
        Param("mime_type", NAME, "application/json for data, text/plain for text when left out", optional=True),
        Param("metadata", TABLE, "fields of your own", optional=True),
        Param("tags", TEXTS, "labels to find it by", optional=True),
        Param("error", BOOL, "the output is an error", optional=True),
        Param("cause", INT, "the entry that led here", optional=True),
        Param("correlation", NAME, "id of one that was opened", optional=True),
        Param("record", BOOL, "an entry also when it is skipped", optional=True),
        Param(
            "session", SESSION, "id or unique name; left out: the current one", optional=True, aliases=("session_id",)
        ),
    ),
    "where it comes from",
)
_OF = Param(
    "session",
    SESSION,
    "id or unique name, '' the current one; left out: the rules of the store",
    optional=True,
    aliases=("session_id",),
)
_WHOSE = Param("options", options(_OF), "whose rules", optional=True)
_RULES = "a list of tables, one for each rule"

OPERATIONS = (
    Operation(
        "Artifact", ("offer",), ((Param("content", ANY, "text, bytes in a string, or data"), _OFFERED),),
        "a table {captured, reason, rule, owner, artifact, detail, size, redacted}",
        "Offer an output: the rules say whether it becomes an artifact.", _offer,
        errors=("no-session", "invalid-source", "entry-not-found", "correlation-not-found"), lua_returns="table",
    ),
    Operation(
        "Artifact", ("capture_rules",), ((Param("options", options(
            _OF, Param("inherited", BOOL, "with those of the store", optional=True)), "whose rules", optional=True),),),
        _RULES, "The rules of the store or of a session, in the order in which they are asked.", _rules,
        errors=("session-not-found",), lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("set_capture_rules",), ((Param("rules", LIST, "tables; an empty list takes all away"), _WHOSE),),
        _RULES, "Set all rules of the store or of a session.", _set_rules,
        errors=("invalid-capture-rule", "too-many-rules"), lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("set_capture_rule",), ((Param("rule", TABLE, "its fields"), Param("options", options(
            _OF, Param("before", NAME, "the rule that comes next", optional=True)), "where", optional=True)),),
        _RULES, "Add a rule after the others, or in the place of the one of its name.", _set_rule,
        errors=("invalid-capture-rule", "rule-not-found", "too-many-rules"), lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("remove_capture_rule",), ((Param("name", NAME, "its name"), _WHOSE),), _RULES,
        "Take a rule away.", _remove_rule, errors=("rule-not-found",), lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("capture_counts",), ((Param("session", SESSION, "nil is the current one", optional=True),),),
        "a list of tables {rule, owner, captured, skipped, bytes}", "What each rule did in a session.", _counts,
        errors=("no-session",), lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("unseal",), ((Param("artifact", REFERENCE, "id, name in the current session, or a table {id}"),),),
        "its content", "The content of an artifact that was sealed when it was captured.", _unseal,
        errors=("artifact-not-found", "not-sealed", "key-shredded", "sealed-elsewhere"), lua_returns="string",
        shorten=lambda _: None, restore=_unseal_again,
    ),
)  # fmt: skip
