"""Captures: what is offered becomes an artifact where a rule says so, and the answer says what happened and why."""

import asyncio
import io
import subprocess
import sys

import pytest

import llmspell
from llmspell import CaptureRule
from llmspell.errors import Conflict, LlmspellError, NotFound
from llmspell.hooks.results import Cancel, Modified, Redirect
from llmspell.schema import queries
from tests.rooms.conftest import sql

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
WAIT_S = 60


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


@pytest.fixture
def session(store):
    return store.sessions.create("s")


def head(store):
    return store.stats()["last_seq"]


def entries(store, kind):
    return [entry.data for entry in store.timeline(kinds=[kind])]


def clean(store):
    report = store.verify()
    assert report.ok, report.findings


# -- offers ------------------------------------------------------------------------------------------------------------


def test_without_a_rule_nothing_is_kept_and_nothing_is_written(store, session):
    before = head(store)
    answer = session.captures.offer("text", source="tool", name="search")
    assert (answer.captured, answer.reason, answer.rule, answer.artifact, answer.size) == (
        False, "no-rule", None, None, 4,
    )  # fmt: skip
    assert head(store) == before


@pytest.mark.parametrize(
    ("content", "kept", "mime"),
    [
        ("text é", "text é".encode(), "text/plain"), (b"\0\xff", b"\0\xff", "application/octet-stream"),
        (bytearray(b"x"), b"x", "application/octet-stream"), ({"a": [1, None]}, b'{"a":[1,null]}', "application/json"),
        ([], b"[]", "application/json"), (None, b"null", "application/json"), (1.5, b"1.5", "application/json"),
        (True, b"true", "application/json"), ("", b"", "text/plain"),
    ],
)  # fmt: skip
def test_what_a_rule_is_about_becomes_an_artifact(store, session, content, kept, mime):
    store.captures.set_rules([CaptureRule(name="all")])
    answer = session.captures.offer(content, source="tool", name="search", metadata={"q": "bees"}, tags=["t"])
    info = answer.artifact
    assert (answer.captured, answer.reason, answer.rule, answer.owner) == (True, "captured", "all", "store")
    assert (info.name, info.version, info.type, info.mime_type) == ("tool/search", 1, "tool_result", mime)
    assert (info.metadata, info.tags, answer.size, answer.redacted) == ({"q": "bees"}, ["t"], len(kept), {})
    assert session.artifacts.get(info.id).read() == kept
    clean(store)


def test_each_source_has_its_type_and_versions_follow_each_other(store, session):
    store.captures.set_rules([{"name": "all"}])
    for source, type_, name in (
        ("tool", "tool_result", "tool/output"), ("agent", "agent_output", "agent/output"),
        ("user", "user_input", "user/input"),
    ):  # fmt: skip
        first, second = (session.captures.offer(text, source=source) for text in ("one", "two"))
        assert (first.artifact.type, first.artifact.name) == (type_, name)
        assert (first.artifact.version, second.artifact.version) == (1, 2)


def test_the_first_rule_that_is_about_it_decides_the_sessions_own_first(store, session):
    store.captures.set_rules([
        {"name": "no-images", "mime_types": ["image/*"], "action": "skip"},
        {
            "name": "errors", "errors": True, "store_as": "errors/{name}", "type": "error", "tags": ["error"],
            "metadata": {"a": 1, "b": 1},
        },
        {"name": "all"},
    ])  # fmt: skip
    offer = session.captures.offer
    assert (offer(b"x", source="tool", mime_type="image/png").reason, offer("x", source="tool").rule) == ("rule", "all")
    error = offer("x", source="tool", name="n", error=True, tags=["t"], metadata={"b": 2}).artifact
    assert (error.name, error.type, error.tags, error.metadata) == (
        "errors/n",
        "error",
        ["error", "t"],
        {"a": 1, "b": 2},
    )
    session.captures.set_rule({"name": "mine", "mime_types": ["image/*"]})
    answer = offer(b"x", source="tool", mime_type="image/png")
    assert (answer.captured, answer.rule, answer.owner) == (True, "mine", "session")
    assert session.captures.rule_for(source="tool", mime_type="image/x").name == "mine"
    assert store.captures.rule_for(source="tool", mime_type="image/x").name == "no-images"
    assert store.captures.rule_for(source="agent").name == "all"


