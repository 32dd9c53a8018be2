"""What a bundle holds, version 1: a manifest, a line for each version, and each content once.

A ZIP has ``manifest.json``, ``artifacts.jsonl`` and ``content/DIGEST`` for each content; a JSON file has the same three
as fields, with a line for each version and for each piece of content. Ids are those of the store that it came from: an
import gives new ones. What is read here was written by anybody: every field is checked as a put would check it, and
what holds together must (digests, relations, numbers). Raises InvalidInput (``invalid-bundle``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from blake3 import blake3

from llmspell.artifacts.relations.kinds import Related
from llmspell.artifacts.rules import check_artifact_name, check_mime, check_sources, check_type, check_version_number
from llmspell.artifacts.version_names import check_version_label
from llmspell.errors import InvalidInput, LimitExceeded, LlmspellError
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_metadata, check_tags, check_text

FORMAT = "llmspell-artifacts"
VERSION = 1
SIZE_MAX = 1 << 62
NUMBER_MAX = 1_000_000_000
"""Highest number of a version that is taken over: one close to the largest number would leave no room for others."""
RATIO_MAX = 200
"""A bundle that claims to unpack to more than so many times its size, and 64 MiB, is refused."""
RATIO_ROOM_BYTES = 64 << 20
_DIGEST = re.compile("[0-9a-f]{64}").fullmatch
_encode = msgspec.json.Encoder().encode


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What a bundle is. ``fields_digest`` is BLAKE3 of the lines of its versions; ``bytes`` of all contents."""

    format: str
    version: int
    store: str
    made_at: str
    artifacts: int
    contents: int
    bytes: int
    fields_digest: str


class Bundled(msgspec.Struct, forbid_unknown_fields=True):
    """One version. ``relations`` are pairs of a kind and the id of another version of this bundle."""

    id: str
    session: str
    name: str
    version: int
    type: str
    mime_type: str
    description: str
    tags: list[str]
    metadata: dict[str, Any]
    derived_from: list[str]
    size: int
    digest: str
    created_at: str
    updated_at: str
    labels: list[str] = []
    relations: list[tuple[str, str]] = []


_manifest = msgspec.json.Decoder(Manifest)
_bundled = msgspec.json.Decoder(Bundled)


def line_of(one: Bundled) -> bytes:
    """A version as its line, without the line's end."""
    return _encode(one)


def encode_manifest(manifest: Manifest) -> bytes:
    """A manifest as JSON."""
    return _encode(manifest)


def digest_of_lines(lines: Iterable[bytes]) -> str:
    """BLAKE3 of lines, each with its end."""
    whole = blake3()
    for line in lines:
        whole.update(line)
        whole.update(b"\n")
    return whole.hexdigest()


def read_manifest(encoded: bytes) -> Manifest:
    """A manifest of this format. Raises InvalidInput (``invalid-bundle``, ``bundle-format`` for a newer version),
    LimitExceeded (``bundle-too-large``).
    """
    try:
        manifest = _manifest.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        # A newer version may have other fields: it is to be named for what it is.
        manifest = _of_other_version(encoded) or damaged(f"its manifest is none: {exc}")
    if manifest.format != FORMAT:
        raise InvalidInput(f"this is {manifest.format[:40]!r}, no bundle of artifacts", code="invalid-bundle")
    if manifest.version != VERSION:
        raise InvalidInput(
            f"this bundle has version {manifest.version}, and this llmspell reads {VERSION}", code="bundle-format"
        )
    counts = manifest.artifacts, manifest.contents, manifest.bytes
    if min(counts) < 0 or manifest.contents > manifest.artifacts or manifest.bytes > SIZE_MAX:
        damaged("the counts in its manifest cannot be")
    if manifest.artifacts > limits.BUNDLE_ARTIFACTS_MAX:
        raise too_many(manifest.artifacts)
    return manifest


