"""``llmspell timeline`` and ``llmspell event``."""

import json
import re

import pytest

from llmspell.cli.timeline import summary


@pytest.fixture
def session(ok):
    ok("session", "create", "R", "--state", "topic=bees")
    ok("artifact", "put", "-", "--session", "R", "--name", "a.md", stdin=b"# A")
    ok("event", "publish", "data.ready", '{"n": 1}', "--session", "R")
    ok("session", "suspend", "R")
    return "R"


def test_a_timeline_is_one_line_an_entry_with_time_kind_subject_and_cause(ok, session):
    ran = ok("timeline", "R")
    lines = ran.out.splitlines()
    assert [line.split()[2] for line in lines] == [
        "session.created", "state.set", "artifact.stored", "event.published", "session.suspended",
    ]  # fmt: skip
    assert all(re.match(r"#\d+ +\+\d+\.\d{3}s ", line) for line in lines)
    assert 'topic = "bees" (v1)' in lines[1]
    assert "a.md v1 (3 B, text/markdown)" in lines[2]
    assert 'data.ready {"n": 1}' in lines[3]
    assert "active -> suspended  <- #2" in lines[4]
    assert ran.err.startswith("from 2")


def test_a_timeline_for_programs_has_whole_entries_and_a_cursor(ok, session):
    first = ok("timeline", "R", "--limit", "3", "--json").json
    rest = ok("timeline", "R", "--limit", "3", "--cursor", first["next_cursor"], "--format", "json").json
    items = first["items"] + rest["items"]
    assert [item["seq"] for item in items] == [2, 3, 4, 5, 6]
    assert set(items[0]) >= {"seq", "time", "kind", "session", "correlation_id", "cause", "data", "hash"}
    assert rest["next_cursor"] is None


def test_kinds_and_times_choose(ok, cli, session):
    kinds = ok("timeline", "R", "--kind", "state.set", "--kind", "session.suspended", "--json").json["items"]
    assert [item["kind"] for item in kinds] == ["state.set", "session.suspended"]
    assert len(ok("timeline", "R", "--since", "1h", "--json").json["items"]) == 5
    assert ok("timeline", "R", "--until", "1h", "--json").json["items"] == []
    assert ok("timeline", "R", "--since", "2000-01-01T00:00Z", "--limit", "1").err.count("more: --cursor") == 1
    assert "nothing happened" in ok("timeline", "R", "--until", "2000-01-01").err
    for time in ("yesterday", "5y", "9" * 400 + "d"):
        assert cli("timeline", "R", "--since", time).status == 2


def test_the_whole_store_has_a_timeline_that_names_sessions(ok, session):
    out = ok("timeline").out
    assert "store.created" in out
    assert "  [" in out


def test_a_deleted_session_still_has_its_timeline(ok, cli, session):
    name = ok("session", "show", "R", "--json").json["id"]
    ok("session", "delete", "R", "--yes")
    assert ok("timeline", name, "--json").json["items"][-1]["kind"] == "session.deleted"
    assert cli("timeline", "R").status == 13
    assert cli("timeline", "01a1fc84-fe41-7585-96cf-d840b20b4ebd").status == 13


@pytest.mark.parametrize("data", [None, [], "text", {}, {"key": "k", "version": 1, "scope": "global"}])
@pytest.mark.parametrize("kind", ["custom.kind", "nodot"])
def test_every_payload_has_a_summary(kind, data):
    assert isinstance(summary(kind, data), str)


def test_publish_gives_the_entry_and_tail_finds_the_event(ok, session):
    told = ok("event", "publish", "data.done", "plain words", "--tag", "t", "--source", "s", "--json").json
    assert told == {"seq": 7, "type": "data.done", "data": "plain words"}
    event = ok("event", "tail", "data.*", "--from", "5", "--limit", "1", "--json").json
    assert (event["seq"], event["type"], event["data"]) == (7, "data.done", "plain words")
    assert (event["tags"], event["source"], event["system"]) == (["t"], "s", False)


def test_tail_from_the_start_stops_when_nothing_comes(ok, session):
    lines = ok("event", "tail", "--from", "start", "--timeout", "0.05").out.splitlines()
    assert [line.split()[2] for line in lines] == ["#1", "#2", "#3", "#4", "#5", "#6"]
    objects = [
        json.loads(line)
        for line in ok("event", "tail", "--from", "start", "--timeout", "0.05", "--json").out.splitlines()
    ]
    assert [one["seq"] for one in objects] == [1, 2, 3, 4, 5, 6]


def test_tail_goes_on_behind_a_position(ok, session):
    first = ok("event", "tail", "--from", "start", "--limit", "1", "--json").json
    second = ok("event", "tail", "--from", first["position"], "--limit", "1", "--json").json
    assert (first["seq"], second["seq"]) == (1, 2)


def test_tail_of_a_session_sees_only_that(ok, session):
    ok("state", "set", "k", "1")
    out = ok("event", "tail", "state.*", "--from", "start", "--session", "R", "--timeout", "0.05").out
    assert out.count("\n") == 1


@pytest.mark.parametrize(
    "words", [("tail", "[["), ("tail", "--from", "nowhere"), ("tail", "--from", "99"), ("tail", "--limit", "0"),
              ("tail", "--timeout=-1"), ("publish", "state.set"), ("publish", "bad type"),
              ("publish", "a", "--ttl=-1")],
)  # fmt: skip
def test_what_means_nothing_is_refused(cli, session, words):
    assert cli("event", *words).status == 2