def test_an_offer_through_the_store_belongs_to_the_current_session(store, session):
    store.captures.set_rules([{"name": "all"}])
    assert code(lambda: store.captures.offer("x", source="user")) == "no-session"
    with session:
        assert store.captures.offer("x", source="user").artifact.session == session.id


@pytest.mark.parametrize("size", [0, 4, 5, 10, 11, 100_000])
@pytest.mark.parametrize("form", ["bytes", "file", "pieces", "path"])
def test_sizes_keep_to_their_bounds_whatever_form_they_come_in(store, session, tmp_path, size, form):
    store.captures.set_rules([{"name": "some", "size_min": 5, "size_max": 10}])
    data = b"x" * size
    (tmp_path / "f.bin").write_bytes(data)
    content = {
        "bytes": lambda: data, "file": lambda: io.BytesIO(data), "pieces": lambda: iter([data[:3], data[3:]]),
        "path": lambda: tmp_path / "f.bin",
    }[form]()  # fmt: skip
    answer = session.captures.offer(content, source="tool")
    assert answer.reason == ("captured" if 5 <= size <= 10 else "too-small" if size < 5 else "too-large")
    assert answer.captured == (5 <= size <= 10)
    assert len(session.artifacts.list()) == answer.captured


def test_a_stream_that_passes_the_bound_is_given_up_and_leaves_nothing(store, session):
    store.captures.set_rules([{"name": "some", "size_max": 3_000_000, "privacy": "keep"}])
    taken = []

    def stream():
        for number in range(1000):
            taken.append(number)
            yield bytes([number % 251]) * 1_000_000

    before = head(store)
    answer = session.captures.offer(stream(), source="tool")
    assert (answer.reason, answer.size, len(taken)) == ("too-large", None, 4)
    assert head(store) == before
    assert session.artifacts.list().items == []
    store.collect()
    assert store.orphans().chunks == 0
    clean(store)


@pytest.mark.parametrize("privacy", ["keep", "redact", "seal"])
def test_a_long_stream_is_captured_piece_by_piece(store, session, privacy):
    store.captures.set_rules([{"name": "all", "privacy": privacy}])
    line = b"the bees fly from flower to flower and back again.\n"

    def stream():
        for _ in range(100):
            yield line * 1000

    answer = session.captures.offer(stream(), source="tool", name="log")
    assert (answer.captured, answer.size) == (True, len(line) * 100_000)
    data = session.captures.unseal("tool/log") if privacy == "seal" else session.artifacts.get("tool/log").read()
    assert data == line * 100_000
    clean(store)


def test_a_stream_of_a_coroutine_is_taken_on_asyncio(tmp_path):
    async def stream():
        for _ in range(5):
            yield b"x" * 100_000
        yield f" {TOKEN} ".encode()

    async def main():
        async with await llmspell.open_async(tmp_path / "store") as store:
            await store.captures.set_rules([{"name": "all"}])
            session = await store.sessions.create("s")
            answer = await session.captures.offer(stream(), source="agent")
            assert (answer.captured, answer.size, answer.redacted) == (True, 500_042, {"github-token": 1})
            content = await session.artifacts.get("agent/output")
            assert await content.read() == b"x" * 500_000 + b" [REDACTED] "
            await store.captures.set_rules([{"name": "all", "size_max": 200_000}])
            answer = await session.captures.offer(stream(), source="agent")
            assert (answer.reason, answer.size) == ("too-large", None)

    asyncio.run(main())


def test_a_stream_that_no_rule_wants_is_not_read(store, session):
    def stream():
        raise AssertionError("it was read")
        yield b""

    assert session.captures.offer(stream(), source="tool").reason == "no-rule"
    store.captures.set_rules([{"name": "none", "action": "skip"}])
    assert session.captures.offer(stream(), source="tool").reason == "rule"
    store.captures.set_rules([{"name": "full", "count_max": 0}])
    assert session.captures.offer(stream(), source="tool").reason == "capture-cap-reached"


