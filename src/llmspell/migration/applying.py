"""A plan being applied: batch after batch, each one transaction of bounded time.

A batch is read and prepared first; its transaction then looks whether each value is still the one that was read,
writes, and says how far that got. So no writer waits for transforms, what somebody else writes meanwhile is migrated as
well, and a kill at any point leaves whole batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from llmspell.errors import Conflict, InvalidInput, LimitExceeded
from llmspell.hooks.moment import run_point
from llmspell.migration import units
from llmspell.migration.held import Held, Place, by_others
from llmspell.migration.kinds import MigrationBatch, MigrationCompleted
from llmspell.migration.preparing import PROBLEMS_MAX, Preparation, Prepared
from llmspell.migration.values import Problem
from llmspell.model.telling import told

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.offload import Offload
    from llmspell.ports.database import Reading

BATCH_NS = 6_000_000
"""What a transaction is to take on a machine that is not busy; the size of batches follows from it. A tenth of the
longest that another writer is to wait: on a busy machine, whoever holds the turn may be put off several times.
"""
_REMEMBERED = 4
BATCH_VALUES_FIRST = 64
BATCH_VALUES_MAX = 5000
ATTEMPTS_MAX = 1000
"""Times that a batch is prepared anew because somebody keeps writing its values."""
_FINISHING_MAX = 50
MigrationProgress = Callable[[int, int], Any]


@dataclass(slots=True)
class Counts:
    """Values looked at, written, and left because something is wrong with them."""

    seen: int = 0
    changed: int = 0
    skipped: int = 0


class Pace:
    """How many values a transaction takes, from how long the last ones took."""

    def __init__(self, most: int | None) -> None:
        if most is not None and (type(most) is not int or not 1 <= most <= BATCH_VALUES_MAX):
            raise InvalidInput(f"a batch has 1 to {BATCH_VALUES_MAX:,} values, not {told(most)}", code="invalid-batch")
        self._most = most or BATCH_VALUES_MAX
        self.size = min(self._most, BATCH_VALUES_FIRST)
        self._costs: deque[float] = deque(maxlen=_REMEMBERED)

    def took(self, values: int, nanoseconds: int) -> None:
        """Learn from the slowest of the last few. Grows twofold at most, shrinks at once."""
        if not values:
            return
        self._costs.append(max(nanoseconds, 1) / values)
        wanted = int(BATCH_NS / max(self._costs))
        self.size = max(1, min(self._most, self.size * 2, wanted))

    def halve(self) -> None:
        """Somebody keeps writing: fewer values are fewer to meet."""
        self.size = max(1, self.size // 2)


class Tools:
    """What every application needs of the store and the caller."""

    def __init__(
        self, journal: Journal, hooks: Hooks, offload: Offload, context: Context, progress: MigrationProgress | None,
        timeout_s: float | None,
    ) -> None:  # fmt: skip
        self.journal = journal
        self.hooks = hooks
        self.context = context
        self._offload = offload
        self._progress = progress
        self.now: Callable[[], int] = journal.clock.monotonic_ns
        self.begun = self.now()
        self._deadline = None if timeout_s is None else self.begun + round(timeout_s * 1e9)
        self._timeout_s = timeout_s

    async def write(self, work: Callable[[Writer], Any]) -> Any:
        """One unit."""
        return await self.journal.write(work, context=self.context)

    async def read(self, query: Callable[[Any], Any]) -> Any:
        """One consistent look."""
        return await self.journal.database.read(query)

    async def pause(self) -> None:
        """Let others have the loop, and other processes that wait to write the turn."""
        await self._offload.run(self.journal.database.give_way)

    def tell(self, done: int, total: int) -> None:
        """Tell the caller how far it is, and see that there is time left. Raises LimitExceeded
        (``migration-timeout``).
        """
        if self._progress is not None:
            self._progress(done, max(total, done))
        if self._deadline is not None and self.now() > self._deadline:
            raise LimitExceeded(
                f"the migration took longer than the {self._timeout_s:g} s it was given", code="migration-timeout"
            )

    @property
    def seconds(self) -> float:
        """Since it began."""
        return (self.now() - self.begun) / 1e9


class Application:
    """One attempt to carry a plan through."""

    def __init__(
        self, tools: Tools, preparation: Preparation, pace: Pace, run: tuple[str, int], started: int, total: int,
        counts: Counts, *, tolerant: bool,
    ) -> None:  # fmt: skip
        """``tolerant``: values with problems are left as they are instead of failing it."""
        self._tools = tools
        self._preparation = preparation
        self.values = self._values = preparation.values
        self._pace = pace
        self.run = run
        self._id, self._attempt = run
        self._started = started
        self._total = total
        self._tolerant = tolerant
        self._number = 0
        self.counts = counts
        self.problems: list[Problem] = []

    async def forward(self, after: Place) -> None:
        """Migrate all values beyond a place, then what others wrote meanwhile, and write the last entry.

        Raises InvalidInput (``migration-failed``), Vetoed, LimitExceeded (``migration-timeout``), Conflict.
        """
        tools, attempts = self._tools, 0
        tools.tell(self.counts.seen, self._total)
        while page := await self._page(after):
            moved = await self._batch(page, self._preparation.page(page, self._started), page[-1])
            if moved:
                attempts += 1
                self._demand_rest(attempts, page)
                continue
            after, attempts = page[-1].place, 0
            tools.tell(self.counts.seen, self._total)
            await tools.pause()
        await self._finish()

    async def _page(self, after: Place) -> list[Held]:
        page: list[Held] = await self._tools.read(lambda view: self._values.page(view, after, self._pace.size))
        return page

    async def _batch(self, page: list[Held], prepared: Prepared, last: Held) -> bool:
        """Write one batch; whether values moved and nothing was written."""
        await self._tools.pause()
        self._note(prepared.problems)
        data = self._data(len(page))
        await self._point("before_migration_batch", data)
        counts = replace(self.counts)
        counts.seen += len(page)
        counts.changed += len(prepared.writes)
        counts.skipped += len(prepared.problems)
        mark = MigrationBatch(
            self._id, self._attempt, last.scope, last.key, counts.seen, counts.changed, counts.skipped,
            [one.to_dict() for one in prepared.problems[:PROBLEMS_MAX]],
        )  # fmt: skip
        if await self._write(prepared, mark):
            return True
        self.counts = counts
        self._number += 1
        self.problems += prepared.problems[: PROBLEMS_MAX - len(self.problems)]
        await self._point("after_migration_batch", data | {"changed": len(prepared.writes), "done": counts.seen})
        return False

    async def _write(self, prepared: Prepared, mark: MigrationBatch | None) -> bool:
        tools = self._tools
        moved, took = await tools.write(
            lambda writer: units.batch(
                writer, self._values, prepared.writes, mark, tools.now, (self._id, self._attempt)
            )
        )
        self._pace.took(len(prepared.writes), took)
        if moved:
            self._pace.halve()
        return bool(moved)

    async def _finish(self) -> None:
        """What others wrote since the start where all was migrated, until nobody did since the last look."""
        bound = self._started
        for attempt in range(_FINISHING_MAX):
            bound = await self._late(bound)
            counts = self.counts
            last = MigrationCompleted(self._id, self._attempt, counts.seen, counts.changed, counts.skipped)
            final = attempt + 1 == _FINISHING_MAX
            if await self._tools.write(partial(self._complete, last, bound, final)):
                return

    async def _complete(self, last: MigrationCompleted, bound: int, final: bool, writer: Writer) -> int:
        return await units.complete(
            writer, last, self._preparation.plan, self._values.kind, self._started, bound, final
        )

    async def _late(self, after: int) -> int:
        """Migrate old forms among what others wrote after an entry; gives the entry up to which that was looked at."""
        row = await self._tools.read(lambda view: view.one("SELECT max(seq) FROM entry"))
        head, attempts = int(row[0]), 0
        while after < head:
            found, through = await self._tools.read(partial(self._others, after, head))
            made = [(held, self._preparation.late(held)) for held in found]
            problems = [one for _, one in made if isinstance(one, Problem)]
            prepared = Prepared([(held, one[0]) for held, one in made if isinstance(one, tuple)], problems)
            self._note(problems)
            if prepared.writes and await self._write(prepared, None):
                attempts += 1
                self._demand_rest(attempts, found)
                continue
            self.counts.changed += len(prepared.writes)
            self.counts.skipped += len(problems)
            self.problems += problems[: PROBLEMS_MAX - len(self.problems)]
            after, attempts = through, 0
        return head

    def _others(self, after: int, head: int, view: Reading) -> tuple[list[Held], int]:
        entries, through = by_others(view, self._values.kind, self._started, after, head, self._pace.size)
        return [held for entry in entries if (held := self._values.of_entry(view, entry)) is not None], through

    def _note(self, problems: list[Problem]) -> None:
        if problems and not self._tolerant:
            raise failed(problems)

    def _demand_rest(self, attempts: int, page: list[Held]) -> None:
        if attempts >= ATTEMPTS_MAX:
            key = page[0].key
            raise Conflict(f"{key!r} and its neighbours kept changing through {attempts} attempts", key=key)

    def _data(self, count: int) -> dict[str, Any]:
        plan = self._preparation.plan
        return {
            "id": self._id, "name": plan.name, "from_version": plan.from_version, "to_version": plan.to_version,
            "operation": "batch", "number": self._number + 1, "count": count, "done": self.counts.seen,
            "total": self._total,
        }  # fmt: skip

    async def _point(self, point: str, data: dict[str, Any]) -> None:
        await run_point(self._tools.hooks, self._tools.context, point, "migration", "batch", data)


def failed(problems: list[Problem]) -> InvalidInput:
    """The error for values that cannot be migrated."""
    more = f" (and {len(problems) - 1} more values of its batch)" if len(problems) > 1 else ""
    return InvalidInput(
        f"the migration failed at {problems[0]}{more}",
        code="migration-failed",
        hint="a dry run names every such value; validation='report' leaves them as they are",
        problems=[one.to_dict() for one in problems[:PROBLEMS_MAX]],
    )
