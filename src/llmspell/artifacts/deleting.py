"""Deleting and bringing back. A deleted version leaves its number and can be undeleted; one that is deleted for good
leaves an entry which says that its content may go, and a collect takes it when nothing else needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from llmspell.artifacts import units
from llmspell.artifacts.grants.kinds import Level
from llmspell.artifacts.info import ArtifactInfo, info_of
from llmspell.artifacts.lookup import BRIEF, Lookup, check_no_version, described, missing
from llmspell.artifacts.rules import check_artifact_name, is_id
from llmspell.artifacts.rules import check_version_number as check_number
from llmspell.artifacts.units import UNIT_VERSIONS
from llmspell.hooks.moment import run_point
from llmspell.journal.room import making_room
from llmspell.model.arguments import check_flags, check_function
from llmspell.model.ids import id_bytes
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.selection import Where
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.journal import Journal
    from llmspell.model.context import Context
    from llmspell.ports.content import ContentStore

_SQL = queries("llmspell.artifacts")


class Deleting:
    """Deletes of one handle."""

    def __init__(self, journal: Journal, hooks: Hooks, lookup: Lookup, content: ContentStore) -> None:
        self._journal = journal
        self._hooks = hooks
        self._armed = hooks.armed
        self._lookup = lookup
        self._content = content

    async def delete(self, context: Context, name_or_id: str, version: int | str | None, *, hard: bool) -> int:
        """One version, or every version of a name. With ``hard`` also those that are deleted already."""
        check_flags(hard=hard)
        infos = await self._meant(context, name_or_id, version, hard=hard)
        of_many = version is None and not is_id(name_or_id)
        count = await self._delete(context, infos, hard=hard, of_many=of_many)
        if not count:
            raise missing(name_or_id, version)
        return count

    async def delete_matching(
        self, context: Context, where: Where, *, hard: bool, progress: Callable[[int, int], None] | None
    ) -> int:
        """Everything that a selection means."""
        check_function(progress)
        infos = await where.infos(self._journal.database)
        return await self._delete(context, infos, hard=hard, of_many=True, progress=progress)

    async def undelete(self, context: Context, name_or_id: str, version: int | None) -> int:
        """One version, or every version of a name that is deleted and can come back."""
        infos = await self._deleted(context, name_or_id, version)
        await self._run(context, "before", "undelete", infos)
        ids = [id_bytes(info.id) for info in infos]
        needs = [(one, Level.ADMIN) for one in ids]
        of_many = version is None and not is_id(name_or_id)
        back = await self._lookup.reach.write(
            lambda writer: units.undelete(writer, ids, of_many=of_many), needs, context
        )
        if not back:
            raise missing(name_or_id, version)
        await self._run(context, "after", "undelete", _those(infos, back))
        return len(back)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _delete(
        self,
        context: Context,
        infos: Sequence[ArtifactInfo],
        *,
        hard: bool,
        of_many: bool,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """What was selected before the unit may be deleted by another within it; that is no error ``of_many``."""
        await self._run(context, "before", "delete", infos)
        count = 0
        for start in range(0, len(infos), UNIT_VERSIONS):
            part = infos[start : start + UNIT_VERSIONS]
            ids = [id_bytes(info.id) for info in part]
            needs = [(one, Level.ADMIN) for one in ids]
            unit = partial(units.delete, artifacts=ids, hard=hard, of_many=of_many)
            write = partial(self._lookup.reach.write, unit, needs, context)
            gone = await (making_room(write, self._content.free_reserve) if hard else write())
            count += len(gone)
            await self._run(context, "after", "delete", _those(part, gone))
            if progress is not None:
                progress(start + len(part), len(infos))
        return count

    async def _run(self, context: Context, moment: str, verb: str, infos: Sequence[ArtifactInfo]) -> None:
        point = f"{moment}_artifact_{verb}"
        if point in self._armed:
            for info in infos:
                await run_point(self._hooks, context, point, "artifact", verb, described(info))

    async def _meant(
        self, context: Context, name_or_id: str, version: int | str | None, *, hard: bool
    ) -> list[ArtifactInfo]:
        single = version is not None or is_id(name_or_id)
        if not hard or isinstance(version, str):
            return [await self._lookup.info(name_or_id, version)] if single else await self._lookup.of_name(name_or_id)
        found = await self._every(context, name_or_id, version)
        if single and found and await self._is_erased(found[0]):
            raise units.erased(id_bytes(found[0].id))
        found = [info for info in found if not await self._is_erased(info)]
        found += await self._lookup.inherited_of_name(name_or_id, version, {info.id for info in found})
        if not found:
            raise missing(name_or_id, version)
        return found

    async def _deleted(self, context: Context, name_or_id: str, version: int | None) -> list[ArtifactInfo]:
        single = version is not None or is_id(name_or_id)
        found = await self._every(context, name_or_id, version)
        dropped = await self._lookup.dropped(name_or_id, version)
        if single and not found and not dropped:
            found = await self._lookup.inherited_of_name(name_or_id, version, set())  # It is there, and told so.
        if not found and not dropped:
            raise missing(name_or_id, version)
        if single:
            return dropped or found
        infos = [info for info in dropped if not await self._is_erased(info)]
        for info in found:
            row = await self._journal.database.one(_SQL["closed_row"], (id_bytes(info.id),))
            if row is not None and row[0] is not None and not await self._is_erased(info):
                infos.append(info)
        if not infos:
            raise missing(name_or_id, None)
        return infos

    async def _every(self, context: Context, name_or_id: str, version: object) -> list[ArtifactInfo]:
        """Versions by id, or by name (and number), whether they are deleted or not. A number means one version: that
        of an earlier life of the session, deleted for good, only where an import brought no other.
        """
        if is_id(name_or_id):
            check_no_version(version)
            where = "a.id = ?"
            args: list[Any] = [id_bytes(name_or_id)]
        else:
            where = "a.session = ? AND a.name = ?"
            args = [self._lookup.session(context), check_artifact_name(name_or_id)]
            if version is not None:
                where += " AND a.version = ?"
                args.append(check_number(version))
        newest = "NOT EXISTS (SELECT 1 FROM artifact l WHERE l.id = a.id AND l.since_seq > a.since_seq)"
        sql = f"{BRIEF} WHERE {where} AND {newest} ORDER BY a.version"
        found = [info_of(row) for row in await self._journal.database.read(lambda view: view.all(sql, args))]
        if version is None or len(found) < 2:
            return found
        return [info for info in found if not await self._is_erased(info)] or found[:1]

    async def _is_erased(self, info: ArtifactInfo) -> bool:
        return await self._journal.database.one(_SQL["erased"], (id_bytes(info.id),)) is not None


def _those(infos: Sequence[ArtifactInfo], ids: Sequence[bytes]) -> list[ArtifactInfo]:
    """Of these versions the ones that a unit has changed."""
    changed = set(ids)
    return [info for info in infos if id_bytes(info.id) in changed]
