"""What is bound to the keys of a scope, for one that begins with what the other held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell.registry.kinds import SchemaBound
from llmspell.registry.projection import BOUND
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer

_SQL = queries("llmspell.registry")


async def inherit_bindings(writer: Writer, source: str, target: str, seq: int) -> None:
    """Bind to keys of ``target`` what was bound to the same keys of ``source`` at an entry, inside a unit that makes
    ``target``. They are its own from then on. Asks one thing where nothing is bound.
    """
    rows = await writer.all(_SQL["of_scope_at"], (source, seq))
    if not rows:
        return
    if writer.guard is not None:
        writer.guard.doubt()
    place = await writer.scope("global")
    for prefix, name, version in rows:
        await writer.append(BOUND, SchemaBound(target, prefix, name, version), place, f"binding/{target}/{prefix}")
