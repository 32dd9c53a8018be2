"""``llmspell artifact offer | rules | rule | rule-for | captures | unseal``: effects are there for the next command."""

import json

import pytest


@pytest.fixture
def filled(ok, tmp_path):
    (tmp_path / "out.txt").write_text("what a tool said")
    ok("session", "create", "S")


def test_rules_are_set_shown_changed_and_taken_away(ok, cli, filled, tmp_path):
    assert "no capture rules" in ok("artifact", "rules").err
    ok("artifact", "rule", "tools", '{"sources": ["tool"], "size_max": 1000}')
    ok("artifact", "rule", "first", "{}", "--before", "tools")
    ok("artifact", "rule", "mine", '{"sample": 0.5}', "--session", "S")
    assert [one["name"] for one in ok("artifact", "rules", "--json").json["items"]] == ["first", "tools"]
    shown = ok("artifact", "rules", "--session", "S", "--inherited").out
    assert shown.index("mine") < shown.index("first") < shown.index("tools")
    assert ok("artifact", "rule", "first", "--delete", "--json").json == {"name": "first", "fields": None}
    (tmp_path / "rules.json").write_text(json.dumps([{"name": "a"}, {"name": "b", "action": "skip"}]))
    found = ok("artifact", "rules", "--set", f"@{tmp_path / 'rules.json'}", "--json").json["items"]
    assert found == [{"name": "a"}, {"name": "b", "action": "skip"}]
    assert ok("artifact", "rules", "--set", "[]", "--json").json["items"] == []


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("rule", "x"), 2, "invalid-capture-rule"), (("rule", "x", "{", "--json"), 2, "invalid-capture-rule"),
        (("rule", "x", "[]"), 2, "invalid-capture-rule"), (("rule", "x", '{"regex": "a"}'), 2, "invalid-capture-rule"),
        (("rule", "x", '{"name": "y"}'), 2, "invalid-capture-rule"),
        (("rule", "x", "{}", "--delete"), 2, "invalid-capture-rule"), (("rule", "x", "--delete"), 13, "rule-not-found"),
        (("rules", "--set", "@nothing.json"), 2, "invalid-path"),
        (("rules", "--set", '"text"'), 2, "invalid-capture-rule"),
        (("offer", "out.txt", "--session", "S", "--source", "nobody"), 2, "invalid-source"),
        (("offer", ".", "--session", "S", "--source", "tool"), 2, "invalid-path"),
        (("unseal", "none", "--session", "S", "-o", "x"), 13, "artifact-not-found"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_code(cli, filled, words, status, code):
    ran = cli("artifact", *words)
    refused = cli("--json", "artifact", *(word for word in words if word != "--json"))
    assert ran.status == refused.status
    assert (refused.status, refused.json["error"]["code"]) == (status, code)


def test_an_offer_says_what_became_of_it(ok, filled):
    assert (
        ok("artifact", "offer", "out.txt", "--session", "S", "--source", "tool", "--json").json["reason"] == "no-rule"
    )
    ok("artifact", "rule", "all", '{"tags": ["kept"], "count_max": 1}')
    answer = ok(
        "artifact", "offer", "out.txt", "--session", "S", "--source", "tool", "--name", "search", "--tag", "t",
        "--meta", "q=bees", "--json",
    ).json  # fmt: skip
    assert (answer["captured"], answer["artifact"]["name"]) == (True, "tool/search")
    assert (answer["artifact"]["tags"], answer["artifact"]["metadata"]) == (["kept", "t"], {"q": "bees"})
    told = ok("artifact", "offer", "out.txt", "--session", "S", "--source", "tool", "--record").out
    assert "skipped by rule all: capture-cap-reached" in told
    assert ok("artifact", "get", "tool/search", "--session", "S").out == "what a tool said"
    (count,) = ok("artifact", "captures", "--session", "S", "--json").json["items"]
    assert count == {"rule": "all", "owner": "store", "captured": 1, "skipped": 1, "bytes": 16}
    assert "all" in ok("artifact", "captures", "--session", "S").out
    assert ok("artifact", "rule-for", "--source", "user", "--json").json["rule"]["name"] == "all"
    ok("artifact", "rules", "--set", "[]")
    assert ok("artifact", "rule-for", "--source", "user", "--json").json == {"rule": None}
    assert "none" in ok("artifact", "rule-for", "--source", "user").out


def test_sealed_content_is_given_back(ok, cli, filled, tmp_path):
    ok("artifact", "rule", "all", '{"privacy": "seal"}')
    ok("artifact", "offer", "out.txt", "--session", "S", "--source", "user", "--name", "n")
    assert ok("artifact", "unseal", "user/n", "--session", "S").out == "what a tool said"
    assert ok("artifact", "unseal", "user/n", "--session", "S", "-o", "back", "--json").json["size"] == 16
    assert (tmp_path / "back").read_text() == "what a tool said"
    assert cli("artifact", "unseal", "user/n", "--session", "S", "--json").status == 2


def test_a_rule_is_taken_away_only_on_purpose(ok, cli):
    ok("artifact", "rule", "all", "{}")
    assert cli("--json", "artifact", "rule", "all", "null").error["code"] == "invalid-capture-rule"
    assert [one["name"] for one in ok("artifact", "rules", "--json").json["items"]] == ["all"]
    assert cli("artifact", "rules", "--inherited", "--set", "[]").status == 2
