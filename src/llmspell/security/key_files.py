"""Which files hold keys: those in the key folder, by their names, and those that open stores use. Nothing is written
over them.

Whoever writes a file by a path of the caller's asks here. A key that is overwritten takes with it all that it opens,
which no backup of the store brings back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Protocol
from weakref import WeakSet

from llmspell.errors import InvalidInput
from llmspell.model.arguments import at_home
from llmspell.outputs import check_outside
from llmspell.security import variables

_OURS = re.compile(
    r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.key(?:ring)?(?:\.(?:next|new|old|lock))?"
).fullmatch
"""Keys and keyrings by the id of their store, and what is beside them while they are changed."""


class Holder(Protocol):
    """Something that opens a store with a key: a sealer."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Its keyring, and its master key where that is in a file."""
        ...


_holders: WeakSet[Holder] = WeakSet()
_lock = Lock()


def hold(holder: Holder) -> None:
    """Have nothing written over its files until it lets go, or is gone."""
    with _lock:
        _holders.add(holder)


def let_go(holder: Holder) -> None:
    """Its files are any files again. Idempotent."""
    with _lock:
        _holders.discard(holder)


def folder_in_use() -> Path:
    """The key folder: ``LLMSPELL_KEYS``, else that of the person who runs this. Raises InvalidInput
    (``invalid-path``).
    """
    named = os.environ.get(variables.FOLDER)
    return at_home(named) if named else key_folder()


def key_folder() -> Path:
    """The key folder of the person who runs this: ``llmspell/keys`` where their data is."""
    from platformdirs import user_data_path

    return user_data_path("llmspell", appauthor=False) / "keys"


def check_output(path: object) -> Path:
    """A path that is in no store's folder, and is none of a key or keyring: of those in the key folder, of the variable
    that names a file, of the stores that are open here.

    Raises InvalidInput (``invalid-path``, ``path-in-store``, ``path-of-key``).
    """
    found = check_outside(path)
    target = Path(os.path.realpath(found))
    named = Path(os.path.realpath(found.parent), found.name)  # The name itself: a link there is a key's, too.
    if any(_is_ours(one) for one in (target, named)) or any(_is_same(target, one) for one in _in_use()):
        raise InvalidInput(
            f"{str(path)!r} is the file of a key or keyring: what it opens would be lost", code="path-of-key",
            hint="choose a path elsewhere",
        )  # fmt: skip
    return found


def _is_ours(path: Path) -> bool:
    if not _OURS(path.name):
        return False
    with suppress(InvalidInput):
        return _is_same(path.parent, folder_in_use())
    return False


def _in_use() -> Iterator[Path]:
    with _lock:
        holders = list(_holders)
    for holder in holders:
        yield from holder.files
    named = os.environ.get(variables.KEY_FILE)
    if named:
        with suppress(InvalidInput):
            yield at_home(named)


def _is_same(path: Path, other: Path) -> bool:
    """Whether both lead to one file or folder, whether it is there or not."""
    with suppress(OSError):
        if path.samefile(other):
            return True
    return path == Path(os.path.realpath(other))
