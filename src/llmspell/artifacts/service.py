"""Artifacts: named, versioned content of a session; deduplicated, compressed when it pays, checked whenever it is read.

A put makes the content durable first and then names it in one unit with the next version's number, so that a crash in
between leaves nothing but unreferenced chunks, and versions are contiguous whoever writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from llmspell.artifacts import units
from llmspell.artifacts.batch import BatchItem, BatchReport
from llmspell.artifacts.blob import Blob
from llmspell.artifacts.bundles.face import Bundling
from llmspell.artifacts.compression import Compression
from llmspell.artifacts.content_handle import AsyncContent
from llmspell.artifacts.content_reader import ContentReader
from llmspell.artifacts.deleting import Deleting
from llmspell.artifacts.finding.face import Querying
from llmspell.artifacts.grants.face import Granting
from llmspell.artifacts.grants.kinds import Level
from llmspell.artifacts.grants.reach import Note, Reach, unnoted
from llmspell.artifacts.info import ArtifactInfo, info_of, info_of_new
from llmspell.artifacts.intake import Progress, Source
from llmspell.artifacts.kinds import ArtifactStored
from llmspell.artifacts.lookup import BRIEF, OPEN, Lookup, check_some_version, described
from llmspell.artifacts.putting import Putting
from llmspell.artifacts.quotas import ArtifactQuota, check_bounds, read_quota, set_quota
from llmspell.artifacts.relations.face import Relating
from llmspell.artifacts.revising import Revising
from llmspell.artifacts.rules import check_fields, check_type
from llmspell.artifacts.selection import Selection
from llmspell.artifacts.version_names import check_version_label
from llmspell.errors import Corrupt, InvalidInput, LlmspellError
from llmspell.hooks.moment import run_point
from llmspell.model.arguments import check_flags, check_function, check_many
from llmspell.model.ids import id_bytes, id_text
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


class AsyncArtifacts(Querying, Relating, Granting, Bundling, Revising):
    """The artifacts of a session (``session.artifacts``), or of all (``store.artifacts``), where names need a
    session.
    """

    def __init__(
        self, journal: Journal, hooks: Hooks, acting: Acting, content: ContentStore, offload: Offload,
        validators: dict[str, list[Validator]], note: Note = unnoted,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._hooks = hooks
        self._armed = hooks.armed
        self._acting = acting
        self._content = content
        self._offload = offload
        self._validators = validators
        reach = Reach(journal, acting, note)
        self._lookup = Lookup(journal, acting, reach)
        self._putting = Putting(journal, hooks, content, offload, validators, reach)
        self._deleting = Deleting(journal, hooks, self._lookup, content)

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
        session), Vetoed, StorageFailed (``disk-full``; ``source-failed``, also for a Path that is no plain file).
        """
        check_function(progress)
        context = self._acting.context()
        session = self._lookup.session(context)
        request = await self._putting.check(
            context, session, name, data, type=type, mime_type=mime_type, description=description, tags=tags,
            metadata=metadata, derived_from=derived_from, compression=compression,
        )  # fmt: skip
        return await self._putting.put(context, session, request, progress)

    async def put_many(
        self, items: Sequence[Mapping[str, Any]], *, progress: Callable[[int, int], None] | None = None
    ) -> BatchReport[ArtifactInfo]:
        """Store many artifacts and say of each what became of it; one that fails keeps no other from being stored.

        Each item is a mapping of ``name``, ``data`` and whatever else ``put`` takes. Those whose content is in memory
        are named in few units, so a batch costs far less than its puts. ``progress`` is told how many of how many are
        done. Raises only what is wrong with all of them (``no-session``); what a source or a validator of the caller's
        raises is the failure of its item (``source-failed``, ``invalid-artifact``).
        """
        context = self._acting.context()
        check_function(progress)
        session = self._lookup.session(context)
        many = check_many(items, "items")
        return BatchReport(await self._putting.put_many(context, session, many, progress))

    async def update(
        self, name_or_id: str, *, version: int | str | None = None, description: str | None = None,
        tags: Iterable[str] | None = None, metadata: Mapping[str, Any] | None = None, mime_type: str | None = None,
    ) -> ArtifactInfo:  # fmt: skip
        """Give descriptive fields of one version (the latest by default) new values; ``history`` has the old ones.
        When it has all of them already nothing is written.
        """
        given: dict[str, Any] = {
            "description": description, "tags": tags, "metadata": metadata, "mime_type": mime_type,
        }  # fmt: skip
        changed = check_fields({field: value for field, value in given.items() if value is not None})
        if not changed:
            raise InvalidInput("nothing to update: give description, tags, metadata or mime_type", code="nothing-to-do")
        context = self._acting.context()
        info = await self.info(name_or_id, version=version)
        if "before_artifact_update" in self._armed:
            data = {**described(info), **changed}
            outcome = await run_point(self._hooks, context, "before_artifact_update", "artifact", "update", data)
            if outcome is not None:
                changed |= check_fields({field: outcome.data[field] for field in outcome.changed})
        artifact = id_bytes(info.id)
        needs = ((artifact, Level.WRITE),)
        written = await self._lookup.reach.write(lambda writer: units.update(writer, artifact, changed), needs, context)
        info = await self._lookup.by_id(artifact)
        if written:
            await self._after(context, "update", info)
        return info

    async def delete(self, name_or_id: str, *, version: int | str | None = None, hard: bool = False) -> int:
        """Delete one version (given by id, or by name and version), or every version of a name. Returns how many.

        A deleted version's number is not given again; ``undelete`` brings it back. With ``hard`` it is deleted for
        good, also one that was deleted before: its content is given out no more, and goes with the next ``collect``
        unless another artifact has it, too. Raises NotFound when there is none, Vetoed.
        """
        return await self._deleting.delete(self._acting.context(), name_or_id, version, hard=hard)

    async def delete_matching(
        self,
        *,
        session: str | None = None,
        name: str | None = None,
        type: str | None = None,
        tags: Iterable[str] = (),
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        updated_after: datetime | str | None = None,
        updated_before: datetime | str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        digest: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        text: str | None = None,
        deleted: bool = False,
        hard: bool = False,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Delete every version that fits all conditions: in this session, or through ``store.artifacts`` in all of them
        or in ``session``. Returns how many; with ``dry_run`` how many would go, and nothing does.

        Conditions mean what they mean to ``query``. ``deleted`` means those that are deleted already, which ``hard``
        deletes for good. All hooks run before anything is deleted; then units of 500 versions are committed one after
        the other. Raises InvalidInput (``nothing-selected`` without any condition), Vetoed.
        """
        check_flags(deleted=deleted, hard=hard, dry_run=dry_run)
        if deleted and not hard:
            raise InvalidInput("what is deleted can only be deleted for good: hard=True", code="invalid-selection")
        where = await self._where(
            session, name=name, type=type, tags=tags, created_after=created_after, created_before=created_before,
            updated_after=updated_after, updated_before=updated_before, min_size=min_size, max_size=max_size,
            digest=digest, metadata={} if metadata is None else metadata, text=text, deleted=deleted,
        )  # fmt: skip
        if dry_run:
            return len(await where.check().infos(self._journal.database))
        context = self._acting.context()
        return await self._deleting.delete_matching(context, where.check(), hard=hard, progress=progress)

    async def undelete(self, name_or_id: str, *, version: int | None = None) -> int:
        """Bring back one deleted version (by id, or by name and number), or all of a name. Returns how many.

        They have their numbers and fields again, and the labels that mean no other version since. Raises NotFound
        (``artifact-erased`` for one that was deleted for good), Conflict (``artifact-not-deleted``,
        ``session-archived``), LimitExceeded, Vetoed.
        """
        return await self._deleting.undelete(self._acting.context(), name_or_id, version)

    async def set_quota(
        self,
        *,
        artifact_bytes_max: int | None = None,
        total_bytes_max: int | None = None,
        versions_max: int | None = None,
    ) -> ArtifactQuota:
        """Bound what this session may hold from now on, or through ``store.artifacts`` the whole store: bytes of one
        version, bytes of all that are not deleted, and their number. None is no bound. What is there stays.

        Puts and undeletes that pass a bound raise LimitExceeded: ``artifact-too-large``, ``session-quota-exceeded``,
        ``store-quota-exceeded``.
        """
        bounds = check_bounds(
            artifact_bytes_max=artifact_bytes_max, total_bytes_max=total_bytes_max, versions_max=versions_max
        )
        session = self._lookup.own_session
        await self._journal.write(lambda writer: set_quota(writer, session, bounds), context=self._acting.context())
        return await self.quota()

    async def quota(self) -> ArtifactQuota:
        """The bounds of this session, or of the store, and what is used of them."""
        session = self._lookup.own_session
        return await self._journal.database.read(lambda view: read_quota(view, session))

    async def tag_version(self, name: str, version: int, label: str) -> ArtifactInfo:
        """Let ``label`` (``v1``, ``approved``) mean this version of ``name``; before, it may have meant another. Raises
        InvalidInput (``invalid-label`` for a number, ``latest``, or a range like ``^1``), NotFound.
        """
        check_some_version(version)
        label = check_version_label(label)
        info = await self.info(name, version=version)
        artifact = id_bytes(info.id)
        await self._journal.write(lambda writer: units.tag(writer, artifact, label), context=self._acting.context())
        return info

    async def restore_version(self, name: str, version: int | str) -> ArtifactInfo:
        """Store an older version's content and fields again as the newest one; its metadata is the old one's."""
        check_some_version(version)
        old = await self.info(name, version=version)
        context = self._acting.context()
        fields: dict[str, Any] = {"name": old.name, "tags": old.tags, "metadata": old.metadata}
        if "before_artifact_put" in self._armed:
            fields = await self._putting.before(context, id_bytes(old.session), old.type, old.size, fields)
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
        row = await self._lookup.row(name_or_id, version)
        info = info_of(row)
        if "before_artifact_get" in self._armed:
            context = self._acting.context()
            await run_point(self._hooks, context, "before_artifact_get", "artifact", "get", described(info))
        content = self._open(info, row)
        if "after_artifact_get" in self._armed:
            await self._after(self._acting.context(), "get", info)
        return content

    async def info(self, name_or_id: str, *, version: int | str | None = None) -> ArtifactInfo:
        """What ``get`` would open, without opening it."""
        return await self._lookup.info(name_or_id, version)

    async def get_many(
        self, names_or_ids: Sequence[str], *, progress: Callable[[int, int], None] | None = None
    ) -> BatchReport[AsyncContent]:
        """Many artifacts at once, each with its content or with what kept it from being had. Content is read when it is
        asked for, as ``get`` gives it.
        """
        check_function(progress)
        many = check_many(names_or_ids, "names or ids")
        items: list[BatchItem[AsyncContent]] = []
        for index, one in enumerate(many):
            try:
                items.append(BatchItem(index, one, await self.get(one)))
            except LlmspellError as exc:
                items.append(BatchItem(index, str(one), None, exc))
            if progress is not None:
                progress(len(items), len(many))
        return BatchReport(items)

    async def deleted(self, *, session: str | None = None, name: str | None = None) -> list[ArtifactInfo]:
        """Versions that are deleted and can be undeleted or deleted for good, in the order of their ids: of this
        session, or through ``store.artifacts`` of all sessions, also those that are deleted themselves. ``name`` is a
        pattern.
        """
        where = (await self._where(session, name="*" if name is None else name, deleted=True)).check()
        found = await where.infos(self._journal.database)
        return [*found, *(info for info in await self._lookup.all_dropped() if where.fits(info))]

    async def versions(self, name: str) -> list[ArtifactInfo]:
        """All versions of a name that are not deleted, oldest first. Raises NotFound when there is none."""
        return await self._lookup.of_name(name)

    async def labels(self, name: str) -> dict[str, int]:
        """Labels of a name and the versions they mean."""
        return await self._lookup.labels(name)

    async def list(
        self, *, all_versions: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[ArtifactInfo]:
        """Artifacts of the session by name: the latest version of each, or every version. Items have the ``id`` that
        ``get`` and ``delete`` take.
        """
        check_flags(all_versions=all_versions)
        session = self._lookup.session(self._acting.context())
        check_limit(limit)
        after: tuple[str, int] = ("", 0)
        if cursor is not None:
            _, name, version = read_cursor(cursor, "artifacts", 3)
            after = cursor_text(name), cursor_seq(version)
        levels = await self._lookup.levels(session)
        if levels is not None:
            found = await self._lookup.page_of_fork(levels, after, limit + 1, all_versions=all_versions)
            return _page(found, limit)
        newest = (
            ""
            if all_versions
            else " AND NOT EXISTS (SELECT 1 FROM artifact l WHERE l.session = a.session AND l.name = a.name"
            " AND l.version > a.version AND l.until_seq IS NULL)"
        )
        beyond = f"a.session = ? AND (a.name, a.version) > (?, ?) AND {OPEN}"
        where = f"WHERE {beyond}{newest} ORDER BY a.name, a.version LIMIT ?"
        rows = await self._journal.database.read(
            lambda view: view.all(f"{BRIEF} {where}", (session, *after, limit + 1))
        )
        return _page(rows, limit)

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def inside(self) -> tuple[Lookup, Putting]:
        """For the captures of the same handle."""
        return self._lookup, self._putting

    async def _where(self, session: str | None, **conditions: Any) -> Selection:
        own = self._lookup.own_session
        asked = None if session is None else id_bytes(session, "session")
        if own is not None and asked not in {None, own}:
            raise InvalidInput("this handle is of another session: use store.artifacts", code="invalid-selection")
        fork = None if own is None or conditions["deleted"] else await self._lookup.levels(own)
        return Selection(own or asked, **conditions, fork=fork)

    def _open(self, info: ArtifactInfo, row: Row) -> AsyncContent:
        stored_size, codec, inline, count, ids, list_digest, size = row[14:21]
        if size is None or size != info.size:
            raise Corrupt(
                f"artifact {info.name!r} v{info.version} names content {info.digest}, which the store does not have",
                artifact=info.id, digest=info.digest,
            )  # fmt: skip
        blob = Blob(bytes.fromhex(info.digest), size, stored_size, codec, inline, ids, list_digest, count)
        gone = partial(self._lookup.erased, row[0])
        return AsyncContent(info, ContentReader(self._content, blob), self._offload, gone, inline=inline is not None)

    async def _after(self, context: Context, verb: str, info: ArtifactInfo) -> None:
        if f"after_artifact_{verb}" in self._armed:
            await run_point(self._hooks, context, f"after_artifact_{verb}", "artifact", verb, described(info))


def _page(rows: Sequence[Row], limit: int) -> Page[ArtifactInfo]:
    items = [info_of(row) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(items, write_cursor("artifacts", items[-1].name, items[-1].version) if more else None)
