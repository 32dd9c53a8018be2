"""Sessions are saved in the background, by interval and on change; what fails is tried later and told."""

import pytest

import llmspell
from llmspell import SessionConfig
from llmspell.errors import StorageFailed, Vetoed
from llmspell.hooks.results import Cancel
from llmspell.sessions.saving import FAILURES_MAX, PAUSE_S


def saves(store, session):
    return list(store.timeline(session=session.id, kinds=["session.saved"], limit=500))


def saver(face, store):
    return face.core(store).sessions.neighbours.saver


def test_an_interval_saves_what_changed_and_only_that(face, store, clock):
    session = store.sessions.create("s", config=SessionConfig(auto_save_interval_s=30))
    auto = saver(face, store)
    session.state.set("a", 1)
    auto.tick()
    assert saves(store, session) == []
    clock.advance(31)
    auto.tick()
    (entry,) = saves(store, session)
    assert entry.actor == "maintenance"
    clock.advance(31)
    auto.tick()
    assert len(saves(store, session)) == 1
    session.state.set("a", 2)
    clock.advance(31)
    auto.tick()
    assert len(saves(store, session)) == 2
    assert store.stats()["auto_save"]["saved"] == 2


def test_so_many_changes_save_without_waiting_for_an_interval(face, store):
    session = store.sessions.create("s", config=SessionConfig(auto_save_changes=3))
    auto = saver(face, store)
    for number in range(2):
        session.state.set("a", number)
    auto.tick()
    assert saves(store, session) == []
    session.artifacts.put("x", b"x")
    auto.tick()
    assert len(saves(store, session)) == 1


def test_closing_the_store_saves_what_changed_and_the_next_handle_goes_on(face, store, clock):
    session = store.sessions.create("s", config=SessionConfig(auto_save_interval_s=30))
    session.state.set("a", 1)
    again = face.reopen()
    assert len(saves(again, session)) == 1
    there = again.sessions.open(session.id)
    there.state.set("a", 2)
    clock.advance(31)
    saver(face, again).tick()
    assert len(saves(again, session)) == 2


def test_sessions_without_settings_have_no_watcher_and_no_thread(face, store):
    session = store.sessions.create("s")
    session.state.set("a", 1)
    auto = saver(face, store)
    assert store.stats()["auto_save"] == {
        "watched": 0, "saved": 0, "failed": 0, "paused": 0, "last_error": None,
    }  # fmt: skip
    assert auto._thread is None


def test_an_ended_session_is_not_watched_any_more(face, store, clock):
    session = store.sessions.create("s", config=SessionConfig(auto_save_interval_s=30))
    session.state.set("a", 1)
    session.complete()
    clock.advance(31)
    saver(face, store).tick()
    assert saves(store, session) == []
    assert store.stats()["auto_save"]["watched"] == 0


class Failing:
    """The files of a store whose disk does not take a strong commit."""

    read_only = False

    def __init__(self, files):
        self._files = files
        self.broken = True
        self.tries = 0

    def commit(self, units, *, strong=False, wait_s=None):
        if strong:
            self.tries += 1
            if self.broken:
                raise StorageFailed("the disk is full", code="disk-full")
        return self._files.commit(units, strong=strong, wait_s=wait_s)


def test_failures_back_off_pause_are_counted_and_told(face, store, clock):
    session = store.sessions.create("s", config=SessionConfig(auto_save_interval_s=1))
    auto = saver(face, store)
    auto._files = failing = Failing(auto._files)
    reported = []
    auto._report = lambda what, error: reported.append((what, error.code))
    auto._thread = object()  # The background is this test: nothing else ticks.
    session.state.set("a", 1)
    try:
        clock.advance(2)
        auto.tick()
        auto.tick()
        assert failing.tries == 1
        for wait_s in (1, 2, 4, 8):
            clock.advance(wait_s - 0.5)
            auto.tick()
            before = failing.tries
            clock.advance(0.6)
            auto.tick()
            assert failing.tries == before + 1
        assert failing.tries == FAILURES_MAX
        clock.advance(PAUSE_S - 1)
        auto.tick()
        assert failing.tries == FAILURES_MAX
        found = store.stats()["auto_save"]
        assert (found["failed"], found["paused"], found["last_error"]) == (FAILURES_MAX, 1, "the disk is full")
        told = list(store.timeline(kinds=["session.auto_save_failed"]))
        assert [(entry.data["failures"], entry.data["retry_s"]) for entry in told] == [(1, 1.0), (5, PAUSE_S)]
        assert reported == [("auto-save", "disk-full")] * 2, "the first failure and each pause, not every try"
        failing.broken = False
        clock.advance(2)
        auto.tick()
        assert len(saves(store, session)) == 1
        session.state.set("a", 2)
        clock.advance(2)
        auto.tick()
        assert len(saves(store, session)) == 2
    finally:
        auto._thread = None