def test_a_share_is_captured_the_same_in_every_form_and_every_session(store, session):
    store.captures.set_rules([{"name": "some", "sample": 0.5, "seed": "x", "privacy": "keep"}])
    other = store.sessions.create("other")
    outputs = [f"output {number}" + "x" * 70_000 * (number % 2) for number in range(20)]
    reasons = [session.captures.offer(text, source="tool").reason for text in outputs]
    assert set(reasons) == {"captured", "not-sampled"}
    assert reasons == [other.captures.offer(io.BytesIO(text.encode()), source="tool").reason for text in outputs]
    pieces = [[text.encode()[at : at + 999] for at in range(0, len(text), 999)] for text in outputs]
    assert reasons == [other.captures.offer(iter(one), source="tool").reason for one in pieces]


def test_a_rule_captures_no_more_than_its_cap_in_each_session(store, session):
    store.captures.set_rules([{"name": "two", "count_max": 2}])
    reasons = [session.captures.offer(str(number), source="tool").reason for number in range(4)]
    assert reasons == ["captured", "captured", "capture-cap-reached", "capture-cap-reached"]
    assert store.sessions.create("other").captures.offer("x", source="tool").captured
    store.captures.set_rules([{"name": "bytes", "bytes_max": 10}])
    reasons = [session.captures.offer(text, source="tool").reason for text in ("1234567", "1234", "123")]
    assert reasons == ["captured", "capture-cap-reached", "captured"]
    found = [(one.rule, one.captured, one.bytes) for one in session.captures.counts()]
    assert found == [("bytes", 2, 10), ("two", 2, 2)]
    clean(store)


def test_quotas_and_limits_are_answers_and_misuse_is_an_error(store, session, tmp_path):
    store.captures.set_rules([{"name": "all"}])
    session.artifacts.set_quota(total_bytes_max=3)
    offer = session.captures.offer
    assert offer("four", source="tool").reason == "session-quota-exceeded"
    assert offer(iter([b"x" * 100_000]), source="tool").reason == "session-quota-exceeded"
    before = head(store)
    assert code(lambda: offer("x", source="tools")) == "invalid-source"
    assert code(lambda: offer("x", source=None)) == "invalid-source"
    assert code(lambda: offer(object(), source="tool")) == "invalid-content"
    assert code(lambda: offer(iter(["text"]), source="tool")) == "invalid-content"
    assert code(lambda: offer({1: 2}, source="tool")) == "invalid-value"
    assert code(lambda: offer("x", source="tool", name="")) == "invalid-name"
    assert code(lambda: offer("x", source="tool", mime_type="text")) == "invalid-mime"
    assert code(lambda: offer("x", source="tool", error=1)) == "invalid-offer"
    assert code(lambda: offer("x", source="tool", cause=0)) == "invalid-seq"
    assert code(lambda: offer("x", source="tool", cause=before + 1)) == "entry-not-found"
    assert code(lambda: offer("x", source="tool", correlation=session.id)) == "correlation-not-found"
    assert code(lambda: offer(tmp_path / "no", source="tool")) == "file-not-found"
    assert head(store) == before
    session.complete()
    session.archive()
    with pytest.raises(Conflict):
        offer("x", source="tool")
    store.sessions.delete(session.id)
    with pytest.raises(NotFound):
        offer("x", source="tool", record=True)


def test_a_validator_that_refuses_is_an_answer(store, session):
    store.captures.set_rules([{"name": "all", "type": "code"}])
    session.artifacts.add_validator("code", lambda fields, data: None if data == b"good" else "it is bad")
    assert session.captures.offer("good", source="agent").captured
    answer = session.captures.offer("bad", source="agent")
    assert (answer.reason, "it is bad" in answer.detail) == ("invalid-artifact", True)


