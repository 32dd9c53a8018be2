"""A session's entries on their way into a store, inside one unit: each is appended as an imported one, its references
to other entries and its numbers as they are here.

What must stay true: what the rooms check before they write holds here too (legal steps, versions that never repeat,
artifacts of their own), and nothing of a bundle is taken for true that the store can know by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from llmspell.artifacts.captures.kinds import ArtifactCaptured, CaptureRulesSet, CaptureSkipped
from llmspell.artifacts.kinds import (
    ArtifactDeleted,
    ArtifactErased,
    ArtifactQuotaSet,
    ArtifactRenamed,
    ArtifactStored,
    ArtifactTagged,
    ArtifactUndeleted,
    ArtifactUpdated,
)
from llmspell.artifacts.projection import DELETED
from llmspell.artifacts.quotas import demand_room, is_metered
from llmspell.artifacts.relations.kinds import ArtifactRelated, ArtifactUnrelated, Related
from llmspell.artifacts.relations.projection import UNRELATED
from llmspell.artifacts.relations.units import demand_no_cycle
from llmspell.errors import AlreadyExists
from llmspell.events.kinds import EventPublished
from llmspell.journal.journal import Origin, Writer
from llmspell.journal.kinds import CorrelationOpened
from llmspell.model.context import Context
from llmspell.model.entry import IMPORTED
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.session import check_step
from llmspell.portable.frames import refuse
from llmspell.portable.numbers import id_before, is_taken, number_here
from llmspell.portable.payloads import CARRIED
from llmspell.portable.records import Carried, Header
from llmspell.runs.items import Item, UnitDone
from llmspell.runs.items import Sealed as SealedItem
from llmspell.runs.kinds import RunFailed, RunFinished, RunRecorded, RunResumed, RunStarted
from llmspell.sessions.kinds import (
    SessionCheckpointed,
    SessionCreated,
    SessionMoved,
    SessionRestored,
    SessionSaved,
    SessionUpdated,
)
from llmspell.sessions.units import state_hash
from llmspell.state.kinds import StateDefaultSet, StateDeleted, StateExpired, StateSet

_STATE_ROW = "SELECT version, seq, deleted FROM state WHERE scope = ? AND key = ?"
_OPEN_VERSION = "SELECT version FROM artifact WHERE id = ? AND until_seq IS NULL"
_RELATIONS = "SELECT DISTINCT kind, target FROM artifact_relation WHERE source = ? AND until_seq IS NULL"
_TARGET = "SELECT 1 FROM artifact_relation WHERE target = ? AND kind = 'derived_from' AND until_seq IS NULL LIMIT 1"
_ERASED = "SELECT 1 FROM artifact_erased WHERE artifact = ?"
_OF_OTHER = "SELECT 1 FROM artifact WHERE id = ? AND session <> ? LIMIT 1"
_RUN = "SELECT 1 FROM run WHERE id = ?"
_item = msgspec.json.Decoder(Item | SealedItem).decode
_encode = msgspec.json.Encoder().encode


class Target(NamedTuple):
    """What the session is here. ``renamed``: under new ids, all of them."""

    session: bytes
    correlation: bytes
    renamed: bool


class Arrival:
    """One run of an import's unit. ``sealed`` gives the sealed text of a carried value, by its old seq; ``renamed``
    are new ids for everything, None to keep them.
    """

    def __init__(
        self, writer: Writer, header: Header, target: Target, new_ids: Callable[[], bytes] | None,
        sealed: dict[int, str], salts: Callable[[], bytes],
    ) -> None:  # fmt: skip
        self._writer = writer
        self._header = header
        self._session = target.session
        self._id = id_text(target.session)
        self._scope_name = f"session:{self._id}"
        self._new_ids = new_ids
        self._sealed = sealed
        self._salts = salts
        self._now = writer.origin.clock
        self._ids: dict[str, str] = {header.session: self._id}
        self._seqs: list[int] = []
        self._here: dict[int, int] = {}
        self._names: dict[str, str] = {}
        self._digests: dict[str, tuple[str, int]] = {}
        self._versions: dict[str, dict[int, int]] = {}
        self._runs: set[str] = set()
        self._labels: set[str] = set()
        self._status: str | None = None
        self._archived_from: str | None = None
        self._correlation = self._correlation_there = target.correlation
        self.opened = 0
        self._now_taking: Carried

    async def take(self, carried: Carried, payload: Any) -> None:
        """Append the next entry. Raises Corrupt (``invalid-bundle``), AlreadyExists, Conflict."""
        if (self._status is None) != isinstance(payload, SessionCreated):
            refuse("a session begins with its creation, and is created once")
        self._now_taking = carried
        payload, scope_name, subject = await self._placed(payload)
        scope = self._writer.known(scope_name) or await self._writer.scope(scope_name)
        kind = CARRIED[carried.kind]
        seq = await self._writer.append_imported(self._origin(carried), kind, payload, scope, subject)
        if not self.opened:
            self.opened = seq
        self._seqs.append(carried.seq)
        self._here[carried.seq] = seq
        if isinstance(payload, ArtifactStored) and self._new_ids is None:
            await self._unrelate(payload, scope, subject)

    def _origin(self, carried: Carried) -> Origin:
        correlation = id_bytes(carried.correlation)
        if correlation == self._correlation_there:
            correlation = self._correlation
        cause = self._here.get(carried.cause, self.opened) if carried.cause else 0
        actor = carried.actor if carried.actor.startswith(IMPORTED) else IMPORTED + carried.actor
        context = Context(self._session if carried.inside else None, correlation, None, cause, actor)
        id_ = id_bytes(carried.id) if self._new_ids is None else self._new_ids()
        # A time to come would hold back the time of every later entry.
        return Origin(context, min(carried.at, self._now), id_, self._salts(), 0.0)

    async def _placed(self, payload: Any) -> tuple[Any, str, str]:
        """The payload as it is to be here, its scope and its subject."""
        place = getattr(self, _PLACES[type(payload)])
        return await place(payload)  # type: ignore[no-any-return]

    def _seq_here(self, seq: int) -> int:
        """The entry here that was the newest of the session at ``seq`` there."""
        at = bisect_right(self._seqs, seq)
        return self._here[self._seqs[at - 1]] if at else self.opened

    # -- state ---------------------------------------------------------------------------------------------------------

    async def _state(self, payload: StateSet | StateDeleted) -> tuple[Any, str, str]:
        scope = await self._writer.scope(self._scope_name)
        version, previous, deleted = await self._writer.one(_STATE_ROW, (scope[0], payload.key)) or (0, 0, 1)
        changed: dict[str, Any] = {"scope": self._scope_name, "version": version + 1, "previous": previous}
        if isinstance(payload, StateSet):
            if payload.state_class == "sensitive":
                changed["value"] = msgspec.Raw(_encode(self._sealed[self._now_taking.seq]))
            if payload.artifacts is not msgspec.UNSET:
                changed["artifacts"] = [self._ids.get(one, one) for one in payload.artifacts]
        elif deleted:
            refuse(f"entry {self._now_taking.seq} takes away a key that has no value")
        return msgspec.structs.replace(payload, **changed), self._scope_name, f"state/{payload.key}"

    # -- the session ---------------------------------------------------------------------------------------------------

    async def _created(self, payload: SessionCreated) -> tuple[Any, str, str]:
        self._status = "active"
        self._correlation_there = id_bytes(payload.correlation)
        changed = {"id": self._id, "correlation": id_text(self._correlation)}
        return msgspec.structs.replace(payload, **changed), self._scope_name, "session"

    async def _updated(self, payload: SessionUpdated) -> tuple[Any, str, str]:
        return msgspec.structs.replace(payload, id=self._id), self._scope_name, "session"

    async def _moved(self, payload: SessionMoved) -> tuple[Any, str, str]:
        verb = self._now_taking.kind.removeprefix("session.")
        becomes = {"resumed": "active", "unarchived": self._archived_from}.get(verb, verb)
        if payload.was != self._status or payload.now != becomes:
            refuse(f"entry {self._now_taking.seq} is a step from {payload.was}, and the session is {self._status}")
        if verb != "unarchived":
            check_step(self._id, payload.was, payload.now)
            self._archived_from = payload.was
        self._status = payload.now
        return msgspec.structs.replace(payload, id=self._id), self._scope_name, "session"

    async def _saved(self, payload: SessionSaved | SessionRestored) -> tuple[Any, str, str]:
        changed: dict[str, Any] = {"id": self._id, "state_hash": await self._hash(payload.state_hash)}
        if isinstance(payload, SessionRestored):
            changed["seq"] = self._seq_here(payload.seq)
        return msgspec.structs.replace(payload, **changed), self._scope_name, "session"

    async def _checkpointed(self, payload: SessionCheckpointed) -> tuple[Any, str, str]:
        if payload.label in self._labels:
            refuse(f"checkpoint {payload.label!r} is there twice")
        self._labels.add(payload.label)
        hash_ = await self._hash(payload.state_hash)
        payload = msgspec.structs.replace(payload, id=self._id, state_hash=hash_)
        return payload, self._scope_name, f"checkpoint/{payload.label}"

    async def _hash(self, told: str) -> str:
        """A hash is over values as they are stored, and those that were sealed are stored otherwise here."""
        return await state_hash(self._writer, self._session) if self._sealed else told

    # -- artifacts -----------------------------------------------------------------------------------------------------

    async def _stored(self, payload: ArtifactStored) -> tuple[Any, str, str]:
        if payload.id in self._names:
            refuse(f"artifact {payload.id} is stored twice")
        self._names[payload.id] = payload.name
        if self._new_ids is not None:
            self._ids[payload.id] = id_text(self._new_ids())
        elif await self._is_taken(id_bytes(payload.id)):
            place = self._session, payload.name, payload.version, payload.digest
            self._ids[payload.id] = id_text(await id_before(self._writer, *place) or self._writer.draw_id())
        id_ = self._ids.setdefault(payload.id, payload.id)
        if await self._is_there(payload.id):
            raise _taken(f"there is an artifact {id_} already")
        version = await self._version_here(payload, id_)
        self._digests[payload.id] = payload.digest, payload.size
        metered = await is_metered(self._writer)
        if metered:
            await demand_room(self._writer, self._session, (payload.size,))
        sources = [self._ids.get(one, one) for one in payload.derived_from]
        if id_ in sources or await self._writer.one(_TARGET, (id_bytes(id_),)) is not None:
            for one in sources:
                await demand_no_cycle(self._writer, id_bytes(id_), Related.DERIVED_FROM, id_bytes(one))
        changed = {"id": id_, "session": self._id, "version": version, "derived_from": sources, "metered": metered}
        payload = msgspec.structs.replace(payload, **changed)
        return payload, self._scope_name, f"artifact/{payload.name}"

    async def _is_taken(self, id_: bytes) -> bool:
        """What was deleted for good stays so; and what a fork inherited is another session's, where that is here."""
        if await self._writer.one(_ERASED, (id_,)) is not None:
            return True
        return bool(self._header.lineage) and await self._writer.one(_OF_OTHER, (id_, self._session)) is not None

    async def _version_here(self, payload: ArtifactStored, id_: str) -> int:
        """Its number, unless another artifact was given that before: numbers are not given again."""
        versions = self._versions.setdefault(payload.name, {})
        if payload.version in versions:
            refuse(f"version {payload.version} of artifact {payload.name!r} is stored twice")
        place = self._session, payload.name, payload.version, id_bytes(id_), payload.digest
        versions[payload.version] = here = await number_here(self._writer, *place, versions)
        return here

    def _known_version(self, name: str, version: int) -> int:
        here = self._versions.get(name, {}).get(version)
        if here is None:
            refuse(f"entry {self._now_taking.seq} is about a version that is not there")
        return here

    async def _artifact_updated(self, payload: ArtifactUpdated) -> tuple[Any, str, str]:
        name = await self._open_artifact(payload.id)
        return msgspec.structs.replace(payload, id=self._ids[payload.id]), self._scope_name, f"artifact/{name}"

    async def _artifact_deleted(
        self, payload: ArtifactDeleted | ArtifactUndeleted | ArtifactErased
    ) -> tuple[Any, str, str]:
        if self._names.get(payload.id) != payload.name:
            refuse(f"entry {self._now_taking.seq} names an artifact otherwise")
        there = await self._is_there(payload.id)
        if not isinstance(payload, ArtifactErased) and there != isinstance(payload, ArtifactDeleted):
            refuse(f"entry {self._now_taking.seq} is about an artifact that is not there, or still there")
        changed: dict[str, Any] = {
            "id": self._ids[payload.id], "session": self._id,
            "version": self._known_version(payload.name, payload.version),
        }  # fmt: skip
        if isinstance(payload, ArtifactErased):
            changed["digest"] = self._digests[payload.id][0]
            if there:
                await self._delete(payload, changed)
        else:
            changed["metered"] = await is_metered(self._writer)
        if isinstance(payload, ArtifactUndeleted) and changed["metered"]:
            await demand_room(self._writer, self._session, (self._digests[payload.id][1],))
        return msgspec.structs.replace(payload, **changed), self._scope_name, f"artifact/{payload.name}"

    async def _delete(self, payload: ArtifactErased, changed: dict[str, Any]) -> None:
        """No entry before deletes what a fork's past has when it is deleted for good where it belongs."""
        metered, scope = await is_metered(self._writer), await self._writer.scope(self._scope_name)
        gone = ArtifactDeleted(changed["id"], self._id, payload.name, changed["version"], metered)
        await self._writer.append(DELETED, gone, scope, f"artifact/{payload.name}")

    async def _rules(self, payload: ArtifactQuotaSet | CaptureRulesSet | StateDefaultSet) -> tuple[Any, str, str]:
        if isinstance(payload, StateDefaultSet):
            return msgspec.structs.replace(payload, scope=self._scope_name), self._scope_name, "default class"
        subject = "artifact-quota" if isinstance(payload, ArtifactQuotaSet) else "capture-rules"
        return msgspec.structs.replace(payload, session=self._id), self._scope_name, subject

    async def _captured(self, payload: ArtifactCaptured) -> tuple[Any, str, str]:
        name = await self._open_artifact(payload.id)
        if payload.size != self._digests[payload.id][1]:
            refuse(f"entry {self._now_taking.seq} says another size of what was captured")
        payload = msgspec.structs.replace(payload, id=self._ids[payload.id])
        return (await self._skipped(payload))[0], self._scope_name, f"artifact/{name}"

    async def _skipped(self, payload: ArtifactCaptured | CaptureSkipped) -> tuple[Any, str, str]:
        owner = self._id if payload.owner else ""
        return msgspec.structs.replace(payload, session=self._id, owner=owner), self._scope_name, "captures"

    async def _tagged(self, payload: ArtifactTagged) -> tuple[Any, str, str]:
        version = self._known_version(payload.name, payload.version)
        payload = msgspec.structs.replace(payload, session=self._id, version=version)
        return payload, self._scope_name, f"artifact/{payload.name}"

    async def _renamed(self, payload: ArtifactRenamed) -> tuple[Any, str, str]:
        """Another name for what is there under one; those that are deleted keep the old name, as they do everywhere."""
        named = [id_ for id_, name in self._names.items() if name == payload.name]
        there = [one for one in named if await self._is_there(one)]
        if not there or payload.to in self._versions:
            refuse(f"entry {self._now_taking.seq} gives a name that is taken, or to what is not there")
        moved = set()
        for one in there:
            raw, digest = id_bytes(self._ids[one]), self._digests[one][0]
            (number,) = await self._writer.one(_OPEN_VERSION, (raw,)) or (0,)
            moved.add(number)
            if await is_taken(self._writer, self._session, payload.to, number, raw, digest):
                raise _taken(f"another artifact {payload.to!r} had version {number} here")
        self._names |= dict.fromkeys(there, payload.to)
        # The others keep the old name, and their numbers are free under the new one.
        self._versions[payload.to] = {old: new for old, new in self._versions[payload.name].items() if new in moved}
        return msgspec.structs.replace(payload, session=self._id), self._scope_name, f"artifact/{payload.name}"

    async def _related(self, payload: ArtifactRelated) -> tuple[Any, str, str]:
        """A relation to something that did not come along keeps its id: perhaps it is here, perhaps it never was."""
        name = await self._open_artifact(payload.artifact)
        source, other = self._ids[payload.artifact], self._ids.get(payload.other, payload.other)
        if not isinstance(payload, ArtifactUnrelated):
            await demand_no_cycle(self._writer, id_bytes(source), payload.kind, id_bytes(other))
        payload = msgspec.structs.replace(payload, artifact=source, session=self._id, other=other)
        return payload, self._scope_name, f"artifact/{name}"

    async def _unrelate(self, stored: ArtifactStored, scope: tuple[int, bytes], subject: str) -> None:
        """An artifact that was here before begins anew: what it was said to be then is not what the bundle says."""
        for kind, target in await self._writer.all(_RELATIONS, (id_bytes(stored.id),)):
            other = id_text(target)
            if kind != Related.DERIVED_FROM or other not in stored.derived_from:
                payload = ArtifactUnrelated(stored.id, self._id, kind, other)
                await self._writer.append(UNRELATED, payload, scope, subject)

    async def _open_artifact(self, id_: str) -> str:
        name = self._names.get(id_)
        if name is None or not await self._is_there(id_):
            refuse(f"entry {self._now_taking.seq} is about an artifact that is not there")
        return name

    async def _is_there(self, id_: str) -> bool:
        return await self._writer.one(_OPEN_VERSION, (id_bytes(self._ids[id_]),)) is not None

    # -- events, correlations, runs ------------------------------------------------------------------------------------

    async def _event(self, payload: EventPublished) -> tuple[Any, str, str]:
        return payload, self._scope_name, f"event/{payload.type}"

    async def _opened(self, payload: CorrelationOpened) -> tuple[Any, str, str]:
        return payload, "global", f"correlation/{payload.id}"

    async def _started(self, payload: RunStarted) -> tuple[Any, str, str]:
        if payload.id in self._runs:
            refuse(f"run {payload.id} begins twice")
        self._runs.add(payload.id)
        taken = await self._writer.one(_RUN, (id_bytes(payload.id),)) is not None
        if taken or self._new_ids is not None:
            fresh = self._new_ids or self._writer.draw_id
            self._ids[payload.id] = id_text(fresh())
        id_ = self._ids.setdefault(payload.id, payload.id)
        return msgspec.structs.replace(payload, id=id_, session=self._id), self._scope_name, f"run/{id_}"

    async def _run(self, payload: Any) -> tuple[Any, str, str]:
        if payload.id not in self._runs:
            refuse(f"entry {self._now_taking.seq} is about a run that is not there")
        changed: dict[str, Any] = {"id": self._ids[payload.id]}
        if isinstance(payload, RunRecorded):
            changed["items"] = [self._run_item(raw) for raw in payload.items]
        return msgspec.structs.replace(payload, **changed), self._scope_name, f"run/{changed['id']}"

    def _run_item(self, raw: msgspec.Raw) -> msgspec.Raw:
        try:
            item = _item(raw)
        except (msgspec.DecodeError, ValueError):
            refuse(f"entry {self._now_taking.seq} records what is no item of a run")
        if not isinstance(item, UnitDone):
            return raw
        seqs = [self._here[seq] for seq in item.seqs if seq in self._here]
        return msgspec.Raw(_encode(msgspec.structs.replace(item, seqs=seqs)))


