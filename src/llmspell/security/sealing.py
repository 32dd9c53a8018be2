"""Sealing: a record's bytes, readable with its data key in its place only.

    version  1 byte   1
    flags    1 byte   1 when the text was padded
    key id   16 bytes
    nonce    24 bytes, random
    text     encrypted by XAES-256-GCM
    tag      16 bytes over everything above and the place

The place (store, kind, scope, key, record) is not stored: whoever unseals says where the record was found. A record
moved to another row, scope or store is refused. So is one whose header was changed, since the header is authenticated.

Hidden is the text. Not hidden are its length (58 bytes less than what is stored; with ``padded=True`` its size class),
when and where it was written, by which key, and how often.

Nothing here compresses. A compressed length depends on the text, so whoever can have text of their own stored beside a
secret learns the secret by watching lengths (as CRIME and BREACH did). A caller who compresses first decides so
knowingly; padding narrows that leak and does not close it.

How often a key may be used: random nonces of 192 bits stay below a chance of 2^-32 of repeating for 2^80 records, see
``xaes``; so there is no counter that a restored copy could repeat.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from llmspell.errors import Corrupt, LimitExceeded, WrongKey
from llmspell.model.ids import secret_bytes
from llmspell.security.keys import KEY_ID_BYTES, DataKey
from llmspell.security.padding import pad, unpad
from llmspell.security.xaes import NONCE_BYTES, TAG_BYTES, Xaes

VERSION = 1
HEADER_BYTES = 2 + KEY_ID_BYTES + NONCE_BYTES
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES
"""By so much is a sealed record longer than its text, unless it is padded."""
SEALED_TEXT_BYTES_MAX = 1 << 30
"""The longest text that one call seals."""

_PLAIN, _PADDED = bytes((VERSION, 0)), bytes((VERSION, 1))
_KEY_AT, _NONCE_AT = 2, 2 + KEY_ID_BYTES


def place(store_id: bytes, kind: str, scope: str, key: str, record_id: bytes) -> bytes:
    """The associated data of a record: one text for each place, each part with its length before it.

    ``kind`` says what it is (``state.set``, ``chunk``), ``scope`` is a scope's name, ``key`` the key or name within it,
    ``record_id`` what tells apart the versions under that key. 1 µs.
    """
    name = key.encode()
    return b"".join(
        (
            _front(store_id, kind, scope),
            len(name).to_bytes(4),
            name,
            len(record_id).to_bytes(4),
            record_id,
        )
    )


def seal(key: DataKey, text: bytes, place: bytes, *, padded: bool = False) -> bytes:
    """``text`` sealed by ``key`` for ``place``: other bytes each time. See the module for their form.

    Raises LimitExceeded (``text-too-long``) above 1 GiB. Some 3 µs, and 0.1 µs for each KB.
    """
    if len(text) > SEALED_TEXT_BYTES_MAX:
        raise LimitExceeded(f"{len(text):,} bytes are too long to seal at once", code="text-too-long")
    nonce = secret_bytes(NONCE_BYTES)
    header = (_PADDED if padded else _PLAIN) + key.id + nonce
    return header + _cipher(key).encrypt(nonce, pad(text) if padded else text, header + place)


def unseal(key: DataKey, sealed: bytes, place: bytes) -> bytes:
    """The text that was sealed by ``key`` for ``place``.

    Raises WrongKey (``wrong-data-key``) when another key sealed it, and Corrupt: ``sealed-cut`` (shorter than any
    sealed record), ``sealed-version`` (made by a newer version, or no sealed record at all), ``sealed-mismatch`` (its
    bytes or its place are not those it was sealed with, or it was cut). Nothing of the text is given then.
    """
    if key_id_of(sealed) != key.id:
        raise WrongKey(
            f"the record was sealed with the data key {key_id_of(sealed).hex()}, not with {key.id.hex()}",
            code="wrong-data-key",
        )
    header, nonce = sealed[:HEADER_BYTES], sealed[_NONCE_AT:HEADER_BYTES]
    text = _cipher(key).decrypt(nonce, sealed[HEADER_BYTES:], header + place)
    if text is not None and sealed[1]:
        text = unpad(text)
    if text is None:
        raise Corrupt(
            "a sealed record does not match its key and place: it was changed, cut or moved", code="sealed-mismatch"
        )
    return text


def key_id_of(sealed: bytes) -> bytes:
    """The id of the data key that a sealed record names. It may lie until the record is unsealed.

    Raises Corrupt (``sealed-cut``, ``sealed-version``).
    """
    if sealed[:2] not in {_PLAIN, _PADDED} and len(sealed) >= 2:
        raise Corrupt(
            f"a sealed record begins with {sealed[:2].hex()}, which this version does not know", code="sealed-version"
        )
    if len(sealed) < OVERHEAD_BYTES:
        raise Corrupt(f"a sealed record has {len(sealed)} bytes; the shortest has {OVERHEAD_BYTES}", code="sealed-cut")
    return sealed[_KEY_AT:_NONCE_AT]


@lru_cache(maxsize=1024)
def _front(store_id: bytes, kind: str, scope: str) -> bytes:
    """The part of a place that many records share. The version stands first, for the day when there is another."""
    fields = (b"llmspell place 1", store_id, kind.encode(), scope.encode())
    return b"".join(len(field).to_bytes(4) + field for field in fields)


def _cipher(key: DataKey) -> Xaes:
    """The cipher of a key, made once for each."""
    if key._cipher is None:  # noqa: SLF001 - the key keeps it, so that it goes when the key does
        key._cipher = Xaes(key.reveal())  # noqa: SLF001
    return cast("Xaes", key._cipher)  # noqa: SLF001
