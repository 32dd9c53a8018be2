"""``llmspell session``."""

import pytest


def test_what_create_is_given_comes_back_from_show(ok):
    parent = ok("session", "create", "Parent", "-q").out.strip()
    ok(
        "session", "create", "Suche ü 蜂", "--tag", "nlp", "--tag", "x,y", "--description", "Zwei\nZeilen",
        "--created-by", "ada", "--parent", "Parent", "--meta", "user=7", "--meta", "name=Ada", "--config",
        'deep={"a": 1}', "--state", "topic=bees",
    )  # fmt: skip
    shown = ok("session", "show", "Suche ü 蜂", "--json").json
    assert shown["tags"] == ["nlp", "x,y"]
    assert shown["description"] == "Zwei\nZeilen"
    assert (shown["created_by"], shown["parent"]) == ("ada", parent)
    assert (shown["metadata"], shown["config"]) == ({"user": 7, "name": "Ada"}, {"deep": {"a": 1}})
    assert shown["state_keys"] == ["topic"]
    assert ok("state", "get", "topic", "--session", "Suche ü 蜂").out == '"bees"\n'


def test_show_prints_everything_to_people(ok):
    ok("session", "create", "R", "--tag", "nlp", "--state", "topic=1")
    ok("artifact", "put", "-", "--session", "R", "--name", "a.md", stdin=b"# A")
    out = ok("session", "show", "R").out
    for piece in ("name", "R", "active", "nlp", "1 key", "topic", "1 artifact", "a.md v1 (3 B)"):
        assert piece in out


def test_show_names_every_key_to_programs_and_the_first_to_people(ok):
    words = [word for number in range(25) for word in ("--state", f"k{number:02}=1")]
    ok("session", "create", "R", *words)
    assert len(ok("session", "show", "R", "--json").json["state_keys"]) == 25
    out = ok("session", "show", "R").out
    assert "k19" in out
    assert "k20" not in out
    assert "… and 5 more" in out


def test_the_lifecycle_goes_from_step_to_step(cli):
    cli("session", "create", "R")
    assert cli("session", "suspend", "R").out == "session R is suspended (was active)\n"
    assert cli("session", "resume", "R", "--json").json["status"] == "active"
    assert cli("session", "complete", "R").status == 0
    ran = cli("--json", "session", "resume", "R")
    assert (ran.status, ran.error["code"]) == (14, "illegal-transition")
    assert "completed" in ran.error["message"]


def test_list_filters_orders_and_pages(ok):
    for name, tag in (("one", "a"), ("two", "b"), ("three", "a")):
        ok("session", "create", name, "--tag", tag)
    ok("session", "suspend", "one")

    def names(*words):
        return [item["name"] for item in ok("session", "list", "--json", *words).json["items"]]

    assert names() == ["one", "three", "two"]
    assert names("--tag", "a", "--order-by", "created_at") == ["one", "three"]
    assert names("--order-by=-created_at") == ["three", "two", "one"]
    assert names("--order-by", "name") == sorted(["one", "two", "three"])
    assert names("--status", "suspended") == ["one"]
    assert names("--name", "two") == ["two"]
    first = ok("session", "list", "--limit", "2", "--json").json
    rest = ok("session", "list", "--limit", "2", "--cursor", first["next_cursor"], "--json").json
    assert [item["name"] for item in first["items"] + rest["items"]] == ["one", "three", "two"]
    assert rest["next_cursor"] is None


def test_list_is_a_table_whose_columns_stand_under_each_other(ok):
    ok("session", "create", "R", "--tag", "nlp")
    ok("session", "create", "蜂蜂", "--tag", "nlp")
    head, *rows = ok("session", "list").out.splitlines()
    assert head.split() == ["ID", "NAME", "STATUS", "UPDATED", "ARTIFACTS", "ENTRIES", "TAGS"]
    assert rows[1][head.index("STATUS") :].startswith("active")
    assert rows[0][head.index("STATUS") - 2 :].startswith("active"), "wide characters take two columns"


@pytest.mark.parametrize(
    "words",
    [("--status", "odd"), ("--order-by", "size"), ("--limit", "0"), ("--limit", "x"), ("--cursor", "nonsense")],
)
def test_a_filter_that_means_nothing_is_refused(cli, words):
    cli("session", "create", "R")
    assert cli("session", "list", *words).status == 2


def test_a_name_not_found_suggests_close_ones(cli):
    cli("session", "create", "Research")
    for words in (("session", "show"), ("session", "suspend"), ("timeline",), ("artifact", "list", "--session")):
        ran = cli("--json", *words, "reserch")
        assert (ran.status, ran.error["code"]) == (13, "session-not-found")
        assert ran.error["hint"] == "did you mean 'Research'?"
    assert "session list" in cli("session", "show", "zzz").err


def test_a_name_that_two_sessions_have_is_a_conflict(cli):
    cli("session", "create", "R")
    cli("session", "create", "R")
    ran = cli("--json", "session", "show", "R")
    assert (ran.status, ran.error["code"]) == (14, "ambiguous-name")


def test_delete_says_what_goes_with_a_session_before_it_goes(cli):
    session = cli("session", "create", "R", "--state", "a=1", "--state", "b=2", "-q").out.strip()
    for _ in range(2):
        cli("artifact", "put", "-", "--session", "R", "--name", "x", stdin=b"12345")
    dry = cli("session", "delete", "R", "--dry-run")
    assert dry.out == f"would delete session R {session} with 2 keys and 2 artifact versions (10 B)\n"
    assert cli("session", "delete", "R").status == 2
    assert cli("session", "show", "R").status == 0
    plan = cli("session", "delete", "R", "--yes", "--json").json
    assert (plan["deleted"], plan["state_keys"], plan["artifact_versions"], plan["artifact_bytes"]) == (True, 2, 2, 10)
    assert cli("session", "show", "R").status == 13


@pytest.mark.parametrize("pair", ["novalue", "=x", ""])
def test_a_pair_that_is_none_is_refused(cli, pair, tmp_path):
    ran = cli("--json", "session", "create", "R", "--meta", pair)
    assert (ran.status, ran.error["code"]) == (2, "invalid-pair")
    assert list(tmp_path.iterdir()) == []


def test_a_pair_given_twice_is_refused(cli):
    assert cli("session", "create", "R", "--meta", "a=1", "--meta", "a=2").status == 2


def test_creating_under_a_parent_makes_no_store(cli, tmp_path):
    assert cli("session", "create", "R", "--parent", "P").status == 10
    assert list(tmp_path.iterdir()) == []


def test_sessions_are_found_counted_and_drawn(ok, cli):
    ok("session", "create", "root", "--meta", 'user="u1"', "--tag", "a")
    ok("session", "create", "leaf", "--parent", "root", "--meta", "n=1")
    found = ok("session", "list", "--meta", 'user="u1"', "--json").json["items"]
    assert [one["name"] for one in found] == ["root"]
    assert ok("session", "list", "--created-after", "-1h", "--updated-before", "2999-01-01", "--json").json["items"]
    assert ok("session", "list", "--created-before", "-1h", "--json").json["items"] == []
    assert ok("session", "count", "--json").json == {"number": 2, "exact": True, "text": "2"}
    assert ok("session", "count", "--tag", "a", "--json").json["number"] == 1
    assert [line.split("  ")[0] for line in ok("session", "tree", "root").out.splitlines()] == ["root", "└─ leaf"]
    assert ok("session", "tree", "root", "--json").json["children"][0]["name"] == "leaf"
    assert cli("session", "tree", "nobody").status == 13
    assert cli("session", "list", "--created-after", "soon").status == 2
