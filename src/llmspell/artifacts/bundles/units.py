"""The unit of work of an import: everything is named at once, or nothing is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from llmspell.artifacts import units
from llmspell.artifacts.blob import Blob
from llmspell.artifacts.heirs import last_number, numbered, shown, there_under
from llmspell.artifacts.info import ArtifactInfo, info_of_new
from llmspell.artifacts.kinds import ArtifactStored
from llmspell.artifacts.relations.kinds import ArtifactRelated
from llmspell.artifacts.relations.projection import RELATED
from llmspell.errors import AlreadyExists
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.asking import Asks
    from llmspell.journal.journal import Writer
    from llmspell.journal.lineage import Lineage
    from llmspell.ports.database import Row

_SQL = queries("llmspell.artifacts")
_NAMES_TRIED = 1000
_NOT_STORED = -1
"""The codec of content that is nowhere yet."""
LastNumber = Callable[[bytes, str], Awaitable[int]]


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
    names, making_room, skipped = await _settle(
        arriving, on_conflict, partial(there_under, writer), partial(last_number, writer)
    )
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
    return Arrived(infos, skipped, _new_names(names), replaced)


async def foresee(
    asks: Asks, arriving: Sequence[Arriving], on_conflict: str, lineages: Mapping[bytes, Lineage | None],
    acting: bytes | None, at: int,
) -> Arrived:  # fmt: skip
    """What ``name_all`` would come to, by reading alone: the numbers that versions would get, of sessions with these
    lineages, for a unit in ``acting``. Raises what ``name_all`` does, except for quotas.
    """

    async def there(session: bytes, name: str) -> list[Row]:
        return await shown(asks, lineages[session], session, name, acting)

    async def last(session: bytes, name: str) -> int:
        return await numbered(asks, lineages[session], session, name)

    names, making_room, skipped = await _settle(arriving, on_conflict, there, last)
    numbers: dict[tuple[str, str], int] = {}
    infos = []
    for one in arriving:
        name = names[one.origin, one.new.session, one.new.name]
        if name is None:
            continue
        place, session = (one.new.session, name), id_bytes(one.new.session)
        if place not in numbers:
            await units.demand_session(asks, session, "store artifacts")
            numbers[place] = await last(session, name)
        numbers[place] = max(numbers[place] + 1, one.number)
        infos.append(info_of_new(replace(one.new, name=name, version=numbers[place]), at, 0, _NOT_STORED))
    return Arrived(infos, skipped, _new_names(names), len(making_room))


Names = dict[tuple[str, str, str], str | None]


def _new_names(names: Names) -> dict[str, str]:
    return {old: new for (_, _, old), new in names.items() if new is not None and new != old}


async def _settle(
    arriving: Sequence[Arriving], on_conflict: str, there_under: Callable[[bytes, str], Awaitable[list[Row]]],
    last_number: LastNumber,
) -> tuple[Names, list[bytes], list[str]]:  # fmt: skip
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
        there = await there_under(session, name)
        if not there and (one.new.session, name) not in taken:
            names[group] = name
        elif on_conflict == "skip":
            names[group] = None
            skipped.append(name)
        elif on_conflict == "rename":
            names[group] = await _free_name(last_number, one.new.session, name, taken)
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


async def _free_name(last_number: LastNumber, session: str, name: str, taken: set[tuple[str, str]]) -> str:
    path = PurePosixPath(name)
    suffix = path.suffix if len(path.suffix) <= 20 else ""
    stem = name.removesuffix(suffix)
    for number in range(2, _NAMES_TRIED):
        mark = f" ({number}){suffix}"
        free = stem[: limits.NAME_CHARS_MAX - len(mark)] + mark
        if (session, free) not in taken and not await last_number(id_bytes(session), free):
            return free
    raise AlreadyExists(f"session {session} has too many artifacts named like {name!r}", code="artifact-exists")


def _renamed(new: ArtifactStored, name: str) -> ArtifactStored:
    return new if new.name == name else replace(new, name=name)


async def _relate(writer: Writer, one: Arriving, names: Names, kind: str, other: str) -> None:
    name = names[one.origin, one.new.session, one.new.name]
    scope = await writer.scope(f"session:{one.new.session}")
    payload = ArtifactRelated(one.new.id, one.new.session, kind, id_text(id_bytes(other)))
    await writer.append(RELATED, payload, scope, f"artifact/{name}")
