"""Hook: functions of the script that are called before and after operations, whoever does them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell.hooks.outcome import Outcome
from llmspell.hooks.results import Cancel, HookResult, result_name
from llmspell.model.context import current
from llmspell.model.ids import id_text
from llmspell.operations.host import Host
from llmspell.operations.operation import Effect, Operation
from llmspell.operations.shapes import present
from llmspell.operations.types import FUNCTION, NAME, NUMBER, TABLE, TEXT, TEXTS, Misfit, Param, Type, options


def _priority(value: Any) -> str | int:
    if type(value) is str or type(value) is int:
        return value
    raise Misfit("highest, high, normal, low, lowest, or a number", value)


def _filter(value: Any) -> dict[str, Any]:
    if type(value) is str:
        return {"point": value}
    return _FILTER.take(value)  # type: ignore[no-any-return]


PRIORITY = Type("priority", "string|integer", _priority)
_TRAITS = (
    Param(
        "priority",
        PRIORITY,
        "highest, high, normal, low, lowest, or a number: the lower is called first",
        optional=True,
    ),
    Param("name", NAME, "what it is called in lists and messages", optional=True),
    Param("tags", TEXTS, "labels", optional=True),
    Param("timeout_ms", NUMBER, "its deadline; 5,000 by default", optional=True),
    Param("on_failure", NAME, "allow (default) or deny: what a failure of it means", optional=True),
    Param("description", TEXT, "free text", optional=True),
)
_FILTER = options(
    Param("point", NAME, "only of this point", optional=True, aliases=("hook_point",)),
    Param("language", NAME, "only of this language", optional=True),
    Param("priority", PRIORITY, "only of this priority", optional=True),
    Param("tag", NAME, "only with this tag", optional=True),
)


def _traits(value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return options(*_TRAITS).take(value)  # type: ignore[no-any-return]
    return {"priority": _priority(value)}


async def _register(
    host: Host, point: str = "", handler: Any = None, options: Mapping[str, Any] | None = None,
    hook: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    if hook is not None:
        traits = dict(hook)
        return await host.hooks.register(traits.pop("point"), traits.pop("handler"), traits)
    return await host.hooks.register(point, handler, options or {})


async def _unregister(host: Host, hook: str) -> bool:
    return host.hooks.unregister(hook)


async def _list(host: Host, filter: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return host.hooks.list(filter or {})


async def _trigger(host: Host, point: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    context = current.get()
    outcome = await host.store.hooks.trigger(
        point,
        data,
        session=None if context.session is None else id_text(context.session),
        correlation_id=id_text(context.session_correlation) if context.session_correlation else None,
        cause=context.cause or None,
    )
    return outcome_table(outcome)


def outcome_table(outcome: Outcome) -> dict[str, Any]:
    """What the hooks of a custom point decided: ``type`` names the result, its fields stand beside it."""
    decision: HookResult | None = outcome.decision
    kind = "continue" if decision is None else result_name(type(decision))
    fields = {} if decision is None else {name: getattr(decision, name) for name in decision.__struct_fields__}
    if decision is None and outcome.changed:
        kind = "modified"
    return present({
        **fields, "type": kind, "data": outcome.data, "changed": sorted(outcome.changed), "by": outcome.by,
        "cancelled": isinstance(decision, Cancel),
    })  # fmt: skip


_POINT = Param("point", NAME, "a point by any of its names, or a custom one with a dot")
_HANDLER = Param("handler", FUNCTION, "called with a table {point, data, component_id, session, correlation_id, …}")
_TABLE_FORM = options(
    Param("point", NAME, _POINT.doc, aliases=("hook_point",)),
    Param("handler", FUNCTION, _HANDLER.doc, aliases=("callback",)),
    *_TRAITS,
)

_OPTIONS = Param(
    "options", Type("priority or options", "string|integer|table", _traits), "its priority, or all its traits",
    optional=True,
)  # fmt: skip

OPERATIONS = (
    Operation(
        "Hook", ("register", "on"),
        ((_POINT, _HANDLER, _OPTIONS), (Param("hook", _TABLE_FORM, "everything in one table"),)),
        "a handle with `:id()`, `:hook_point()` and `:unregister()`",
        "Call a function at a point. What it returns decides: nil or 'continue', or a table with `type`.", _register,
        effect=Effect.LOCAL, errors=("unknown-point", "invalid-priority", "hooks-max"), lua_returns="HookHandle",
    ),
    Operation(
        "Hook", ("unregister", "off"), ((Param("hook", NAME, "the handle, or its id"),),),
        "true the first time, false after", "Stop calling a function.", _unregister,
        effect=Effect.LOCAL, lua_returns="boolean",
    ),
    Operation(
        "Hook", ("list",), ((Param("filter", Type("point or filter", "string|table", _filter), optional=True),),),
        "a list of {id, name, point, hook_point, priority, language, tags, enabled, …}",
        "The hooks of the store, in the order they are called.", _list, lua_returns="table[]",
    ),
    Operation(
        "Hook", ("trigger", "execute"), ((_POINT, Param("data", TABLE, "what the hooks are shown", optional=True)),),
        "a table {type, data, changed, cancelled, by, …}", "Run a custom point; what comes of it is yours to heed.",
        _trigger, errors=("unknown-point", "reserved-point"), lua_returns="table",
    ),
)  # fmt: skip
