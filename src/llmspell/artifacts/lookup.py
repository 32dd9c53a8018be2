"""Finding the artifact that somebody names: by id in any session, or by name in the session at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmspell.artifacts.info import ArtifactInfo, info_of
from llmspell.artifacts.inherited import (
    dropped,
    inherited,
    inheriting,
    is_inheritable,
    labels,
    last_version,
    named_then,
    page,
    visible,
)
from llmspell.artifacts.rules import check_artifact_name, is_id
from llmspell.artifacts.rules import check_version_number as check_number
from llmspell.artifacts.version_names import is_range, newest_fitting
from llmspell.errors import InvalidInput, NotFound
from llmspell.journal.asking import Asking, driven
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_label
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.grants.reach import Reach
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.journal.lineage import Lineage
    from llmspell.model.context import Context
    from llmspell.ports.database import Reading, Row

_SQL = queries("llmspell.artifacts")
INFO, BRIEF = _SQL["info"], _SQL["brief"]
"""Selects of rows for ``info_of``: with what it takes to read the content, and without."""
OPEN = "a.until_seq IS NULL"


class Lookup:
    """Names to rows, for a handle that acts in some session or in none."""

    def __init__(self, journal: Journal, acting: Acting, reach: Reach) -> None:
        self._journal = journal
        self._acting = acting
        self.reach = reach

    def session(self, context: Context) -> bytes:
        """The session that names belong to. Raises InvalidInput (``no-session``)."""
        if self._acting.session is not None:
            return self._acting.session.id
        if context.session is None:
            raise InvalidInput(
                "artifacts belong to a session, and there is no current one",
                code="no-session",
                hint="use session.artifacts",
            )
        return context.session

    @property
    def own_session(self) -> bytes | None:
        """The session of the handle itself, None for the store's."""
        return None if self._acting.session is None else self._acting.session.id

    async def row(self, name_or_id: str, version: int | str | None) -> Row:
        """The open row that is meant, selected as ``INFO``. Raises NotFound, InvalidInput, AccessDenied."""
        if is_id(name_or_id):
            check_no_version(version)
            row = await self._by_id(id_bytes(name_or_id), INFO)
        else:
            name = check_artifact_name(name_or_id)
            session = self.session(self._acting.context())
            levels = await self.levels(session)
            if levels is not None:
                return await self._of_fork(levels, name, version)
            number = await self._number(session, name, version)
            exact = "" if number is None else " AND a.version = ?"
            sql = f"{INFO} WHERE a.session = ? AND a.name = ?{exact} AND {OPEN} ORDER BY a.version DESC LIMIT 1"
            row = await self._journal.database.one(sql, (session, name) if number is None else (session, name, number))
        if row is None:
            raise missing(name_or_id, version)
        return row

    async def info(self, name_or_id: str, version: int | str | None) -> ArtifactInfo:
        """The same as an info."""
        return info_of(await self.row(name_or_id, version))

    async def by_id(self, artifact: bytes) -> ArtifactInfo:
        """An artifact that is there. Raises NotFound."""
        row = await self._by_id(artifact, BRIEF)
        if row is None:
            raise missing(id_text(artifact), None)
        return info_of(row)

    async def of_name(self, name_or_id: str) -> list[ArtifactInfo]:
        """All versions of a name that are there, oldest first. Raises NotFound when there is none."""
        session, name = self.session(self._acting.context()), check_artifact_name(name_or_id)
        levels = await self.levels(session)
        if levels is not None:
            found = await self._journal.database.read(lambda view: driven(visible(Asking(view), levels, name)))
            if not found:
                raise missing(name, None)
            return [info_of(row) for row in found]
        where = f"WHERE a.session = ? AND a.name = ? AND {OPEN} ORDER BY a.version"
        rows = await self._journal.database.read(lambda view: view.all(f"{BRIEF} {where}", (session, name)))
        if not rows:
            raise missing(name, None)
        return [info_of(row) for row in rows]

    async def levels(self, session: bytes) -> Lineage | None:
        """The lineage of a fork, None for any other session: that costs nothing."""
        lineage = await self._journal.lineage(f"session:{id_text(session)}")
        if lineage is None:
            return None
        return await self._journal.database.read(lambda view: driven(inheriting(Asking(view), lineage)))

    async def was_there(self, session: bytes, name: str) -> bool:
        """Whether a session ever had an artifact of a name, its own or inherited, whatever became of it."""
        levels = await self.levels(session)
        if levels is None:
            return await self._journal.database.one(_SQL["is_named"], (session, name)) is not None
        return await self._journal.database.read(lambda view: driven(last_version(Asking(view), levels, name))) > 0

    async def labels(self, name: str) -> dict[str, int]:
        """Labels of a name and the versions they mean."""
        session, name = self.session(self._acting.context()), check_artifact_name(name)
        levels = await self.levels(session)
        if levels is not None:
            return await self._journal.database.read(lambda view: driven(labels(Asking(view), levels, name)))
        rows = await self._journal.database.read(lambda view: view.all(_SQL["labels"], (session, name)))
        return {label: version for version, label in rows}

    async def all_dropped(self) -> list[ArtifactInfo]:
        """All versions that a fork inherited and dropped, without what was deleted for good since; none in any other
        session.
        """
        session = self.own_session
        if session is None or await self.levels(session) is None:
            return []
        rows = await self._journal.database.read(lambda view: view.all(_SQL["dropped_names"], (session,)))
        found = [info for (name,) in rows for info in await self.dropped(name, None)]
        return [info for info in found if await self.erased(id_bytes(info.id)) is None]

    async def past(self, artifact: bytes) -> int | None:
        """The last entry that counts of an artifact that a fork has from another session; None for any other."""
        levels = None if self.own_session is None else await self.levels(self.own_session)
        if levels is None:
            return None
        then = await self._journal.database.read(lambda view: driven(named_then(Asking(view), levels, artifact)))
        return None if then is None else then[2]

    async def dropped(self, name_or_id: str, version: object) -> list[ArtifactInfo]:
        """Versions that a fork inherited and dropped, by id or name; none in any other session."""
        session = self._acting.context().session
        levels = None if session is None else await self.levels(session)
        if levels is None:
            return []
        artifact = id_bytes(name_or_id) if is_id(name_or_id) else None
        name = None if artifact is not None else check_artifact_name(name_or_id)

        def query(view: Reading) -> list[Row]:
            rows = driven(dropped(Asking(view), levels, name, artifact))
            return [row for row in rows if version is None or row[3] == version]

        return [info_of(row) for row in await self._journal.database.read(query)]

    async def inherited_of_name(self, name_or_id: str, version: object, own: set[str]) -> list[ArtifactInfo]:
        """Versions of a name that a fork inherits: those that are there and not among its ``own``."""
        session = self._acting.context().session
        levels = None if session is None or is_id(name_or_id) else await self.levels(session)
        if levels is None:
            return []
        name = check_artifact_name(name_or_id)
        rows = await self._journal.database.read(lambda view: driven(visible(Asking(view), levels, name)))
        infos = [info_of(row) for row in rows]
        return [info for info in infos if info.id not in own and version in {None, info.version}]

    async def page_of_fork(
        self, levels: Lineage, after: tuple[str, int], limit: int, *, all_versions: bool
    ) -> list[Row]:
        """The artifacts of a fork beyond a name and version: up to ``limit``, as ``BRIEF``."""
        return await self._journal.database.read(
            lambda view: driven(page(Asking(view), levels, after, limit, all_versions=all_versions))
        )

    async def in_fork(self, artifact: bytes) -> Row | None:
        """What a fork has for an artifact of a session that it goes back to, as ``BRIEF``; None for any other."""
        return (await self._standing(artifact, BRIEF))[1]

    async def _by_id(self, artifact: bytes, select: str) -> Row | None:
        """The artifact of any session; in a fork, what stands there for one that it inherits."""
        known, row = await self._standing(artifact, select)
        return row if known else await self.reach.row(f"{select} WHERE a.id = ? AND {OPEN}", artifact)

    async def _standing(self, artifact: bytes, select: str) -> tuple[bool, Row | None]:
        """Whether the current session is a fork that an artifact's session is before, and what it has for it."""
        session = self._acting.context().session
        levels = None if session is None else await self.levels(session)
        if levels is None:
            return False, None
        fork = levels

        def query(view: Reading) -> tuple[bool, Row | None]:
            if not driven(is_inheritable(Asking(view), fork, artifact)):
                return False, None
            return True, driven(inherited(Asking(view), fork, artifact, select=select))

        return await self._journal.database.read(query)

    async def _of_fork(self, levels: Lineage, name: str, version: int | str | None) -> Row:
        def query(view: Reading) -> Row | None:
            number: int | None = None
            if isinstance(version, str) and version != "latest":
                there = driven(labels(Asking(view), levels, name))
                number = there.get(check_label(version, "a label"))
                if number is None and is_range(version):
                    number = newest_fitting([(one, label) for label, one in there.items()], version)
                if number is None:
                    return None
            elif version is not None and version != "latest":
                number = check_number(version)
            found = driven(visible(Asking(view), levels, name, number, select=INFO))
            return found[-1] if found else None

        row = await self._journal.database.read(query)
        if row is None:
            raise missing(name, version)
        return row

    async def erased(self, artifact: bytes) -> NotFound | None:
        """The error for an artifact that was deleted for good; None when it was not."""
        if await self._journal.database.one(_SQL["erased"], (artifact,)) is None:
            return None
        return NotFound(f"artifact {id_text(artifact)} was deleted for good", code="artifact-erased")

    async def _number(self, session: bytes, name: str, version: int | str | None) -> int | None:
        if version is None or version == "latest":
            return None
        if isinstance(version, str):
            version = check_label(version, "a label")
            row = await self._journal.database.one(_SQL["label"], (session, name, version))
            if row is not None:
                return row[0]  # type: ignore[no-any-return]
            number = await self._fitting(session, name, version) if is_range(version) else None
            if number is None:
                raise missing(name, version)
            return number
        return check_number(version)

    async def _fitting(self, session: bytes, name: str, wanted: str) -> int | None:
        rows = await self._journal.database.read(lambda view: view.all(_SQL["labels"], (session, name)))
        return newest_fitting(rows, wanted)


def check_no_version(version: object) -> None:
    """Refuse a version beside an id."""
    if version is not None:
        raise InvalidInput("an artifact's id already names a version", code="invalid-version")


def check_some_version(version: object) -> None:
    """Refuse None, which elsewhere means the latest, where a version has to be said."""
    if version is None:
        raise InvalidInput("say which version is meant: a number, 'latest' or a label", code="invalid-version")


def missing(name_or_id: str, version: int | str | None) -> NotFound:
    """The error for an artifact that is not there."""
    which = f"{name_or_id!r}" if version is None else f"{name_or_id!r} version {version!r}"
    return NotFound(
        f"there is no artifact {which}", code="artifact-not-found", hint="`llmspell artifact list` shows all"
    )


def described(info: ArtifactInfo) -> dict[str, Any]:
    """What hooks see of an artifact."""
    return {
        "id": info.id, "session_id": info.session, "name": info.name, "type": info.type, "size": info.size,
        "tags": info.tags, "metadata": info.metadata, "version": info.version,
    }  # fmt: skip
