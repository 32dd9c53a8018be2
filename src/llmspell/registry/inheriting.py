"""What is bound to the keys of a scope, for one that begins with what the other held, and at the end of a scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell.registry.kinds import SchemaBound, SchemaUnbound
from llmspell.registry.projection import BOUND, UNBOUND
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


async def end_bindings(writer: Writer, scope: str) -> None:
    """Unbind the keys of a scope that is no more, inside a unit that removes it. Asks one thing where nothing is
    bound.
    """
    rows = await writer.all(_SQL["of_scope"], (scope,))
    if not rows:
        return
    if writer.guard is not None:
        writer.guard.doubt()
    place = await writer.scope("global")
    for (prefix,) in rows:
        await writer.append(UNBOUND, SchemaUnbound(scope, prefix), place, f"binding/{scope}/{prefix}")
