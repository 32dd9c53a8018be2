"""From a started script to its end: the main line, the session's last step, the run's last entry."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import LlmspellError, ScriptFailed
from llmspell.model.context import current
from llmspell.runs.items import digest_of
from llmspell.runs.kinds import RunFailed, RunFinished
from llmspell.runs.results import HIDDEN_REASON, shown_code
from llmspell.script.engine import EngineEvent, ScriptError
from llmspell.script.failures import CODE_CANCELLED, Halted, Stop, script_failed
from llmspell.script.sessions import Then, ending, failing

if TYPE_CHECKING:
    from llmspell.runs.record import PastStep
    from llmspell.script.run import Run

END = "end"
"""Path of the step that ends the session. A resumed run takes it anew, unless the script had ended well."""
_TAKEN = "run-taken-over"


async def conduct(run: Run, events: list[EngineEvent], then: Then, *, retry: str | None = None) -> Any:
    """Carry a run to its end; gives the script's value. Raises ScriptFailed, Diverged, Conflict, CancelledError.

    ``retry`` is the step that a run before this attempt failed at; it stays so when this attempt cannot even begin.
    """
    try:
        try:
            done = await run.main.follow(events)
        except asyncio.CancelledError:
            return await _stopped(run)
        if done.error is not None:
            await _fail(run, done.error, run.cause_of(done.error), run.retry_of(done.error))
        run.demand_used_up()
        await end_well(run, then, done.value)
    except Halted as exc:
        run.calls.interrupt(Stop(CODE_CANCELLED, "the run cannot go on"))
        await run.main.quiet()
        await _halted(run, exc.error, retry)
        raise exc.error from exc.error.__cause__
    return done.value


def is_end(past: PastStep, then: str) -> bool:
    """Whether a recorded last step is that of a script which had ended well."""
    return past.name == f"Session.{then}" and past.digest == digest_of([])[0]


async def end_well(run: Run, then: Then, value: Any) -> None:
    """End session and run with this value. Raises ScriptFailed when a hook refuses the session's end."""
    last = ending(run.session, then)
    if last is not None:
        try:
            await run.main.aside(END, last[0], [], last[1])
        except LlmspellError as exc:
            await _fail(run, _as_error(exc), exc, None)
    packed = _holds_bytes(value)
    shown = base64.b64encode(msgspec.msgpack.encode(value)).decode() if packed else value
    end = RunFinished(run.id, run.attempt, shown, packed, asdict(run.engine.used()))
    await run.recorder.finish(end, secret=run.secret)


async def _stopped(run: Run) -> Any:
    """The main line was stopped from outside, by a cancellation or by its time limit."""
    stop = run.main.stop
    run.calls.interrupt(stop or Stop(CODE_CANCELLED, "the run was interrupted"))
    await run.main.quiet()
    if stop is None:
        raise asyncio.CancelledError
    run.main.stop = None
    error = ScriptError(code=stop.code, message=stop.message, origin="stopped")
    if stop.code != CODE_CANCELLED:
        await _fail(run, error, None, None)
    with suppress(ScriptFailed):
        await _fail(run, error, None, None, interrupted=True)
    raise asyncio.CancelledError


async def _fail(
    run: Run, error: ScriptError, cause: BaseException | None, retry: str | None, *, interrupted: bool = False
) -> None:
    """End session and run with this error, and raise it."""
    name, act = failing(run.session, _reason(run, error.message), interrupted=interrupted)
    failed = script_failed(error, cause, run=run.id, session=run.session.id)
    try:
        await run.main.aside(END, name, [shown_code(error.code, error.origin) if run.secret else error.code], act)
    except LlmspellError as exc:
        failed.add_note(f"the session could not be ended: {exc}")
    await run.recorder.finish(_last(run, error, retry), secret=run.secret)
    raise failed from cause


async def _halted(run: Run, error: Exception, retry: str | None) -> None:
    """The run cannot go on. Nothing is recorded any more but that; another attempt's run is left alone."""
    if isinstance(error, LlmspellError) and error.code == _TAKEN:
        return
    current.set(run.context(None))
    with suppress(LlmspellError):
        _, act = failing(run.session, _reason(run, str(error)), interrupted=False)
        await act()
        await run.recorder.finish(_last(run, _as_error(error), retry), secret=run.secret)


def _last(run: Run, error: ScriptError, retry: str | None) -> RunFailed:
    return RunFailed(
        run.id, run.attempt, error.code, error.message, error.traceback, error.origin, retry, asdict(run.engine.used())
    )


def _reason(run: Run, message: str) -> str:
    """Why the session failed: everybody may read it."""
    return HIDDEN_REASON if run.secret else message


def _as_error(error: Exception) -> ScriptError:
    code = error.code if isinstance(error, LlmspellError) else "internal"
    return ScriptError(code=code, message=str(error), origin="host")


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_bytes, value.values()))
    return any(map(_holds_bytes, value)) if isinstance(value, list) else isinstance(value, bytes)
