"""The units of work that begin, resume and end a run."""

from __future__ import annotations

import msgspec

from llmspell.errors import Conflict, NotFound
from llmspell.journal.journal import Writer
from llmspell.journal.kinds import Kind
from llmspell.model.ids import id_bytes, id_text
from llmspell.runs.kinds import RunFailed, RunFinished, RunRecorded, RunResumed, RunStarted
from llmspell.runs.projection import FAILED, FINISHED, RECORDED, RESUMED, STARTED
from llmspell.schema import queries

_ATTEMPT = queries("llmspell.runs")["attempt"]


def subject_of(run: str) -> str:
    """The subject under which a run's entries are found, in the scope of its session."""
    return f"run/{run}"


async def start(writer: Writer, scope: str, new: RunStarted) -> int:
    """The run's first entry; gives its seq."""
    return await _append(writer, scope, STARTED, new, new.id)


async def resume(writer: Writer, scope: str, again: RunResumed) -> int:
    """The next attempt. Raises Conflict (``run-taken-over``) when somebody else began one since this one's reading."""
    await demand_attempt(writer, id_bytes(again.id), again.attempt - 1)
    return await _append(writer, scope, RESUMED, again, again.id)


async def record(writer: Writer, scope: str, part: RunRecorded) -> int:
    """Part of the record."""
    return await _append(writer, scope, RECORDED, part, part.id)


async def end(writer: Writer, scope: str, last: RunFinished | RunFailed) -> int:
    """The last entry of an attempt."""
    await demand_attempt(writer, id_bytes(last.id), last.attempt)
    return await _append(writer, scope, FINISHED if isinstance(last, RunFinished) else FAILED, last, last.id)


async def demand_attempt(writer: Writer, run: bytes, attempt: int) -> None:
    """Refuse the writes of an attempt that is not the newest: each step has its effect in one attempt only."""
    row = await writer.one(_ATTEMPT, (run,))
    if row is None:
        raise NotFound(f"there is no run {id_text(run)}", code="run-not-found")
    if row[0] != attempt:
        raise Conflict(
            f"run {id_text(run)} is in attempt {row[0]} now; this is attempt {attempt}", code="run-taken-over"
        )


async def _append(writer: Writer, scope_name: str, kind: Kind, payload: msgspec.Struct, run: str) -> int:
    scope = writer.known(scope_name) or await writer.scope(scope_name)
    return await writer.append(kind, payload, scope, subject_of(run))