def test_what_is_captured_is_linked_to_its_cause(store, session):
    store.captures.set_rules([{"name": "all"}])
    cause = session.events.publish("tool.called", {"n": 1})
    with store.correlate("turn") as correlation:
        session.captures.offer("one", source="tool", name="a", cause=cause)
    session.captures.offer("two", source="tool", name="b", cause=cause, correlation=correlation, error=True)
    found = session.timeline(kinds=["artifact.stored", "artifact.captured"]).items
    assert [entry.kind for entry in found] == ["artifact.stored", "artifact.captured"] * 2
    assert {entry.cause for entry in found} == {cause}
    assert {str(entry.correlation.hex()) for entry in found} == {correlation.replace("-", "")}
    stored, captured, *_ = (entry.data for entry in found)
    assert (captured["id"], captured["rule"], captured["source"], captured["name"]) == (
        stored["id"],
        "all",
        "tool",
        "a",
    )
    assert "error" not in captured
    assert found[3].data["error"]


def test_a_skipped_offer_is_recorded_only_where_it_is_asked(store, session):
    store.captures.set_rules([
        {"name": "quiet", "names": ["q"], "action": "skip"},
        {"name": "told", "names": ["t"], "action": "skip", "record_skips": True},
    ])  # fmt: skip
    for name in ("q", "t", "t", "none"):
        session.captures.offer("text", source="tool", name=name)
    session.captures.offer("text", source="tool", name="q", record=True)
    session.captures.offer({"a": 1}, source="tool", name="none", record=True)
    told = [
        (one["rule"], one["name"], one["reason"], one["size"]) for one in entries(store, "artifact.capture_skipped")
    ]
    assert told == [("told", "t", "rule", 4)] * 2 + [("quiet", "q", "rule", 4), ("", "none", "no-rule", 7)]
    counts = {one.rule: (one.owner, one.captured, one.skipped) for one in session.captures.counts()}
    assert counts == {"quiet": ("store", 0, 1), "told": ("store", 0, 2), None: (None, 0, 1)}
    clean(store)


# -- rules -------------------------------------------------------------------------------------------------------------


def test_rules_are_set_changed_moved_and_taken_away(store, session):
    rules = store.captures.set_rules([{"name": "a"}, {"name": "b"}])
    assert rules == store.captures.rules() == [CaptureRule(name="a"), CaptureRule(name="b")]
    names = lambda rules: [rule.name for rule in rules]
    assert names(store.captures.set_rule({"name": "c"})) == ["a", "b", "c"]
    assert names(store.captures.set_rule({"name": "a", "sample": 0.5})) == ["a", "b", "c"]
    assert store.captures.rules()[0].sample == 0.5
    assert names(store.captures.set_rule({"name": "c"}, before="a")) == ["c", "a", "b"]
    assert names(store.captures.set_rule({"name": "d"}, before="b")) == ["c", "a", "d", "b"]
    assert names(store.captures.remove_rule("a")) == ["c", "d", "b"]
    assert code(lambda: store.captures.remove_rule("a")) == "rule-not-found"
    assert code(lambda: store.captures.set_rule({"name": "x"}, before="a")) == "rule-not-found"
    assert code(lambda: store.captures.set_rule({"name": "b"}, before="b")) == "rule-not-found"
    assert session.captures.rules() == []
    session.captures.set_rules([{"name": "mine"}])
    assert names(session.captures.rules(inherited=True)) == ["mine", "c", "d", "b"]
    assert names(session.captures.rules()) == ["mine"]
    assert store.captures.set_rules([]) == []
    assert store.captures.rules() == []
    clean(store)


def test_the_same_rules_again_write_nothing(store, session):
    for room in (store.captures, session.captures):
        room.set_rules([{"name": "a"}])
        before = head(store)
        room.set_rules([CaptureRule(name="a")])
        room.set_rule({"name": "a", "sample": 1})
        assert head(store) == before


