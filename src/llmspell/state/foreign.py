"""What a principal may make of the classes of keys in a scope that is not its own.

Whoever may write there must not decide that what the owner writes next is kept in the clear, or passes by the owner's
hooks and schemas. So a class is only ever raised there: trusted < standard < external < sensitive. And nobody makes a
key external that has a value: what the owner puts there next, a token say, would no longer be kept but replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell.errors import AccessDenied
from llmspell.model.scope import Scope

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.ports.database import Row

_RANK = {"trusted": 0, "standard": 1, "external": 2, "sensitive": 3}


async def demand_class(
    writer: Writer, scope_name: str, scope_id: int, key: str, row: Row | None, wanted: str, expires_at: int | None
) -> None:
    """Refuse a class below the one that the key has, or that a new key of the scope gets; external for a key that is
    kept in another; and, for a key that is kept better than new ones, a time to live that ends before its own, or where
    it has none: its class would end with it.
    ``row`` is the key's, as ``row`` of the room's queries gives it. Raises AccessDenied (``class-lowered``).
    """
    default = "standard" if writer.defaults is None else await writer.defaults.of(writer, scope_name, scope_id)
    kept = None if row is None or row[4] else str(row[7])
    ended = kept is None or (row is not None and row[3] is not None and row[3] <= writer.origin.clock)
    base = default if ended or kept is None else kept
    if wanted != kept and _RANK[wanted] < _RANK[base]:
        raise _lowered(writer, scope_name, f"keep {key!r} as {wanted}", f"it is kept as {base}")
    if wanted == "external" and not ended and base != wanted:
        raise _lowered(
            writer,
            scope_name,
            f"make {key!r} external",
            f"it is kept as {base}, and secrets put there would be replaced",
        )
    sooner = row is not None and expires_at is not None and (row[3] is None or expires_at < row[3])
    if not ended and sooner and _RANK[base] > _RANK[default]:
        raise _lowered(writer, scope_name, f"let {key!r} end", f"that it is kept as {base} would end with it")


def _lowered(writer: Writer, scope_name: str, what: str, why: str) -> AccessDenied:
    who, where = Scope.from_name(writer.origin.context.actor).text, Scope.from_name(scope_name).text
    return AccessDenied(
        f"{who} may not {what} in {where}: {why}",
        code="class-lowered",
        hint="name no class, or one that keeps it better; else it is for the owner to do",
        principal=who, scope=where, right="write", rights=["write"],
    )  # fmt: skip
