"""Strand: one line of execution of a script, and the driver of its host calls.

The main line of a script is a strand, and so is each run of one of its callbacks. What must stay true: a strand waits
for one step at a time; a step is settled only after every callback that was called while it waited has come to its end;
and nothing cuts a write short: who wants a strand to stop waits for the write under way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell.errors import InvalidInput, LimitExceeded, LlmspellError
from llmspell.model.context import current
from llmspell.operations.operation import Effect, Operation
from llmspell.runs.items import StepDone, digest_of
from llmspell.script.engine import CODE_NOT_AVAILABLE, CallbackRef, Done, EngineEvent, HostCall
from llmspell.script.failures import CODE_CALL_TIMEOUT, Halted, Stop, failure_of
from llmspell.script.step import Step

if TYPE_CHECKING:
    from llmspell.runs.record import PastStep
    from llmspell.runs.recorder import Recorder
    from llmspell.script.run import Run

T = TypeVar("T")
FLUSH_WAIT_S = 0.05
"""Before a wait longer than this, what is held back of the record is written."""
TURN_STEPS = 32
"""Steps after which the event loop gets to run once, even if nothing of them had to wait."""
Act = Callable[[], Awaitable[Any]]


class Strand:
    """``path`` is empty for the main line. ``step`` is what it waits for now. ``stop_at`` is the step at which its
    record says it was stopped.
    """

    def __init__(self, run: Run, path: str = "") -> None:
        self.run = run
        self.path = path
        self.ordinal = 0
        self.step: Step | None = None
        self.run_id = 0
        self.secret = False
        self._turn = asyncio.Lock()
        self._callers = 0
        self.task: asyncio.Task[Any] | None = None
        self.stop: Stop | None = None
        self.stop_at: tuple[int, Stop] | None = None
        self._writing = 0

    @property
    def recorder(self) -> Recorder:
        """Where its steps are recorded."""
        return self.run.recorder

    # -- following the engine ------------------------------------------------------------------------------------------

    async def follow(self, events: list[EngineEvent]) -> Done:
        """Answer the host calls of one engine run until it is done. Raises Halted, CancelledError."""
        waiting = deque(events)
        first = events[0]
        self.run_id = first.strand if isinstance(first, HostCall) else first.run_id
        while True:
            event = waiting.popleft()
            if isinstance(event, HostCall):
                waiting.extend(await self._answer(event))
            elif event.run_id == self.run_id:
                return event

    async def _answer(self, call: HostCall) -> list[EngineEvent]:
        run = self.run
        operation = run.operations.get(call.name)
        try:
            if operation is None:
                raise InvalidInput(f"{call.name} is not available in this version", code=CODE_NOT_AVAILABLE)
            values = operation.take(call.args)
            if operation.effect is Effect.PURE:
                return self._settle(call, await operation.perform(run.host, **values))
        except LlmspellError as exc:
            self._let_go(call.args)
            return self._refuse(call, exc)
        step = self._next(operation, call.args)
        past = run.past(step)
        if self.stop_at is not None and self.stop_at[0] == self.ordinal:
            await run.calls.replay_all(step, run.calls_past(step.path))
            return run.engine.stop(self.run_id, self.stop_at[1].code, self.stop_at[1].message)
        if past is not None and past.done is not None:
            result, error = await self._recall(step, operation, values, past.done)
        else:
            result, error = await self._perform(step, operation, values, past)
        return self._settle(call, result) if error is None else self._refuse(call, error)

    def _settle(self, call: HostCall, result: Any) -> list[EngineEvent]:
        try:
            return self.run.engine.settle(call.call_id, True, result)  # noqa: FBT003 - the port's own signature
        except InvalidInput as exc:
            return self._refuse(call, exc)

    def _let_go(self, args: list[Any]) -> None:
        """Functions that came with a call that was refused are not kept."""
        for arg in args:
            for value in arg.values() if isinstance(arg, dict) else (arg,):
                if isinstance(value, CallbackRef):
                    self.run.engine.release(value.id)

    def _refuse(self, call: HostCall, error: Exception | dict[str, Any]) -> list[EngineEvent]:
        fields = error if isinstance(error, dict) else failure_of(error)
        cause = LlmspellError(fields["message"], code=fields["code"]) if isinstance(error, dict) else error
        self.run.note_cause(call.call_id, cause, f"{self._prefix}{self.ordinal}")
        return self.run.engine.settle(call.call_id, False, fields)  # noqa: FBT003 - the port's own signature

    @property
    def _prefix(self) -> str:
        return f"{self.path}." if self.path else ""

    def _next(self, operation: Operation, args: list[Any]) -> Step:
        self.ordinal += 1
        path = f"{self._prefix}{self.ordinal}"
        return Step(self, path, operation.title, *digest_of(args, whole=operation.whole))

    # -- steps ---------------------------------------------------------------------------------------------------------

    async def aside(self, path: str, name: str, args: list[Any], act: Act, *, wait_s: float = 0.0) -> Any:
        """A step that the host itself takes for the run, by a path of its own. Raises what ``act`` raises."""
        step = Step(self, path, name, *digest_of(args))
        past = self.run.past(step)
        if past is not None and past.done is not None and past.done.error is None:
            return past.done.result
        result, error = await self._act(step, act, past, wait_s)
        if isinstance(error, Exception):
            raise error
        return result

    async def _perform(
        self, step: Step, operation: Operation, values: Mapping[str, Any], past: PastStep | None
    ) -> tuple[Any, Exception | None]:
        host = self.run.host
        if past is not None and past.units and operation.made is not None:
            kinds, tell = operation.made
            made = [entry for entry in await self.run.entries(past) if entry.kind in kinds.split()]
            if made:
                return await self._act(step, lambda: tell(host, values, made), past, 0.0)
        wait_s = 0.0 if operation.wait_s is None else operation.wait_s(values)
        return await self._act(step, lambda: operation.perform(host, **values), past, wait_s, shorten=operation.shorten)

    async def _act(
        self,
        step: Step,
        act: Act,
        past: PastStep | None,
        wait_s: float,
        *,
        shorten: Callable[[Any], Any] | None = None,
    ) -> tuple[Any, Exception | None]:
        """Do it now, record it, and give (result, error)."""
        run = self.run
        run.go_live()
        if wait_s > FLUSH_WAIT_S:
            await self.flush()
        self._begin(step, past, wait_s)
        result: Any = None
        error: Exception | None = None
        try:
            result = await self._among_calls(step, act)
        except asyncio.CancelledError:
            if not step.late or self.stop is not None:
                raise
            self._demand_task().uncancel()
            error = LimitExceeded(f"{step.name} took longer than {step.patience_s:g} s", code=CODE_CALL_TIMEOUT)
        except Halted:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever an operation raises, the script is told of it
            error = exc
        await self.quiet()
        await self._end(step, result if shorten is None or error is not None else shorten(result), error)
        return result, error

    async def _among_calls(self, step: Step, act: Act) -> Any:
        """Do it amid the callbacks that were called during it before the run was interrupted, in their order."""
        calls = self.run.calls
        await calls.replay_foreign(step)
        try:
            result = await act()
        except Halted:
            raise
        except Exception:
            await calls.replay_foreign(step, every=True)
            raise
        await calls.replay_foreign(step, every=True)
        return result

    def _begin(self, step: Step, past: PastStep | None, wait_s: float) -> None:
        run = self.run
        step.take_up(past, run.calls_past(step.path))
        step.begun_s = run.monotonic_s()
        step.patience_s = run.patience_s + wait_s
        self.step = step
        current.set(run.context(step))

    async def _end(self, step: Step, result: Any, error: Exception | None) -> None:
        run = self.run
        if run.halted is not None:
            raise Halted(run.halted)
        if self.stop is not None:
            raise asyncio.CancelledError
        fatal = run.is_fatal(error)
        if fatal:
            raise Halted(run.halt(error))  # type: ignore[arg-type]
        if step.wrote:
            done = StepDone(step.path, keep=step.keep)
        else:
            done = StepDone(step.path, step.name, step.digest, step.args, keep=step.keep)
        if error is None:
            done.result = result
        else:
            done.error = failure_of(error)
        self.recorder.note(done, secret=step.secret)
        if self.recorder.full:
            await self.flush()
        if self.ordinal % TURN_STEPS == 0:
            await asyncio.sleep(0)

    async def _recall(
        self, step: Step, operation: Operation, values: Mapping[str, Any], done: StepDone
    ) -> tuple[Any, Exception | dict[str, Any] | None]:
        """Give what the record has, after the callbacks that were called meanwhile were called again."""
        run = self.run
        step.replaying = True
        step.kept = done.keep
        await run.calls.replay_all(step, run.calls_past(step.path))
        if done.error is not None:
            return None, done.error
        current.set(run.context(step))
        try:
            if operation.effect is Effect.LOCAL:
                await operation.perform(run.host, **values)
            result = (
                done.result if operation.restore is None else await operation.restore(run.host, done.result, done.keep)
            )
        except LlmspellError as exc:
            raise Halted(run.halt(exc)) from exc
        finally:
            step.over = True
        if operation.recalled is not None:
            operation.recalled(run.host, values, result)
        return result, None

    # -- stopping ------------------------------------------------------------------------------------------------------

    async def quiet(self) -> None:
        """Wait for callbacks that were called during the step; after that it is over, and no other can begin in it."""
        if self._callers:
            async with self._turn:
                self._decide()
        else:
            self._decide()

    def _decide(self) -> None:
        if self.step is not None:
            self.step.over = True
            self.step = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """The turn to call a callback while this strand waits; first come, first served."""
        self._callers += 1
        try:
            async with self._turn:
                yield
        finally:
            self._callers -= 1

    async def flush(self) -> None:
        """Write what is held back of the record. Raises Halted when that fails."""
        try:
            await self.uninterrupted(self.recorder.flush())
        except LlmspellError as exc:
            raise Halted(self.run.halt(exc)) from exc

    def interrupt(self, stop: Stop) -> None:
        """Have it stop as soon as no write is under way. The first reason stands."""
        if self.stop is None:
            self.stop = stop
            self._press()

    def time_out(self, step: Step) -> None:
        """Have one step fail because it takes too long, if it can still be kept from ending well."""
        if not step.over and not step.late and not self._writing:
            step.late = True
            self._press()

    async def uninterrupted(self, work: Awaitable[T]) -> T:
        """Await a write: nobody cancels the strand's task meanwhile; who wanted to is heard afterwards."""
        self._writing += 1
        try:
            value = await work
        finally:
            self._writing -= 1
        if self.stop is not None:
            raise asyncio.CancelledError
        return value

    def _press(self) -> None:
        if not self._writing and self.task is not None and not self.task.done():
            self.task.cancel()

    def _demand_task(self) -> asyncio.Task[Any]:
        if self.task is None:
            raise RuntimeError("a strand without a task cannot have timed out")
        return self.task
