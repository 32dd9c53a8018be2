"""The units of work of the state room: check first, then append."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import msgspec

from llmspell.errors import Conflict, Corrupt, InvalidInput, LimitExceeded, NotFound
from llmspell.journal.journal import Writer
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.telling import told
from llmspell.model.values import Held, Written
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries
from llmspell.state.classes import SECRET, Kept, Protection, Stored
from llmspell.state.foreign import demand_class
from llmspell.state.inherited import all_rows, inherited_row
from llmspell.state.kinds import StateDeleted, StateExpired, StateSet
from llmspell.state.projection import DELETED, EXPIRED, SET

_SQL = queries("llmspell.state")
_ROW, _LIVE, _EXPIRED, _ARTIFACT = _SQL["row"], _SQL["live_keys"], _SQL["expired"], _SQL["artifact"]
EXPIRE_STEP_KEYS = 500
"""Keys that one step of maintenance removes."""


async def set_key(
    writer: Writer,
    scope_name: str,
    key: str,
    raw: msgspec.Raw,
    if_version: int | None,
    expires_at: int | None,
    state_class: str | None = None,
    redacted: list[dict[str, str]] | msgspec.UnsetType = msgspec.UNSET,
    artifacts: list[str] | msgspec.UnsetType = msgspec.UNSET,
    held: Held | None = None,
    sealed_for: str | msgspec.UnsetType = msgspec.UNSET,
) -> int:
    """Set one key if it has the version asked for; returns the new version. Without a class, the standard one: raises
    Kept when the key is kept in another, or is new in a scope whose default is another.

    The value meets what its key is bound to in this very transaction: ``held`` is the value as schemas see it, needed
    when ``raw`` is not that, and says what it was held against already. Raises Conflict, InvalidInput, NotFound.
    """
    scope = writer.known(scope_name) or await writer.scope(scope_name)
    row = await writer.one(_ROW, (scope[0], key))
    if row is None and (lineage := writer.lineage(scope_name)) is not None:
        row = await inherited_row(writer, lineage, key)
    if row is None:
        version, previous = 0, 0
    else:
        version, previous = row[0], row[1]
        if state_class is None and row[7] != "standard" and not row[4]:
            raise Kept(row[7])
    defaults = writer.defaults
    if (
        state_class is None
        and (row is None or row[4] or (row[3] is not None and row[3] <= writer.origin.clock))
        and defaults is not None
        and (defaults.active or defaults.generation != writer.generation)
    ):
        kept = await defaults.of(writer, scope_name, scope[0])
        if kept != "standard":
            raise Kept(kept)
    if scope_name in writer.foreign:
        await demand_class(writer, scope_name, scope[0], key, row, state_class or "standard", expires_at)
    if if_version is not None:
        _require(writer, key, row and (row[0], row[3], row[4]), if_version)
    if artifacts is not msgspec.UNSET:
        await _demand_artifacts(writer, artifacts)
    guard = writer.guard
    if guard is not None and (guard.active or guard.generation != writer.generation) and state_class != "trusted":
        await guard.hold(writer, scope_name, key, bytes(raw), held)
    version += 1
    payload = StateSet(
        scope_name, key, raw, version, previous, state_class or "standard", expires_at, redacted, artifacts, sealed_for
    )
    await writer.append(SET, payload, scope, f"state/{key}")
    return version


async def _demand_artifacts(writer: Writer, ids: list[str]) -> None:
    for one in ids:
        if await writer.one(_ARTIFACT, (id_bytes(one, "artifact"),)) is None:
            raise NotFound(f"there is no artifact {one}", code="artifact-not-found", id=one)


async def put_back(writer: Writer, held: StateSet, protection: Protection) -> None:
    """Set a key to what an entry of it holds, as it is, inside a unit of another room.

    Raises InvalidInput (``schema-mismatch``) when its schema refuses that by now; what was replaced in it before it was
    stored is not judged.
    """
    guard, seen = writer.guard, None
    if guard is not None:
        if guard.generation != writer.generation:
            await guard.confirm(writer)
        if guard.binds(held.scope) and held.state_class != "trusted":
            paths = () if held.redacted is msgspec.UNSET else tuple(one["path"] for one in held.redacted)
            seen = Held(protection.shown(held), secret=held.state_class in SECRET, replaced=paths)
    await set_key(
        writer, held.scope, held.key, held.value, None, held.expires_at, held.state_class, held.redacted, held=seen,
        sealed_for=held.sealed_for,
    )  # fmt: skip


async def delete_key(writer: Writer, scope_name: str, key: str, if_version: int | None) -> bool:
    """Delete one key if it has a value (and the version asked for)."""
    scope = await writer.existing_scope(scope_name)
    row = None if scope is None else await _row(writer, scope_name, scope, key)
    if if_version is not None:
        _require(writer, key, row and (row[0], row[3], row[4]), if_version)
    if scope is None or row is None or row[4] or (row[3] is not None and row[3] <= writer.origin.clock):
        return False
    await writer.append(DELETED, StateDeleted(scope_name, key, row[0] + 1, row[1]), scope, f"state/{key}")
    return True


async def _row(writer: Writer, scope_name: str, scope: tuple[int, bytes], key: str) -> Row | None:
    row = await writer.one(_ROW, (scope[0], key))
    if row is None and (lineage := writer.lineage(scope_name)) is not None:
        return await inherited_row(writer, lineage, key)
    return row


async def _live(writer: Writer, scope_name: str, scope: tuple[int, bytes], now: int) -> list[Row]:
    """Key, version and seq of every key that has a value, in a fork of what it inherits too."""
    lineage = writer.lineage(scope_name)
    if lineage is None:
        return await writer.all(_LIVE, (scope[0], now))
    rows = await all_rows(writer, lineage)
    return [(key, row[0], row[1]) for key, row in rows if not row[4] and (row[3] is None or row[3] > now)]


async def clear_scope(writer: Writer, scope_name: str, now: int, *, inherited: bool = True) -> int:
    """Delete every key that has a value; without ``inherited``, those that a fork set itself."""
    scope = await writer.existing_scope(scope_name)
    if scope is None:
        return 0
    rows = await _live(writer, scope_name, scope, now) if inherited else await writer.all(_LIVE, (scope[0], now))
    for key, version, seq in rows:
        await writer.append(DELETED, StateDeleted(scope_name, key, version + 1, seq), scope, f"state/{key}")
    return len(rows)


async def transfer_scope(writer: Writer, source: str, target: str, now: int, move: bool) -> int:
    """Set every key of ``source`` in ``target``; with ``move`` delete it in ``source``. Raises Conflict
    (``migration-running``).
    """
    scope = await writer.existing_scope(source)
    if scope is None:
        return 0
    guard = writer.guard
    if guard is not None:
        if guard.generation != writer.generation:
            await guard.confirm(writer)
        if guard.binds(target):
            raise Kept(None)  # Each value is opened and held against its schema, which is no unit's work.
    rows = await _live(writer, source, scope, now)
    await demand_settled(writer, source, [row[0] for row in rows])
    for key, version, seq in rows:
        stored = await writer.one(f"SELECT {COLUMNS} FROM entry WHERE seq = ?", (seq,))
        entry = check_row(stored) if stored is not None else None
        if entry is None or entry.payload is None:
            raise Corrupt(f"state key {key!r} points to entry {seq}, which has no value", key=key, seq=seq)
        held = msgspec.json.decode(entry.payload, type=StateSet)
        if held.state_class == "sensitive":
            raise Kept("sensitive")  # It is sealed for its place, and sealing anew is no unit's work.
        await set_key(writer, target, key, held.value, None, held.expires_at, held.state_class, held.redacted)
        if move:
            await writer.append(DELETED, StateDeleted(source, key, version + 1, seq), scope, f"state/{key}")
    return len(rows)


def expiry_is_due(view: Reading, now: int) -> bool:
    """Whether a key's time to live has run out and its entry is not written yet. One probe of an index."""
    return view.one(_EXPIRED, (now, 1)) is not None


