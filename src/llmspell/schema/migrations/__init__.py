"""The steps that bring the tables of an older format to this version's. Formats are numbered from 1, without gaps.

``main.sql`` and ``content.sql`` always make the newest tables; a migration makes the same of those of the format before
it. What must stay true of one that was released: it is never changed, it moves no entry and changes none, and a column
whose meaning changes gets a new name, so that a process of the older version, which may still read, fails instead of
reading something else. ``docs/operations/formats.md`` says what happens at an opening.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

Step = str | Callable[[Any], Awaitable[None]]
"""SQL, of any number of statements; or a coroutine function of the ``Transaction``, where SQL is not enough. It keeps
what it holds in memory bounded, and may call nothing whose tables later versions change.
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """From format ``to - 1`` to ``to``.

    ``main``     steps for the main file, in order; none where only the content file changes
    ``content``  SQL for the content file, None where it stays as it is
    ``rebuild``  afterwards all projections are emptied and made anew from the journal
    """

    to: int
    main: tuple[Step, ...] = ()
    content: str | None = None
    rebuild: bool = False


MIGRATIONS: tuple[Migration, ...] = ()
"""Every one since format 1, in order. SQL is in files beside this one, named like ``0002_what_it_does.sql``."""


def newest(migrations: Sequence[Migration]) -> int:
    """The format that these lead to. Raises ValueError when they are not numbered 2, 3, 4 …"""
    numbers = [migration.to for migration in migrations]
    if numbers != list(range(2, len(numbers) + 2)):
        raise ValueError(f"migrations are numbered from 2 without gaps, not {numbers}")
    return len(numbers) + 1


def newest_content(migrations: Sequence[Migration]) -> int:
    """The format of the content file that these lead to: the number of the last one that changes it."""
    return max((migration.to for migration in migrations if migration.content is not None), default=1)
