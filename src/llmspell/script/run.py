"""Run: one script under way, with everything that belongs to it, from its first entry to its last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell.errors import Conflict, InvalidInput, LlmspellError
from llmspell.journal.reading import entry_at
from llmspell.model.context import Context, current
from llmspell.operations.operation import Operation
from llmspell.operations.table import BY_NAME
from llmspell.runs.items import Called, Stopped
from llmspell.runs.recorder import Recorder
from llmspell.script.calls import Calls
from llmspell.script.divergence import diverged, ended_early
from llmspell.script.failures import CODE_CANCELLED, Halted, Stop
from llmspell.script.run_hooks import RunHooks
from llmspell.script.run_host import RunHost
from llmspell.script.strand import Strand
from llmspell.script.subscriptions import RunSubscriptions

if TYPE_CHECKING:
    from llmspell.model.entry import Entry
    from llmspell.ports.database import Reading
    from llmspell.runs.record import PastStep, Record
    from llmspell.script.engine import Engine, ScriptError
    from llmspell.script.grants import Grants
    from llmspell.script.step import Step
    from llmspell.sessions.session import AsyncSession
    from llmspell.store import AsyncStore

T = TypeVar("T")
CAUSES_KEPT = 64
"""Newest failures of host calls of which the Python exception is kept, to be chained to an uncaught error."""
PATIENCE_S = 600.0
"""How long a host call may take that states no wait of its own."""
_FATAL = frozenset({"run-taken-over", "diverged", "record-incomplete"})


class Run:
    """``live`` is set from the first step on that is not answered from the record; ``halted`` is why it must end.
    ``secret``: a step of it, of this attempt or an earlier one, handled a secret.
    """

    operations: Mapping[str, Operation] = BY_NAME
    _timer: asyncio.TimerHandle

    def __init__(
        self,
        store: AsyncStore,
        engine: Engine,
        run: str,
        name: str,
        session: AsyncSession,
        *,
        attempt: int,
        record: Record | None,
        config: Mapping[str, Any],
        grants: Grants,
        on_print: Callable[[str], None],
        patience_s: float | None = None,
    ) -> None:
        self.store = store
        self.engine = engine
        self.id = run
        self.name = name
        self.session = session
        self.attempt = attempt
        self.config = config
        self.grants = grants
        self.on_print = on_print
        self.language = engine.info.name
        self.patience_s = PATIENCE_S if patience_s is None else patience_s
        self.scope = f"session:{session.id}"
        self.over = False
        self.live = asyncio.Event()
        self.halted: Exception | None = None
        self.strands: list[Strand] = []
        self._record = record
        self.secret = record is not None and record.secret
        self._causes: dict[int, tuple[BaseException, str]] = {}
        self._outer = current.get()
        self._cause = 0
        self._clock = store.journal.clock.monotonic_ns
        self._began_ns = self._clock()
        self._base = self._context_in(session)
        self.recorder = self._recorder()
        self.main = Strand(self)
        self.calls = Calls(self)
        self.hooks = RunHooks(self)
        self.subscriptions = RunSubscriptions(self)
        self.host = RunHost(self)

    # -- where it is ---------------------------------------------------------------------------------------------------

    def begun(self, seq: int) -> None:
        """The entry that began this attempt; it is the cause of all that follows."""
        self._cause = seq
        self._base = self._context_in(self.session)
        self.recorder = self._recorder()

    def enter(self, session: AsyncSession) -> None:
        """What the script does from now on belongs to this session."""
        self._base = self._context_in(session)

    def context(self, step: Step | None) -> Context:
        """The context of what is done for a step, or (None) for the run as such."""
        return self._base.within(step)

    def _context_in(self, session: AsyncSession) -> Context:
        place, outer = session.acting.session, self._outer
        correlation, bounds = (None, None) if place is None else (place.correlation, place.bounds)
        return Context(session.key, correlation, outer.correlation, self._cause, f"script:{self.name}", None, bounds)

    def _recorder(self) -> Recorder:
        sealing = self.store.protection.sealing(self.scope)
        context = replace(self._base, bounds=None)  # what the record takes is not the script's doing
        return Recorder(self.store.journal, self.id, self.attempt, self.scope, context, sealing)

    # -- the record ----------------------------------------------------------------------------------------------------

    def past(self, step: Step) -> PastStep | None:
        """What the record knows of a step, once. Raises Halted (Diverged) when that was another step."""
        record = self._record
        if record is None:
            return None
        past = record.steps.pop(step.path, None)
        if past is None:
            return None
        if past.name != step.name or past.digest != step.digest:
            raise Halted(self.halt(diverged(step.path, past, step.name, step.args, self.id)))
        return past

    async def entries(self, past: PastStep) -> list[Entry]:
        """What a step had written when its run was interrupted, oldest first."""
        seqs = [seq for number in sorted(past.units) for seq in past.units[number].seqs]

        def found(view: Reading) -> list[Entry]:
            return [entry for seq in seqs if (entry := entry_at(view, seq)) is not None]

        return await self.store.journal.database.read(found)

    def calls_past(self, path: str) -> dict[int, Called]:
        """Callbacks that were called during a step, by their number, once."""
        return {} if self._record is None else self._record.calls.pop(path, {})

    def stopped(self, path: str) -> Stopped | None:
        """Where a callback's run was stopped, if it was."""
        return None if self._record is None else self._record.stops.pop(path, None)

    def demand_used_up(self) -> None:
        """The main line has ended: its record must have ended too. Raises Halted (Diverged)."""
        left = [] if self._record is None else [path for path in self._record.steps if path.isdigit()]
        if left and self._record is not None:
            path = min(left, key=int)
            raise Halted(self.halt(ended_early(path, self._record.steps[path], self.id)))

    def go_live(self) -> None:
        """From here on steps are done, not answered."""
        if not self.live.is_set():
            self.live.set()
            self.subscriptions.go_live({} if self._record is None else self._record.handled())

    # -- time ----------------------------------------------------------------------------------------------------------

    def monotonic_s(self) -> float:
        """Seconds on the store's monotonic clock."""
        return self._clock() / 1e9

    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return (self._clock() - self._began_ns) / 1e9

    def passed(self, elapsed_s: float) -> None:
        """So much had passed by the record."""
        self._began_ns = self._clock() - round(elapsed_s * 1e9)

    # -- going wrong ---------------------------------------------------------------------------------------------------

    def note_cause(self, call_id: int, cause: BaseException, path: str) -> None:
        """Keep the exception behind a failed host call, in case the script does not catch it."""
        self._causes[call_id] = cause, path
        if len(self._causes) > CAUSES_KEPT:
            del self._causes[next(iter(self._causes))]

    def cause_of(self, error: ScriptError) -> BaseException | None:
        """The exception behind an uncaught error."""
        return None if error.ref is None else self._causes.get(error.ref, (None, ""))[0]

    def retry_of(self, error: ScriptError) -> str | None:
        """The step to do again when the run is resumed: the last one of the main line, if its failure ended the run."""
        path = "" if error.ref is None else self._causes.get(error.ref, (None, ""))[1]
        return path if path and path == str(self.main.ordinal) else None

    def is_fatal(self, error: Exception | None) -> bool:
        """Whether a failure is one of the run rather than of its step."""
        return isinstance(error, LlmspellError) and error.code in _FATAL

    def halt(self, error: Exception) -> Exception:
        """The run cannot go on. The first error stands."""
        if self.halted is None:
            self.halted = error
        return self.halted

    # -- the main line -------------------------------------------------------------------------------------------------

    async def protect(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the run's work in a task of its own: a cancellation has it stop, but never cuts a write short.

        Raises CancelledError once everything under way has ended.
        """
        task = asyncio.create_task(self._inside(work), name=f"run {self.id}")
        self.main.task = task
        self._timer = asyncio.get_running_loop().call_later(self._watch_s(), self._watch)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                raise
            self.main.interrupt(Stop(CODE_CANCELLED, "the run was interrupted"))
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
            raise
        finally:
            self._timer.cancel()

    async def _inside(self, work: Coroutine[Any, Any, T]) -> T:
        self.strands.append(self.main)
        self.session.enter(self.session)
        try:
            return await work
        finally:
            self.session.leave()
            self.strands.remove(self.main)

    def _watch_s(self) -> float:
        return max(0.02, self.patience_s / 8)

    def _watch(self) -> None:
        """Look after host calls that take too long; the outermost one is ended first, and all inside with it."""
        now = self.monotonic_s()
        for strand in self.strands:
            step = strand.step
            if step is not None and now - step.begun_s > step.patience_s:
                strand.time_out(step)
                break
        self._timer = asyncio.get_running_loop().call_later(self._watch_s(), self._watch)

    async def close(self) -> None:
        """Let go of hooks, subscriptions and the engine. Nothing of the script runs after this."""
        self.over = True
        self.live.set()
        self.hooks.close()
        await self.calls.close()
        await self.subscriptions.close()
        self.engine.close()


def demand_same(run: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to resume a run on another engine than it began on. Raises Conflict (``engine-changed``)."""
    differing = [name for name in was if name not in {"library_version", "llmspell"} and was[name] != now.get(name)]
    if differing:
        shown = ", ".join(f"{name} was {was[name]!r}, is {now.get(name)!r}" for name in differing)
        raise Conflict(
            f"run {run} began on another engine: {shown}",
            code="engine-changed",
            hint="resume it with the version of llmspell that began it, or start a new run",
        )


def check_name(name: str) -> str:
    """The name of a script, as chunk name and actor. Raises InvalidInput (``invalid-name``)."""
    if type(name) is not str or not name or not name.isprintable() or len(name) > 200:
        raise InvalidInput(f"a script's name is 1 to 200 printable characters, not {name!r:.80}", code="invalid-name")
    return name
