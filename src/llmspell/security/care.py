"""The care of a store's keys: what there is, making a master key, taking it elsewhere, changing it."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.errors import AlreadyExists, InvalidInput, NotFound, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmspell.offload import Offload
    from llmspell.security.sealer import StoreSealer


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What is known of a store's keys; no secret among it. ``keyring`` is None before the first sensitive write.

    ``source`` says where the master key comes from, ``keys`` counts the scopes that have a data key, ``erased`` those
    whose key was destroyed, ``private`` is whether only the owner may read the files.
    """

    source: str
    master: str | None
    keyring: str | None
    keys: int = 0
    erased: int = 0
    private: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "source": self.source, "master": self.master, "keyring": self.keyring, "keys": self.keys,
            "erased": self.erased, "private": self.private,
        }  # fmt: skip


class AsyncKeys:
    """The keys of a store: ``store.keys``. Master and data keys are outside of the store's folder."""

    def __init__(self, sealer: Callable[[], StoreSealer], offload: Offload) -> None:
        self._sealer = sealer
        self._offload = offload

    async def status(self) -> KeyStatus:
        """What there is. Raises WrongKey when the master key does not open the keyring."""
        return await self._offload.run(self._status)

    async def create(self) -> KeyStatus:
        """Make the master key and the keyring now, instead of at the first sensitive write.

        Raises AlreadyExists (``keyring-exists``), StorageFailed, and for a key of the caller's own what reading it
        raises.
        """
        return await self._offload.run(self._create)

    async def export(self, path: str | Path) -> None:
        """Write the master key, as base64, to a new file that only its owner may read: keep it where the store is not.

        Raises NotFound (``key-missing``), AlreadyExists (``file-exists``), StorageFailed.
        """
        await self._offload.run(self._export, Path(path))

    async def rotate(self, to: str | Path | None = None) -> KeyStatus:
        """Change the master key: every data key is wrapped anew, nothing that is sealed is touched.

        Without ``to`` a new key takes the place of the one in the key folder. With it, ``to`` is the file of the new
        key, 32 bytes, hex or base64; from then on the store is opened with it. Killed at any point, the old key or the
        new one opens it. Raises NotFound (``key-missing``, ``keyring-missing``), WrongKey, InvalidInput
        (``key-not-ours``: no ``to``, but the key came from the caller; ``same-key``), StorageFailed.
        """
        return await self._offload.run(self._rotate, None if to is None else Path(to))

    # -- in a thread ---------------------------------------------------------------------------------------------------

    def _status(self) -> KeyStatus:
        sealer = self._sealer()
        source = sealer.master.told
        if not sealer.path.exists():
            return KeyStatus(source, None, None)
        found = sealer.keyring().status()
        return KeyStatus(source, found.master_id.hex(), str(found.path), found.keys, found.erased, found.private)

    def _create(self) -> KeyStatus:
        sealer = self._sealer()
        if sealer.path.exists():
            raise AlreadyExists(f"the keyring {sealer.path} is there already", code="keyring-exists")
        sealer.keyring(create=True)
        return self._status()

    def _export(self, path: Path) -> None:
        text = b64encode(self._sealer().master().reveal()) + b"\n"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise AlreadyExists(f"{path} is there already; a key is never written over", code="file-exists") from None
        except OSError as exc:
            raise StorageFailed(f"cannot write {path}: {exc.strerror}", code="cannot-write-key") from exc
        try:
            os.write(descriptor, text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _rotate(self, to: Path | None) -> KeyStatus:
        sealer = self._sealer()
        if not sealer.path.exists():
            raise NotFound("the store has no keyring yet: nothing sensitive was written", code="keyring-missing")
        if to is None and not sealer.master.makes_own:
            raise InvalidInput(
                f"the key comes from {sealer.master.told}; make the new one there and name its file",
                code="key-not-ours",
            )
        sealer.rotate(to)
        return self._status()
