"""Which artifact a script means, in any of the ways that it may say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.model import limits
from llmspell.model.artifact_name import is_artifact_id

if TYPE_CHECKING:
    from llmspell.artifacts.info import ArtifactInfo
    from llmspell.artifacts.service import AsyncArtifacts
    from llmspell.operations.host import Host


def id_in(reference: Any, where: str) -> str:
    """The id in a table that `store` gave, or the id itself. Raises InvalidInput (``invalid-argument``)."""
    if isinstance(reference, dict) and isinstance(reference.get("id"), str):
        return str(reference["id"])
    if type(reference) is str:
        return reference
    raise InvalidInput(f"{where} is an artifact's id, or the table that `store` gave", code="invalid-argument")


async def find(
    host: Host, artifact: str | Mapping[str, Any], session: str | None, version: int | str | None
) -> ArtifactInfo:
    """The artifact that a script names: by id, by name in a session, or by a table with either. Raises NotFound, and
    AccessDenied when a session is named that may not read it.
    """
    if isinstance(artifact, Mapping):
        info = await _find_table(host, artifact, session, version)
        return info if session is None else await (await acting_for(host, session)).info(info.id)
    return await (await room_of(host, artifact, session)).info(artifact, version=version)


async def acting_for(host: Host, session: str | None) -> AsyncArtifacts:
    """The handle that does something with what was found: a session that is named does only what it may, and in a fork
    to what is the fork's.
    """
    return host.store.artifacts if session is None else (await host.session(session)).artifacts


async def room_of(host: Host, artifact: str, session: str | None) -> AsyncArtifacts:
    """The handle to ask. An id means an artifact of any session; only a session that is named is held to its grants."""
    if session is None and (host.current is None or is_artifact_id(artifact)):
        return host.store.artifacts
    return (await host.session(session)).artifacts


async def _find_table(
    host: Host, table: Mapping[str, Any], session: str | None, version: int | str | None
) -> ArtifactInfo:
    if isinstance(table.get("id"), str):
        return await host.store.artifacts.info(table["id"], version=version)
    session = table.get("session_id") or session
    if isinstance(table.get("name"), str):
        return await find(host, table["name"], session, table.get("version", version))
    if not isinstance(table.get("content_hash"), str):
        raise InvalidInput("an artifact is named by `id`, `name` or `content_hash`", code="invalid-argument")
    return await _find_content(host, session, table["content_hash"], table.get("sequence"))


async def _find_content(host: Host, session: str | None, digest: str, sequence: int | None) -> ArtifactInfo:
    room = (await host.session(session)).artifacts
    found, cursor = [], None
    while True:
        page = await room.list(all_versions=True, limit=limits.PAGE_ROWS_MAX, cursor=cursor)
        found += [info for info in page if info.digest == digest and sequence in {None, info.version}]
        cursor = page.next_cursor
        if cursor is None:
            break
    if not found:
        raise NotFound(f"there is no artifact with the content {digest!r}", code="artifact-not-found")
    if len({info.name for info in found}) > 1:
        names = ", ".join(sorted({info.name for info in found}))
        raise Conflict(
            f"several artifacts have this content: {names}", code="ambiguous-name", hint="name one by its id"
        )
    return found[-1]
