"""Sealing for a store: the data key of each scope, by the keyring, each value for its place."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from llmspell.errors import InvalidInput, NotFound
from llmspell.model.ids import id_bytes, secret_bytes
from llmspell.security.key_files import folder_in_use, hold, let_go
from llmspell.security.keyring import Keyring
from llmspell.security.keyring_shared import MasterSource
from llmspell.security.keys import KEY_BYTES, KEY_ID_BYTES, DataKey, MasterKey
from llmspell.security.sealing import key_id_of, place, seal, unseal
from llmspell.security.sources import KeyCommand, KeyFile, KeyVariable, source_of, source_of_environment
from llmspell.security.user_key import UserKey

KeySource = bytes | str | os.PathLike[str] | Sequence[str] | MasterSource
"""32 bytes, the path of a file with a key, a command as a list of words, or a function that gives a ``MasterKey``."""


class StoreSealer:
    """See ``state.classes.Sealer``. The keyring is opened at the first use, and made, with its master key, at the first
    write that needs it. Both lie in the key folder: ``LLMSPELL_KEYS``, else in the user's data folder.
    """

    def __init__(self, key: KeySource | None, store_id: str, outside: Path) -> None:
        self.store_id = id_bytes(store_id)
        self.outside = outside
        folder = folder_in_use()
        self.path = folder / f"{store_id}.keyring"
        self.source = self._source(key, folder)
        self._keyring: Keyring | None = None
        self._lock = threading.Lock()
        hold(self)

    @property
    def files(self) -> tuple[Path, ...]:
        """The keyring, and the master key where it is in a file."""
        source = self.source
        return (self.path, source.path) if isinstance(source, KeyFile | UserKey) else (self.path,)

    def prepare(self, scope: str) -> None:
        """Have the key of a scope: what ``seal`` would make, and wait for the disk."""
        self.keyring(create=True).data_key(scope)

    def seal(self, scope: str, key: str, text: bytes) -> bytes:
        """``text`` sealed for a key of a scope."""
        return seal(self.keyring(create=True).data_key(scope), text, self._place(scope, key))

    def unseal(self, scope: str, key: str, sealed: bytes) -> bytes:
        """The inverse. Raises WrongKey, Corrupt, NotFound (``key-shredded``, ``keyring-missing``)."""
        return unseal(self.keyring().key(key_id_of(sealed)), sealed, self._place(scope, key))

    def keyring(self, *, create: bool = False) -> Keyring:
        """The store's keyring, open. Raises NotFound (``key-missing``, ``keyring-missing``) unless it may be made."""
        with self._lock:
            if self._keyring is None:
                self._keyring = self._opened(create=create)
            return self._keyring

    def check(self, *, read: bool) -> None:
        """Try the key on the keyring. Where there is none yet, ``read`` says whether the key is read all the same.

        Raises WrongKey, NotFound, InvalidInput, StorageFailed.
        """
        if self.path.exists():
            self.keyring()
        elif read:
            self.master()

    def master(self) -> MasterKey:
        """The master key. Raises what its source raises."""
        return _read(self.source)

    def rotate(self, to: Path | None) -> None:
        """Wrap the data keys by another master key: that of a file, or a new one in the key folder."""
        keyring = self.keyring()
        if to is not None:
            keyring.rotate(KeyFile(to))
            before, self.source = self.source, KeyFile(to)
            if isinstance(before, UserKey) and before.path.exists() and not before.path.samefile(to):
                before.destroy()
        elif isinstance(self.source, UserKey):
            self.source.rotate(keyring)
        else:
            raise InvalidInput(
                f"the key comes from {self.told}: make the new one there, and name its file", code="key-not-ours"
            )

    @property
    def told(self) -> str:
        """Where the key comes from, for a person."""
        return "the caller" if isinstance(self.source, MasterKey) or not _named(self.source) else str(self.source)

    @property
    def private(self) -> bool:
        """Whether only its owner may read the file of the master key; True where it is in none."""
        source = self.source
        return not isinstance(source, KeyFile | UserKey) or KeyFile(source.path).open_to_others is None

    def close(self) -> None:
        """Close what was opened. Idempotent."""
        let_go(self)
        with self._lock:
            if self._keyring is not None:
                self._keyring.close()
                self._keyring = None

    def _source(self, key: KeySource | None, folder: Path) -> MasterSource:
        if key is not None:
            return _given(key)
        return source_of_environment() or UserKey(self.store_id, folder)

    def _opened(self, *, create: bool) -> Keyring:
        source = self.source
        if isinstance(source, UserKey):
            if create and not source.path.exists() and not self.path.exists():
                source.make(outside=self.outside)
            return source.open_keyring(self.path, create=create)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Keyring.open(self.path, source, self.store_id, create=create)

    def _place(self, scope: str, key: str) -> bytes:
        return place(self.store_id, "value", scope, key, b"")


class MemorySealer:
    """The sealer of a store in memory: keys that end with it."""

    def __init__(self, store_id: str) -> None:
        self._store = id_bytes(store_id)
        self._keys: dict[str, DataKey] = {}

    def prepare(self, scope: str) -> None:
        """Nothing waits for a disk here."""

    def seal(self, scope: str, key: str, text: bytes) -> bytes:
        """See ``StoreSealer``."""
        data_key = self._keys.setdefault(scope, DataKey(secret_bytes(KEY_BYTES), secret_bytes(KEY_ID_BYTES)))
        return seal(data_key, text, place(self._store, "value", scope, key, b""))

    def unseal(self, scope: str, key: str, sealed: bytes) -> bytes:
        """See ``StoreSealer``."""
        found = self._keys.get(scope)
        if found is None:
            raise NotFound(f"there is no key of {scope}", code="key-missing")
        return unseal(found, sealed, place(self._store, "value", scope, key, b""))

    def close(self) -> None:
        """Forget the keys."""
        self._keys.clear()


def read_key(key: KeySource) -> MasterKey:
    """The master key that was given. Raises what its source raises."""
    return _read(_given(key))


def _given(key: KeySource) -> MasterSource:
    return KeyCommand(key) if isinstance(key, list | tuple) else source_of(key)


def _read(source: MasterSource) -> MasterKey:
    return source if isinstance(source, MasterKey) else source()


def _named(source: object) -> bool:
    return isinstance(source, KeyFile | KeyCommand | KeyVariable | UserKey)
