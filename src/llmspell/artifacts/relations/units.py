"""The units of work of relations: check first, then append."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmspell.artifacts import units as artifact_units
from llmspell.artifacts.heirs import adopt, demand_standing, lineage_of, not_its_own, not_there, standing_for
from llmspell.artifacts.inherited import same_in
from llmspell.artifacts.relations.kinds import ArtifactRelated, ArtifactUnrelated
from llmspell.artifacts.relations.projection import RELATED, UNRELATED
from llmspell.artifacts.relations.walk import STEP_IDS, packed, walk, walk_within
from llmspell.errors import Conflict, LimitExceeded
from llmspell.model import limits
from llmspell.model.ids import id_text
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.journal.lineage import Lineage

_SQL, _ROOM = queries("llmspell.artifacts.relations"), queries("llmspell.artifacts")
_SAID = {
    "derived_from": "is derived from", "child_of": "is a child of", "depends_on": "depends on",
    "version_of": "is a version of",
}  # fmt: skip


async def relate(writer: Writer, source: bytes, kind: str, target: bytes) -> bool:
    """Make ``source`` something to ``target``; False when it is so already. Raises NotFound, Conflict
    (``relation-cycle``), LimitExceeded (``too-many-relations``).
    """
    source, row = await demand_standing(writer, source)
    if row:
        source = await adopt(writer, row)
    session, name = await _require(writer, source)
    target, row = await demand_standing(writer, target)
    if row is None:
        await _require(writer, target)
    if await writer.one(_SQL["open"], (source, kind, target)) is not None:
        return False
    levels = await lineage_of(writer, session)
    if levels is not None:
        await _demand_none_in_fork(writer, levels, source, kind, target)
    await demand_no_cycle(writer, source, kind, target)
    payload = ArtifactRelated(id_text(source), id_text(session), kind, id_text(target))
    await writer.append(RELATED, payload, await writer.scope(f"session:{id_text(session)}"), f"artifact/{name}")
    return True


async def demand_no_cycle(writer: Writer, source: bytes, kind: str, target: bytes) -> None:
    """Raise Conflict (``relation-cycle``) if a relation closed a circle, LimitExceeded if that cannot be seen."""
    if source == target:
        raise _cycle(source, kind, target)
    above = await walk_within(writer.all, walk(target, (kind,), None, limits.ARTIFACT_RELATIVES_MAX, up=True))
    if source in above.distances:
        raise _cycle(source, kind, target)
    if above.truncated:
        raise LimitExceeded(
            f"artifact {id_text(target)} is {kind} more than {limits.ARTIFACT_RELATIVES_MAX:,} others, too many to see"
            " that this makes no cycle",
            code="too-many-relations", limit=limits.ARTIFACT_RELATIVES_MAX,
        )  # fmt: skip


async def _demand_none_in_fork(writer: Writer, levels: Lineage, source: bytes, kind: str, target: bytes) -> None:
    """The same in a fork, where an inherited version and the fork's own that took its place are one."""
    seen, border = set[bytes](), {target}
    while border and len(seen) <= limits.ARTIFACT_RELATIVES_MAX:
        following = set[bytes]()
        for at in range(0, len(border), STEP_IDS):
            some = sorted(border)[at : at + STEP_IDS]
            ids = packed([one.hex() for one in some])
            following.update(await same_in(writer, levels, ids))
            rows = await writer.all(_SQL["up"], (ids, packed((kind,)), limits.ARTIFACT_RELATIVES_MAX))
            following.update(row[2] for row in rows)
        seen |= border
        if source in seen:
            raise _cycle(source, kind, target)
        border = following - seen


async def unrelate(writer: Writer, source: bytes, kind: str, target: bytes) -> bool:
    """End a relation; False when there is none. Raises NotFound (the source), Conflict (``relation-of-put``)."""
    source, inherited = await standing_for(writer, source)
    if inherited is not None:
        raise not_its_own(source)
    session, name = await _require(writer, source)
    row = await writer.one(_SQL["open"], (source, kind, target))
    if row is None:
        return False
    if row[0]:
        raise Conflict(
            f"artifact {id_text(source)} was stored as derived from {id_text(target)}: that stays true",
            code="relation-of-put",
        )
    payload = ArtifactUnrelated(id_text(source), id_text(session), kind, id_text(target))
    await writer.append(UNRELATED, payload, await writer.scope(f"session:{id_text(session)}"), f"artifact/{name}")
    return True


async def delete_tree(writer: Writer, expected: Sequence[bytes], kinds: Sequence[str], *, hard: bool) -> int | None:
    """Delete what lies below the first of these artifacts, with it; None when that is not what was expected."""
    below = await walk_within(writer.all, walk(expected[0], kinds, None, limits.PAGE_ROWS_MAX, up=False))
    there = [one for one in below.distances if await writer.one(_ROOM["open_row"], (one,)) is not None]
    if below.truncated or set(there) != set(expected):
        return None
    return len(await artifact_units.delete(writer, there, hard=hard))


async def _require(writer: Writer, artifact: bytes) -> tuple[bytes, str]:
    row = await writer.one(_ROOM["open_row"], (artifact,))
    if row is None:
        raise not_there(artifact)
    return row[0], row[1]


def _cycle(source: bytes, kind: str, target: bytes) -> Conflict:
    return Conflict(
        f"artifact {id_text(target)} {_SAID[kind]} {id_text(source)} already, directly or through others",
        code="relation-cycle", source=id_text(source), target=id_text(target),
    )  # fmt: skip
