"""Session: stretches of work, by id or unique name; one that is left out is the one the script runs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput
from llmspell.hooks.moment import run_point
from llmspell.model.context import current
from llmspell.model.ids import id_bytes
from llmspell.operations.host import Host
from llmspell.operations.operation import Effect, Form, Operation
from llmspell.operations.shapes import entry_table, listed, session_table
from llmspell.operations.types import (
    BOOL,
    CREATED,
    INT,
    LABEL_OR_NUMBER,
    NAME,
    PAGING,
    SESSION,
    TABLE,
    TEXT,
    TEXT_OR_TEXTS,
    TEXTS,
    UPDATED,
    WORDS,
    Param,
    options,
)

if TYPE_CHECKING:
    from llmspell.model.entry import Entry
    from llmspell.sessions.session import AsyncSession

_SESSION = Param("session", SESSION, "id or unique name; nil or '' is the current one", optional=True)
_THAT_SESSION = Param("session", SESSION, _SESSION.doc)
_ONE: tuple[Form, ...] = ((_SESSION,),)
_REASON_DEFAULT = "failed by the script"


async def _create(host: Host, options: Mapping[str, Any]) -> str:
    fields = dict(options)
    name = fields.pop("name", None) or "session"
    return (await host.store.sessions.create(name, **fields)).id


async def _created(host: Host, values: Mapping[str, Any], entries: list[Entry]) -> str:
    """The id is in the entry that the interrupted step wrote; its after-hooks are still to be asked."""
    session = str(entries[-1].data["id"])
    info = await host.store.sessions.get(session)
    data = {"id": session, "info": info.to_dict(), "reason": None}
    await run_point(host.store.hooks, current.get(), "after_session_create", "session", "create", data)
    return session


async def _get(host: Host, session: str | None = None) -> dict[str, Any]:
    name = (await host.session(None)).id if session is None else session
    return session_table(await host.store.sessions.get(name))


async def _list(host: Host, options: Mapping[str, Any] | None = None) -> Any:
    query = dict(options or {})
    paged = query.pop("paged", False)
    return listed(await host.store.sessions.list(**query), session_table, paged=paged)


async def _load(host: Host, session: str) -> str:
    return (await host.session(session)).id


async def _save(host: Host, session: str | None = None) -> None:
    await (await _fresh(host, session)).save()


async def _suspend(host: Host, session: str | None = None) -> None:
    await (await _fresh(host, session)).suspend()


async def _resume(host: Host, session: str | None = None) -> None:
    await (await _fresh(host, session)).resume()


async def _complete(host: Host, session: str | None = None) -> None:
    await (await _fresh(host, session)).complete()


async def _fail(host: Host, session: str | None = None, reason: str | None = None) -> None:
    if session is not None and reason is None and not _is_id(session):
        session, reason = None, session
    await (await _fresh(host, session)).fail(_REASON_DEFAULT if reason is None else reason)


def _is_id(text: str) -> bool:
    try:
        id_bytes(text)
    except InvalidInput:
        return False
    return True


async def _archive(host: Host, session: str | None = None) -> None:
    await (await _fresh(host, session)).archive()


async def _unarchive(host: Host, session: str | None = None) -> None:
    await (await _fresh(host, session)).unarchive()


async def _delete(host: Host, session: str, options: Mapping[str, Any] | None = None) -> None:
    hard = dict(options or {}).get("hard", False)
    key = session if hard and _is_id(session) else (await host.session(session)).id
    await host.store.sessions.delete(key, hard=hard)


async def _gone(host: Host, values: Mapping[str, Any], entries: list[Entry]) -> None:
    """What the step was about is deleted or renamed: there is nothing left to do again."""


async def _get_current(host: Host) -> str | None:
    return None if host.current is None else host.current.id


async def _set_current(host: Host, session: str | None = None) -> None:
    host.enter(None if session is None else await host.session(session))


async def _update(host: Host, fields: Mapping[str, Any], session: str | None = None) -> None:
    await (await _fresh(host, session)).update(**fields)


async def _checkpoint(host: Host, label: str, session: str | None = None) -> int:
    return await (await _fresh(host, session)).checkpoint(label)


async def _checkpoints(host: Host, session: str | None = None) -> list[dict[str, Any]]:
    return [point.to_dict() for point in await (await host.session(session)).checkpoints()]


async def _restore(host: Host, to: str | int, session: str | None = None) -> int:
    return await (await _fresh(host, session)).restore(to)


async def _timeline(host: Host, session: str | None = None, options: Mapping[str, Any] | None = None) -> Any:
    query = dict(options or {})
    paged = query.pop("paged", False)
    handle = await host.session(session)
    return listed(await host.store.timeline(session=handle.id, **query), entry_table, paged=paged)


async def _fresh(host: Host, session: str | None) -> AsyncSession:
    """A handle whose info is of now: hooks are shown it."""
    handle = await host.session(session)
    await handle.refresh()
    return handle


_CREATE = options(
    Param("name", NAME, "need not be unique; `session` by default", optional=True),
    Param("description", TEXT, "free text", optional=True),
    Param("tags", TEXTS, "labels to find it by", optional=True),
    Param("created_by", NAME, "who made it", optional=True),
    Param("metadata", TABLE, "fields of your own", optional=True, aliases=("custom_metadata",)),
    Param("parent", NAME, "the session above: id or unique name", optional=True, aliases=("parent_session_id",)),
    Param("config", TABLE, "settings of your own, kept with it", optional=True),
    Param("state", TABLE, "first values of its own scope", optional=True),
    Param("template", NAME, "a registered template that it begins with", optional=True),
)
CONDITIONS = (
    Param("status", TEXT_OR_TEXTS, "active, suspended, completed, failed or archived; or one of several",
          optional=True),
    Param("tags", TEXT_OR_TEXTS, "has each of these", optional=True, aliases=("tag",)),
    Param("created_by", NAME, "made by", optional=True),
    Param("parent", NAME, "the session above: id or unique name", optional=True, aliases=("parent_session_id",)),
    Param("name", NAME, "has exactly this name", optional=True),
    Param("metadata", TABLE, "path = value, names of the path joined by dots", optional=True,
          aliases=("custom_metadata",)),
    WORDS, *CREATED, *UPDATED,
    Param("ended_after", NAME, "RFC 3339 time, inclusive", optional=True),
    Param("ended_before", NAME, "RFC 3339 time, inclusive", optional=True),
)  # fmt: skip
"""What sessions are asked for, by every function that finds some."""
_FILTER = options(
    *CONDITIONS,
    Param(
        "order_by",
        NAME,
        "updated_at, created_at, ended_at, last_activity or name; with - newest first",
        optional=True,
        aliases=("sort_by",),
    ),
    Param("limit", INT, "at most so many; 50 by default", optional=True),
    *PAGING,
)
_FIELDS = options(
    Param("name", NAME, "a new name", optional=True),
    Param("description", TEXT, "a new description", optional=True),
    Param("tags", TEXTS, "new tags, instead of the old ones", optional=True),
    Param("metadata", TABLE, "new metadata, instead of the old", optional=True, aliases=("custom_metadata",)),
)
_TIMELINE = Param(
    "options",
    options(
        Param("kinds", TEXT_OR_TEXTS, "only entries of these kinds", optional=True, aliases=("kind",)),
        Param("since", NAME, "RFC 3339 time, inclusive", optional=True),
        Param("until", NAME, "RFC 3339 time, inclusive", optional=True),
        Param("limit", INT, "at most so many; 100 by default", optional=True),
        Param("newest_first", BOOL, "turn the order around", optional=True),
        *PAGING,
    ),
    "which entries",
    optional=True,
)
_HARD = options(
    Param("hard", BOOL, "its artifacts for good, also those of a deleted session by its id: collect then frees what"
          " they held", optional=True),
)  # fmt: skip
_LABEL, _TO = (
    Param("label", NAME, "a label not used yet"),
    Param("to", LABEL_OR_NUMBER, "a checkpoint's label, or a seq"),
)
_REASON = Param("reason", NAME, "why", optional=True)
_SESSION_OR_REASON = Param("session", SESSION, "id; alone, any other text is the reason", optional=True)
_MOVES = ("illegal-transition", "session-not-found", "vetoed")


def _move(names: tuple[str, ...], perform: Any, doc: str) -> Operation:
    return Operation("Session", names, _ONE, "nothing", doc, perform, errors=_MOVES, lua_returns="nil")


OPERATIONS = (
    Operation(
        "Session", ("create", "new"), ((Param("options", _CREATE, "its fields", optional=True),),),
        "the new session's id", "Begin a session; it is active. Everything given is stored and comes back.",
        lambda host, options=None: _create(host, options or {}),
        errors=("session-not-found", "vetoed"), lua_returns="string", made=("session.created", _created),
    ),
    Operation(
        "Session", ("get", "info"), _ONE,
        "a table {id, name, description, tags, status, created_at, updated_at, metadata, …}", "A session as it is now.",
        _get, errors=("session-not-found", "ambiguous-name"), lua_returns="table",
    ),
    Operation(
        "Session", ("list", "query"), ((Param("options", _FILTER, "conditions, all together", optional=True),),),
        "a list of tables as `get` gives", "Sessions, the last changed first.", _list, lua_returns="table[]",
    ),
    Operation(
        "Session", ("load", "open"), ((Param("session", NAME, "id or unique name"),),), "its id",
        "Make sure that a session is there.", _load, errors=("session-not-found",), lua_returns="string",
    ),
    _move(("save",), _save, "Mark the session saved and make everything so far safe on disk."),
    _move(("suspend",), _suspend, "Set the session aside; it can be resumed."),
    _move(("resume",), _resume, "Take a suspended or failed session up again."),
    _move(("complete",), _complete, "End the session well."),
    Operation(
        "Session", ("fail",), ((_SESSION_OR_REASON, _REASON),),
        "nothing", "End the session with a reason.", _fail, errors=_MOVES, lua_returns="nil",
    ),
    _move(("archive",), _archive, "Put a completed or failed session away."),
    _move(("unarchive",), _unarchive, "Take a session out of the archive again."),
    Operation(
        "Session", ("delete",),
        ((Param("session", NAME, "id or unique name, always named"), Param("options", _HARD, "how", optional=True)),),
        "nothing", "Delete a session with its state and artifacts.", _delete,
        errors=("session-not-found", "session-needed", "vetoed"), lua_returns="nil", made=("session.deleted", _gone),
    ),
    Operation(
        "Session", ("get_current", "current"), ((),), "the id of the current session, or nil",
        "The session that an omitted one means: the one the script runs in, unless it chose another.", _get_current,
        effect=Effect.PURE, lua_returns="string?",
    ),
    Operation(
        "Session", ("set_current",), _ONE, "nothing",
        "Choose the current session; nil goes back to the one the script runs in.", _set_current,
        effect=Effect.LOCAL, errors=("session-not-found",), lua_returns="nil",
    ),
    Operation(
        "Session", ("update", "update_metadata"),
        ((Param("fields", _FIELDS, "new values"),), (_THAT_SESSION, Param("fields", _FIELDS))), "nothing",
        "Give descriptive fields new values; the old ones are in the timeline.", _update,
        errors=("nothing-to-do", "vetoed"), lua_returns="nil", made=("session.updated", _gone),
    ),
    Operation(
        "Session", ("checkpoint", "create_checkpoint"), ((_LABEL,), (_THAT_SESSION, _LABEL)), "the entry's seq",
        "Mark this moment by a label.", _checkpoint, errors=("checkpoint-exists", "vetoed"), lua_returns="integer",
    ),
    Operation(
        "Session", ("checkpoints", "list_checkpoints"), _ONE, "a list of {label, seq, state_hash, time}",
        "The session's checkpoints, oldest first.", _checkpoints, lua_returns="table[]",
    ),
    Operation(
        "Session", ("restore", "restore_checkpoint"), ((_TO,), (_THAT_SESSION, _TO)), "how many keys changed",
        "Set the session's state back to a checkpoint or a seq.", _restore,
        errors=("checkpoint-not-found", "invalid-seq", "vetoed"), lua_returns="integer",
    ),
    Operation(
        "Session", ("timeline", "get_timeline"), ((_SESSION, _TIMELINE), (_TIMELINE,)),
        "a list of {seq, kind, time, data, …}", "What happened in a session, in order.", _timeline,
        lua_returns="table[]",
    ),
)  # fmt: skip
