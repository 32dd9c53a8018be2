"""How far a handle reaches: the store's to every artifact, a session's to its own and to those granted to it.

What a handle does with its own artifacts is not looked at here and costs nothing. For another's, the grant is looked up
in the transaction that reads or changes, and what came of it goes to the record of access.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from llmspell.artifacts.grants.kinds import Level
from llmspell.artifacts.grants.units import Place
from llmspell.artifacts.heirs import lineage_of
from llmspell.artifacts.inherited import is_inheritable
from llmspell.errors import AccessDenied
from llmspell.model.ids import id_text
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.ports.database import Reading, Row

T = TypeVar("T")
Note = Callable[[str, str, Level, str], Awaitable[None]]
"""Writes to the record of access: who (a session's scope), of what (``artifact:…``), how much, and why not."""
_SQL = queries("llmspell.artifacts.grants")
_HELD, _PLACE = _SQL["held"], _SQL["place"]
_VERBS = {Level.READ: "read", Level.WRITE: "change", Level.ADMIN: "delete or grant"}


class Foreign(Exception):
    """The cause of a refusal: what was not granted, which the one who is refused need not know."""

    def __init__(self, place: Place, wanted: Level) -> None:
        super().__init__("an artifact of another session")
        self.place = place
        self.wanted = wanted


class Reach:
    """What one handle may touch. ``session`` None is the store's own handle, which is not checked."""

    def __init__(self, journal: Journal, acting: Acting, note: Note) -> None:
        self._journal = journal
        self._note = note
        self.session = None if acting.session is None else acting.session.id

    def is_own(self, session: bytes | str) -> bool:
        """Whether artifacts of this session need no grant."""
        own = self.session
        return own is None or own == session or (type(session) is str and id_text(own) == session)

    async def row(self, sql: str, artifact: bytes) -> Row | None:
        """The row of an artifact, selected with its id, session, name and version first. Raises AccessDenied."""
        if self.session is None:
            return await self._journal.database.one(sql, (artifact,))
        now = self._journal.clock.now_ns()
        place: Place | None = None
        held = 0

        def query(view: Reading) -> Row | None:
            nonlocal place, held
            row = view.one(sql, (artifact,))
            if row is not None and row[1] != self.session:
                place = Place(row[1], row[2], row[3])
                held = self.held(view, place, now)
            return row

        row = await self._journal.database.read(query)
        if place is not None:
            await self.judge(place, held, Level.READ)
        return row

    def held(self, view: Reading, place: Place, now: int) -> int:
        """The level that this handle's session holds."""
        row = view.one(_HELD, (self.session, *place, now))
        return 0 if row is None else row[0]

    async def judge(self, place: Place, held: int, wanted: Level) -> None:
        """Note the access, and raise AccessDenied if it is none."""
        refusal = self.refusal(place, wanted) if held < wanted else None
        await self._note(f"session:{self._own()}", place.text, wanted, "" if refusal is None else refusal.code)
        if refusal is not None:
            raise refusal

    async def write(
        self, unit: Callable[[Writer], Awaitable[T]], needs: Iterable[tuple[bytes, Level]], context: Context
    ) -> T:
        """Commit a unit that needs so much of each of these artifacts; those of the handle's session need nothing."""
        if self.session is None:
            return await self._journal.write(unit, context=context)
        wanted = tuple(needs)
        foreign: dict[tuple[Place, Level], None] = {}

        async def checked(writer: Writer) -> T:
            foreign.clear()
            for artifact, level in wanted:
                place = await self.demand(writer, artifact, level)
                if place is not None:
                    foreign[place, level] = None
            return await unit(writer)

        try:
            result = await self._journal.write(checked, context=context)
        except AccessDenied as exc:
            await self.note_refusal(exc)
            raise
        for place, level in foreign:
            await self._note(f"session:{self._own()}", place.text, level, "")
        return result

    async def demand(self, writer: Writer, artifact: bytes, wanted: Level) -> Place | None:
        """Whose an artifact is, if it is another session's and ``wanted`` was granted. Raises AccessDenied.

        One that is not there demands nothing: the unit itself finds that out.
        """
        place = await self.place_within(writer, artifact)
        if place is None or self.is_own(place.session) or await self.is_inherited(writer, artifact):
            return None
        if await self.held_within(writer, place) < wanted:
            raise self.refusal(place, wanted)
        return place

    async def is_inherited(self, writer: Writer, artifact: bytes) -> bool:
        """Whether this handle's session is a fork that has it from another one. Units change it for the fork alone."""
        levels = None if self.session is None else await lineage_of(writer, self.session)
        return levels is not None and await is_inheritable(writer, levels, artifact)

    async def note_refusal(self, error: Exception) -> None:
        """Put a refusal of this handle into the record of access."""
        why = error.__cause__
        if isinstance(why, Foreign) and isinstance(error, AccessDenied):
            await self._note(f"session:{self._own()}", why.place.text, why.wanted, error.code)

    async def place_within(self, writer: Writer, artifact: bytes) -> Place | None:
        """Whose an artifact is, inside a unit."""
        row = await writer.one(_PLACE, (artifact,))
        return None if row is None else Place(*row[:3])

    async def held_within(self, writer: Writer, place: Place) -> int:
        """The level that this handle's session holds, inside a unit."""
        row = await writer.one(_HELD, (self.session, *place, writer.origin.clock))
        return 0 if row is None else row[0]

    def refusal(self, place: Place, wanted: Level) -> AccessDenied:
        """The error that says what this session may not do. It names nothing but ids."""
        whose = id_text(place.session)
        error = AccessDenied(
            f"session {self._own()} has no right to {_VERBS[wanted]} this artifact of session {whose}",
            code="artifact-denied", right=wanted.right, session=self._own(), owner=whose,
            hint="its session, or the store's owner, can grant it: artifacts.grant(artifact, session, right)",
        )  # fmt: skip
        error.__cause__ = Foreign(place, wanted)
        return error

    def _own(self) -> str:
        return "" if self.session is None else id_text(self.session)


async def unnoted(who: str, what: str, level: Level, code: str) -> None:
    """For handles that keep no record."""
