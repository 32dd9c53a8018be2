"""``llmspell state``."""

import json

import pytest

import llmspell


def test_a_value_comes_back_as_the_json_it_was_given_as(ok):
    for text in ('{"a": [1, 2.5, null, true]}', "-5", '"text"', "18446744073709551616", "[]", '"\\u00fc"'):
        ok("state", "set", "k", text)
        assert json.loads(ok("state", "get", "k").out) == json.loads(text)


def test_what_is_no_json_is_kept_as_text(ok):
    for text in ("bees", "NaN", "1.2.3", "tru", "a b"):
        ok("state", "set", "k", text)
        assert ok("state", "get", "k", "--json").json["value"] == text


def test_text_that_looks_like_json_is_kept_with_a_remark(cli):
    ran = cli("state", "set", "k", '{"a":')
    assert ran.status == 0
    assert "looks like JSON" in ran.err
    assert cli("--quiet", "state", "set", "k", '{"a":').err == ""


def test_text_option_keeps_json_as_text_and_prints_it_bare(ok):
    ok("state", "set", "k", "17", "--text")
    assert ok("state", "get", "k").out == '"17"\n'
    assert ok("state", "get", "k", "--text").out == "17\n"


def test_bare_printing_refuses_what_is_no_text(cli):
    cli("state", "set", "k", "17")
    ran = cli("state", "get", "k", "--text")
    assert (ran.status, ran.out) == (2, "")


def test_a_dash_reads_stdin_to_its_last_byte(ok):
    ok("state", "set", "k", "-", stdin=b"[1,\n2]\n")
    assert ok("state", "get", "k", "--json").json["value"] == [1, 2]
    ok("state", "set", "k", "-", stdin="zeile ü\n".encode())
    assert ok("state", "get", "k", "--json").json["value"] == "zeile ü\n"


def test_stdin_that_is_no_text_is_refused(cli):
    ran = cli("--json", "state", "set", "k", "-", stdin=b"\xff\xfe")
    assert (ran.status, ran.error["code"]) == (2, "not-text")


def test_stdin_longer_than_a_value_is_refused_without_a_store(cli, tmp_path):
    ran = cli("--json", "state", "set", "k", "-", stdin=b"x" * ((16 << 20) + 1))
    assert (ran.status, ran.error["code"]) == (1, "value-too-large")
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_option_is_not_taken_for_a_value(cli, tmp_path):
    ran = cli("state", "set", "k", "--txt")
    assert ran.status == 2
    assert "put -- before it" in ran.err
    assert list(tmp_path.iterdir()) == []
    assert cli("state", "set", "k", "--", "--txt").status == 0
    assert cli("state", "get", "k", "--text").out == "--txt\n"


def test_options_behind_the_separator_are_values(ok):
    ok("state", "set", "k", "--", "--json")
    assert ok("state", "get", "k", "--text").out == "--json\n"


def test_set_gives_the_version_and_quiet_only_that(ok):
    assert ok("state", "set", "k", "1", "--json").json == {"key": "k", "scope": "global", "value": 1, "version": 1}
    assert ok("state", "set", "k", "2", "-q").out == "2\n"
    assert "version 3 in global" in ok("state", "set", "k", "3").out


def test_set_with_another_version_is_a_conflict_and_changes_nothing(cli):
    cli("state", "set", "k", "1")
    ran = cli("--json", "state", "set", "k", "2", "--if-version", "7")
    assert (ran.status, ran.error["code"]) == (14, "conflict")
    assert cli("state", "get", "k").out == "1\n"
    assert cli("state", "set", "k", "2", "--if-version", "1").status == 0


def test_time_to_live_is_kept_with_the_value(ok):
    ok("state", "set", "k", "1", "--ttl", "3600")
    assert ok("state", "get", "k", "--json").json["expires_at"] is not None


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_to_live_that_is_none_is_refused(cli, seconds):
    assert cli("state", "set", "k", "1", f"--ttl={seconds}").status == 2


def test_get_of_a_missing_key_exits_13_and_suggests_a_close_one(cli):
    cli("state", "set", "topic", "1")
    ran = cli("state", "get", "tpoic")
    assert (ran.status, ran.out) == (13, "")
    assert "did you mean 'topic'?" in ran.err
    assert cli("--json", "state", "get", "tpoic").error["code"] == "key-not-found"


def test_scopes_are_apart_and_named_in_the_reply(ok):
    for scope in ("global", "agent:a:b", "step:W:S", "my own"):
        ok("state", "set", "k", json.dumps(scope), "--scope", scope)
    for scope in ("global", "agent:a:b", "step:W:S", "my own"):
        assert ok("state", "get", "k", "--scope", scope, "--json").json["value"] == scope


def test_a_sessions_state_is_attributed_to_the_session(ok, tmp_path):
    session = ok("session", "create", "R", "-q").out.strip()
    ok("state", "set", "k", "1", "--session", "R")
    assert ok("state", "get", "k", "--session", session).out == "1\n"
    items = ok("timeline", "R", "--json").json["items"]
    assert [item["kind"] for item in items] == ["session.created", "state.set"]


def test_scope_and_session_exclude_each_other(cli):
    cli("session", "create", "R")
    assert cli("state", "list", "--scope", "global", "--session", "R").status == 2


