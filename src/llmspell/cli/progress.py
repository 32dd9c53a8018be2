"""A bar on the terminal for work that takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

Advance = Callable[[int, int | None], None]
"""Told how much is done, and of how much (None: as said before)."""


@contextmanager
def bar(doing: str, total: int | None, *, in_bytes: bool, stderr: IO[str], colored: bool) -> Iterator[Advance]:
    """A bar that ends with its block and leaves no trace on the screen."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    console = Console(file=stderr, highlight=False, no_color=not colored)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(doing, total=total)

        def advance(done: int, of: int | None = None) -> None:
            progress.update(task, completed=done, total=total if of is None else of)

        yield advance
