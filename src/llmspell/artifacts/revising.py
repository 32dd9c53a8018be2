"""What becomes of an artifact over time: its history, another name, and what differs between two versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from llmspell.artifacts import units
from llmspell.artifacts.content_handle import AsyncContent
from llmspell.artifacts.diff import ArtifactDiff, diff_contents, field_changes, first_difference
from llmspell.artifacts.lookup import check_some_version, described
from llmspell.artifacts.rules import check_artifact_name, is_id
from llmspell.errors import InvalidInput
from llmspell.hooks.moment import run_point
from llmspell.model.clock import to_datetime
from llmspell.model.ids import id_bytes
from llmspell.model.values import decode_value
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.lookup import Lookup
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.offload import Offload
    from llmspell.ports.database import Row

_SQL = queries("llmspell.artifacts")
DIFF_BYTES_MAX = 16 << 20
"""Larger contents are compared as bytes, a piece at a time."""
_PIECE_BYTES = 1 << 20
_INLINE_BYTES = 32 << 10
"""Contents up to this size, both together, are compared at once; longer ones where they hold up nobody."""
_FIELDS = ("name", "mime_type", "description", "tags", "metadata")


@dataclass(frozen=True, slots=True)
class ArtifactRevision:
    """One step in the life of a version. ``operation`` is ``stored``, ``updated``, ``renamed``, ``deleted`` or
    ``undeleted``; ``old`` and ``new`` are the fields that changed; ``seq`` is the entry.
    """

    seq: int
    time: datetime
    operation: str
    old: dict[str, Any]
    new: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "seq": self.seq, "time": self.time.isoformat(), "operation": self.operation, "old": self.old,
            "new": self.new,
        }  # fmt: skip


class Revising:
    """The part of ``AsyncArtifacts`` about what changes."""

    _journal: Journal
    _offload: Offload
    _hooks: Hooks
    _armed: Any
    _acting: Acting
    _lookup: Lookup

    async def get(self, name_or_id: str, *, version: int | str | None = None) -> AsyncContent:
        """See ``AsyncArtifacts.get``."""
        raise NotImplementedError  # Never reached: the class that this is a part of has its own. Types need it here.

    async def rename(self, name: str, to: str) -> int:
        """Give every version of a name in the session another name; returns how many. Labels and grants go with it.

        The new name must never have been used in the session: numbers of versions are not given twice. Raises NotFound,
        AlreadyExists (``artifact-exists``), Conflict (``session-archived``), Vetoed.
        """
        name, to = check_artifact_name(name), check_artifact_name(to)
        context = self._acting.context()
        session = self._lookup.session(context)
        if "before_artifact_update" in self._armed:
            for info in await self._lookup.of_name(name):
                data = {**described(info), "name": to}
                await run_point(self._hooks, context, "before_artifact_update", "artifact", "update", data)
        count = await self._journal.write(lambda writer: units.rename(writer, session, name, to), context=context)
        if "after_artifact_update" in self._armed:
            for info in await self._lookup.of_name(to):
                await run_point(self._hooks, context, "after_artifact_update", "artifact", "update", described(info))
        return count

    async def history(self, name_or_id: str, *, version: int | str | None = None) -> list[ArtifactRevision]:
        """What became of one version (the latest by default, or one by id, also one that is deleted), oldest first: how
        it was stored, each update with the old and the new values, its deletes and undeletes. Raises NotFound.
        """
        if is_id(name_or_id) and version is None:
            artifact = id_bytes(name_or_id)
            inherited = await self._lookup.past(artifact) is not None
            if not inherited and await self._lookup.reach.row(_SQL["last_row"], artifact) is None:
                await self._lookup.info(name_or_id, None)
        else:
            artifact = id_bytes((await self._lookup.info(name_or_id, version)).id)
        rows = await self._journal.database.read(lambda view: view.all(_SQL["revisions"], (artifact,)))
        last = await self._lookup.past(artifact)
        if last is not None:  # What its own session made of it later is not told to a fork.
            then = [row for row in rows if row[0] <= last]
            rows = [row if row[1] is None or row[1] <= last else (row[0], None, *row[2:]) for row in then]
        return _revisions(rows)

    async def diff(self, name: str, old: int | str, new: int | str | None = None) -> ArtifactDiff:
        """What differs between two versions of a name (``new`` None: the latest), or between two artifacts, given by
        their ids: lines of text, paths of JSON, or how much both ends have in common; and their fields.

        Text above 4 MiB is compared as bytes, and what is above 16 MiB without being held. Lines of text take some
        microseconds each, whatever they are.
        """
        check_some_version(old)
        if is_id(name):
            if new is not None or not isinstance(old, str) or not is_id(old):
                raise InvalidInput("an id names a version: give the other one's id with it", code="invalid-version")
            was, now = await self.get(name), await self.get(old)
        else:
            was, now = await self.get(name, version=old), await self.get(name, version=new)
        if max(was.info.size, now.info.size) <= DIFF_BYTES_MAX or was.info.digest == now.info.digest:
            small = was.info.size <= DIFF_BYTES_MAX
            contents = (await was.read(), await now.read()) if small else (b"", b"")
            if sum(map(len, contents)) <= _INLINE_BYTES:
                found = diff_contents(was.info, now.info, *contents)
            else:
                found = await self._offload.run(diff_contents, was.info, now.info, *contents)
            if small:
                return found
            return ArtifactDiff("same", was.info, now.info, [], [], was.info.size, 0, found.fields)
        prefix, suffix = await _ends(was, now)
        return ArtifactDiff("binary", was.info, now.info, [], [], prefix, suffix, field_changes(was.info, now.info))


async def _ends(was: AsyncContent, now: AsyncContent) -> tuple[int, int]:
    """How many bytes two contents have in common at the beginning, and of the rest at the end."""
    short = min(was.info.size, now.info.size)
    prefix = 0
    while prefix < short:
        length = min(_PIECE_BYTES, short - prefix)
        same = first_difference(await was.range(prefix, length), await now.range(prefix, length))
        prefix += same
        if same < length:
            break
    suffix = 0
    while suffix < short - prefix:
        length = min(_PIECE_BYTES, short - prefix - suffix)
        left = await was.range(was.info.size - suffix - length, length)
        right = await now.range(now.info.size - suffix - length, length)
        same = first_difference(left[::-1], right[::-1])
        suffix += same
        if same < length:
            break
    return prefix, suffix


def _revisions(rows: list[Row]) -> list[ArtifactRevision]:
    found: list[ArtifactRevision] = []
    before: dict[str, Any] = {}
    closed = None
    for since, until, name, mime, description, tags, metadata, at, until_at in rows:
        fields = dict(zip(_FIELDS, (name, mime, description, decode_value(tags), decode_value(metadata)), strict=True))
        changed = [one for one in _FIELDS if before.get(one) != fields[one]] if before else []
        old, new = {one: before[one] for one in changed}, {one: fields[one] for one in changed}
        if not before:
            found.append(ArtifactRevision(since, to_datetime(at), "stored", {}, fields))
        elif closed is not None and closed[0] != since:
            found.append(ArtifactRevision(closed[0], to_datetime(closed[1]), "deleted", {}, {}))
            found.append(ArtifactRevision(since, to_datetime(at), "undeleted", old, new))
        else:
            found.append(
                ArtifactRevision(since, to_datetime(at), "renamed" if "name" in changed else "updated", old, new)
            )
        before = fields
        closed = None if until is None else (until, until_at)
    if closed is not None:
        found.append(ArtifactRevision(closed[0], to_datetime(closed[1]), "deleted", {}, {}))
    return found
