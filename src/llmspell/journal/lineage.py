"""Where the history of a fork goes on: in that of another session, up to an entry, and so on upwards.

A lineage never changes, so it is known as long as its scope is. A scope that is no fork has none, and whoever asks for
its number learns that in the same statement.
"""

from __future__ import annotations

from typing import NamedTuple

from llmspell.errors import Corrupt, InvalidInput
from llmspell.journal.asking import Asks
from llmspell.model.ids import id_bytes, id_text

ALWAYS = (1 << 63) - 1
"""The bound of what is not bounded: later than any entry."""
_PREFIX = "session:"
_SCOPE = (
    "SELECT id, salt, EXISTS (SELECT 1 FROM fork_level f WHERE f.session = ? AND f.depth = 1) FROM scope WHERE name = ?"
)
_LEVELS = "SELECT ancestor, bound FROM fork_level WHERE session = ? ORDER BY depth"


class Level(NamedTuple):
    """A session in a lineage: what it wrote counts up to the entry ``bound``. ``scope`` is the number of its scope."""

    session: bytes
    scope: int
    salt: bytes
    bound: int


Lineage = tuple[Level, ...]
"""A fork's: first itself, without a bound, then those that it goes back to, the nearest first."""


class Known(NamedTuple):
    """A scope that there is. ``lineage`` is that of a fork, None for everything else."""

    id: int
    salt: bytes
    lineage: Lineage | None


async def find_scope(asks: Asks, name: str) -> Known | None:
    """A scope by its name, in one statement unless it is a fork's. Raises Corrupt."""
    session = session_in(name)
    row = await asks.one(_SCOPE, (session, name))
    if row is None:
        return None
    number, salt, is_fork = row
    if not is_fork or session is None:
        return Known(number, salt, None)
    levels = [Level(session, number, salt, ALWAYS)]
    for ancestor, bound in await asks.all(_LEVELS, (session,)):
        above = f"{_PREFIX}{id_text(ancestor)}"
        found = await asks.one("SELECT id, salt FROM scope WHERE name = ?", (above,))
        if found is None:
            raise Corrupt(f"{name} is forked from {above}, which is no scope", hint="run `llmspell verify`")
        levels.append(Level(ancestor, found[0], found[1], bound))
    return Known(number, salt, tuple(levels))


def session_in(name: str) -> bytes | None:
    """The id of the session whose scope has this name, if it is one."""
    if not name.startswith(_PREFIX):
        return None
    try:
        return id_bytes(name.removeprefix(_PREFIX))
    except InvalidInput:
        return None
