"""Sealing for a store: the data key of each scope, by the keyring, each value for its place."""

from __future__ import annotations

import threading
from pathlib import Path

from llmspell.errors import NotFound, WrongKey
from llmspell.model.ids import id_bytes, id_text, secret_bytes
from llmspell.security.keyring import Keyring
from llmspell.security.keys import KEY_BYTES, KEY_ID_BYTES, DataKey
from llmspell.security.sealing import key_id_of, place, seal, unseal
from llmspell.security.sources import Master, key_of_file


class StoreSealer:
    """See ``state.classes.Sealer``. The keyring is opened at the first use, and made, with its master key, at the first
    write that needs it.
    """

    def __init__(self, folder: Path, master: Master, store_id: str) -> None:
        self.path = folder / f"{store_id}.keyring"
        self.master = master
        self._store = id_bytes(store_id)
        self._keyring: Keyring | None = None
        self._lock = threading.Lock()

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

    def check(self) -> None:
        """Try the key: on the keyring, if there is one. Raises WrongKey, NotFound, InvalidInput."""
        if self.path.exists():
            self.keyring()
        else:
            self.master()

    def rotate(self, to: Path | None) -> None:
        """Wrap the data keys by another master key: that of a file, or a new one in the key folder."""
        keyring = self.keyring()
        if to is not None:
            keyring.rotate(key_of_file(to))
            self.master = Master(to, self.path.parent, id_text(self._store))
        else:
            keyring.rotate(self.master.make_next())
            self.master.turn()
        self.close()

    def close(self) -> None:
        """Close what was opened. Idempotent."""
        with self._lock:
            if self._keyring is not None:
                self._keyring.close()
                self._keyring = None

    def _opened(self, *, create: bool) -> Keyring:
        master = self.master
        if create and not self.path.exists():
            try:
                master()
            except NotFound:
                if not master.makes_own:
                    raise
                master.make()
        try:
            return Keyring.open(self.path, master, self._store, create=create)
        except WrongKey:
            if not (master.makes_own and master.following.is_file()):
                raise
        # A rotation was killed between the keyring and the key file: the key that was to follow opens it.
        opened = Keyring.open(self.path, lambda: key_of_file(master.following), self._store)
        opened.close()
        master.turn()
        return Keyring.open(self.path, master, self._store)

    def _place(self, scope: str, key: str) -> bytes:
        return place(self._store, "value", scope, key, b"")


class MemorySealer:
    """The sealer of a store in memory: keys that end with it."""

    def __init__(self, store_id: str) -> None:
        self._store = id_bytes(store_id)
        self._keys: dict[str, DataKey] = {}

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
