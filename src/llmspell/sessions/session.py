"""The handle of one session: its rooms, its lifecycle, and the block in which everything belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

from llmspell.errors import NotFound
from llmspell.journal.acting import Acting, InSession
from llmspell.model import limits
from llmspell.model.context import Context, current
from llmspell.model.labels import check_text
from llmspell.model.page import check_limit

if TYPE_CHECKING:
    from llmspell.artifacts.captures.service import AsyncCaptures
    from llmspell.artifacts.service import AsyncArtifacts
    from llmspell.events.service import AsyncEvents
    from llmspell.model.entry import Entry
    from llmspell.model.page import Page
    from llmspell.sessions.history import SessionChange
    from llmspell.sessions.info import Checkpoint, SessionInfo
    from llmspell.sessions.steps import Steps
    from llmspell.state.service import AsyncState

entered: ContextVar[Any] = ContextVar("llmspell_session", default=None)
"""The handle of the session block that the running code is in; both faces put their own handle here."""


_blocks: ContextVar[tuple[tuple[Token[Context], Token[Any]], ...]] = ContextVar("llmspell_session_blocks", default=())
"""How to leave the blocks entered, innermost last: each task and thread has its own, though they share a handle."""


def current_session() -> Any:
    """The handle of the session block that the running code is in, as it was entered; None outside of any.

    Follows tasks started inside a block, and threads whose function went through ``carry_context``.
    """
    return entered.get()


class SessionRooms(Protocol):
    """Makes the rooms of a session's handle; the wiring gives it."""

    def state(self, session: AsyncSession) -> AsyncState:
        """Its state."""
        ...

    def artifacts(self, session: AsyncSession) -> AsyncArtifacts:
        """Its artifacts."""
        ...

    def captures(self, session: AsyncSession) -> AsyncCaptures:
        """What becomes of outputs in it."""
        ...

    def events(self, session: AsyncSession) -> AsyncEvents:
        """Its events."""
        ...

    async def timeline(self, session: AsyncSession, **filters: Any) -> Page[Entry]:
        """Its entries."""
        ...


