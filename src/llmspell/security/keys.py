"""Keys as values that can be handed about without being seen.

A key's bytes are behind ``reveal()``; its representation, its pickling and the local variables that a traceback may
print show its name only. Python cannot promise to wipe memory: what a process held may be in its core dump or swap.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn

from blake3 import blake3

from llmspell.errors import InvalidInput
from llmspell.model.ids import secret_bytes

KEY_BYTES = 32
KEY_ID_BYTES = 16


class _Key:
    """32 secret bytes with a name that is no secret."""

    __slots__ = ("_bytes", "id")

    def __init__(self, raw: bytes, id_: bytes) -> None:
        self._bytes = raw
        self.id = id_
        """16 bytes that name the key and tell nothing about it."""

    def reveal(self) -> bytes:
        """The 32 bytes themselves. Use them in the same expression, so that no frame holds them."""
        return self._bytes

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose, by BLAKE3's key derivation: one key is never used for two. 1 µs."""
        return blake3(self._bytes, derive_key_context=f"llmspell 1 {purpose}").digest()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and compare_digest(self._bytes, other._bytes)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        id_ = getattr(self, "id", b"")  # Missing while a traceback shows one that was refused.
        return f"{type(self).__name__}(id={id_.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled or copied")


class MasterKey(_Key):
    """The key that opens a keyring. Its ``id`` is derived from it, so that equal keys have equal ids.

    ``MasterKey(raw)`` raises InvalidInput (``invalid-key``) unless ``raw`` is 32 bytes. Nobody can judge whether they
    are random: take them from ``generate()``.
    """

    __slots__ = ()

    def __init__(self, raw: bytes | bytearray) -> None:
        if type(raw) not in {bytes, bytearray} or len(raw) != KEY_BYTES:
            problem, raw = _problem(raw), b""
            raise InvalidInput(f"a master key is {KEY_BYTES} bytes, not {problem}", code="invalid-key")
        raw = bytes(raw)
        super().__init__(raw, blake3(raw, derive_key_context="llmspell 1 id of a master key").digest(KEY_ID_BYTES))

    @classmethod
    def generate(cls) -> MasterKey:
        """A new random one."""
        return cls(secret_bytes(KEY_BYTES))


class DataKey(_Key):
    """The key of one scope or session. Its ``id`` is random and stands in everything sealed with it."""

    __slots__ = ("_cipher",)

    def __init__(self, raw: bytes, id_: bytes) -> None:
        if len(raw) != KEY_BYTES or len(id_) != KEY_ID_BYTES:
            raw = b""
            raise InvalidInput(f"a data key is {KEY_BYTES} bytes, and its id {KEY_ID_BYTES}", code="invalid-key")
        super().__init__(raw, id_)
        self._cipher: object = None
        """What sealing keeps with the key; nobody else reads it."""

    @classmethod
    def generate(cls) -> DataKey:
        """A new random one with a new random id."""
        return cls(secret_bytes(KEY_BYTES), secret_bytes(KEY_ID_BYTES))


def _problem(raw: object) -> str:
    return f"{len(raw)} bytes" if isinstance(raw, bytes | bytearray) else f"a {type(raw).__name__}"
