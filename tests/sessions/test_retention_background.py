"""Retention in the background of an open store: by time, once in its time, with all that a cleanup does."""

import logging
import threading

import pytest

import llmspell
from llmspell import RetentionPolicy, SessionConfig, SessionRetention
from llmspell.errors import Busy, NotFound, StorageFailed
from llmspell.journal.maintenance import STEPS_MAX
from llmspell.model.clock import ManualClock

DAY = 86400
WAIT_S = 30
ALL = RetentionPolicy(max_count=0)
SHORT = SessionConfig(retention=SessionRetention(max_age_s=10))


def ended(store, name, **fields):
    session = store.sessions.create(name, **fields)
    session.complete()
    return session


def ids(store):
    return {info.id for info in store.sessions.list(limit=500)}


def cleaned(store):
    return list(store.timeline(kinds=["session.cleaned"], limit=500))


@pytest.fixture
def real(tmp_path):
    """Opens a store whose time passes by itself."""
    opened = []

    def open_():
        while opened:
            opened.pop().close()
        opened.append(llmspell.open(tmp_path / "timed", durability="process"))
        return opened[-1]

    yield open_
    while opened:
        opened.pop().close()


def test_an_open_store_applies_its_policy_when_the_time_has_come(real):
    store = real()
    with store.events.subscribe("session.cleaned") as told:
        store.sessions.set_retention(ALL, every_s=1)
        for name in ("first", "second"):
            ended(store, name)
            assert told.receive(timeout_s=WAIT_S).type == "session.cleaned"
            assert ids(store) == set()


def test_a_store_that_is_opened_anew_applies_its_policy_without_being_written_to(real):
    store = real()
    store.sessions.set_retention(ALL, every_s=1)
    ended(store, "s")
    store = real()
    with store.events.subscribe("session.cleaned") as told:
        if ids(store):
            assert told.receive(timeout_s=WAIT_S).type == "session.cleaned"
    assert ids(store) == set()


def test_a_session_that_says_its_own_age_goes_in_time_without_a_policy(real, monkeypatch):
    monkeypatch.setattr("llmspell.sessions.registered.EVERY_S", 1.0)
    store = real()
    with store.events.subscribe("session.cleaned") as told:
        short = SessionConfig(retention=SessionRetention(max_age_s=0.5))
        session = ended(store, "s", config=short)
        kept = ended(store, "kept")
        assert told.receive(timeout_s=WAIT_S).type == "session.cleaned"
    assert session.id not in ids(store)
    assert kept.id in ids(store)


def test_a_store_without_anything_to_let_go_has_no_thread(face, store):
    ended(store, "s", config=SessionConfig(retention=SessionRetention(keep=True)))
    assert face.core(store).sessions.neighbours.retention._thread is None


@pytest.mark.parametrize("idle", [False, True])
def test_opening_a_store_anew_does_not_run_it_before_its_time(face, store, clock, idle):
    store.sessions.set_retention(ALL, every_s=3600)
    if not idle:
        ended(store, "first")
    face.core(store)._maintenance.run()
    assert ids(store) == set()
    clock.advance(600)
    again = face.reopen()
    session = ended(again, "second")
    face.core(again)._maintenance.run()
    assert ids(again) == {session.id}
    clock.advance(3601)
    face.core(again)._maintenance.run()
    assert ids(again) == set()
    assert again.verify().ok


def test_a_clock_that_was_set_back_does_not_stop_it(face, store, clock):
    store.sessions.set_retention(ALL, every_s=3600)
    face.core(store)._maintenance.run()
    again = face.reopen()
    clock.jump(-365 * DAY)
    ended(again, "s")
    face.core(again)._maintenance.run()
    assert ids(again) == set()


def test_retention_says_how_often_it_is_applied(face, store):
    policy = RetentionPolicy(max_age_s=5)
    store.sessions.set_retention(policy, every_s=90)
    found = face.reopen().sessions.retention()
    assert (found, found.every_s) == (policy, 90)
    assert policy.every_s is None


def test_the_background_archives_and_takes_away_what_was_written_to_deleted_sessions(face, store, clock, tmp_path):
    gone, session = ended(store, "gone"), ended(store, "s")
    state = gone.state
    store.sessions.delete(gone.id)
    state.set("late", 1)
    store.sessions.set_retention(RetentionPolicy(max_age_s=1, archive_to=tmp_path / "archive"), every_s=60)
    clock.advance(DAY)
    face.core(store)._maintenance.run()
    assert ids(store) == set()
    (said,) = cleaned(store)
    assert (said.data["archived"], said.data["orphans"]) == (1, 1)
    assert state.get("late") is None
    (path,) = (tmp_path / "archive").iterdir()
    store.sessions.import_(path)
    assert ids(store) == {session.id}


def test_what_sessions_say_themselves_is_done_without_a_policy(face, store, clock):
    with pytest.raises(NotFound):
        store.sessions.cleanup()
    plain = ended(store, "plain")
    short = ended(store, "short", config=SHORT)
    clock.advance(5)
    assert store.sessions.cleanup().deleted == []
    clock.advance(DAY)
    report = store.sessions.cleanup()
    assert [(one["id"], one["why"]) for one in report.deleted] == [(short.id, "own-age")]
    assert ids(store) == {plain.id}
    assert store.sessions.retention() is None


def test_what_sessions_say_themselves_is_done_in_the_background_without_a_policy(face, store, clock):
    plain = ended(store, "plain")
    ended(store, "short", config={"retention": {"max_age_s": 10}})
    clock.advance(DAY)
    face.core(store)._maintenance.run()
    assert ids(store) == {plain.id}
    assert store.verify().ok


