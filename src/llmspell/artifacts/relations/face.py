"""What a handle of artifacts offers about relations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmspell.artifacts.grants.kinds import Level
from llmspell.artifacts.grants.units import Place
from llmspell.artifacts.heirs import not_its_own
from llmspell.artifacts.info import ArtifactInfo, info_of
from llmspell.artifacts.inherited import Levels, inherited, named_then
from llmspell.artifacts.lookup import BRIEF, OPEN, described
from llmspell.artifacts.relations import units
from llmspell.artifacts.relations.kinds import kinds_of, sense_of
from llmspell.artifacts.relations.lineage import Lineage, Relation, Relative, relation_of, relatives
from llmspell.artifacts.relations.walk import Edge, Walk, walk, walk_in
from llmspell.artifacts.rules import is_id
from llmspell.errors import Conflict, InvalidInput, LimitExceeded
from llmspell.hooks.moment import run_point
from llmspell.journal.asking import Asking, driven
from llmspell.model import limits
from llmspell.model.arguments import check_flags
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.page import check_limit
from llmspell.model.telling import told
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.lookup import Lookup
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.model.context import Context
    from llmspell.ports.database import Reading

_PLACE = queries("llmspell.artifacts.grants")["place"]


class Relating:
    """The part of ``AsyncArtifacts`` about relations. Artifacts are named by id, or by name for the latest version."""

    _journal: Journal
    _acting: Acting
    _lookup: Lookup
    _hooks: Hooks

    async def relate(self, artifact: str, kind: str, other: str) -> bool:
        """Say that ``artifact`` is ``derived_from``, ``child_of``, ``depends_on`` or ``version_of`` ``other``; False
        when that was said before. ``parent`` says that it is the parent of ``other``, ``child`` its child.

        Writes ``artifact.related``. Relations of one kind make no cycle, which the unit itself sees to. Through a
        session's handle it takes the right to change what is derived (or child, or depends), and to read the other.
        Raises NotFound, InvalidInput (``invalid-relation``), Conflict (``relation-cycle``), AccessDenied.
        """
        source, name, target = await self._sense(artifact, kind, other)
        needs = ((source, Level.WRITE), (target, Level.READ))
        return await self._lookup.reach.write(
            lambda writer: units.relate(writer, source, name, target), needs, self._acting.context()
        )

    async def unrelate(self, artifact: str, kind: str, other: str) -> bool:
        """End a relation; False when there is none. What an artifact was stored as derived from stays (Conflict,
        ``relation-of-put``). The other end may be deleted by now.
        """
        source, name, target = await self._sense(artifact, kind, other)
        return await self._lookup.reach.write(
            lambda writer: units.unrelate(writer, source, name, target), ((source, Level.WRITE),),
            self._acting.context(),
        )  # fmt: skip

    async def relations(self, artifact: str, *, kind: str | None = None) -> list[Relation]:
        """What an artifact is to others and others to it, one step each way. Raises NotFound."""
        lineage = await self.lineage(artifact, kind=kind, depth=1)
        return lineage.edges

    async def ancestors(
        self, artifact: str, *, kind: str | None = None, depth: int | None = None, limit: int = 1000
    ) -> list[Relative]:
        """What an artifact comes from, belongs to or needs, directly and through others, nearest first; along one kind
        or all of them, at most ``depth`` steps and ``limit`` artifacts. Those that are deleted are there, and say so.
        """
        return [node for node in (await self._nodes(artifact, kind, depth, limit, up=True)) if node.distance]

    async def descendants(
        self, artifact: str, *, kind: str | None = None, depth: int | None = None, limit: int = 1000
    ) -> list[Relative]:
        """What came of an artifact, belongs to it or needs it; as ``ancestors`` the other way."""
        return [node for node in (await self._nodes(artifact, kind, depth, limit, up=False)) if node.distance]

    async def lineage(
        self, artifact: str, *, kind: str | None = None, depth: int | None = None, limit: int = 1000
    ) -> Lineage:
        """An artifact between what it comes from and what came of it: ``.to_rows()`` is a table, ``.to_dict()`` JSON,
        ``.to_dot()`` a graph for Graphviz. At most ``limit`` artifacts each way.
        """
        start, levels = await self._first(artifact), await self._levels()
        kinds, steps, limit = kinds_of(kind), _depth(depth), check_limit(limit)
        now = self._journal.clock.now_ns()

        def query(view: Reading) -> Lineage:
            up = walk_in(view, walk(start, kinds, steps, limit, up=True))
            down = walk_in(view, walk(start, kinds, steps, limit, up=False))
            nodes = [*reversed(self._told(view, up, now, -1, levels)), *self._told(view, down, now, 1, levels)[1:]]
            edges: dict[Edge, None] = dict.fromkeys((*up.edges, *down.edges))
            known = {node.id for node in nodes}
            shown = [one for one in map(relation_of, edges) if one.source in known and one.target in known]
            return Lineage(next(node.id for node in nodes if not node.distance), nodes, shown,
                           up.truncated or down.truncated)  # fmt: skip

        return await self._journal.database.read(query)

    async def delete_tree(
        self, artifact: str, *, kind: str = "child_of", hard: bool = False, dry_run: bool = False
    ) -> int:
        """Delete an artifact and everything below it by a relation: its children and their children, what was derived
        from it. All in one unit; returns how many. ``hard``: for good; ``dry_run``: say how many, delete nothing.

        Plain ``delete`` takes no other artifact with it: relations to what is deleted stay, and lineage says so. What
        is related meanwhile makes it begin again, with its own hooks for each. Raises NotFound, Vetoed, AccessDenied,
        LimitExceeded (``too-many-relations`` above 10,000).
        """
        check_flags(hard=hard, dry_run=dry_run)
        if dry_run:
            return len(await self._tree(artifact, kind))
        context = self._acting.context()
        for _ in range(limits.CONFLICT_RETRIES_MAX):
            infos = await self._tree(artifact, kind)
            await self._ask(context, "before", infos)
            ids = [id_bytes(info.id) for info in infos]
            needs = [(one, Level.ADMIN) for one in ids]
            count = await self._lookup.reach.write(
                lambda writer, ids=ids: units.delete_tree(writer, ids, kinds_of(kind), hard=hard),  # type: ignore[misc]
                needs, context,
            )  # fmt: skip
            if count is not None:
                await self._ask(context, "after", infos)
                return count
        raise Conflict(f"what lies below artifact {artifact!r} changes all the time", code="conflict")

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _tree(self, artifact: str, kind: str) -> list[ArtifactInfo]:
        """An artifact and what lies below it and is there, the artifact first."""
        start = await self._first(artifact)
        if await self._lookup.past(start) is not None:
            raise not_its_own(start)
        found = await self._journal.database.read(
            lambda view: walk_in(view, walk(start, kinds_of(kind), None, limits.PAGE_ROWS_MAX, up=False))
        )
        if found.truncated:
            raise LimitExceeded(
                f"more than {limits.PAGE_ROWS_MAX:,} artifacts lie below {artifact!r}", code="too-many-relations"
            )
        infos = []
        for one in found.distances:
            row = await self._journal.database.one(f"{BRIEF} WHERE a.id = ? AND {OPEN}", (one,))
            if row is not None:
                infos.append(info_of(row))
        return infos

    async def _ask(self, context: Context, moment: str, infos: Sequence[ArtifactInfo]) -> None:
        point = f"{moment}_artifact_delete"
        if point in self._hooks.armed:
            for info in infos:
                await run_point(self._hooks, context, point, "artifact", "delete", described(info))

    async def _sense(self, artifact: str, kind: str, other: str) -> tuple[bytes, str, bytes]:
        sense = sense_of(kind)
        one, two = await self._named(artifact), await self._named(other)
        return (two, str(sense.kind), one) if sense.turned else (one, str(sense.kind), two)

    async def _named(self, artifact: str) -> bytes:
        """The id that is meant, which the unit looks at: only names are looked up before."""
        return id_bytes(artifact if is_id(artifact) else (await self._lookup.info(artifact, None)).id)

    async def _first(self, artifact: str) -> bytes:
        return id_bytes((await self._lookup.info(artifact, None)).id)

    async def _nodes(
        self, artifact: str, kind: str | None, depth: int | None, limit: int, *, up: bool
    ) -> list[Relative]:
        start, levels = await self._first(artifact), await self._levels()
        kinds, steps, limit = kinds_of(kind), _depth(depth), check_limit(limit)
        now = self._journal.clock.now_ns()

        def query(view: Reading) -> list[Relative]:
            return self._told(view, walk_in(view, walk(start, kinds, steps, limit, up=up)), now, 1, levels)

        return await self._journal.database.read(query)

    async def _levels(self) -> Levels:
        """The lineage of this handle's session; nothing when that is no fork."""
        session = self._lookup.reach.session
        return () if session is None else await self._lookup.levels(session) or ()

    def _told(self, view: Reading, walked: Walk, now: int, sign: int, levels: Levels) -> list[Relative]:
        found = relatives(view, walked.distances, self._readable(view, walked, now), sign)
        return [_in_fork(view, levels, one) for one in found] if levels else found

    def _readable(self, view: Reading, walked: Walk, now: int) -> set[bytes] | None:
        """The artifacts of a walk that this handle may be told of; None is all of them."""
        reach = self._lookup.reach
        if reach.session is None:
            return None
        found = set()
        for artifact in walked.distances:
            row = view.one(_PLACE, (artifact,))
            if row is None or row[0] == reach.session or reach.held(view, Place(*row[:3]), now) >= Level.READ:
                found.add(artifact)
        return found


def _in_fork(view: Reading, levels: Levels, relative: Relative) -> Relative:
    """An artifact that a fork has from another session as it is in the fork; any other as it is."""
    artifact = id_bytes(relative.id)
    then = driven(named_then(Asking(view), levels, artifact))
    if then is None:
        return relative
    row = driven(inherited(Asking(view), levels, artifact))
    if row is None:
        return replace(relative, state="deleted", session=id_text(levels[0].session), name=then[0], version=then[1])
    return Relative(relative.id, relative.distance, "present", id_text(row[1]), row[2], row[3], row[4])


def _depth(depth: int | None) -> int | None:
    if depth is not None and (type(depth) is not int or depth < 1):
        raise InvalidInput(f"a depth is a number of steps from 1, not {told(depth)}", code="invalid-depth")
    return depth
