"""State: JSON values by key, in the scope of an owner, with versions.

Every change is an entry. A write is a check (version, expiry) and an append in one unit; a read is one indexed row, and
for values over 1 KiB the entry it points to. There is no value cache: a point read costs a few microseconds and is
never stale, whichever process wrote last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import Conflict, InvalidInput, LimitExceeded
from llmspell.hooks.moment import run_point
from llmspell.journal.lineage import ALWAYS, Level
from llmspell.model import limits
from llmspell.model.arguments import check_function
from llmspell.model.clock import to_datetime
from llmspell.model.keys import check_key
from llmspell.model.page import check_limit
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.model.values import Written, decode_value, encode_value
from llmspell.schema import queries
from llmspell.state.classes import Kept, StateClass, check_class
from llmspell.state.defaults import Defaulting
from llmspell.state.ephemeral import check_unversioned
from llmspell.state.guarded import Guarded, read_guarded
from llmspell.state.inherited import entries_of, load_inherited, row_now
from llmspell.state.paging import read_keys
from llmspell.state.rows import change_of, is_plain, load_row, matches
from llmspell.state.units import check_artifacts, check_version, clear_scope, delete_key, set_key, transfer_scope
from llmspell.state.values import StateEntry, check_ttl

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.ports.database import Reading
    from llmspell.state.classes import Protection
    from llmspell.state.ephemeral import Ephemeral
    from llmspell.state.values import StateChange

_ROW = queries("llmspell.state")["row"]
_UPDATE_ATTEMPTS_MAX = 1000


class AsyncState(Defaulting):
    """The keys of one scope. Get one from ``store.state``, ``store.state_of(scope)`` or ``session.state``."""

    def __init__(
        self, journal: Journal, hooks: Hooks, scope: Scope, acting: Acting, protection: Protection,
        ephemeral: Ephemeral, default: str | None = None,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._protection = protection
        self._ephemeral = ephemeral
        self._default = default
        self._plain = default is None and protection.secrets == "off"
        self._schemas = protection.schemas
        self._hooks = hooks
        self._armed = hooks.armed
        self._acting = acting
        self._name = scope.name
        self.scope = scope

    # -- one key -----------------------------------------------------------------------------------------------------

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, or ``default`` when there is none (or its time to live has run out). One indexed
        read.
        """
        key = check_key(key)
        if self._ephemeral.scopes and (held := self._held(key)) is not None:
            return held.value
        if "before_state_get" in self._armed or "after_state_get" in self._armed:
            found = await self._visible(key)
            return await read_guarded(self._hooks, self._acting.context(), self._name, key, found, default)
        scope = self._journal.scopes.get(self._name)
        if scope is not None:
            row = await self._journal.database.one(_ROW, (scope[0], key))
            if row is None:
                if self._name not in self._journal.scopes.lineages:
                    return default
            elif is_plain(row) and matches(key, row):
                return decode_value(row[5])
        found = await self._visible(key)
        return default if found is None else found.value

    async def entry(self, key: str) -> StateEntry | None:
        """The value with its version, seq and times; None when there is none."""
        return await self._visible(check_key(key))

    async def exists(self, key: str) -> bool:
        """Whether ``key`` has a value now."""
        return await self._visible(check_key(key)) is not None

    async def set(
        self,
        key: str,
        value: Any,
        *,
        if_version: int | None = None,
        ttl_s: float | None = None,
        state_class: StateClass | str | None = None,
        artifacts: Iterable[str] = (),
    ) -> int | Written:
        """Give ``key`` a value and return its new version (1 for a key never used before, 0 for an ephemeral one).

        ``if_version`` makes it a compare-and-set: Conflict unless the key has that version now; 0 means "has no value".
        After ``ttl_s`` seconds the value is gone. ``state_class`` says how it is kept (see ``StateClass``); without one
        it is kept as the key was before, else as the scope's default says, else standard. What was replaced in an
        external value is in ``redactions`` of the version returned, a ``Written``. ``artifacts`` are ids of those that
        the change has to do with (``store.changes_of`` finds it by them). Writes one ``state.set`` entry. Raises
        InvalidInput (``invalid-key``, ``invalid-value``, ``secret-found``, ``schema-mismatch`` …), LimitExceeded,
        Conflict (``class-conflict``: ephemeral over a stored value), NotFound (an artifact), Vetoed, WrongKey.
        """
        key = check_key(key)
        if state_class is not None or not self._plain or self._ephemeral.scopes or self._schemas.active or artifacts:
            return await self._set_as(
                key, value, if_version, ttl_s, check_class(state_class), check_artifacts(artifacts)
            )
        raw = msgspec.Raw(encode_value(value))
        expires_at = self._expiry(ttl_s)
        check_version(if_version)
        context = self._acting.context()
        try:
            if "before_state_set" in self._armed or "after_state_set" in self._armed:
                return await self._guard(context).set(key, value, if_version, expires_at)
            return await self._journal.write(
                lambda writer: set_key(writer, self._name, key, raw, if_version, expires_at), context=context
            )
        except Kept as kept:
            return await self._set_as(key, value, if_version, ttl_s, kept.state_class)
        except Conflict as conflict:
            await self._tell_conflict(context, "set", key, value, if_version, conflict)
            raise

    async def delete(self, key: str, *, if_version: int | None = None) -> bool:
        """Delete ``key``; True if it had a value. With ``if_version``: Conflict unless it has that version now."""
        key = check_key(key)
        check_version(if_version)
        if self._held(key) is not None:
            return self._ephemeral.delete(self._name, check_unversioned(key, if_version))
        context = self._acting.context()
        try:
            if "before_state_delete" in self._armed or "after_state_delete" in self._armed:
                return await self._guard(context).delete(key, if_version)
            return await self._journal.write(
                lambda writer: delete_key(writer, self._name, key, if_version), context=context
            )
        except Conflict as conflict:
            await self._tell_conflict(context, "delete", key, None, if_version, conflict)
            raise

    async def update(self, key: str, fn: Callable[[Any], Any], *, default: Any = None) -> Any:
        """Read, change by ``fn`` and write back, again whenever somebody else wrote in between. Returns the new value.

        ``fn`` gets the value (``default`` when there is none) and returns the new one; it may run several times.
        """
        check_function(fn, "fn", optional=False)
        for _ in range(_UPDATE_ATTEMPTS_MAX):
            found = await self._visible(check_key(key))
            value = fn(deepcopy(default) if found is None else found.value)
            try:
                if self._default == "ephemeral" if found is None else found.version == 0:  # Nobody else's: no race.
                    await self.set(key, value, state_class="ephemeral")
                else:
                    await self.set(key, value, if_version=0 if found is None else found.version)
            except Conflict:
                continue
            return value
        raise Conflict(f"{key!r} kept changing through {_UPDATE_ATTEMPTS_MAX} attempts to update it", key=key)

    async def history(self, key: str, *, limit: int = 100, before: int | None = None) -> list[StateChange]:
        """Changes of ``key``, newest first; the next page is ``before`` the last one's seq. Hashes are checked. In a
        fork it goes on with those of the session that it was forked from.
        """
        if before is not None and (type(before) is not int or not 1 <= before < 1 << 63):
            raise InvalidInput(f"before is a seq, not {told(before)}", code="invalid-seq")
        limit, key = check_limit(limit), check_key(key)
        scope = await self._journal.scope(self._name)
        if scope is None:
            return []
        levels = self._journal.scopes.lineages.get(self._name) or (Level(b"", *scope, ALWAYS),)
        entries = await self._journal.database.read(lambda view: entries_of(view, levels, key, before or ALWAYS, limit))
        return [change_of(entry, self._protection.shown) for entry in entries]

    # -- many keys ---------------------------------------------------------------------------------------------------

    async def keys(self, *, prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        """Keys with a value, in code point order; those beginning with ``prefix``, beyond ``after``; all by default."""
        return [found.key for found in await self._page(prefix, after, limit, values=False)]

    async def items(self, *, prefix: str = "", after: str = "", limit: int | None = None) -> list[tuple[str, Any]]:
        """Keys and values, as ``keys`` orders them."""
        return [(found.key, found.value) for found in await self._page(prefix, after, limit)]

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Values of those of ``keys`` that have one, read at one moment."""
        if isinstance(keys, str) or not isinstance(keys, Iterable):
            raise InvalidInput(f"keys are a list of str, not {told(keys)}", code="invalid-key")
        wanted = [check_key(key) for key in keys]
        held = {key: one.value for key in wanted if (one := self._held(key)) is not None}
        scope = await self._journal.scope(self._name)
        if scope is None:
            return held
        now, lineage = self._journal.clock.now_ns(), self._journal.scopes.lineages.get(self._name)
        shown = self._protection.shown

        def query(view: Reading) -> dict[str, Any]:
            found = {key: load_row(view, key, row_now(view, scope, lineage, key), now, shown) for key in wanted}
            return {key: entry.value for key, entry in found.items() if entry is not None} | held

        return await self._journal.database.read(query)

    async def set_many(
        self, values: Mapping[str, Any], *, ttl_s: float | None = None, state_class: StateClass | str | None = None
    ) -> dict[str, int]:
        """Set several keys in one transaction: all or none. Returns each key's new version. At most 10,000 keys;
        none of them can be ephemeral.
        """
        if not isinstance(values, Mapping):
            raise InvalidInput(
                f"values are keys with their values, not a {type(values).__name__}", code="invalid-value"
            )
        if len(values) > limits.BATCH_KEYS_MAX:
            raise LimitExceeded(
                f"{len(values):,} keys at once; at most {limits.BATCH_KEYS_MAX:,}", code="too-many-keys"
            )
        checked = {check_key(key): value for key, value in values.items()}
        if len(checked) != len(values):
            raise InvalidInput("two of the keys are spellings of one key", code="duplicate-key")
        named = check_class(state_class)
        if named is not None or not self._plain or self._ephemeral.scopes or self._schemas.active:
            return await self._set_many_as(checked, ttl_s, named)
        raws = {key: msgspec.Raw(encode_value(value)) for key, value in checked.items()}
        expires_at = self._expiry(ttl_s)
        context = self._acting.context()
        if "before_state_set" in self._armed or "after_state_set" in self._armed:
            return await self._guard(context).set_many(checked, expires_at)

        async def unit(writer: Writer) -> dict[str, int]:
            return {key: await set_key(writer, self._name, key, raw, None, expires_at) for key, raw in raws.items()}

        try:
            return await self._journal.write(unit, context=context)
        except Kept:
            return await self._set_many_as(checked, ttl_s, None)

    async def clear(self) -> int:
        """Delete every key of the scope in one transaction; returns how many had a value."""
        context = self._acting.context()
        now = self._journal.clock.now_ns()
        if "before_state_clear" in self._armed or "after_state_clear" in self._armed:
            count = await self._guard(context).clear()
        else:
            count = await self._journal.write(lambda writer: clear_scope(writer, self._name, now), context=context)
        return count + (self._ephemeral.clear(self._name, now) if self._ephemeral.scopes else 0)

    async def copy_to(self, scope: Scope) -> int:
        """Set every key of this scope in ``scope`` too, in one transaction; returns how many. Histories stay apart, and
        ephemeral keys where they are. Raises Conflict (``migration-running``: some are changed and others not yet).
        """
        return await self._transfer(scope, move=False)

    async def move_to(self, scope: Scope) -> int:
        """Like ``copy_to``, and delete them here in the same transaction."""
        return await self._transfer(scope, move=True)

    async def _transfer(self, scope: Scope, *, move: bool) -> int:
        if not isinstance(scope, Scope):
            raise InvalidInput(f"a scope is a Scope, not {told(scope)}", code="invalid-scope", hint="Scope.parse(text)")
        if scope.name == self._name:
            raise InvalidInput(f"{self._name} cannot be copied or moved onto itself", code="same-scope")
        context = self._acting.context()
        now = self._journal.clock.now_ns()
        verb = "move" if move else "copy"
        if f"before_state_{verb}" in self._armed or f"after_state_{verb}" in self._armed:
            return await self._guard(context).transfer(scope.name, move)
        try:
            return await self._journal.write(
                lambda writer: transfer_scope(writer, self._name, scope.name, now, move), context=context
            )
        except Kept:
            return await self._guard(context).transfer(scope.name, move)

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _tell_conflict(
        self, context: Context, operation: str, key: str, value: Any, wanted: int | None, conflict: Conflict
    ) -> None:
        if "state_conflict" in self._armed:
            data = {
                "scope": self._name, "key": key, "value": value, "operation": operation, "if_version": wanted,
                "version": conflict.details.get("version"),
            }  # fmt: skip
            await run_point(self._hooks, context, "state_conflict", "state", operation, data)

    def _guard(self, context: Context) -> Guarded:
        return Guarded(self._journal, self._hooks, context, self._name, self._protection, self._default)

    async def _set_as(
        self, key: str, value: Any, if_version: int | None, ttl_s: float | None, state_class: str | None,
        artifacts: list[str] | msgspec.UnsetType = msgspec.UNSET,
    ) -> int | Written:  # fmt: skip
        expires_at = self._expiry(ttl_s)
        check_version(if_version)
        if state_class is None and (
            self._held(key) is not None or (self._default == "ephemeral" and await self._visible(key) is None)
        ):
            state_class = "ephemeral"
        if state_class == "ephemeral":
            if artifacts is not msgspec.UNSET:
                raise InvalidInput("an ephemeral change is in no entry that could name artifacts", code="no-entry")
            return await self._hold(key, value, if_version, expires_at)
        context = self._acting.context()
        guard = self._guard(context)
        watched = "before_state_set" in self._armed or "after_state_set" in self._armed
        plain = self._default is None and self._protection.secrets == "off"
        write = guard.set_unwatched if not watched and (plain or state_class is not None) else guard.set
        try:
            version = await write(key, value, if_version, expires_at, state_class, artifacts)
        except Conflict as conflict:
            await self._tell_conflict(context, "set", key, value, if_version, conflict)
            raise
        self._ephemeral.delete(self._name, key)
        return version

    async def _set_many_as(
        self, values: Mapping[str, Any], ttl_s: float | None, state_class: str | None
    ) -> dict[str, int]:
        held = [key for key in values if self._held(key) is not None]
        if state_class == "ephemeral" or (state_class is None and (held or self._default == "ephemeral")):
            raise InvalidInput("keys set together are stored; set ephemeral ones one by one", code="ephemeral-batch")
        versions = await self._guard(self._acting.context()).set_many(values, self._expiry(ttl_s), state_class)
        for key in held:
            self._ephemeral.delete(self._name, key)
        return versions

    async def _hold(self, key: str, value: Any, if_version: int | None, expires_at: int | None) -> int:
        check_unversioned(key, if_version)
        if self._held(key) is None and await self._visible(key) is not None:
            raise Conflict(
                f"{key!r} has a stored value; delete it before it can be ephemeral", code="class-conflict", key=key
            )
        self._ephemeral.set(self._name, key, value, self._journal.clock.now_ns(), expires_at)
        return 0

    def _held(self, key: str) -> StateEntry | None:
        if not self._ephemeral.scopes:
            return None
        found = self._ephemeral.get(self._name, key, self._journal.clock.now_ns())
        if found is None:
            return None
        value, at, expires_at = found
        until = None if expires_at is None else to_datetime(expires_at)
        return StateEntry(key, value, 0, 0, to_datetime(at), until, "ephemeral")

    async def _visible(self, key: str) -> StateEntry | None:
        if self._ephemeral.scopes and (held := self._held(key)) is not None:
            return held
        journal = self._journal
        shown = self._protection.shown
        scope = journal.scopes.get(self._name) or await journal.scope(self._name)
        if scope is None:
            return None
        row = await journal.database.one(_ROW, (scope[0], key))
        if row is None:
            lineage = journal.scopes.lineages.get(self._name)
            if lineage is None:
                return None
            now = journal.clock.now_ns()
            return await journal.database.read(lambda view: load_inherited(view, lineage, key, now, shown))
        if row[5] is None and not row[4]:
            # A long value stands in its entry: row and entry are read at one moment.
            now = journal.clock.now_ns()
            return await journal.database.read(
                lambda view: load_row(view, key, view.one(_ROW, (scope[0], key)), now, shown)
            )
        return load_row(None, key, row, 0 if row[3] is None else journal.clock.now_ns(), shown)

    async def _page(self, prefix: str, after: str, limit: int | None, *, values: bool = True) -> list[StateEntry]:
        held = self._held_keys if self._ephemeral.scopes else None
        return await read_keys(self._journal, self._name, prefix, after, limit, values, self._protection.shown, held)

    def _held_keys(self, low: str, after: str, high: str) -> list[StateEntry]:
        now = self._journal.clock.now_ns()
        names = [key for key in self._ephemeral.keys(self._name, now) if low <= key < high and key > after]
        return [one for key in names if (one := self._held(key)) is not None]

    def _expiry(self, ttl_s: float | None) -> int | None:
        return None if ttl_s is None else self._journal.clock.now_ns() + check_ttl(ttl_s)
