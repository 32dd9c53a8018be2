"""Changes of state that hooks watch: before-hooks may change or refuse them, and what they decided on still holds when
it is written.

The unit requires the version that the hooks saw; if somebody wrote in between, hooks and unit run again, eight times at
most. A change of several keys runs all before-hooks first: one veto stops all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType

from llmspell.errors import Conflict, InvalidInput
from llmspell.hooks.moment import run_point
from llmspell.journal.journal import Journal, Writer
from llmspell.model import limits
from llmspell.model.clock import to_ns
from llmspell.model.keys import check_key
from llmspell.model.values import Written
from llmspell.state.classes import MISMATCH, Kept, Protection, Stored, hide
from llmspell.state.defaults import default_now
from llmspell.state.inherited import row_now
from llmspell.state.paging import read_keys
from llmspell.state.rows import load_row
from llmspell.state.units import (
    clear_scope,
    delete_key,
    demand_settled,
    demand_version,
    list_or_unset,
    set_key,
    transfer_scope,
)
from llmspell.state.values import StateEntry

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.model.context import Context


@dataclass(frozen=True, slots=True)
class _Decided:
    key: str
    value: Any
    old: Any
    seen: int
    state_class: str
    by_scope: bool = False
    """Whether nobody chose the class: it is what the scope's new keys get."""


