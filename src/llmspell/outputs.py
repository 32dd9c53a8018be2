"""Where files may be written: anywhere but among the files of a store.

Whatever writes a file by a path of the caller's asks ``security.key_files``, which asks here first. A path typed wrong
would otherwise replace a database with something else, and with it all that it holds.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from llmspell.errors import AlreadyExists, InvalidInput, StorageFailed
from llmspell.model.arguments import check_path

_CURRENT = "CURRENT"
_GENERATION = b"generation-"
_NAMED_CHARS = 40


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


def check_replaceable(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that a new file may not have: where something is, unless it is to be written over, and then where
    that is no plain file. A file in the place of a device or of a pipe would break whoever else uses that.

    Raises AlreadyExists (``file-exists``), StorageFailed (``cannot-write``: the system does not say what is there).
    """
    try:
        there = _mode_of(path, follow=False)
        target = _mode_of(path, follow=True) if there is not None and stat.S_ISLNK(there) else there
    except OSError as exc:
        raise StorageFailed(f"cannot write {str(path)!r}: {exc.strerror}", code="cannot-write") from exc
    if target is not None and not stat.S_ISREG(target):
        raise AlreadyExists(
            f"{str(path)!r} is there already, and is no plain file", code="file-exists", hint="choose another path"
        )
    if there is not None and not overwrite:
        raise AlreadyExists(
            f"{str(path)!r} is there already",
            code="file-exists",
            hint="choose another path, or ask for it to be overwritten",
        )


def is_folder(path: Path) -> bool:
    """Whether a folder is there; not where the system does not say, as of a name that is too long."""
    try:
        return stat.S_ISDIR(_mode_of(path, follow=True) or 0)
    except OSError:
        return False


def beside(path: Path) -> str:
    """The beginning of the name of a temporary file beside one. Short: a name of its own length may not be longer."""
    return f".{path.name[:_NAMED_CHARS]}."


def _mode_of(path: Path, *, follow: bool) -> int | None:
    try:
        return path.stat(follow_symlinks=follow).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_store(folder: Path) -> bool:
    try:
        with open(folder / _CURRENT, "rb", opener=without_waiting) as file:
            return file.read(len(_GENERATION)) == _GENERATION
    except OSError:
        return False


def without_waiting(path: str, flags: int) -> int:
    """An opener of files by names of the caller's: a pipe that nobody writes to would hold whoever opens it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
