"""``llmspell session export``, ``import``, ``save-all``, ``cleanup``, ``retention`` and templates."""


def test_a_session_goes_to_a_file_and_comes_back(ok, cli, tmp_path, monkeypatch):
    ok("session", "create", "R", "--state", "topic=bees")
    file = str(tmp_path / "r.bundle")
    told = ok("session", "export", "R", file, "--json").json
    assert told["entries"] == 2
    assert cli("--json", "session", "export", "R", file).error["code"] == "file-exists"
    ran = cli("--json", "session", "import", file)
    assert (ran.status, ran.error["code"]) == (14, "session-exists")
    assert ok("session", "import", file, "--on-conflict", "rename", "--json").json["name"] == "R (2)"
    ok("session", "delete", "R", "--yes")
    assert "imported session R" in ok("session", "import", file).out
    (tmp_path / "cut").write_bytes((tmp_path / "r.bundle").read_bytes()[:-1])
    ran = cli("--json", "session", "import", str(tmp_path / "cut"), "--on-conflict", "rename")
    assert (ran.status, ran.error["code"]) == (16, "invalid-bundle")
    monkeypatch.setenv("BUNDLE", "a long passphrase")
    ok("session", "export", "R", file, "--overwrite", "--passphrase-from", "BUNDLE")
    assert cli("session", "import", file, "--on-conflict", "replace").status == 12
    words = ["session", "import", file, "--on-conflict", "replace", "--passphrase-from", "BUNDLE"]
    ran = cli("--json", *words)
    assert (ran.status, ran.error["code"]) == (2, "needs-yes")
    ok(*words, "--yes")


def test_an_import_says_what_it_would_do_and_asks_only_before_it_replaces(ok, cli, tmp_path):
    id_ = ok("session", "create", "R", "-q").out.strip()
    file = str(tmp_path / "r.bundle")
    ok("session", "export", "R", file)
    ok("--store", str(tmp_path / "other"), "session", "create", "else")
    before = ok("stats", "--json").json["last_seq"]
    for rule, word in (("replace", "replace"), ("rename", "import under new ids"), ("skip", "skip")):
        assert f"would {word} session R" in ok("session", "import", file, "--on-conflict", rule, "--dry-run").out
    plan = ok("session", "import", file, "--on-conflict", "rename", "--dry-run", "--json").json
    assert (plan["id"], plan["name"], plan["outcome"], plan["dry_run"]) == ("", "R (2)", "renamed", True)
    assert cli("--json", "session", "import", file, "--dry-run").error["code"] == "session-exists"
    assert ok("stats", "--json").json["last_seq"] == before
    assert ok("--store", str(tmp_path / "other"), "session", "import", file, "--on-conflict", "replace").status == 0
    assert ok("--store", str(tmp_path / "other"), "session", "show", id_, "--json").json["name"] == "R"
    assert cli("--store", str(tmp_path / "none"), "session", "import", file, "--dry-run").status != 0
    assert not (tmp_path / "none").exists()


def test_cleanup_shows_asks_and_deletes(ok, cli):
    for name in ("one", "two"):
        ok("session", "create", name)
        ok("session", "complete", name)
    ok("session", "create", "active")
    assert cli("--json", "session", "cleanup").error["code"] == "no-policy"
    plan = ok("session", "cleanup", "--max-count", "1", "--dry-run", "--json").json
    assert [(one["name"], one["why"]) for one in plan["deleted"]] == [("one", "count")]
    done = ok("session", "cleanup", "--max-count", "1", "--yes", "--json").json
    assert len(done["deleted"]) == 1
    names = [item["name"] for item in ok("session", "list", "--json").json["items"]]
    assert sorted(names) == ["active", "two"]
    assert ok("session", "retention", "--max-age", "30d", "--every", "1d", "--json").json["policy"]["every_s"] == 86400
    assert ok("session", "retention", "--json").json["policy"]["every_s"] == 86400
    assert "86400" in ok("session", "retention").out
    assert ok("session", "retention", "--json").json["policy"]["max_age_s"] == 30 * 86400
    ok("session", "retention", "--off")
    assert ok("session", "retention", "--json").json["policy"] is None
    assert cli("session", "cleanup", "--max-age", "soon", "--yes").status == 2


