"""The artifacts room: what was put comes back exactly, under contiguous versions, and damage is never served."""

import asyncio
import io
import os
import socket
import threading

import pytest
from blake3 import blake3

import llmspell
from llmspell.errors import Conflict, Corrupt, LlmspellError, NotFound
from llmspell.model import limits
from tests.rooms.conftest import sql

LARGE = os.urandom(300_000)
TEXT = ("# Bees\n\nThey fly.\n" * 2000).encode()


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


@pytest.fixture
def session(store):
    return store.sessions.create("s")


# -- sources -----------------------------------------------------------------------------------------------------------


def pieces(content):
    return [content[at : at + 70_000] for at in range(0, len(content), 70_000)]


SOURCES = {
    "bytes": lambda content, folder: content,
    "bytearray": lambda content, folder: bytearray(content),
    "memoryview": lambda content, folder: memoryview(content),
    "path": lambda content, folder: written(folder, content),
    "file": lambda content, folder: io.BytesIO(content),
    "list": lambda content, folder: pieces(content),
    "generator": lambda content, folder: (piece for piece in pieces(content)),
}


def written(folder, content):
    path = folder / "source.bin"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [b"", b"x", TEXT, LARGE], ids=["empty", "one", "text", "large"])
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_every_source_comes_back_exactly_whole_in_pieces_and_in_ranges(face, store, session, tmp_path, source, content):
    told = []
    info = session.artifacts.put("f.bin", SOURCES[source](content, tmp_path), progress=told.append)
    assert (info.size, info.digest) == (len(content), blake3(content).hexdigest())
    assert told[-1:] == [len(content)]
    for opened in face.both(store):
        held = opened.artifacts.get(info.id)
        assert held.info == info
        assert held.read() == content
        assert b"".join(held.stream(50_000)) == content
        for start, length in ((0, 10), (len(content) // 2, 1000), (len(content), 5), (10**9, 5)):
            assert held.range(start, length) == content[start : start + length]


def test_text_is_kept_as_utf_8_and_read_as_text_or_json(session):
    session.artifacts.put("f.md", "k\u00e4se \U0001f600")
    held = session.artifacts.get("f.md")
    assert (held.text(), held.read()) == ("k\u00e4se \U0001f600", "k\u00e4se \U0001f600".encode())
    session.artifacts.put("f.json", '{"a": [1, 2.5, null]}')
    assert session.artifacts.get("f.json").json() == {"a": [1, 2.5, None]}
    assert code(held.json) == "not-json"
    session.artifacts.put("f.bin", b"\xff\xfe\xfd")
    assert code(lambda: session.artifacts.get("f.bin").text()) == "not-text"
    assert code(lambda: session.artifacts.get("f.bin").text("no-such-encoding")) == "not-text"


async def asynchronous(content):
    for piece in pieces(content):
        await asyncio.sleep(0)
        yield piece


def test_an_async_iterator_is_a_source_for_asyncio(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "s") as store:
            session = await store.sessions.create("s")
            info = await session.artifacts.put("f.bin", asynchronous(LARGE))
            return info.size, await (await session.artifacts.get("f.bin")).read()

    assert asyncio.run(main()) == (len(LARGE), LARGE)


def test_an_async_iterator_is_refused_by_the_synchronous_store_with_a_clear_error(tmp_path):
    with llmspell.open(tmp_path / "s") as store:
        session = store.sessions.create("s")
        with pytest.raises(LlmspellError, match="asynchronous") as refused:
            session.artifacts.put("f.bin", asynchronous(LARGE))
        assert refused.value.code == "needs-async"
        assert refused.value.hint
        assert len(session.artifacts.list()) == 0
        assert session.artifacts.put("f.bin", b"works").version == 1
        assert store.verify().ok


@pytest.mark.parametrize("source", [5, None, {"a": 1}, Exception, "bad \ud800", [b"ok", "text"], [1, 2]], ids=repr)
def test_what_is_no_content_is_refused_and_stores_nothing(session, source):
    assert code(lambda: session.artifacts.put("f.bin", source)) == "invalid-content"
    assert len(session.artifacts.list()) == 0


def test_a_file_that_is_not_there_is_named(session, tmp_path):
    with pytest.raises(NotFound, match="missing") as refused:
        session.artifacts.put("f.bin", tmp_path / "missing.bin")
    assert refused.value.code == "file-not-found"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="it takes a pipe with a name")
@pytest.mark.parametrize("kind", ["pipe", "linked pipe", "device", "socket"])
def test_a_path_that_names_no_plain_file_is_refused_and_holds_nobody(session, tmp_path, kind, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "linked pipe").symlink_to(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)  # The path of a socket is short.
        listening.bind("socket")
        assert code(lambda: session.artifacts.put("f.bin", tmp_path / kind)) == "source-failed"
    assert session.artifacts.put_many([{"name": "f", "data": tmp_path / kind}]).items[0].error.code == "source-failed"
    assert len(session.artifacts.list()) == 0
    with (tmp_path / "plain").open("w+b") as file:
        file.write(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "plain")
    assert session.artifacts.put("f.bin", tmp_path / "link").size == 3


def test_a_source_that_fails_halfway_stores_nothing_and_the_next_put_works(store, session):
    def broken():
        yield LARGE
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.artifacts.put("f.bin", broken())
    assert len(session.artifacts.list()) == 0
    assert session.artifacts.put("f.bin", LARGE).version == 1
    assert store.verify().ok


def test_a_source_that_lies_about_its_type_is_refused(session):
    class Source(io.RawIOBase):
        def read(self, size=-1):
            return "text"

    assert code(lambda: session.artifacts.put("f.bin", Source())) == "invalid-content"


# -- fields and names --------------------------------------------------------------------------------------------------

FIELDS = {
    "type": "agent_output",
    "mime_type": "application/x-own; version=1",
    "description": "two\nlines",
    "tags": ["a", "k\u00e4se"],
    "metadata": {"deep": [1, {"x": None}]},
}


def test_every_field_that_was_given_comes_back_also_after_opening_again(face, store, session):
    source = session.artifacts.put("source.txt", "source")
    made = session.artifacts.put("f.txt", "text", derived_from=[source.id], **FIELDS)
    for opened in face.both(store):
        info = opened.artifacts.info(made.id)
        assert {field: getattr(info, field) for field in FIELDS} == FIELDS
        assert (info.name, info.version, info.session, info.derived_from) == ("f.txt", 1, session.id, [source.id])
        assert info == made
        assert info.to_dict()["created_at"] == info.created_at.isoformat()


@pytest.mark.parametrize("name,expected", [
    ("a.md", "text/markdown"), ("a.JSON", "application/json"), ("a.csv", "text/csv"), ("a.lua", "text/x-lua"),
    ("a", "text/plain"), ("a.unknown-ending", "text/plain"), ("a.tar.gz", "text/plain"),
])  # fmt: skip
def test_the_type_of_a_file_is_guessed_from_its_name_the_same_on_every_machine(session, name, expected):
    assert session.artifacts.put(name, "text").mime_type == expected
    assert session.artifacts.put("bytes", b"\x00").mime_type == "application/octet-stream"


BAD_NAMES = ["", "..", "a/../b", "/etc/passwd", "a//b", "a\\b", "a\nb", "a\0b", "x" * 256, 5, None, "\ud800",
             "01900000-0000-7000-8000-000000000000"]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leads_somewhere_or_breaks_a_rule_is_refused(session, name):
    assert code(lambda: session.artifacts.put(name, b"x")) in {"invalid-name", "invalid-text"}
    assert len(session.artifacts.list()) == 0


@pytest.mark.parametrize(
    "name", ["a b.txt", "dir/sub/f.txt", "k\u00e4se", "...", "a..b", ".hidden", "x" * 255, "%2e%2e"]
)
def test_an_unusual_name_is_a_name(session, name):
    session.artifacts.put(name, b"x")
    assert session.artifacts.get(name).info.name == name


def test_a_name_is_one_name_in_whatever_form_it_is_typed(session):
    session.artifacts.put("caf\u00e9", b"1")
    assert session.artifacts.put("cafe\u0301", b"2").version == 2
    assert len(session.artifacts.versions("cafe\u0301")) == 2


@pytest.mark.parametrize("field,value", [
    ("type", ""), ("type", 5), ("type", "x" * 65), ("mime_type", "text"), ("mime_type", 5), ("mime_type", "a/b\nc"),
    ("description", 5), ("description", "x" * (limits.DESCRIPTION_CHARS_MAX + 1)), ("tags", "one"), ("tags", [5]),
    ("metadata", 5), ("metadata", "text"), ("metadata", {1: 2}), ("derived_from", ["nonsense"]),
    ("derived_from", "nonsense"), ("compression", "zip"), ("compression", None),
])  # fmt: skip
def test_a_field_that_breaks_a_rule_is_refused_also_when_the_content_is_known(session, field, value):
    session.artifacts.put("known.txt", "text")
    refused = code(lambda: session.artifacts.put("f.txt", "text", **{field: value}))
    assert refused.startswith(("invalid-", "unknown-"))
    assert [info.name for info in session.artifacts.list()] == ["known.txt"]


def test_what_an_artifact_is_derived_from_must_exist(store, session):
    missing = "01900000-0000-7000-8000-000000000000"
    assert code(lambda: session.artifacts.put("f", b"x", derived_from=[missing])) == "artifact-not-found"
    elsewhere = store.sessions.create("t").artifacts.put("source", b"y")
    assert code(lambda: session.artifacts.put("f", b"x", derived_from=[elsewhere.id])) == "artifact-denied"
    store.artifacts.grant(elsewhere.id, session.id)
    assert session.artifacts.put("f", b"x", derived_from=[elsewhere.id.upper()]).derived_from == [elsewhere.id]


def test_an_update_changes_what_is_given_of_one_version_and_keeps_the_rest(store, session):
    first = session.artifacts.put("f.txt", "one", **FIELDS)
    session.artifacts.put("f.txt", "two", **FIELDS)
    info = session.artifacts.update("f.txt", version=1, tags=["new"], description="")
    assert (info.tags, info.description, info.metadata) == (["new"], "", FIELDS["metadata"])
    assert info.updated_at > info.created_at == first.created_at
    assert session.artifacts.info("f.txt").tags == FIELDS["tags"]
    assert session.artifacts.update(first.id, metadata={}).metadata == {}
    assert code(lambda: session.artifacts.update("f.txt")) == "nothing-to-do"
    assert code(lambda: session.artifacts.update("f.txt", metadata=5)) == "invalid-metadata"
    changes = [entry.data["changed"] for entry in store.timeline(kinds=["artifact.updated"])]
    assert changes == [{"description": "", "tags": ["new"]}, {"metadata": {}}]


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["process", "full"])
def test_versions_are_contiguous_when_sixteen_tasks_put_at_once(tmp_path, durability):
    async def main():
        async with await llmspell.open_async(tmp_path / "s", durability=durability) as store:
            session = await store.sessions.create("s")
            infos = await asyncio.gather(
                *(session.artifacts.put("f.bin", os.urandom(200 if n % 2 else 40_000)) for n in range(16))
            )
            assert (await store.verify()).ok
            return sorted(info.version for info in infos)

    assert asyncio.run(main()) == list(range(1, 17))


