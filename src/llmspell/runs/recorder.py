"""Writing a run's record while the run goes on.

What must stay true: a unit of work that changed the store and the record of it are one transaction, so that a kill can
neither lose an effect's record nor lead to the effect being made twice; and everything recorded before it is in the
journal by then, so that the record has no gaps. What changed nothing is held back and goes with the next unit, or when
it becomes many. Writing an item twice is harmless: a later one of the same path and number replaces the earlier.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from llmspell.model.ids import id_bytes
from llmspell.runs.items import Item, UnitDone, encode, seal
from llmspell.runs.kinds import RunFailed, RunFinished, RunRecorded
from llmspell.runs.results import seal_result
from llmspell.runs.units import demand_attempt, end, record

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context

T = TypeVar("T")
HELD_ITEMS_MAX = 256
"""Items that are held back at most before they are written."""
HELD_BYTES_MAX = 64 << 10


class Recorder:
    """The open end of one run's record. ``context`` is what entries of its own are written in."""

    def __init__(
        self, journal: Journal, run: str, attempt: int, scope: str, context: Context,
        sealing: Callable[[str, bytes], str],
    ) -> None:  # fmt: skip
        """``sealing`` gives the sealed text of a path's item."""
        self._sealing = sealing
        self._journal = journal
        self._run = run
        self._key = id_bytes(run)
        self._attempt = attempt
        self._scope = scope
        self._context = context
        self._held: list[msgspec.Raw] = []
        self._bytes = 0
        self._head = 0

    @property
    def full(self) -> bool:
        """Whether so much is held back that it is to be written now."""
        return len(self._held) >= HELD_ITEMS_MAX or self._bytes >= HELD_BYTES_MAX

    def note(self, item: Item, *, secret: bool = False) -> None:
        """Hold an item back until the next write; sealed if it holds what must not be on disk in clear."""
        raw = seal(item, self._sealing) if secret else encode(item)
        self._bytes += len(raw)
        self._held.append(msgspec.Raw(raw))

    async def flush(self) -> None:
        """Write what is held back, if there is any. Raises Conflict (``run-taken-over``)."""
        held = self._take()
        if not held:
            return

        async def unit(writer: Writer) -> None:
            await self._demand_turn(writer)
            await record(writer, self._scope, RunRecorded(self._run, held))

        try:
            await self._journal.write(unit, context=self._context)
        except BaseException:
            self._give_back(held)
            raise

    async def finish(self, last: RunFinished | RunFailed, *, secret: bool = False) -> None:
        """Write what is held back and the run's last entry, in one unit; ``secret``: what it gave or said is sealed.
        Raises Conflict (``run-taken-over``).
        """
        if secret:
            last = seal_result(last, self._sealing)
        held = self._take()

        async def unit(writer: Writer) -> None:
            await demand_attempt(writer, self._key, self._attempt)
            if held:
                await record(writer, self._scope, RunRecorded(self._run, held))
            await end(writer, self._scope, last)

        await self._journal.write(unit, context=self._context)

    async def commit(
        self, work: Callable[[Writer], Awaitable[T]], mark: UnitDone, context: Context, *, strong: bool, secret: bool
    ) -> T:
        """Commit ``work`` with its record in one unit. ``mark`` says which unit of which step this is; ``secret``: it
        is sealed.
        """
        held = self._take()
        head = 0

        async def unit(writer: Writer) -> T:
            nonlocal head
            head = 0
            await self._demand_turn(writer)
            value = await work(writer)
            if writer.appended:
                mark.seqs, mark.value = list(writer.appended), plain(value)
                raw = seal(mark, self._sealing) if secret else encode(mark)
                head = await record(writer, self._scope, RunRecorded(self._run, [*held, msgspec.Raw(raw)]))
            return value

        try:
            value = await self._journal.write(unit, context=context, strong=strong)
        except BaseException:
            self._give_back(held)
            raise
        if head:
            self._head = head
        else:
            self._give_back(held)
            mark.value = plain(value)
            self.note(mark, secret=secret)
        return value

    async def _demand_turn(self, writer: Writer) -> None:
        """Nobody else has begun an attempt; nobody can have, while the newest entry is this one's own."""
        if writer.head_seq != self._head:
            await demand_attempt(writer, self._key, self._attempt)

    def _take(self) -> list[msgspec.Raw]:
        held, self._held, self._bytes = self._held, [], 0
        return held

    def _give_back(self, held: list[msgspec.Raw]) -> None:
        self._held[:0] = held
        self._bytes += sum(map(len, map(bytes, held)))


_STRUCTS: dict[str, type[msgspec.Struct]] = {}


def keep_struct(struct: type[msgspec.Struct]) -> None:
    """Let units give values of this type: the wiring names those that rooms' units give."""
    _STRUCTS[struct.__name__] = struct


def plain(value: Any) -> Any:
    """What a unit of work gave, in JSON types. A type nobody named stands as unknown: it cannot be given again."""
    if isinstance(value, msgspec.Struct):
        name = type(value).__name__
        return {"$struct": name, "fields": msgspec.to_builtins(value)} if name in _STRUCTS else {"$unknown": name}
    if isinstance(value, tuple):
        return {"$tuple": [plain(item) for item in value]}
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return {"$unknown": type(value).__name__}


def revived(value: Any) -> Any:
    """The inverse of ``plain``. Raises LookupError for what could not be kept."""
    if not isinstance(value, dict):
        return value
    if "$struct" in value:
        return msgspec.convert(value["fields"], _STRUCTS[value["$struct"]])
    if "$tuple" in value:
        return tuple(revived(item) for item in value["$tuple"])
    if "$unknown" in value:
        raise LookupError(f"a {value['$unknown']} could not be kept")
    return value
