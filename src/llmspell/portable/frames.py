r"""The file under a bundle: a prelude, frames one after the other, and a checksum over every byte before it.

    prelude   "llmspell-bundle\n", version u8 (1), sealed u8 (0 no, 1 by a passphrase, 2 by a key),
              and when sealed: log2(N) u8, r u8, p u8 (0 for a key), salt 16, check 8
    frame     type u8, length u32, body
    the end   a frame of type 255, then BLAKE3 of all bytes so far, and nothing after it

Numbers are big-endian. A body begins with its codec (0 as it is, 1 zstd); in a sealed file it is a nonce of 24 bytes
and the text encrypted by XAES-256-GCM for its place: the prelude, the frame's number and its type. So frames that were
changed, cut, moved, left out or brought in from elsewhere are refused, with a key and without.
"""

from __future__ import annotations

import struct
from typing import IO, Any, NoReturn

import zstandard
from blake3 import blake3

from llmspell.errors import Corrupt
from llmspell.model import limits
from llmspell.portable.sealed import FrameSeal, read_seal

MAGIC = b"llmspell-bundle\n"
VERSION = 1
HEADER, CONTENT, PIECE, ENTRIES, END = 1, 2, 3, 4, 255
FRAME_BYTES_MAX = 4 * limits.VALUE_BYTES_MAX
"""The longest body, stored and expanded: one entry of the longest value, which a page of entries never exceeds."""
CHECKSUM_BYTES = 32
_FRAME = struct.Struct(">BI")
_RAW, _ZSTD = b"\0", b"\1"
_COMPRESS_BYTES_MIN = 256


class FrameWriter:
    """Writes a file's frames in order. Synchronous; ``bytes_written`` is how far it got."""

    def __init__(self, file: IO[bytes], seal: FrameSeal | None = None) -> None:
        self._file = file
        self._seal = seal
        self._hash = blake3()
        self._number = 0
        self.bytes_written = 0
        self._put(MAGIC + bytes((VERSION,)) + (b"\0" if seal is None else seal.prelude))

    def write(self, kind: int, text: bytes, *, compress: bool = True) -> None:
        """The next frame. What is sealed is not compressed: its length would tell about it."""
        body = _RAW + text
        if compress and self._seal is None and len(text) >= _COMPRESS_BYTES_MIN:
            packed = zstandard.ZstdCompressor(level=3).compress(text)
            if len(packed) < len(text):
                body = _ZSTD + packed
        if self._seal is not None:
            body = self._seal.seal(self._number, kind, body)
        self._put(_FRAME.pack(kind, len(body)) + body)
        self._number += 1

    def end(self, text: bytes) -> str:
        """The last frame and the checksum, which it gives in hex."""
        self.write(END, text)
        digest = self._hash.digest()
        self._put(digest)
        return digest.hex()

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)
        self.bytes_written += len(data)


class FrameReader:
    """Reads a file's frames and refuses what is none. Raises Corrupt (``invalid-bundle``), WrongKey, InvalidInput."""

    def __init__(self, file: IO[bytes], key: Any = None) -> None:
        self._file = file
        self._hash = blake3()
        self._number = 0
        self.bytes_read = 0
        if self._take(len(MAGIC), "its first line") != MAGIC:
            refuse("it does not begin as a bundle does")
        version = self._take(1, "its version")[0]
        if version != VERSION:
            refuse(f"it has version {version}; this llmspell reads version {VERSION}")
        self._seal = read_seal(lambda count: self._take(count, "its prelude"), key)

    @property
    def sealed(self) -> bool:
        """Whether it is encrypted."""
        return self._seal is not None

    def read(self) -> tuple[int, bytes]:
        """The next frame: its type and text. Behind the end the checksum is compared and nothing may follow."""
        kind, length = _FRAME.unpack(self._take(_FRAME.size, "a frame"))
        if length > FRAME_BYTES_MAX:
            refuse(f"frame {self._number} says that it has {length:,} bytes")
        body = self._take(length, f"frame {self._number}")
        if self._seal is not None:
            body = self._seal.open(self._number, kind, body)
        self._number += 1
        text = _expanded(body, self._number - 1)
        if kind == END:
            self._check_end()
        return kind, text

    def _check_end(self) -> None:
        found = self._hash.digest()
        if self._take(CHECKSUM_BYTES, "its checksum") != found:
            refuse("its checksum does not match")
        if self._file.read(1):
            refuse("something follows its end")

    def _take(self, count: int, what: str) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            refuse(f"it ends within {what}")
        self._hash.update(data)
        self.bytes_read += count
        return data


def refuse(why: str) -> NoReturn:
    """Raise the error for a file that is no sound bundle."""
    raise Corrupt(
        f"this is no sound bundle of a session: {why}",
        code="invalid-bundle",
        hint="nothing was imported; get the file again from where it was exported",
    )


def _expanded(body: bytes, number: int) -> bytes:
    codec, packed = body[:1], body[1:]
    if codec == _RAW:
        return packed
    if codec != _ZSTD:
        refuse(f"frame {number} has a codec that is unknown")
    try:
        size = zstandard.get_frame_parameters(packed).content_size
        if not 0 <= size <= FRAME_BYTES_MAX:  # Unknown sizes are the largest number there is.
            refuse(f"frame {number} would expand to more than any frame may")
        reading = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj(read_across_frames=False)
        text = reading.decompress(packed)
        if len(text) != size or reading.unused_data or not reading.eof:
            refuse(f"frame {number} is not what its compression says")
    except zstandard.ZstdError as exc:
        raise Corrupt(
            f"this is no sound bundle of a session: frame {number} does not expand ({exc})", code="invalid-bundle"
        ) from exc
    return text
