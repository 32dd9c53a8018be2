"""Stored values as a migration holds them, and what a kind of target has to do for it.

A batch is prepared outside of its transaction and written inside of it, where each value is looked at again: one that
somebody else wrote in between is prepared anew, so that no write is lost and no writer waits for transforms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from llmspell.journal.journal import Writer
from llmspell.journal.reading import COLUMNS, check_rows
from llmspell.migration.plan import Plan
from llmspell.model.entry import Entry
from llmspell.ports.database import Reading
from llmspell.registry.bindings import Bound

PAGE_BYTES_MAX = 4 << 20
"""Of values that are in memory at once; a page has one value at least."""
WINDOW_ENTRIES = 5000
"""Entries that one read of the journal goes through."""
Place = tuple[int, str]
"""Id of a scope and a key: where a migration stands. It goes through values in this order."""
NOTHING = Bound()
_CAUSED = "SELECT seq, length(payload) FROM entry WHERE seq > ? AND seq <= ? AND kind = ? AND cause = ? ORDER BY seq"
_OTHERS = "SELECT seq, length(payload) FROM entry WHERE seq > ? AND seq <= ? AND kind = ? AND cause <> ? ORDER BY seq"
_PUT_BACK = (
    "SELECT 1 FROM entry e JOIN entry c ON c.seq = e.cause WHERE e.seq = ? AND c.kind = 'migration.rollback_started'"
)
_AMONG = f"SELECT {COLUMNS} FROM entry WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"


@dataclass(frozen=True, slots=True)
class Held:
    """A value as it was read. ``seq`` is the entry that made it so; ``raw`` its JSON in clear; ``bound`` what keys were
    held against at that moment.
    """

    scope_id: int
    scope: str
    key: str
    seq: int
    value: Any
    raw: bytes
    state_class: str = "standard"
    expires_at: int | None = None
    version: int = 0
    bound: Bound = NOTHING

    @property
    def place(self) -> Place:
        """Where it stands in the order."""
        return self.scope_id, self.key


@dataclass(frozen=True, slots=True)
class Back:
    """A value that a migration wrote, and what was there before; ``seq`` is the entry that holds it now: the
    migration's, or that of a later one's rollback, which put it there again. ``before`` None when another entry has
    come since, which ``cause`` caused.
    """

    scope_id: int
    scope: str
    key: str
    seq: int
    before: Any
    cause: int = 0


class Values(Protocol):
    """The values of a target. Reads take a view and are synchronous; writes happen in a unit."""

    kind: str
    """Kind of the entries that change such values."""

    def count(self, view: Reading) -> tuple[int, int]:
        """How many there are, and about how many bytes."""
        ...

    def try_key(self, view: Reading, /) -> None:
        """Open one of those that are sealed, if any is, so that a key that is wrong or not here is met before the first
        change. Raises WrongKey, NotFound.
        """
        ...

    def start(self, view: Reading, scope: str | None, key: str | None, /) -> Place:
        """The place after which to go on; with None, the one before all."""
        ...

    def page(self, view: Reading, after: Place, limit: int) -> list[Held]:
        """The next values in order."""
        ...

    def again(self, view: Reading, held: Held) -> Held | None:
        """The same value as it is now; None when it is gone."""
        ...

    def of_entry(self, view: Reading, entry: Entry) -> Held | None:
        """The value that an entry made, if it is among these and still the current one."""
        ...

    def is_old(self, held: Held, from_version: str, /) -> bool | None:
        """Whether a value is of the old version; None when only its schema can say."""
        ...

    def is_other(self, held: Held, plan: Plan, /) -> bool:
        """Whether it lies among these, but is one of another schema."""
        ...

    def stored(self, held: Held, made: Any, plan: Plan, /) -> Any:
        """What is to be written for what a plan made; None when that is what stands there."""
        ...

    def shown(self, held: Held, value: Any, /) -> Any:
        """The value as a sample shows it."""
        ...

    async def stands(self, writer: Writer, held: Held | Back) -> bool:
        """Whether the value is still the one that was read."""
        ...

    async def write(self, writer: Writer, held: Held, stored: Any) -> None:
        """Write what ``stored`` gave."""
        ...

    def before(self, view: Reading, entry: Entry) -> Back:
        """What an entry of the migration replaced."""
        ...

    async def put_back(self, writer: Writer, back: Back) -> bool:
        """Write what was there before; False when somebody else has written since the look."""
        ...


def caused_by(view: Reading, kind: str, cause: int, after: int, through: int, limit: int) -> tuple[list[Entry], int]:
    """Entries of a kind that an entry caused, from ``after`` on, some of them; and how far these go."""
    return _some(view, _CAUSED, (kind, cause), after, through, limit)


def by_others(view: Reading, kind: str, cause: int, after: int, through: int, limit: int) -> tuple[list[Entry], int]:
    """Entries of a kind that another one did not cause, some of them; and how far these go."""
    return _some(view, _OTHERS, (kind, cause), after, through, limit)


def cause_of(view: Reading, seq: int) -> int:
    """The entry that caused an entry; 0 for none."""
    row = view.one("SELECT cause FROM entry WHERE seq = ?", (seq,))
    return 0 if row is None else int(row[0])


def standing(view: Reading, seq: int, previous: Callable[[int], int]) -> int:
    """The entry whose value stands there: another one's, when a rollback wrote this one. ``previous`` gives the entry
    that one of them replaced; 0 is none.
    """
    while seq and view.one(_PUT_BACK, (seq,)) is not None:
        seq = previous(standing(view, previous(seq), previous))
    return seq


def _some(
    view: Reading, sql: str, which: tuple[str, int], after: int, through: int, limit: int
) -> tuple[list[Entry], int]:
    through = min(through, after + WINDOW_ENTRIES)
    chosen: list[int] = []
    room = PAGE_BYTES_MAX
    for seq, size in view.all(sql, (after, through, *which)):
        if len(chosen) == limit or (room < 0 and chosen):
            return check_rows(view.all(_AMONG, (str(chosen),))), chosen[-1]
        chosen.append(seq)
        room -= size or 0
    return check_rows(view.all(_AMONG, (str(chosen),))) if chosen else [], through
