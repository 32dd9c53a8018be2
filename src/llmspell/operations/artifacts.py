"""Artifact: named, versioned content of a session; and the short forms that Session offers for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput, NotFound
from llmspell.operations.artifact_found import acting_for, find, id_in, room_of
from llmspell.operations.host import Host
from llmspell.operations.operation import Form, Operation
from llmspell.operations.shapes import artifact_id, artifact_table, listed
from llmspell.operations.types import (
    BOOL,
    CONTENT,
    INT,
    LABEL_OR_NUMBER,
    NAME,
    PAGING,
    REFERENCE,
    SESSION,
    TABLE,
    TEXT,
    TEXTS,
    Param,
    options,
)

if TYPE_CHECKING:
    from llmspell.model.entry import Entry

INLINE_CHARS_MAX = 1024
"""Content up to this size stands in a run's record; longer content is named there, and read again when it is needed."""
_SPECIAL = {"mime_type", "tags", "description", "derived_from", "parent_artifact"}


def _fields(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of ``put`` from a metadata table: some names mean a field of the artifact, all others are custom."""
    given = dict(metadata or {})
    fields: dict[str, Any] = {}
    for name in ("mime_type", "description"):
        value = given.pop(name, None)
        if value is not None:
            if type(value) is not str:
                raise InvalidInput(f"metadata.{name} is text", code="invalid-argument")
            fields[name] = value
    for name in ("tags", "derived_from"):
        value = given.pop(name, None)
        if value is not None and value != {}:
            if type(value) is not list or any(type(item) is not str for item in value):
                raise InvalidInput(f"metadata.{name} is a list of texts", code="invalid-argument")
            fields[name] = value
    parent = given.pop("parent_artifact", None)
    if parent is not None:
        fields["derived_from"] = [id_in(parent, "metadata.parent_artifact"), *fields.get("derived_from", [])]
    return {**fields, "metadata": given}


async def _store(
    host: Host, type: str, name: str, content: str | bytes, metadata: Mapping[str, Any] | None = None,
    session: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    room = (await host.session(session)).artifacts
    return artifact_id(await room.put(name, content, type=type, **_fields(metadata)))


async def _store_table(host: Host, artifact: Mapping[str, Any]) -> dict[str, Any]:
    room = (await host.session(artifact.get("session"))).artifacts
    given = put_fields(artifact)
    return artifact_id(await room.put(given.pop("name"), given.pop("data"), **given))


def put_fields(artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``put`` from a table that has everything."""
    given = dict(artifact)
    metadata = {**given.pop("metadata", {}), **{name: given.pop(name) for name in _SPECIAL & given.keys()}}
    return {"name": given["name"], "data": given["content"], "type": given.get("type", "data"), **_fields(metadata)}


async def _store_any(host: Host, artifact: Mapping[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    return await (_store(host, **values) if artifact is None else _store_table(host, artifact))


async def _store_file(
    host: Host, path: str, type: str, metadata: Mapping[str, Any] | None = None, session: str | None = None
) -> dict[str, Any]:
    file = host.file(path, "Artifact.store_file")
    room = (await host.session(session)).artifacts
    return artifact_id(await room.put(file.name, file, type=type, **_fields(metadata)))


async def _get(
    host: Host, artifact: str | dict[str, Any], session: str | None = None, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    info = await find(host, artifact, session, (options or {}).get("version"))
    content = await (await acting_for(host, session)).get(info.id)
    host.keep({"id": info.id, "name": info.name, "version": info.version})
    return {"content": as_text(await content.read()), "metadata": artifact_table(info)}


def as_text(content: bytes) -> str | bytes:
    """Text where it is text: what a script gets is a string either way."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def shorten(reply: dict[str, Any]) -> dict[str, Any]:
    """What a run's record keeps of ``get``: long or binary content stays where it is."""
    return reply if is_short(reply["content"]) else {"metadata": reply["metadata"]}


async def restore(host: Host, reply: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """The reply that ``shorten`` shortened."""
    return reply if "content" in reply else {**reply, "content": await content_again(host, kept)}


def is_short(content: str | bytes) -> bool:
    """Whether content stands in a run's record."""
    return isinstance(content, str) and len(content) <= INLINE_CHARS_MAX


async def content_again(host: Host, kept: dict[str, Any]) -> str | bytes:
    """Content that the record only names. Raises NotFound (``record-content-gone``)."""
    try:
        return as_text(await (await host.store.artifacts.get(kept["id"])).read())
    except NotFound as exc:
        raise NotFound(
            f"artifact {kept['name']!r} v{kept['version']} was deleted; the run needs its content to go on",
            code="record-content-gone",
        ) from exc


async def _content(host: Host, name: str, options: Mapping[str, Any] | None = None) -> str | bytes:
    chosen = options or {}
    reply: str | bytes = (await _get(host, name, chosen.get("session"), chosen))["content"]
    return reply


def _shorten_content(content: str | bytes) -> str | None:
    return content if isinstance(content, str) and is_short(content) else None


async def _restore_content(host: Host, content: str | None, kept: dict[str, Any]) -> str | bytes:
    return await content_again(host, kept) if content is None else content


async def _list(host: Host, session: str | None = None, options: Mapping[str, Any] | None = None) -> Any:
    query = dict(options or {})
    paged = query.pop("paged", False)
    room = (await host.session(session)).artifacts
    return listed(await room.list(**query), artifact_table, paged=paged)


async def _delete(
    host: Host, artifact: str | dict[str, Any], session: str | None = None, options: Mapping[str, Any] | None = None
) -> int:
    version, hard = (options or {}).get("version"), (options or {}).get("hard", False)
    if isinstance(artifact, str) and (version is None or hard):
        return await (await room_of(host, artifact, session)).delete(artifact, version=version, hard=hard)
    room = await acting_for(host, session)
    if hard and isinstance(artifact, Mapping) and isinstance(artifact.get("id"), str):
        return await room.delete(artifact["id"], hard=True)
    return await room.delete((await find(host, artifact, session, version)).id, hard=hard)


async def _deleted(host: Host, values: Mapping[str, Any], entries: list[Entry]) -> int:
    return len({entry.data["id"] for entry in entries})


async def _undelete(
    host: Host, artifact: str | dict[str, Any], session: str | None = None, options: Mapping[str, Any] | None = None
) -> int:
    if isinstance(artifact, Mapping):
        return await (await acting_for(host, session)).undelete(id_in(artifact, "artifact"))
    return await (await room_of(host, artifact, session)).undelete(artifact, version=(options or {}).get("version"))


async def _collect(host: Host, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return (await host.store.collect(dry_run=(options or {}).get("dry_run", False))).to_dict()


async def _versions(host: Host, name: str, session: str | None = None) -> list[dict[str, Any]]:
    return [artifact_table(info) for info in await (await host.session(session)).artifacts.versions(name)]


async def _info(
    host: Host, artifact: str | dict[str, Any], session: str | None = None, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return artifact_table(await find(host, artifact, session, (options or {}).get("version")))


async def _tag(host: Host, name: str, version: int, label: str, session: str | None = None) -> dict[str, Any]:
    return artifact_id(await (await host.session(session)).artifacts.tag_version(name, version, label))


async def _restore_version(host: Host, name: str, version: int | str, session: str | None = None) -> dict[str, Any]:
    return artifact_id(await (await host.session(session)).artifacts.restore_version(name, version))


async def _diff(
    host: Host, name: str, old: int | str, new: int | str | None = None, session: str | None = None
) -> dict[str, Any]:
    return (await (await host.session(session)).artifacts.diff(name, old, new)).to_dict()


async def _update(
    host: Host, artifact: str | dict[str, Any], fields: Mapping[str, Any], session: str | None = None
) -> dict[str, Any]:
    info = await find(host, artifact, session, None)
    return artifact_table(await (await acting_for(host, session)).update(info.id, **fields))


async def _save_artifact(
    host: Host, name: str, content: str | bytes, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return await _store_table(host, {"name": name, "content": content, **(options or {})})


_SESSION = Param("session", SESSION, "id or unique name; nil or '' is the current one")
_SOME_SESSION = Param("session", SESSION, _SESSION.doc, optional=True)
_TYPE = Param("type", NAME, "agent_output, tool_result, user_input, system_generated, or a type of your own")
_NAME, _CONTENT = (
    Param("name", NAME, "its name in the session"),
    Param("content", CONTENT, "text, or bytes in a string"),
)
_METADATA = Param(
    "metadata", TABLE, "mime_type, tags, description, derived_from and parent_artifact mean those fields; all else is"
    " kept as custom metadata", optional=True,
)  # fmt: skip
_REFERENCE = Param(
    "artifact", REFERENCE, "id, name in the session, or a table {id} or {content_hash, session_id, sequence}"
)
_VERSION = Param("version", LABEL_OR_NUMBER, "a number, `latest`, or a label")
_NUMBER, _LABEL = Param("version", INT, "its number"), Param("label", NAME, "like v1 or approved")
_OF_VERSION = Param(
    "options", options(Param("version", LABEL_OR_NUMBER, _VERSION.doc, optional=True)), "which version", optional=True
)
_PUT = (
    Param("type", NAME, _TYPE.doc, optional=True, aliases=("artifact_type",)),
    Param("session", SESSION, _SESSION.doc, optional=True, aliases=("session_id",)),
    Param("mime_type", NAME, "guessed from the name when left out", optional=True),
    Param("description", TEXT, "free text", optional=True),
    Param("tags", TEXTS, "labels to find it by", optional=True),
    Param("derived_from", TEXTS, "ids of artifacts", optional=True),
    Param("parent_artifact", REFERENCE, "what it was made from", optional=True),
    Param("metadata", TABLE, "fields of your own", optional=True),
)
_LISTED = Param(
    "options",
    options(
        Param("all_versions", BOOL, "every version, not only the latest", optional=True),
        Param("limit", INT, "at most so many; 100 by default", optional=True),
        *PAGING,
    ),
    "which",
    optional=True,
)
_FOUND: tuple[Form, ...] = (
    (_REFERENCE,), (_REFERENCE, _OF_VERSION), (_SESSION, _REFERENCE), (_SESSION, _REFERENCE, _OF_VERSION),
)  # fmt: skip
_DELETED: tuple[Form, ...] = tuple(
    (*form[:-1], Param("options", options(
        Param("version", LABEL_OR_NUMBER, _VERSION.doc, optional=True),
        Param("hard", BOOL, "for good: the content goes with the next collect", optional=True),
    ), "which version, and how", optional=True)) if form[-1] is _OF_VERSION else form
    for form in _FOUND
)  # fmt: skip
_NUMBERED = Param("options", options(Param("version", INT, "its number", optional=True)), "which", optional=True)
_UNDELETED: tuple[Form, ...] = ((_REFERENCE, _NUMBERED), (_SESSION, _REFERENCE, _NUMBERED))
_UPDATED = Param(
    "fields",
    options(
        Param("description", TEXT, "a new description", optional=True),
        Param("tags", TEXTS, "new tags, instead of the old", optional=True),
        Param("metadata", TABLE, "new metadata, instead of the old", optional=True),
        Param("mime_type", NAME, "a new MIME type", optional=True),
    ),
)
PUT_ITEM = options(_NAME, _CONTENT, *(param for param in _PUT if param.name != "session"))
"""One of many that are stored in a session."""
_STORED = "a table {id, content_hash, session_id, sequence, name, version}"
_LIST_FORMS: tuple[Form, ...] = ((_SOME_SESSION, _LISTED), (_LISTED,))
_MISSING = ("artifact-not-found", "no-session")

OPERATIONS = (
    Operation(
        "Artifact", ("store", "put"),
        ((Param("artifact", options(_NAME, _CONTENT, *_PUT), "everything in one table"),), (_TYPE, _NAME, _CONTENT),
         (_SESSION, _TYPE, _NAME, _CONTENT, _METADATA)),
        _STORED, "Store content as the next version of a name.", _store_any,
        errors=("session-not-found", "no-session", "invalid-name", "invalid-mime", "vetoed"), lua_returns="table",
    ),
    Operation(
        "Artifact", ("store_file", "put_file"),
        ((Param("path", NAME, "the file"), _TYPE), (_SESSION, Param("path", NAME, "the file"), _TYPE, _METADATA)),
        _STORED, "Store a file's content under the file's name. The run must be granted to read it.", _store_file,
        errors=("not-granted", "file-not-found", "no-session"), lua_returns="table",
    ),
    Operation(
        "Artifact", ("get", "load"), _FOUND, "a table {content, metadata}", "An artifact with its content.", _get,
        errors=_MISSING, lua_returns="table", shorten=shorten, restore=restore,
    ),
    Operation(
        "Artifact", ("info",), _FOUND, "its metadata; `artifact_type` is the type as it was given",
        "What `get` would give, without the content.", _info, errors=_MISSING, lua_returns="table",
    ),
    Operation(
        "Artifact", ("list",), _LIST_FORMS, "a list of metadata tables, each with the `id` that `get` takes",
        "The artifacts of a session by name.", _list, errors=("no-session",), lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("delete", "remove"), _DELETED, "how many versions were deleted",
        "Delete one version (by id or version), or all of a name; `hard` for good, also what is deleted already.",
        _delete, errors=(*_MISSING, "artifact-erased", "vetoed"), lua_returns="integer",
        made=("artifact.deleted artifact.erased", _deleted),
    ),
    Operation(
        "Artifact", ("undelete",), _UNDELETED, "how many versions are back",
        "Bring back one deleted version (by id or number), or all of a name.", _undelete,
        errors=(*_MISSING, "artifact-erased", "artifact-not-deleted", "vetoed"), lua_returns="integer",
        made=("artifact.undeleted", _deleted),
    ),
    Operation(
        "Artifact", ("collect",), ((Param("options", options(
            Param("dry_run", BOOL, "only say what would go", optional=True)), "how", optional=True),),),
        "a table {contents, chunks, chunk_bytes, freed_bytes, kept, …}",
        "Take content away that nothing refers to any more, of the whole store.", _collect,
        errors=("collect-running",), lua_returns="table",
    ),
    Operation(
        "Artifact", ("versions", "list_versions"), ((_NAME,), (_SESSION, _NAME)),
        "a list of metadata tables, oldest first", "All versions of a name.", _versions,
        errors=_MISSING, lua_returns="table[]",
    ),
    Operation(
        "Artifact", ("tag_version",),
        ((_NAME, _NUMBER, _LABEL), (_SESSION, _NAME, _NUMBER, _LABEL)),
        _STORED, "Let a label mean a version.", _tag, errors=(*_MISSING, "invalid-label"), lua_returns="table",
    ),
    Operation(
        "Artifact", ("restore_version",), ((_NAME, _VERSION), (_SESSION, _NAME, _VERSION)), _STORED,
        "Store an older version again as the newest.", _restore_version, errors=_MISSING, lua_returns="table",
    ),
    Operation(
        "Artifact", ("diff", "compare"),
        ((_NAME, Param("old", LABEL_OR_NUMBER)), (_NAME, Param("old", LABEL_OR_NUMBER), Param("new", LABEL_OR_NUMBER)),
         (_SESSION, _NAME, Param("old", LABEL_OR_NUMBER), Param("new", LABEL_OR_NUMBER))),
        "what differs: lines, JSON paths or bytes", "Compare two versions of a name.", _diff,
        errors=_MISSING, lua_returns="table",
    ),
    Operation(
        "Artifact", ("update", "update_metadata"), ((_REFERENCE, _UPDATED), (_SESSION, _REFERENCE, _UPDATED)),
        "its metadata afterwards", "Give descriptive fields of a version new values.", _update,
        errors=(*_MISSING, "nothing-to-do", "vetoed"), lua_returns="table",
    ),
    Operation(
        "Session", ("save_artifact", "store_artifact"),
        ((_NAME, _CONTENT, Param("options", options(*_PUT), "its other fields", optional=True)),),
        _STORED, "Store content in the current session.", _save_artifact, errors=("no-session", "vetoed"),
        lua_returns="table",
    ),
    Operation(
        "Session", ("load_artifact", "get_artifact"),
        ((_NAME, Param("options", options(
            Param("session", SESSION, _SESSION.doc, optional=True, aliases=("session_id",)),
            Param("version", LABEL_OR_NUMBER, _VERSION.doc, optional=True)), optional=True)),),
        "the content", "The content of an artifact of the current session.", _content,
        errors=_MISSING, lua_returns="string", shorten=_shorten_content, restore=_restore_content,
    ),
    Operation(
        "Session", ("list_artifacts",), _LIST_FORMS, "a list of metadata tables", "The artifacts of a session by name.",
        _list, errors=("no-session",), lua_returns="table[]",
    ),
)  # fmt: skip
