"""Bundles: what was exported comes into another store whole and equal; what is not as it should be changes nothing."""

import errno
import io
import json
import os
import random
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from blake3 import blake3

import llmspell
from llmspell.artifacts.bundles import exporting
from llmspell.artifacts.bundles.importing import readable
from llmspell.errors import LlmspellError, NotFound

LARGE = random.Random(5).randbytes(300_000)


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


@pytest.fixture
def session(store):
    return store.sessions.create("s")


@pytest.fixture
def other(tmp_path):
    with llmspell.open(tmp_path / "other", durability="process") as opened:
        yield opened


def fill(session):
    room = session.artifacts
    first = room.put("a.md", "one", tags=["x", "Größe"], metadata={"n": 1, "deep": {"a": [1.5, None]}}, type="code",
                     description="first")  # fmt: skip
    room.put("a.md", "two", derived_from=[first.id])
    room.put("a.md", "three")
    room.delete("a.md", version=2)
    large = room.put("folder/large.bin", LARGE)
    room.put("copy", LARGE)
    room.put("zeros", bytes(2_000_000))
    room.put("empty", b"")
    room.tag_version("a.md", 1, "v1.0")
    room.relate("a.md", "depends_on", large.id)
    return first, large


def described(store, session_id):
    """Everything about a session's artifacts but ids, times and how they are stored."""
    room = store.sessions.open(session_id).artifacts
    found = {}
    for info in room.list(all_versions=True):
        relations = sorted(
            (one.kind, store.artifacts.info(one.target).name) for one in store.artifacts.relations(info.id)
            if one.source == info.id
        )  # fmt: skip
        found[info.name, info.version] = (
            info.type, info.mime_type, info.description, info.tags, info.metadata, info.size, info.digest, relations,
            store.artifacts.get(info.id).read(),
        )  # fmt: skip
    return found, {name: room.labels(name) for name in {name for name, _ in found}}


@pytest.mark.parametrize("format", ["zip", "json"])
def test_a_bundle_carries_everything_into_another_store(face, store, session, other, tmp_path, format):
    fill(session)
    told = []
    report = session.artifacts.export(tmp_path / "b", format=format, progress=lambda *n: told.append(n))
    assert (report.artifacts, report.contents, report.format) == (6, 5, format)
    assert report.file_bytes == (tmp_path / "b").stat().st_size
    assert told[-1] == (report.bytes, report.bytes)
    target = other.sessions.create("t")
    told.clear()
    report = other.artifacts.import_(tmp_path / "b", session=target.id, progress=lambda *n: told.append(n))
    assert told[-1] == (report.bytes, report.bytes)
    assert described(other, target.id) == described(store, session.id)
    assert [info.version for info in report.artifacts if info.name == "a.md"] == [1, 3], "numbers stay"
    assert target.artifacts.put("a.md", "next").version == 4
    assert other.verify().ok
    assert store.verify().ok


def test_equal_artifacts_make_equal_archives(store, session, tmp_path, clock):
    fill(session)
    one, two = tmp_path / "1.zip", tmp_path / "2.zip"
    session.artifacts.export(one)
    session.artifacts.export(two)
    made = [zipfile.ZipFile(path) for path in (one, two)]
    for name in made[0].namelist():
        if name != "manifest.json":
            assert made[0].read(name) == made[1].read(name)


def test_what_is_exported_is_chosen_by_ids_names_and_conditions(store, session, tmp_path):
    _, large = fill(session)

    def names(**chosen):
        session.artifacts.export(tmp_path / "b.zip", overwrite=True, **chosen)
        with zipfile.ZipFile(tmp_path / "b.zip") as archive:
            lines = archive.read("artifacts.jsonl").splitlines()
        return [(line["name"], line["version"]) for line in map(json.loads, lines)]

    assert names(ids=[large.id, "a.md", large.id]) == [("a.md", 3), ("folder/large.bin", 1)]
    assert names(type="code") == [("a.md", 1)]
    assert names(name="*.md") == [("a.md", 1), ("a.md", 3)]
    assert names(tags=["x"], text="first") == [("a.md", 1)]
    assert names(text="nothing") == []
    assert code(lambda: names(ids="a.md")) == "invalid-selection"
    assert code(lambda: names(ids=["a.md"], type="code")) == "invalid-selection"
    assert code(lambda: names(ids=["nobody"])) == "artifact-not-found"


