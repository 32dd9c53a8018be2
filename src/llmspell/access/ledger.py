"""The record of who was let into another's scope, and who was refused: one entry a second for what repeats.

The first of a kind (principal, scope, rights) within a second is written at once, so that a kill loses no more than
repetitions of it; those that follow are counted, and the count goes with the next entry, at the latest when the store
is closed. What cannot be written now (the disk is full, another process holds the store) is counted as well; a handle
that was opened read-only writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from llmspell.access.kinds import AccessDenied as Refused
from llmspell.access.kinds import AccessUsed
from llmspell.access.projection import DENIED, USED
from llmspell.access.rights import rights_of
from llmspell.errors import Busy, LlmspellError, ReadOnly, StorageFailed
from llmspell.model import limits
from llmspell.model.context import ROOT, Context, current

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer

MANY = "*"
"""The scope of a record that stands for many different ones."""
_SECOND_NS = 1_000_000_000
_OWED_MAX = 4096
"""Kinds of access told apart while nothing can be written."""


class Access(NamedTuple):
    """One kind of access. ``code`` is why it was refused, empty when it was not."""

    principal: str
    scope: str
    mask: int
    code: str


class Ledger:
    """Counts of one store handle. Safe to share among threads."""

    def __init__(self, journal: Journal, *, read_only: bool, report: Callable[[str, BaseException], None]) -> None:
        self._journal = journal
        self._read_only = read_only
        self._report = report
        self._lock = Lock()
        self._second = 0
        self._seen: dict[Access, int] = {}
        """What was written in this second, with how often it happened since."""
        self._of: dict[str, int] = {}
        self._owed: dict[Access, int] = {}

    async def note(self, access: Access) -> None:
        """Count an access; write it if it is the first of its kind in this second. 1 µs when it is not."""
        if self._read_only:
            return
        second = self._journal.clock.now_ns() // _SECOND_NS
        with self._lock:
            if second == self._second:
                if access in self._seen:
                    self._seen[access] += 1
                    return
            else:
                self._turn(second)
            access = self._bounded(access)
            if access in self._seen:
                self._seen[access] += 1
                return
            self._seen[access] = 0
            self._owe(access, 1)
            due, self._owed = self._owed, {}
        await self._write(due, replace(current.get(), actor=access.principal, step=None))

    async def note_level(self, who: str, what: str, level: int, code: str) -> None:
        """Count an access to an artifact, whose rights are levels, each holding those below: 1 read, 2 write, 3 admin,
        which is recorded as the right to delete.
        """
        await self.note(Access(who, what, 1 << (level - 1), code))

    def count(self, access: Access) -> None:
        """Count an access that happens where nothing can be written; it goes with the next entry."""
        if not self._read_only:
            with self._lock:
                self._owe(access, 1)

    async def flush(self) -> None:
        """Write every count that is still owed. What cannot be written is reported, not raised."""
        with self._lock:
            self._turn(0)
            due, self._owed = self._owed, {}
        if due:
            await self._write(due, ROOT)

    def _turn(self, second: int) -> None:
        """Begin another second: what was counted in the one before is owed."""
        for access, count in self._seen.items():
            if count:
                self._owe(access, count)
        self._seen.clear()
        self._of.clear()
        self._second = second

    def _owe(self, access: Access, count: int) -> None:
        kept = access if len(self._owed) < _OWED_MAX else access._replace(scope=MANY)
        self._owed[kept] = self._owed.get(kept, 0) + count

    def _bounded(self, access: Access) -> Access:
        told_apart = self._of.get(access.principal, 0)
        if told_apart >= limits.ACCESS_RECORDS_PER_SECOND_MAX:
            return access._replace(scope=MANY)
        self._of[access.principal] = told_apart + 1
        return access

    async def _write(self, due: dict[Access, int], context: Context) -> None:
        async def unit(writer: Writer) -> None:
            scope = await writer.scope("global")
            for access, count in due.items():
                kind, payload = (DENIED, _denied(access, count)) if access.code else (USED, _used(access, count))
                await writer.append(kind, payload, scope, f"access/{access.principal}")

        try:
            await self._journal.write(unit, context=context)
        except LlmspellError as exc:
            if not isinstance(exc, Busy | ReadOnly | StorageFailed):
                raise
            with self._lock:
                for access, count in due.items():
                    self._owe(access, count)
            self._report("audit", exc)


def _used(access: Access, count: int) -> msgspec.Struct:
    return AccessUsed(access.principal, access.scope, list(rights_of(access.mask)), count)


def _denied(access: Access, count: int) -> msgspec.Struct:
    return Refused(access.principal, access.scope, list(rights_of(access.mask)), count, access.code)