class Guarded:
    """The operations of one scope with hooks around them, in one context."""

    def __init__(
        self, journal: Journal, hooks: Hooks, context: Context, scope_name: str, protection: Protection,
        default: str | None = None,
    ) -> None:  # fmt: skip
        """``default`` is the class of keys that have none yet."""
        self._protection = protection
        self._default = default
        self._journal = journal
        self._hooks = hooks
        self._context = context
        self._scope = scope_name

    async def set(
        self, key: str, value: Any, if_version: int | None, expires_at: int | None, state_class: str | None = None,
        artifacts: list[str] | UnsetType = UNSET,
    ) -> int | Written:  # fmt: skip
        """Set one key; see ``AsyncState.set``."""
        for _ in range(limits.CONFLICT_RETRIES_MAX):
            decided = await self._decide(key, value, state_class)
            (stored,) = await self._kept(self._scope, [decided])
            required = decided.seen if if_version is None else if_version
            try:
                version = await self._write(
                    lambda writer, d=decided, s=stored, v=required: self._set(writer, d, s, v, expires_at, artifacts)
                )
            except Conflict:
                if if_version is not None:
                    raise
                continue
            except Kept:  # The scope has another default by now.
                continue
            await self._after("set", self._data("set", decided.key, decided.value, decided.old, version))
            return stored.written(version)
        raise self._moving(key)

    async def set_unwatched(
        self, key: str, value: Any, if_version: int | None, expires_at: int | None, state_class: str | None,
        artifacts: list[str] | UnsetType = UNSET,
    ) -> int | Written:  # fmt: skip
        """The same where no hook has a say, so that nothing has to be read before. Without a class, one key's own."""
        for _ in range(limits.CONFLICT_RETRIES_MAX):
            if state_class in ("sensitive", "external"):
                hide()
            decided = _Decided(key, value, None, 0, state_class or "standard")
            (stored,) = await self._kept(self._scope, [decided])
            class_ = None if state_class is None else stored.state_class
            try:
                version = await self._write(
                    lambda writer, s=stored, c=class_: set_key(
                        writer, self._scope, key, s.raw, if_version, expires_at, c, list_or_unset(s), artifacts, s.held
                    )
                )
            except Kept as kept:
                state_class = kept.state_class or state_class
                continue
            return stored.written(version)
        raise self._moving(key)

    async def set_many(
        self, values: Mapping[str, Any], expires_at: int | None, state_class: str | None = None
    ) -> dict[str, int]:
        """Set several keys in one unit, after every before-hook has agreed."""
        for _ in range(limits.CONFLICT_RETRIES_MAX):
            decided = [await self._decide(key, value, state_class) for key, value in values.items()]
            if len({one.key for one in decided}) != len(decided):
                raise InvalidInput("hooks redirected two of the keys to one", code="duplicate-key")
            stored = await self._kept(self._scope, decided)

            async def unit(
                writer: Writer, decided: list[_Decided] = decided, stored: list[Stored] = stored
            ) -> list[int]:
                pairs = zip(decided, stored, strict=True)
                return [await self._set(writer, one, kept, one.seen, expires_at) for one, kept in pairs]

            try:
                versions = await self._write(unit)
            except (Conflict, Kept):
                continue
            for one, version in zip(decided, versions, strict=True):
                await self._after("set", self._data("set", one.key, one.value, one.old, version))
            return {
                one.key: kept.written(version) for one, kept, version in zip(decided, stored, versions, strict=True)
            }
        raise self._moving(next(iter(values)))

    async def initial(
        self, values: Mapping[str, Any]
    ) -> tuple[Callable[[Writer], Awaitable[None]], Callable[[], Awaitable[None]]]:
        """Ask about the values that a new scope begins with. Gives what sets them, in the unit that makes the scope,
        and what is to be called after that.
        """
        if "before_state_set" in self._hooks.armed:
            decided = [await self._decide(key, value, None) for key, value in values.items()]
        else:
            decided = [_Decided(key, value, None, 0, "standard") for key, value in values.items()]
        if len({one.key for one in decided}) != len(decided):
            raise InvalidInput("hooks redirected two of the keys to one", code="duplicate-key")
        stored = await self._kept(self._scope, decided)
        versions: list[int] = []

        async def unit(writer: Writer) -> None:
            pairs = zip(decided, stored, strict=True)
            versions[:] = [await self._set(writer, one, kept, 0, None) for one, kept in pairs]

        async def after() -> None:
            for one, version in zip(decided, versions, strict=True):
                await self._after("set", self._data("set", one.key, one.value, None, version))

        return unit, after

    async def delete(self, key: str, if_version: int | None) -> bool:
        """Delete one key; see ``AsyncState.delete``."""
        for _ in range(limits.CONFLICT_RETRIES_MAX):
            found = await self._current(key)
            seen = 0 if found is None else found.version
            old = None if found is None else found.value
            data = self._data("delete", key, None, old, seen)
            await run_point(self._hooks, self._context, "before_state_delete", "state", "delete", data)
            required = seen if if_version is None else if_version
            try:
                gone = await self._write(lambda writer, v=required: delete_key(writer, self._scope, key, v))
            except Conflict:
                if if_version is not None:
                    raise
                continue
            if gone:
                await self._after("delete", self._data("delete", key, None, old, seen + 1))
            return bool(gone)
        raise self._moving(key)

    async def clear(self) -> int:
        """Delete all keys; see ``AsyncState.clear``."""
        data = {"scope": self._scope, "operation": "clear"}
        await run_point(self._hooks, self._context, "before_state_clear", "state", "clear", data)
        now = self._journal.clock.now_ns()
        count = await self._write(lambda writer: clear_scope(writer, self._scope, now))
        await self._after("clear", {**data, "count": count})
        return int(count)

    async def transfer(self, target: str, move: bool) -> int:
        """Copy or move all keys; see ``AsyncState.copy_to``."""
        verb = "move" if move else "copy"
        data = {"scope": self._scope, "target": target, "operation": verb}
        await run_point(self._hooks, self._context, f"before_state_{verb}", "state", verb, data)
        now = self._journal.clock.now_ns()
        try:
            count = await self._write(lambda writer: transfer_scope(writer, self._scope, target, now, move))
        except Kept:
            count = await self._transfer_opened(target, move)
        await self._after(verb, {**data, "count": count})
        return int(count)

    async def _transfer_opened(self, target: str, move: bool) -> int:
        """Copy or move with sealed values among them: each is opened here, and sealed for its new place."""
        shown = self._protection.shown
        for _ in range(limits.CONFLICT_RETRIES_MAX):
            found = await read_keys(self._journal, self._scope, "", "", None, values=True, shown=shown, held=None)
            stored = await self._kept(target, found)

            async def unit(writer: Writer, found: list[StateEntry] = found, stored: list[Stored] = stored) -> int:
                await demand_settled(writer, self._scope, [one.key for one in found])
                for one, kept in zip(found, stored, strict=True):
                    await demand_version(writer, self._scope, one.key, one.version)
                    expires_at = None if one.expires_at is None else to_ns(one.expires_at)
                    await set_key(
                        writer, target, one.key, kept.raw, None, expires_at, kept.state_class, list_or_unset(kept),
                        held=kept.held,
                    )  # fmt: skip
                    if move:
                        await delete_key(writer, self._scope, one.key, one.version)
                return len(found)

            try:
                return int(await self._write(unit))
            except Conflict as exc:
                if exc.code != Conflict.code:  # A migration is open, and will be.
                    raise
        raise self._moving("the scope")

    async def _kept(self, scope: str, given: Sequence[_Decided | StateEntry]) -> list[Stored]:
        """Values as their classes keep them, held against what is bound now."""
        if any(one.state_class == "sensitive" for one in given):
            await self._protection.prepare(scope)
        store = self._protection.store
        try:
            return [await store(scope, one.key, one.value, one.state_class) for one in given]
        except InvalidInput as exc:
            if exc.code != MISMATCH:
                raise
        await self._protection.schemas.load()  # A refusal is by what is bound now, too.
        return [await store(scope, one.key, one.value, one.state_class) for one in given]

    async def _set(
        self, writer: Writer, decided: _Decided, stored: Stored, if_version: int, expires_at: int | None,
        artifacts: list[str] | UnsetType = UNSET,
    ) -> int:  # fmt: skip
        if decided.by_scope and writer.defaults is not None:
            place = await writer.scope(self._scope)
            default = await writer.defaults.of(writer, self._scope, place[0])
            if default != decided.state_class:
                raise Kept(default)
        return await set_key(
            writer, self._scope, decided.key, stored.raw, if_version, expires_at, stored.state_class,
            list_or_unset(stored), artifacts, stored.held,
        )  # fmt: skip

    async def _decide(self, key: str, value: Any, state_class: str | None) -> _Decided:
        seen: dict[str, int] = {}
        kept: dict[str, str] = {}
        by_scope: set[str] = set()

        async def about(target: str | None) -> dict[str, Any]:
            name = key if target is None else check_key(target)
            found = await self._current(name)
            seen[name] = 0 if found is None else found.version
            chosen = state_class or (self._default if found is None else found.state_class)
            if chosen is None:
                by_scope.add(name)
                chosen = await default_now(self._journal, self._scope)
            kept[name] = chosen
            if kept[name] in ("sensitive", "external"):
                hide()  # Before hooks of the script are called with it.
            return self._data("set", name, value, None if found is None else found.value, seen[name])

        first = await about(None)
        if kept[key] == "trusted":
            return _Decided(key, value, first["old_value"], seen[key], "trusted", key in by_scope)
        outcome = await run_point(self._hooks, self._context, "before_state_set", "state", "set", first, reload=about)
        data = first if outcome is None else outcome.data
        name = data["key"]
        return _Decided(name, data["value"], data.get("old_value"), seen[name], kept[name], name in by_scope)

    async def _current(self, key: str) -> StateEntry | None:
        scope = await self._journal.scope(self._scope)
        if scope is None:
            return None
        now, lineage = self._journal.clock.now_ns(), self._journal.scopes.lineages.get(self._scope)
        return await self._journal.database.read(
            lambda view: load_row(view, key, row_now(view, scope, lineage, key), now, self._protection.shown)
        )

    async def _write(self, work: Any) -> Any:
        return await self._journal.write(work, context=self._context)

    async def _after(self, verb: str, data: dict[str, Any]) -> None:
        await run_point(self._hooks, self._context, f"after_state_{verb}", "state", verb, data)

    def _data(self, operation: str, key: str, value: Any, old: Any, version: int) -> dict[str, Any]:
        return {
            "scope": self._scope, "key": key, "value": value, "old_value": old, "operation": operation,
            "version": version,
        }  # fmt: skip

    def _moving(self, key: str) -> Conflict:
        return Conflict(f"{key!r} kept changing while its hooks ran, {limits.CONFLICT_RETRIES_MAX} times", key=key)


async def read_guarded(
    hooks: Hooks, context: Context, scope_name: str, key: str, found: StateEntry | None, default: Any
) -> Any:
    """A read that hooks may refuse, answer themselves, or change on its way to the caller."""
    version = 0 if found is None else found.version
    data = {"scope": scope_name, "key": key, "operation": "get", "version": version}
    before = await run_point(hooks, context, "before_state_get", "state", "get", data)
    if before is not None and before.replaced is not None:
        return before.replaced.result
    value = None if found is None else found.value
    after = await run_point(hooks, context, "after_state_get", "state", "get", {**data, "value": value})
    if after is not None and "value" in after.changed:
        return after.data["value"]
    return default if found is None else found.value
