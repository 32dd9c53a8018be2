"""Changes in a fork of artifacts that it inherited, inside the units of the room: the session they belong to never sees
them.

A unit acts in the session of its context. Where that is a fork, an artifact of a session it goes back to stands for
what the fork shows under its name and number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell.artifacts.inherited import (
    inherited,
    inheriting,
    is_inheritable,
    labels,
    last_version,
    named_then,
    visible,
)
from llmspell.artifacts.kinds import ArtifactAdopted, ArtifactDeleted, ArtifactTagged, ArtifactUndeleted
from llmspell.artifacts.projection import ADOPTED, DELETED, TAGGED, UNDELETED
from llmspell.artifacts.quotas import demand_room, is_metered
from llmspell.errors import Conflict, NotFound
from llmspell.model.ids import id_text
from llmspell.model.values import decode_value
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.asking import Asks
    from llmspell.journal.journal import Writer
    from llmspell.journal.lineage import Lineage
    from llmspell.ports.database import Row

_SQL = queries("llmspell.artifacts")
_OF_NUMBER = "SELECT id FROM artifact WHERE session = ? AND name = ? AND version = ? ORDER BY since_seq DESC LIMIT 1"


async def fork_of(writer: Writer) -> Lineage | None:
    """The lineage of the session that the unit acts in; None when it is no fork."""
    session = writer.origin.context.session
    return None if session is None else await lineage_of(writer, session)


async def there_under(writer: Writer, session: bytes, name: str) -> list[Row]:
    """The versions of a name that a session shows, from id, (session,) name and version on; oldest first. Raises
    Conflict (``artifact-inherited``) when the unit acts elsewhere and some are inherited: nobody there may change them.
    """
    return await shown(writer, await lineage_of(writer, session), session, name, writer.origin.context.session)


async def shown(asks: Asks, levels: Lineage | None, session: bytes, name: str, acting: bytes | None) -> list[Row]:
    """``there_under`` for whoever knows the session's lineage and in which one it acts."""
    if levels is None:
        found: list[Row] = await asks.all(_SQL["of_name"], (session, name))
        return found
    rows = await visible(asks, levels, name)
    if acting != session:
        for row in rows:
            if await asks.one(_SQL["of_fork"], (row[0], session)) is None:
                raise not_its_own(row[0])
    return rows


async def last_number(writer: Writer, session: bytes, name: str) -> int:
    """The highest number that a version of a name ever had in a session, 0 for none."""
    return await numbered(writer, await lineage_of(writer, session), session, name)


async def numbered(asks: Asks, levels: Lineage | None, session: bytes, name: str) -> int:
    """``last_number`` for whoever knows the session's lineage."""
    if levels is not None:
        return await last_version(asks, levels, name)
    row = await asks.one(_SQL["last_version"], (session, name))
    return 0 if row is None or row[0] is None else int(row[0])


async def lineage_of(writer: Writer, session: bytes) -> Lineage | None:
    """The lineage of a session that is a fork, None for any other."""
    name = f"session:{id_text(session)}"
    await writer.existing_scope(name)
    return await inheriting(writer, writer.lineage(name))


async def standing_for(writer: Writer, artifact: bytes) -> tuple[bytes, Row | None]:
    """What stands for an artifact where the unit acts: its id, and its row when the fork only inherits it.

    A fork's own one that took the place of an inherited one stands for that. One that it dropped, or deleted, gives the
    id it was asked for and a row of nothing: ``()``.
    """
    levels = await fork_of(writer)
    if levels is None or not await is_inheritable(writer, levels, artifact):
        return artifact, None
    row = await inherited(writer, levels, artifact)
    if row is None:
        return artifact, ()
    return row[0], row if row[0] == artifact else None


async def demand_standing(writer: Writer, artifact: bytes) -> tuple[bytes, Row | None]:
    """The same of what is to be used: raises NotFound when nothing stands for it. What no fork has is not looked at."""
    found, row = await standing_for(writer, artifact)
    if row is not None and not row:
        raise not_there(artifact)
    return found, row


async def adopt(writer: Writer, row: Row) -> bytes:
    """Make an inherited version the fork's own, under the same name and number; gives its id. Raises LimitExceeded."""
    session, name, version = row[1:4]
    metered = await is_metered(writer)
    if metered:
        await demand_room(writer, session, (row[10],))
    artifact = writer.draw_id()
    payload = ArtifactAdopted(
        id_text(artifact), id_text(session), name, version, row[4], row[5], row[6], decode_value(row[7]),
        decode_value(row[8]), decode_value(row[9]), row[10], row[11].hex(), metered,
        source=id_text(row[0]), created_at=row[12],
    )  # fmt: skip
    await writer.append(ADOPTED, payload, await writer.scope(f"session:{payload.session}"), f"artifact/{name}")
    return artifact


