"""Keyring: the data keys of a store's scopes and sessions, in one file outside of its data.

What is sealed in the store is worth as much as this file: a backup of the store does not contain it, and to destroy a
key here is to destroy everything sealed with it, in the store, its backups and its copies alike.

What must stay true: a data key is durable before anybody uses it; two processes never make two keys for one name; a
wrong master key changes nothing; whatever kills a process, the file is whole, and holds all of an operation or nothing.
The form of the file is in ``keyring_format``, the order of its writes in ``keyring_file``.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from llmspell.errors import InvalidInput, NotFound, WrongKey
from llmspell.model import limits
from llmspell.security.keyring_file import KeyringFile, is_private
from llmspell.security.keyring_format import Ring
from llmspell.security.keyring_shared import MasterSource, SharedRing, ask
from llmspell.security.keys import KEY_ID_BYTES, DataKey

OPEN_KEYS_MAX = 1024
"""Data keys that are kept unwrapped; those used longest ago are unwrapped anew."""
STORE_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class KeyringStatus:
    """What a keyring tells about itself: no secret among it."""

    path: Path
    store_id: bytes
    master_id: bytes
    """Names the master key that opens it now."""
    keys: int
    erased: int
    """Ids on the erasure list."""
    rewritings: int
    """How often keys were shredded or the master key rotated."""
    size_bytes: int
    private: bool
    """Whether only the owner may read and write the file."""


class Keyring:
    """An open keyring; threads may share it, and processes may open it at the same time. Close it after use.

    Each call looks whether another process changed the file (one system call) and reads what is new. Data keys that a
    caller still holds work on after they were shredded: drop them.
    """

    def __init__(self, shared: SharedRing) -> None:
        """Use ``Keyring.open``."""
        self._shared = shared
        self._mutex = threading.RLock()
        self._open_keys: OrderedDict[bytes, DataKey] = OrderedDict()
        self._opened_from: Ring | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        master: MasterSource,
        store_id: bytes,
        *,
        create: bool = False,
        busy_timeout_s: float = limits.BUSY_TIMEOUT_S,
    ) -> Keyring:
        """The keyring at ``path``, whose folder should not be the store's. ``create`` makes it when it is missing.

        Reads only, unless it is made or a killed writer left something to clear. Raises WrongKey (``wrong-key``;
        ``wrong-keyring`` when it is another store's), NotFound (``keyring-missing``), Corrupt (``keyring-damaged``,
        ``not-a-keyring``), NeedsMigration (``keyring-version``), Busy, StorageFailed. 0.2 s for 100,000 keys.
        """
        if len(store_id) != STORE_ID_BYTES:
            raise InvalidInput(f"a store's id has {STORE_ID_BYTES} bytes, not {len(store_id)}", code="invalid-id")
        shared = SharedRing(KeyringFile(Path(path), busy_timeout_s), store_id, master)
        try:
            shared.start(create=create)
        except BaseException:
            shared.close()
            raise
        return cls(shared)

    # -- using keys ----------------------------------------------------------------------------------------------------

    def data_key(self, name: str) -> DataKey:
        """The data key of a scope or session (its scope's name), made and durable when there was none.

        6 µs; a new key costs a sync to disk. Raises as ``data_keys``.
        """
        return self.data_keys((name,))[0]

    def data_keys(self, names: Sequence[str]) -> list[DataKey]:
        """The data keys of several names in their order; all that are new are made with one sync to disk.

        Raises LimitExceeded (``keyring-full``), WrongKey, Corrupt, Busy, StorageFailed, NotFound. Then no key was made.
        """
        _check_names(names)
        with self._mutex:
            ring = self._fresh()
            if not all(map(ring.knows, names)):
                ring = self._make(names)
            return [self._unwrapped(ring, ring.id_of(name)) for name in names]

    def find(self, name: str) -> DataKey | None:
        """The data key of a name; None when there is none, and none is made."""
        _check_names((name,))
        with self._mutex:
            ring = self._fresh()
            if not ring.knows(name):
                ring = self._settled()
            return self._unwrapped(ring, ring.id_of(name)) if ring.knows(name) else None

    def key(self, key_id: bytes) -> DataKey:
        """The data key of an id, which stands in what was sealed with it. 3 µs.

        Raises NotFound (``key-shredded``) when it was destroyed, and WrongKey (``unknown-data-key``) when it was never
        here: the keyring is another store's, or an older copy.
        """
        with self._mutex:
            ring = self._fresh()
            if not ring.holds(key_id):
                ring = self._settled()
            if ring.holds(key_id):
                return self._unwrapped(ring, key_id)
            if key_id in ring.erased:
                raise NotFound(f"the data key {key_id.hex()} was shredded", code="key-shredded")
            raise WrongKey(
                f"no data key {key_id.hex()} is in the keyring {self._shared.path}",
                code="unknown-data-key",
                hint="the keyring is older than the store: put its newest copy in place",
            )

    # -- destroying and rotating ---------------------------------------------------------------------------------------

    def shred(self, *names: str) -> list[bytes]:
        """Destroy the data keys of names; the ids of the keys destroyed. Names without a key are fine.

        The file is written anew without them and its old bytes are overwritten; the ids go on the erasure list, which
        the caller keeps elsewhere too (``erasures``). Whoever asks for a destroyed name again gets another key. Other
        processes know at their next call. Durable. Raises as ``data_keys``; StorageFailed may mean that the old bytes
        could not be overwritten: the next call that writes tries again.
        """
        _check_names(names)
        return self._erase(names, ())

    def apply_erasures(self, key_ids: Iterable[bytes]) -> list[bytes]:
        """Put ids on the erasure list and destroy the keys that have them; the ids that were not on it before.

        After an older copy of the keyring was put in place: hand it the newest list. Raises as ``data_keys``, and
        InvalidInput (``invalid-id``).
        """
        ids = list(key_ids)
        for one in ids:
            if type(one) is not bytes or len(one) != KEY_ID_BYTES:
                raise InvalidInput(f"a key id is {KEY_ID_BYTES} bytes, not {one!r}", code="invalid-id")
        return self._erase((), ids)

    def erasures(self) -> frozenset[bytes]:
        """The ids of all keys ever destroyed here. They are no secret and tell nothing about names."""
        with self._mutex:
            return frozenset(self._fresh().erased)

    def rotate(self, master: MasterSource) -> None:
        """Wrap every data key by another master key. Data keys stay as they are, so nothing sealed is touched.

        Killed at any point, the file opens with the old key or with the new one, and is whole. Keep both until this
        returned. Other processes ask their source again at their next call, and raise WrongKey if it still gives the
        old one. 0.6 s for 100,000 keys. Raises InvalidInput (``same-key``), and as ``data_keys``; after StorageFailed
        ``status().master_id`` says which key opens the file.
        """
        fresh = ask(master)
        with self._mutex, self._shared.exclusive():
            if fresh.id == self._shared.ring.master_id:
                raise InvalidInput("the keyring opens with this master key already", code="same-key")
            self._shared.replace(self._shared.ring.under(fresh), master)

    def status(self) -> KeyringStatus:
        """What the keyring is and how much it holds."""
        with self._mutex:
            ring, path = self._fresh(), self._shared.path
            return KeyringStatus(
                path=path,
                store_id=ring.store_id,
                master_id=ring.master_id,
                keys=ring.keys,
                erased=len(ring.erased),
                rewritings=ring.rewriting,
                size_bytes=self._shared.size_bytes,
                private=is_private(path),
            )

    def close(self) -> None:
        """Forget the keys and close the file. Idempotent."""
        with self._mutex:
            self._open_keys.clear()
            self._shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Keyring({str(self._shared.path)!r})"

    # -- inside --------------------------------------------------------------------------------------------------------

    def _fresh(self) -> Ring:
        """The ring as the file is now. Unwrapped keys that are not in it any more are dropped."""
        self._shared.refresh()
        ring = self._shared.ring
        if ring is not self._opened_from:
            self._opened_from = ring
            for key_id in [one for one in self._open_keys if not ring.holds(one)]:
                del self._open_keys[key_id]
        return ring

    def _settled(self) -> Ring:
        """The ring with what a killed process left in the file and nobody counted."""
        self._shared.settle()
        return self._fresh()

    def _unwrapped(self, ring: Ring, key_id: bytes) -> DataKey:
        key = self._open_keys.get(key_id)
        if key is None:
            key = self._open_keys[key_id] = ring.key(key_id)
            if len(self._open_keys) > OPEN_KEYS_MAX:
                self._open_keys.popitem(last=False)
        self._open_keys.move_to_end(key_id)
        return key

    def _make(self, names: Iterable[str]) -> Ring:
        with self._shared.exclusive():
            # Another process may have made some since we looked.
            new = [name for name in dict.fromkeys(names) if not self._shared.ring.knows(name)]
            if new:
                self._shared.make(new)
            return self._fresh()

    def _erase(self, names: Iterable[str], ids: Iterable[bytes]) -> list[bytes]:
        with self._mutex, self._shared.exclusive():
            content, erased = self._shared.ring.without(names, ids)
            if erased:
                self._shared.replace(content)
                self._fresh()
            return erased


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        try:
            if type(name) is str and name and name.encode():
                continue
        except UnicodeEncodeError:
            pass  # Half of a pair: no name either.
        raise InvalidInput(f"a data key has a scope's name, not {name!r}", code="invalid-name")
