"""One process at a time does a run: a lock file per run, given back by the system when its holder dies."""

from __future__ import annotations

from pathlib import Path

from llmspell import lease
from llmspell.errors import Busy

FOLDER = "runs"


class Lease(lease.Lease):
    """The right to do one run. ``acquire`` raises Busy (``run-busy``)."""

    def __init__(self, store: str, folder: Path | None, run: str) -> None:
        busy = Busy(
            f"run {run} is going on in another process or task", code="run-busy", hint="wait until it has ended"
        )
        super().__init__(store, None if folder is None else folder / FOLDER / f"{run}.lock", run, busy)
