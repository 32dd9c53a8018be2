"""Which main files this process inherited open from the one it was forked from: it must not open them itself.

SQLite keeps its locks on a file once for the whole process, by device and inode. A forked child has that bookkeeping
but not the locks: a connection it opens to the same file believes that locks are held which are not, or waits for ones
that nobody here will ever release. As soon as the other process has ended, the next to open the file finds no locks on
it, starts the shared memory of the WAL over, and the child dies of it in the middle of a write. So it is refused.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from llmspell.errors import StorageFailed

Identity = tuple[int, int]


def note_open(holder: object, main: Path) -> None:
    """``holder`` has connections to this file until it is gone, or ``note_closed``."""
    _open[holder] = _identity(main)


def note_closed(holder: object) -> None:
    """``holder`` has closed its connections."""
    _open.pop(holder, None)


def check_not_inherited(main: Path) -> None:
    """Raise StorageFailed (``forked``) for a file that was open where this process was forked."""
    if _inherited and _identity(main) in _inherited:
        raise StorageFailed(
            f"{main} was open in the process that this one was forked from, and its locks do not survive that",
            code="forked",
            hint="close the store before forking, or start the process anew (multiprocessing: spawn or forkserver)",
        )


def _identity(main: Path) -> Identity:
    found = main.stat()
    return found.st_dev, found.st_ino


def _inherit() -> None:
    _inherited.update(_open.values())
    _open.clear()


_open: weakref.WeakKeyDictionary[object, Identity] = weakref.WeakKeyDictionary()
_inherited: set[Identity] = set()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_inherit)
