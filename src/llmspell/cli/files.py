"""Writing a user's file: it has its old content or all of the new one, never something in between."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from llmspell.errors import InvalidInput, StorageFailed
from llmspell.outputs import beside, is_folder
from llmspell.security.key_files import check_output


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Write to a temporary file beside ``path``, make it durable, then give it the name. A link's target is written.

    What is no ordinary file (a pipe, a terminal) is written directly. Raises InvalidInput (``invalid-path``,
    ``path-in-store``, ``path-of-key``), StorageFailed (``cannot-write``); what ``pieces`` raises goes through, and the
    file stays as it was.
    """
    check_output(path)
    if is_folder(path):
        raise InvalidInput(f"{str(path)!r} is not a file's name", code="invalid-path")
    target = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            _write_directly(path, pieces)  # Where a pipe's link leads has no name that can be opened.
        else:
            _replace(target, pieces)
    except OSError as exc:
        raise StorageFailed(
            f"cannot write {str(path)!r}: {exc.strerror}", code="cannot-write", hint="choose another file with -o"
        ) from exc


def _replace(target: Path, pieces: Iterable[bytes]) -> None:
    descriptor, name = tempfile.mkstemp(prefix=beside(target), suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(_mode(target))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_directly(target: Path, pieces: Iterable[bytes]) -> None:
    with target.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _mode(target: Path) -> int:
    """The permissions of the file that is replaced, or those that a new one gets here."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