def test_rules_that_are_none_or_too_many_change_nothing(store):
    store.captures.set_rules([{"name": "a"}])
    set_rules = store.captures.set_rules
    assert code(lambda: set_rules({"name": "a"})) == "invalid-capture-rule"
    assert code(lambda: set_rules("a")) == "invalid-capture-rule"
    assert code(lambda: set_rules(None)) == "invalid-capture-rule"
    assert code(lambda: set_rules([{"name": "a"}, {"name": "a"}])) == "invalid-capture-rule"
    assert code(lambda: set_rules([{"name": str(n)} for n in range(65)])) == "too-many-rules"
    assert (
        code(lambda: set_rules([{"name": str(n), "metadata": {"x": "y" * 10_000}} for n in range(60)]))
        == "too-many-rules"
    )
    for number in range(63):
        store.captures.set_rule({"name": str(number)})
    assert code(lambda: store.captures.set_rule({"name": "one more"})) == "too-many-rules"
    assert store.captures.set_rule({"name": "62", "sample": 0})[-1].sample == 0


def test_rules_and_counts_survive_reopening_and_a_rebuild(face, store, session):
    store.captures.set_rules([{"name": "all", "count_max": 2}])
    session.captures.set_rules([{"name": "mine", "sources": ["agent"], "tags": ["x"]}])
    session.captures.offer("one", source="tool")
    for opened in face.both(store):
        again = opened.sessions.open(session.id)
        assert again.captures.rules() == [CaptureRule(name="mine", sources=("agent",), tags=("x",))]
        assert opened.captures.rules() == [CaptureRule(name="all", count_max=2)]
        assert [(one.rule, one.captured) for one in again.captures.counts()][-1][0] == "all"
        clean(opened)
    again = opened.sessions.open(session.id)
    assert again.captures.offer("two", source="tool").captured
    assert again.captures.offer("three", source="tool").reason == "capture-cap-reached"
    assert again.captures.offer("x", source="agent").artifact.tags == ["x"]
    clean(opened)


def test_tags_of_rule_and_offer_that_are_too_many_are_an_answer(store, session):
    store.captures.set_rules([{"name": "all", "tags": ["one more"]}])
    answer = session.captures.offer("x", source="tool", tags=[str(number) for number in range(256)])
    assert (answer.captured, answer.reason) == (False, "invalid-tags")


def test_a_value_larger_than_state_may_hold_is_captured(store, session):
    store.captures.set_rules([{"name": "all", "privacy": "keep"}])
    answer = session.captures.offer(["x" * (17 << 20)], source="tool")
    assert (answer.captured, answer.size) == (True, (17 << 20) + 4)


def test_damaged_rules_are_named(face, store, session):
    store.captures.set_rules([{"name": "all"}])
    for damage in ("[", '[{"a": 1}]', '[{"name": "x", "sample": 7}]', "{}", "[1]"):
        sql(face, store)("UPDATE capture_rules SET rules = ?, seq = seq + 1", (damage,))
        assert code(lambda: session.captures.offer("x", source="tool")) == "corrupt"


def test_a_damaged_count_is_found_by_verify(face, store, session):
    store.captures.set_rules([{"name": "all"}])
    session.captures.offer("one", source="tool")
    run = sql(face, store)
    run("UPDATE capture_count SET captured = 0")
    run("UPDATE capture_rules SET rules = '[]'")
    found = {finding.where for finding in store.verify().findings}
    assert found == {"capture_count", "capture_rules"}


OTHER = """
import sys, llmspell
with llmspell.open(sys.argv[1]) as store:
    session = store.sessions.open(sys.argv[2])
    print(session.captures.offer("from the other", source="tool").reason)
    store.captures.set_rule({"name": "all", "action": "skip"})
    print(session.captures.offer("from the other", source="tool").reason)
"""


def test_rules_hold_in_another_process_and_its_changes_hold_here(store, session):
    store.captures.set_rules([{"name": "all"}])
    assert session.captures.offer("x", source="tool").captured
    ran = subprocess.run(
        [sys.executable, "-c", OTHER, str(store.path), session.id], capture_output=True, text=True, timeout=WAIT_S,
        check=True,
    )  # fmt: skip
    assert ran.stdout.split() == ["captured", "rule"]
    assert session.captures.offer("x", source="tool").reason == "rule"
    assert [info.version for info in session.artifacts.versions("tool/output")] == [1, 2]


