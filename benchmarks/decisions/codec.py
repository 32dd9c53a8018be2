"""Compressing payloads of 2 KB: contexts of ``zstandard`` kept and reused, against a context for each call."""

from __future__ import annotations

import sys

import zstandard

from benchmarks.decisions import compare
from benchmarks.texts import turns

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 3


def main() -> None:
    """Print both directions."""
    payload = turns(1)[0].encode()
    packed = zstandard.ZstdCompressor(level=LEVEL).compress(payload)
    print(f"payload of {len(payload)} bytes, {len(packed)} compressed")
    compressor, decompressor = zstandard.ZstdCompressor(level=LEVEL), zstandard.ZstdDecompressor()
    compare(
        "compress",
        {
            "zstandard, one compressor reused": lambda: compressor.compress(payload),
            "zstandard, a compressor a call": lambda: zstandard.ZstdCompressor(level=LEVEL).compress(payload),
            "zstd of the standard library, a call": lambda: zstd.compress(payload, LEVEL),
        },
        times=2000,
    )
    compare(
        "decompress",
        {
            "zstandard, one decompressor reused": lambda: decompressor.decompress(packed),
            "zstandard, a decompressor a call": lambda: zstandard.ZstdDecompressor().decompress(packed),
            "zstd of the standard library, a call": lambda: zstd.decompress(packed),
        },
        times=5000,
    )


if __name__ == "__main__":
    main()
