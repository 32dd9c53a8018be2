"""A master key as text that can be kept elsewhere: under a passphrase, or bare.

    llmspell-key-1:BASE64    of log2(N) u8, r u8, p u8, salt 16, nonce 12, key 32 + tag 16, checksum 4

The passphrase (in Unicode's normal form C, as UTF-8) becomes a key by scrypt (RFC 7914), which takes 128 MB and 0.4 s
here; AES-256-GCM seals the master key with it. The checksum, of BLAKE3, tells a typing mistake from a wrong passphrase.
"""

from __future__ import annotations

import base64
import binascii
import struct
import unicodedata
import warnings
from typing import Any, Literal

from blake3 import blake3

from llmspell.errors import InvalidInput, WrongKey
from llmspell.model.ids import secret_bytes
from llmspell.security.keys import KEY_BYTES, MasterKey
from llmspell.security.sources import InsecureKey

PASSPHRASE_CHARS_MIN = 8
RULE = f"a passphrase has at least {PASSPHRASE_CHARS_MIN} characters, none of them a lone surrogate"
PREFIX = "llmspell-key-1:"

_COST_LOG2, _COST_LOG2_MAX = 17, 18
_BLOCKS, _LANES = 8, 1
_PARTS = struct.Struct(">BBB16s12s48s4s")


def export_key(key: MasterKey, passphrase: str) -> str:
    """The key as one line that only the passphrase opens. 0.4 s and 128 MB.

    Raises InvalidInput (``weak-passphrase``) for less than 8 characters. Length is all that is judged: choose one that
    cannot be guessed, such as six random words.
    """
    hidden, passphrase = _Passphrase(passphrase), ""
    salt, nonce = secret_bytes(16), secret_bytes(12)
    costs = bytes((_COST_LOG2, _BLOCKS, _LANES))
    body = costs + salt + nonce + hidden.cipher(salt, costs).encrypt(nonce, key.reveal(), costs + salt)
    return PREFIX + base64.urlsafe_b64encode(body + _checksum(body)).decode()


def import_key(text: str, passphrase: str) -> MasterKey:
    """The key of an exported line; white space in it does not matter.

    Raises InvalidInput (``invalid-key-export``: no such line, mistyped, or of costs no export has) and WrongKey
    (``wrong-passphrase``).
    """
    from cryptography.exceptions import InvalidTag

    hidden, passphrase = _Passphrase(passphrase), ""
    costs, salt, nonce, sealed = _parts("".join(text.split()))
    try:
        return MasterKey(hidden.cipher(salt, costs).decrypt(nonce, sealed, costs + salt))
    except InvalidTag:
        raise WrongKey("the passphrase does not open this key", code="wrong-passphrase") from None


def can_be_typed(passphrase: str) -> bool:
    """Whether it is without lone surrogates, which stand for bytes that were no text, differently at every door."""
    return not any("\ud800" <= char <= "\udfff" for char in passphrase)


def export_bare(key: MasterKey, form: Literal["hex", "base64"] = "hex") -> str:
    """The key as text that anybody can use who sees it, as files and variables take it. Warns (``InsecureKey``)."""
    if form not in {"hex", "base64"}:
        raise InvalidInput(f"a key is written as hex or base64, not {form!r}", code="invalid-key-form")
    warnings.warn("this is the key itself: whoever sees it reads everything", InsecureKey, stacklevel=2)
    return key.reveal().hex() if form == "hex" else base64.b64encode(key.reveal()).decode()


# -- inside ------------------------------------------------------------------------------------------------------------


class _Passphrase:
    """A passphrase that no frame shows."""

    __slots__ = ("_bytes",)

    def __init__(self, text: str) -> None:
        self._bytes = b""
        # It is refused when it is used, in a frame that does not know it.
        if type(text) is str and len(text) >= PASSPHRASE_CHARS_MIN and can_be_typed(text):
            self._bytes = unicodedata.normalize("NFC", text).encode()

    def cipher(self, salt: bytes, costs: bytes) -> Any:
        """AES-256-GCM under the key that the passphrase gives. Raises InvalidInput (``weak-passphrase``)."""
        if not self._bytes:
            raise InvalidInput(RULE, code="weak-passphrase")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        cost, blocks, lanes = costs
        return AESGCM(Scrypt(salt, KEY_BYTES, 1 << cost, blocks, lanes).derive(self._bytes))


def _parts(text: str) -> tuple[bytes, bytes, bytes, bytes]:
    try:
        content = base64.b64decode(text.removeprefix(PREFIX), b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    whole = len(content) == _PARTS.size and _checksum(content[:-4]) == content[-4:]
    # Written again, it must be the same: base64 leaves bits at its end that nobody reads.
    if not whole or text != PREFIX + base64.urlsafe_b64encode(content).decode():
        raise InvalidInput(
            "this is no exported key, or it was mistyped",
            code="invalid-key-export",
            hint=f"it is one line that begins with {PREFIX}",
        )
    cost, blocks, lanes, salt, nonce, sealed, _ = _PARTS.unpack(content)
    # Another cost would be a way to make whoever imports it wait, or run out of memory.
    if not _COST_LOG2 <= cost <= _COST_LOG2_MAX or (blocks, lanes) != (_BLOCKS, _LANES):
        raise InvalidInput("the exported key asks for costs that no export has", code="invalid-key-export")
    return bytes((cost, blocks, lanes)), salt, nonce, sealed


def _checksum(body: bytes) -> bytes:
    return blake3(body).digest(4)