def _of_other_version(encoded: bytes) -> Manifest | None:
    try:
        known = msgspec.json.decode(encoded)
        version = known["version"]
        if known["format"] == FORMAT and type(version) is int and version != VERSION:
            return Manifest(FORMAT, version, "", "", 0, 0, 0, "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, IndexError):
        pass  # No manifest of any version: the caller refuses it, and says what was wrong with it as one of this.
    return None


def read_lines(lines: Iterable[bytes], manifest: Manifest) -> list[Bundled]:
    """The versions of a bundle, checked one by one and together, in the order of their numbers."""
    found: list[Bundled] = []
    whole, size = blake3(), 0
    for line in lines:
        size += len(line)
        if size > limits.BUNDLE_FIELDS_BYTES_MAX or len(found) >= manifest.artifacts:
            damaged("it holds more versions than it says, or larger ones than there can be")
        whole.update(line)
        whole.update(b"\n")
        found.append(_checked(line))
    if len(found) != manifest.artifacts:
        damaged(f"it holds {len(found):,} versions, and says {manifest.artifacts:,}")
    if whole.hexdigest() != manifest.fields_digest:
        damaged("the fields of its versions do not match their digest")
    _check_together(found, manifest)
    return sorted(found, key=lambda one: (one.session, one.name, one.version))


def sizes_of(found: Iterable[Bundled]) -> dict[str, int]:
    """Bytes of each content, by digest. Raises InvalidInput when one has two sizes."""
    sizes: dict[str, int] = {}
    for one in found:
        if sizes.setdefault(one.digest, one.size) != one.size:
            damaged(f"content {one.digest} has two sizes")
    return sizes


def check_unpacked(total: int, packed: int) -> None:
    """Refuse what would unpack to far more than its size."""
    if total > packed * RATIO_MAX + RATIO_ROOM_BYTES:
        raise LimitExceeded(
            f"{packed:,} bytes that claim to unpack to {total:,} are not imported", code="bundle-too-large"
        )


def damaged(why: str) -> Any:
    """Raise the error for a bundle that is not as this format says."""
    raise InvalidInput(f"this bundle cannot be imported: {why}", code="invalid-bundle")


def too_many(count: int) -> LimitExceeded:
    """The error for more versions than a bundle may hold."""
    return LimitExceeded(
        f"{count:,} versions; a bundle holds at most {limits.BUNDLE_ARTIFACTS_MAX:,}", code="bundle-too-large",
        limit=limits.BUNDLE_ARTIFACTS_MAX, hint="export them in parts, by session or by name",
    )  # fmt: skip


def _checked(line: bytes) -> Bundled:
    try:
        one = _bundled.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        return damaged(f"a line of its versions is none: {exc}")  # type: ignore[no-any-return]
    try:
        if id_text(id_bytes(one.id)) != one.id or id_text(id_bytes(one.session)) != one.session:
            damaged(f"an id in it is not as ids are written: {one.id!r}")
        _same(check_artifact_name(one.name), one.name)
        if check_version_number(one.version) > NUMBER_MAX:
            damaged(f"{one.name[:80]!r} has version {one.version:,}")
        _same(check_type(one.type), one.type)
        check_mime(one.mime_type)
        check_text(one.description, "a description")
        _same(check_tags(one.tags), one.tags)
        check_metadata(one.metadata)
        one.derived_from = list(dict.fromkeys(check_sources(one.derived_from)))
        for label in one.labels:
            _same(check_version_label(label), label)
    except LlmspellError as exc:
        return damaged(f"{one.name[:80]!r}: {exc.message}")  # type: ignore[no-any-return]
    if not _DIGEST(one.digest) or not 0 <= one.size <= SIZE_MAX:
        damaged(f"{one.name[:80]!r} names no content")
    return one


def _same(checked: Any, given: Any) -> None:
    if checked != given:
        damaged(f"{str(given)[:80]!r} is not in Unicode's normal form, or repeats something")


def _check_together(found: list[Bundled], manifest: Manifest) -> None:
    ids = {one.id for one in found}
    if len(ids) != len(found):
        damaged("an id in it repeats")
    if len({(one.session, one.name, one.version) for one in found}) != len(found):
        damaged("a version in it repeats")
    labels = [(one.session, one.name, label) for one in found for label in one.labels]
    if len(set(labels)) != len(labels):
        damaged("a label in it means two versions")
    sizes = sizes_of(found)
    if len(sizes) != manifest.contents or sum(sizes.values()) != manifest.bytes:
        damaged("its contents are not those that its manifest counts")
    for one in found:
        for kind, other in one.relations:
            if (
                kind not in set(Related)
                or other not in ids
                or (kind == Related.DERIVED_FROM and other in one.derived_from)
            ):
                damaged(f"{one.name[:80]!r} has a relation that cannot be")
    for kind in Related:
        if _has_cycle({one.id: list(_targets(one, kind)) for one in found}):
            damaged(f"its versions are {kind} each other in a circle")


def _targets(one: Bundled, kind: Related) -> Iterator[str]:
    if kind is Related.DERIVED_FROM:
        yield from one.derived_from
    yield from (other for said, other in one.relations if said == kind)


def _has_cycle(edges: dict[str, list[str]]) -> bool:
    """Whether following edges leads back anywhere. Targets outside of the bundle lead nowhere."""
    waiting = dict.fromkeys(edges, 0)
    for targets in edges.values():
        for target in targets:
            if target in waiting:
                waiting[target] += 1
    free = [one for one, count in waiting.items() if not count]
    done = 0
    while free:
        done += 1
        for target in edges[free.pop()]:
            if target in waiting:
                waiting[target] -= 1
                if not waiting[target]:
                    free.append(target)
    return done != len(edges)
