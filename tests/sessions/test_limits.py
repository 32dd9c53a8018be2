"""What a session may hold: typed settings that come back, and limits that are exact and never in the way of its end."""

import threading

import pytest

import llmspell
from llmspell import SessionConfig, SessionLimits, SessionRetention
from llmspell.errors import InvalidInput, LimitExceeded


def limited(store, **limits):
    return store.sessions.create("s", config=SessionConfig(limits=SessionLimits(**limits)))


def refused(call, code):
    with pytest.raises(LimitExceeded) as error:
        call()
    assert error.value.code == code
    return error.value


def test_settings_come_back_typed_after_reopening(face, store):
    given = SessionConfig(
        auto_save_interval_s=30, auto_save_changes=100, limits=SessionLimits(duration_s=60.5, operations=7),
        retention=SessionRetention(max_age_s=3600), own={"model": "small", "limit": 3},
    )  # fmt: skip
    made = store.sessions.create("s", config=given)
    for opened in face.both(store):
        info = opened.sessions.get(made.id)
        assert info.settings == given
        assert info.config == given.to_dict()
        assert info.config["model"] == "small"
        assert opened.sessions.create("t", config=given.to_dict()).info.settings == given


@pytest.mark.parametrize("bound", ["duration_s", "artifacts", "storage_bytes", "operations"])
def test_a_limit_of_nothing_is_a_limit(store, clock, bound):
    given = SessionConfig(limits=SessionLimits(**{bound: 0}))
    session = store.sessions.create("s", config=given)
    assert session.info.settings == given
    clock.advance(1)
    refused(lambda: session.artifacts.put("a", b"a"), f"session-{bound.partition('_')[0]}-limit")


def test_an_age_of_nothing_is_an_age(store):
    given = SessionConfig(retention=SessionRetention(max_age_s=0))
    assert store.sessions.create("s", config=given).info.settings == given


@pytest.mark.parametrize("config", [SessionLimits(), [("a", 1)], "x", 3])
def test_what_is_no_config_is_refused_as_such(store, config):
    with pytest.raises(InvalidInput, match="config is") as error:
        store.sessions.create("s", config=config)
    assert error.value.code == "invalid-config"


def test_a_session_without_settings_has_none(store):
    session = store.sessions.create("s", config={"mine": 1})
    assert session.info.settings == SessionConfig(own={"mine": 1})
    assert session.info.config == {"mine": 1}
    assert (session._inner if hasattr(session, "_inner") else session._session).context().bounds is None


@pytest.mark.parametrize(
    "config",
    [
        {"limits": {"artifact": 1}}, {"limits": {"artifacts": -1}}, {"limits": {"artifacts": 1.5}},
        {"limits": {"artifacts": True}}, {"limits": {"duration_s": "1"}}, {"limits": {"duration_s": float("nan")}},
        {"auto_save_interval_s": 0}, {"auto_save_changes": 0}, {"auto_save_changes": "x"}, {"retention": {"keep": 1}},
        {"retention": {"max_age_s": -1}}, {"limits": {"operations": 1 << 63}},
    ],
)  # fmt: skip
def test_settings_that_are_none_are_refused(store, config):
    with pytest.raises(InvalidInput) as error:
        store.sessions.create("s", config=config)
    assert error.value.code in {"invalid-config", "invalid-value"}
    assert store.sessions.list().items == []


def test_operations_are_counted_exactly_and_the_end_is_never_refused(face, store):
    session = limited(store, operations=4)
    session.state.set("a", 1)
    session.state.set("b", 2)
    session.events.publish("x.y", 1)
    assert session.refresh().operation_count == 4
    error = refused(lambda: session.state.set("c", 3), "session-operations-limit")
    assert (error.details["limit"], error.details["found"]) == (4, 5)
    refused(lambda: session.events.publish("x.y", 1), "session-operations-limit")
    refused(lambda: session.artifacts.put("a", b"x"), "session-operations-limit")
    with session:
        refused(lambda: store.state.set("elsewhere", 1), "session-operations-limit")
    store.state.set("elsewhere", 2)
    assert session.refresh().operation_count == 4
    assert session.state.keys() == ["a", "b"]
    session.save()
    session.checkpoint("full")
    session.restore("full")
    session.suspend()
    session.resume()
    session.complete()
    again = face.reopen()
    there = again.sessions.open(session.id)
    refused(lambda: there.state.set("c", 3), "session-operations-limit")
    there.archive()
    again.sessions.delete(session.id)
    assert again.verify().ok


def test_a_unit_that_passes_the_limit_is_refused_whole(store):
    session = limited(store, operations=3)
    refused(lambda: session.state.set_many({"a": 1, "b": 2, "c": 3}), "session-operations-limit")
    assert session.state.keys() == []
    session.state.set_many({"a": 1, "b": 2})


def test_artifacts_and_their_bytes_are_bounded_and_deleting_makes_room(store):
    session = limited(store, artifacts=2, storage_bytes=10)
    session.artifacts.put("a", b"12345")
    refused(lambda: session.artifacts.put("b", b"123456"), "session-storage-limit")
    session.artifacts.put("b", b"12345")
    refused(lambda: session.artifacts.put("c", b""), "session-artifacts-limit")
    session.state.set("still", "works")
    session.artifacts.delete("a")
    session.artifacts.put("c", b"12345")
    assert session.refresh().artifact_bytes == 10


def test_duration_is_over_when_the_clock_says_so(store, clock):
    session = limited(store, duration_s=60)
    session.state.set("a", 1)
    clock.advance(61)
    refused(lambda: session.state.set("a", 2), "session-duration-limit")
    assert session.state.get("a") == 1
    session.complete()


def test_limits_hold_for_whoever_opened_it_and_travel_in_a_bundle(store, face, tmp_path):
    session = limited(store, operations=2)
    session.state.set("a", 1)
    store.sessions.export(session.id, tmp_path / "b")
    done = store.sessions.import_(tmp_path / "b", on_conflict="rename")
    refused(lambda: store.sessions.open(done.id).state.set("b", 1), "session-operations-limit")


def test_threads_together_never_pass_the_limit(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        session = limited(store, operations=51)
        over = []

        def work(number):
            for step in range(20):
                try:
                    session.state.set(f"k{number}-{step}", step)
                except LimitExceeded:
                    over.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(session.state.keys()) == 50
        assert len(over) == 30
        assert session.refresh().operation_count == 51
        assert store.verify().ok


def test_a_version_that_a_fork_makes_its_own_counts_towards_its_limits(store):
    origin = limited(store, artifacts=1, storage_bytes=10)
    origin.artifacts.put("inherited", b"x" * 8)
    fork = store.sessions.fork(origin.id)
    own = fork.artifacts.put("own", b"x" * 3)
    for change in (
        lambda: fork.artifacts.update("inherited", description="d"),
        lambda: fork.artifacts.rename("inherited", "renamed"),
        lambda: fork.artifacts.tag_version("inherited", 1, "v1") and fork.artifacts.update("inherited", tags=["t"]),
    ):
        refused(change, "session-artifacts-limit")
    fork.artifacts.delete(own.id)
    assert fork.artifacts.update("inherited", description="d").description == "d"
    assert fork.refresh().artifact_count == 1
