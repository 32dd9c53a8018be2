"""How a payload lies in its row: short ones as JSON text that a person can read, longer ones zstd when that pays."""

from __future__ import annotations

import threading

import zstandard

from llmspell.errors import Corrupt
from llmspell.model import limits

TEXT, ZSTD = 0, 1
_LEVEL = 3


class _Codecs(threading.local):
    """One compressor and one decompressor a thread: they are not to be shared, and reusing them is 10x faster."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_codecs = _Codecs()


def store_payload(encoded: bytes) -> tuple[int, str | bytes]:
    """Codec and stored form: zstd when it saves an eighth of a payload over 512 bytes, else the text itself."""
    if len(encoded) > limits.PAYLOAD_COMPRESS_BYTES_MIN:
        compressed = _codecs.compress(encoded)
        if len(compressed) * 8 <= len(encoded) * 7:
            return ZSTD, compressed
    return TEXT, encoded.decode()


def load_payload(codec: int, stored: str | bytes) -> bytes:
    """The payload's JSON bytes. Raises Corrupt when they cannot be had; the caller checks the digest."""
    if codec == TEXT:
        return stored.encode() if isinstance(stored, str) else stored
    if codec != ZSTD or isinstance(stored, str):
        raise Corrupt(f"a payload has codec {codec}, which is unknown")
    try:
        if zstandard.get_frame_parameters(stored).content_size > limits.VALUE_BYTES_MAX * 2:
            raise Corrupt("a payload claims to be larger than any payload may be")
        return _codecs.decompress(stored)
    except zstandard.ZstdError as exc:
        raise Corrupt(f"a payload cannot be decompressed: {exc}") from exc