@pytest.mark.parametrize("more", [(), ("--values",)])
def test_list_pages_through_every_key_once(ok, more):
    keys = sorted(f"k{number}" for number in range(7))
    for key in reversed(keys):
        ok("state", "set", key, "1")
    found, cursor = [], ""
    while cursor is not None:
        page = ok("state", "list", "--limit", "3", "--cursor", cursor, "--json", *more).json
        found += [item["key"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == keys
    assert "more: --cursor k2" in ok("state", "list", "--limit", "3").err


def test_list_shows_values_and_prefixes(ok):
    ok("state", "set", "a/1", '{"x": 1}')
    ok("state", "set", "b", "2")
    assert ok("state", "list", "--prefix", "a/", "--values", "--json").json["items"] == [
        {"key": "a/1", "value": {"x": 1}}
    ]
    assert ok("state", "list", "--values").out.splitlines() == ["KEY  VALUE", 'a/1  {"x": 1}', "b    2"]


def test_an_empty_list_says_so_beside_the_result(ok):
    ok("session", "create", "R")
    ran = ok("state", "list")
    assert (ran.out, ran.err) == ("", "no keys in global\n")
    assert ok("state", "list", "--json").json == {"items": [], "next_cursor": None}


def test_delete_needs_yes_where_nobody_can_be_asked(cli):
    cli("state", "set", "k", "1")
    ran = cli("--json", "state", "delete", "k")
    assert (ran.status, ran.error["code"]) == (2, "needs-yes")
    assert "--yes" in ran.error["hint"]
    assert cli("state", "get", "k").status == 0


def test_a_dry_run_of_delete_deletes_nothing(cli):
    cli("state", "set", "k", "1")
    assert cli("state", "delete", "k", "--dry-run").out == "would delete k (version 1) of global\n"
    assert cli("--dry-run", "--json", "state", "delete", "k").json["dry_run"] is True
    assert cli("state", "delete", "k", "--dry-run", "--if-version", "3").status == 14
    assert cli("state", "get", "k").status == 0


def test_delete_deletes_and_its_history_stays(cli):
    cli("state", "set", "k", "1")
    assert cli("state", "delete", "k", "--yes").out == "deleted k (version 1) of global\n"
    assert cli("state", "get", "k").status == 13
    assert cli("state", "delete", "k", "--yes").status == 13
    items = cli("state", "history", "k", "--json").json["items"]
    assert [(item["operation"], item["value"]) for item in items] == [("deleted", None), ("set", 1)]


def test_history_pages_from_the_newest_change_on(ok, cli):
    for value in ("1", "2", "3"):
        ok("state", "set", "k", value)
    first = ok("state", "history", "k", "--limit", "2", "--json").json
    rest = ok("state", "history", "k", "--cursor", first["next_cursor"], "--json").json
    assert [item["value"] for item in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    assert cli("state", "history", "never").status == 13


def test_the_store_is_one_that_the_library_reads(ok, tmp_path):
    ok("state", "set", "k", '{"a": 1}')
    with llmspell.open(tmp_path / ".llmspell", create=False) as store:
        assert store.state.get("k") == {"a": 1}


def test_values_are_shown_as_they_were_and_differences_between_moments(ok, cli):
    ok("state", "set", "k", "1")
    then = ok("stats", "--json").json["last_seq"]
    ok("state", "set", "k", "2")
    ok("state", "set", "j", "true", "--scope", "agent:a")
    assert ok("state", "get", "k", "--at", str(then)).out == "1\n"
    assert ok("state", "list", "--at", str(then), "--values", "--json").json["items"] == [{"key": "k", "value": 1}]
    assert cli("state", "get", "k", "--at", "1").status == 13
    assert cli("state", "get", "k", "--at", "some day").status == 2
    told = ok("state", "diff", str(then), "--json").json["items"]
    assert [(one["scope"], one["key"], one["change"]) for one in told] == [
        ("global", "k", "changed"), ("agent:a", "j", "added"),
    ]  # fmt: skip
    assert len(ok("state", "diff", str(then), "--scope", "agent:a", "--json").json["items"]) == 1
    assert ok("state", "diff", "-0s", "-0s", "--json").json["items"] == []


def test_the_class_of_new_keys_is_set_and_shown(ok, cli):
    ok("state", "set", "k", "1")
    assert ok("state", "default-class").out == "new keys of global are standard\n"
    set_ = ok("state", "default-class", "sensitive", "--scope", "agent:a", "--json").json
    assert set_ == {"scope": "agent:a", "state_class": "sensitive", "changed": True}
    assert "already" in ok("state", "default-class", "sensitive", "--scope", "agent:a").out
    for _ in range(2):  # The first time by the rule, then as the key is kept.
        assert "s3cret" not in ok("state", "set", "k", "s3cret", "--scope", "agent:a").out
    assert ok("state", "set", "k", "s3cret", "--scope", "agent:a", "--json").json["value"] == "[REDACTED]"
    assert ok("state", "get", "k", "--scope", "agent:a", "--json").json["state_class"] == "sensitive"
    assert cli("state", "default-class", "ephemeral").status == 2
