"""Exports and imports with their hooks around them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmspell.errors import NotFound
from llmspell.hooks.moment import run_point
from llmspell.journal.acting import InSession, enter
from llmspell.model.arguments import check_flags
from llmspell.model.ids import id_bytes
from llmspell.sessions.ported import Exported, Imported, check_on_conflict

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.model.context import Context
    from llmspell.sessions.ported import Porter, PortProgress
    from llmspell.sessions.steps import Steps


class Porting:
    """What ``AsyncSessions`` asks for; the porter does the work."""

    def __init__(self, steps: Steps, hooks: Hooks, porter: Porter) -> None:
        self._steps = steps
        self._hooks = hooks
        self._porter = porter

    async def export(
        self,
        session: bytes,
        path: Any,
        key: Any,
        progress: PortProgress | None,
        context: Context,
        *,
        secrets: bool,
        overwrite: bool,
    ) -> Exported:
        """See ``AsyncSessions.export``."""
        info = await self._steps.info(session)
        inside = enter(context, InSession(session, id_bytes(info.correlation_id), 0))
        await self._steps.point(inside, "before_session_export", "export", info)
        done = await self._porter.export(
            session, path, key=key, secrets=secrets, overwrite=overwrite, progress=progress
        )
        await self._steps.point(inside, "after_session_export", "export", info)
        return done

    async def import_(
        self, path: Any, on_conflict: Any, key: Any, progress: PortProgress | None, context: Context, *, dry_run: bool
    ) -> Imported:
        """See ``AsyncSessions.import_``. Its before-hooks see what the bundle says of itself, once it is checked."""
        rule = check_on_conflict(on_conflict)
        check_flags(dry_run=dry_run)

        async def ask(about: dict[str, Any]) -> None:
            data = {"id": about["id"], "info": about, "reason": None}
            await run_point(self._hooks, context, "before_session_import", "session", "import", data)

        done = await self._porter.import_(
            path, rule, key=key, context=context, progress=progress, ask=ask, dry_run=dry_run
        )
        if dry_run:
            return done
        if done.outcome != "skipped" and "after_session_import" in self._hooks.armed:
            with suppress(NotFound):  # It may be deleted again by now.
                info = await self._steps.info(id_bytes(done.id))
                await self._steps.point(context, "after_session_import", "import", info)
        return done