async def expire_keys(writer: Writer, limit: int) -> int:
    """Write ``state.expired`` for keys whose time to live has run out; returns how many."""
    rows = await writer.all(_EXPIRED, (writer.origin.clock, limit))
    for name, key, version, seq in rows:
        await writer.append(
            EXPIRED, StateExpired(name, key, version + 1, seq), await writer.scope(name), f"state/{key}"
        )
    return len(rows)


async def demand_settled(writer: Writer, scope_name: str, keys: list[str]) -> None:
    """Refuse to take values on that are in the middle of a migration. Raises Conflict (``migration-running``)."""
    if writer.settled is not None:
        await writer.settled.demand_keys(writer, scope_name, keys)


async def demand_version(writer: Writer, scope_name: str, key: str, version: int) -> None:
    """Raises Conflict unless the key has this version now."""
    scope = await writer.existing_scope(scope_name)
    row = None if scope is None else await _row(writer, scope_name, scope, key)
    _require(writer, key, row and (row[0], row[3], row[4]), version)


def list_or_unset(stored: Stored) -> list[dict[str, str]] | msgspec.UnsetType:
    """What was replaced in a value, as its entry tells it: left out when it is nothing."""
    return list(stored.redacted) or msgspec.UNSET


def check_artifacts(artifacts: object) -> list[str] | msgspec.UnsetType:
    """Ids of artifacts that a change names. Raises InvalidInput (``invalid-id``), LimitExceeded."""
    if isinstance(artifacts, str) or not isinstance(artifacts, Iterable):
        raise InvalidInput(f"artifacts are a list of ids, not {told(artifacts)}", code="invalid-id")
    ids = list(dict.fromkeys(id_text(id_bytes(one, "artifact")) for one in islice(artifacts, limits.TAGS_MAX + 1)))
    if len(ids) > limits.TAGS_MAX:
        raise LimitExceeded(f"a change names at most {limits.TAGS_MAX} artifacts", code="too-many-artifacts")
    return ids or msgspec.UNSET


def check_version(if_version: object) -> None:
    """Refuse a version that is none. One that writing an external value gave is one, as any."""
    if if_version is None:
        return
    if not isinstance(if_version, int) or type(if_version) not in {int, Written} or if_version < 0:
        raise InvalidInput(f"if_version is an int of at least 0, not {told(if_version)}", code="invalid-version")


def _require(writer: Writer, key: str, found: tuple[int, int | None, int] | None, wanted: int) -> None:
    version = 0
    if found is not None and not found[2] and (found[1] is None or found[1] > writer.origin.clock):
        version = found[0]
    if version != wanted:
        has = f"version {version}" if version else "no value"
        wish = f", not version {told(wanted)}" if wanted else ""
        raise Conflict(f"{key!r} has {has}{wish}", key=key, version=version)
