"""State: values by key, in the global scope unless another is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell.model.scope import GLOBAL, Scope
from llmspell.operations.host import Host
from llmspell.operations.operation import Form, Operation
from llmspell.operations.shapes import change_table, value_table
from llmspell.operations.types import INT, JSON, NAME, NUMBER, SCOPE, TABLE, TEXT, TEXTS, Param, options

_SCOPE = Param("scope", SCOPE, "`global`, `session:ID`, `agent:NAME` …; any other text is a custom scope")
_KEY = Param("key", NAME, "the key")
_IF_VERSION = Param("if_version", INT, "only if the key has this version now (0: no value)", optional=True)
_TTL = Param("ttl_s", NUMBER, "seconds until the value is gone", optional=True, aliases=("ttl", "ttl_seconds"))
_KEY_FORMS: tuple[Form, ...] = ((_KEY,), (_SCOPE, _KEY))


async def _get(host: Host, key: str, scope: Scope = GLOBAL) -> Any:
    return await host.store.state_of(scope).get(key)


async def _set(
    host: Host, key: str, value: Any, scope: Scope = GLOBAL, options: Mapping[str, Any] | None = None
) -> int:
    return int(await host.store.state_of(scope).set(key, value, **(options or {})))


async def _delete(host: Host, key: str, scope: Scope = GLOBAL, options: Mapping[str, Any] | None = None) -> bool:
    return await host.store.state_of(scope).delete(key, **(options or {}))


async def _exists(host: Host, key: str, scope: Scope = GLOBAL) -> bool:
    return await host.store.state_of(scope).exists(key)


async def _entry(host: Host, key: str, scope: Scope = GLOBAL) -> dict[str, Any] | None:
    found = await host.store.state_of(scope).entry(key)
    return None if found is None else value_table(found)


async def _list(host: Host, scope: Scope = GLOBAL, options: Mapping[str, Any] | None = None) -> list[str]:
    return await host.store.state_of(scope).keys(**(options or {}))


async def _get_many(host: Host, keys: list[str], scope: Scope = GLOBAL) -> dict[str, Any]:
    return await host.store.state_of(scope).get_many(keys)


async def _set_many(
    host: Host, values: dict[str, Any], scope: Scope = GLOBAL, options: Mapping[str, Any] | None = None
) -> dict[str, int]:
    versions = await host.store.state_of(scope).set_many(values, **(options or {}))
    return {key: int(version) for key, version in versions.items()}


async def _clear(host: Host, scope: Scope) -> int:
    return await host.store.state_of(scope).clear()


async def _history(
    host: Host, key: str, scope: Scope = GLOBAL, options: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    changes = await host.store.state_of(scope).history(key, **(options or {}))
    return [change_table(change) for change in changes]


async def _default_class(host: Host, scope: Scope = GLOBAL) -> str:
    return (await host.store.state_of(scope).default_class()).value


async def _set_default_class(host: Host, state_class: str, scope: Scope = GLOBAL) -> bool:
    return await host.store.state_of(scope).set_default_class(state_class)


async def _schema_versions(host: Host, name: str | None = None) -> list[str]:
    if name is not None:
        return await host.store.schemas.versions(name)
    return [str(version) for version in sorted({one.version for one in await host.store.schemas.list()})]


async def _step_list(host: Host, workflow: str) -> list[str]:
    return await host.store.state_of(Scope.workflow(workflow)).keys()


async def _workflow_get(host: Host, workflow: str, key: str) -> Any:
    return await host.store.state_of(Scope.workflow(workflow)).get(key)


async def _agent_get(host: Host, agent: str, key: str) -> Any:
    return await host.store.state_of(Scope.agent(agent)).get(key)


async def _agent_set(host: Host, agent: str, key: str, value: Any) -> int:
    return int(await host.store.state_of(Scope.agent(agent)).set(key, value))


async def _tool_get(host: Host, tool: str, key: str) -> Any:
    return await host.store.state_of(Scope.tool(tool)).get(key)


async def _tool_set(host: Host, tool: str, key: str, value: Any) -> int:
    return int(await host.store.state_of(Scope.tool(tool)).set(key, value))


_VALUE = Param("value", JSON, "any data; nil keeps null")
_CLASS = Param(
    "state_class", TEXT, "how it is kept: standard, trusted, ephemeral, sensitive or external", optional=True,
    aliases=("class",),
)  # fmt: skip
_SET_OPTIONS = Param("options", options(_IF_VERSION, _TTL, _CLASS), "conditions of the write", optional=True)
_PAGE = Param(
    "options",
    options(
        Param("prefix", TEXT, "only keys that begin so", optional=True),
        Param("after", TEXT, "only keys beyond this one", optional=True),
        Param("limit", INT, "at most so many", optional=True),
    ),
    "which keys",
    optional=True,
)
_SOME_SCOPE = Param("scope", SCOPE, _SCOPE.doc, optional=True)
_NEW_CLASS = Param("state_class", NAME, "standard (which ends the rule), trusted, sensitive or external")
_WORKFLOW, _AGENT, _TOOL = Param("workflow", NAME), Param("agent", NAME), Param("tool", NAME)

OPERATIONS = (
    Operation(
        "State", ("get", "load", "read"), _KEY_FORMS, "the value, nil when there is none", "The value of a key.", _get,
        errors=("invalid-key", "invalid-scope", "vetoed"),
    ),
    Operation(
        "State", ("set", "save", "write"),
        ((_KEY, _VALUE), (_SCOPE, _KEY, _VALUE), (_SCOPE, _KEY, _VALUE, _SET_OPTIONS)),
        "the key's new version", "Give a key a value.", _set,
        errors=("invalid-key", "invalid-value", "value-too-large", "conflict", "vetoed"), lua_returns="integer",
    ),
    Operation(
        "State", ("delete",),
        ((_KEY,), (_SCOPE, _KEY), (_SCOPE, _KEY, Param("options", options(_IF_VERSION), optional=True))),
        "whether it had a value", "Delete a key.", _delete,
        errors=("conflict", "vetoed"), lua_returns="boolean",
    ),
    Operation(
        "State", ("exists", "has"), _KEY_FORMS, "true or false", "Whether a key has a value.", _exists,
        lua_returns="boolean",
    ),
    Operation(
        "State", ("list", "list_keys", "keys"), ((_SOME_SCOPE, _PAGE),), "a list of keys in order",
        "The keys of a scope that have a value.", _list, lua_returns="string[]",
    ),
    Operation(
        "State", ("get_many",), ((Param("keys", TEXTS, "the keys"),), (_SCOPE, Param("keys", TEXTS))),
        "a table of those that have a value", "The values of several keys, read at one moment.", _get_many,
        lua_returns="table<string, any>",
    ),
    Operation(
        "State", ("set_many",),
        ((Param("values", TABLE, "values by key"),),
         (_SCOPE, Param("values", TABLE), Param("options", options(_TTL, _CLASS), optional=True))),
        "a table of new versions", "Set several keys in one transaction: all or none.", _set_many,
        errors=("invalid-key", "too-many-keys", "vetoed"), lua_returns="table<string, integer>",
    ),
    Operation(
        "State", ("clear",), ((Param("scope", SCOPE, "the scope, always named"),),), "how many keys had a value",
        "Delete every key of a scope.", _clear, errors=("vetoed",), lua_returns="integer",
    ),
    Operation(
        "State", ("entry", "get_entry"), _KEY_FORMS, "a table {value, version, seq, updated_at, expires_at}, or nil",
        "A key's value with its version.", _entry, lua_returns="table?",
    ),
    Operation(
        "State", ("history", "get_history"),
        ((_KEY,), (_SCOPE, _KEY),
         (_SCOPE, _KEY, Param("options", options(
             Param("limit", INT, "at most so many", optional=True),
             Param("before", INT, "only changes before this seq", optional=True)), optional=True))),
        "a list of changes, newest first", "What happened to a key.", _history, lua_returns="table[]",
    ),
    Operation(
        "State", ("default_class", "get_default_class"), ((_SOME_SCOPE,),), "standard, trusted, sensitive or external",
        "How a new key of a scope is kept when nobody says it.", _default_class, errors=("invalid-scope",),
        lua_returns="string",
    ),
    Operation(
        "State", ("set_default_class",), ((_NEW_CLASS,), (_SCOPE, _NEW_CLASS)), "false when it was so already",
        "Have keys that are new in a scope kept so, whoever sets them, from now on; keys that there are stay so.",
        _set_default_class, errors=("invalid-scope", "invalid-class"), lua_returns="boolean",
    ),
    Operation(
        "State", ("list_schema_versions", "get_schema_versions", "schema_versions"),
        ((Param("name", NAME, "of one schema; nil: of all", optional=True),),), "a list of versions, the latest last",
        "The versions of schemas that are registered.", _schema_versions, lua_returns="string[]",
    ),
    Operation(
        "State", ("workflow_get",), ((_WORKFLOW, Param("key", NAME, "a key, or a step's name")),), "the value or nil",
        "A value of a workflow's own scope.", _workflow_get,
    ),
    Operation(
        "State", ("workflow_list",), ((_WORKFLOW,),), "a list of keys", "The keys of a workflow's own scope.",
        _step_list, lua_returns="string[]",
    ),
    Operation(
        "State", ("agent_get",), ((_AGENT, _KEY),), "the value or nil", "A value of an agent's own scope.", _agent_get
    ),
    Operation(
        "State", ("agent_set",), ((_AGENT, _KEY, _VALUE),), "the key's new version",
        "Give a key of an agent's own scope a value.", _agent_set, lua_returns="integer",
    ),
    Operation(
        "State", ("tool_get",), ((_TOOL, _KEY),), "the value or nil", "A value of a tool's own scope.", _tool_get
    ),
    Operation(
        "State", ("tool_set",), ((_TOOL, _KEY, _VALUE),), "the key's new version",
        "Give a key of a tool's own scope a value.", _tool_set, lua_returns="integer",
    ),
)  # fmt: skip
