"""Compression of stored content: when it pays, by which codec, and back without trusting what is read.

What must stay true: the numbers of ``Codec`` are in stored rows and stay readable for ever; ``expand`` gives exactly
the recorded number of bytes or raises Corrupt, and never allocates more than that because a damaged or hostile input
says so. What compressed bytes look like is no part of the format: a later release may compress better.
"""

from __future__ import annotations

import sys
import zlib
from enum import IntEnum
from typing import Literal, Protocol, get_args

import lz4.block  # type: ignore[import-untyped]  # it ships no types

from llmspell.errors import Corrupt, InvalidInput
from llmspell.model.telling import told

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Buffer = bytes | memoryview
Compression = Literal["auto", "none", "zstd", "lz4", "gzip"]
"""``auto``: zstd where it saves a quarter. A named codec: used wherever it saves anything. ``none``: never."""

AUTO_BYTES_MIN = 10 << 10
"""Whole contents shorter than this are left as they are by ``auto``."""
_SAMPLE_BYTES = 4 << 10
_GZIP_WBITS = 31
_GZIP_LEVEL = 6
_STEP_BYTES = 64 << 10
_ZSTD_BOUNDS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 24}
"""A frame of ours never needs a window above 4 MiB; one that claims more is damaged and gets no memory."""


COMPRESS_BYTES_MIN = 10 << 10
"""Content in memory up to this size is kept as it is unless a compression is asked for by name."""


class Codec(IntEnum):
    """How stored bytes are encoded; the value is what a row holds."""

    RAW = 0
    ZSTD = 1
    LZ4 = 2
    GZIP = 3


_NAMED = {"none": Codec.RAW, "auto": Codec.ZSTD, "zstd": Codec.ZSTD, "lz4": Codec.LZ4, "gzip": Codec.GZIP}


def check_compression(name: str) -> Compression:
    """``name`` as a known choice. Raises InvalidInput (``unknown-compression``)."""
    for known in get_args(Compression):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise InvalidInput(
        f"compression {told(name)} is not known; choose one of {', '.join(get_args(Compression))}",
        code="unknown-compression",
    )


class _Encoder(Protocol):
    def compress(self, data: memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Compressor:
    """Compresses one piece after the other by one choice. Keeps a context, so use one per thread.

    ``level`` is zstd's: 3 for what is written once and small, 1 for streams.
    """

    def __init__(self, compression: Compression, *, level: int = 3) -> None:
        self._auto = compression == "auto"
        self._codec = _NAMED[compression]
        self._level = level
        self._zstd = zstd.ZstdCompressor(level=level) if self._codec is Codec.ZSTD else None

    def compress(self, data: Buffer) -> tuple[Codec, Buffer]:
        """``data`` encoded, or ``(RAW, data)`` when that does not pay. Random bytes cost a sample of them."""
        return self.compress_promising(data) if self.promises(data) else (Codec.RAW, data)

    def compress_promising(self, data: Buffer) -> tuple[Codec, Buffer]:
        """The same for data that was found to promise something."""
        encoded = self._encode(data)
        return (self._codec, encoded) if self._pays(len(encoded), len(data)) else (Codec.RAW, data)

    def compress_within(self, data: bytes, limit: int) -> tuple[Codec, bytes] | None:
        """A whole content encoded into at most ``limit`` bytes, or None. Gives up soon after the limit is passed."""
        if self._codec is not Codec.RAW and not (self._auto and len(data) < AUTO_BYTES_MIN):
            encoded = self._encode_within(data, limit)
            if encoded is not None and self._pays(len(encoded), len(data)):
                return self._codec, encoded
        return (Codec.RAW, data) if len(data) <= limit else None

    def _pays(self, encoded: int, size: int) -> bool:
        return encoded * 4 <= size * 3 if self._auto else encoded < size

    def promises(self, data: Buffer) -> bool:
        """Whether compressing is worth a try. ``auto`` tries a sample from the middle; short data promises always."""
        if self._codec is Codec.RAW or not data:
            return False
        if not self._auto or len(data) <= 2 * _SAMPLE_BYTES:
            return True
        middle = (len(data) - _SAMPLE_BYTES) // 2
        # The sample starts without history, so it may save less than the whole: an eighth is promise enough.
        return len(self._encode(memoryview(data)[middle : middle + _SAMPLE_BYTES])) * 8 <= _SAMPLE_BYTES * 7

    def _encode(self, data: Buffer) -> bytes:
        if self._zstd is not None:
            self._zstd.set_pledged_input_size(len(data))
            return self._zstd.compress(data, mode=zstd.ZstdCompressor.FLUSH_FRAME)
        if self._codec is Codec.LZ4:
            return bytes(lz4.block.compress(data, store_size=False))
        return zlib.compress(data, level=_GZIP_LEVEL, wbits=_GZIP_WBITS)

    def _encode_within(self, data: bytes, limit: int) -> bytes | None:
        if not self.promises(data):
            return None
        if self._codec is Codec.LZ4:  # The block format has no stream; it is fast enough to be done in one go.
            encoded = self._encode(data)
            return encoded if len(encoded) <= limit else None
        return self._encode_stepwise(data, limit)

    def _encode_stepwise(self, data: bytes, limit: int) -> bytes | None:
        encoder = self._make_encoder(len(data))
        view = memoryview(data)
        parts: list[bytes] = []
        total = 0
        for start in range(0, len(data), _STEP_BYTES):
            parts.append(encoder.compress(view[start : start + _STEP_BYTES]))
            total += len(parts[-1])
            if total > limit:
                return None
        parts.append(encoder.flush())
        return b"".join(parts) if total + len(parts[-1]) <= limit else None

    def _make_encoder(self, size: int) -> _Encoder:
        """A fresh context, because the frame may be given up half-way."""
        if self._codec is Codec.GZIP:
            return zlib.compressobj(level=_GZIP_LEVEL, wbits=_GZIP_WBITS)
        encoder = zstd.ZstdCompressor(level=self._level)
        encoder.set_pledged_input_size(size)
        return encoder


def expand(codec: int, stored: Buffer, size: int) -> bytes:
    """The ``size`` bytes that ``stored`` encodes. Raises Corrupt for anything else, without making more of them.

    The caller bounds ``size`` before.
    """
    try:
        data = _expand(codec, stored, size)
    except (zlib.error, zstd.ZstdError, lz4.block.LZ4BlockError, EOFError) as exc:
        raise Corrupt(f"stored bytes do not expand by codec {codec}: {exc}") from exc
    if len(data) != size:
        raise Corrupt(f"stored bytes expand to {len(data)} bytes, {size} were recorded")
    return data


def _expand(codec: int, stored: Buffer, size: int) -> bytes:
    if codec == Codec.RAW:
        return bytes(stored)
    if codec == Codec.LZ4:
        return bytes(lz4.block.decompress(stored, uncompressed_size=size))
    if codec == Codec.ZSTD:
        decoder = zstd.ZstdDecompressor(options=_ZSTD_BOUNDS)
        return _whole(decoder.decompress(stored, size + 1), decoder)
    if codec == Codec.GZIP:
        inflater = zlib.decompressobj(wbits=_GZIP_WBITS)
        return _whole(inflater.decompress(stored, size + 1), inflater)
    raise Corrupt(f"codec {codec} is not known")


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def _whole(data: bytes, decoder: _Decoder) -> bytes:
    """``data``, once it is sure that the encoded form ended with it and nothing follows."""
    if not decoder.eof or decoder.unused_data:
        raise Corrupt(f"stored bytes do not end where the recorded size does (after {len(data)} bytes)")
    return data
