"""What a forked child has from its parent and must not use: open connections, and the files they are open on.

SQLite keeps its locks on a file once for the whole process, by device and inode. A forked child has that bookkeeping
but not the locks: a connection it opens to the same file believes that locks are held which are not, or waits for ones
that nobody here will ever release. As soon as the other process has ended, the next to open the file finds no locks on
it, starts the shared memory of the WAL over, and the child dies of it in the middle of a write. So it is refused.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from pathlib import Path
from typing import Protocol

from llmspell.errors import StorageFailed

Identity = tuple[int, int]


class Poisonable(Protocol):
    """Holds connections that only the process may use that opened them."""

    def poison(self) -> None:
        """In a forked child: refuse every use from now on. Twice is allowed."""
        ...


def poison_in_children(holder: Poisonable) -> None:
    """Have ``holder.poison()`` called in every child that is forked while it lives."""
    _holders.add(holder)


def keep_for_ever(*connections: object) -> None:
    """In a forked child: keep the parent's connections from ever being closed there, which would drop its locks."""
    _kept.append(connections)
    # The list is emptied when the interpreter ends, which would close them; one more reference stays.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connections))


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
    for holder in list(_holders):
        holder.poison()
    _inherited.update(_open.values())
    _open.clear()


_holders: weakref.WeakSet[Poisonable] = weakref.WeakSet()
_kept: list[object] = []
_open: weakref.WeakKeyDictionary[object, Identity] = weakref.WeakKeyDictionary()
_inherited: set[Identity] = set()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_inherit)