def test_versions_are_contiguous_when_eight_threads_put_at_once(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        session = store.sessions.create("s")

        def work(number):
            for n in range(5):
                session.artifacts.put("f.bin", f"{number} {n}".encode() * (1 if n % 2 else 9000))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [info.version for info in session.artifacts.versions("f.bin")] == list(range(1, 41))
        assert store.verify().ok


def test_any_version_is_had_by_number_and_the_latest_without(session):
    infos = [session.artifacts.put("f.txt", f"text {n}") for n in range(1, 4)]
    assert [info.version for info in infos] == [1, 2, 3]
    assert session.artifacts.get("f.txt").text() == session.artifacts.get("f.txt", version="latest").text() == "text 3"
    assert session.artifacts.get("f.txt", version=2).text() == "text 2"
    assert session.artifacts.versions("f.txt") == infos
    for version in (4, "v1", "latest2"):
        assert code(lambda version=version: session.artifacts.get("f.txt", version=version)) == "artifact-not-found"
    for version in (0, -1, 1.0, True, b"1"):
        assert code(lambda version=version: session.artifacts.get("f.txt", version=version)) == "invalid-version"
    assert code(lambda: session.artifacts.get(infos[0].id, version=1)) == "invalid-version"


def test_a_deleted_version_leaves_its_number(session):
    for n in range(1, 4):
        session.artifacts.put("f.txt", f"text {n}")
    assert session.artifacts.delete("f.txt", version=3) == 1
    assert session.artifacts.get("f.txt").info.version == 2
    assert session.artifacts.put("f.txt", "text 4").version == 4
    assert session.artifacts.delete("f.txt") == 3
    assert code(lambda: session.artifacts.get("f.txt")) == "artifact-not-found"
    assert code(lambda: session.artifacts.versions("f.txt")) == "artifact-not-found"
    assert code(lambda: session.artifacts.delete("f.txt")) == "artifact-not-found"
    assert session.artifacts.put("f.txt", "text 5").version == 5


def test_labels_name_versions_move_and_go_with_them(face, store, session):
    for n in range(1, 4):
        session.artifacts.put("f.txt", f"text {n}")
    session.artifacts.tag_version("f.txt", 1, "v1")
    session.artifacts.tag_version("f.txt", 2, "approved")
    assert session.artifacts.get("f.txt", version="v1").text() == "text 1"
    session.artifacts.tag_version("f.txt", 3, "v1")
    session.artifacts.put("other.txt", "x")
    artifacts = session.artifacts
    for opened in face.both(store):
        artifacts = opened.sessions.open("s").artifacts
        assert artifacts.labels("f.txt") == {"approved": 2, "v1": 3}
        assert artifacts.labels("other.txt") == {}
        assert artifacts.get("f.txt", version="v1").text() == "text 3"
    artifacts.delete("f.txt", version="v1")
    assert artifacts.labels("f.txt") == {"approved": 2}
    assert code(lambda: artifacts.get("f.txt", version="v1")) == "artifact-not-found"


@pytest.mark.parametrize(
    "label", ["latest", "1", "007", "", "a\nb", 5, "x" * 256, "^1", "1.x", ">=1 <2", "*", "~v1.2", " ", " v1", "=1,<2"]
)
def test_a_label_that_already_means_a_version_is_refused(session, label):
    session.artifacts.put("f.txt", "text")
    assert code(lambda: session.artifacts.tag_version("f.txt", 1, label)) in {"invalid-label", "invalid-name"}


def test_an_old_version_is_restored_as_a_new_one(store, session):
    source = session.artifacts.put("source.txt", "source")
    old = session.artifacts.put("f.txt", "old", derived_from=[source.id], **FIELDS)
    session.artifacts.put("f.txt", "new")
    session.artifacts.delete(source.id)
    back = session.artifacts.restore_version("f.txt", 1)
    assert (back.version, back.digest, back.metadata, back.type) == (3, old.digest, old.metadata, old.type)
    assert back.derived_from == [source.id, old.id]
    assert back.id != old.id
    assert session.artifacts.get("f.txt").text() == "old"
    assert session.artifacts.restore_version("f.txt", 1).derived_from == [source.id, old.id]
    assert store.verify().ok


# -- listing and ids ---------------------------------------------------------------------------------------------------


def test_what_list_gives_can_be_had_and_deleted_by_its_id(store, session):
    for name in ("a.txt", "b/c.txt", "d"):
        session.artifacts.put(name, f"text of {name}")
    listed = session.artifacts.list().items
    assert [info.name for info in listed] == ["a.txt", "b/c.txt", "d"]
    for info in listed:
        assert session.artifacts.get(info.id).text() == f"text of {info.name}"
        assert store.artifacts.get(info.id).info == info
        assert session.artifacts.delete(info.id) == 1
    assert session.artifacts.list().items == []


def test_a_list_has_the_latest_of_each_name_or_every_version_page_by_page(session):
    for name, count in (("a", 3), ("b", 1), ("c", 2)):
        for n in range(count):
            session.artifacts.put(name, f"{name}{n}")
    session.artifacts.delete("c", version=2)
    assert [(info.name, info.version) for info in session.artifacts.list()] == [("a", 3), ("b", 1), ("c", 1)]
    every = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1)]
    found, cursor = [], None
    while True:
        page = session.artifacts.list(all_versions=True, limit=2, cursor=cursor)
        found += [(info.name, info.version) for info in page]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == every


