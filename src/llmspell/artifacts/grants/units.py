"""The units of work of grants: check first, then append.

A grant stands while whoever gave it may still grant: the owner of the store and the session that the artifact belongs
to always, another session while it is admin, for as long and for as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmspell.artifacts.grants.kinds import ArtifactGranted, ArtifactRevoked, Level
from llmspell.artifacts.grants.projection import GRANTED, OWNER, REVOKED
from llmspell.errors import InvalidInput, LimitExceeded, NotFound
from llmspell.model import limits
from llmspell.model.ids import id_text
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer

_SQL = queries("llmspell.artifacts.grants")
FOR_EVER = 1 << 63


class Place(NamedTuple):
    """What is granted: a version of a name in a session, or (version 0) all of them."""

    session: bytes
    name: str
    version: int

    @property
    def text(self) -> str:
        """As the audit names it: the name in a session."""
        return f"artifact:{id_text(self.session)}:{self.name}"


class Held(NamedTuple):
    """One open row."""

    version: int
    grantee: bytes
    granted_by: bytes
    since_seq: int
    level: int
    expires_at: int | None

    @property
    def until(self) -> int:
        """When it ends by itself."""
        return FOR_EVER if self.expires_at is None else self.expires_at

    def holds_up(self, other: Held) -> bool:
        """Whether whoever has this may have granted ``other``."""
        return (
            self.grantee == other.granted_by
            and self.level == Level.ADMIN
            and self.version in {0, other.version}
            and self.until >= other.until
        )


async def grant(writer: Writer, place: Place, grantee: bytes, level: Level, by: bytes, expires_at: int | None) -> int:
    """Let ``grantee`` do something; returns the entry's seq. Whether ``by`` may grant was checked before.

    Raises NotFound, InvalidInput (``own-session``), LimitExceeded (``too-many-grants``).
    """
    if grantee == place.session:
        raise InvalidInput("a session may do everything with its own artifacts already", code="own-session")
    if await writer.one(_SQL["session_is_there"], (grantee,)) is None:
        raise NotFound(f"session {id_text(grantee)} does not exist", code="session-not-found")
    before = await _open(writer, place)
    new = Held(place.version, grantee, by, 0, level, expires_at)
    replaced = [one for one in before if one[:3] == new[:3]]
    if len(before) - len(replaced) >= limits.ARTIFACT_GRANTS_MAX:
        raise LimitExceeded(
            f"{place.name!r} has {len(before):,} grants, and may have {limits.ARTIFACT_GRANTS_MAX:,}",
            code="too-many-grants", limit=limits.ARTIFACT_GRANTS_MAX, hint="revoke those that are not needed",
        )  # fmt: skip
    payload = ArtifactGranted(
        id_text(place.session), place.name, place.version, id_text(grantee), level.right, _by(by), expires_at
    )
    seq = await writer.append(GRANTED, payload, await _scope(writer, place), subject_of(place.name))
    if any(one.level > level or one.until > new.until for one in replaced):
        await end_unsupported(writer, place)
    return seq


async def revoke(writer: Writer, place: Place, grantee: bytes, by: bytes | None) -> int:
    """End what ``grantee`` was granted of exactly this (``by`` None: by whomever), and what it granted on. Returns how
    many grants ended.
    """
    ending = [
        one for one in await _open(writer, place)
        if one.grantee == grantee and one.version == place.version and by in {None, one.granted_by}
    ]  # fmt: skip
    await _end(writer, place, ending, passed_on=False)
    return len(ending) + (await end_unsupported(writer, place) if ending else 0)


async def end_unsupported(writer: Writer, place: Place) -> int:
    """End what was granted on by sessions that could not grant it any more; returns how many."""
    rows = await _open(writer, place)
    standing = [one for one in rows if one.granted_by in {OWNER, place.session}]
    doubtful = [one for one in rows if one.granted_by not in {OWNER, place.session}]
    grown = True
    while grown:
        held_up = [one for one in doubtful if any(other.holds_up(one) for other in standing)]
        grown = bool(held_up)
        standing += held_up
        doubtful = [one for one in doubtful if one not in held_up]
    await _end(writer, place, doubtful, passed_on=True)
    return len(doubtful)


async def forget_grants(writer: Writer, session: bytes) -> None:
    """End what a session that is deleted granted and was granted, and what it granted on: an import under its id begins
    without.
    """
    for name, *held in await writer.all(_SQL["open_of_session"], (session,)):
        await _end(writer, Place(session, name, 0), [Held(*held)], passed_on=False)
    for place in dict.fromkeys(Place(*row) for row in await writer.all(_SQL["open_to_session"], (session,))):
        await revoke(writer, place, session, None)


async def lasting_admin(writer: Writer, place: Place, session: bytes, expires_at: int | None) -> bool:
    """Whether a session may grant this for so long: it is admin of as much, until then or later."""
    wanted = Held(place.version, b"", session, 0, Level.READ, expires_at)
    return any(one.until > writer.origin.clock and one.holds_up(wanted) for one in await _open(writer, place))


def subject_of(name: str) -> str:
    """The subject of entries about a name's grants, in the scope of its session."""
    return f"artifact-grant/{name}"


async def _open(writer: Writer, place: Place) -> list[Held]:
    return [Held(*row) for row in await writer.all(_SQL["open_of"], (place.session, place.name))]


async def _end(writer: Writer, place: Place, ending: list[Held], *, passed_on: bool) -> None:
    for one in ending:
        payload = ArtifactRevoked(
            id_text(place.session), place.name, one.version, id_text(one.grantee), _by(one.granted_by), passed_on
        )
        await writer.append(REVOKED, payload, await _scope(writer, place), subject_of(place.name))


async def _scope(writer: Writer, place: Place) -> tuple[int, bytes]:
    return await writer.scope(f"session:{id_text(place.session)}")


def _by(granted_by: bytes) -> str | None:
    return id_text(granted_by) if granted_by else None