def test_the_background_thread_saves_by_itself(tmp_path):
    """With the system's clock: the save comes as an event, and nobody waits for it."""
    with llmspell.open(tmp_path / "s") as store:
        session = store.sessions.create("s", config=SessionConfig(auto_save_changes=1))
        with store.events.subscribe("session.saved") as sub:
            session.state.set("a", 1)
            assert sub.receive(timeout_s=20).type == "session.saved"


def test_save_all_active_is_all_or_none(store):
    sessions = [store.sessions.create(f"s{number}") for number in range(3)]
    store.sessions.create("done").complete()
    seen = []
    infos = store.sessions.save_all_active(progress=lambda what, done: seen.append((what, done)))
    assert sorted(info.name for info in infos) == ["s0", "s1", "s2"]
    assert seen == [("sessions", 1), ("sessions", 2), ("sessions", 3)]
    head = store.stats()["last_seq"]
    store.hooks.on("before_session_save")(
        lambda context: Cancel("no") if context.data["info"]["name"] == "s2" else None
    )
    with pytest.raises(Vetoed):
        store.sessions.save_all_active()
    assert store.stats()["last_seq"] == head
    assert all(len(saves(store, session)) == 1 for session in sessions)


def test_what_is_deleted_right_after_it_was_saved_is_left_out(face, store):
    ids = sorted(store.sessions.create(name).id for name in "abc")
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:
        store.hooks.register(
            "after_session_save",
            lambda context: elsewhere.sessions.delete(ids[1]) if context.data["id"] == ids[0] else None,
        )
        assert [info.id for info in store.sessions.save_all_active()] == [ids[0], ids[2]]


def test_restore_recent_takes_up_what_was_set_aside(store, clock):
    for number in range(4):
        store.sessions.create(f"s{number}").suspend()
        clock.advance(1)
    store.sessions.create("ended").complete()
    seen = []
    infos = store.sessions.restore_recent(2, progress=lambda what, done: seen.append((what, done)))
    assert seen == [("sessions", 1), ("sessions", 2)]
    assert [(info.name, str(info.status)) for info in infos] == [("s3", "active"), ("s2", "active")]
    assert str(store.sessions.get("s1").status) == "suspended"


def test_what_others_do_while_recent_sessions_are_taken_up_stops_nothing(face, store):
    """Two workers that begin at once: each has what is active in the end, whoever resumed it."""
    sessions = [store.sessions.create(name) for name in ("gone", "ended", "again", "resumed", "first")]
    for session in sessions:
        session.suspend()
    gone, ended, again, resumed, first = sessions
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:
        done = []

        def meanwhile(context):
            if not done:
                done.append(context.data["id"])
                elsewhere.sessions.delete(gone.id)
                elsewhere.sessions.open(ended.id).complete()
                elsewhere.sessions.open(resumed.id).resume()
                for step in ("resume", "suspend"):
                    getattr(elsewhere.sessions.open(again.id), step)()

        store.hooks.register("before_session_open", meanwhile)
        found = store.sessions.restore_recent(5)
    assert done == [first.id]
    assert [info.name for info in found] == ["first", "resumed", "again"]
    assert {str(info.status) for info in found} == {"active"}


def test_a_session_that_others_resume_first_is_taken_up_all_the_same(face, store):
    session = store.sessions.create("s")
    session.suspend()
    with llmspell.open(face.folder, clock=face.clock) as elsewhere:

        def first(_):
            elsewhere.sessions.open(session.id).resume()

        store.hooks.register("before_session_resume", first)
        assert [info.status for info in store.sessions.restore_recent(1)] == ["active"]
    assert [entry.kind for entry in store.timeline(session=session.id)].count("session.resumed") == 1


def test_a_session_that_failed_and_was_resumed_is_saved_again(face, store):
    session = store.sessions.create("s", config=SessionConfig(auto_save_changes=2))
    session.state.set("a", 1)
    session.fail("x")
    auto = saver(face, store)
    for number in range(20):  # The thread may take it up between any two of them.
        session.update(description=str(number))
        auto.tick()
        if not store.stats()["auto_save"]["watched"]:
            break
    assert store.stats()["auto_save"]["watched"] == 0
    session.resume()
    before = len(saves(store, session))
    for number in range(10):
        session.state.set("a", number)
    auto.tick()
    assert store.stats()["auto_save"]["watched"] == 1
    assert len(saves(store, session)) > before
