"""``llmspell artifact``."""

import base64
import os
import stat
import threading
from pathlib import Path

import pytest
from blake3 import blake3


@pytest.fixture
def session(ok):
    ok("session", "create", "R")
    return "R"


def test_a_file_comes_back_with_everything_it_was_given(ok, session, tmp_path):
    (tmp_path / "notes.md").write_text("# Bees\n")
    made = ok(
        "artifact", "put", "notes.md", "--session", "R", "--type", "agent_output", "--tag", "a", "--tag", "b",
        "--meta", "n=1", "--description", "What it is", "--json",
    ).json  # fmt: skip
    shown = ok("artifact", "show", "notes.md", "--session", "R", "--json").json
    assert shown == made
    assert (shown["name"], shown["version"], shown["type"], shown["tags"]) == (
        "notes.md",
        1,
        "agent_output",
        ["a", "b"],
    )
    assert (shown["metadata"], shown["description"], shown["mime_type"]) == ({"n": 1}, "What it is", "text/markdown")
    assert ok("artifact", "get", "notes.md", "--session", "R").out == "# Bees\n"
    assert ok("artifact", "get", made["id"]).out == "# Bees\n"


def test_people_see_the_same_fields(ok, session):
    ok("artifact", "put", "-", "--session", "R", "--name", "x.bin", "--mime", "a/b", stdin=b"\0" * 1500)
    out = ok("artifact", "show", "x.bin", "--session", "R").out
    assert "1.5 kB (1,500)" in out
    assert "a/b" in out


def test_stdin_needs_a_name(cli, session):
    assert cli("artifact", "put", "-", "--session", "R", stdin=b"x").status == 2


@pytest.mark.parametrize("file, status", [("missing", 13), (".", 2), ("", 2)])
def test_a_file_that_is_none_is_refused(cli, session, file, status):
    assert cli("artifact", "put", file, "--session", "R").status == status


def test_put_needs_a_session_that_exists_and_makes_no_store(cli, tmp_path):
    (tmp_path / "f").write_text("x")
    assert cli("artifact", "put", "f").status == 2
    assert cli("artifact", "put", "f", "--session", "R").status == 10
    assert not (tmp_path / ".llmspell").exists()


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="it takes open files with names")
@pytest.mark.parametrize("path", ["/dev/stdin", "/dev/fd/0"])
def test_an_open_pipe_is_stored_to_its_end_under_a_name(process, session, path):
    content = bytes(range(256)) * 8000
    refused = process("artifact", "put", path, "--session", "R", input=content)
    assert (refused.returncode, b"--name" in refused.stderr) == (2, True)
    put = process("artifact", "put", path, "--session", "R", "--name", "b", input=content)
    assert put.returncode == 0, put.stderr
    assert process("artifact", "get", "b", "--session", "R").stdout == content


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="it takes open files with names")
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1"])
def test_content_goes_into_an_open_pipe(process, ok, session, path):
    content = bytes(range(256)) * 8000
    ok("artifact", "put", "-", "--session", "R", "--name", "b", stdin=content)
    got = process("--quiet", "artifact", "get", "b", "--session", "R", "-o", path)
    assert (got.returncode, got.stdout) == (0, content), got.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="it takes a pipe with a name")
def test_a_pipe_with_a_name_is_read_to_its_end(ok, session, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    content = os.urandom(300_000)
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,), daemon=True)
    writer.start()
    made = ok("artifact", "put", "pipe", "--session", "R", "--json").json
    writer.join(timeout=30)
    assert (made["name"], made["digest"]) == ("pipe", blake3(content).hexdigest())


def test_bytes_go_through_a_pipe_unchanged(process, session):
    content = bytes(range(256)) * 40
    put = process("artifact", "put", "-", "--session", "R", "--name", "b", input=content)
    assert put.returncode == 0, put.stderr
    assert process("artifact", "get", "b", "--session", "R").stdout == content


def test_get_gives_programs_text_or_base64(ok, session):
    ok("artifact", "put", "-", "--session", "R", "--name", "t", stdin="grün".encode())
    ok("artifact", "put", "-", "--session", "R", "--name", "b", stdin=b"\xff\0")
    assert ok("artifact", "get", "t", "--session", "R", "--json").json["text"] == "grün"
    assert base64.b64decode(ok("artifact", "get", "b", "--session", "R", "--json").json["base64"]) == b"\xff\0"


