"""Artifacts: named, versioned content of a session; deduplicated, compressed when it pays, checked whenever it is read.

A put makes the content durable first and then names it in one unit with the next version's number, so that a crash in
between leaves nothing but unreferenced chunks, and versions are contiguous whoever writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llmspell.artifacts import units
from llmspell.artifacts.blob import Blob
from llmspell.artifacts.compression import COMPRESS_BYTES_MIN, Codec, Compression, check_compression
from llmspell.artifacts.content_handle import AsyncContent
from llmspell.artifacts.content_reader import ContentReader
from llmspell.artifacts.diff import ArtifactDiff, diff_contents
from llmspell.artifacts.info import ArtifactInfo, info_of, info_of_new
from llmspell.artifacts.intake import Progress, Source, Taken, digest_of, in_memory, take
from llmspell.artifacts.kinds import ArtifactStored
from llmspell.artifacts.mime import guess_mime
from llmspell.artifacts.rules import check_artifact_name, check_fields, check_mime, check_sources, check_type, is_id
from llmspell.artifacts.rules import check_version_number as check_number
from llmspell.errors import Corrupt, InvalidInput, NotFound
from llmspell.hooks.moment import run_point
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.page import Page, check_limit, cursor_seq, cursor_text, read_cursor, write_cursor
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.artifacts.rules import Validator
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.model.context import Context
    from llmspell.offload import Offload
    from llmspell.ports.content import ContentStore
    from llmspell.ports.database import Row

_SQL = queries("llmspell.artifacts")
_INFO, _BRIEF = _SQL["info"], _SQL["brief"]
_OPEN = "a.until_seq IS NULL"
_SMALL_BYTES = 16 << 10
"""Content up to this size is taken without asking first whether it is there: its unit asks anyway."""


class AsyncArtifacts:
    """The artifacts of a session (``session.artifacts``), or of all (``store.artifacts``), where names need a
    session.
    """

    def __init__(
        self, journal: Journal, hooks: Hooks, acting: Acting, content: ContentStore, offload: Offload,
        validators: dict[str, list[Validator]],
    ) -> None:  # fmt: skip
        self._journal = journal
        self._hooks = hooks
        self._armed = hooks.armed
        self._acting = acting
        self._content = content
        self._offload = offload
        self._validators = validators

    # -- writing -------------------------------------------------------------------------------------------------------

    async def put(
        self,
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
        progress: Progress | None = None,
    ) -> ArtifactInfo:
        """Store content as the next version of ``name`` in the session and return its info.

        ``data`` is bytes, str (kept as UTF-8), a Path, a binary file, or an iterable or async iterable of bytes, of any
        size in constant memory. ``type`` is one of ``TYPES`` or a text of your own; ``mime_type`` is guessed from the
        name; ``derived_from`` are ids of artifacts. ``progress`` is told the bytes taken so far. Writes one
        ``artifact.stored`` entry. Raises InvalidInput, NotFound (session, file, derived_from), Conflict (archived
        session), Vetoed, StorageFailed (``disk-full``).
        """
        context = self._acting.context()
        session = self._session(context)
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
            fields = await self._before_put(context, session, kind, size, fields)
        mime = (
            check_mime(mime_type) if mime_type is not None else guess_mime(fields["name"], text=isinstance(data, str))
        )
        taken = await self._take(data, whole, compression, progress)
        digest, blob = taken.digest, taken.blob
        new = ArtifactStored(
            id_text(self._journal.ids.new()), id_text(session), fields["name"], 0, kind, mime, text, fields["tags"],
            fields["metadata"], sources, taken.size, digest.hex(),
        )  # fmt: skip
        if kind in self._validators:
            await self._validate(new, blob, digest)
        stored = await self._journal.write(lambda w: units.store(w, new, blob, taken.still_whole), context=context)
        info = info_of_new(*stored)
        if "after_artifact_put" in self._armed:
            await self._after(context, "put", info)
        return info

    async def update(
        self,
        name_or_id: str,
        *,
        version: int | str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ArtifactInfo:
        """Give descriptive fields of one version (the latest by default) new values; the journal keeps the old ones."""
        given: dict[str, Any] = {"description": description, "tags": tags, "metadata": metadata}
        changed = check_fields({field: value for field, value in given.items() if value is not None})
        if not changed:
            raise InvalidInput("nothing to update: give description, tags or metadata", code="nothing-to-do")
        context = self._acting.context()
        info = await self.info(name_or_id, version=version)
        if "before_artifact_update" in self._armed:
            data = {**self._data(info), **changed}
            outcome = await run_point(self._hooks, context, "before_artifact_update", "artifact", "update", data)
            if outcome is not None:
                changed |= check_fields({field: outcome.data[field] for field in outcome.changed})
        artifact = id_bytes(info.id)
        await self._journal.write(lambda writer: units.update(writer, artifact, changed), context=context)
        info = await self._info_by_id(artifact)
        await self._after(context, "update", info)
        return info

    async def delete(self, name_or_id: str, *, version: int | str | None = None) -> int:
        """Delete one version (given by id, or by name and version), or every version of a name. Returns how many.

        A deleted version's number is not given again, and its content stays until nothing refers to it and it is
        collected. Raises NotFound when there is none, Vetoed.
        """
        context = self._acting.context()
        if version is None and not is_id(name_or_id):
            session = self._session(context)
            name = check_artifact_name(name_or_id)
            rows = await self._journal.database.read(lambda view: view.all(_SQL["of_name"], (session, name)))
            infos = [await self._info_by_id(row[0]) for row in rows]
            if not infos:
                raise self._missing(name_or_id, None)
        else:
            infos = [await self.info(name_or_id, version=version)]
        if "before_artifact_delete" in self._armed:
            for info in infos:
                await run_point(self._hooks, context, "before_artifact_delete", "artifact", "delete", self._data(info))
        ids = [id_bytes(info.id) for info in infos]
        count = await self._journal.write(lambda writer: units.delete(writer, ids), context=context)
        for info in infos:
            await self._after(context, "delete", info)
        return count

    async def tag_version(self, name: str, version: int, label: str) -> ArtifactInfo:
        """Let ``label`` (``v1``, ``approved``) mean this version of ``name``; before, it may have meant another."""
        label = check_label(label, "a label")
        if label == "latest" or label.isdigit():
            raise InvalidInput(
                f"{label!r} already means a version: a label is neither a number nor 'latest'", code="invalid-label"
            )
        info = await self.info(name, version=version)
        artifact = id_bytes(info.id)
        await self._journal.write(lambda writer: units.tag(writer, artifact, label), context=self._acting.context())
        return info

    async def restore_version(self, name: str, version: int | str) -> ArtifactInfo:
        """Store an older version's content and fields again as the newest one; its metadata is the old one's."""
        old = await self.info(name, version=version)
        context = self._acting.context()
        fields: dict[str, Any] = {"name": old.name, "tags": old.tags, "metadata": old.metadata}
        if "before_artifact_put" in self._armed:
            fields = await self._before_put(context, id_bytes(old.session), old.type, old.size, fields)
        new = ArtifactStored(
            id_text(self._journal.ids.new()), old.session, fields["name"], 0, old.type, old.mime_type, old.description,
            fields["tags"], fields["metadata"], list(dict.fromkeys((*old.derived_from, old.id))), old.size, old.digest,
        )  # fmt: skip
        # What the old version was made from may be deleted by now; that it was made from it stays true.
        stored = await self._journal.write(
            lambda writer: units.store(writer, new, None, lambda: True, required=(old.id,)), context=context
        )
        info = info_of_new(*stored)
        await self._after(context, "put", info)
        return info

    def add_validator(self, type: str, validator: Validator) -> None:
        """Have every put of ``type`` through this handle checked: ``validator(info, content)`` returns None to accept,
        or says why not, and then the put is InvalidInput (``invalid-artifact``) and stores nothing that is seen.
        """
        if not callable(validator):
            raise InvalidInput(
                "a validator is a function of the artifact's fields and its bytes", code="invalid-validator"
            )
        self._validators.setdefault(check_type(type), []).append(validator)

    # -- reading -------------------------------------------------------------------------------------------------------

    async def get(self, name_or_id: str, *, version: int | str | None = None) -> AsyncContent:
        """An artifact with its content: by id, or by name in the session, the latest version unless ``version`` says
        another (a number, ``latest``, or a label). Raises NotFound, Vetoed; reading raises Corrupt for damaged content.
        """
        row = await self._row(name_or_id, version)
        info = info_of(row)
        if "before_artifact_get" in self._armed:
            context = self._acting.context()
            await run_point(self._hooks, context, "before_artifact_get", "artifact", "get", self._data(info))
        content = self._open(info, row)
        if "after_artifact_get" in self._armed:
            await self._after(self._acting.context(), "get", info)
        return content

    async def info(self, name_or_id: str, *, version: int | str | None = None) -> ArtifactInfo:
        """What ``get`` would open, without opening it."""
        return info_of(await self._row(name_or_id, version))

    async def versions(self, name: str) -> list[ArtifactInfo]:
        """All versions of a name that are not deleted, oldest first. Raises NotFound when there is none."""
        session, name = self._session(self._acting.context()), check_artifact_name(name)
        where = f"WHERE a.session = ? AND a.name = ? AND {_OPEN} ORDER BY a.version"
        rows = await self._journal.database.read(lambda view: view.all(f"{_BRIEF} {where}", (session, name)))
        if not rows:
            raise self._missing(name, None)
        return [info_of(row) for row in rows]

    async def labels(self, name: str) -> dict[str, int]:
        """Labels of a name and the versions they mean."""
        session, name = self._session(self._acting.context()), check_artifact_name(name)
        rows = await self._journal.database.read(lambda view: view.all(_SQL["labels"], (session, name)))
        return {label: version for version, label in rows}

    async def list(
        self, *, all_versions: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[ArtifactInfo]:
        """Artifacts of the session by name: the latest version of each, or every version. Items have the ``id`` that
        ``get`` and ``delete`` take.
        """
        session = self._session(self._acting.context())
        check_limit(limit)
        after: tuple[str, int] = ("", 0)
        if cursor is not None:
            _, name, version = read_cursor(cursor, "artifacts", 3)
            after = cursor_text(name), cursor_seq(version)
        newest = (
            ""
            if all_versions
            else " AND NOT EXISTS (SELECT 1 FROM artifact l WHERE l.session = a.session AND l.name = a.name"
            " AND l.version > a.version AND l.until_seq IS NULL)"
        )
        beyond = f"a.session = ? AND (a.name, a.version) > (?, ?) AND {_OPEN}"
        where = f"WHERE {beyond}{newest} ORDER BY a.name, a.version LIMIT ?"
        rows = await self._journal.database.read(
            lambda view: view.all(f"{_BRIEF} {where}", (session, *after, limit + 1))
        )
        items = [info_of(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(items, write_cursor("artifacts", items[-1].name, items[-1].version) if more else None)

    async def diff(self, name: str, old: int | str, new: int | str | None = None) -> ArtifactDiff:
        """What differs between two versions of a name (``new`` None: the latest): lines, JSON paths, or bytes."""
        was, now = await self.get(name, version=old), await self.get(name, version=new)
        return diff_contents(was.info, now.info, await was.read(), await now.read())

    # -- inside --------------------------------------------------------------------------------------------------------

    def _session(self, context: Context) -> bytes:
        if self._acting.session is not None:
            return self._acting.session.id
        if context.session is None:
            raise InvalidInput(
                "artifacts belong to a session, and there is no current one",
                code="no-session",
                hint="use session.artifacts",
            )
        return context.session

    async def _row(self, name_or_id: str, version: int | str | None) -> Row:
        if is_id(name_or_id):
            if version is not None:
                raise InvalidInput("an artifact's id already names a version", code="invalid-version")
            row = await self._journal.database.one(f"{_INFO} WHERE a.id = ? AND {_OPEN}", (id_bytes(name_or_id),))
        else:
            name = check_artifact_name(name_or_id)
            session = self._session(self._acting.context())
            number = await self._number(session, name, version)
            exact = "" if number is None else " AND a.version = ?"
            sql = f"{_INFO} WHERE a.session = ? AND a.name = ?{exact} AND {_OPEN} ORDER BY a.version DESC LIMIT 1"
            row = await self._journal.database.one(sql, (session, name) if number is None else (session, name, number))
        if row is None:
            raise self._missing(name_or_id, version)
        return row

    async def _number(self, session: bytes, name: str, version: int | str | None) -> int | None:
        if version is None or version == "latest":
            return None
        if isinstance(version, str):
            version = check_label(version, "a label")
            row = await self._journal.database.one(_SQL["label"], (session, name, version))
            if row is None:
                raise self._missing(name, version)
            return row[0]  # type: ignore[no-any-return]
        return check_number(version)

    async def _take(
        self, data: Source, whole: bytes | None, compression: Compression, progress: Progress | None
    ) -> Taken:
        """The content, durable: small ones as they are, known ones not again, all others through the writer."""
        if whole is not None:
            digest, size = digest_of(whole), len(whole)
            small = size <= COMPRESS_BYTES_MIN and compression == "auto"
            if small or (size > _SMALL_BYTES and await self._has(digest)):
                if progress is not None:
                    progress(size)
                return Taken(digest, size, Blob(digest, size, size, Codec.RAW, whole) if small else None)
        source = data if whole is None else whole
        blob, writer = await take(source, self._content, self._offload, compression, progress)
        return Taken(blob.digest, blob.size, blob, writer.still_whole)

    async def _has(self, digest: bytes) -> bool:
        """Whether this content is in the store: then it need not be taken again."""
        return await self._journal.database.one(_SQL["blob_form"], (digest,)) is not None

    async def _info_by_id(self, artifact: bytes) -> ArtifactInfo:
        row = await self._journal.database.one(f"{_BRIEF} WHERE a.id = ? AND {_OPEN}", (artifact,))
        if row is None:
            raise self._missing(id_text(artifact), None)
        return info_of(row)

    def _open(self, info: ArtifactInfo, row: Row) -> AsyncContent:
        stored_size, codec, inline, count, ids, list_digest, size = row[14:21]
        if size is None or size != info.size:
            raise Corrupt(
                f"artifact {info.name!r} v{info.version} names content {info.digest}, which the store does not have",
                artifact=info.id, digest=info.digest,
            )  # fmt: skip
        blob = Blob(bytes.fromhex(info.digest), size, stored_size, codec, inline, ids, list_digest, count)
        return AsyncContent(info, ContentReader(self._content, blob), self._offload, inline=inline is not None)

    async def _validate(self, new: ArtifactStored, blob: Blob | None, digest: bytes) -> None:
        if blob is None:
            row = await self._journal.database.one(_SQL["blob"], (digest,))
            if row is None:
                raise Corrupt(f"content {digest.hex()} was there a moment ago and is gone", digest=digest.hex())
            blob = Blob(digest, *row)
        reader = ContentReader(self._content, blob)
        content: Callable[[], bytes] = reader.read_all
        for validator in self._validators[new.type]:
            reason = validator(
                {"name": new.name, "type": new.type, "mime_type": new.mime_type, "size": new.size}, content()
            )
            if reason is not None:
                raise InvalidInput(
                    f"artifact {new.name!r} is not a valid {new.type}: {reason}", code="invalid-artifact"
                )

    async def _before_put(
        self, context: Context, session: bytes, kind: str, size: int | None, fields: dict[str, Any]
    ) -> dict[str, Any]:
        data = {"session_id": id_text(session), "type": kind, "size": size, "version": None, **fields}
        outcome = await run_point(self._hooks, context, "before_artifact_put", "artifact", "put", data)
        if outcome is None:
            return fields
        return {**fields, **check_fields({field: outcome.data[field] for field in ("name", "tags", "metadata")})}

    async def _after(self, context: Context, verb: str, info: ArtifactInfo) -> None:
        if f"after_artifact_{verb}" in self._armed:
            await run_point(self._hooks, context, f"after_artifact_{verb}", "artifact", verb, self._data(info))

    def _data(self, info: ArtifactInfo) -> dict[str, Any]:
        return {
            "id": info.id, "session_id": info.session, "name": info.name, "type": info.type, "size": info.size,
            "tags": info.tags, "metadata": info.metadata, "version": info.version,
        }  # fmt: skip

    def _missing(self, name_or_id: str, version: int | str | None) -> NotFound:
        which = f"{name_or_id!r}" if version is None else f"{name_or_id!r} version {version!r}"
        return NotFound(
            f"there is no artifact {which}", code="artifact-not-found", hint="`llmspell artifact list` shows all"
        )
