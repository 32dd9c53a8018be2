"""The master key that llmspell made by itself: a file in the key folder of the person, never inside the store.

    FOLDER/STORE-ID.key        the key as text, read and written by its owner only
    FOLDER/STORE-ID.key.next   while the key is rotated: the key that comes next
    FOLDER/STORE-ID.key.lock   held by whoever makes or rotates it

Rotation writes the next key, durably, before the keyring is wrapped with it, and renames it after. A kill in between
leaves both keys, one of which opens the keyring: ``open_keyring`` finds out which and finishes or undoes the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from llmspell.errors import AlreadyExists, InvalidInput, NotFound, WrongKey
from llmspell.model import limits
from llmspell.model.ids import id_text
from llmspell.security.durable import BINARY, overwrite, overwrite_open, sync_folder, write_new
from llmspell.security.key_files import key_folder
from llmspell.security.keyring import Keyring
from llmspell.security.keyring_file import mapped
from llmspell.security.keys import MasterKey
from llmspell.security.lockfile import locked
from llmspell.security.sources import KeyFile


@dataclass(frozen=True, slots=True)
class UserKey:
    """The key of one store in a key folder (None: that of the person who runs this). Nothing is made before ``make``.

    Calling it gives the key, as any source does.
    """

    store_id: bytes
    folder: Path | None = None
    busy_timeout_s: float = limits.BUSY_TIMEOUT_S

    @property
    def path(self) -> Path:
        """The file of the key."""
        return (self.folder or key_folder()) / f"{id_text(self.store_id)}.key"

    def __str__(self) -> str:
        return f"file {self.path}"

    def __call__(self) -> MasterKey:
        """The key. Raises NotFound (``key-missing``), and as ``KeyFile``. Waits while it is being rotated."""
        if self._next.exists():
            with self._lock():
                pass
        return KeyFile(self.path)()

    def candidates(self) -> Iterator[MasterKey]:
        """The key, the one that comes next, if there is one, and the key as it is then, which may be that one.

        One of them opens the keyring while it is rotated, and after that was killed. Raises as ``KeyFile``.
        """
        yield KeyFile(self.path)()
        if self._is_next_whole():
            with suppress(NotFound, InvalidInput):  # It was put in its place just now.
                yield KeyFile(self._next)()
        yield KeyFile(self.path)()

    def make(self, *, outside: Path | None = None) -> MasterKey:
        """The key, made and durable when there was none; one of several processes that do it at once makes it.

        Raises InvalidInput (``key-in-store``) when the key folder lies in the folder ``outside``, StorageFailed, Busy.
        """
        folder = self._folder(outside)
        with mapped(f"make {folder}"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock():
            if not self.path.exists():
                if not self._is_next_whole():  # It is when whoever made the key was killed.
                    self._write(MasterKey.generate())
                self._promote()
        return self()

    def _folder(self, outside: Path | None) -> Path:
        folder = self.path.parent
        if outside is not None and _real(folder).is_relative_to(_real(outside)):
            raise InvalidInput(
                f"the key folder {folder} lies inside the store {outside}: whoever copies the store would have its key",
                code="key-in-store",
                hint="set LLMSPELL_KEYS to another folder, or give key=",
            )
        return folder

    def keep(self, key: MasterKey, *, outside: Path | None = None) -> None:
        """Put a key that was taken elsewhere in its place. Raises AlreadyExists (``key-exists``), and as ``make``."""
        folder = self._folder(outside)
        with mapped(f"make {folder}"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock():
            if self.path.exists() or self._next.exists():
                raise AlreadyExists(f"there is a key at {self.path} already", code="key-exists")
            self._write(key)
            self._promote()

    def open_keyring(self, path: str | os.PathLike[str], *, create: bool = False) -> Keyring:
        """The keyring that this key opens; a rotation that was killed is finished, or undone, first.

        Raises as ``Keyring.open``.
        """
        if self._next.exists():
            with self._lock():
                self._finish(path)
        return Keyring.open(path, self, self.store_id, create=create, busy_timeout_s=self.busy_timeout_s)

    def rotate(self, keyring: Keyring) -> MasterKey:
        """Make a new key, wrap the keyring with it and destroy the old one; the new key.

        Processes that have the keyring open through this source go on. Raises StorageFailed, Busy, and what
        ``Keyring.rotate`` does; ``open_keyring`` takes up what an error or a kill left.
        """
        fresh = _Coming(self, MasterKey.generate())
        with self._lock():
            self._finish(keyring.status().path)
            self._write(fresh.key)
            keyring.rotate(fresh)
            self._promote()
            fresh.is_in_place = True
        return fresh.key

    def destroy(self) -> None:
        """Overwrite the key and take it away, once a keyring is wrapped by one that is elsewhere: it opens nothing any
        more, and would be in the way of a key that is imported. Raises StorageFailed, Busy.
        """
        with self._lock(), mapped(f"clear {self.path}"):
            if self.path.exists():
                overwrite(self.path)
                self.path.unlink()
                sync_folder(self.path.parent)

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _next(self) -> Path:
        return self.path.with_name(f"{self.path.name}.next")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with mapped(f"lock {self.path}"):
            lock = locked(self.path.with_name(f"{self.path.name}.lock"), self.busy_timeout_s)
            lock.__enter__()
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def _write(self, key: MasterKey) -> None:
        with mapped(f"write {self._next}"):
            self._next.unlink(missing_ok=True)
            write_new(self._next, key.reveal().hex().encode() + b"\n")
            sync_folder(self._next.parent)

    def _promote(self) -> None:
        """Put the next key in the place of the key, and overwrite that one."""
        with mapped(f"replace {self.path}"):
            before = os.open(self.path, os.O_WRONLY | BINARY) if self.path.exists() else None
            try:
                self._next.replace(self.path)
                sync_folder(self.path.parent)
                if before is not None:
                    overwrite_open(before)
            finally:
                if before is not None:
                    os.close(before)

    def _finish(self, keyring: str | os.PathLike[str]) -> None:
        """Take up a rotation that was killed. No key is destroyed unless the other one is seen to open the keyring."""
        if not self._next.exists():
            return
        try:
            Keyring.open(keyring, KeyFile(self._next), self.store_id).close()
        except (WrongKey, InvalidInput):
            Keyring.open(keyring, KeyFile(self.path), self.store_id).close()
            with mapped(f"clear {self._next}"):
                overwrite(self._next)
                self._next.unlink()
        else:
            self._promote()

    def _is_next_whole(self) -> bool:
        try:
            KeyFile(self._next)()
        except (NotFound, InvalidInput):
            return False
        return True


class _Coming:
    """A key that comes next: while the old one is still in its file, this process is answered from memory."""

    def __init__(self, source: UserKey, key: MasterKey) -> None:
        self._source = source
        self.key = key
        self.is_in_place = False

    def __call__(self) -> MasterKey:
        return self._source() if self.is_in_place else self.key

    def candidates(self) -> Iterator[MasterKey]:
        """See ``UserKey.candidates``."""
        if not self.is_in_place:
            yield self.key
        yield from self._source.candidates()


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
