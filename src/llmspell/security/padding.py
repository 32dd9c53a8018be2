"""Padding to size classes, so that a sealed text's length tells little about the text.

Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019): of a
length only the leading bits are kept, so an observer learns O(log log n) bits instead of O(log n). It costs at most
12 %, and less the longer the text.
"""

from __future__ import annotations

PADDED_BYTES_MIN = 64
"""Shorter texts are all made this long: numbers, flags, names and short answers look alike."""

_MARK = b"\x80"


def padded_size(size: int) -> int:
    """The size class of ``size`` bytes: the smallest length of Padmé that holds them, at least 64."""
    if size <= PADDED_BYTES_MIN:
        return PADDED_BYTES_MIN
    exponent = size.bit_length() - 1
    free_bits = exponent - exponent.bit_length()
    mask = (1 << free_bits) - 1
    return (size + mask) & ~mask


def pad(text: bytes) -> bytes:
    """``text``, a marking byte and zeros up to the size class."""
    return (text + _MARK).ljust(padded_size(len(text) + 1), b"\0")


def unpad(padded: bytes) -> bytes | None:
    """What was padded; None when this is not what ``pad`` makes. Only for what has been authenticated."""
    text = padded.rstrip(b"\0")
    return text[:-1] if text.endswith(_MARK) and len(padded) == padded_size(len(text)) else None
