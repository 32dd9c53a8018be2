"""Artifact: many at once, labels, what is deleted, quotas, the audit of grants, and what nothing refers to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell.model.artifact_name import is_artifact_id
from llmspell.operations.artifact_found import find, id_in
from llmspell.operations.artifact_links import CONDITIONS, Named, scope
from llmspell.operations.artifacts import PUT_ITEM, as_text, content_again, is_short, put_fields
from llmspell.operations.host import Host
from llmspell.operations.operation import Form, Operation
from llmspell.operations.shapes import artifact_id, artifact_table, listed, present
from llmspell.operations.types import BOOL, INT, NAME, PAGING, REFERENCE, SESSION, Param, list_of, options

if TYPE_CHECKING:
    from llmspell.artifacts.batch import BatchItem
    from llmspell.artifacts.service import AsyncArtifacts
    from llmspell.model.entry import Entry

Given = Mapping[str, Any] | None


async def _put_many(host: Host, items: list[Mapping[str, Any]], session: str | None = None) -> dict[str, Any]:
    room = (await host.session(session)).artifacts
    report = await room.put_many([put_fields(one) for one in items])
    return _batch([_item(one, None if one.result is None else artifact_id(one.result)) for one in report])


async def _get_many(host: Host, artifacts: list[Named], session: str | None = None) -> dict[str, Any]:
    room = host.store.artifacts if session is None and host.current is None else (await host.session(session)).artifacts
    report = await room.get_many([id_in(one, f"artifacts[{at}]") for at, one in enumerate(artifacts, 1)])
    found = []
    for one in report:
        if one.result is None:
            found.append(_item(one, None))
        else:
            content = as_text(await one.result.read())
            found.append({**_item(one, artifact_table(one.result.info)), "content": content})
    return _batch(found)


def _item(one: BatchItem[Any], artifact: dict[str, Any] | None) -> dict[str, Any]:
    error = None if one.error is None else {"code": one.error.code, "message": one.error.message}
    return present({"index": one.index + 1, "name": one.name, "ok": one.ok, "artifact": artifact, "error": error})


def _batch(items: list[dict[str, Any]]) -> dict[str, Any]:
    failed = sum(not one["ok"] for one in items)
    return {"ok": not failed, "done": len(items) - failed, "failed": failed, "items": items}


def _shorten(reply: dict[str, Any]) -> dict[str, Any]:
    kept = [
        one if "content" not in one or is_short(one["content"]) else {k: v for k, v in one.items() if k != "content"}
        for one in reply["items"]
    ]
    return {**reply, "items": kept}


async def _restore(host: Host, reply: dict[str, Any], _kept: Any) -> dict[str, Any]:
    items = [
        one if not one["ok"] or "content" in one else {**one, "content": await content_again(host, one["artifact"])}
        for one in reply["items"]
    ]
    return {**reply, "items": items}


async def _labels(host: Host, name: str, session: str | None = None) -> dict[str, int]:
    return await (await host.session(session)).artifacts.labels(name)


async def _deleted(host: Host, options: Given = None) -> list[dict[str, Any]]:
    given = dict(options or {})
    if is_artifact_id(given.get("session") or ""):  # A session that is deleted itself has no handle.
        return [artifact_table(info) for info in await host.store.artifacts.deleted(**given)]
    return [artifact_table(info) for info in await (await scope(host, given)).deleted(**given)]


async def _delete_matching(host: Host, options: Mapping[str, Any]) -> int:
    given = dict(options)
    return await (await scope(host, given)).delete_matching(**given)


async def _go_on_deleting(host: Host, values: Mapping[str, Any], entries: list[Entry]) -> int:
    """A run that was interrupted between two units deletes the rest: what it did already is counted by its entries."""
    asked = values["options"]
    left = await _delete_matching(host, {**asked, "dry_run": True})
    more = left
    while more:  # The units that the record answers delete nothing, those after them do.
        await _delete_matching(host, asked)
        more = await _delete_matching(host, {**asked, "dry_run": True})
    return await _count_deleted(host, values, entries) + left


async def _delete_tree(host: Host, artifact: Named, options: Given = None) -> int:
    info = await find(host, artifact, None, None)
    return await host.store.artifacts.delete_tree(info.id, **(options or {}))


async def _count_deleted(host: Host, values: Mapping[str, Any], entries: list[Entry]) -> int:
    return len({entry.data["id"] for entry in entries})


async def _quota(host: Host, options: Given = None) -> dict[str, Any]:
    return present((await (await scope(host, dict(options or {}))).quota()).to_dict())


async def _set_quota(host: Host, options: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(options)
    room = await scope(host, given)
    return present((await room.set_quota(**given)).to_dict())


async def _orphans(host: Host) -> dict[str, Any]:
    return (await host.store.orphans()).to_dict()


async def _audit(host: Host, artifact: Named, options: Given = None) -> Any:
    given = dict(options or {})
    paged = given.pop("paged", False)
    room, meant = await _overseen(host, artifact)
    return listed(await room.audit(meant, **given), lambda one: present(one.to_dict()), paged=paged)


async def _overseen(host: Host, artifact: Named) -> tuple[AsyncArtifacts, str]:
    """The handle to ask, and what: what is deleted keeps its audit, so it is not looked for."""
    if isinstance(artifact, str):
        return host.store.artifacts if host.current is None else host.current.artifacts, artifact
    if isinstance(artifact.get("id"), str):
        return host.store.artifacts, artifact["id"]
    return host.store.artifacts, (await find(host, artifact, None, None)).id


async def _granted(host: Host, session: str | None = None, options: Given = None) -> Any:
    given = dict(options or {})
    paged = given.pop("paged", False)
    room = (await host.session(session)).artifacts
    return listed(await room.granted(**given), lambda one: present(one.to_dict()), paged=paged)


_NAME = Param("name", NAME, "its name in the session")
_SESSION = Param("session", SESSION, "id or unique name; nil or '' is the current one")
_SOME_SESSION = Param("session", SESSION, _SESSION.doc, optional=True)
_OF = Param(
    "session", SESSION, "id or unique name, '' the current one; left out: the whole store", optional=True,
    aliases=("session_id",),
)  # fmt: skip
_REFERENCE = Param("artifact", REFERENCE, "id, name in the current session, or a table {id}")
_ITEMS = Param("items", list_of(PUT_ITEM), "a table for each, as `store` takes one")
_MANY = Param("artifacts", list_of(REFERENCE), "ids, names in the session, or tables {id}")
_HARD = Param("hard", BOOL, "for good: the content goes with the next collect", optional=True)
_DRY = Param("dry_run", BOOL, "only say how many", optional=True)
_MATCHING = Param(
    "options",
    options(
        *(param for param in CONDITIONS if param.name != "fuzzy"),
        Param("deleted", BOOL, "those deleted already, with `hard`", optional=True), _HARD, _DRY,
    ),
    "conditions that hold together",
)  # fmt: skip
_TREE = Param("options", options(
    Param("kind", NAME, "what leads down: child_of (by default), derived_from, depends_on, version_of", optional=True),
    _HARD, _DRY), "how", optional=True)  # fmt: skip
_PAGE = Param("options", options(
    Param("limit", INT, "at most so many; 100 by default", optional=True), *PAGING), "which",
    optional=True)  # fmt: skip
_BOUNDS = Param("options", options(
    Param("artifact_bytes_max", INT, "bytes of one version", optional=True),
    Param("total_bytes_max", INT, "bytes of all", optional=True),
    Param("versions_max", INT, "number of versions", optional=True), _OF), "the bounds; left out: none")  # fmt: skip
_WHOSE = Param("options", options(_OF), "whose", optional=True)
_WHICH_DELETED = Param(
    "options", options(_OF, Param("name", NAME, "a pattern like *.md", optional=True)), "which", optional=True
)
_OF_SESSION: tuple[Form, ...] = ((_SOME_SESSION, _PAGE), (_PAGE,))
_DONE = "artifact.deleted artifact.erased"
_QUOTA = "a table {artifact_bytes_max?, total_bytes_max?, versions_max?, used_bytes, used_versions}"
_MISSING = ("artifact-not-found", "no-session")

OPERATIONS = (
    Operation(
        "Artifact", ("put_many", "store_many"), ((_ITEMS,), (_SESSION, _ITEMS)),
        "a table {ok, done, failed, items}; an item is {index, name, ok, artifact or error}",
        "Store many artifacts; one that fails keeps no other from being stored.", _put_many,
        errors=("no-session", "session-not-found", "invalid-argument"), lua_returns="table",
    ),
    Operation(
        "Artifact", ("get_many", "load_many"), ((_MANY,), (_SESSION, _MANY)),
        "a table {ok, done, failed, items}; an item is {index, name, ok, artifact and content, or error}",
        "Many artifacts with their content; one that is not there keeps no other from being had.", _get_many,
        errors=("no-session", "session-not-found"), lua_returns="table", shorten=_shorten, restore=_restore,
    ),
    Operation(
        "Artifact", ("labels", "list_labels"), ((_NAME,), (_SESSION, _NAME)), "a table of versions by label",
        "Labels of a name, and the versions they mean.", _labels,
        errors=("no-session", "session-not-found"), lua_returns="table",
    ),
    Operation(
        "Artifact", ("deleted", "list_deleted"), ((_WHICH_DELETED,),), "a list of metadata tables",
        "Versions that are deleted and can be brought back, or deleted for good.", _deleted,
        errors=("session-not-found",), lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("delete_matching",), ((_MATCHING,),), "how many versions were deleted",
        "Delete every version that fits all conditions, of one session or of all.", _delete_matching,
        errors=("nothing-selected", "invalid-selection", "session-not-found", "vetoed"), lua_returns="integer",
        made=(_DONE, _go_on_deleting),
    ),
    Operation(
        "Artifact", ("delete_tree",), ((_REFERENCE, _TREE),), "how many artifacts were deleted",
        "Delete an artifact and everything below it by a relation, all or nothing.", _delete_tree,
        errors=(*_MISSING, "too-many-relations", "vetoed"), lua_returns="integer", made=(_DONE, _count_deleted),
    ),
    Operation(
        "Artifact", ("quota", "get_quota"), ((_WHOSE,),), _QUOTA,
        "What a session or the store may hold in artifacts, and what it holds.", _quota, errors=("session-not-found",),
        lua_returns="table",
    ),
    Operation(
        "Artifact", ("set_quota",), ((_BOUNDS,),), _QUOTA,
        "Bound what a session or the store may hold from now on. What is there stays.", _set_quota,
        errors=("invalid-quota", "session-not-found"), lua_returns="table",
    ),
    Operation(
        "Artifact", ("orphans", "list_orphans"), ((),), "a table {contents, content_count, chunks, files, …}",
        "What nothing refers to any more, in the whole store; `collect` takes it away.", _orphans,
        lua_returns="table",
    ),
    Operation(
        "Artifact", ("audit",), ((_REFERENCE, _PAGE),), "a list of tables {seq, time, action, grantee, count, …}",
        "Who was granted an artifact, who used it and who was refused, newest first.", _audit, errors=_MISSING,
        lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("granted", "list_granted"), _OF_SESSION, "a list of tables {session, name, version, right, …}",
        "What a session was granted that holds now.", _granted, errors=("no-session", "session-not-found"),
        lua_returns="table[]",
    ),
)  # fmt: skip
