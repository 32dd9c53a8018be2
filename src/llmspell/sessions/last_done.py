"""The last thing that was done in a session, or to what is its own from outside of it.

A session's row tells only when its own fields changed; what is put and set in it leaves that row alone. Whoever lets
sessions go asks here.
"""

from __future__ import annotations

from llmspell.journal.asking import Asks
from llmspell.model.entry import subject_digest
from llmspell.model.ids import id_text
from llmspell.schema import queries

_SQL = queries("llmspell.sessions")
_SALT = "SELECT salt FROM scope WHERE name = ?"


async def last_inside(asks: Asks, session: bytes) -> tuple[int, int]:
    """Seq and time (ns) of the newest entry written in a session; zeros when there is none. One look-up."""
    row = await asks.one(_SQL["last_inside"], (session,))
    return (0, 0) if row is None else (row[0], row[1])


async def last_done(asks: Asks, session: bytes) -> tuple[int, int]:
    """The same, also of entries about its state, artifacts, checkpoints and runs that were written outside of it. A
    look-up for each of those, some 5 µs.
    """
    newest = await last_inside(asks, session)
    scope = f"session:{id_text(session)}"
    salt = await asks.one(_SALT, (scope,))
    if salt is None:
        return newest
    subjects = [subject for (subject,) in await asks.all(_SQL["subjects"], (session, scope))]
    subjects += [f"run/{id_text(run)}" for (run,) in await asks.all(_SQL["runs_of"], (session,))]
    for subject in subjects:
        row = await asks.one(_SQL["last_about"], (subject_digest(salt[0], subject),))
        if row is not None:
            newest = max(newest, (row[0], row[1]))
    return newest