async def adopt_all(writer: Writer, name: str, to: str) -> int:
    """Make all versions of a name that the fork inherits its own, with their labels, to be renamed with those that are;
    gives the highest number that the other name ever had in it, 0 when none. Nothing, and 0, in any other session.
    """
    levels = await fork_of(writer)
    if levels is None:
        return 0
    taken = await last_version(writer, levels, to)
    if taken:
        return taken
    meant = await labels(writer, levels, name)
    await adopt_versions(writer, levels[0].session, name)
    for label, version in meant.items():
        own = levels[0].session
        if await writer.one(_SQL["label"], (own, name, label)) is None:
            payload = ArtifactTagged(id_text(own), name, version, label)
            await writer.append(TAGGED, payload, await writer.scope(f"session:{payload.session}"), f"artifact/{name}")
    return 0


async def adopt_versions(writer: Writer, session: bytes, name: str, version: int | None = None) -> None:
    """Make a version of a name, or all, that a fork inherits its own. Nothing in a session that is no fork, or another
    than the unit acts in. Raises LimitExceeded.
    """
    levels = await fork_of(writer)
    if levels is None or levels[0].session != session:
        return
    for row in await visible(writer, levels, name, version):
        if await writer.one(_SQL["of_fork"], (row[0], session)) is None:
            await adopt(writer, row)


async def drop(writer: Writer, row: Row) -> None:
    """Let an inherited version be there no more for the fork."""
    payload = ArtifactDeleted(id_text(row[0]), id_text(row[1]), row[2], row[3], inherited=True)
    await writer.append(DELETED, payload, await writer.scope(f"session:{payload.session}"), f"artifact/{row[2]}")


async def drop_labelled(writer: Writer, session: bytes) -> None:
    """Let go what a fork that is deleted inherits and gave labels of its own: an import under its id begins without."""
    levels = await lineage_of(writer, session)
    for name, version in [] if levels is None else await writer.all(_SQL["labelled"], (session,)):
        for row in await visible(writer, levels or (), name, version):
            await drop(writer, row)


async def take_back(writer: Writer, artifact: bytes) -> bytes | None:
    """Let an inherited version that was dropped be there again: None then. Otherwise the artifact to undelete: the
    fork's own one that took its place, or the one that was given.
    """
    levels = await fork_of(writer)
    then = None if levels is None else await named_then(writer, levels, artifact)
    if levels is None or then is None:
        return artifact
    session = levels[0].session
    if await inherited(writer, levels, artifact) is not None:
        raise Conflict(f"artifact {id_text(artifact)} is not deleted", code="artifact-not-deleted")
    name, version, _ = then
    dropped = await writer.one(_SQL["dropped"], (session, name, version))
    if dropped is None:
        own = await writer.one(_OF_NUMBER, (session, name, version))
        if own is None:  # It was deleted before the fork began: that is for the session it belongs to.
            raise not_there(artifact)
        return bytes(own[0])
    payload = ArtifactUndeleted(id_text(artifact), id_text(session), name, version, inherited=True)
    await writer.append(UNDELETED, payload, await writer.scope(f"session:{payload.session}"), f"artifact/{name}")
    await label_again(writer, (session, name, version), dropped[0])
    return None


async def label_again(writer: Writer, place: tuple[bytes, str, int], gone: int) -> None:
    """Give a version that came back the inherited labels that meant it when it went, with the entry ``gone``.

    They show by themselves unless the fork gave one to another version since. If that went, too, the label is free,
    and means this one again as it would where nothing is inherited.
    """
    session, name, version = place
    levels = await lineage_of(writer, session)
    if levels is None:
        return
    for label, meant in (await labels(writer, levels[1:], name, fork=session)).items():
        if meant == version and await writer.one(_SQL["label_given_since"], (session, name, label, gone)) is not None:
            payload = ArtifactTagged(id_text(session), name, version, label)
            await writer.append(TAGGED, payload, await writer.scope(f"session:{payload.session}"), f"artifact/{name}")


async def demand_unneeded(writer: Writer, artifact: bytes, session: bytes) -> None:
    """Raise Conflict (``artifact-needed``) when forks of the artifact's session go back to it."""
    rows = await writer.all(_SQL["forks_with"], (session, artifact))
    if rows:
        forks = [id_text(one) for (one,) in rows]
        raise Conflict(
            f"artifact {id_text(artifact)} is inherited by session {forks[0]}"
            + (f" and {len(forks) - 1} more" if len(forks) > 1 else ""),
            code="artifact-needed",
            hint="delete it there first, or delete it without hard",
            sessions=forks,
        )


def not_there(artifact: bytes) -> NotFound:
    """The error for an artifact that is not there."""
    return NotFound(f"artifact {id_text(artifact)} does not exist", code="artifact-not-found")


def not_its_own(artifact: bytes) -> Conflict:
    """The error for doing in a fork, to what it inherits, what only its own session can."""
    return Conflict(
        f"artifact {id_text(artifact)} is inherited: that can be done in its own session alone",
        code="artifact-inherited", hint="delete it without hard: then it is gone in this session",
    )  # fmt: skip