def test_a_deleted_session_leaves_no_rules(store, session):
    session.captures.set_rules([{"name": "mine"}])
    store.sessions.delete(session.id)
    assert entries(store, "artifact.capture_rules_set")[-1]["rules"] == []
    assert code(lambda: session.captures.set_rules([{"name": "x"}])) == "session-not-found"
    clean(store)


# -- hooks -------------------------------------------------------------------------------------------------------------


def test_hooks_look_at_change_and_refuse_offers(store, session):
    store.captures.set_rules(
        [{"name": "texts", "mime_types": ["text/*"]}, {"name": "rest", "action": "skip", "record_skips": True}]
    )
    seen = []

    def before(context):
        seen.append((context.point, dict(context.data)))
        if context.data["name"] == "bad":
            return Cancel("we do not keep that")
        if context.data["name"] == "mislabelled":
            return Modified({"mime_type": "text/plain", "tags": ["fixed"], "metadata": {"by": "hook"}})
        return None

    store.hooks.register("before_artifact_capture", before)
    store.hooks.register("after_artifact_capture", lambda context: seen.append((context.point, dict(context.data))))
    answer = session.captures.offer("text", source="tool", name="bad")
    assert (answer.reason, answer.captured, "we do not keep that" in answer.detail) == ("vetoed", False, True)
    info = session.captures.offer(b"text", source="tool", name="mislabelled", cause=1).artifact
    assert (info.mime_type, info.tags, info.metadata) == ("text/plain", ["fixed"], {"by": "hook"})
    assert session.captures.offer(b"\0", source="tool", name="other").reason == "rule"
    points = [point for point, _ in seen]
    assert points == ["before_artifact_capture", "after_artifact_capture"] * 3
    data = [data for _, data in seen]
    assert (data[0]["source"], data[0]["size"], data[0]["session_id"], data[0]["error"]) == (
        "tool",
        4,
        session.id,
        False,
    )
    assert [one["reason"] for one in data[1::2]] == ["vetoed", "captured", "rule"]
    assert data[3]["artifact"]["id"] == info.id


def test_a_refusal_before_the_put_is_an_answer_and_a_redirect_is_followed(store, session):
    store.captures.set_rules([{"name": "all"}])
    handle = store.hooks.register("before_artifact_put", lambda context: Cancel("not now"))
    assert session.captures.offer("x", source="tool").reason == "vetoed"
    assert session.captures.offer(io.BytesIO(b"x" * 200_000), source="tool").reason == "vetoed"
    store.hooks.unregister(handle)
    store.hooks.register("before_artifact_put", lambda context: Redirect("elsewhere"))
    assert session.captures.offer("x", source="tool").artifact.name == "elsewhere"
    assert entries(store, "artifact.captured")[0]["name"] == "output"
    clean(store)


def test_a_hook_cannot_change_what_is_no_field_of_an_offer(store, session):
    store.captures.set_rules([{"name": "all"}])
    store.hooks.register("before_artifact_capture", lambda context: Modified({"source": "user"}), on_failure="deny")
    assert session.captures.offer("x", source="tool").reason == "vetoed"


def test_events_tell_of_captures(store, session):
    store.captures.set_rules([{"name": "all"}])
    with store.events.subscribe("artifact.captured", from_position="start") as told:
        session.captures.offer("x", source="tool", name="n")
        event = told.receive(timeout_s=WAIT_S)
    assert (event.type, event.data["name"], event.session) == ("artifact.captured", "n", session.id)


def test_what_an_offer_asks_walks_over_nothing(face, store, session):
    asked = queries("llmspell.artifacts.captures")
    run = sql(face, store)
    for name, args in (
        ("owners", (b"x" * 16,)), ("rules", (b"x",)), ("count", (b"x", b"", "r")), ("counts", (b"x",)),
        ("entry_is_there", (1,)), ("correlation", (b"x",)), ("session_is_there", (b"x" * 16,)),
    ):  # fmt: skip
        steps = [row[3] for row in run(f"EXPLAIN QUERY PLAN {asked[name]}", args)]
        assert steps, name
        assert all("SEARCH" in step and "USING" in step for step in steps), (name, steps)
