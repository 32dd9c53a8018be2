"""Calls: the script's callbacks, called by hooks and events while the script waits.

What must stay true: callbacks that are called during one step run one after the other, each to its end, before the step
is settled; so a script sees an order, and the record can repeat it. A call caused by the step's own operation belongs
to that step; any other is given to the step that the main line waits for when its turn comes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from llmspell.errors import LlmspellError
from llmspell.model.context import current
from llmspell.runs.items import Called, Stopped
from llmspell.script.engine import CODE_TIME_LIMIT, Done, ScriptError
from llmspell.script.failures import CODE_CALLBACK_LATE, Halted, Stop, script_failed
from llmspell.script.step import Step
from llmspell.script.strand import Strand

if TYPE_CHECKING:
    from llmspell.script.run import Run

_BETWEEN_STEPS_S = 0.001


class Calls:
    """All callbacks of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tasks: dict[asyncio.Task[Any], Strand] = {}

    async def deliver(self, callback: int, args: list[Any], *, origin: str = "") -> Any:
        """Call a callback and give what it returned; None when the run is over.

        Cancelling stops the callback where it waits for the host. Raises ScriptFailed when it failed or was stopped.
        """
        run = self._run
        cause = current.get().step
        step = cause if isinstance(cause, Step) and cause.strand.run is run and not cause.over else None
        if run.over or (step is not None and step.replaying):
            return None
        strand = Strand(run)
        work = (
            self._foreign(strand, callback, args, origin) if step is None else self._own(strand, step, callback, args)
        )
        task = asyncio.create_task(work, name=f"callback {callback}")
        strand.task = task
        self._tasks[task] = strand
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                return None  # The run was stopped before the callback had its turn.
            strand.interrupt(Stop(CODE_CALLBACK_LATE, "the callback was not waited for any longer"))
            raise

    def interrupt(self, stop: Stop) -> None:
        """Stop all callbacks: those that run where they wait, and those that wait for their turn."""
        for strand in list(self._tasks.values()):
            strand.interrupt(stop)

    async def close(self) -> None:
        """Wait for those that still wait for a turn, and are told that the run is over."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not task.cancelled():
            task.exception()  # Whoever waited has it; if nobody does any longer, it is no surprise.

    async def _own(self, strand: Strand, step: Step, callback: int, args: list[Any]) -> Any:
        async with step.strand.serving():
            if step.over:
                return None
            while step.calls_past:
                number, past = step.calls_past[0]
                if past.own and past.callback != callback:
                    break
                step.calls_past.popleft()
                anew = past.own and step.undone
                value = await (
                    self._anew(strand, step, number, callback, args) if anew else self._again(step, number, past)
                )
                if past.own and (anew or step.units or step.answers or past.args == args):
                    await self.replay_foreign(step, locked=True)
                    if isinstance(value, LlmspellError):
                        raise value
                    return value
            return await self._call(strand, step, callback, args, own=True, origin="")

    async def _anew(self, strand: Strand, step: Step, number: int, callback: int, args: list[Any]) -> Any:
        """A hook of a step that changed nothing yet is asked again; what the hook did by then is not done again."""
        try:
            return await self._call(strand, step, callback, args, own=True, origin="", number=number)
        except LlmspellError as exc:
            return exc

    async def _foreign(self, strand: Strand, callback: int, args: list[Any], origin: str) -> Any:
        run = self._run
        while True:
            await run.live.wait()
            if run.over:
                return None
            async with run.main.serving():
                step = run.main.step
                if step is not None:
                    return await self._call(strand, step, callback, args, own=False, origin=origin)
            await asyncio.sleep(_BETWEEN_STEPS_S)

    async def _call(
        self, strand: Strand, step: Step, callback: int, args: list[Any], *, own: bool, origin: str, number: int = 0
    ) -> Any:
        """Live: note it, run it, give its value. The turn of the step's strand is held. ``number``: its own again."""
        run = self._run
        strand.path = f"{step.path}.{number}" if number else step.next_call()
        strand.secret = own and step.secret
        run.recorder.note(Called(strand.path, callback, args, own=own, origin=origin), secret=strand.secret)
        return await self._run_strand(strand, callback, args)

    async def _run_strand(self, strand: Strand, callback: int, args: list[Any]) -> Any:
        run = self._run
        current.set(run.context(None))
        run.strands.append(strand)
        try:
            done = await strand.follow(run.engine.call(callback, args))
        except asyncio.CancelledError:
            if strand.stop is None or strand.run_id == 0:
                raise
            done = await self._stop(strand, strand.stop)
        finally:
            run.strands.remove(strand)
        if done.error is not None:
            raise self._failed(strand, done.error)
        return done.value

    async def _stop(self, strand: Strand, stop: Stop) -> Done:
        """End a strand that waits for the host: after what it has under way, and not settled any more."""
        run = self._run
        await strand.quiet()
        run.recorder.note(Stopped(strand.path, stop.code, stop.message, strand.ordinal))
        (event,) = run.engine.stop(strand.run_id, stop.code, stop.message)
        if not isinstance(event, Done):
            raise Halted(run.halt(RuntimeError("the engine went on with a run that was stopped")))
        return event

    def _failed(self, strand: Strand, error: ScriptError) -> LlmspellError:
        run = self._run
        if error.origin == "limit" and error.code == CODE_TIME_LIMIT:
            # CPU time is the one limit that another run may not meet at the same place.
            run.recorder.note(Stopped(strand.path, error.code, error.message, strand.ordinal))
        cause = run.cause_of(error)
        failed = script_failed(error, cause)
        failed.__cause__ = cause
        return failed

    # -- from the record -----------------------------------------------------------------------------------------------

    async def replay_all(self, step: Step, calls: dict[int, Called]) -> None:
        """Call again what was called during a step that is answered from the record."""
        if not calls:
            return
        async with step.strand.serving():
            for number in sorted(calls):
                await self._again(step, number, calls[number])

    async def replay_foreign(self, step: Step, *, every: bool = False, locked: bool = False) -> None:
        """Call again what others called next while an interrupted step waited; ``every``: what is left of all calls."""
        if not step.calls_past or not (every or not step.calls_past[0][1].own):
            return None
        if not locked:
            async with step.strand.serving():
                return await self.replay_foreign(step, every=every, locked=True)
        while step.calls_past and (every or not step.calls_past[0][1].own):
            number, past = step.calls_past.popleft()
            if not (past.own and step.undone):
                await self._again(step, number, past)
        return None

    async def _again(self, step: Step, number: int, past: Called) -> Any:
        """One recorded call; gives its value, or the error it ended with. Goes on live where its record ends."""
        run = self._run
        strand = Strand(run, f"{step.path}.{number}")
        strand.task = asyncio.current_task()
        if past.origin:
            run.subscriptions.seen(past.origin, past.args[0])
        stopped = run.stopped(strand.path)
        if stopped is not None:
            if stopped.at == 0:
                return script_failed(ScriptError(code=stopped.code, message=stopped.message, origin="stopped"))
            strand.stop_at = (stopped.at, Stop(stopped.code, stopped.message))
        context = current.get()
        try:
            return await self._run_strand(strand, past.callback, past.args)
        except LlmspellError as exc:
            return exc
        finally:
            current.set(context)
