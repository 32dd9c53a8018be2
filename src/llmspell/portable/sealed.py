"""A bundle's key: from a passphrase by scrypt, as exported keys have it, or from 32 bytes. Each file has its own."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from hmac import compare_digest
from typing import Any

from blake3 import blake3

from llmspell.errors import Corrupt, InvalidInput, WrongKey
from llmspell.model.ids import secret_bytes
from llmspell.security.export import PASSPHRASE_CHARS_MIN, RULE, can_be_typed
from llmspell.security.keys import KEY_BYTES, MasterKey
from llmspell.security.xaes import NONCE_BYTES, Xaes
from llmspell.sessions.ported import BundleKey

PLAIN, PASSPHRASE, KEY = 0, 1, 2
SALT_BYTES, CHECK_BYTES = 16, 8
_COSTS = bytes((17, 8, 1))
_NO_COSTS = bytes(3)


class FrameSeal:
    """Seals the frames of one file for their places."""

    def __init__(self, raw: bytes, front: bytes) -> None:
        self.prelude = front + blake3(raw, derive_key_context="llmspell 1 check of a bundle's key").digest(CHECK_BYTES)
        self._cipher = Xaes(blake3(raw, derive_key_context="llmspell 1 frames of a bundle").digest())

    def seal(self, number: int, kind: int, body: bytes) -> bytes:
        """A frame's body, other bytes each time."""
        nonce = secret_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, body, self._place(number, kind))

    def open(self, number: int, kind: int, sealed: bytes) -> bytes:
        """The inverse. Raises Corrupt (``invalid-bundle``)."""
        body = None
        if len(sealed) > NONCE_BYTES:
            body = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._place(number, kind))
        if body is None:
            raise Corrupt(
                f"this is no sound bundle of a session: frame {number} was changed, cut or moved", code="invalid-bundle"
            )
        return body

    def _place(self, number: int, kind: int) -> bytes:
        return self.prelude + number.to_bytes(8) + bytes((kind,))


def new_seal(key: BundleKey) -> FrameSeal:
    """The seal of a new file. Some 0.4 s for a passphrase. Raises InvalidInput (``weak-passphrase``,
    ``invalid-key``).
    """
    salt = secret_bytes(SALT_BYTES)
    front = bytes((PASSPHRASE if type(key) is str else KEY,)) + (_COSTS if type(key) is str else _NO_COSTS) + salt
    return FrameSeal(_raw(key, salt), front)


def read_seal(take: Callable[[int], bytes], key: BundleKey | None) -> FrameSeal | None:
    """The seal of a file whose prelude ``take`` reads; None for a plain one. Raises WrongKey, InvalidInput, Corrupt."""
    form = take(1)
    if form[0] == PLAIN:
        if key is not None:
            raise InvalidInput("a key was given, and the bundle is not encrypted", code="bundle-not-encrypted")
        return None
    costs, salt, check = take(3), take(SALT_BYTES), take(CHECK_BYTES)
    # Another cost would be a way to make whoever imports it wait, or run out of memory.
    if (form[0], costs) not in {(PASSPHRASE, _COSTS), (KEY, _NO_COSTS)}:
        raise Corrupt("this is no sound bundle of a session: it is sealed in no known way", code="invalid-bundle")
    if key is None:
        raise WrongKey(
            "the bundle is encrypted", code="key-needed", hint="give the passphrase or key that it was exported with"
        )
    if (type(key) is str) != (form[0] == PASSPHRASE):
        by = "a passphrase" if form[0] == PASSPHRASE else "a key of 32 bytes"
        raise WrongKey(f"the bundle was encrypted by {by}", code="wrong-bundle-key")
    seal = FrameSeal(_raw(key, salt), form + costs + salt)
    if not compare_digest(seal.prelude[-CHECK_BYTES:], check):
        raise WrongKey("the key does not open this bundle", code="wrong-bundle-key")
    return seal


def check_bundle_key(key: object) -> None:
    """Raises InvalidInput (``weak-passphrase``, ``invalid-key``) for what is no key of a bundle."""
    if isinstance(key, MasterKey):
        return
    if type(key) is str:
        if len(key) < PASSPHRASE_CHARS_MIN or not can_be_typed(key):
            raise InvalidInput(RULE, code="weak-passphrase")
    elif type(key) is not bytes or len(key) != KEY_BYTES:
        raise InvalidInput(
            f"a bundle is encrypted by a passphrase or {KEY_BYTES} bytes, not this {type(key).__name__}",
            code="invalid-key",
        )


def _raw(key: Any, salt: bytes) -> bytes:
    check_bundle_key(key)
    if type(key) is not str:
        raw = key.reveal() if isinstance(key, MasterKey) else key
        return blake3(raw + salt, derive_key_context="llmspell 1 key of a bundle").digest()
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    cost, blocks, lanes = _COSTS
    text = unicodedata.normalize("NFC", key).encode()
    return Scrypt(salt, KEY_BYTES, 1 << cost, blocks, lanes).derive(text)
