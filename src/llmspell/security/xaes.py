"""XAES-256-GCM: AES-256-GCM with nonces long enough to be drawn at random for ever.

Plain AES-GCM takes 96-bit nonces; drawn at random they may repeat with a chance of 2^-32 after 2^32 messages under one
key, and one repetition gives the authentication away. XAES derives a key of AES-256-GCM for each message from the first
half of a 192-bit nonce (CMAC in counter mode, NIST SP 800-108r1) and uses the other half as the nonce under it: 2^80
messages stay below the same chance. It consists of approved parts only. Source: https://c2sp.org/XAES-256-GCM, whose
test vectors the tests use.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

NONCE_BYTES = 24
TAG_BYTES = 16
_HALF = 12


class Xaes:
    """The cipher of one key. 2 µs for a short message; threads may share it."""

    __slots__ = ("_block", "_lock", "_mask")

    def __init__(self, key: bytes) -> None:
        self._block = _ecb(key)
        self._lock = threading.Lock()
        left = int.from_bytes(self._block.update(bytes(16))) << 1
        one = (left ^ 0x87 if left >> 128 else left) & ((1 << 128) - 1)
        # Both blocks of the counter differ from the nonce's by these constants and the mask of CMAC.
        self._mask = one << 128 ^ one ^ 0x00015800 << 224 ^ 0x00025800 << 96

    def encrypt(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Ciphertext and tag. A nonce of 24 bytes must not be given twice."""
        return bytes(self._gcm(nonce).encrypt(nonce[_HALF:], plaintext, associated))

    def decrypt(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes | None:
        """The plaintext; None when anything of key, nonce, ciphertext and associated data is not what it was."""
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(self._gcm(nonce).decrypt(nonce[_HALF:], ciphertext, associated))
        except InvalidTag:
            return None

    def _gcm(self, nonce: bytes) -> Any:
        half = int.from_bytes(nonce[:_HALF])
        blocks = (half << 128 | half) ^ self._mask
        with self._lock:  # The block cipher is one object of the library, which two threads may not be in.
            return _aesgcm()(self._block.update(blocks.to_bytes(32)))


def _ecb(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    # ECB over single blocks that differ is how CMAC is made; no text is ever encrypted with it.
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305


@cache
def _aesgcm() -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM
