"""The session that a run of a script happens in: how it begins, and how it ends with the run.

    nothing said      a new session, completed; with --keep-open suspended
    --session NAME    an active or suspended session continued (a new one of that name when there is none), suspended
    --resume NAME     a failed, suspended or interrupted run continued, completed; with --keep-open suspended

However it began, an error fails it with the error as its reason, and an interruption suspends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llmspell.errors import Conflict, InvalidInput, LlmspellError, NotFound
from llmspell.model.limits import NAME_CHARS_MAX

if TYPE_CHECKING:
    from llmspell.sessions.session import AsyncSession
    from llmspell.store import AsyncStore

REASON_CHARS_MAX = 2000


def check_options(session: str | None, resume: str | None, *, keep_open: bool) -> None:
    """Refuse options that contradict each other. Raises InvalidInput (``usage``)."""
    if session is not None and resume is not None:
        raise InvalidInput("--session and --resume are given together", code="usage")
    if session is not None and keep_open:
        raise InvalidInput("--session leaves its session open anyway; leave --keep-open out", code="usage")


@asynccontextmanager
async def run_in(
    store: AsyncStore, name: str, *, session: str | None, resume: str | None, keep_open: bool
) -> AsyncIterator[AsyncSession]:
    """The session of a run; the block is the run. ``name`` is for a new session when no other is given."""
    handle = await _begin(store, name, session, resume)
    try:
        yield handle
    except (asyncio.CancelledError, KeyboardInterrupt):
        await handle.refresh()
        if handle.info.status == "active":
            await handle.suspend()
        raise
    except Exception as exc:
        await handle.refresh()
        if handle.info.status in {"active", "suspended"}:
            await handle.fail(_reason(exc))
        raise
    # A script may have ended its session by itself.
    await handle.refresh()
    if handle.info.status == "active":
        await (handle.suspend() if keep_open or session is not None else handle.complete())


async def _begin(store: AsyncStore, name: str, session: str | None, resume: str | None) -> AsyncSession:
    if resume is not None:
        handle = await store.sessions.open(resume)
    elif session is not None:
        try:
            handle = await store.sessions.open(session)
        except NotFound:
            if _looks_like_id(session):
                raise
            return await store.sessions.create(session)
        if handle.info.status not in {"active", "suspended"}:
            raise Conflict(
                f"session {session} is {handle.info.status}; a run continues an active or suspended one",
                code="illegal-transition",
                hint=f"--resume {session} continues a failed run" if handle.info.status == "failed" else None,
            )
    else:
        return await store.sessions.create(name[:NAME_CHARS_MAX])
    if handle.info.status != "active":
        await handle.resume()
    return handle


def _reason(exc: Exception) -> str:
    text = exc.message if isinstance(exc, LlmspellError) else f"{type(exc).__name__}: {exc}"
    return text if len(text) <= REASON_CHARS_MAX else text[: REASON_CHARS_MAX - 1] + "…"


def _looks_like_id(text: str) -> bool:
    from llmspell.artifacts.rules import is_id

    return is_id(text.lower())
