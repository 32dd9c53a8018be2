"""Bundles as ZIP: written in one pass, and read with nothing in them believed.

An archive may only hold the files that the format names, each once, plain files, stored or deflated, of exactly the
size that the versions state. Its directory is bounded before it is read, since a reader holds it in memory.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO

from llmspell.artifacts.bundles.layout import (
    Bundled,
    Manifest,
    check_unpacked,
    damaged,
    encode_manifest,
    read_lines,
    read_manifest,
    sizes_of,
)
from llmspell.model import limits

MANIFEST, FIELDS, CONTENT = "manifest.json", "artifacts.jsonl", "content/"
PIECE_BYTES = 1 << 20
_MANIFEST_BYTES_MAX = 64 << 10
_LINE_BYTES_MAX = 4 << 20
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _END_64_BYTES = 22, 20, 56
_HEADER_BYTES = 30
_NOTHING = frozenset({0})
_DESCRIPTOR_BYTES = frozenset({12, 16, 20, 24})
"""What is behind an entry whose sizes were not known when it began."""
_LARGE_BYTES = 1 << 31
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Files have no time: equal artifacts make equal archives."""


class ArchiveWriter:
    """Writes a bundle as ZIP into an open file, in one pass: ``add`` each content, then ``end``."""

    def __init__(self, file: IO[bytes], manifest: Manifest, lines: Iterable[bytes]) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        try:
            self._archive.writestr(_entry(MANIFEST, deflate=False), encode_manifest(manifest))
            with self._archive.open(_entry(FIELDS, deflate=True), "w", force_zip64=True) as target:
                for line in lines:
                    target.write(line)
                    target.write(b"\n")
        except BaseException:
            with suppress(Exception):
                self._archive.close()  # It would close itself later, when its file is closed.
            raise

    def add(self, digest: str, size: int, pieces: Iterable[bytes], *, deflate: bool) -> None:
        """The next content."""
        entry = _entry(CONTENT + digest, deflate=deflate)
        with self._archive.open(entry, "w", force_zip64=size > _LARGE_BYTES) as target:
            for piece in pieces:
                target.write(piece)

    def end(self) -> None:
        """All contents are there."""
        self._archive.close()


def _entry(name: str, *, deflate: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


class ArchiveReader:
    """A bundle in an open ZIP file. ``manifest`` and ``artifacts`` are checked; contents come by ``contents``."""

    def __init__(self, file: IO[bytes]) -> None:
        size, directory = _check_directory(file)
        self._archive = zipfile.ZipFile(file)
        self._entries = _check_entries(self._archive.infolist())
        _check_places(file, self._archive.infolist(), directory)
        for name in (MANIFEST, FIELDS):
            if name not in self._entries:
                damaged(f"it has no {name}")
        self.manifest = read_manifest(self._read(MANIFEST, _MANIFEST_BYTES_MAX))
        check_unpacked(sum(info.file_size for info in self._entries.values()), size)
        self.artifacts: list[Bundled] = read_lines(self._lines(), self.manifest)

    def contents(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each content: its digest as the archive names it, and its pieces. Whether they match is for the caller to
        see.
        """
        sizes = sizes_of(self.artifacts)
        if {CONTENT + digest for digest in sizes} != self._entries.keys() - {MANIFEST, FIELDS}:
            damaged("the contents in it are not those of its versions")
        for digest, size in sizes.items():
            info = self._entries[CONTENT + digest]
            if info.file_size != size:
                damaged(f"content {digest} has {info.file_size:,} bytes there, and {size:,} by its versions")
            yield digest, self._pieces(info)

    def _pieces(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        left = info.file_size
        with self._archive.open(info) as source:
            while piece := source.read(PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    damaged(f"{info.filename} is longer than it says")
                yield piece

    def _read(self, name: str, bytes_max: int) -> bytes:
        info = self._entries[name]
        if info.file_size > bytes_max:
            damaged(f"its {name} is too large")
        return b"".join(self._pieces(info))

    def _lines(self) -> Iterator[bytes]:
        info = self._entries[FIELDS]
        if info.file_size > limits.BUNDLE_FIELDS_BYTES_MAX:
            damaged(f"its {FIELDS} is too large")
        with self._archive.open(info) as source:
            while line := source.readline(_LINE_BYTES_MAX):
                if not line.endswith(b"\n"):
                    damaged(f"a line of its {FIELDS} is too long, or has no end")
                yield line[:-1]


def _check_entries(infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.orig_filename
        known = name in {MANIFEST, FIELDS} or (
            name.startswith(CONTENT) and len(name) == len(CONTENT) + 64 and set(name[len(CONTENT) :]) <= _HEX
        )
        sort = stat.S_IFMT(info.external_attr >> 16)
        if not known or name != info.filename:
            damaged(f"it holds {name[:100]!r}, which is no part of a bundle")
        if name in found:
            damaged(f"it holds {name!r} twice")
        if info.comment:
            damaged(f"{name!r} in it has a comment")
        if sort not in {0, stat.S_IFREG}:
            damaged(f"{name!r} in it is no plain file")
        if info.flag_bits & 0x1 or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            damaged(f"{name!r} in it is encrypted, or compressed in another way")
        found[name] = info
    return found


_HEX = frozenset("0123456789abcdef")


def _check_places(file: IO[bytes], infos: list[zipfile.ZipInfo], directory: int) -> None:
    """Entries lie one after the other from the file's first byte to its directory: nothing is before or between them
    that this reader skips and another might not.
    """
    places: list[tuple[int, zipfile.ZipInfo | None]] = [(info.header_offset, info) for info in infos]
    places.sort(key=lambda one: one[0])
    end, behind = 0, _NOTHING
    for place, info in [*places, (directory, None)]:
        if place - end not in behind:
            damaged("something lies before its files, or between them")
        if info is not None:
            header = _at(file, place, _HEADER_BYTES)
            if len(header) < _HEADER_BYTES:
                damaged("it ends too early")
            end = place + _HEADER_BYTES + sum(struct.unpack_from("<HH", header, 26)) + info.compress_size
            behind = _DESCRIPTOR_BYTES if info.flag_bits & 0x8 else _NOTHING


def _check_directory(file: IO[bytes]) -> tuple[int, int]:
    """The archive's size and where its directory begins, once its end is as we write it, right behind the directory,
    and the directory is small enough to hold.
    """
    size = file.seek(0, 2)
    if size < _END_BYTES:
        damaged("it ends too early")
    end = _at(file, size - _END_BYTES, _END_BYTES)
    if not end.startswith(_END) or end[-2:] != b"\0\0":
        damaged("it is no ZIP archive, or was cut off")
    place = size - _END_BYTES
    length, start = struct.unpack_from("<II", end, 12)
    if size >= _END_BYTES + _LOCATOR_BYTES:
        locator = _at(file, size - _END_BYTES - _LOCATOR_BYTES, _LOCATOR_BYTES)
        if locator.startswith(_LOCATOR_64):
            # Where a reader looks for it: right before its locator.
            place = size - _END_BYTES - _LOCATOR_BYTES - _END_64_BYTES
            record = _at(file, place, _END_64_BYTES) if place >= 0 else b""
            if not record.startswith(_END_64) or struct.unpack_from("<Q", locator, 8)[0] != place:
                damaged("its end is not where it says")
            length, start = struct.unpack_from("<QQ", record, 40)
    if length > limits.BUNDLE_DIRECTORY_BYTES_MAX:
        damaged("its directory is too large")
    if start + length != place:
        damaged("something lies before it, or its directory is not where it says")
    return size, start


def _at(file: IO[bytes], place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)
