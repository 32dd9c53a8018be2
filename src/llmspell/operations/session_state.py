"""Session.state: the values a session keeps for itself, by the names the planning documents gave them."""

from __future__ import annotations

from typing import Any

from llmspell.operations.host import Host
from llmspell.operations.operation import Form, Operation
from llmspell.operations.types import JSON, NAME, SESSION, Param

_SESSION = Param("session", SESSION, "id or unique name; nil or '' is the current one")
_SOME_SESSION = Param("session", SESSION, _SESSION.doc, optional=True)
_KEY, _VALUE = Param("key", NAME, "the key"), Param("value", JSON, "any data; nil keeps null")
_KEYED: tuple[Form, ...] = ((_KEY,), (_SESSION, _KEY))
_SETTING: tuple[Form, ...] = ((_KEY, _VALUE), (_SESSION, _KEY, _VALUE))


async def _get(host: Host, key: str, session: str | None = None) -> Any:
    return await (await host.session(session)).state.get(key)


async def _set(host: Host, key: str, value: Any, session: str | None = None) -> int:
    return int(await (await host.session(session)).state.set(key, value))


async def _has(host: Host, key: str, session: str | None = None) -> bool:
    return await (await host.session(session)).state.exists(key)


async def _delete(host: Host, key: str, session: str | None = None) -> bool:
    return await (await host.session(session)).state.delete(key)


async def _keys(host: Host, session: str | None = None) -> list[str]:
    return await (await host.session(session)).state.keys()


def _all(namespace: str, names: dict[str, tuple[str, ...]]) -> tuple[Operation, ...]:
    rows: tuple[tuple[str, tuple[Form, ...], str, str, Any, str], ...] = (
        ("get", _KEYED, "the value, nil when there is none", "A value of the session's own scope.", _get, "any"),
        ("set", _SETTING, "the key's new version", "Give a key of the session's own scope a value.", _set, "integer"),
        ("has", _KEYED, "true or false", "Whether a key of the session's own scope has a value.", _has, "boolean"),
        ("delete", _KEYED, "whether it had a value", "Delete a key of the session's own scope.", _delete, "boolean"),
        ("keys", ((_SOME_SESSION,),), "a list of keys", "The keys of the session's own scope.", _keys, "string[]"),
    )
    return tuple(
        Operation(namespace, names[verb], forms, returns, doc, perform, lua_returns=lua)
        for verb, forms, returns, doc, perform, lua in rows
        if verb in names
    )


OPERATIONS = (
    *_all("Session.state", {
        "get": ("get", "load"), "set": ("set", "save"), "has": ("has", "exists"), "delete": ("delete",),
        "keys": ("list_keys", "keys", "list"),
    }),
    *_all("Session", {"set": ("set", "set_state"), "has": ("has",), "keys": ("list_keys", "keys")}),
)  # fmt: skip