def test_every_session_of_a_store_comes_back_to_sessions_of_those_ids(face, store, session, tmp_path):
    fill(session)
    second = store.sessions.create("t")
    second.artifacts.put("a.md", "of t")
    before = described(store, session.id), described(store, second.id)
    store.artifacts.export(tmp_path / "b.zip")
    for one in (session, second):
        for name in {info.name for info in one.artifacts.list()}:
            one.artifacts.delete(name)
    report = store.artifacts.import_(tmp_path / "b.zip")
    assert len(report.artifacts) == 7
    for one, was in zip((session, second), before, strict=True):
        found, _ = described(store, one.id)
        assert {name: rest for (name, _), rest in found.items()}.keys() == {name for name, _ in was[0]}
    store.sessions.delete(second.id)
    assert code(lambda: store.artifacts.import_(tmp_path / "b.zip", on_conflict="rename")) == "session-not-found"


def test_names_that_are_there_follow_the_rule(store, session, tmp_path):
    fill(session)
    session.artifacts.export(tmp_path / "b.zip", name="*.md")
    seq = store.stats()["last_seq"]
    assert code(lambda: session.artifacts.import_(tmp_path / "b.zip")) == "artifact-exists"
    report = session.artifacts.import_(tmp_path / "b.zip", on_conflict="skip")
    assert (report.artifacts, report.skipped) == ([], ["a.md"])
    assert store.stats()["last_seq"] == seq
    report = session.artifacts.import_(tmp_path / "b.zip", on_conflict="rename")
    assert report.renamed == {"a.md": "a (2).md"}
    assert [(info.name, info.version) for info in report.artifacts] == [("a (2).md", 1), ("a (2).md", 3)]
    assert session.artifacts.labels("a (2).md") == {"v1.0": 1}
    report = session.artifacts.import_(tmp_path / "b.zip", on_conflict="replace")
    assert report.replaced == 2
    assert [(info.name, info.version) for info in report.artifacts] == [("a.md", 4), ("a.md", 5)]
    assert session.artifacts.get("a.md", version="v1.0").text() == "one"
    assert code(lambda: session.artifacts.import_(tmp_path / "b.zip", on_conflict="perhaps")) == "invalid-conflict-rule"
    assert store.verify().ok


def test_a_name_that_is_free_is_neither_renamed_nor_skipped(store, session, tmp_path):
    session.artifacts.put("a.md", "one")
    session.artifacts.put("b.md", "two")
    session.artifacts.export(tmp_path / "b.zip")
    half = store.sessions.create("half")
    half.artifacts.put("a.md", "there before")
    report = half.artifacts.import_(tmp_path / "b.zip", on_conflict="skip")
    assert ([info.name for info in report.artifacts], report.skipped) == (["b.md"], ["a.md"])
    other = store.sessions.create("other")
    other.artifacts.put("a.md", "there before")
    report = other.artifacts.import_(tmp_path / "b.zip", on_conflict="rename")
    assert ([info.name for info in report.artifacts], report.renamed) == (["a (2).md", "b.md"], {"a.md": "a (2).md"})
    assert other.artifacts.get("a.md").text() == "there before"


@pytest.mark.parametrize("failure, expected", [
    (OSError(errno.EIO, "the disk broke"), "source-failed"), (OSError(errno.EINVAL, "too far back"), "invalid-bundle"),
    (zipfile.BadZipFile("no archive"), "invalid-bundle"), (NotFound("gone", code="file-not-found"), "file-not-found"),
])  # fmt: skip
def test_a_disk_that_fails_is_told_from_a_bundle_that_is_damaged(failure, expected):
    def read():
        with readable():
            raise failure

    assert code(read) == expected


def test_a_hook_before_a_put_refuses_a_bundle(session, other, tmp_path):
    fill(session)
    session.artifacts.export(tmp_path / "b.zip")
    target = other.sessions.create("t")
    other.hooks.on("before_artifact_put")(
        lambda context: llmspell.Cancel("no") if context.data["name"] == "zeros" else None
    )
    assert code(lambda: target.artifacts.import_(tmp_path / "b.zip")) == "vetoed"
    assert list(target.artifacts.list()) == []