@pytest.fixture
def begun(tmp_path):
    """A store whose background has let go some of its sessions and is to go on, what makes it go on, and its clock."""
    clock = ManualClock()
    store = llmspell.open(tmp_path / "begun", clock=clock, durability="process")
    store._store.sessions.neighbours.retention.close()  # Its thread would go on by itself, now or a moment later,
    store._store._files.engine.after_checkpoint = lambda: None  # and so would that of checkpoints.
    for number in range(STEPS_MAX + 6):
        ended(store, f"s{number}")
    store.sessions.set_retention(ALL, every_s=3600)
    go_on = store._store._maintenance.finish
    go_on()
    assert len(ids(store)) == 6
    yield store, go_on, clock
    store.close()


def test_a_policy_that_is_set_meanwhile_holds_for_what_is_left(begun):
    store, go_on, _ = begun
    store.sessions.set_retention(RetentionPolicy(max_count=1000), every_s=3600)
    go_on()
    go_on()
    assert len(ids(store)) == 6
    assert [entry.data["deleted"] for entry in cleaned(store)] == [STEPS_MAX], "what went is told"


def test_a_hook_that_is_registered_meanwhile_keeps_what_is_left(begun):
    store, go_on, clock = begun
    real = store._store.sessions.neighbours.porter.read
    hooks = []

    def read(query):
        if not hooks and len(ids(store)) == 3:
            hooks.append(store.hooks.register("before_session_delete", lambda _: None))
        return real(query)

    store._store.sessions.neighbours.porter.read = read
    go_on()
    assert hooks
    left = len(ids(store))
    assert left in {2, 3}, "the step that was being prepared is the last one"
    store.hooks.unregister(hooks[0])
    clock.advance(3601)
    go_on()
    assert ids(store) == set()


def test_a_damaged_row_ends_neither_the_background_nor_closing(begun):
    store, go_on, clock = begun
    go_on()
    ended(store, "damaged")
    store._store._files.engine.writer.execute("UPDATE session SET config = '{bad' WHERE until_seq IS NULL")
    clock.advance(3601)
    go_on()
    assert len(ids(store)) == 1
    assert store.state.get("nothing") is None


def test_a_policy_that_cannot_be_read_is_reported_and_the_store_opens_saves_and_is_closed(face, store, clock, caplog):
    store.sessions.set_retention(ALL, every_s=3600)
    seq = store.timeline(kinds=["session.retention_set"]).items[0].seq
    face.core(store)._files.engine.writer.execute("UPDATE entry SET payload = '{bad' WHERE seq = ?", (seq,))
    with caplog.at_level(logging.WARNING, logger="llmspell"):
        face.core(store).sessions.neighbours.retention.begin()
    assert "maintenance: retention failed" in caplog.text
    again = face.reopen()
    session = again.sessions.create("s", config=SessionConfig(auto_save_interval_s=1))
    session.state.set("k", 1)
    clock.advance(2)
    face.core(again).sessions.neighbours.saver.tick()
    assert again.stats()["auto_save"]["saved"] == 1


def test_what_auto_saves_wait_for_is_no_cleanup_that_archives(real, tmp_path):
    store = real()
    porter = store._store.sessions.neighbours.porter
    archive, begun, free = porter.archive, threading.Event(), threading.Event()

    def slow(*args):
        begun.set()
        assert free.wait(WAIT_S)
        return archive(*args)

    porter.archive = slow
    ended(store, "s")
    working = store.sessions.create("working", config=SessionConfig(auto_save_changes=1))
    try:
        store.sessions.set_retention(RetentionPolicy(max_count=0, archive_to=tmp_path / "archive"), every_s=1)
        assert begun.wait(WAIT_S)
        with store.events.subscribe("session.saved") as told:
            working.state.set("k", 1)
            assert told.receive(timeout_s=WAIT_S).type == "session.saved"
    finally:
        free.set()


class Refusing:
    """The files of a store whose next commits fail, as often as told, after the unit was done."""

    read_only = False

    def __init__(self, store, error, times):
        self._engine, self._error, self._times = store._store._files.engine, error, times

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def commit(self, units, *, wait_s=None):
        (unit,) = units
        if not self._times:
            return self._engine.commit(units, wait_s=wait_s)
        self._times -= 1

        async def failing(tx):
            await unit(tx)
            raise self._error

        return self._engine.commit((failing,), wait_s=wait_s)


def refuse(store, error, times=1):
    store._store._maintenance._files = Refusing(store, error, times)


FULL = StorageFailed("the disk is full", code="disk-full")


def test_what_could_not_be_committed_is_not_told_as_done(begun):
    store, go_on, _ = begun
    refuse(store, FULL)
    go_on()
    go_on()
    assert len(ids(store)) == 1
    (said,) = cleaned(store)
    assert (said.data["deleted"], said.data["failed"], said.data["codes"]) == (STEPS_MAX + 5, 1, {"disk-full": 1})


def test_a_session_whose_turn_did_not_come_goes_in_the_next_step(begun):
    store, go_on, _ = begun
    refuse(store, Busy("somebody writes"))
    go_on()
    assert len(ids(store)) == 6
    go_on()
    assert ids(store) == set()
    (said,) = cleaned(store)
    assert (said.data["deleted"], said.data["changed"], said.data["failed"]) == (STEPS_MAX + 6, 0, 0)


@pytest.mark.parametrize("error", [FULL, Busy("somebody writes")])
def test_what_was_done_is_told_later_when_it_could_not_be_told(begun, error):
    store, go_on, clock = begun
    store.sessions.set_retention(RetentionPolicy(max_count=1000), every_s=3600)  # The rest stays: this is the end.
    refuse(store, error)
    go_on()
    assert cleaned(store) == []
    clock.advance(3601)
    go_on()
    assert [entry.data["deleted"] for entry in cleaned(store)] == [STEPS_MAX]
