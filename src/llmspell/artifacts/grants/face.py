"""What a handle of artifacts offers about grants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from llmspell.artifacts.grants import units
from llmspell.artifacts.grants.kinds import Level, level_of
from llmspell.artifacts.grants.projection import OWNER
from llmspell.artifacts.grants.records import ArtifactAccess, ArtifactGrant, read_audit, read_granted, read_grants
from llmspell.artifacts.grants.units import Place
from llmspell.artifacts.heirs import adopt_versions
from llmspell.artifacts.lookup import missing
from llmspell.artifacts.rules import check_artifact_name, is_id
from llmspell.errors import AccessDenied, InvalidInput
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.page import Page, check_limit
from llmspell.model.telling import told
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.lookup import Lookup
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer

_SQL = queries("llmspell.artifacts.grants")


class Granting:
    """The part of ``AsyncArtifacts`` about grants to other sessions.

    An artifact is named by id, which means that version, or by its name in the session, which means every version of
    it, also later ones.
    """

    _journal: Journal
    _acting: Acting
    _lookup: Lookup

    async def grant(
        self, artifact: str, session: str, right: str = "read", *, expires_in_s: float | None = None
    ) -> int:
        """Let another session (its id) ``read``, ``write`` or ``admin`` an artifact; returns the entry's seq.

        ``read`` gives its fields, content and lineage; ``write`` also new fields, labels and relations; ``admin`` also
        deleting it and granting it on. It holds until it is revoked, or for ``expires_in_s`` seconds, in every process;
        a new grant replaces what the same grantor gave before. A session grants what is its own, and as admin what was
        granted to it, no longer than that holds; a fork what it inherits, which becomes its own by that. Raises
        NotFound, InvalidInput (``invalid-right``, ``own-session``, ``invalid-ttl``), AccessDenied
        (``artifact-denied``), LimitExceeded (``too-many-grants``).
        """
        grantee, level = id_bytes(session, "session"), level_of(right)
        expires_at = self._expiry(expires_in_s)
        by = self._lookup.reach.session or OWNER
        place = await self._place(artifact)

        async def unit(writer: Writer) -> int:
            await adopt_versions(writer, place.session, place.name, place.version or None)
            await self._demand_admin(writer, place, expires_at)
            return await units.grant(writer, place, grantee, level, by, expires_at)

        return await self._write_grant(unit)

    async def revoke(self, artifact: str, session: str) -> int:
        """End what a session was granted of an artifact, and what it granted on; returns how many grants ended.

        A name ends grants of the name, an id those of that version alone. The store's owner and the session that the
        artifact belongs to end what anybody granted, another session what it granted itself.
        """
        grantee = id_bytes(session, "session")
        place = await self._place(artifact, there=False)
        reach = self._lookup.reach
        by = None if reach.is_own(place.session) else reach.session
        return await self._journal.write(
            lambda writer: units.revoke(writer, place, grantee, by), context=self._acting.context()
        )

    async def grants(self, artifact: str) -> list[ArtifactGrant]:
        """The grants of an artifact that hold now, oldest first; also of one that is deleted, for whom it comes back.
        Through a session's handle of its own artifacts, or of those that it is admin of. Raises NotFound, AccessDenied.
        """
        place, now = await self._overseen(artifact), self._journal.clock.now_ns()
        return await self._journal.database.read(lambda view: read_grants(view, place, now))

    async def granted(
        self, *, session: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[ArtifactGrant]:
        """What was granted to this session (through ``store.artifacts``: to ``session``) and holds now, by owner and
        name.
        """
        own = self._lookup.reach.session
        asked = None if session is None else id_bytes(session, "session")
        if own is not None and asked not in {None, own}:
            raise InvalidInput("this handle is of another session: use store.artifacts", code="invalid-selection")
        grantee = own or asked or self._lookup.session(self._acting.context())
        limit, now = check_limit(limit), self._journal.clock.now_ns()
        return await self._journal.database.read(lambda view: read_granted(view, grantee, now, limit, cursor))

    async def audit(self, artifact: str, *, limit: int = 100, cursor: str | None = None) -> Page[ArtifactAccess]:
        """Who was granted an artifact's name and by whom, what was revoked, who used it and who was refused; newest
        first, from the journal, each entry checked. Uses that repeat within a second share an entry that counts them.

        What is deleted, for good or not, or has another name by now keeps its audit. Raises NotFound when there never
        was such an artifact, AccessDenied.
        """
        place, limit = await self._overseen(artifact), check_limit(limit)
        scope = await self._journal.scope(f"session:{id_text(place.session)}")
        return await self._journal.database.read(lambda view: read_audit(view, place, scope, limit, cursor))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _expiry(self, expires_in_s: float | None) -> int | None:
        if expires_in_s is None:
            return None
        if type(expires_in_s) not in (int, float) or not 0 < expires_in_s < limits.TTL_S_MAX:
            raise InvalidInput(
                f"expires_in_s is a number of seconds above 0, not {told(expires_in_s)}", code="invalid-ttl"
            )
        return self._journal.clock.now_ns() + round(expires_in_s * 1e9)

    async def _place(self, artifact: str, *, there: bool = True) -> Place:
        """What is meant: a version by its id, a name in the session. ``there``: it has a version now; else it had one
        once, deleted for good or not. Raises NotFound.
        """
        if is_id(artifact):
            row = await self._lookup.in_fork(id_bytes(artifact))
            if row is not None:
                return Place(*row[1:4])
            row = await self._journal.database.one(_SQL["place"], (id_bytes(artifact),))
            if row is None or (there and row[3] is not None):
                raise missing(artifact, None)
            return Place(*row[:3])
        name, session = check_artifact_name(artifact), self._lookup.session(self._acting.context())
        if there and await self._journal.database.one(_SQL["name_is_there"], (session, name)) is None:
            await self._lookup.of_name(name)  # A fork may inherit it.
        if not there and not await self._lookup.was_there(session, name):
            raise missing(artifact, None)
        return Place(session, name, 0)

    async def _demand_admin(self, writer: Writer, place: Place, expires_at: int | None) -> None:
        reach = self._lookup.reach
        if not reach.is_own(place.session) and not await units.lasting_admin(
            writer, place, reach.session or OWNER, expires_at
        ):
            raise reach.refusal(place, Level.ADMIN)

    async def _write_grant(self, unit: Callable[[Writer], Awaitable[int]]) -> int:
        try:
            return await self._journal.write(unit, context=self._acting.context())
        except AccessDenied as exc:
            await self._lookup.reach.note_refusal(exc)
            raise

    async def _overseen(self, artifact: str) -> Place:
        """What is meant, if this handle may see who else may use it."""
        place, reach = await self._place(artifact, there=False), self._lookup.reach
        if not reach.is_own(place.session):
            now = self._journal.clock.now_ns()
            held = await self._journal.database.read(lambda view: reach.held(view, place, now))
            await reach.judge(place, held, Level.ADMIN)
        return place