def _taken(why: str) -> AlreadyExists:
    return AlreadyExists(why, code="artifact-exists", hint="import the session under new ids: on_conflict='rename'")


_PLACES: dict[type[Any], str] = {
    StateSet: "_state", StateDeleted: "_state", StateExpired: "_state", StateDefaultSet: "_rules",
    SessionCreated: "_created", SessionUpdated: "_updated", SessionMoved: "_moved", SessionSaved: "_saved",
    SessionRestored: "_saved", SessionCheckpointed: "_checkpointed", CorrelationOpened: "_opened",
    ArtifactStored: "_stored", ArtifactUpdated: "_artifact_updated", ArtifactDeleted: "_artifact_deleted",
    ArtifactUndeleted: "_artifact_deleted", ArtifactErased: "_artifact_deleted", ArtifactQuotaSet: "_rules",
    CaptureRulesSet: "_rules", ArtifactCaptured: "_captured", CaptureSkipped: "_skipped", EventPublished: "_event",
    ArtifactTagged: "_tagged", ArtifactRenamed: "_renamed", ArtifactRelated: "_related", ArtifactUnrelated: "_related",
    RunStarted: "_started", RunResumed: "_run", RunRecorded: "_run", RunFinished: "_run", RunFailed: "_run",
}  # fmt: skip
"""The method for each kind of payload."""
