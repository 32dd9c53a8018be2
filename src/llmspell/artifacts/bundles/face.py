"""What a handle of artifacts offers about bundles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.artifacts.blob import Blob
from llmspell.artifacts.bundles.exporting import BundleFile, ExportReport, bundled, check_format
from llmspell.artifacts.bundles.importing import ImportReport, OpenBundle, check_on_conflict
from llmspell.artifacts.bundles.layout import Bundled, too_many
from llmspell.artifacts.bundles.units import Arrived, Arriving, Staged, foresee, name_all
from llmspell.artifacts.finding.pages import find_page
from llmspell.artifacts.finding.wanted import Conditions, Wanted
from llmspell.artifacts.info import ArtifactInfo
from llmspell.artifacts.inherited import visible
from llmspell.artifacts.kinds import ArtifactStored
from llmspell.artifacts.lookup import described
from llmspell.artifacts.quotas import check_size, largest_allowed
from llmspell.artifacts.units import collected
from llmspell.errors import Conflict, Corrupt, InvalidInput, NotFound
from llmspell.hooks.moment import run_point
from llmspell.journal.asking import Asking, driven
from llmspell.model import limits
from llmspell.model.arguments import check_flags, check_function, check_many, check_path
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_tags
from llmspell.ports.content import COLLECTED
from llmspell.schema import queries
from llmspell.security.key_files import check_output

if TYPE_CHECKING:
    from llmspell.artifacts.lookup import Lookup
    from llmspell.artifacts.putting import Putting
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.journal.lineage import Level
    from llmspell.model.context import Context
    from llmspell.offload import Offload
    from llmspell.ports.content import ContentStore
    from llmspell.ports.database import Reading, Row

_SQL, _ROOM = queries("llmspell.artifacts.bundles"), queries("llmspell.artifacts")
_PAGE = 1000
_CONTENTS = 64
BundleProgress = Callable[[int, int], None]


class Bundling:
    """The part of ``AsyncArtifacts`` about bundles."""

    _journal: Journal
    _hooks: Hooks
    _armed: Any
    _acting: Acting
    _lookup: Lookup
    _putting: Putting
    _content: ContentStore
    _offload: Offload
    _wanted: Callable[[Conditions], Awaitable[Wanted]]  # That of ``Querying``.

    async def export(
        self,
        path: str | Path,
        *,
        ids: Sequence[str] | None = None,
        session: str | Iterable[str] | None = None,
        type: str | None = None,
        name: str | None = None,
        tags: Iterable[str] = (),
        text: str | None = None,
        format: str = "zip",
        overwrite: bool = False,
        progress: BundleProgress | None = None,
    ) -> ExportReport:
        """Write artifacts into one file, as ``zip`` or ``json``: those with these ids (names, in a session), or all
        versions that fit the conditions, as ``query`` takes them; without any, all of the session, through
        ``store.artifacts`` all there are.

        With their fields, labels and relations among each other; each content once, with its digest. The file has its
        name only when it is whole and on disk. ``progress`` is told how many bytes of content of how many are done.
        Memory does not grow with content. Raises NotFound, AlreadyExists (``file-exists``, unless ``overwrite``),
        LimitExceeded (``bundle-too-large``), InvalidInput (``path-in-store``, ``path-of-key``), Vetoed (hooks
        before reading), StorageFailed (``cannot-write``), Corrupt.
        """
        check_format(format)
        check_flags(overwrite=overwrite)
        check_function(progress)
        target = check_output(path)
        infos = await self._meant(ids, Conditions(session, type, name, check_tags(tags), text=text))
        context = self._acting.context()
        if "before_artifact_get" in self._armed:
            for info in infos:
                await run_point(self._hooks, context, "before_artifact_get", "artifact", "get", described(info))
        infos.sort(key=lambda info: (info.session, info.name, info.version))
        own = self._lookup.own_session
        lineage = None if own is None else await self._lookup.levels(own)
        found = await self._journal.database.read(lambda view: bundled(view, infos, lineage))
        row = await self._journal.database.one("SELECT value FROM meta WHERE name = 'store_id'")
        file = await self._offload.run(
            BundleFile, target, format, "" if row is None else str(row[0]), self._journal.clock.now_ns(), found,
            overwrite=overwrite,
        )  # fmt: skip
        try:
            digests = list(file.sizes)
            for start in range(0, len(digests), _CONTENTS):
                some = await self._blobs(digests[start : start + _CONTENTS])
                await self._offload.run(file.add, some, self._content, progress)
            report = await self._offload.run(file.finish)
        finally:
            file.give_up()
        if "after_artifact_get" in self._armed:
            for info in infos:
                await run_point(self._hooks, context, "after_artifact_get", "artifact", "get", described(info))
        return report

    async def import_(
        self,
        path: str | Path,
        *,
        session: str | None = None,
        on_conflict: str = "fail",
        dry_run: bool = False,
        progress: BundleProgress | None = None,
    ) -> ImportReport:
        """Take in a bundle that ``export`` wrote, from this store or another: all of it, or nothing.

        Everything goes to this session, or through ``store.artifacts`` to ``session`` (an id), or to the sessions that
        it came from if they are here. Each version gets a new id, and its old number where the name is new. A name that
        is there makes it ``fail``, or is left out (``skip``), gets another name (``rename``), or makes room
        (``replace``: its versions are deleted, and those of the bundle come after them).

        Every field and digest is checked, and content is durable before anything is named. Hooks before puts and
        validators see each version once. When a collect takes a content meanwhile, the import begins again, eight times
        at most; then it is ``content-collected`` and stores nothing. Memory does not grow with content. ``dry_run``
        checks as much, says what would be done with each name, and does nothing; hooks, validators and quotas are not
        asked. Raises InvalidInput (``invalid-bundle``, ``bundle-format``), LimitExceeded (``bundle-too-large``,
        quotas), AlreadyExists (``artifact-exists``), NotFound (``file-not-found``, ``session-not-found``), Conflict
        (``session-archived``, ``content-collected``, ``bundle-changed``), Vetoed.
        """
        check_on_conflict(on_conflict)
        check_function(progress)
        check_flags(dry_run=dry_run)
        file = check_path(path)
        target = self._target(session)
        context = self._acting.context()
        bundle = await self._offload.run(OpenBundle, file)
        try:
            if dry_run:
                return await self._foreseen(context, bundle, target, on_conflict, progress)
            arriving = await self._arriving(context, bundle.artifacts, target)
            if on_conflict == "replace" and "before_artifact_delete" in self._armed:
                await self._ask_to_make_room(context, arriving)
            arrived = await self._take_in(context, bundle, arriving, on_conflict, progress)
            size = bundle.manifest.bytes
        finally:
            await self._offload.run(bundle.close)
        if "after_artifact_put" in self._armed:
            for info in arrived.infos:
                await run_point(self._hooks, context, "after_artifact_put", "artifact", "put", described(info))
        return ImportReport(arrived.infos, arrived.skipped, arrived.renamed, arrived.replaced, size)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _take_in(
        self, context: Context, bundle: OpenBundle, arriving: Sequence[Arriving], on_conflict: str,
        progress: BundleProgress | None,
    ) -> Arrived:  # fmt: skip
        """Contents, and the unit that names them; from the beginning when a collect took some of them."""
        asked = False
        for left in reversed(range(limits.CONFLICT_RETRIES_MAX)):
            try:
                staged = await self._stage(bundle, progress)
                for one in [] if asked else arriving:
                    await self._putting.validate(one.new, *staged[one.new.digest])
                asked = True
                unit = partial(name_all, arriving=arriving, staged=staged, on_conflict=on_conflict)
                return await self._journal.write(unit, context=context)
            except Conflict as exc:
                if exc.code != COLLECTED or not left:
                    raise
            await self._offload.run(bundle.begin_again)
        raise collected()

    async def _foreseen(
        self, context: Context, bundle: OpenBundle, target: str | None, rule: str, progress: BundleProgress | None
    ) -> ImportReport:
        """What ``import_`` would report."""
        arriving = await self._arriving(context, bundle.artifacts, target, asking=False)
        await self._offload.run(bundle.check, progress)
        sessions = dict.fromkeys(id_bytes(one.new.session) for one in arriving)
        lineages = {session: await self._lookup.levels(session) for session in sessions}
        now = self._journal.clock.now_ns()
        arrived = await self._journal.database.read(
            lambda view: driven(foresee(Asking(view), arriving, rule, lineages, context.session, now))
        )
        return ImportReport(*arrived, bundle.manifest.bytes, dry_run=True)

    async def _every(self, conditions: Conditions) -> list[ArtifactInfo]:
        wanted = await self._wanted(conditions)
        found: list[ArtifactInfo] = []
        cursor = None
        while True:
            page = await self._journal.database.read(
                lambda view, cursor=cursor: find_page(view, wanted, "created_at", _PAGE, cursor)  # type: ignore[misc]
            )
            found += page.items
            if len(found) > limits.BUNDLE_ARTIFACTS_MAX:
                raise too_many(len(found))
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def _blobs(self, digests: Sequence[str]) -> list[tuple[str, Blob]]:
        found = []
        for digest in digests:
            row = await self._journal.database.one(_ROOM["blob"], (bytes.fromhex(digest),))
            if row is None:
                raise Corrupt(f"content {digest} is not in the store (any more)", digest=digest)
            found.append((digest, Blob(bytes.fromhex(digest), *row)))
        return found

    def _target(self, session: str | None) -> str | None:
        own = self._lookup.reach.session
        asked = None if session is None else id_text(id_bytes(session, "session"))
        if own is not None and asked not in {None, id_text(own)}:
            raise InvalidInput("this handle is of another session: use store.artifacts", code="invalid-selection")
        return id_text(own) if own is not None else asked

    async def _arriving(
        self, context: Context, artifacts: Sequence[Bundled], target: str | None, *, asking: bool = True
    ) -> list[Arriving]:
        """The versions as they are to be stored here, as the hooks before a put want them. Without ``asking``: as they
        are in the bundle, with their ids.
        """
        for session in {target or one.session for one in artifacts}:
            if await self._journal.database.one(_SQL["session_is_there"], (id_bytes(session),)) is None:
                raise NotFound(
                    f"session {session} does not exist", code="session-not-found",
                    hint="say which session the artifacts are for",
                )  # fmt: skip
            largest = await largest_allowed(self._journal.database, id_bytes(session))
            for one in artifacts:
                if session == (target or one.session):
                    check_size(one.size, largest)
        ids = {one.id: id_text(self._journal.ids.new()) if asking else one.id for one in artifacts}
        found = []
        for one in artifacts:
            session = target or one.session
            fields: dict[str, Any] = {"name": one.name, "tags": one.tags, "metadata": one.metadata}
            if asking and "before_artifact_put" in self._armed:
                fields = await self._putting.before(context, id_bytes(session), one.type, one.size, fields)
            new = ArtifactStored(
                ids[one.id], session, fields["name"], 0, one.type, one.mime_type, one.description, fields["tags"],
                fields["metadata"], [ids.get(source, source) for source in one.derived_from], one.size, one.digest,
            )  # fmt: skip
            relations = [(kind, ids[other]) for kind, other in one.relations]
            found.append(Arriving(one.session, new, one.version, one.labels, relations))
        return found

    async def _meant(self, ids: Sequence[str] | None, conditions: Conditions) -> list[ArtifactInfo]:
        """What an export is of: these, or what fits."""
        if ids is None:
            return await self._every(conditions)
        many = check_many(ids, "ids")
        if conditions != Conditions(tags=[]):
            raise InvalidInput("ids say by themselves which artifacts are meant", code="invalid-selection")
        infos = [await self._lookup.info(one, None) for one in many]
        return list({info.id: info for info in infos}.values())

    async def _ask_to_make_room(self, context: Context, arriving: Sequence[Arriving]) -> None:
        for session, name in dict.fromkeys((one.new.session, one.new.name) for one in arriving):
            lineage = await self._lookup.levels(id_bytes(session))
            rows = await self._journal.database.read(partial(_versions_of, id_bytes(session), name, lineage))
            for row in rows:
                info = await self._lookup.by_id(row[0])
                await run_point(self._hooks, context, "before_artifact_delete", "artifact", "delete", described(info))

    async def _stage(self, bundle: OpenBundle, progress: BundleProgress | None) -> dict[str, Staged]:
        """Every content, durable; nothing refers to it yet."""
        digests = list(dict.fromkeys(one.digest for one in bundle.artifacts))
        known: set[str] = set()
        for start in range(0, len(digests), _PAGE):
            known |= await self._known(digests[start : start + _PAGE])
        return await self._offload.run(bundle.stage, self._content, known, progress)

    async def _known(self, digests: Sequence[str]) -> set[str]:
        def query(view: Reading) -> set[str]:
            return {one for one in digests if view.one(_ROOM["blob_form"], (bytes.fromhex(one),)) is not None}

        return await self._journal.database.read(query)


def _versions_of(session: bytes, name: str, lineage: tuple[Level, ...] | None, view: Reading) -> list[Row]:
    if lineage is not None:
        return driven(visible(Asking(view), lineage, name))
    return view.all(_ROOM["of_name"], (session, name))
