"""Appending: a unit of work that writes entries, and through them the projections.

What must stay true: seq grows by one; ``at`` never decreases; each hash chains to the one before; the entry and the
rows it changes are one transaction; ids, times and randomness were drawn before the unit was submitted, so that a
batch may run again with the same result.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec
from blake3 import blake3

from llmspell.journal.asking import Asking, driven
from llmspell.journal.codec import store_payload
from llmspell.journal.kinds import (
    CLOCK_JUMPED,
    CORRELATION_OPENED,
    Applied,
    Apply,
    ClockJumped,
    CorrelationOpened,
    Kind,
    Kinds,
)
from llmspell.journal.lineage import Known, Lineage, find_scope
from llmspell.model.clock import Clock
from llmspell.model.context import Context, Correlation, current
from llmspell.model.entry import Entry, Head, entry_hash, payload_digest, subject_digest
from llmspell.model.ids import Ids
from llmspell.ports.database import Database, Transaction, Unit

if TYPE_CHECKING:
    from llmspell.journal.guards import Defaults, Guard, Settled

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
_INSERT = (
    "INSERT INTO entry (seq, id, at, clock, kind, kind_version, subject, session, correlation, cause, actor,"
    " codec, salt, payload, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_JUMP_NS = 3600 * 1_000_000_000


class Origin:
    """What a unit was given when it was submitted: time, a first id and salt, and the context it acts in."""

    __slots__ = ("clock", "context", "id", "jumped_s", "salt")

    def __init__(self, context: Context, clock: int, id_: bytes, salt: bytes, jumped_s: float) -> None:
        self.context = context
        self.clock = clock
        self.id = id_
        self.salt = salt
        self.jumped_s = jumped_s


class Writer:
    """One run of a unit: reads and appends in its transaction. ``appended`` are the seqs it wrote, in order.
    ``foreign`` are scopes in which it writes for a principal that they are not the own scope of.
    """

    __slots__ = (
        "_journal", "_tx", "_used", "all", "appended", "at", "defaults", "foreign", "generation", "guard", "learned",
        "one", "origin", "run", "settled",
    )  # fmt: skip

    def __init__(self, journal: Journal, tx: Transaction, origin: Origin) -> None:
        self._journal = journal
        self._tx = tx
        self.origin = origin
        self._used = 0
        self.appended: list[int] = []
        self.one = tx.one
        self.all = tx.all
        self.run = tx.run
        self.generation = tx.generation
        self.guard = journal.guard
        self.defaults = journal.defaults
        self.settled = journal.settled
        self.foreign: tuple[str, ...] = ()
        self.at = 0
        self.learned: dict[str, Known] | None = None

    @property
    def head_seq(self) -> int:
        """The newest entry's seq as this transaction sees it."""
        return self._tx.head.seq

    def known(self, name: str) -> tuple[int, bytes] | None:
        """Id and salt of a scope that was committed before; the quick half of ``scope``."""
        return self._journal.scopes.get(name)

    async def scope(self, name: str) -> tuple[int, bytes]:
        """Id and salt of a scope, made on its first use."""
        journal = self._journal
        found = journal.scopes.get(name)
        if found is not None:
            return found
        return await self.existing_scope(name) or await self.new_scope(name)

    async def existing_scope(self, name: str) -> tuple[int, bytes] | None:
        """Id and salt of a scope, None when nothing was ever written there: for units that may have nothing to do."""
        found = self._journal.scopes.get(name)
        if found is not None:
            return found
        known = await find_scope(self._tx, name)
        return None if known is None else self._learn(name, known)

    async def new_scope(self, name: str) -> tuple[int, bytes]:
        """Id and salt of a scope that is known not to exist: that of an id drawn just now."""
        salt = blake3(self.origin.salt + name.encode()).digest(16)
        row = await self._tx.add("INSERT INTO scope (name, salt) VALUES (?, ?) RETURNING id", (name, salt))
        return self._learn(name, Known(row[0], salt, None))

    def lineage(self, name: str) -> Lineage | None:
        """The lineage of a fork's scope, once ``scope`` or ``existing_scope`` found it; None for what is no fork."""
        found = self._journal.scopes.lineages.get(name)
        if found is None and self.learned is not None and name in self.learned:
            return self.learned[name].lineage
        return found

    def unlearn(self, name: str) -> None:
        """Let the scope be asked for again: this unit makes it more than it was."""
        if self.learned is not None:
            self.learned.pop(name, None)

    def _learn(self, name: str, known: Known) -> tuple[int, bytes]:
        if self.learned is None:
            self.learned = {}
        self.learned[name] = known
        return known.id, known.salt

    async def append(self, kind: Kind, payload: msgspec.Struct, scope: tuple[int, bytes], subject: str) -> int:
        """Append an entry about ``subject`` (``state/KEY``, ``session``, …) of a scope and apply it. Returns its
        seq.
        """
        origin = self.origin
        if self._used == 0 and (origin.jumped_s or origin.context.correlation is not None):
            await self._preface()
        tx = self._tx
        context = origin.context
        id_, salt = self._draw()
        head = tx.head
        seq = head.seq + 1
        at = max(origin.clock, head.at)
        self.at = at
        correlation = _correlation(context, origin.id)
        digest_of_subject = subject_digest(scope[1], subject)
        encoded = _encode(payload)
        codec, stored = store_payload(encoded)
        hash_ = entry_hash(
            head.hash, seq, id_, at, origin.clock, kind.name, kind.version, digest_of_subject, context.session,
            correlation,
            context.cause, context.actor, payload_digest(salt, encoded),
        )  # fmt: skip
        await tx.run(
            _INSERT,
            (seq, id_, at, origin.clock, kind.name, kind.version, digest_of_subject, context.session, correlation,
             context.cause, context.actor, codec, salt, stored, head.hash, hash_),
        )  # fmt: skip
        tx.head = Head(seq, hash_, at)
        self.appended.append(seq)
        if kind.apply is not None:
            await kind.apply(tx, Applied(seq, at, origin.clock, id_, context.session, correlation, scope[0], payload))
        if self._journal.watched():
            tx.announce(
                Entry(seq, id_, at, origin.clock, kind.name, kind.version, digest_of_subject, context.session,
                correlation,
                      context.cause, context.actor, encoded, hash_)
            )  # fmt: skip
        return seq

    async def append_imported(
        self, origin: Origin, kind: Kind, payload: msgspec.Struct, scope: tuple[int, bytes], subject: str
    ) -> int:
        """Append an entry that was first written in another store, with its own id, time and context: ``origin``.

        The projections are told that it happened then; ``at`` says when it came here. Its actor begins with
        ``imported:``, by which a rebuild knows. Returns its seq.
        """
        mine, used = self.origin, self._used
        self.origin, self._used = origin, 0
        try:
            return await self.append(replace(kind, apply=_as_it_happened(kind.apply)), payload, scope, subject)
        finally:
            self.origin, self._used = mine, used

    def draw_id(self) -> bytes:
        """Another id for this unit, the same at each of its runs."""
        return self._draw()[0]

    def _draw(self) -> tuple[bytes, bytes]:
        used = self._used
        self._used = used + 1
        origin = self.origin
        if used == 0:
            return origin.id, origin.salt
        following = (int.from_bytes(origin.id, "big") + used) & ((1 << 128) - 1)
        return following.to_bytes(16, "big"), blake3(origin.salt + used.to_bytes(4, "big")).digest(16)

    async def _preface(self) -> None:
        origin, journal = self.origin, self._journal
        self._used = 1 << 16  # The prefaced entries draw from a range of their own: the main entry keeps the first id.
        if origin.jumped_s:
            await self.append(CLOCK_JUMPED, ClockJumped(origin.jumped_s), await self.scope("global"), "clock")
        opened = origin.context.correlation
        chain = []
        while opened is not None and opened.id not in journal.announced:
            if await self._tx.one("SELECT 1 FROM correlation WHERE id = ?", (opened.id,)) is None:
                chain.append(opened)
            opened = opened.above
        for one in reversed(chain):
            payload = CorrelationOpened(one.id.hex(), one.name, one.parent.hex() if one.parent else None)
            await self.append(CORRELATION_OPENED, payload, await self.scope("global"), f"correlation/{one.id.hex()}")
        self._used = 0


