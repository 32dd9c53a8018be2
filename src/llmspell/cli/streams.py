"""Standard streams that the process was started without (``>&-``), or that nothing can be written to any more.

Python stands None for a closed stream, and what is opened next gets its number: a line meant for a person would end up
in another's file. So each gets a place: reading stdin and writing to stdout fail there, since a result that nobody gets
is not given; what is written to stderr leads nowhere.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

missing: set[str] = set()
"""The names of those that the process was started without."""


def complete() -> None:
    """Give the process the standard streams it lacks."""
    for name, mode, access in (
        ("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY),
    ):  # fmt: skip
        if getattr(sys, name) is None:
            missing.add(name)
            nowhere = os.open(os.devnull, access)  # the lowest number that is free: the missing one's own
            os.set_inheritable(nowhere, True)  # noqa: FBT003 - the system call has no other form
            setattr(sys, name, open(nowhere, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - until the end


def discard_output() -> None:
    """Have stdout lead nowhere: what it still holds cannot be written, and Python would complain about it at exit."""
    with suppress(OSError, ValueError):  # stdout is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
