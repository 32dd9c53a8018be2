"""The units of work of the artifacts room: check first, then append."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from llmspell.artifacts.blob import Blob
from llmspell.artifacts.captures.units import forget_rules
from llmspell.artifacts.grants.units import forget_grants
from llmspell.artifacts.heirs import (
    adopt,
    adopt_all,
    demand_standing,
    demand_unneeded,
    drop,
    drop_labelled,
    label_again,
    last_number,
    not_its_own,
    not_there,
    standing_for,
    take_back,
    there_under,
)
from llmspell.artifacts.kinds import (
    ArtifactDeleted,
    ArtifactErased,
    ArtifactRenamed,
    ArtifactStored,
    ArtifactTagged,
    ArtifactUndeleted,
    ArtifactUpdated,
)
from llmspell.artifacts.projection import DELETED, ERASED, RENAMED, STORED, TAGGED, UNDELETED, UPDATED, has_all
from llmspell.artifacts.quotas import demand_room, forget_quota, is_metered
from llmspell.errors import AlreadyExists, Conflict, LlmspellError, NotFound
from llmspell.journal.asking import Asks
from llmspell.journal.journal import Writer
from llmspell.model.ids import id_bytes, id_text
from llmspell.ports.database import Row
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts")
UNIT_VERSIONS = 500
"""Versions that one unit deletes: more would keep other writers waiting."""


async def store(
    writer: Writer,
    new: ArtifactStored,
    blob: Blob | None,
    still_whole: Callable[[], bool],
    *,
    required: Sequence[str] | None = None,
    number_min: int = 1,
) -> tuple[ArtifactStored, int, int, int]:
    """The next version of a name, and its content's row if that is new (``blob`` None: it was there before).

    Gives the payload of its entry, the entry's time, and the content's stored size and codec.

    ``required`` are the artifacts that must exist, all of ``derived_from`` by default; ``number_min`` is the
    least number that the version may get.
    """
    session = id_bytes(new.session)
    metered = await demand_session(writer, session, "store artifacts")
    for source in new.derived_from if required is None else required:
        artifact, row = await standing_for(writer, id_bytes(source))
        if not (await writer.one(_SQL["open_row"], (artifact,)) if row is None else row):
            raise NotFound(f"derived_from names artifact {source}, which does not exist", code="artifact-not-found")
    digest = bytes.fromhex(new.digest)
    form = await writer.one(_SQL["blob_form"], (digest,))
    if form is None and blob is not None and still_whole():
        form = blob.stored_size, blob.codec
    elif form is not None:
        blob = None
    else:
        raise collected()
    if metered:
        await demand_room(writer, session, (new.size,))
    scope_name = f"session:{new.session}"
    scope = writer.known(scope_name) or await writer.scope(scope_name)
    last = await last_number(writer, session, new.name)
    stored: ArtifactStored = msgspec.structs.replace(new, version=max(last + 1, number_min), metered=metered)
    if blob is not None:
        await writer.run(
            _SQL["insert_blob"],
            (blob.digest, blob.size, blob.stored_size, blob.codec, blob.inline, blob.chunk_count, blob.chunk_ids,
             blob.chunks_digest),
        )  # fmt: skip
    await writer.append(STORED, stored, scope, f"artifact/{new.name}")
    return stored, writer.at, form[0], form[1]


async def update(writer: Writer, artifact: bytes, changed: dict[str, Any]) -> bool:
    """New values of descriptive fields of one version; of one that a fork inherited, for the fork alone. False, and
    nothing is written, when it has all of them.
    """
    artifact, row = await demand_standing(writer, artifact)
    there = row[1:] if row else await writer.one(_SQL["open_row"], (artifact,))
    if there is not None and has_all(there, changed):
        return False
    if row:
        artifact = await adopt(writer, row)
    session, name, _ = await _require(writer, artifact)
    payload = ArtifactUpdated(id_text(artifact), changed)
    await writer.append(UPDATED, payload, await writer.scope(f"session:{id_text(session)}"), f"artifact/{name}")
    return True


async def rename(writer: Writer, session: bytes, name: str, to: str) -> int:
    """Give every version of a name another one, which no version ever had; returns how many. Raises NotFound,
    AlreadyExists (``artifact-exists``), Conflict (``session-archived``).
    """
    await demand_session(writer, session, "rename artifacts")
    inherited = await adopt_all(writer, name, to)
    count = len(await writer.all(_SQL["of_name"], (session, name)))
    if not count and not (inherited and await there_under(writer, session, name)):
        raise NotFound(f"there is no artifact {name!r}", code="artifact-not-found")
    row = await writer.one(_SQL["last_version"], (session, to))
    if inherited or (row is not None and row[0] is not None):
        raise AlreadyExists(
            f"session {id_text(session)} has, or had, an artifact {to!r}", code="artifact-exists", name=to
        )
    payload = ArtifactRenamed(id_text(session), name, to)
    await writer.append(RENAMED, payload, await writer.scope(f"session:{payload.session}"), f"artifact/{name}")
    return count


async def delete(
    writer: Writer, artifacts: Sequence[bytes], *, hard: bool = False, of_many: bool = False
) -> list[bytes]:
    """Delete these versions, for good if ``hard``; returns which. Those that are deleted already can only be deleted
    for good. Raises NotFound; with ``of_many``, what another deleted meanwhile is left out.
    """
    found, dropped = [], []
    for asked in artifacts:
        artifact, inherited = await standing_for(writer, asked)
        if inherited:
            if hard:
                raise not_its_own(artifact)
            dropped.append((asked, inherited))
            continue
        row = None if inherited is not None else await writer.one(_SQL["closed_row"], (artifact,))
        gone = await _gone(writer, artifact, row, hard=hard)
        if row is not None and gone is None:
            if hard:
                await demand_unneeded(writer, artifact, row[1])
            found.append((asked, artifact, row))
        elif gone is not None and not of_many:
            raise gone
    for _, inherited in dropped:
        await drop(writer, inherited)
    metered = bool(found) and await is_metered(writer)
    for _, artifact, row in found:
        session, name, version = row[1:4]
        scope = await writer.scope(f"session:{id_text(session)}")
        about = id_text(artifact), id_text(session), name, version
        if row[0] is None:
            await writer.append(DELETED, ArtifactDeleted(*about, metered), scope, f"artifact/{name}")
        if hard:
            await writer.append(ERASED, ArtifactErased(*about, row[11].hex()), scope, f"artifact/{name}")
    return [asked for asked, _, _ in found] + [asked for asked, _ in dropped]


async def undelete(writer: Writer, artifacts: Sequence[bytes], *, of_many: bool = False) -> list[bytes]:
    """Bring deleted versions back; returns which. Raises NotFound, Conflict, LimitExceeded; with ``of_many``, what
    another brought back or deleted for good meanwhile is left out.
    """
    found: list[tuple[bytes, bytes, Row]] = []
    back = []
    for asked in artifacts:
        try:
            meant = await _coming_back(writer, asked)
        except (NotFound, Conflict):
            if not of_many:
                raise
        else:
            if meant is None:
                back.append(asked)
            else:
                found.append((asked, *meant))
    metered = False
    fork = writer.origin.context.session if back else None
    for session in dict.fromkeys([*(row[1] for _, _, row in found), *([] if fork is None else [fork])]):
        metered = await demand_session(writer, session, "undelete artifacts")
    found = [one for one in found if await _is_of_this_life(writer, *one[1:], of_many=of_many)]
    if metered:
        sizes: dict[bytes, list[int]] = {}
        for _, _, row in found:
            sizes.setdefault(row[1], []).append(row[10])
        for session, wanted in sizes.items():
            await demand_room(writer, session, wanted)
    for _, artifact, row in found:
        session, name, version = row[1:4]
        payload = ArtifactUndeleted(id_text(artifact), id_text(session), name, version, metered)
        await writer.append(UNDELETED, payload, await writer.scope(f"session:{payload.session}"), f"artifact/{name}")
        await label_again(writer, (session, name, version), row[0])
    return [asked for asked, _, _ in found] + back


async def _gone(writer: Writer, artifact: bytes, row: Row | None, *, hard: bool) -> LlmspellError | None:
    """Why a version cannot be deleted (again): what ``delete`` raises."""
    if row is None or (row[0] is not None and not hard):
        return not_there(artifact)
    if row[0] is not None and await writer.one(_SQL["erased"], (artifact,)) is not None:
        return erased(artifact)
    return None


async def _coming_back(writer: Writer, asked: bytes) -> tuple[bytes, Row] | None:
    """A deleted version that can be undeleted, with its last row; None for one that a fork dropped, and has again."""
    await _demand_unerased(writer, asked)
    artifact = await take_back(writer, asked)
    if artifact is None:
        return None
    row = await writer.one(_SQL["closed_row"], (artifact,))
    if row is None:
        raise not_there(artifact)
    if row[0] is None:
        raise Conflict(f"artifact {id_text(artifact)} is not deleted", code="artifact-not-deleted")
    await _demand_unerased(writer, artifact)
    return artifact, row


async def _demand_unerased(writer: Writer, artifact: bytes) -> None:
    if await writer.one(_SQL["erased"], (artifact,)) is not None:
        raise erased(artifact)


async def _is_of_this_life(writer: Writer, artifact: bytes, row: Row, *, of_many: bool) -> bool:
    """Whether a session that was deleted and imported again has, or had, this artifact since. Raises NotFound."""
    there = await writer.one(_SQL["of_this_life"], (row[1], artifact)) is not None
    if not there and not of_many:
        raise NotFound(
            f"the session of artifact {id_text(artifact)} was deleted, and imported again without it",
            code="session-not-found",
        )
    return there


async def tag(writer: Writer, artifact: bytes, label: str) -> None:
    """Let a label mean this version; of one that a fork inherited, for the fork alone."""
    artifact, row = await demand_standing(writer, artifact)
    session, name, version = row[1:4] if row else await _require(writer, artifact)
    payload = ArtifactTagged(id_text(session), name, version, label)
    await writer.append(TAGGED, payload, await writer.scope(f"session:{payload.session}"), f"artifact/{name}")


async def remove_of_session(writer: Writer, session: bytes) -> None:
    """Delete every artifact of a session, as part of deleting it."""
    rows = await writer.all(_SQL["of_session"], (session,))
    await delete(writer, [row[0] for row in rows])
    await drop_labelled(writer, session)
    await forget_quota(writer, session)
    await forget_rules(writer, session)
    await forget_grants(writer, session)


async def demand_session(asks: Asks, session: bytes, what: str) -> bool:
    """Raise NotFound or Conflict unless the session takes artifacts; gives whether there are quotas."""
    row = await asks.one(_SQL["session_status"], (session,))
    if row is None:
        raise NotFound(f"session {id_text(session)} does not exist", code="session-not-found")
    if row[0] == "archived":
        raise Conflict(f"session {id_text(session)} is archived; unarchive it to {what}", code="session-archived")
    return bool(row[1])


def collected() -> Conflict:
    """The error for a put whose content was collected in between."""
    return Conflict("the content was collected while it was being put; put it again", code="content-collected")


def erased(artifact: bytes) -> NotFound:
    """The error for a version that was deleted for good."""
    return NotFound(f"artifact {id_text(artifact)} was deleted for good", code="artifact-erased")


async def _require(writer: Writer, artifact: bytes) -> tuple[bytes, str, int]:
    row = await writer.one(_SQL["open_row"], (artifact,))
    if row is None:
        raise not_there(artifact)
    return row[0], row[1], row[2]