def _as_it_happened(apply: Apply | None) -> Apply | None:
    if apply is None:
        return None
    return lambda tx, entry: apply(tx, msgspec.structs.replace(entry, at=entry.clock))


class Scopes:
    """Ids and salts of committed scopes. They never change while anything is there, so the cache cannot be stale; it is
    bounded by count. ``lineages`` are those of forks, known as long as their scopes are.
    """

    ENTRIES_MAX = 50_000

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, bytes]] = {}
        self.lineages: dict[str, Lineage] = {}

    def get(self, name: str) -> tuple[int, bytes] | None:
        """Id and salt, if this process has seen the scope committed."""
        return self._known.get(name)

    def put(self, name: str, known: Known) -> tuple[int, bytes]:
        """Remember a committed scope; gives its id and salt."""
        if len(self._known) >= self.ENTRIES_MAX:
            self._known.clear()  # Not the lineages: whoever has just found a scope is about to ask for its lineage.
        if known.lineage is None:
            self.lineages.pop(name, None)
        else:  # First: whoever finds the scope finds that it is a fork's.
            if len(self.lineages) >= self.ENTRIES_MAX:
                self._known.clear()
                self.lineages.clear()
            self.lineages[name] = known.lineage
        found = self._known[name] = known.id, known.salt
        return found

    def forget(self, name: str) -> None:
        """A scope got another salt, which only its shredding gives it. Forks are asked for anew, their lineages too."""
        for one in (name, *self.lineages):
            self._known.pop(one, None)

    def __len__(self) -> int:
        return len(self._known)


