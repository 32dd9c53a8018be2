"""The unit of work of an import: everything is named at once, or nothing is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from llmspell.artifacts import units
from llmspell.artifacts.blob import Blob
from llmspell.artifacts.heirs import last_number, there_under
from llmspell.artifacts.info import ArtifactInfo, info_of_new
from llmspell.artifacts.kinds import ArtifactStored
from llmspell.artifacts.relations.kinds import ArtifactRelated
from llmspell.artifacts.relations.projection import RELATED
from llmspell.errors import AlreadyExists
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer

_SQL = queries("llmspell.artifacts")
_NAMES_TRIED = 1000


class Staged(NamedTuple):
    """A content of a bundle. ``blob`` is None when its row is in the store."""

    blob: Blob | None
    still_whole: Callable[[], bool]


class Arriving(NamedTuple):
    """One version on its way in. ``new`` has its new id and session; its name may change, its number is a wish."""

    origin: str
    new: ArtifactStored
    number: int
    labels: Sequence[str]
    relations: Sequence[tuple[str, str]]


class Arrived(NamedTuple):
    """What became of a bundle: the versions that are there now, names that were left out, new names by old ones, and
    how many versions made room.
    """

    infos: list[ArtifactInfo]
    skipped: list[str]
    renamed: dict[str, str]
    replaced: int


async def name_all(
    writer: Writer, arriving: Sequence[Arriving], staged: dict[str, Staged], on_conflict: str
) -> Arrived:
    """Store every version of a bundle. Raises AlreadyExists (``artifact-exists``), NotFound (``session-not-found``),
    Conflict (``session-archived``, ``content-collected``), LimitExceeded (quotas).
    """
    names, making_room, skipped = await _settle(writer, arriving, on_conflict)
    replaced = len(await units.delete(writer, making_room))
    infos: list[ArtifactInfo] = []
    for one in arriving:
        name = names.get((one.origin, one.new.session, one.new.name))
        if name is None:
            continue
        content = staged[one.new.digest]
        new = _renamed(one.new, name)
        stored = await units.store(writer, new, content.blob, content.still_whole, required=(), number_min=one.number)
        infos.append(info_of_new(*stored))
        for label in one.labels:
            await units.tag(writer, id_bytes(new.id), label)
    there = {info.id for info in infos}
    for one in arriving:
        for kind, other in one.relations:
            if one.new.id in there and other in there:
                await _relate(writer, one, names, kind, other)
    renamed = {old: new for (_, _, old), new in names.items() if new is not None and new != old}
    return Arrived(infos, skipped, renamed, replaced)


Names = dict[tuple[str, str, str], str | None]


async def _settle(
    writer: Writer, arriving: Sequence[Arriving], on_conflict: str
) -> tuple[Names, list[bytes], list[str]]:
    """The name that each group of versions gets (None: it is left out), and the versions that make room. Nothing is
    written, so that what is refused costs nothing.
    """
    names: Names = {}
    taken: set[tuple[str, str]] = set()
    making_room: list[bytes] = []
    skipped: list[str] = []
    for one in arriving:
        group = one.origin, one.new.session, one.new.name
        if group in names:
            continue
        session, name = id_bytes(one.new.session), one.new.name
        there = await there_under(writer, session, name)
        if not there and (one.new.session, name) not in taken:
            names[group] = name
        elif on_conflict == "skip":
            names[group] = None
            skipped.append(name)
        elif on_conflict == "rename":
            names[group] = await _free_name(writer, one.new.session, name, taken)
        elif on_conflict == "replace" and (one.new.session, name) not in taken:
            making_room += [row[0] for row in there]
            names[group] = name
        else:
            raise AlreadyExists(
                f"session {one.new.session} has an artifact {name!r} already", code="artifact-exists",
                hint="import with on_conflict skip, rename or replace", name=name, session=one.new.session,
            )  # fmt: skip
        taken.add((one.new.session, names[group] or name))
    return names, making_room, skipped


async def _free_name(writer: Writer, session: str, name: str, taken: set[tuple[str, str]]) -> str:
    path = PurePosixPath(name)
    suffix = path.suffix if len(path.suffix) <= 20 else ""
    stem = name.removesuffix(suffix)
    for number in range(2, _NAMES_TRIED):
        mark = f" ({number}){suffix}"
        free = stem[: limits.NAME_CHARS_MAX - len(mark)] + mark
        if (session, free) not in taken and not await last_number(writer, id_bytes(session), free):
            return free
    raise AlreadyExists(f"session {session} has too many artifacts named like {name!r}", code="artifact-exists")


def _renamed(new: ArtifactStored, name: str) -> ArtifactStored:
    from msgspec.structs import replace

    return new if new.name == name else replace(new, name=name)


async def _relate(writer: Writer, one: Arriving, names: Names, kind: str, other: str) -> None:
    name = names[one.origin, one.new.session, one.new.name]
    scope = await writer.scope(f"session:{one.new.session}")
    payload = ArtifactRelated(one.new.id, one.new.session, kind, id_text(id_bytes(other)))
    await writer.append(RELATED, payload, scope, f"artifact/{name}")
