"""Artifact: finding by conditions, relations and lineage, grants to other sessions, history, and bundles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell.artifacts.rules import is_id
from llmspell.operations.artifact_found import find
from llmspell.operations.host import Host
from llmspell.operations.operation import Form, Operation
from llmspell.operations.shapes import artifact_id, artifact_table, listed, present
from llmspell.operations.types import (
    BOOL,
    CREATED,
    INT,
    LABEL_OR_NUMBER,
    NAME,
    NUMBER,
    PAGING,
    REFERENCE,
    SESSION,
    TABLE,
    TEXT_OR_TEXTS,
    UPDATED,
    WORDS,
    Param,
    options,
)

if TYPE_CHECKING:
    from llmspell.artifacts.service import AsyncArtifacts
    from llmspell.model.entry import Entry

Named = str | dict[str, Any]


async def scope(host: Host, given: dict[str, Any]) -> AsyncArtifacts:
    """The artifacts of the session that is given ('' is the current one), else of the store."""
    return (await host.session(given.pop("session"))).artifacts if "session" in given else host.store.artifacts


async def _query(host: Host, options: Mapping[str, Any] | None = None) -> Any:
    query = dict(options or {})
    paged = query.pop("paged", False)
    return listed(await (await scope(host, query)).query(**query), artifact_table, paged=paged)


async def _count(host: Host, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    query = dict(options or {})
    return (await (await scope(host, query)).count(**query)).to_dict()


async def _relate(host: Host, artifact: Named, kind: str, other: Named) -> bool:
    one, two = await find(host, artifact, None, None), await find(host, other, None, None)
    return await host.store.artifacts.relate(one.id, kind, two.id)


async def _unrelate(host: Host, artifact: Named, kind: str, other: Named) -> bool:
    one = await find(host, artifact, None, None)
    two = other["id"] if isinstance(other, Mapping) and isinstance(other.get("id"), str) else None
    if two is None:
        two = (await find(host, other, None, None)).id
    return await host.store.artifacts.unrelate(one.id, kind, two)


async def _changed(host: Host, values: Mapping[str, Any], entries: list[Entry]) -> bool:
    return True


async def _ancestors(host: Host, artifact: Named, options: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    found = await host.store.artifacts.ancestors((await find(host, artifact, None, None)).id, **(options or {}))
    return [present(one.to_dict()) for one in found]


async def _descendants(host: Host, artifact: Named, options: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    found = await host.store.artifacts.descendants((await find(host, artifact, None, None)).id, **(options or {}))
    return [present(one.to_dict()) for one in found]


async def _lineage(host: Host, artifact: Named, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    found = await host.store.artifacts.lineage((await find(host, artifact, None, None)).id, **(options or {}))
    table = found.to_dict()
    return {**table, "nodes": [present(node) for node in table["nodes"]], "dot": found.to_dot()}


async def _granted(host: Host, artifact: Named, session: str) -> tuple[AsyncArtifacts, str, str]:
    """The handle that grants, what, and to whom. A name means every version, in the current session."""
    grantee = (await host.store.sessions.get(session)).id
    if isinstance(artifact, str):
        room = host.store.artifacts if host.current is None else host.current.artifacts
        return room, artifact, grantee
    return host.store.artifacts, (await find(host, artifact, None, None)).id, grantee


async def _grant(
    host: Host, artifact: Named, session: str, right: str = "read", options: Mapping[str, Any] | None = None
) -> int:
    room, meant, grantee = await _granted(host, artifact, session)
    return await room.grant(meant, grantee, right, **(options or {}))


async def _revoke(host: Host, artifact: Named, session: str) -> int:
    room, meant, grantee = await _granted(host, artifact, session)
    return await room.revoke(meant, grantee)


async def _revoked(host: Host, values: Mapping[str, Any], entries: list[Entry]) -> int:
    return len(entries)


async def _grants(host: Host, artifact: Named) -> list[dict[str, Any]]:
    if isinstance(artifact, str):
        room = host.store.artifacts if host.current is None else host.current.artifacts
        found = await room.grants(artifact)
    else:
        found = await host.store.artifacts.grants((await find(host, artifact, None, None)).id)
    return [present(one.to_dict()) for one in found]


async def _history(host: Host, artifact: Named, options: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    version = (options or {}).get("version")
    known = artifact if isinstance(artifact, str) else artifact.get("id")
    if version is not None or not isinstance(known, str) or not is_id(known):
        known = (await find(host, artifact, None, version)).id
    return [one.to_dict() for one in await host.store.artifacts.history(known)]


async def _rename(host: Host, name: str, to: str, session: str | None = None) -> int:
    return await (await host.session(session)).artifacts.rename(name, to)


async def _import(
    host: Host, path: str, options: Mapping[str, Any] | None = None, session: str | None = None
) -> dict[str, Any]:
    file = host.file(path, "Artifact.import")
    report = await (await host.session(session)).artifacts.import_(file, **(options or {}))
    return {
        "artifacts": [artifact_id(info) for info in report.artifacts], "skipped": report.skipped,
        "renamed": report.renamed, "replaced": report.replaced, "bytes": report.bytes, "dry_run": report.dry_run,
    }  # fmt: skip


CONDITIONS = (
    Param("session", SESSION, "id or unique name, '' the current one; left out: all sessions", optional=True,
          aliases=("session_id",)),
    Param("type", NAME, "the type as it was given", optional=True, aliases=("artifact_type",)),
    Param("name", NAME, "a pattern like *.md", optional=True, aliases=("name_pattern",)),
    Param("tags", TEXT_OR_TEXTS, "has each of these", optional=True, aliases=("tag",)),
    *CREATED,
    *UPDATED,
    Param("min_size", INT, "bytes", optional=True),
    Param("max_size", INT, "bytes", optional=True),
    Param("digest", NAME, "BLAKE3 of the content", optional=True, aliases=("content_hash",)),
    Param("metadata", TABLE, "path = value, names of the path joined by dots", optional=True,
          aliases=("custom_metadata", "custom")),
    WORDS,
    Param("fuzzy", NAME, "a name, perhaps misspelt", optional=True),
)  # fmt: skip
_QUERY = Param(
    "options",
    options(
        *CONDITIONS,
        Param("order_by", NAME, "created_at, updated_at, name, size; with - the other way", optional=True,
              aliases=("sort_by",)),
        Param("limit", INT, "at most so many; 50 by default", optional=True),
        *PAGING,
    ),
    "conditions that hold together",
    optional=True,
)  # fmt: skip
_COUNTED = Param(
    "options", options(*CONDITIONS, Param("exact", BOOL, "counts on above 1,000", optional=True)), "conditions",
    optional=True,
)  # fmt: skip
_REFERENCE = Param("artifact", REFERENCE, "id, name in the current session, or a table {id}")
_OTHER = Param("other", REFERENCE, "the other one, named in the same way")
_KIND = Param("kind", NAME, "derived_from, child_of, depends_on, version_of; parent or child")
_WALK = Param(
    "options",
    options(
        Param("kind", NAME, "only this kind", optional=True),
        Param("depth", INT, "at most so many steps", optional=True),
        Param("limit", INT, "at most so many artifacts; 1000 by default", optional=True),
    ),
    "how far",
    optional=True,
)
_GRANTEE = Param("session", NAME, "the session that gets it, by id or unique name")
_RIGHT = Param("right", NAME, "read, write or admin", optional=True)
_UNTIL = Param("options", options(Param("expires_in_s", NUMBER, "seconds", optional=True)), "how long", optional=True)
_WALKED: tuple[Form, ...] = ((_REFERENCE, _WALK),)
_BUNDLE = (
    Param("path", NAME, "the file"),
    Param("options", options(
        Param("on_conflict", NAME, "fail, skip, rename or replace", optional=True),
        Param("dry_run", BOOL, "check it, and say what would be done", optional=True),
    ), "how", optional=True),
)  # fmt: skip
_MISSING = ("artifact-not-found", "no-session")
_SESSION = Param("session", SESSION, "id or unique name; nil or '' is the current one")
_RENAMED = Param("name", NAME, "its name"), Param("to", NAME, "its new name")

OPERATIONS = (
    Operation(
        "Artifact", ("query", "search"), ((_QUERY,),), "a list of metadata tables, each with the `id` that `get` takes",
        "Versions that fit all conditions, of all sessions or of one, newest first.", _query,
        errors=("invalid-selection", "invalid-text-query", "invalid-order"), lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("count",), ((_COUNTED,),), "a table {number, exact, text}",
        "How many `query` would find; above 1,000 the count stops, and `text` says `1000+`.", _count,
        errors=("invalid-selection", "invalid-text-query"), lua_returns="table",
    ),
    Operation(
        "Artifact", ("relate",), ((_REFERENCE, _KIND, _OTHER),), "false when that was said before",
        "Say what an artifact is to another.", _relate,
        errors=(*_MISSING, "invalid-relation", "relation-cycle"), lua_returns="boolean",
        made=("artifact.related", _changed),
    ),
    Operation(
        "Artifact", ("unrelate",), ((_REFERENCE, _KIND, _OTHER),), "false when there was none", "End a relation.",
        _unrelate, errors=(*_MISSING, "invalid-relation", "relation-of-put"), lua_returns="boolean",
        made=("artifact.unrelated", _changed),
    ),
    Operation(
        "Artifact", ("ancestors",), _WALKED, "a list of tables {id, distance, state, name, version, …}",
        "What an artifact comes from, nearest first.", _ancestors, errors=_MISSING, lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("descendants",), _WALKED, "a list of tables {id, distance, state, name, version, …}",
        "What came of an artifact, nearest first.", _descendants, errors=_MISSING, lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("lineage",), _WALKED, "a table {nodes, edges, truncated, dot}",
        "An artifact between what it comes from and what came of it.", _lineage, errors=_MISSING, lua_returns="table",
    ),
    Operation(
        "Artifact", ("grant",),
        ((_REFERENCE, _GRANTEE), (_REFERENCE, _GRANTEE, _RIGHT), (_REFERENCE, _GRANTEE, _RIGHT, _UNTIL)),
        "the seq of the entry",
        "Let another session read, write or admin an artifact: by name every version, by id or table one.", _grant,
        errors=(*_MISSING, "session-not-found", "invalid-right", "own-session", "artifact-denied"),
        lua_returns="integer",
    ),
    Operation(
        "Artifact", ("revoke",), ((_REFERENCE, _GRANTEE),), "how many grants ended",
        "End what a session was granted, and what it granted on.", _revoke, errors=(*_MISSING, "session-not-found"),
        lua_returns="integer", made=("artifact.revoked", _revoked),
    ),
    Operation(
        "Artifact", ("grants",), ((_REFERENCE,),), "a list of tables {grantee, right, expires_at, …}",
        "The grants of an artifact that hold now.", _grants, errors=_MISSING, lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("history",), ((_REFERENCE,), (_REFERENCE, Param("options", options(
            Param("version", LABEL_OR_NUMBER, "a number, `latest`, or a label", optional=True)), optional=True))),
        "a list of tables {seq, time, operation, old, new}", "What became of one version, oldest first.", _history,
        errors=_MISSING, lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("rename",), (_RENAMED, (_SESSION, *_RENAMED)),
        "how many versions", "Give every version of a name in a session another name.", _rename,
        errors=(*_MISSING, "artifact-exists", "vetoed"), lua_returns="integer",
    ),
    Operation(
        "Artifact", ("import",), (_BUNDLE, (_SESSION, *_BUNDLE)),
        "a table {artifacts, skipped, renamed, replaced, bytes}",
        "Take in a bundle, whole or not at all. The run must be granted to read the file.", _import,
        errors=("not-granted", "file-not-found", "invalid-bundle", "artifact-exists", "no-session"),
        lua_returns="table",
    ),
)  # fmt: skip
