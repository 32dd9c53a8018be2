"""Where files may be written: anywhere but among the files of a store.

Whatever writes a file by a path of the caller's asks ``security.key_files``, which asks here first. A path typed wrong
would otherwise replace a database with something else, and with it all that it holds.
"""

from __future__ import annotations

import os
from pathlib import Path

from llmspell.errors import InvalidInput
from llmspell.model.arguments import check_path

_CURRENT = "CURRENT"
_GENERATION = b"generation-"


def check_outside(path: object) -> Path:
    """A path that is, links followed, in no store's folder: neither the open one's nor another's.

    A store is known by its files, so it does not matter by which of its names the way leads there. Raises InvalidInput
    (``invalid-path``, ``path-in-store``).
    """
    found = check_path(path)
    target = Path(os.path.realpath(found))
    named = Path(os.path.realpath(found.parent), found.name)  # The name itself: a link in a store is the store's, too.
    for folder in dict.fromkeys((target, *target.parents, named, *named.parents)):
        if _is_store(folder):
            raise InvalidInput(
                f"{str(path)!r} is in the folder of a store, {folder}", code="path-in-store",
                hint="choose a path elsewhere",
            )  # fmt: skip
    return found


def _is_store(folder: Path) -> bool:
    try:
        with open(folder / _CURRENT, "rb", opener=without_waiting) as file:
            return file.read(len(_GENERATION)) == _GENERATION
    except OSError:
        return False


def without_waiting(path: str, flags: int) -> int:
    """An opener of files by names of the caller's: a pipe that nobody writes to would hold whoever opens it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
