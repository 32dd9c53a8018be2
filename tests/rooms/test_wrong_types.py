"""Arguments of the wrong type are refused by a code of ours, never by the engine and never in silence."""

import pytest

import llmspell
from llmspell.errors import MESSAGE_CHARS_MAX, InvalidInput

WRONG = {
    "keys-limit-text": (lambda store: store.state.keys(limit="5"), "invalid-limit"),
    "keys-limit-float": (lambda store: store.state.keys(limit=1.5), "invalid-limit"),
    "keys-limit-bool": (lambda store: store.state.keys(limit=True), "invalid-limit"),
    "history-before": (lambda store: store.state.history("key", before="x"), "invalid-seq"),
    "history-limit": (lambda store: store.state.history("key", limit="3"), "invalid-limit"),
    "set-many-list": (lambda store: store.state.set_many([1]), "invalid-value"),
    "get-many-text": (lambda store: store.state.get_many("abc"), "invalid-key"),
    "timeline-kinds": (lambda store: store.timeline(kinds="state.set"), "invalid-kinds"),
    "timeline-kinds-int": (lambda store: store.timeline(kinds=5), "invalid-kinds"),
    "timeline-kind-surrogate": (lambda store: store.timeline(kinds=["\ud800"]), "invalid-event-type"),
    "timeline-kind-long-int": (lambda store: store.timeline(kinds=[10**5000]), "invalid-event-type"),
    "timeline-kinds-many": (lambda store: store.timeline(kinds=[f"a.k{n}" for n in range(40_000)]), "invalid-kinds"),
    "timeline-cursor-deep": (lambda store: store.timeline(cursor="W1tb" * 10_000), "invalid-cursor"),
    "timeline-first-year": (lambda store: store.timeline(since="0001-01-01T00:00:00+14:00"), "invalid-time"),
    "timeline-last-year": (lambda store: store.timeline(until="9999-12-31T23:59:59-14:00"), "invalid-time"),
    "timeline-since-int": (lambda store: store.timeline(since=10**5000), "invalid-time"),
    "keys-prefix-surrogate": (lambda store: store.state.keys(prefix="a\udfff"), "invalid-prefix"),
    "state-of-text": (lambda store: store.state_of("agent:a"), "invalid-scope"),
    "sessions-status-list": (lambda store: store.sessions.list(status=["active", 7]), "invalid-status"),
    "restore-surrogate": (lambda store: store.sessions.create("s").restore("\ud800"), "invalid-text"),
    "publish-many-int": (lambda store: store.events.publish_many(5), "invalid-event"),
    "publish-many-texts": (lambda store: store.events.publish_many(["a.b"]), "invalid-event"),
    "publish-many-none": (lambda store: store.events.publish_many([None]), "invalid-event"),
    "hook-tags": (lambda store: store.hooks.register("a.b", print, tags=5), "invalid-tags"),
    "hook-on-failure": (lambda store: store.hooks.register("a.b", print, on_failure=["deny"]), "invalid-on-failure"),
    "content-encoding": (lambda store: content(store, "x").text(5), "not-text"),
    "content-encoding-nul": (lambda store: content(store, "x").text("a\0b"), "not-text"),
    "content-encoding-surrogate": (lambda store: content(store, "x").text("\ud800"), "not-text"),
    "delete-hard": (lambda store: store.sessions.create("s").artifacts.delete("a.txt", hard="false"), "invalid-input"),
    "shred-detach": (lambda store: store.sessions.shred("s", detach="no"), "invalid-input"),
    "cleanup-dict": (lambda store: store.sessions.cleanup({"max_count": 0}), "invalid-policy"),
    "retention-dict": (lambda store: store.sessions.set_retention({"max_count": 0}), "invalid-policy"),
    "tags-dict": (lambda store: store.sessions.create("s", tags={"a": 1}), "invalid-tags"),
    "artifacts-get-many-text": (lambda store: store.artifacts.get_many("abc"), "invalid-selection"),
    "progress": (lambda store: store.sessions.save_all_active(progress="x"), "invalid-callback"),
    "content-deep-json": (lambda store: content(store, "[" * 100_000).json(), "not-json"),
}


def content(store, text):
    artifacts = store.sessions.create("s").artifacts
    artifacts.put("a.txt", text)
    return artifacts.get("a.txt")


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_refused_by_name(name):
    call, code = WRONG[name]
    with llmspell.open(":memory:") as store:
        store.state.set("key", 1)
        with pytest.raises(llmspell.InvalidInput) as caught:
            call(store)
        assert caught.value.code == code


def test_a_message_does_not_repeat_ten_megabytes_that_it_was_given():
    with llmspell.open(":memory:") as store, pytest.raises(llmspell.InvalidInput) as caught:
        store.timeline(since="x" * 10_000_000)
    assert len(str(caught.value)) <= MESSAGE_CHARS_MAX
    assert caught.value.message == str(caught.value)


HUGE = 10**5000


@pytest.mark.parametrize("call", [
    lambda store: store.state.history("k", before=1 << 63),
    lambda store: store.state.history("k", limit=HUGE),
    lambda store: store.state.keys(after="\ud800"),
    lambda store: store.state.keys(after=5),
    lambda store: store.state.items(after=["a"]),
    lambda store: store.state.keys(limit=HUGE * -1),
    lambda store: store.state.get_many(5),
    lambda store: store.state.copy_to("agent:x"),
    lambda store: store.state.move_to(None),
    lambda store: store.state.get(HUGE),
    lambda store: store.state.set("k", 1, if_version=-HUGE),
    lambda store: store.state.set("k", 1, ttl_s=HUGE),
    lambda store: store.events.publish("a.b", priority=HUGE),
    lambda store: store.sessions.list(limit=HUGE),
])  # fmt: skip
def test_values_beyond_what_fits_are_refused_by_name(call):
    with llmspell.open(":memory:") as store:
        store.state.set("k", 0)
        with pytest.raises(InvalidInput) as refused:
            call(store)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("call", [
    lambda art: art.get("a.txt", version=1 << 63),
    lambda art: art.get("a.txt", version=-HUGE),
    lambda art: art.get("a.txt", version="\ud800"),
    lambda art: art.put("b.txt", b"x", derived_from=5),
    lambda art: art.put("b.txt", b"x", derived_from="abc"),
    lambda art: art.put("b.txt", b"x", mime_type=HUGE),
])  # fmt: skip
def test_artifacts_refuse_what_fits_nowhere(call):
    with llmspell.open(":memory:") as store:
        artifacts = store.sessions.create("s").artifacts
        artifacts.put("a.txt", b"x")
        with pytest.raises(InvalidInput):
            call(artifacts)
        assert [info.name for info in artifacts.list()] == ["a.txt"]


def test_a_label_is_found_in_whichever_form_it_is_written():
    with llmspell.open(":memory:") as store:
        artifacts = store.sessions.create("s").artifacts
        artifacts.put("a.txt", b"x")
        artifacts.tag_version("a.txt", 1, "gru\u0308n")
        assert artifacts.get("a.txt", version="gr\u00fcn").read() == b"x"


@pytest.mark.parametrize("method", ["rotate", "export", "import_"])
def test_a_path_of_a_key_that_is_none_is_refused_by_name(tmp_path, method):
    with llmspell.open(tmp_path / "s") as store:
        for path in (5, b"x", ["x"], "a\0b", "a\udfff"):
            with pytest.raises(llmspell.InvalidInput) as caught:
                getattr(store.keys, method)(path)
            assert caught.value.code == "invalid-path"
