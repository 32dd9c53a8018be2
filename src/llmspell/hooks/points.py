"""Which result is allowed at which point, and what it does there: data, for the runner and the documents.

What must stay true: a result that is not in a point's row is refused (the hook counts as failed, ``InvalidInput``),
and a row promises nothing that the room behind it does not do. A custom point allows everything, because whoever
triggers it is handed the outcome; so do the moments of agents, tools and workflows, for whoever runs those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from llmspell.errors import InvalidInput, LlmspellError
from llmspell.hooks.results import (
    RESULT_TYPES,
    Cache,
    Cancel,
    Continue,
    Fork,
    HookResult,
    Modified,
    Redirect,
    Replace,
    Retry,
    Skipped,
    result_name,
)
from llmspell.model import limits
from llmspell.model.artifact_name import check_artifact_name, check_mime
from llmspell.model.keys import check_key
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.names import POINTS, canonical_point, is_custom_point

Effects = dict[type[HookResult], str]
Check = Callable[[str, Any], None]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One row: the results allowed at a point, each with what it does there.

    ``fields`` are those that Modified may change, with their checks, None for any field. ``target`` is the field that a
    Redirect changes, ``stale`` the fields that say something about the old target. ``handed`` marks points whose
    outcome goes to whoever triggered them: Retry and Redirect are not carried out by the run there.
    """

    effects: Effects
    fields: dict[str, Check] | None = msgspec.field(default_factory=dict)
    target: str | None = None
    check_target: Callable[[str], str] = str
    stale: tuple[str, ...] = ()
    handed: bool = False
    deniable: bool = False
    """Whether ``on_failure="deny"`` means something here: the operation can still be refused."""


def _any(name: str, value: Any) -> None:
    """Every JSON value will do; that it is one is checked for all fields alike."""


def _by(check: Callable[[Any], Any]) -> Check:
    """The room's own rule: what would be refused there is refused here, where the hook is the one that failed."""

    def judge(name: str, value: Any) -> None:
        try:
            check(value)
        except LlmspellError as exc:
            raise InvalidInput(f"{name}: {exc.message}", code="invalid-result", field=name) from exc

    return judge


def _list_of_tags(value: Any) -> None:
    if type(value) is not list:
        raise InvalidInput(f"tags are a list of at most {limits.TAGS_MAX}")
    check_tags(value)


def _table(value: Any) -> None:
    if type(value) is not dict:
        raise InvalidInput("it is a dict")


def _tools(value: Any) -> None:
    if type(value) is not list:
        raise InvalidInput("it is a list of names")
    for tool in value:
        check_label(tool, "a tool's name")


def _conversation(value: Any) -> None:
    if type(value) is not list:
        raise InvalidInput("it is a list of messages")
    for message in value:
        _table(message)
        if not {"role", "content"} <= message.keys() <= _MESSAGE:
            raise InvalidInput("a message has role, content and, if it likes, metadata")
        check_label(message["role"], "a role")
        check_metadata(message.get("metadata", {}))


_MESSAGE = frozenset(("role", "content", "metadata", "number", "seq", "time"))
_tags, _metadata, _dict = _by(_list_of_tags), _by(check_metadata), _by(_table)
_mime = _by(check_mime)
_role = _by(lambda value: check_label(value, "a role"))
_REASON = {"reason": _by(lambda value: check_text(value, "a reason"))}
_SESSION: dict[str, Check] = {
    "name": _by(lambda value: check_label(value, "a session's name")), "tags": _tags, "metadata": _metadata,
}  # fmt: skip
_ARTIFACT: dict[str, Check] = {"name": _by(check_artifact_name), "tags": _tags, "metadata": _metadata}
_AGENT: dict[str, Check] = {
    "conversation": _by(_conversation), "context_variables": _dict, "execution_state": _any, "custom_data": _dict,
    "configuration": _dict, "tools": _by(_tools), "permissions": _dict, "workflow_progress": _dict,
    "metadata": _metadata,
}  # fmt: skip
_GO_ON: Effects = {Continue: "go on", Skipped: "go on; the hook abstains"}
_JUDGE: Effects = _GO_ON | {Cancel: "refuse: the caller gets Vetoed, nothing is written"}
_WRITE: Effects = _JUDGE | {Retry: "run the point's hooks again after the delay, at most so many times"}
_CHANGE: Effects = _WRITE | {Modified: "change {fields}; later hooks see it"}
_HANDED: Effects = {
    Continue: "go on",
    Modified: "change the fields named; later hooks see it; in the outcome",
    Cancel: "refuse; in the outcome",
    Replace: "do not run, take this result; in the outcome",
    Redirect: "take another target; in the outcome",
    Retry: "do it again later; in the outcome",
    Fork: "do these as well; in the outcome",
    Cache: "keep the result under the key; in the outcome",
    Skipped: "go on; the hook abstains",
}

