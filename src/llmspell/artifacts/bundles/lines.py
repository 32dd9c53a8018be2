"""Bundles as JSON: one document that any reader understands, laid out in lines so that ours needs no more than one at a
time.

    {"manifest": {…},
    "artifacts": [
    {…},
    {…}
    ],
    "contents": [
    {"digest": "…", "last": false, "base64": "…"},
    {"digest": "…", "last": true, "base64": "…"}
    ]}

Content lies in pieces of at most 768 KiB, those of one content one after the other. The line ends are part of the
format.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import IO

import msgspec

from llmspell.artifacts.bundles.layout import (
    Bundled,
    Manifest,
    damaged,
    encode_manifest,
    read_lines,
    read_manifest,
    sizes_of,
)

PIECE_BYTES = 768 << 10
_LINE_BYTES_MAX = 4 << 20
_OPEN, _ARTIFACTS, _BETWEEN, _CONTENTS, _CLOSE = b'{"manifest": ', b'"artifacts": [', b"],", b'"contents": [', b"]}"


class Piece(msgspec.Struct, forbid_unknown_fields=True):
    """Some of a content; ``last``: the rest of it."""

    digest: str
    last: bool
    base64: str


_piece = msgspec.json.Decoder(Piece)


class LinesWriter:
    """Writes a bundle as JSON into an open file, in one pass: ``add`` each content, then ``end``."""

    def __init__(self, file: IO[bytes], manifest: Manifest, lines: Iterable[bytes]) -> None:
        self._file = file
        self._between = b"\n"
        file.write(_OPEN + encode_manifest(manifest) + b",\n" + _ARTIFACTS)
        for line in lines:
            self._write(line)
        file.write(b"\n" + _BETWEEN + b"\n" + _CONTENTS)
        self._between = b"\n"

    def add(self, digest: str, size: int, pieces: Iterable[bytes], *, deflate: bool) -> None:  # noqa: ARG002
        """The next content. Its size and whether it could be deflated do not matter here."""
        for line in _content_lines(digest, pieces):
            self._write(line)

    def end(self) -> None:
        """All contents are there."""
        self._file.write(b"\n" + _CLOSE + b"\n")

    def _write(self, line: bytes) -> None:
        self._file.write(self._between + line)
        self._between = b",\n"


def _content_lines(digest: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        held += piece
        while len(held) > PIECE_BYTES:
            yield msgspec.json.encode(Piece(digest, False, base64.b64encode(held[:PIECE_BYTES]).decode()))  # noqa: FBT003
            held = held[PIECE_BYTES:]
    yield msgspec.json.encode(Piece(digest, True, base64.b64encode(held).decode()))  # noqa: FBT003


class LinesReader:
    """A bundle in an open JSON file. ``manifest`` and ``artifacts`` are checked; contents come by ``contents``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        first = self._line()
        if not first.startswith(_OPEN) or not first.endswith(b","):
            damaged("it does not begin as a bundle does")
        self.manifest = read_manifest(first[len(_OPEN) : -1])
        self._demand(_ARTIFACTS)
        self.artifacts: list[Bundled] = read_lines(self._items(_BETWEEN), self.manifest)
        self._demand(_CONTENTS)

    def contents(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each content: its digest as the file names it, and its pieces, which are to be read to their end."""
        wanted = sizes_of(self.artifacts)
        lines = self._items(_CLOSE)
        for line in lines:
            piece = _read_piece(line)
            size = wanted.pop(piece.digest, None)
            if size is None:
                damaged(f"it holds content {piece.digest[:64]!r}, which none of its versions has, or twice")
            yield piece.digest, self._pieces(piece, lines, size or 0)
        if wanted:
            damaged(f"{len(wanted):,} contents of its versions are missing")
        if self._file.read(1):
            damaged("something comes after its end")

    def _pieces(self, piece: Piece, lines: Iterator[bytes], left: int) -> Iterator[bytes]:
        digest = piece.digest
        while True:
            data = _decoded(piece)
            left -= len(data)
            if left < 0 or (left and piece.last) or (not data and not piece.last):
                damaged(f"content {digest} is not as long as its versions say")
            yield data
            if piece.last:
                return
            line = next(lines, None)
            piece = _read_piece(line) if line is not None else damaged("it ends within a content")
            if piece.digest != digest:
                damaged(f"content {digest} is cut off")

    def _items(self, end: bytes) -> Iterator[bytes]:
        """The lines of a list, without the commas between them."""
        line = self._line()
        if line == end:
            return
        while True:
            following = self._line()
            last = following == end
            if line.endswith(b",") == last:
                damaged("a line of a list in it has no comma after it, or one too many")
            yield line if last else line[:-1]
            if last:
                return
            line = following

    def _demand(self, wanted: bytes) -> None:
        if self._line() != wanted:
            damaged(f"it has no {wanted.decode()}")

    def _line(self) -> bytes:
        line = self._file.readline(_LINE_BYTES_MAX)
        if not line.endswith(b"\n"):
            damaged("a line in it is too long, or it was cut off")
        return line[:-1]


def _read_piece(line: bytes) -> Piece:
    try:
        return _piece.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        return damaged(f"a piece of content in it is none: {exc}")  # type: ignore[no-any-return]


def _decoded(piece: Piece) -> bytes:
    try:
        return base64.b64decode(piece.base64, validate=True)
    except (binascii.Error, ValueError) as exc:
        return damaged(f"content {piece.digest[:64]} is no base64: {exc}")  # type: ignore[no-any-return]
