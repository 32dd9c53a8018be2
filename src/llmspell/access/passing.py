"""What a principal passed on ends with what it held: a grant stands only while its grantor could still give it.

A grant by a principal needs another one under it: to the grantor, for the same right, of the same scope (or of the
scope above, with ``children``), for at least as long. Chains of them end at the owner or at a principal's own scope.
Grants that hold up only each other (A to B, B to A) end with the last one under them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmspell.access.check import session_id
from llmspell.access.rights import OWNER
from llmspell.model.scope import Scope
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer

_SQL = queries("llmspell.access")
_OPEN_BY, _OPEN_OF, _ABOVE = _SQL["open_by"], _SQL["open_of"], _SQL["above_session"]
FOR_EVER = 1 << 63


class Held(NamedTuple):
    """One open row of a grant."""

    principal: str
    scope: str
    bit: int
    granted_by: str
    since_seq: int
    children: int
    expires_at: int | None

    @property
    def until(self) -> int:
        """When it ends by itself."""
        return FOR_EVER if self.expires_at is None else self.expires_at

    def supports(self, other: Held, above: str | None) -> bool:
        """Whether its principal may give ``other``, whose scope lies below ``above``."""
        if self.bit != other.bit or self.until < other.until:
            return False
        if self.scope == other.scope:
            return self.children >= other.children
        return self.scope == above and bool(self.children) and not other.children


async def above_of(writer: Writer, scope_name: str) -> str | None:
    """The name of the scope directly above: a session's is the user that it was created by, if there is one, and a
    session that is not there has none.
    """
    scope = Scope.from_name(scope_name)
    session = session_id(scope)
    if session is not None:
        row = await writer.one(_ABOVE, (session,))
        return None if row is None else str(row[0])
    return None if scope.parent is None else scope.parent.name


async def held_by(writer: Writer, principal: str, scope_name: str, above: str | None) -> list[Held]:
    """What a principal was granted in a scope and in the one above it; expired grants too."""
    rows = await writer.all(_OPEN_OF, (principal, scope_name))
    if above is not None:
        rows += await writer.all(_OPEN_OF, (principal, above))
    return [Held(*row) for row in rows]


async def unsupported(writer: Writer, principal: str) -> list[Held]:
    """Grants that ``principal`` passed on, directly or through others, and that nothing holds up any more."""
    questioned = await _reached(writer, principal)
    supports: dict[Held, list[Held]] = {}
    for one in questioned:
        above = await above_of(writer, one.scope)
        held = await held_by(writer, one.granted_by, one.scope, above)
        supports[one] = [other for other in held if other.supports(one, above)]
    doubtful = set(questioned)
    while standing := [one for one in doubtful if any(other not in doubtful for other in supports[one])]:
        doubtful.difference_update(standing)
    return [one for one in questioned if one in doubtful]


async def _reached(writer: Writer, principal: str) -> list[Held]:
    """Open grants by ``principal``, by those it gave to, and so on, without those of somebody's own scope alone: what
    lies below it is its principal's to give only while it holds that.
    """
    found: list[Held] = []
    visited = {OWNER}
    waiting = [principal]
    while waiting:
        grantor = waiting.pop()
        if grantor in visited:
            continue
        visited.add(grantor)
        for row in await writer.all(_OPEN_BY, (grantor,)):
            held = Held(*row)
            if held.scope != grantor or held.children:
                found.append(held)
                waiting.append(held.principal)
    return found
