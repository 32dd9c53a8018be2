"""Which session a script runs in, and what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.model.ids import id_bytes
from llmspell.runs.record import RunInfo, find_run, runs_of

if TYPE_CHECKING:
    from llmspell.sessions.session import AsyncSession
    from llmspell.store import AsyncStore

Then = Literal["complete", "suspend", "keep"]
REASON_CHARS_MAX = 2000


async def session_for(
    store: AsyncStore, session: str | None, name: str, *, keep_open: bool
) -> tuple[AsyncSession, Then]:
    """The session of a new run, and what becomes of it when the script ends well.

    Without ``session`` a new one of the script's name, which is completed (suspended with ``keep_open``). Else the one
    with that id or unique name, made when there is none of that name, taken up when it was suspended, and suspended
    again. Raises Conflict (``session-ended``) for a session that has ended.
    """
    if session is None:
        return await store.sessions.create(name), "suspend" if keep_open else "complete"
    try:
        handle = await store.sessions.open(session)
    except NotFound:
        if is_id(session):
            raise
        return await store.sessions.create(session), "suspend"
    status = handle.info.status
    if status == "suspended":
        await handle.resume()
    elif status != "active":
        raise Conflict(
            f"session {handle.info.name!r} is {status}; a script runs in an active or suspended one",
            code="session-ended",
            hint="`--resume` goes on with a failed run; another name makes a new session",
            status=str(status),
        )
    return handle, "suspend"


async def run_to_resume(store: AsyncStore, target: str) -> tuple[AsyncSession, RunInfo]:
    """The interrupted or failed run that a run's or session's id, or a session's name means: the session's last run.

    Raises NotFound, Conflict (``nothing-to-resume``).
    """
    info = await _run_of(store, target)
    if info is not None:
        session = await store.sessions.open(info.session)
    else:
        session = await store.sessions.open(target)
        runs = await runs_of(store.journal, session.id, limit=1)
        if not runs:
            raise Conflict(f"nothing was ever run in session {session.info.name!r}", code="nothing-to-resume")
        info = runs[0]
    if info.status == "finished":
        raise Conflict(
            f"run {info.id} ({info.name}) of session {session.info.name!r} has finished", code="nothing-to-resume"
        )
    if info.mode == "repl":
        raise Conflict(f"run {info.id} was a prompt; it cannot be resumed", code="nothing-to-resume")
    return session, info


async def take_up(session: AsyncSession) -> None:
    """Make the session of a resumed run active again. Raises Conflict for an archived one."""
    status = session.info.status
    if status in {"failed", "suspended"}:
        await session.resume()
    elif status == "archived":
        raise Conflict(
            f"session {session.info.name!r} is archived; unarchive it to go on", code="illegal-transition",
            status=str(status),
        )  # fmt: skip


def ending(session: AsyncSession, then: Then) -> tuple[str, Callable[[], Awaitable[object]]] | None:
    """What is done with the session when the script has ended well; None when there is nothing to do.

    A session that the script itself ended or deleted is left as it is.
    """
    if then == "keep":
        return None

    async def act() -> str | None:
        if await _status(session) != "active":
            return None
        await (session.complete() if then == "complete" else session.suspend())
        return str(session.info.status)

    return f"Session.{then}", act


def failing(session: AsyncSession, reason: str, *, interrupted: bool) -> tuple[str, Callable[[], Awaitable[object]]]:
    """What is done with the session when the script failed (or was interrupted: then it is suspended)."""

    async def act() -> str | None:
        status = await _status(session)
        if status not in {"active", "suspended"} or (interrupted and status == "suspended"):
            return None
        await (session.suspend() if interrupted else session.fail(reason[:REASON_CHARS_MAX]))
        return str(session.info.status)

    return "Session.suspend" if interrupted else "Session.fail", act


def is_id(text: str) -> bool:
    """Whether this is an id rather than a name."""
    try:
        id_bytes(text)
    except InvalidInput:
        return False
    return True


async def _run_of(store: AsyncStore, target: str) -> RunInfo | None:
    if not is_id(target):
        return None
    try:
        return await find_run(store.journal, target)
    except NotFound:
        return None


async def _status(session: AsyncSession) -> str | None:
    try:
        return str((await session.refresh()).status)
    except NotFound:
        return None