def test_a_list_refuses_limits_and_cursors_that_are_none(session):
    from llmspell.model.page import write_cursor

    for limit in (0, 10_001, "5", True):
        assert code(lambda limit=limit: session.artifacts.list(limit=limit)) == "invalid-limit"
    for cursor in ("garbage", 5, write_cursor("artifacts", 5, 1), write_cursor("artifacts", "a", "b"),
                   write_cursor("artifacts", "a", 2**70), write_cursor("sessions", "a", 1)):  # fmt: skip
        assert code(lambda cursor=cursor: session.artifacts.list(cursor=cursor)) == "invalid-cursor"


def test_the_same_bytes_under_two_names_are_two_artifacts_over_one_content(store, session):
    other = store.sessions.create("other")
    one, two = session.artifacts.put("a", LARGE), session.artifacts.put("b", LARGE)
    three = other.artifacts.put("a", iter([LARGE]))
    assert len({one.id, two.id, three.id}) == 3
    assert one.digest == two.digest == three.digest
    stats = store.stats()
    assert (stats["artifacts"], stats["blobs"]) == (3, 1)
    assert stats["bytes"]["artifacts_unique"] == len(LARGE)
    assert stats["dedup_ratio"] == 3
    session.artifacts.delete("a")
    assert two.id == session.artifacts.get("b").info.id
    assert other.artifacts.get("a").read() == LARGE