def test_what_is_deleted_for_good_is_freed_by_collect(ok, cli, tmp_path):
    for name in ("one", "two", "three"):
        ok("session", "create", name)
        (tmp_path / name).write_text(name * 1000)
        ok("artifact", "put", str(tmp_path / name), "--session", name)
        ok("session", "complete", name)
    contents = lambda: ok("collect", "--json").json["contents"]
    assert ok("session", "retention", "--max-count", "9", "--hard", "--json").json["policy"]["hard"] is True
    ok("session", "cleanup", "--max-count", "2", "--yes")
    assert contents() == 0
    ok("session", "cleanup", "--max-count", "1", "--hard", "--yes")
    assert contents() == 1
    (left,) = ok("session", "list", "--json").json["items"]
    ok("session", "delete", left["name"], "--yes")
    assert "for good" in ok("session", "delete", left["id"], "--hard", "--dry-run").out
    assert contents() == 0
    assert "for good" in ok("session", "delete", left["id"], "--hard", "--yes").out
    assert contents() == 1
    assert cli("--json", "session", "delete", left["id"], "--hard", "--yes").error["code"] == "session-not-found"
    assert cli("--json", "session", "delete", "nobody", "--hard", "--yes").error["code"] == "session-not-found"
    assert cli("session", "cleanup", "--hard", "--yes").status == 2


def test_cleanup_names_what_stays_because_it_needs_a_key_and_ends_with_findings(ok, cli, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    id_ = ok("session", "create", "one", "-q").out.strip()
    ok("state", "set", "token", "hush", "--class", "sensitive", "--scope", f"session:{id_}")
    ok("session", "complete", "one")
    words = ["session", "cleanup", "--max-count", "0", "--archive-to", str(tmp_path / "old")]
    assert "1 session not exported" in ok(*words, "--dry-run").out
    ran = cli(*words, "--yes")
    assert (ran.status, "1 session not exported" in ran.out) == (3, True)
    monkeypatch.setenv("ARCHIVE", "a long passphrase")
    ok(*words, "--yes", "--passphrase-from", "ARCHIVE")


def test_save_all_and_templates(ok, cli):
    ok("session", "template", "research", '{"tags": ["r"], "state": {"n": 0}}')
    assert ok("session", "templates", "--json").json["items"] == [
        {"name": "research", "fields": {"tags": ["r"], "state": {"n": 0}}}
    ]
    ok("session", "create", "S", "--template", "research", "--tag", "mine")
    assert ok("session", "show", "S", "--json").json["tags"] == ["r", "mine"]
    assert [item["name"] for item in ok("session", "save-all", "--json").json["items"]] == ["S"]
    ok("session", "template", "research", "--delete")
    assert cli("--json", "session", "create", "T", "--template", "research").error["code"] == "template-not-found"


def test_nothing_given_to_retention_is_ignored(ok, cli):
    for words in (["--every", "1d"], ["--every", "soon"], ["--off", "--max-count", "3"], ["--off", "--every", "1d"]):
        assert cli("session", "retention", *words).status == 2
    ran = cli("--json", "session", "retention", "--archive-to", "\udcff\ud800")
    assert (ran.status, ran.error["code"]) == (2, "invalid-policy")


def test_a_policy_without_a_bound_is_refused_since_it_would_let_nothing_go(ok, cli):
    ok("session", "create", "S")
    for command in ("retention", "cleanup"):
        for words in (["--status", "failed"], ["--archive-to", "old"]):
            ran = cli("--json", "session", command, *words)
            assert (ran.status, ran.error["code"]) == (2, "invalid-policy"), (command, words)
            assert "--max-age" in ran.error["message"]


def test_a_template_is_taken_away_only_on_purpose_and_only_when_it_is_there(ok, cli):
    ok("session", "template", "t", '{"tags": ["r"]}')
    assert cli("--json", "session", "template", "t", "null").error["code"] == "invalid-template"
    assert len(ok("session", "templates", "--json").json["items"]) == 1
    assert cli("--json", "session", "template", "other", "--delete").error["code"] == "template-not-found"


def test_a_session_is_archived_and_taken_out_again(ok, cli):
    ok("session", "create", "S")
    assert cli("--json", "session", "archive", "S").error["code"] == "illegal-transition"
    ok("session", "complete", "S")
    assert "is archived (was completed)" in ok("session", "archive", "S").out
    assert ok("session", "unarchive", "S", "--json").json["status"] == "completed"


def test_a_stored_policy_names_the_statuses_it_looks_at(ok, cli):
    ok("session", "create", "S")
    ok("session", "retention", "--max-count", "1", "--status", "suspended", "--status", "failed")
    assert ok("session", "retention", "--json").json["policy"]["statuses"] == ["suspended", "failed"]
    for words in (["--status", "active", "--max-count", "1"], ["--status", "failed"], ["--off", "--status", "failed"]):
        assert cli("session", "retention", *words).status == 2, words
    assert ok("session", "retention", "--json").json["policy"]["max_count"] == 1
