"""Sessions out of a store and into it, as ``store.sessions.export`` and ``import_`` ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.artifacts.bundles.importing import opened_file
from llmspell.errors import AlreadyExists, Conflict, Corrupt, InvalidInput
from llmspell.journal.asking import Asking, driven
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.journal.terms import count_anew
from llmspell.model import limits
from llmspell.model.arguments import check_flags, check_function
from llmspell.model.context import Context
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.values import Held
from llmspell.outputs import check_outside
from llmspell.portable.arriving import Target
from llmspell.portable.exporting import Origins, demand_plain, export_session
from llmspell.portable.importing import (
    Bundle,
    Looked,
    append_all,
    look_through,
    take_contents,
)
from llmspell.portable.sealed import check_bundle_key
from llmspell.ports.content import COLLECTED
from llmspell.schema import queries
from llmspell.security.key_files import check_output
from llmspell.sessions import units
from llmspell.sessions.kinds import SessionImported
from llmspell.sessions.ported import Exported, Imported, OnConflict, PortProgress, tell_nobody
from llmspell.sessions.projection import IMPORTED
from llmspell.state.classes import SECRET, Protection
from llmspell.state.kinds import StateSet

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.store import OpenStore
    from llmspell.journal.asking import Asks
    from llmspell.journal.journal import Journal, Writer
    from llmspell.offload import Offload

_SQL = queries("llmspell.sessions")
_HAS_BLOB = queries("llmspell.artifacts")["blob_form"]
_NAME = "SELECT name FROM session WHERE id = ? AND until_seq IS NULL"
_TAKEN = "SELECT 1 FROM session WHERE name = ? AND until_seq IS NULL AND id <> ? LIMIT 1"
_ENTRY = f"SELECT {COLUMNS} FROM entry WHERE seq = ?"
_NAMES_MAX = 10_000
_set = msgspec.json.Decoder(StateSet).decode


class StorePorter:
    """See ``sessions.ported.Porter``. ``removers`` empty a session that is replaced."""

    def __init__(
        self, journal: Journal, files: OpenStore, offload: Offload, protection: Protection,
        removers: tuple[units.Remove, ...],
    ) -> None:  # fmt: skip
        self._journal = journal
        self._files = files
        self._offload = offload
        self._protection = protection
        self._removers = removers

    async def export(
        self, session: bytes, path: Any, *, key: Any, secrets: bool, overwrite: bool, progress: PortProgress | None
    ) -> Exported:
        """See ``AsyncSessions.export``."""
        check_flags(secrets=secrets, overwrite=overwrite)
        check_function(progress)
        target = check_output(path)
        if key is not None:
            check_bundle_key(key)
        elif secrets:
            raise InvalidInput(
                "secrets leave the store in an encrypted bundle only", code="secrets-need-key", hint="give key="
            )
        now = self._journal.clock.now_ns()
        return await self._offload.run(
            export_session,
            self._origins(),
            session,
            target,
            now,
            key,
            secrets=secrets,
            overwrite=overwrite,
            progress=progress,
        )

    def archive(self, session: bytes, path: Any, key: Any) -> Exported:
        """See ``Porter``."""
        now = self._journal.clock.now_ns()
        return export_session(
            self._origins(), session, check_output(path), now, key, secrets=key is not None, overwrite=True,
            progress=None, whole=True,
        )  # fmt: skip

    def demand_plain(self, session: bytes) -> None:
        """See ``Porter``."""
        demand_plain(self._origins(), session)

    def check_key(self, key: Any) -> None:
        """See ``Porter``."""
        check_bundle_key(key)

    def read(self, query: Any) -> Any:
        """See ``Porter``."""
        return self._files.engine.read(query)

    async def off(self, function: Any, *args: Any) -> Any:
        """See ``Porter``."""
        return await self._offload.run(function, *args)

    async def import_(
        self, path: Any, on_conflict: OnConflict, *, key: Any, context: Context, progress: PortProgress | None,
        ask: Callable[[dict[str, Any]], Any], dry_run: bool,
    ) -> Imported:  # fmt: skip
        """See ``AsyncSessions.import_``. ``ask`` asks the hooks, once it is known what would be imported."""
        check_function(progress)
        if key is not None:
            check_bundle_key(key)
        tell = progress or tell_nobody
        with opened_file(check_outside(path)) as file:
            bundle = Bundle(file, key)
            looked = await self._offload.run(look_through, bundle, tell)
            header = looked.header
            target = self._target(looked, on_conflict)
            if dry_run:
                return self._foreseen(looked, target)
            await ask({"id": header.session, "name": header.name, "store_id": header.store_id, "path": str(path)})
            replaced: bool | None = None
            try:
                for left in reversed(range(limits.CONFLICT_RETRIES_MAX)):
                    if target is None:
                        break
                    try:
                        replaced = await self._take(bundle, looked, target, on_conflict, context, tell)
                        break
                    except (AlreadyExists, Conflict) as exc:
                        if not left or not _may_begin_again(exc, on_conflict):
                            raise
                    looked.forget()
                    target = self._target(looked, on_conflict)
            finally:
                looked.release()
        if target is None or replaced is None:
            return Imported(header.session, header.name, "skipped", header.session)
        (name,) = self._files.engine.read(lambda view: view.one(_NAME, (target.session,))) or ("",)
        outcome: Any = "renamed" if target.renamed else "replaced" if replaced else "imported"
        return Imported(
            id_text(target.session), name, outcome, header.session, looked.entries, looked.contents, looked.digest
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _take(
        self, bundle: Bundle, looked: Looked, target: Target, on_conflict: OnConflict, context: Context,
        tell: PortProgress,
    ) -> bool | None:  # fmt: skip
        """Contents, and the unit that names them; see ``_append``."""
        await self._offload.run(self._take_contents, bundle, looked, id_text(target.session), tell)
        inside = replace(
            context, session=target.session, session_correlation=target.correlation, correlation=None, cause=0
        )
        return await self._journal.write(
            lambda writer: self._append(writer, bundle, looked, target, on_conflict, tell), context=inside, strong=True
        )

    def _origins(self) -> Origins:
        files = self._files
        return Origins(
            files.engine.read, files.content, self._journal.kinds, files.store_id, files.timeline,
            self._protection.shown,
        )  # fmt: skip

    def _target(self, looked: Looked, on_conflict: OnConflict) -> Target | None:
        """What the session becomes here; None when it is skipped. Raises AlreadyExists, Conflict."""
        header, created = looked.header, looked.created
        if created is None:
            raise Corrupt("no entry creates the session", code="invalid-bundle")
        session = id_bytes(header.session)
        kept = Target(session, id_bytes(created.correlation), renamed=False)
        there = self._files.engine.read(lambda view: view.one(_NAME, (session,))) is not None
        shredded = not there and self._files.engine.read(lambda view: view.one(_SQL["shredded"], (session,)))
        if not there and not shredded:
            return kept
        if on_conflict == "rename":
            return Target(self._journal.ids.new(), self._journal.ids.new(), renamed=True)
        if shredded:
            raise Conflict(
                f"session {header.session} was shredded here", code="session-shredded",
                hint="import it as another session: on_conflict='rename'",
            )  # fmt: skip
        if on_conflict == "fail":
            raise _exists(header.session)
        return kept if on_conflict == "replace" else None

    def _foreseen(self, looked: Looked, target: Target | None) -> Imported:
        """What ``import_`` would report."""
        header, read = looked.header, self._files.engine.read
        if target is None:
            return Imported(header.session, header.name, "skipped", header.session, dry_run=True)
        if target.renamed:
            id_, outcome = "", "renamed"
            name = read(lambda view: driven(_free_name(Asking(view), b"", header.name)))
        else:
            there = read(lambda view: view.one(_NAME, (target.session,))) is not None
            id_, outcome, name = header.session, "replaced" if there else "imported", header.name
        found: Any = outcome
        return Imported(id_, name, found, header.session, looked.entries, looked.contents, looked.digest, dry_run=True)

    def _take_contents(self, bundle: Bundle, looked: Looked, id_: str, tell: PortProgress) -> None:
        engine = self._files.engine

        def has(digest: bytes) -> bool:
            return engine.read_one(_HAS_BLOB, (digest,)) is not None

        def seal(payload: StateSet) -> str:
            sealing = self._protection.sealing(f"session:{id_}")
            return sealing(f"state/{payload.key}", bytes(payload.value))

        take_contents(bundle, looked, self._files.content, has, seal, tell)

    async def _append(
        self, writer: Writer, bundle: Bundle, looked: Looked, target: Target, on_conflict: OnConflict,
        tell: PortProgress,
    ) -> bool | None:  # fmt: skip
        """The unit. Whether another session was replaced; None when it is there and skipped after all."""
        header, session = looked.header, target.session
        there = await writer.one(_NAME, (session,)) is not None
        if there and on_conflict == "skip":
            return None
        if there and on_conflict != "replace":
            raise _exists(header.session)
        if there:
            await units.delete(writer, session, self._removers)
        await count_anew(writer, session)
        scope = await writer.scope(units.scope_of(session))
        await writer.append(
            IMPORTED,
            SessionImported(
                id_text(session), header.session, header.store_id, header.timeline, header.seq, looked.entries,
                looked.digest,
            ),
            scope, "session",
        )  # fmt: skip
        await append_all(writer, bundle, looked, target, self._files.content, tell)
        if target.renamed:
            await _give_free_name(writer, session)
        await self._hold(writer, session)
        return there

    async def _hold(self, writer: Writer, session: bytes) -> None:
        """Hold the values that the session has now against what this store binds them to, as ``put_back`` does."""
        guard, scope = writer.guard, units.scope_of(session)
        if guard is None:
            return
        if guard.generation != writer.generation:
            await guard.confirm(writer)
        if not guard.binds(scope):
            return
        for key, _, seq in await writer.all(_SQL["live_state"], (scope, writer.origin.clock)):
            row = await writer.one(_ENTRY, (seq,))
            payload = _set(check_row(row).payload or b"{}") if row is not None else None
            if payload is None or payload.state_class == "trusted":
                continue
            paths = () if payload.redacted is msgspec.UNSET else tuple(one["path"] for one in payload.redacted)
            held = Held(self._protection.shown(payload), secret=payload.state_class in SECRET, replaced=paths)
            await guard.hold(writer, scope, key, bytes(payload.value), held)


def _may_begin_again(error: AlreadyExists | Conflict, on_conflict: OnConflict) -> bool:
    """Whether the rule has another answer by now, or the contents can be read from the file again."""
    return error.code == COLLECTED or (error.code == "session-exists" and on_conflict == "rename")


async def _give_free_name(writer: Writer, session: bytes) -> None:
    """Another name, when a session here has this one: the session is to be found by it."""
    row = await writer.one(_NAME, (session,))
    name: str = row[0] if row is not None else ""
    free = await _free_name(writer, session, name)
    if free != name:
        await units.update(writer, session, {"name": free})


async def _free_name(asks: Asks, session: bytes, name: str) -> str:
    """This name or the next like it that no session but this one has; the name itself when all are taken."""
    for number in range(1, _NAMES_MAX):
        free = name if number == 1 else f"{name[: limits.NAME_CHARS_MAX - 8]} ({number})"
        if await asks.one(_TAKEN, (free, session)) is None:
            return free
    return name


def _exists(session: str) -> AlreadyExists:
    return AlreadyExists(
        f"session {session} is there already", code="session-exists",
        hint="on_conflict: skip, rename or replace",
    )  # fmt: skip
