"""``llmspell artifact query | relate | lineage | grant | export | …``: effects are there for the next command."""

import json

import pytest


@pytest.fixture
def filled(ok, tmp_path):
    (tmp_path / "a.md").write_text("one")
    (tmp_path / "b.md").write_text("two")
    ok("session", "create", "S")
    ok("session", "create", "T")
    one = ok("artifact", "put", "a.md", "--session", "S", "--tag", "x", "--description", "about bees", "--json").json
    two = ok("artifact", "put", "b.md", "--session", "S", "--derived-from", one["id"], "--json").json
    return one["id"], two["id"]


def test_a_query_lists_what_fits_and_counts_it(ok, filled):
    assert [one["name"] for one in ok("artifact", "query", "--json").json["items"]] == ["b.md", "a.md"]
    assert [one["name"] for one in ok("artifact", "query", "--text", "bees", "--json").json["items"]] == ["a.md"]
    assert "a.md" in ok("artifact", "query", "--tag", "x", "--session", "S").out
    counted = {"number": 2, "exact": True, "text": "2"}
    assert ok("artifact", "count", "--name", "*.md", "--json").json == counted
    words = ("--created-after", "1h", "--updated-before", "2h", "--exact")
    assert ok("artifact", "count", *words).out == "0 artifact(s)\n"
    assert ok("artifact", "query", "--text", '"about bee"*', "--meta", "a.b=1", "--json").json["items"] == []
    first = ok("artifact", "query", "--order-by", "-size", "--limit", "1", "--json").json
    rest = ok("artifact", "query", "--order-by", "-size", "--limit", "1", "--cursor", first["next_cursor"], "--json")
    assert {first["items"][0]["name"], rest.json["items"][0]["name"]} == {"a.md", "b.md"}


def test_relations_are_made_shown_and_ended(ok, cli, filled):
    one, two = filled
    assert ok("artifact", "relate", "b.md", "depends_on", "a.md", "--session", "S", "--json").json["changed"]
    assert cli("artifact", "relate", one, "depends_on", two).status == 14
    found = ok("artifact", "lineage", two, "--json").json
    assert [node["name"] for node in found["nodes"]] == ["a.md", "b.md"]
    assert ok("artifact", "lineage", two, "--dot").out.startswith("digraph lineage {")
    assert "derived_from" in ok("artifact", "lineage", two).out
    assert ok("artifact", "unrelate", two, "depends_on", one, "--json").json["changed"]
    assert cli("artifact", "lineage", two, "--dot", "--json").status == 2


def test_grants_are_made_listed_audited_and_revoked(ok, filled):
    one, _ = filled
    assert ok("artifact", "grant", "a.md", "T", "write", "--session", "S", "--expires-in", "60", "--json").json["seq"]
    (grant,) = ok("artifact", "grants", one, "--json").json["items"]
    assert (grant["right"], grant["version"]) == ("write", None)
    assert ok("artifact", "revoke", "a.md", "T", "--session", "S", "--json").json["ended"] == 1
    actions = [record["action"] for record in ok("artifact", "audit", one, "--json").json["items"]]
    assert actions == ["revoked", "granted"]
    assert ok("artifact", "grants", one, "--json").json["items"] == []


def test_grants_of_what_never_was_are_refused_by_name(cli, filled):
    for verb, *rest in (("grants",), ("audit",), ("revoke", "T")):
        refused = cli("artifact", verb, "c.md", *rest, "--session", "S", "--json")
        assert (refused.status, refused.json["error"]["code"]) == (13, "artifact-not-found")


@pytest.mark.parametrize("name", ["b.zip", "b.json"])
def test_a_bundle_goes_out_and_comes_in(ok, cli, filled, tmp_path, name):
    assert ok("artifact", "export", name, "--session", "S", "--json").json["artifacts"] == 2
    assert (tmp_path / name).read_bytes()[:1] == (b"{" if name.endswith("json") else b"P")
    assert cli("artifact", "export", name).status == 14
    assert ok("--store", "other", "session", "create", "U").status == 0
    assert len(ok("--store", "other", "artifact", "import", name, "--session", "U", "--json").json["artifacts"]) == 2
    assert cli("--store", "other", "artifact", "import", name, "--session", "U").status == 14
    found = ok("--store", "other", "artifact", "import", name, "--session", "U", "--on-conflict", "rename")
    assert "a (2).md" in found.out
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-7])
    refused = cli("--store", "other", "artifact", "import", name, "--session", "U", "--json")
    assert (refused.status, json.loads(refused.out)["error"]["code"]) == (2, "invalid-bundle")


def test_labels_history_names_and_differences_are_shown(ok, filled, tmp_path):
    (tmp_path / "a.md").write_text("one more")
    ok("artifact", "put", "a.md", "--session", "S")
    ok("artifact", "label", "a.md", "1", "v1.0.0", "--session", "S")
    assert ok("artifact", "get", "a.md", "--session", "S", "--version", "^1.0").out.rstrip() == "one"
    assert "+one more" in ok("artifact", "diff", "a.md", "1", "--session", "S").out
    assert ok("artifact", "diff", *filled, "--json").json["kind"] == "text"
    assert ok("artifact", "rename", "a.md", "c.md", "--session", "S", "--json").json["versions"] == 2
    steps = ok("artifact", "history", filled[0], "--json").json["items"]
    assert [step["operation"] for step in steps] == ["stored", "renamed"]


@pytest.mark.parametrize(
    "was, now, shown",
    [
        (b"a\r\nb", b"a\nb", ["-a\\r", "+a"]),
        (b"a", b"a\n", ["-a", r"\ No newline at end of file", "+a"]),
        (b"a\x0cb", b"a\nb", ["-a\\x0cb", r"\ No newline at end of file", "+a", "+b", r"\ No newline at end of file"]),
        (b'{"a": 1}\n', b'{ "a": 1 }\n', ['-{"a": 1}', '+{ "a": 1 }']),
    ],
)
def test_what_differs_in_the_ends_of_lines_or_in_blanks_is_shown(ok, was, now, shown):
    ok("session", "create", "S")
    name = "f.json" if was.startswith(b"{") else "f.txt"
    for content in (was, now):
        ok("artifact", "put", "-", "--name", name, "--session", "S", stdin=content)
    lines = ok("artifact", "diff", name, "1", "2", "--session", "S").out.splitlines()
    assert lines[:2] == [f"--- {name} v1", f"+++ {name} v2"]
    assert [line for line in lines[3:] if not line.startswith(" ")][: len(shown)] == shown
    assert ok("artifact", "diff", name, "1", "1", "--session", "S").out == "the content is the same\n"