def test_a_small_change_of_large_content_stores_little(store, session):
    session.artifacts.put("f.bin", LARGE)
    before = store.stats()["bytes"]["artifacts_stored"]
    session.artifacts.put("f.bin", LARGE[:150_000] + b"inserted" + LARGE[150_000:])
    assert store.stats()["bytes"]["artifacts_stored"] - before < len(LARGE) // 2


def test_names_need_a_session_and_ids_do_not(store, session):
    info = session.artifacts.put("f.txt", "text")
    assert code(lambda: store.artifacts.get("f.txt")) == "no-session"
    assert code(store.artifacts.list) == "no-session"
    assert store.artifacts.get(info.id).text() == "text"
    with session:
        assert store.artifacts.get("f.txt").text() == "text"
        assert store.artifacts.put("g.txt", "inside").session == session.id


@pytest.mark.parametrize("status", ["suspended", "completed", "failed", "archived"])
def test_only_an_archived_session_takes_no_artifacts(session, status):
    {"suspended": session.suspend, "failed": lambda: session.fail("x")}.get(status, session.complete)()
    if status == "archived":
        session.archive()
        with pytest.raises(Conflict) as refused:
            session.artifacts.put("f", b"x")
        assert refused.value.code == "session-archived"
        session.unarchive()
    assert session.artifacts.put("f", b"x").version == 1


