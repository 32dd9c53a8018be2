"""The care of a store's keys: what there is, making a master key, taking it elsewhere, changing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.errors import AlreadyExists, InvalidInput, NotFound, StorageFailed, WrongKey
from llmspell.model.arguments import check_path
from llmspell.outputs import check_outside
from llmspell.security.durable import sync_folder, write_new
from llmspell.security.export import PREFIX, export_key, import_key
from llmspell.security.key_files import check_output
from llmspell.security.keyring import Keyring
from llmspell.security.sources import KeyFile, read_key_file
from llmspell.security.user_key import UserKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmspell.offload import Offload
    from llmspell.security.keys import MasterKey
    from llmspell.security.sealer import StoreSealer


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What is known of a store's keys; no secret among it. ``keyring`` is None before the first sensitive write.

    ``source`` says where the master key comes from, ``keys`` counts the scopes that have a data key, ``erased`` those
    whose key was destroyed, ``private`` is whether only the owner may read the files: the keyring, and that of the
    master key where it is in one.
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

    def __init__(self, sealer: Callable[[], StoreSealer], demand_keyring: Callable[[], None], offload: Offload) -> None:
        self._sealer = sealer
        self._demand_keyring = demand_keyring
        self._offload = offload

    async def status(self) -> KeyStatus:
        """What there is. Raises WrongKey when the master key does not open the keyring, NotFound (``keyring-missing``)
        when the store has sealed values, and their keyring is not here.
        """
        return await self._offload.run(self._status)

    async def create(self) -> KeyStatus:
        """Make the master key and the keyring now, instead of at the first sensitive write.

        Raises AlreadyExists (``keyring-exists``), StorageFailed, and for a key of the caller's own what reading it
        raises.
        """
        return await self._offload.run(self._create)

    async def export(self, path: str | Path, *, passphrase: str | None = None) -> None:
        """Write the master key to a new file that only its owner may read: keep it where the store is not.

        With a passphrase only that opens it, by ``import_``; without, it is the key itself, in hex. It is tried on the
        keyring first: nobody is to keep a key that opens nothing. Raises WrongKey, NotFound (``key-missing``;
        ``keyring-missing``: the store has sealed values, and their keyring is not here), AlreadyExists
        (``file-exists``), InvalidInput (``weak-passphrase``, ``invalid-path``, ``path-in-store``, ``path-of-key``),
        StorageFailed.
        """
        await self._offload.run(self._export, check_output(path), passphrase)

    async def import_(self, path: str | Path, *, passphrase: str | None = None) -> KeyStatus:
        """Put an exported key in the key folder, where the store looks for it. Bring the keyring there first: the key
        is tried on it.

        Raises AlreadyExists (``key-exists``), WrongKey (also when it does not open the keyring), InvalidInput
        (``invalid-key``, ``invalid-key-export``), NotFound (``key-missing``; ``keyring-missing``: the store has sealed
        values, and their keyring is not here), StorageFailed.
        """
        return await self._offload.run(self._import, check_path(path), passphrase)

    async def rotate(self, to: str | Path | None = None) -> KeyStatus:
        """Change the master key: every data key is wrapped anew, nothing that is sealed is touched.

        Without ``to`` a new key takes the place of the one in the key folder. With it, ``to`` is the file of the new
        key, 32 bytes, hex or base64; from then on the store is opened with it, and the one in the key folder, which
        opens nothing any more, is destroyed. Killed at any point, the old key or the
        new one opens it. Raises NotFound (``key-missing``, ``keyring-missing``), WrongKey, InvalidInput
        (``key-not-ours``: no ``to``, but the key came from the caller; ``same-key``; ``path-in-store``: a key is not
        kept with what it opens), StorageFailed.
        """
        return await self._offload.run(self._rotate, None if to is None else check_outside(to))

    # -- in a thread ---------------------------------------------------------------------------------------------------

    def _status(self) -> KeyStatus:
        sealer = self._sealer()
        source, private = sealer.told, sealer.private
        if not sealer.path.exists():
            self._demand_keyring()
            return KeyStatus(source, None, None, private=private)
        found = sealer.keyring().status()
        private = private and found.private
        return KeyStatus(source, found.master_id.hex(), str(found.path), found.keys, found.erased, private)

    def _create(self) -> KeyStatus:
        sealer = self._sealer()
        if sealer.path.exists():
            raise AlreadyExists(f"the keyring {sealer.path} is there already", code="keyring-exists")
        sealer.keyring(create=True)
        return self._status()

    def _export(self, path: Path, passphrase: str | None) -> None:
        master = self._tried()
        text = master.reveal().hex() if passphrase is None else export_key(master, passphrase)
        try:
            write_new(path, text.encode() + b"\n")
            sync_folder(path.parent)
        except FileExistsError:
            raise AlreadyExists(f"{path} is there already; a key is never written over", code="file-exists") from None
        except OSError as exc:
            raise StorageFailed(f"cannot write {path}: {exc.strerror}", code="cannot-write-key") from exc

    def _tried(self) -> MasterKey:
        """The master key, which opens the keyring if there is one."""
        sealer = self._sealer()
        self._demand_keyring()
        if not sealer.path.exists():
            return sealer.master()
        opens = sealer.keyring().status().master_id  # First: it takes up a rotation that was killed.
        master = sealer.master()
        if master.id != opens:  # What the source gives may have changed since the keyring was opened.
            raise WrongKey(
                f"the keyring opens with the master key {opens.hex()}, and {sealer.told} gives {master.id.hex()}",
                hint="nothing was written; give the key that opens the store",
            )
        return master

    def _import(self, path: Path, passphrase: str | None) -> KeyStatus:
        sealer = self._sealer()
        own = sealer.source
        if not isinstance(own, UserKey):
            raise InvalidInput(f"the key comes from {sealer.told}, not from the key folder", code="key-not-ours")
        if own.path.exists():
            raise AlreadyExists(
                f"there is a key at {own.path} already", code="key-exists",
                hint="if it opens nothing any more, move it away first; to change a key that does, rotate it",
            )  # fmt: skip
        self._demand_keyring()
        key = _bare(path) if passphrase is None else import_key(_text(path), passphrase)
        if sealer.path.exists():
            Keyring.open(sealer.path, key, sealer.store_id).close()
        own.keep(key, outside=sealer.outside)
        return self._status()

    def _rotate(self, to: Path | None) -> KeyStatus:
        sealer = self._sealer()
        if not sealer.path.exists():
            raise NotFound("the store has no keyring yet: nothing sensitive was written", code="keyring-missing")
        sealer.rotate(to)
        return self._status()


def _bare(path: Path) -> MasterKey:
    try:
        return KeyFile(path)()
    except InvalidInput as exc:
        if path.is_file() and _text(path).startswith(PREFIX):
            raise InvalidInput(
                f"the key in {path} was exported with a passphrase", code="invalid-key", hint="give that, too"
            ) from exc
        raise


def _text(path: Path) -> str:
    """What a file holds that is no text is no exported key, whatever stands for it."""
    return read_key_file(path).decode("ascii", "replace")
