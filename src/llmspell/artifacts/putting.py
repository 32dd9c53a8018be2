"""Putting: what a caller hands over becomes content that is durable, and then a version that names it.

The two steps are apart because the second is one short unit. What must stay true: content is durable before it is
named; a put whose content was collected in between begins again where its source can be read again, and otherwise says
so; a put that ended, however it ended, is no longer in progress.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.artifacts import units
from llmspell.artifacts.batch import GROUP_ITEMS, BatchItem
from llmspell.artifacts.blob import Blob
from llmspell.artifacts.compression import COMPRESS_BYTES_MIN, Codec, Compression, check_compression
from llmspell.artifacts.content import SHARING_BYTES_MIN
from llmspell.artifacts.content_reader import ContentReader
from llmspell.artifacts.grants.kinds import Level
from llmspell.artifacts.info import ArtifactInfo, info_of_new
from llmspell.artifacts.intake import Progress, Source, Taken, digest_of, in_memory, take
from llmspell.artifacts.kinds import ArtifactStored
from llmspell.artifacts.lookup import described
from llmspell.artifacts.mime import guess_mime
from llmspell.artifacts.quotas import Bound, check_size, largest_allowed
from llmspell.artifacts.rules import check_artifact_name, check_fields, check_mime, check_sources, check_type
from llmspell.errors import Conflict, Corrupt, InvalidInput, LlmspellError, StorageFailed
from llmspell.hooks.moment import run_point
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_metadata, check_tags, check_text
from llmspell.ports.content import COLLECTED
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.grants.reach import Reach
    from llmspell.artifacts.rules import Validator
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.offload import Offload
    from llmspell.ports.content import ContentStore

_SQL = queries("llmspell.artifacts")
_SMALL_BYTES = 16 << 10
"""Content up to this size is taken without asking first whether it is there: its unit asks anyway."""
Stored = tuple[ArtifactStored, int, int, int]
Within = Callable[["Writer", ArtifactStored, Callable[["Writer"], Awaitable[Stored]]], Awaitable[Stored]]
"""What surrounds the storing of a version in its unit: it looks first, has it stored, and writes what it has to say."""


@dataclass(slots=True)
class Request:
    """A put that was checked: all but its content."""

    name: str
    type: str
    mime_type: str
    description: str
    tags: list[str]
    metadata: dict[str, Any]
    derived_from: list[str]
    compression: Compression
    source: Source
    whole: bytes | None

    @property
    def can_begin_again(self) -> bool:
        """Whether the source gives the same when it is read once more."""
        return self.whole is not None or isinstance(self.source, Path)


@dataclass(slots=True)
class _Pending:
    """One of many puts, as far as it has come."""

    index: int
    item: Mapping[str, Any]
    request: Request | None = None
    taken: Taken | None = None
    new: ArtifactStored | None = None
    stored: Stored | None = None
    error: LlmspellError | None = None

    @property
    def name(self) -> str:
        """The name it was asked under."""
        given = self.item.get("name") if _is_mapping(self.item) else None
        return given if isinstance(given, str) else ""


class Putting:
    """Puts of one handle."""

    def __init__(
        self, journal: Journal, hooks: Hooks, content: ContentStore, offload: Offload,
        validators: dict[str, list[Validator]], reach: Reach,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._hooks = hooks
        self._armed = hooks.armed
        self._content = content
        self._offload = offload
        self._validators = validators
        self._reach = reach

    async def check(
        self,
        context: Context,
        session: bytes,
        name: str,
        data: Source,
        *,
        type: str = "data",
        mime_type: str | None = None,
        description: str = "",
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        derived_from: Iterable[str] = (),
        compression: Compression = "auto",
    ) -> Request:
        """What ``put`` was given, checked, and as the hooks before it want it."""
        fields: dict[str, Any] = {
            "name": check_artifact_name(name),
            "tags": check_tags(tags),
            "metadata": check_metadata({} if metadata is None else metadata),
        }
        kind = check_type(type)
        check_compression(compression)
        sources = check_sources(derived_from)
        text = check_text(description, "a description")
        whole = in_memory(data)
        if "before_artifact_put" in self._armed:
            size = len(whole) if whole is not None else None
            fields = await self.before(context, session, kind, size, fields)
        mime = (
            check_mime(mime_type) if mime_type is not None else guess_mime(fields["name"], text=isinstance(data, str))
        )
        return Request(
            fields["name"], kind, mime, text, fields["tags"], fields["metadata"], sources, compression, data, whole
        )

    async def put(
        self, context: Context, session: bytes, request: Request, progress: Progress | None,
        within: Within | None = None,
    ) -> ArtifactInfo:  # fmt: skip
        """Take the content and store the version. Raises Conflict (``content-collected``) for a stream."""
        for _ in range(limits.CONFLICT_RETRIES_MAX):
            try:
                stored = await self._attempt(context, session, request, progress, within)
                break
            except Conflict as exc:
                if exc.code != COLLECTED or not request.can_begin_again:
                    raise
        else:
            raise units.collected()
        info = info_of_new(*stored)
        if "after_artifact_put" in self._armed:
            await run_point(self._hooks, context, "after_artifact_put", "artifact", "put", described(info))
        return info

    async def _attempt(
        self, context: Context, session: bytes, request: Request, progress: Progress | None, within: Within | None
    ) -> Stored:
        taken = await self._take(session, request, progress)
        try:
            new = await self._checked(session, request, taken)

            async def unit(writer: Writer) -> Stored:
                return await units.store(writer, new, taken.blob, taken.still_whole)

            return await self._reach.write(
                unit if within is None else lambda writer: within(writer, new, unit),
                [(id_bytes(source), Level.READ) for source in new.derived_from],
                context,
            )
        finally:
            taken.release()

    async def before(
        self, context: Context, session: bytes, kind: str, size: int | None, fields: dict[str, Any]
    ) -> dict[str, Any]:
        """The fields as the hooks before a put want them. Raises Vetoed."""
        data = {"session_id": id_text(session), "type": kind, "size": size, "version": None, **fields}
        outcome = await run_point(self._hooks, context, "before_artifact_put", "artifact", "put", data)
        if outcome is None:
            return fields
        return {**fields, **check_fields({field: outcome.data[field] for field in ("name", "tags", "metadata")})}

    # -- many ----------------------------------------------------------------------------------------------------------

    async def put_many(
        self,
        context: Context,
        session: bytes,
        items: Sequence[Mapping[str, Any]],
        progress: Callable[[int, int], None] | None,
    ) -> list[BatchItem[ArtifactInfo]]:
        """What became of each; those whose content is there are named together, up to ``GROUP_ITEMS`` in a unit."""
        done: list[BatchItem[ArtifactInfo]] = []
        for start in range(0, len(items), GROUP_ITEMS):
            done += await self._put_group(context, session, start, items[start : start + GROUP_ITEMS])
            if progress is not None:
                progress(len(done), len(items))
        return done

    async def _put_group(
        self, context: Context, session: bytes, start: int, items: Sequence[Mapping[str, Any]]
    ) -> list[BatchItem[ArtifactInfo]]:
        group = [_Pending(index, item) for index, item in enumerate(items, start)]
        try:
            for one in group:
                try:
                    one.request = await self.check(context, session, **_arguments(one.item))
                    one.taken = await self._take(session, one.request, None)
                    one.new = await self._checked(session, one.request, one.taken)
                except Exception as exc:  # noqa: BLE001 - a source or a validator may raise anything; the others go on
                    one.error = _reason(one, exc)
            await self._store_group(context, [one for one in group if one.error is None])
        finally:
            for one in group:
                if one.taken is not None:
                    one.taken.release()
        return [await self._settled(context, session, one) for one in group]

    async def _store_group(self, context: Context, group: list[_Pending]) -> None:
        async def unit(writer: Writer) -> None:
            for one in group:
                if one.new is None or one.taken is None:
                    continue
                one.error = None
                try:
                    # It looks before it writes, so one that is refused has left nothing behind.
                    for source in one.new.derived_from:
                        await self._reach.demand(writer, id_bytes(source), Level.READ)
                    one.stored = await units.store(writer, one.new, one.taken.blob, one.taken.still_whole)
                except LlmspellError as exc:
                    one.error = exc

        if not group:
            return
        try:
            await self._journal.write(unit, context=context)
        except LlmspellError as exc:  # The disk, not one of them: then none is stored.
            for one in group:
                one.error = exc

    async def _settled(self, context: Context, session: bytes, one: _Pending) -> BatchItem[ArtifactInfo]:
        if one.error is not None:
            await self._reach.note_refusal(one.error)
        if one.error is None and one.stored is not None:
            info = info_of_new(*one.stored)
            if "after_artifact_put" in self._armed:
                await run_point(self._hooks, context, "after_artifact_put", "artifact", "put", described(info))
            return BatchItem(one.index, info.name, info)
        if one.error is not None and one.error.code == COLLECTED and one.request and one.request.can_begin_again:
            try:
                return BatchItem(one.index, one.name, await self.put(context, session, one.request, None))
            except Exception as exc:  # noqa: BLE001 - as the first time
                one.error = _reason(one, exc)
        return BatchItem(one.index, one.name, None, one.error)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _checked(self, session: bytes, request: Request, taken: Taken) -> ArtifactStored:
        """The payload of its entry, once a validator has seen the content."""
        new = ArtifactStored(
            id_text(self._journal.ids.new()), id_text(session), request.name, 0, request.type, request.mime_type,
            request.description, request.tags, request.metadata, request.derived_from, taken.size, taken.digest.hex(),
        )  # fmt: skip
        if request.type in self._validators:
            await self._validate(new, taken)
        return new

    async def _take(self, session: bytes, request: Request, progress: Progress | None) -> Taken:
        """The content, durable: small ones as they are, known ones not again, all others through the writer."""
        whole, compression = request.whole, request.compression
        # A later version is likely the one before with a change: transcripts grow, reports are edited.
        sharing = (whole is None or len(whole) > SHARING_BYTES_MIN) and await self._is_named(session, request.name)
        if whole is not None:
            digest, size = digest_of(whole), len(whole)
            small = size <= COMPRESS_BYTES_MIN and compression == "auto" and not sharing
            if small or (size > _SMALL_BYTES and await self._has(digest)):
                if progress is not None:
                    progress(size)
                return Taken(digest, size, Blob(digest, size, size, Codec.RAW, whole) if small else None)
        largest = await largest_allowed(self._journal.database, session)
        if whole is not None:
            check_size(len(whole), largest)
        source = request.source if whole is None else whole
        watched = progress if largest is None else _bounded(largest, progress)
        blob, writer = await take(source, self._content, self._offload, compression, watched, sharing=sharing)
        return Taken(blob.digest, blob.size, blob, writer.still_whole, writer.release)

    async def _is_named(self, session: bytes, name: str) -> bool:
        """Whether the name has a version."""
        return await self._journal.database.one(_SQL["is_named"], (session, name)) is not None

    async def _has(self, digest: bytes) -> bool:
        """Whether this content is in the store: then it need not be taken again."""
        return await self._journal.database.one(_SQL["blob_form"], (digest,)) is not None

    async def validate(self, new: ArtifactStored, blob: Blob | None, still_whole: Callable[[], bool]) -> None:
        """Have validators see a version whose content is durable; ``blob`` None: its row is in the store."""
        if new.type in self._validators:
            await self._validate(new, Taken(bytes.fromhex(new.digest), new.size, blob, still_whole))

    async def _validate(self, new: ArtifactStored, taken: Taken) -> None:
        blob = taken.blob
        if blob is None:
            row = await self._journal.database.one(_SQL["blob"], (taken.digest,))
            if row is None:
                raise units.collected()
            blob = Blob(taken.digest, *row)
        reader = ContentReader(self._content, blob)
        content: Callable[[], bytes] = reader.read_all
        for validator in self._validators[new.type]:
            try:
                data = content()
            except Corrupt:
                if taken.still_whole() and (taken.blob is not None or await self._has(taken.digest)):
                    raise
                raise units.collected() from None
            reason = validator({"name": new.name, "type": new.type, "mime_type": new.mime_type, "size": new.size}, data)
            if reason is not None:
                raise InvalidInput(
                    f"artifact {new.name!r} is not a valid {new.type}: {reason}", code="invalid-artifact"
                )


_PUT_FIELDS = frozenset(
    ("name", "data", "type", "mime_type", "description", "tags", "metadata", "derived_from", "compression")
)


def _arguments(item: Any) -> dict[str, Any]:
    """One item of ``put_many``: the arguments of a put in a mapping."""
    if not isinstance(item, Mapping) or not {"name", "data"} <= item.keys() <= _PUT_FIELDS:
        raise InvalidInput(
            f"an item of put_many has name, data and, if it likes, {', '.join(sorted(_PUT_FIELDS - {'name', 'data'}))}",
            code="invalid-item",
        )
    return dict(item)


def _reason(one: _Pending, exc: Exception) -> LlmspellError:
    """Why one of many puts failed, also where the caller's own code raised something of its own."""
    if isinstance(exc, LlmspellError):
        return exc
    told = f"{type(exc).__name__}: {exc}"
    reason: LlmspellError
    if one.taken is None:
        reason = StorageFailed(f"the content of {one.name!r} cannot be read: {told}", code="source-failed")
    else:
        reason = InvalidInput(f"what validates {one.name!r} failed: {told}", code="invalid-artifact")
    reason.__cause__ = exc
    return reason


def _is_mapping(item: object) -> bool:
    return isinstance(item, Mapping)


def _bounded(largest: Bound, progress: Progress | None) -> Progress:
    def advance(size: int) -> None:
        check_size(size, largest)
        if progress is not None:
            progress(size)

    return advance