def test_json_and_bare_content_cannot_share_stdout(cli, session):
    cli("artifact", "put", "-", "--session", "R", "--name", "t", stdin=b"x")
    assert cli("artifact", "get", "t", "--session", "R", "-o", "-", "--json").status == 2
    assert cli("artifact", "get", "t", "--session", "R", "-o", "-").out == "x"


def test_a_file_is_replaced_whole_and_keeps_its_permissions(ok, session, tmp_path):
    ok("artifact", "put", "-", "--session", "R", "--name", "t", stdin=b"new")
    target = tmp_path / "out"
    target.write_text("old and longer")
    target.chmod(0o640)
    assert ok("artifact", "get", "t", "--session", "R", "-o", "out", "--json").json["path"] == "out"
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == [".llmspell", "out"]


def test_a_new_file_has_the_permissions_of_the_mask(ok, session, tmp_path):
    ok("artifact", "put", "-", "--session", "R", "--name", "t", stdin=b"new")
    before = os.umask(0o027)
    try:
        ok("artifact", "get", "t", "--session", "R", "-o", "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


def test_a_link_is_followed_and_stays_a_link(ok, session, tmp_path):
    ok("artifact", "put", "-", "--session", "R", "--name", "t", stdin=b"new")
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    ok("artifact", "get", "t", "--session", "R", "-o", "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize("place, status", [("missing/out", 1), (".", 2)])
def test_a_place_that_cannot_be_written_is_named(cli, session, place, status):
    cli("artifact", "put", "-", "--session", "R", "--name", "t", stdin=b"x")
    ran = cli("artifact", "get", "t", "--session", "R", "-o", place)
    assert ran.status == status
    assert repr(place) in ran.err
    assert "Traceback" not in ran.err


def test_a_failure_while_reading_leaves_the_file_as_it_was(tmp_path):
    from llmspell.cli.files import write_whole

    def pieces():
        yield b"half"
        raise RuntimeError("damaged")

    (tmp_path / "out").write_text("old")
    with pytest.raises(RuntimeError):
        write_whole(tmp_path / "out", pieces())
    assert (tmp_path / "out").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_versions_are_listed_and_chosen_by_number(ok, cli, session):
    for content in (b"one", b"two", b"three"):
        ok("artifact", "put", "-", "--session", "R", "--name", "t", stdin=content)
    assert [item["version"] for item in ok("artifact", "versions", "t", "--session", "R", "--json").json["items"]] == [
        1,
        2,
        3,
    ]
    assert ok("artifact", "get", "t", "--session", "R", "--version", "2").out == "two"
    assert ok("artifact", "get", "t", "--session", "R", "--version", "latest").out == "three"
    assert cli("artifact", "get", "t", "--session", "R", "--version", "9").status == 13
    assert cli("artifact", "get", "t", "--session", "R", "--version", "v1").status == 13


def test_list_pages_by_name_latest_or_all(ok, session):
    for name in ("b", "a", "b"):
        ok("artifact", "put", "-", "--session", "R", "--name", name, stdin=b"x")
    first = ok("artifact", "list", "--session", "R", "--limit", "1", "--json").json
    rest = ok("artifact", "list", "--session", "R", "--cursor", first["next_cursor"], "--json").json
    assert [(item["name"], item["version"]) for item in first["items"] + rest["items"]] == [("a", 1), ("b", 2)]
    assert len(ok("artifact", "list", "--session", "R", "--all-versions", "--json").json["items"]) == 3
    assert ok("artifact", "list", "--session", "R").out.splitlines()[0].split() == [
        "NAME", "VERSION", "SIZE", "TYPE", "CREATED", "TAGS", "ID",
    ]  # fmt: skip


def test_a_name_not_found_suggests_a_close_one(cli, session):
    cli("artifact", "put", "-", "--session", "R", "--name", "report.md", stdin=b"x")
    for command in ("get", "show", "versions", "delete"):
        ran = cli("--json", "artifact", command, "reprot.md", "--session", "R")
        assert ran.status == 13, command
        assert ran.error["hint"] == "did you mean 'report.md'?"


def test_a_name_without_a_session_is_a_usage_error_with_a_hint(cli, session):
    ran = cli("artifact", "get", "report.md")
    assert ran.status == 2
    assert "--session" in ran.err


def test_delete_takes_one_version_or_all_and_says_so_before(cli, session):
    for _ in range(3):
        cli("artifact", "put", "-", "--session", "R", "--name", "t", stdin=b"12345")
    assert cli("artifact", "delete", "t", "--session", "R", "--dry-run").out == "would delete t: 3 versions (15 B)\n"
    assert cli("artifact", "delete", "t", "--session", "R").status == 2
    assert cli("artifact", "delete", "t", "--session", "R", "--version", "1", "--yes", "--json").json["deleted"] == 1
    assert cli("artifact", "delete", "t", "--session", "R", "--yes", "--json").json["deleted"] == 2
    assert cli("artifact", "versions", "t", "--session", "R").status == 13


@pytest.mark.parametrize("name", ["../up", "/abs", "a\\b", "a//b", "x\ny"])
def test_a_hostile_name_is_refused_with_its_reason(cli, session, name):
    ran = cli("--json", "artifact", "put", "-", "--session", "R", f"--name={name}", stdin=b"x")
    assert (ran.status, ran.error["code"]) == (2, "invalid-name")


def test_a_version_that_is_missing_of_a_name_that_exists_does_not_suggest_the_name(cli, ok):
    ok("session", "create", "R")
    ok("artifact", "put", "-", "--session", "R", "--name", "f.txt", stdin=b"x")
    ran = cli("artifact", "get", "f.txt", "--session", "R", "--version", "9")
    assert ran.status == 13
    assert "f.txt' version 9" in ran.err
    assert "did you mean" not in ran.err


# -- deleting for good, bringing back, collecting ----------------------------------------------------------------------


def test_what_is_deleted_is_listed_comes_back_or_goes_for_good(ok, cli, session):
    made = ok("artifact", "put", "-", "--session", "R", "--name", "f", "--json", stdin=os.urandom(200_000)).json
    ok("artifact", "delete", "f", "--session", "R", "--yes")
    assert [item["id"] for item in ok("artifact", "deleted", "--json").json["items"]] == [made["id"]]
    assert "f" in ok("artifact", "deleted", "--session", "R").out
    assert ok("artifact", "undelete", "f", "--session", "R", "--json").json["undeleted"] == 1
    ok("artifact", "delete", made["id"], "--yes")
    gone = ok("artifact", "delete", "f", "--session", "R", "--hard", "--yes", "--json").json
    assert (gone["deleted"], gone["hard"]) == (1, True)
    assert cli("artifact", "undelete", made["id"]).status == 13
    estimate = ok("artifact", "estimate", "--json").json
    assert (estimate["contents"], estimate["dry_run"]) == (1, True)
    assert ok("artifact", "orphans", "--json").json["content_count"] == 1
    assert "contents" in ok("artifact", "orphans").out
    assert "would collect 1 content" in ok("collect", "--dry-run").out
    report = ok("artifact", "collect", "--json").json
    assert (report["contents"], report["chunk_bytes"]) == (1, 200_000)
    assert "collected 0 contents" in ok("collect").out
    assert ok("verify").out.startswith("clean")


def test_a_collect_says_what_it_keeps_and_why(ok, session):
    ok("artifact", "put", "-", "--session", "R", "--name", "f", stdin=b"x")
    ok("artifact", "delete", "f", "--session", "R", "--yes")
    assert "could be undeleted" in ok("collect").out


def test_everything_that_fits_is_deleted(ok, cli, session):
    for name in ("a.tmp", "b.tmp", "c.md"):
        ok("artifact", "put", "-", "--session", "R", "--name", name, stdin=b"x")
    assert cli("artifact", "delete-matching", "--name", "*.tmp").status == 2, "nobody is there to ask"
    assert cli("artifact", "delete-matching", "--yes").status == 2, "nothing says which"
    assert ok("artifact", "delete-matching", "--name", "*.tmp", "--yes", "--json").json["deleted"] == 2
    done = ok("artifact", "delete-matching", "--name", "*", "--deleted", "--hard", "--session", "R", "--yes").out
    assert "deleted 2 versions" in done
    assert [item["name"] for item in ok("artifact", "list", "--session", "R", "--json").json["items"]] == ["c.md"]


def test_a_quota_is_shown_set_and_taken_away(ok, cli, session):
    assert "any number" in ok("artifact", "quota").out
    assert ok("artifact", "quota", "--session", "R", "--total-bytes", "10", "--json").json["total_bytes_max"] == 10
    refused = cli("artifact", "put", "-", "--session", "R", "--name", "f", "--json", stdin=b"x" * 11)
    assert refused.json["error"]["code"] == "session-quota-exceeded"
    assert cli("artifact", "quota", "--none", "--versions", "3").status == 2
    assert ok("artifact", "quota", "--session", "R", "--none", "--json").json["total_bytes_max"] is None
    ok("artifact", "put", "-", "--session", "R", "--name", "f", stdin=b"x" * 11)
