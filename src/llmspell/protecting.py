"""Wiring of what protects values: the key's source, the keyring of a store, the search for secrets."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from llmspell.artifacts.captures.origin import has_sealed_here
from llmspell.errors import InvalidInput, NotFound
from llmspell.model.telling import told
from llmspell.registry.bindings import Bindings
from llmspell.report import report_secrets
from llmspell.security import variables
from llmspell.state.classes import Protection, SecretsPolicy, check_policy

if TYPE_CHECKING:
    from pathlib import Path

    from llmspell.adapters.sqlite.store import OpenStore
    from llmspell.ports.database import Reading
    from llmspell.ports.sealing import StoreCipher
    from llmspell.security.redaction import Redactor
    from llmspell.security.sealer import KeySource
    from llmspell.security.vault import StoreVault


_HAS_SEALED = "SELECT 1 FROM state WHERE class = 'sensitive' AND deleted = 0 LIMIT 1"


class LazyVault:
    """See ``ports.sealing.Vault``, imported when there is an encrypted store to open or to make."""

    def __init__(self, key: KeySource | None) -> None:
        self._key = key
        self._made: Any = None

    @property
    def sealer(self) -> Any:
        """The sealer that opened the store; None for one that is not encrypted."""
        return None if self._made is None else self._made.sealer

    def unlock(self, store_id: str, folder: Path) -> StoreCipher:
        """See ``Vault``."""
        return self._vault().unlock(store_id, folder)

    def make(self, store_id: str, folder: Path) -> StoreCipher:
        """See ``Vault``."""
        return self._vault().make(store_id, folder)

    def _vault(self) -> StoreVault:
        from llmspell.security.vault import StoreVault

        made: StoreVault = self._made or StoreVault(self._key)
        self._made = made
        return made


def check_redactor(redactor: object) -> None:
    """Raises InvalidInput (``invalid-argument``) for what has no ``redact``."""
    if redactor is not None and (isinstance(redactor, type) or not callable(getattr(redactor, "redact", None))):
        raise InvalidInput(
            f"a redactor has a function redact(value), which {told(redactor)} has not", code="invalid-argument",
            hint="llmspell.Redactor(patterns={…}, fields=[…])",
        )  # fmt: skip


def check_protection(key: KeySource | None, secrets: SecretsPolicy, *, encrypt: bool) -> None:
    """Before a store is made: what would be refused once it is there; an encrypted one is not made without its key.

    Raises NotFound (``key-missing``), InvalidInput (``invalid-key``, ``invalid-policy``), StorageFailed.
    """
    check_policy(secrets)
    if key is not None and not encrypt:
        from llmspell.security.sealer import read_key

        read_key(key)


def protection_of(
    files: OpenStore, key: KeySource | None, secrets: SecretsPolicy, redactor: Redactor | None, vault: LazyVault
) -> Protection:
    """What an open store protects values with. A key that is given, here or by a variable, is tried at once, if the
    store has a keyring: a wrong one is met before anything is written, whatever the caller does first.

    Raises WrongKey, NotFound (``key-missing``), InvalidInput (``invalid-key``, ``invalid-policy``), StorageFailed.
    """

    @cache
    def finder() -> Redactor:
        from llmspell.security.redaction import Redactor as Standard

        return redactor or Standard()

    return Protection(_LazySealer(files, key, vault.sealer), Bindings(), finder, secrets, report_secrets)


class _LazySealer:
    """The sealer, imported when it is first used: most stores never need cryptography."""

    def __init__(self, files: OpenStore, key: KeySource | None, made: Any) -> None:
        self._files = files
        self._key = key
        self._made: Any = made
        self._may_make = made is not None or files.path is None
        is_read = files.created and files.path is not None  # see ``check_protection``
        if made is None and (key is not None or (files.path is not None and variables.given())):
            self.sealer(check=True, read=not is_read)

    @property
    def store_id(self) -> str:
        """See ``Sealer``."""
        return self._files.store_id

    def sealer(self, *, check: bool = False, read: bool = True) -> Any:
        """The sealer itself. ``check`` opens the keyring, if there is one; where there is none, a key is read, unless
        it was just now, and a variable not yet: its command may ask a person, for a store that has no use for it.
        """
        if self._made is None:
            from llmspell.security.sealer import MemorySealer, StoreSealer

            if self._files.path is None:
                self._made = MemorySealer(self._files.store_id)
            else:
                sealer = StoreSealer(self._key, self._files.store_id, self._files.path)
                if check:
                    sealer.check(read=read and self._key is not None)
                self._made = sealer
        return self._made

    def prepare(self, scope: str) -> None:
        """See ``Sealer``."""
        self._may_seal()
        self.sealer().prepare(scope)

    def seal(self, scope: str, key: str, text: bytes) -> bytes:
        """See ``Sealer``."""
        self._may_seal()
        sealed: bytes = self.sealer().seal(scope, key, text)
        return sealed

    def unseal(self, scope: str, key: str, sealed: bytes) -> bytes:
        """See ``Sealer``."""
        text: bytes = self.sealer().unseal(scope, key, sealed)
        return text

    def close(self) -> None:
        """See ``Sealer``."""
        if self._made is not None:
            self._made.close()

    def demand_keyring(self) -> None:
        """See ``Sealer``."""
        path = self.sealer().path
        if not path.exists() and self._is_needed():
            raise NotFound(
                f"the store has sealed values, and their keyring is not at {path}",
                code="keyring-missing",
                hint="bring it back, or name its folder (LLMSPELL_KEYS); if it is lost for good, make another:"
                " llmspell key create",
            )

    def _may_seal(self) -> None:
        """The same before the first write, which would make a second keyring: values would be parted among two, of
        which one is found from each place.
        """
        if not self._may_make:
            self.demand_keyring()
            self._may_make = True

    def _is_needed(self) -> bool:
        """Whether anything here was sealed with it; a capture that another store sealed was not."""

        def sealed(view: Reading) -> bool:
            return view.one(_HAS_SEALED) is not None or has_sealed_here(view, self.store_id)

        return self._files.cipher is not None or self._files.engine.read(sealed)
