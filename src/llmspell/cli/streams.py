"""Standard streams that the process was started without (``>&-``), or that nothing can be written to any more.

Python stands None for a closed stream, and what is opened next gets its number: a line meant for a person would end up
in another's file. So each gets a place: what is written leads nowhere, and reading fails.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def complete() -> None:
    """Give the process the standard streams it lacks."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)  # the lowest number that is free: the missing one's own
            os.set_inheritable(nowhere, True)  # noqa: FBT003 - the system call has no other form
            setattr(sys, name, open(nowhere, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - until the end


def discard_output() -> None:
    """Have stdout lead nowhere: what it still holds cannot be written, and Python would complain about it at exit."""
    with suppress(OSError, ValueError):  # stdout is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
