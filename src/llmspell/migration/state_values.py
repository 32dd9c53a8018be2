"""The keys of a target: read with their check sums and hashes, opened and sealed again, put back to the byte."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import Corrupt, InvalidInput, NotFound
from llmspell.journal.journal import Writer
from llmspell.journal.reading import entry_at
from llmspell.migration.held import NOTHING, PAGE_BYTES_MAX, Back, Held, Place, cause_of, standing
from llmspell.migration.plan import Plan, Target
from llmspell.model.entry import REDACTED, Entry
from llmspell.model.values import JUDGED, decode_value, encode_value
from llmspell.model.values import Held as Seen
from llmspell.ports.database import Reading, Row
from llmspell.registry.bindings import Bound, load_bound
from llmspell.schema import queries
from llmspell.state.classes import SECRET, Stored
from llmspell.state.kinds import StateSet
from llmspell.state.rows import end_of_prefix, matches
from llmspell.state.units import list_or_unset, set_key

if TYPE_CHECKING:
    from llmspell.state.classes import Protection

_SQL = queries("llmspell.migration")
_SCOPE = "SELECT id FROM scope WHERE name = ?"
_payload = msgspec.json.Decoder(StateSet).decode


class StateValues:
    """See ``Values``."""

    kind = "state.set"

    def __init__(self, target: Target, protection: Protection, now: Callable[[], int]) -> None:
        self._target = target
        self._prefix = target.prefix
        self._end = end_of_prefix(target.prefix)
        self._protection = protection
        self._now = now
        self._bound = NOTHING

    def count(self, view: Reading) -> tuple[int, int]:
        """See ``Values``."""
        row = self._one(view, "count")
        return (0, 0) if row is None else (row[0], row[1])

    def try_key(self, view: Reading, /) -> None:
        """See ``Values``."""
        row = self._one(view, "sealed")
        if row is not None:
            self._held(view, row)

    def start(self, view: Reading, scope: str | None, key: str | None) -> Place:
        """See ``Values``."""
        if scope is None or key is None:
            return 0, ""
        row = view.one(_SCOPE, (scope,))
        if row is None:
            raise NotFound(f"the migration stands in {scope}, which is not there", code="scope-not-found")
        return row[0], key

    def page(self, view: Reading, after: Place, limit: int) -> list[Held]:
        """See ``Values``."""
        bounds = (self._prefix, self._end, self._now(), limit)
        if self._target.scope is None:
            rows = view.all(_SQL["page"], (*after, *bounds))
        else:
            rows = view.all(_SQL["page_of_scope"], (self._scope_id(view), after[1], *bounds))
        found: list[Held] = []
        room = PAGE_BYTES_MAX
        bound = self._load_bound(view)
        for row in rows:
            held = self._held(view, row, bound)
            room -= len(held.raw)
            if room < 0 and found:
                break
            found.append(held)
        return found

    def again(self, view: Reading, held: Held) -> Held | None:
        """See ``Values``."""
        row = view.one(_SQL["value"], (*held.place, self._now()))
        return None if row is None else self._held(view, row)

    def of_key(self, view: Reading, scope: str, key: str) -> Held | None:
        """The value of a key as it is now."""
        found = view.one(_SCOPE, (scope,))
        row = None if found is None else view.one(_SQL["value"], (found[0], key, self._now()))
        return None if row is None else self._held(view, row)

    def of_entry(self, view: Reading, entry: Entry) -> Held | None:
        """See ``Values``."""
        if entry.payload is None:
            return None
        payload = _payload(entry.payload)
        if self._target.scope not in {None, payload.scope} or not payload.key.startswith(self._prefix):
            return None
        scope = view.one(_SCOPE, (payload.scope,))
        row = None if scope is None else view.one(_SQL["value"], (scope[0], payload.key, self._now()))
        return self._held(view, row) if row is not None and row[4] == entry.seq else None

    def is_old(self, _held: Held, _from_version: str, /) -> bool | None:
        """A key does not know its version."""
        return None

    def is_other(self, held: Held, plan: Plan, /) -> bool:
        """Where these keys are bound to the plan's schema: whether this one is to another, or to another version, by a
        longer prefix or by its scope. Where they are not: whether it was held against another version when written.
        """
        found = held.bound.by(held.scope, held.key)
        own = held.bound.at(self._target.scope or "", self._target.prefix)
        if found is None or found[:2] == (plan.name, plan.from_version):
            return False
        if own is None or own[0] != plan.name:
            return found[0] == plan.name and held.seq > found[2]
        return found[:2] != own[:2] or found[2] < own[2]  # What was bound to the new one before all were: new already.

    def stored(self, held: Held, made: Any, plan: Plan, /) -> Stored | None:
        """See ``Values``. Kept in its class: sealed again, or searched for secrets again."""
        if held.state_class == "sensitive" and encode_value(made) == held.raw:
            return None
        self._demand_bound(held, made, plan)
        stored = self._protection.keep(held.scope, held.key, made, held.state_class)
        return None if bytes(stored.raw) == held.raw else stored

    def _demand_bound(self, held: Held, made: Any, plan: Plan) -> None:
        """A key that is held against something else than the version that the plan leads away from stays so."""
        if held.state_class == "trusted":
            return
        try:
            self._protection.schemas.check(
                held.scope, held.key, Seen(made, secret=held.state_class in SECRET), held.bound
            )
        except InvalidInput as exc:
            if (exc.details.get("schema"), exc.details.get("version")) != (plan.name, plan.from_version):
                raise

    def shown(self, held: Held, value: Any) -> Any:
        """See ``Values``."""
        return REDACTED if held.state_class == "sensitive" else value

    async def stands(self, writer: Writer, held: Held | Back) -> bool:
        """See ``Values``."""
        row = await writer.one(_SQL["seq_of_key"], (held.scope_id, held.key))
        return row is not None and row[0] == held.seq

    async def write(self, writer: Writer, held: Held, stored: Stored) -> None:
        """See ``Values``."""
        await set_key(
            writer, held.scope, held.key, stored.raw, None, held.expires_at, stored.state_class, list_or_unset(stored),
            held=JUDGED,
        )  # fmt: skip

    def before(self, view: Reading, entry: Entry) -> Back:
        """See ``Values``."""
        made = _payload(entry.payload or b"{}")
        scope = view.one(_SCOPE, (made.scope,))
        scope_id = 0 if scope is None else scope[0]
        row = view.one(_SQL["seq_of_key"], (scope_id, made.key))
        if row is None or standing(view, row[0], partial(_previous, view)) != entry.seq:
            return Back(scope_id, made.scope, made.key, entry.seq, None, 0 if row is None else cause_of(view, row[0]))
        old = entry_at(view, made.previous)
        if old is None or old.payload is None or old.kind != self.kind:
            raise Corrupt(
                f"what state key {made.key!r} was before should stand in entry {made.previous}, which has no value",
                key=made.key, seq=made.previous,
            )  # fmt: skip
        return Back(scope_id, made.scope, made.key, row[0], _payload(old.payload))

    async def put_back(self, writer: Writer, back: Back) -> bool:
        """See ``Values``. The very bytes: what was sealed for its place is there again as it was sealed."""
        if not await self.stands(writer, back):
            return False
        old: StateSet = back.before
        await set_key(
            writer, back.scope, back.key, old.value, None, old.expires_at, old.state_class, old.redacted, held=JUDGED,
            sealed_for=old.sealed_for,
        )  # fmt: skip
        return True

    def _one(self, view: Reading, query: str) -> Row | None:
        """The row that a query about all of these gives."""
        bounds = (self._prefix, self._end, self._now())
        if self._target.scope is None:
            return view.one(_SQL[query], bounds)
        return view.one(_SQL[f"{query}_of_scope"], (self._scope_id(view), *bounds))

    def _scope_id(self, view: Reading) -> int:
        row = view.one(_SCOPE, (self._target.scope,))
        return 0 if row is None else row[0]

    def _load_bound(self, view: Reading) -> Bound:
        """What is bound in a view. What this process knows otherwise may be older, or nothing yet."""
        self._bound = found = load_bound(view, self._bound)
        return found

    def _held(self, view: Reading, row: Row, bound: Bound | None = None) -> Held:
        scope_id, scope, key, version, seq, _, expires_at, _, text, _, state_class = row
        if not matches(key, row[3:]):
            raise Corrupt(
                f"the row of state key {key!r} does not match its check sum",
                hint="run `llmspell verify`; the journal still has the value",
                key=key,
            )
        if text is not None:
            value, raw = decode_value(text), text.encode()
        else:
            entry = entry_at(view, seq)
            if entry is None or entry.payload is None:
                raise Corrupt(
                    f"the value of state key {key!r} should stand in entry {seq}, which has none", key=key, seq=seq
                )
            payload = _payload(entry.payload)
            value = self._protection.shown(payload)
            raw = encode_value(value) if state_class == "sensitive" else bytes(payload.value)
        bound = bound or self._load_bound(view)
        return Held(scope_id, scope, key, seq, value, raw, state_class, expires_at, version, bound)


def _previous(view: Reading, seq: int) -> int:
    """The entry of the same key before a ``state.set``; 0 when it does not say so any more."""
    entry = entry_at(view, seq)
    return (
        0 if entry is None or entry.payload is None or entry.kind != "state.set" else _payload(entry.payload).previous
    )