# -- diff, validators --------------------------------------------------------------------------------------------------


def test_versions_of_text_json_and_bytes_differ_in_their_own_way(session):
    put = session.artifacts.put
    put("f.txt", "one\ntwo\n"), put("f.txt", "one\n2\n"), put("f.txt", "one\n2\n")
    text = session.artifacts.diff("f.txt", 1, 2)
    assert (text.kind, [line for line in text.lines if line[:1] in "+-"][2:]) == ("text", ["-two", "+2"])
    assert session.artifacts.diff("f.txt", 2).kind == "same"
    put("f.json", '{"a": 1, "b": [1, 2]}'), put("f.json", '{"a": true, "b": [1, 3], "c": 0}')
    assert session.artifacts.diff("f.json", 1, 2).changes == [
        {"path": "$.a", "op": "changed", "old": 1, "new": True},
        {"path": "$.b[1]", "op": "changed", "old": 2, "new": 3},
        {"path": "$.c", "op": "added", "new": 0},
    ]
    put("f.bin", b"\xff\x00\x01\xfe"), put("f.bin", b"\xff\x00\x02\x03\xfe")
    binary = session.artifacts.diff("f.bin", 1, "latest")
    assert (binary.kind, binary.common_prefix, binary.common_suffix) == ("binary", 2, 1)
    assert binary.to_dict()["new"]["version"] == 2


def test_a_validator_refuses_content_of_its_type_and_nothing_is_seen_of_it(store, session):
    seen = []

    def no_secrets(fields, content):
        seen.append((fields["name"], fields["type"], fields["size"], len(content)))
        return "it holds a secret" if b"secret" in content else None

    store.artifacts.add_validator("code", no_secrets)
    with pytest.raises(LlmspellError, match="it holds a secret") as refused:
        session.artifacts.put("f.py", "secret = 1", type="code")
    assert refused.value.code == "invalid-artifact"
    large = b"secret" + LARGE
    assert code(lambda: session.artifacts.put("f.bin", iter([large]), type="code")) == "invalid-artifact"
    assert session.artifacts.list().items == []
    assert session.artifacts.put("f.py", "fine = 1", type="code").version == 1
    assert session.artifacts.put("f.txt", "secret").version == 1
    assert code(lambda: session.artifacts.put("again.txt", "secret", type="code")) == "invalid-artifact"
    assert seen[0] == ("f.py", "code", 10, 10)
    assert code(lambda: store.artifacts.add_validator("code", "no function")) == "invalid-validator"