class AsyncSession:
    """One session. ``info`` is the session as of this handle's last step; ``refresh`` reads it anew.

    ``state``, ``artifacts``, ``captures`` and ``events`` are the rooms as this session sees them; what is done through
    them is attributed to it. ``async with session:`` attributes everything done inside, in tasks started there too.
    """

    def __init__(self, steps: Steps, rooms: SessionRooms, info: SessionInfo, place: InSession) -> None:
        self._steps = steps
        self._rooms = rooms
        self.acting = Acting(place)
        self.info = info
        self.id = info.id
        self.key = place.id
        self.opened = place.opened

    @cached_property
    def state(self) -> AsyncState:
        """The keys of this session's own scope."""
        return self._rooms.state(self)

    @cached_property
    def artifacts(self) -> AsyncArtifacts:
        """The artifacts of this session."""
        return self._rooms.artifacts(self)

    @cached_property
    def captures(self) -> AsyncCaptures:
        """Which outputs of tools, agents and users become artifacts of this session."""
        return self._rooms.captures(self)

    @cached_property
    def events(self) -> AsyncEvents:
        """The events of this session."""
        return self._rooms.events(self)

    def context(self) -> Context:
        """The caller's context inside this session."""
        return self.acting.context()

    # -- lifecycle -----------------------------------------------------------------------------------------------------

    async def suspend(self) -> SessionInfo:
        """Set the session aside; it can be resumed. From active. Raises Conflict (``illegal-transition``)."""
        return await self._step("suspend")

    async def resume(self) -> SessionInfo:
        """Take the session up again. From suspended or failed. Raises Conflict (``illegal-transition``)."""
        return await self._step("resume")

    async def complete(self) -> SessionInfo:
        """End the session well; it keeps state and artifacts. From active or suspended. Raises Conflict."""
        return await self._step("complete")

    async def fail(self, reason: str) -> SessionInfo:
        """End the session with a reason. From active or suspended. Raises Conflict."""
        return await self._step("fail", check_text(reason, "a reason"))

    async def archive(self) -> SessionInfo:
        """Put the session away. From completed or failed. Raises Conflict."""
        return await self._step("archive")

    async def unarchive(self) -> SessionInfo:
        """Back to the status it was archived from. Raises Conflict."""
        self.info = await self._steps.unarchive(self)
        return self.info

    async def save(self) -> SessionInfo:
        """Write a ``session.saved`` entry with the hash of the session's state, and make everything acknowledged so
        far, at whatever durability, safe on disk before returning.
        """
        self.info = await self._steps.save(self)
        return self.info

    async def checkpoint(self, label: str) -> int:
        """Mark this moment by a label that the session has not used yet; returns the entry's seq. Raises
        AlreadyExists.
        """
        return await self._steps.checkpoint(self, label)

    async def checkpoints(self) -> list[Checkpoint]:
        """All checkpoints, oldest first."""
        return await self._steps.checkpoints(self)

    async def restore(self, to: str | int) -> int:
        """Set the session's state back to what it was at a checkpoint (its label) or entry (its seq).

        Writes a ``state`` entry for each key that differs, then ``session.restored``, in one transaction; nothing is
        lost, the journal has both. Returns how many keys changed. Raises NotFound (``checkpoint-not-found``),
        Conflict (``migration-running`` for a moment in the middle of a migration of its values).
        """
        changed = await self._steps.restore(self, to)
        self.info = await self._steps.refresh(self)
        return changed

    async def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> SessionInfo:
        """Give descriptive fields new values; those not given stay. The old ones are in the journal. When it has all of
        them already nothing is written. Raises InvalidInput (``nothing-to-do`` without any field), NotFound, Vetoed.
        """
        given = {"name": name, "description": description, "tags": tags, "metadata": metadata}
        self.info = await self._steps.update(
            self, {field: value for field, value in given.items() if value is not None}
        )
        return self.info

    async def history(self, *, limit: int = 100, before: int | None = None) -> list[SessionChange]:
        """Who changed which field of the session (name, description, tags, metadata, status) from what to what, newest
        first: the changes of up to ``limit`` entries. The next page is ``before`` the last one's seq.
        """
        return await self._steps.history(self.key, check_limit(limit), before)

    async def refresh(self) -> SessionInfo:
        """Read the session as it is now; ``info`` is that from here on. Raises NotFound when it was deleted."""
        self.info = await self._steps.refresh(self)
        return self.info

    async def timeline(
        self,
        *,
        kinds: Iterable[str] = (),
        since: Any = None,
        until: Any = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Entry]:
        """What happened in this session, in order. See ``AsyncStore.timeline``."""
        return await self._rooms.timeline(self, kinds=kinds, since=since, until=until, limit=limit, cursor=cursor)

    async def _step(self, verb: str, reason: str | None = None) -> SessionInfo:
        self.info = await self._steps.step(self, verb, reason)
        return self.info

    # -- the block -----------------------------------------------------------------------------------------------------

    def enter(self, face: Any) -> None:
        """Begin a block: the running context belongs to this session. ``face`` is the handle that the user holds."""
        token = current.set(self.context())
        _blocks.set((*_blocks.get(), (token, entered.set(face))))

    def leave(self) -> None:
        """End the innermost block."""
        blocks = _blocks.get()
        context, handle = blocks[-1]
        _blocks.set(blocks[:-1])
        entered.reset(handle)
        current.reset(context)

    async def __aenter__(self) -> Self:
        self.enter(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.leave()

    def __repr__(self) -> str:
        return f"<session {self.id} {self.info.name!r} {self.info.status}>"


async def close_block(session: AsyncSession, error: BaseException | None) -> None:
    """End of a ``store.session(...)`` block: complete the session, or fail it with the error that went through.

    A block that set the status itself keeps it, and one that deleted its session has nothing to close. When the session
    cannot be failed, the block's own error still goes through, with a note.
    """
    try:
        status = (await session.refresh()).status
    except NotFound:
        return
    if error is None:
        if status == "active":
            await session.complete()
        return
    if status not in {"active", "suspended"}:
        return
    try:
        await session.fail(_reason(error))
    except Exception as exc:  # noqa: BLE001 - told by the note; the error that ended the block is the one to raise
        error.add_note(f"session {session.id} could not be set to failed: {exc}")


def _reason(error: BaseException) -> str:
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error whose text cannot be had still has a name
        text = type(error).__name__
    return text.encode(errors="replace").decode()[: limits.DESCRIPTION_CHARS_MAX]