def test_a_validator_refuses_a_bundle(session, other, tmp_path):
    fill(session)
    session.artifacts.export(tmp_path / "b.zip")
    target = other.sessions.create("t")
    other.artifacts.add_validator("code", lambda fields, content: "bad" if content == b"one" else None)
    assert code(lambda: target.artifacts.import_(tmp_path / "b.zip")) == "invalid-artifact"
    assert list(target.artifacts.list()) == []


def test_a_quota_refuses_a_bundle(session, other, tmp_path):
    fill(session)
    session.artifacts.export(tmp_path / "b.zip")
    target = other.sessions.create("t")
    target.artifacts.set_quota(versions_max=3)
    assert code(lambda: target.artifacts.import_(tmp_path / "b.zip")) == "session-quota-exceeded"
    target.artifacts.set_quota(artifact_bytes_max=1_000_000)
    assert code(lambda: target.artifacts.import_(tmp_path / "b.zip")) == "artifact-too-large"
    assert list(target.artifacts.list()) == []
    assert other.verify().ok


def test_a_file_that_is_there_is_replaced_only_when_that_is_asked(store, session, tmp_path):
    fill(session)
    path = tmp_path / "b.zip"
    path.write_text("mine")
    assert code(lambda: session.artifacts.export(path)) == "file-exists"
    assert path.read_text() == "mine"
    session.artifacts.export(path, overwrite=True)
    assert zipfile.is_zipfile(path)
    assert code(lambda: session.artifacts.export(tmp_path)) == "invalid-path"
    assert code(lambda: session.artifacts.export(tmp_path / "none" / "b.zip")) == "cannot-write"
    assert code(lambda: session.artifacts.export(tmp_path / "c", format="tar")) == "invalid-format"
    assert code(lambda: session.artifacts.import_(tmp_path / "none")) == "file-not-found"
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["b.zip"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it takes a device that is always full")
def test_an_export_to_a_full_disk_leaves_no_file(session, tmp_path, monkeypatch):
    fill(session)
    real = os.fdopen

    def full(descriptor, mode):
        os.close(descriptor)
        return real(os.open("/dev/full", os.O_RDWR), mode)

    def failing(file, manifest, lines):
        file.write(b"".join(lines))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(exporting.FORMATS, "zip", failing)
    monkeypatch.setattr(os, "fdopen", full)
    assert code(lambda: session.artifacts.export(tmp_path / "folder.zip")) == "cannot-write"
    assert [one for one in tmp_path.iterdir() if one.name.endswith(".part")] == []


def test_an_export_of_damaged_content_leaves_no_file(face, store, session, tmp_path):
    session.artifacts.put("f", b"x" * 100)
    face.core(store)._files.engine.writer.execute("UPDATE blob SET inline = zeroblob(length(inline))")
    assert code(lambda: session.artifacts.export(tmp_path / "b.zip")) == "corrupt"
    assert list(tmp_path.glob("*b.zip*")) == []


# -- hostile -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path):
    """A session to export from; hostile files come the same through both faces."""
    with llmspell.open(tmp_path / "source", durability="process") as opened:
        yield opened.sessions.create("s")


def tiny(session, tmp_path, format="zip"):
    session.artifacts.put("a", "one", metadata={"n": 1})
    session.artifacts.put("b", "two" * 20)
    path = tmp_path / f"tiny.{format}"
    session.artifacts.export(path, format=format, overwrite=True)
    return path.read_bytes()


class Victim:
    """A store that hostile files are given to, and what it held before."""

    def __init__(self, store, folder):
        self.store = store
        self.session = store.sessions.create("victim")
        self.seq = store.stats()["last_seq"]
        self.path = folder / "hostile"

    def refuses(self, data, codes=("invalid-bundle",)):
        self.path.write_bytes(data)
        with pytest.raises(LlmspellError) as refused:
            self.session.artifacts.import_(self.path)
        assert refused.value.code in codes, refused.value
        assert self.store.stats()["last_seq"] == self.seq
        return refused.value


@pytest.fixture
def victim(other, tmp_path):
    return Victim(other, tmp_path)


@pytest.mark.parametrize("format", ["zip", "json"])
def test_a_bundle_cut_at_any_byte_is_refused(source, victim, tmp_path, format):
    whole = tiny(source, tmp_path, format)
    for length in range(len(whole)):
        victim.refuses(whole[:length])
    assert list(victim.session.artifacts.list()) == []
    assert victim.store.verify().ok


@pytest.mark.parametrize("format", ["zip", "json"])
def test_a_bundle_with_any_byte_changed_is_refused_or_means_the_same(source, victim, tmp_path, format):
    whole = tiny(source, tmp_path, format)
    rnd = random.Random(3)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << rnd.randrange(8)
        victim.path.write_bytes(changed)
        try:
            report = victim.session.artifacts.import_(victim.path, on_conflict="replace")
        except LlmspellError as refused:
            assert refused.code in {"invalid-bundle", "bundle-format", "bundle-too-large"}, refused  # noqa: PT017
            continue
        assert [(info.name, info.digest) for info in report.artifacts] == [
            ("a", blake3(b"one").hexdigest()), ("b", blake3(b"two" * 20).hexdigest())
        ]  # fmt: skip
        assert victim.session.artifacts.get("b").text() == "two" * 20


def packed(entries):
    """An archive of these entries: name (or ZipInfo) and bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


def lines_of(bundle):
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return [json.loads(line) for line in archive.read("artifacts.jsonl").splitlines()], archive.read(
            "manifest.json"
        )


def rebuilt(lines, manifest, **said):
    """An archive of these lines whose digests and counts are right."""
    encoded = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    sizes = {line["digest"]: line["size"] for line in lines}
    described = json.loads(manifest) | {
        "artifacts": len(lines), "contents": len(sizes), "bytes": sum(sizes.values()),
        "fields_digest": blake3(encoded).hexdigest(),
    } | said  # fmt: skip
    known = {blake3(one).hexdigest(): one for one in (b"one", b"two" * 20)}
    entries = [("manifest.json", json.dumps(described)), ("artifacts.jsonl", encoded)]
    entries += [(f"content/{digest}", known.get(digest, b"")) for digest in sizes]
    return packed(entries)


def with_symlink(entries):
    link = zipfile.ZipInfo("content/" + "0" * 64)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return [*entries, (link, b"/etc/passwd")]


SMUGGLED = {
    "traversal": lambda entries: [*entries, ("../../evil", b"x")],
    "absolute name": lambda entries: [*entries, ("/etc/evil", b"x")],
    "windows name": lambda entries: [*entries, ("C:\\evil", b"x")],
    "traversal in content": lambda entries: [*entries, ("content/../" + "0" * 61, b"x")],
    "upper case digest": lambda entries: [*entries, ("content/" + "A" * 64, b"x")],
    "a folder": lambda entries: [*entries, ("content/", b"")],
    "a symlink": with_symlink,
    "an unknown content": lambda entries: [*entries, ("content/" + "0" * 64, b"x")],
    "a missing content": lambda entries: entries[:-1],
    "no manifest": lambda entries: entries[1:],
    "no fields": lambda entries: [entries[0], *entries[2:]],
    "a changed content": lambda entries: [*entries[:-1], (entries[-1][0], b"y" * len(entries[-1][1]))],
    "a longer content": lambda entries: [*entries[:-1], (entries[-1][0], entries[-1][1] + b"y")],
    "contents that changed places": lambda entries: [
        *entries[:2], (entries[2][0], entries[3][1]), (entries[3][0], entries[2][1])
    ],
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(SMUGGLED))
def test_an_archive_that_holds_other_than_it_may_is_refused(source, victim, tmp_path, how):
    with zipfile.ZipFile(io.BytesIO(tiny(source, tmp_path))) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    victim.refuses(packed(SMUGGLED[how](entries)))
    assert list(victim.session.artifacts.list()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(source, victim, tmp_path):
    with zipfile.ZipFile(io.BytesIO(tiny(source, tmp_path))) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    for twice in range(len(entries)):
        victim.refuses(packed([*entries, entries[twice]]))


def bad(**fields):
    return lambda lines: [{**lines[0], **fields}, *lines[1:]]


LINES = {
    "a name that leads outside": bad(name="../evil"), "an absolute name": bad(name="/etc/passwd"),
    "a backslash": bad(name="a\\b"), "no name": bad(name=""), "a control character": bad(name="a\x1b[2J"),
    "a uuid as name": bad(name="01900000-0000-7000-8000-000000000000"), "a name not in NFC": bad(name="e\u0301"),
    "a version of 0": bad(version=0), "a version beyond all": bad(version=(1 << 63) - 1),
    "a version that is text": bad(version="1"), "a type with a line end": bad(type="a\nb"),
    "no mime": bad(mime_type="x"),
    "a long description": bad(description="x" * 10_001), "a tag twice": bad(tags=["a", "a"]),
    "too many tags": bad(tags=[str(n) for n in range(300)]), "metadata that is a list": bad(metadata=[]),
    "another id": bad(id="x"), "an id in capitals": bad(id="01900000-0000-7000-8000-00000000000A"),
    "a source that is no id": bad(derived_from=["x"]), "a negative size": bad(size=-1),
    "another digest": bad(digest="zz"), "an unknown field": bad(evil=1), "a label latest": bad(labels=["latest"]),
    "a label that is a number": bad(labels=["7"]), "a label that is a range": bad(labels=["^1"]),
     "a label twice": bad(labels=["v1", "v1"]),
    "an unknown relation": lambda lines: bad(relations=[["likes", lines[1]["id"]]])(lines),
    "a relation to itself": lambda lines: bad(relations=[["depends_on", lines[0]["id"]]])(lines),
    "a relation outside": bad(relations=[["depends_on", "01900000-0000-7000-8000-000000000000"]]),
    "a circle": lambda lines: [
        {**lines[0], "derived_from": [lines[1]["id"]]}, {**lines[1], "derived_from": [lines[0]["id"]]}
    ],
    "an id twice": lambda lines: [lines[0], {**lines[1], "id": lines[0]["id"]}],
    "a version twice": lambda lines: [lines[0], {**lines[1], "name": "a"}],
    "two sizes of a content": lambda lines: [lines[0], {**lines[1], "digest": lines[0]["digest"]}],
    "deep metadata": bad(metadata={"a": json.loads("[" * 200 + "]" * 200)}),
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(LINES))
def test_a_line_that_no_put_would_take_is_refused(source, victim, tmp_path, how):
    lines, manifest = lines_of(tiny(source, tmp_path))
    victim.refuses(rebuilt(LINES[how](lines), manifest))


MANIFESTS = {
    "another format": ({"format": "zip"}, "invalid-bundle"), "a newer version": ({"version": 2}, "bundle-format"),
    "too few": ({"artifacts": 1}, "invalid-bundle"), "too many": ({"artifacts": 3}, "invalid-bundle"),
    "far too many": ({"artifacts": 10**9}, "bundle-too-large"), "negative": ({"artifacts": -1}, "invalid-bundle"),
    "other contents": ({"contents": 1}, "invalid-bundle"), "other bytes": ({"bytes": 5}, "invalid-bundle"),
    "another digest": ({"fields_digest": "0" * 64}, "invalid-bundle"), "unknown": ({"more": 1}, "invalid-bundle"),
    "a newer version of other fields": ({"version": 2, "more": 1}, "bundle-format"),
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(MANIFESTS))
def test_a_manifest_that_is_not_true_is_refused(source, victim, tmp_path, how):
    said, expected = MANIFESTS[how]
    lines, manifest = lines_of(tiny(source, tmp_path))
    victim.refuses(rebuilt(lines, manifest, **said), (expected,))


def test_a_bomb_is_refused_before_it_is_unpacked(source, victim, tmp_path):
    lines, manifest = lines_of(tiny(source, tmp_path))
    zeros = bytes(200 << 20)
    lines[0] |= {"size": len(zeros), "digest": blake3(zeros).hexdigest()}
    encoded = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    said = json.loads(manifest) | {"bytes": len(zeros) + 60, "fields_digest": blake3(encoded).hexdigest()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(said))
        archive.writestr("artifacts.jsonl", encoded)
        archive.writestr("content/" + lines[0]["digest"], zeros)
        archive.writestr("content/" + lines[1]["digest"], b"two" * 20)
    assert len(file.getvalue()) < 1 << 20
    victim.refuses(file.getvalue(), ("bundle-too-large",))
    assert victim.store.orphans().chunks == 0


def test_an_entry_that_lies_about_its_size_is_refused(source, victim, tmp_path):
    whole = bytearray(tiny(source, tmp_path))
    central = whole.rindex(b"PK\x01\x02")
    whole[central + 24 : central + 28] = (5).to_bytes(4, "little")
    victim.refuses(bytes(whole))


def test_a_directory_that_claims_to_be_huge_is_not_read(source, victim, tmp_path):
    whole = bytearray(tiny(source, tmp_path))
    end = whole.rindex(b"PK\x05\x06")
    whole[end + 12 : end + 16] = (0xFFFF0000).to_bytes(4, "little")
    victim.refuses(bytes(whole))


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"{}", b"[]\n", b"PK", b"PK\x05\x06" + bytes(18), b"\0" * 100, b"x" * 5000]
)
def test_what_is_no_bundle_at_all_is_refused(victim, junk):
    victim.refuses(junk)


def spread(whole, at, gap):
    """The archive with ``gap`` at ``at``, and every offset in it as true as before."""
    out = bytearray(whole[:at] + gap + whole[at:])
    end = out.rindex(b"PK\x05\x06")
    place = out.index(b"PK\x01\x02")
    while (place := out.find(b"PK\x01\x02", place)) >= 0:
        (offset,) = struct.unpack_from("<I", out, place + 42)
        struct.pack_into("<I", out, place + 42, offset + (len(gap) if offset >= at else 0))
        place += 4
    struct.pack_into("<I", out, end + 16, struct.unpack_from("<I", out, end + 16)[0] + len(gap))
    return bytes(out)


@pytest.mark.parametrize("junk", [b"#!/bin/sh\n", b"\0", b"PK\x03\x04" + bytes(26)])
def test_an_archive_with_anything_before_or_between_its_files_is_refused(source, victim, tmp_path, junk):
    whole = tiny(source, tmp_path)
    assert spread(whole, 0, b"") == whole
    victim.refuses(junk + whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        places = [info.header_offset for info in archive.infolist()] + [archive.start_dir]
    for place in places:
        other = spread(whole, place, junk)
        with zipfile.ZipFile(io.BytesIO(other)) as archive:
            assert archive.testzip() is None, "another reader takes it"
        victim.refuses(other)


def test_an_archive_that_another_program_wrote_is_taken(source, victim, tmp_path):
    """One that could not go back to say how long its entries are says so behind them."""

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

        def tell(self):
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(io.BytesIO(tiny(source, tmp_path))) as old, zipfile.ZipFile(pipe, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info), zipfile.ZIP_DEFLATED)
    victim.path.write_bytes(pipe.getvalue())
    assert len(victim.session.artifacts.import_(victim.path).artifacts) == 2


def test_a_comment_in_an_archive_is_refused(source, victim, tmp_path):
    with zipfile.ZipFile(io.BytesIO(tiny(source, tmp_path))) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    entries[1][0].comment = b"read me"
    victim.refuses(packed(entries))


JSON_DAMAGE = {
    "something after the end": lambda text: text + b"x",
    "a content twice": lambda text: text.replace(b"\n]}", b",\n" + text.splitlines()[-2] + b"\n]}"),
    "a content missing": lambda text: text.replace(b'},\n{"digest"', b"}\n]}\n", 1),
    "no base64": lambda text: text.replace(b'"base64":"b25l"', b'"base64":"*25l"'),
    "another piece": lambda text: text.replace(b'"base64":"b25l"', b'"base64":"b25m"'),
    "a piece that goes on": lambda text: text.replace(b'"last":true', b'"last":false', 1),
    "an empty piece": lambda text: text.replace(b'"base64":"b25l"', b'"base64":""'),
    "two lists": lambda text: text.replace(b'"artifacts": [', b'"artifacts": [ ['),
    "written anew": lambda text: json.dumps(json.loads(text)).encode(),
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(JSON_DAMAGE))
def test_a_json_bundle_that_is_not_as_its_layout_says_is_refused(source, victim, tmp_path, how):
    whole = tiny(source, tmp_path, "json")
    damaged = JSON_DAMAGE[how](whole)
    assert damaged != whole
    victim.refuses(damaged)


def test_a_json_bundle_is_a_document_that_any_reader_understands(source, tmp_path):
    document = json.loads(tiny(source, tmp_path, "json"))
    assert document["manifest"]["format"] == "llmspell-artifacts"
    assert [one["name"] for one in document["artifacts"]] == ["a", "b"]
    assert len(document["contents"]) == 2


def test_what_was_made_from_something_that_is_not_here_still_says_so(session, other, tmp_path):
    first = session.artifacts.put("source", b"1")
    made = session.artifacts.put("made", b"2", derived_from=[first.id])
    session.artifacts.export(tmp_path / "b.zip", ids=[made.id])
    target = other.sessions.create("t")
    (info,) = target.artifacts.import_(tmp_path / "b.zip").artifacts
    assert info.derived_from == [first.id]
    (above,) = other.artifacts.ancestors(info.id)
    assert (above.id, above.state) == (first.id, "unknown")


@pytest.mark.parametrize("format", ["zip", "json"])
@pytest.mark.parametrize("rule", ["skip", "rename", "replace"])
@pytest.mark.parametrize("kind", ["new", "same", "fork"])
def test_a_dry_run_says_what_an_import_then_does_and_changes_nothing(store, session, tmp_path, format, rule, kind):
    fill(session)
    session.artifacts.export(tmp_path / "b", format=format)
    made = {"new": store.sessions.create, "same": lambda _: session, "fork": lambda _: store.sessions.fork(session.id)}
    target = made[kind]("t")
    if kind == "new":
        target.artifacts.put("a.md", "there before")
        target.artifacts.put("a (2).md", "there before")
    asked = []
    store.hooks.on("before_artifact_put")(lambda context: asked.append("put"))
    store.hooks.on("before_artifact_delete")(lambda context: asked.append("delete"))
    head, orphans = store.stats()["last_seq"], store.orphans()
    told = []
    plan = target.artifacts.import_(tmp_path / "b", on_conflict=rule, dry_run=True, progress=lambda *n: told.append(n))
    assert (plan.dry_run, asked, store.stats()["last_seq"], store.orphans()) == (True, [], head, orphans)
    assert told[-1] == (plan.bytes, plan.bytes)
    done = target.artifacts.import_(tmp_path / "b", on_conflict=rule)
    assert [named(info) for info in plan.artifacts] == [named(info) for info in done.artifacts]
    assert (plan.skipped, plan.renamed, plan.replaced, plan.bytes) == (
        done.skipped, done.renamed, done.replaced, done.bytes
    )  # fmt: skip
    assert not done.dry_run


def named(info):
    return info.session, info.name, info.version, info.digest, info.size, info.tags, info.metadata


def test_a_dry_run_is_refused_as_the_import_would_be(store, session, other, tmp_path):
    fill(session)
    session.artifacts.export(tmp_path / "b.zip")
    assert code(lambda: session.artifacts.import_(tmp_path / "b.zip", dry_run=True)) == "artifact-exists"
    assert code(lambda: other.artifacts.import_(tmp_path / "b.zip", dry_run=True)) == "session-not-found"
    assert code(lambda: session.artifacts.import_(tmp_path / "b.zip", dry_run=1)) == "invalid-input"
    session.complete()
    session.archive()
    for call in (True, False):
        given = {"session": session.id, "on_conflict": "rename", "dry_run": call}
        assert code(lambda given=given: store.artifacts.import_(tmp_path / "b.zip", **given)) == "session-archived"
    fork = store.sessions.fork(session.id)
    for call in (True, False):
        given = {"session": fork.id, "on_conflict": "replace", "dry_run": call}
        assert code(lambda given=given: store.artifacts.import_(tmp_path / "b.zip", **given)) == "artifact-inherited"
    target = other.sessions.create("t")
    content = bytearray((tmp_path / "b.zip").read_bytes())
    content[content.index(LARGE[100:120])] ^= 1
    (tmp_path / "bad.zip").write_bytes(content)
    assert code(lambda: target.artifacts.import_(tmp_path / "bad.zip", dry_run=True)) == "invalid-bundle"
    assert target.artifacts.list().items == []


def test_a_store_that_is_only_read_does_a_dry_run(face, store, session, tmp_path):
    fill(session)
    session.artifacts.export(tmp_path / "b.zip")
    store.sessions.export(session.id, tmp_path / "s")
    with llmspell.open(face.folder, read_only=True) as reader:
        assert reader.artifacts.import_(tmp_path / "b.zip", on_conflict="replace", dry_run=True).replaced == 6
        assert reader.sessions.import_(tmp_path / "s", on_conflict="replace", dry_run=True).outcome == "replaced"
