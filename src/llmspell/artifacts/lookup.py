"""Finding the artifact that somebody names: by id in any session, or by name in the session at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmspell.artifacts.info import ArtifactInfo, info_of
from llmspell.artifacts.rules import check_artifact_name, is_id
from llmspell.artifacts.rules import check_version_number as check_number
from llmspell.artifacts.version_names import is_range, newest_fitting
from llmspell.errors import InvalidInput, NotFound
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_label
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.grants.reach import Reach
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.model.context import Context
    from llmspell.ports.database import Row

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
            row = await self.reach.row(f"{INFO} WHERE a.id = ? AND {OPEN}", id_bytes(name_or_id))
        else:
            name = check_artifact_name(name_or_id)
            session = self.session(self._acting.context())
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
        row = await self._journal.database.one(f"{BRIEF} WHERE a.id = ? AND {OPEN}", (artifact,))
        if row is None:
            raise missing(id_text(artifact), None)
        return info_of(row)

    async def of_name(self, name_or_id: str) -> list[ArtifactInfo]:
        """All versions of a name that are there, oldest first. Raises NotFound when there is none."""
        session, name = self.session(self._acting.context()), check_artifact_name(name_or_id)
        where = f"WHERE a.session = ? AND a.name = ? AND {OPEN} ORDER BY a.version"
        rows = await self._journal.database.read(lambda view: view.all(f"{BRIEF} {where}", (session, name)))
        if not rows:
            raise missing(name, None)
        return [info_of(row) for row in rows]

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