class Journal:
    """The one way to change a store. Shared by all rooms of a handle."""

    def __init__(
        self, database: Database, kinds: Kinds, clock: Clock, ids: Ids, *, watched: Callable[[], bool] = lambda: False
    ) -> None:
        self.database = database
        self.kinds = kinds
        self.clock = clock
        self.ids = ids
        self.scopes = Scopes()
        self.announced: set[bytes] = set()
        self.watched = watched
        self.guard: Guard | None = None
        self.defaults: Defaults | None = None
        self.settled: Settled | None = None
        self._last = (clock.now_ns(), clock.monotonic_ns())
        self._jumped_s = 0.0

    async def write(
        self, work: Callable[[Writer], Awaitable[T]], *, context: Context | None = None, strong: bool = False
    ) -> T:
        """Commit ``work`` as one unit. Its writer draws ids and time captured now, in the caller's context."""
        context = context or current.get()
        if context.bounds is not None:
            work = context.bounds.around(work)
        if context.step is not None:
            return await context.step.write(self, work, context, strong=strong)  # type: ignore[no-any-return]
        origin = self.origin(context)
        last: Writer

        def unit(tx: Transaction) -> Awaitable[T]:
            nonlocal last
            last = Writer(self, tx, origin)
            return work(last)

        try:
            result = await self.database.write(unit, strong=strong)
        except BaseException:
            self._jumped_s += origin.jumped_s  # Nothing was written: the next entry tells of the jump.
            raise
        if origin.jumped_s and not last.appended:
            self._jumped_s += origin.jumped_s
        if last.learned is not None:
            for name, known in last.learned.items():
                self.scopes.put(name, known)
        if origin.context.correlation is not None and last.appended:
            self._note_announced(origin.context.correlation)
        return result

    def unit_of(self, work: Callable[[Writer], Awaitable[T]], *, context: Context) -> Unit[T]:
        """The unit that ``write`` would commit, for whoever commits it otherwise; time and ids are drawn now."""
        origin = self.origin(context)
        self._jumped_s, origin.jumped_s = self._jumped_s + origin.jumped_s, 0.0  # Told by the next entry of ``write``.
        return lambda tx: work(Writer(self, tx, origin))

    def _note_announced(self, correlation: Correlation | None) -> None:
        while correlation is not None and correlation.id not in self.announced:
            if len(self.announced) >= Scopes.ENTRIES_MAX:
                self.announced.clear()  # It only saves a look at the table.
            self.announced.add(correlation.id)
            correlation = correlation.above

    def origin(self, context: Context) -> Origin:
        """Draw time, id and salt for a unit. A wall clock that jumped by over an hour is noted for the journal."""
        now, steady = self.clock.now_ns(), self.clock.monotonic_ns()
        before, self._last = self._last, (now, steady)
        drift = (now - before[0]) - (steady - before[1])
        jumped_s = drift / 1e9 if not -_JUMP_NS < drift < _JUMP_NS else 0.0
        if self._jumped_s:
            jumped_s, self._jumped_s = jumped_s + self._jumped_s, 0.0
        return Origin(context, now, self.ids.new(), self.ids.salt(), jumped_s)

    async def scope(self, name: str) -> tuple[int, bytes] | None:
        """Id and salt of a scope; None when nothing was ever written there."""
        found = self.scopes.get(name)
        if found is None:
            known = await self.database.read(lambda view: driven(find_scope(Asking(view), name)))
            found = None if known is None else self.scopes.put(name, known)
        return found

    async def lineage(self, name: str) -> Lineage | None:
        """The lineage of a fork's scope; None for what is no fork, or was never written to."""
        await self.scope(name)
        return self.scopes.lineages.get(name)


def _correlation(context: Context, own: bytes) -> bytes:
    if context.correlation is not None:
        return context.correlation.id
    return context.session_correlation or own