OBSERVE = Rule(effects=_GO_ON)
HANDED = Rule(effects=_HANDED, fields=None, handed=True, deniable=True)
_REFUSABLE = Rule(effects=_WRITE, deniable=True)


def _changing(fields: dict[str, Check]) -> Rule:
    return Rule(effects=_CHANGE, fields=fields, deniable=True)


# Points not named here: those of agents, tools and workflows are handed, before_ ones can be refused, others observe.
_ROWS: dict[str, Rule] = {
    "before_state_get": Rule(
        effects=_JUDGE | {Replace: "answer with this result; the store is not read"}, deniable=True
    ),
    "after_state_get": Rule(
        effects=_GO_ON | {Modified: "change {fields} as the caller gets it; the store keeps its own"},
        fields={"value": _any},
        deniable=True,
    ),
    "before_state_set": Rule(
        effects=_CHANGE | {Redirect: "write to another key of the same scope; the point's hooks run again for it"},
        fields={"value": _any},
        target="key",
        check_target=check_key,
        stale=("old_value", "version"),
        deniable=True,
    ),
    "before_session_create": _changing(_SESSION),
    "before_session_fork": _changing(_SESSION),
    "before_session_update": _changing(_SESSION),
    "before_session_fail": _changing(_REASON),
    "before_session_open": Rule(effects=_JUDGE, deniable=True),
    "before_artifact_put": Rule(
        effects=_CHANGE | {Redirect: "store under another name of the session; the point's hooks run again for it"},
        fields=_ARTIFACT,
        target="name",
        check_target=check_artifact_name,
        stale=("version",),
        deniable=True,
    ),
    "before_artifact_get": Rule(effects=_JUDGE, deniable=True),
    "before_artifact_capture": Rule(
        effects=_CHANGE | {Cancel: "refuse: nothing is kept, and the answer to the offer says so"},
        fields={"mime_type": _mime, "tags": _tags, "metadata": _metadata},
        deniable=True,
    ),
    "before_artifact_update": _changing({"tags": _tags, "metadata": _metadata}),
    "before_agent_save": _changing(_AGENT),
    "after_agent_save": OBSERVE,
    "before_agent_append": _changing({"role": _role, "content": _any, "metadata": _metadata}),
    "after_agent_append": OBSERVE,
    "before_agent_delete": _REFUSABLE,
    "after_agent_delete": OBSERVE,
    "before_event_publish": _changing({"data": _any, "tags": _tags}),
}

_HANDED_ROOMS = ("agent", "tool", "workflow")


def _default(point: str) -> Rule:
    parts = point.split("_")
    room = parts[1] if parts[0] in {"before", "after"} else parts[0]
    if room in _HANDED_ROOMS:
        return HANDED
    return _REFUSABLE if parts[0] == "before" else OBSERVE


RULES: dict[str, Rule] = {point.name: _ROWS.get(point.name) or _default(point.name) for point in POINTS}


def rule_of(point: str) -> Rule:
    """The row of a canonical point; every custom point has the row HANDED."""
    return HANDED if is_custom_point(point) else RULES[canonical_point(point)]


def table() -> Iterator[tuple[str, str, str]]:
    """(point, result, effect) for every allowed pair, in the order of the points; ``(custom)`` is any custom point."""
    for point, rule in (*RULES.items(), ("(custom)", HANDED)):
        named = ", ".join(rule.fields) if rule.fields is not None else ""
        for kind in RESULT_TYPES:
            if kind in rule.effects:
                yield point, result_name(kind), rule.effects[kind].replace("{fields}", named)


def markdown() -> str:
    """The table of allowed results as a Markdown table, one row for each group of points that allow the same."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    effects: dict[str, list[tuple[str, str]]] = {}
    for point, result, effect in table():
        effects.setdefault(point, []).append((result, effect))
    for point, pairs in effects.items():
        groups.setdefault(tuple(pairs), []).append(point)
    lines = ["| Points | Result | What it does there |", "|---|---|---|"]
    for allowed, points in groups.items():
        named = ", ".join(f"`{point}`" for point in points)
        lines += [
            f"| {named if first else ''} | `{result}` | {effect} |" for first, (result, effect) in _flagged(allowed)
        ]
    lines.append(
        "| everywhere | anything else | the hook counts as failed (`invalid-result`); its `on_failure` decides |"
    )
    return "\n".join(lines) + "\n"


def _flagged(pairs: tuple[tuple[str, str], ...]) -> Iterator[tuple[bool, tuple[str, str]]]:
    return ((index == 0, pair) for index, pair in enumerate(pairs))