# -- damage ------------------------------------------------------------------------------------------------------------


def test_content_beside_its_row_that_is_flipped_is_named_and_never_served(face, store, session):
    info = session.artifacts.put("f.txt", "precious " * 20)
    sql(face, store)(
        "UPDATE blob SET inline = CAST(replace(CAST(inline AS TEXT), 'p', 'q') AS BLOB), codec = 0, size = 180"
    )
    for read in reads(session, "f.txt"):
        with pytest.raises(Corrupt):
            read()
    report = store.verify()
    assert any(info.digest in finding.what for finding in report.findings)


def reads(session, name):
    held = session.artifacts.get(name)
    return (
        held.read,
        held.text,
        lambda: list(held.stream()),
        lambda: held.range(0, held.info.size),
        lambda: session.artifacts.diff(name, 1, 1),
    )


def test_content_in_chunks_that_is_flipped_is_named_and_never_served(face, store, session):
    session.artifacts.put("f.bin", LARGE)
    flip_chunks(face, store)
    for read in (
        lambda: session.artifacts.get("f.bin").read(),
        lambda: session.artifacts.get("f.bin").range(0, len(LARGE)),
        lambda: list(session.artifacts.get("f.bin").stream()),
    ):
        with pytest.raises(Corrupt):
            read()
    assert not store.verify().ok


def flip_chunks(face, store):
    import apsw

    store.sessions.open("s").save()
    connection = apsw.Connection(str(store.path / "generation-000001" / "content.db"))
    changed = 0
    for number, data in list(connection.execute("SELECT id, data FROM chunk_data")):
        connection.execute("UPDATE chunk_data SET data = ? WHERE id = ?", (bytes([data[0] ^ 1]) + data[1:], number))
        changed += 1
    connection.close()
    assert changed


def test_content_that_is_missing_is_named(face, store, session):
    info = session.artifacts.put("f.txt", "text")
    sql(face, store)("DELETE FROM blob")
    with pytest.raises(Corrupt) as refused:
        session.artifacts.get("f.txt")
    assert refused.value.details["digest"] == info.digest
    assert any("missing" in finding.what for finding in store.verify().findings)


@pytest.mark.parametrize("change", ["name = 'other'", "version = 9", "digest = zeroblob(32)", "size = 1", "type = 'x'"])
def test_a_row_of_an_artifact_that_was_changed_is_found_by_verify(face, store, session, change):
    session.artifacts.put("f.txt", "text")
    sql(face, store)(f"UPDATE artifact SET {change}")  # noqa: S608 - the list above
    assert any(finding.where == "artifact" for finding in store.verify().findings)


def test_a_file_that_cannot_be_read_to_its_end_is_a_named_error(session, tmp_path):
    class Failing(io.RawIOBase):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    closed, unreadable = io.BytesIO(b"x"), (tmp_path / "written").open("wb")
    closed.close()
    with unreadable:
        for source in (Failing(), closed, unreadable):
            assert code(lambda source=source: session.artifacts.put("f.bin", source)) == "source-failed"
            (item,) = session.artifacts.put_many([{"name": "f.bin", "data": source}])
            assert item.error.code == "source-failed"
    assert session.artifacts.list().items == []


def test_a_later_version_takes_what_is_new_in_it_and_no_more(face, store):
    import random

    noise = random.Random(7)
    session = store.sessions.create("s")
    lines = [noise.randbytes(1500).hex() for _ in range(12)]
    for count in range(1, len(lines) + 1):
        session.artifacts.put("log.txt", "\n".join(lines[:count]))
    assert store.stats()["chunks"] < 2 * len(lines)
    for opened in face.both(store):
        artifacts = opened.sessions.open("s").artifacts
        for count in range(1, len(lines) + 1):
            assert artifacts.get("log.txt", version=count).text() == "\n".join(lines[:count])
        assert opened.verify().ok
