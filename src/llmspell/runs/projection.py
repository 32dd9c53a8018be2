"""The table of runs, derived from ``run.*`` entries: whose they are, how they stand, and which attempt may write."""

from __future__ import annotations

from llmspell.journal.kinds import Applied, Kind
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Transaction
from llmspell.runs.kinds import RunFailed, RunFinished, RunRecorded, RunResumed, RunStarted
from llmspell.schema import queries

_SQL = queries("llmspell.runs")


async def apply_started(tx: Transaction, entry: Applied) -> None:
    """The run's row, at its first attempt."""
    run: RunStarted = entry.payload
    await tx.run(
        _SQL["insert"], (id_bytes(run.id), id_bytes(run.session), run.name, run.mode, entry.seq, entry.at, entry.at)
    )


async def apply_resumed(tx: Transaction, entry: Applied) -> None:
    """It runs again, in its next attempt."""
    run: RunResumed = entry.payload
    await tx.run(_SQL["resume"], (run.attempt, entry.at, id_bytes(run.id)))


async def apply_finished(tx: Transaction, entry: Applied) -> None:
    """It came to its end."""
    run: RunFinished = entry.payload
    await tx.run(_SQL["end"], ("finished", None, entry.at, entry.at, id_bytes(run.id)))


async def apply_failed(tx: Transaction, entry: Applied) -> None:
    """It failed, for this reason."""
    run: RunFailed = entry.payload
    await tx.run(_SQL["end"], ("failed", run.reason, entry.at, entry.at, id_bytes(run.id)))


STARTED = Kind("run.started", RunStarted, apply_started)
RESUMED = Kind("run.resumed", RunResumed, apply_resumed)
RECORDED = Kind("run.recorded", RunRecorded)
FINISHED = Kind("run.finished", RunFinished, apply_finished)
FAILED = Kind("run.failed", RunFailed, apply_failed)
KINDS = (STARTED, RESUMED, RECORDED, FINISHED, FAILED)
