"""Who writes when: the turn among handles and processes, and those who do not know about it."""

import subprocess
import sys
import threading
import time

import apsw
import pytest

from llmspell.adapters.sqlite import turnstile
from llmspell.adapters.sqlite.turnstile import FileTurn, ThreadTurn
from llmspell.errors import Busy, StorageFailed
from llmspell.testing.units import check_chain, code_of, getting, note, open_journal, put, raised, rows, writing
from tests.storage.conftest import FACES, PLAIN, Opener, named

OTHER = """
import sys, llmspell
with llmspell.open(sys.argv[1], durability="process") as store:
    for line in sys.stdin:
        print(store.events.publish("other.wrote", line.strip()), flush=True)
"""


@pytest.fixture
def opener(face, place, tmp_path):
    made = Opener(face, place, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("face,place", named(FACES, PLAIN))
class TestTurns:
    def test_a_write_is_busy_when_another_handle_keeps_the_turn(self, opener):
        harness, other = opener(busy_timeout_s=0.05), opener()
        harness.run(writing(put("a", 1)))
        other.engine.turn.acquire()
        error = raised(lambda: harness.run(writing(put("a", 2))))
        assert isinstance(error, Busy)
        assert error.hint
        assert harness.run(getting("a")) == (1,), "a reader never waits for a writer"
        other.engine.turn.release()
        assert harness.run(writing(put("a", 3))) == 3

    def test_every_unit_of_a_batch_is_busy_when_another_handle_keeps_the_turn(self, opener):
        harness, other = opener(busy_timeout_s=0.05), opener()
        other.engine.turn.acquire()
        results = harness.at_once([writing(put(f"k{n}", n)) for n in range(4)])
        assert [type(result) for result in results] == [Busy] * 4
        other.engine.turn.release()
        assert rows(harness) == {}

    def test_a_write_waits_for_a_turn_that_is_given_back_in_time(self, opener):
        harness, other = opener(), opener()
        held = threading.Event()

        def hold():
            other.engine.turn.acquire()
            held.set()
            threading.Event().wait(0.02)
            other.engine.turn.release()

        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(10)
        assert harness.run(writing(put("a", 1))) == 1
        holder.join()

    def test_a_write_is_busy_when_a_stranger_holds_the_database(self, opener):
        harness = opener(busy_timeout_s=0.05)
        harness.run(writing(put("a", 1)))
        stranger = apsw.Connection(str(harness.engine.path))
        stranger.execute("BEGIN IMMEDIATE")
        error = raised(lambda: harness.run(writing(put("a", 2))))
        assert isinstance(error, Busy)
        assert harness.run(getting("a")) == (1,)
        stranger.execute("ROLLBACK")
        assert harness.run(writing(put("a", 3))) == 3
        assert harness.engine.turn.try_acquire(), "the turn was given back"
        harness.engine.turn.release()
        stranger.close()

    def test_a_write_waits_for_a_stranger_who_leaves_in_time(self, opener):
        harness = opener()
        stranger = apsw.Connection(str(harness.engine.path))
        stranger.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.02, lambda: stranger.execute("ROLLBACK"))
        timer.start()
        assert harness.run(writing(put("a", 1))) == 1
        timer.join()
        stranger.close()

    def test_entries_of_another_process_in_between_are_seen_and_chained_to(self, opener):
        harness = opener()
        folder = harness.engine.path.parent.parent
        with subprocess.Popen(
            [sys.executable, "-c", OTHER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            journal = harness.run(open_journal)
            theirs = int(self.say(other, "one"))
            for _ in range(5):
                mine = harness.run(lambda _: journal.write(note("mine")))
                assert mine == theirs + 1
                theirs = int(self.say(other, "next"))
                assert theirs == mine + 1
                assert harness.run(lambda database: database.one("SELECT max(seq) FROM entry")) == (theirs,)
            other.stdin.close()
            assert other.wait(30) == 0
        check_chain(harness)

    def say(self, other, text):
        other.stdin.write(text + "\n")
        other.stdin.flush()
        return other.stdout.readline()

    def test_a_retired_store_takes_no_more_writes_and_says_so(self, opener):
        harness, other = opener(), opener()
        journal, theirs = harness.run(open_journal), other.run(open_journal)
        harness.run(lambda _: journal.write(note("last")))
        retire(harness)
        for side in (harness, other):
            error = raised(lambda side=side: side.run(writing(put("a", 1))))
            assert isinstance(error, StorageFailed)
            assert error.code == "retired"
        assert code_of(lambda: other.run(lambda _: theirs.write(note("late")))) == "retired"
        assert rows(harness) == {}
        assert harness.engine.turn.try_acquire()
        harness.engine.turn.release()


def retire(harness):
    """Append ``store.retired`` as a restore in place would."""
    connection = apsw.Connection(str(harness.engine.path))
    connection.execute(
        "INSERT INTO entry SELECT seq + 1, id, at, clock, 'store.retired', 1, subject, session, correlation, cause,"
        " actor, codec, salt, payload, digest, hash, randomblob(32) FROM entry ORDER BY seq DESC LIMIT 1"
    )
    connection.close()


@pytest.fixture(params=["file", "thread"])
def turn(request, tmp_path):
    made: FileTurn | ThreadTurn = FileTurn(tmp_path / "lock") if request.param == "file" else ThreadTurn()
    yield made
    made.close()


def test_a_turn_has_one_holder_at_a_time(turn):
    assert turn.try_acquire()
    assert not turn.try_acquire()
    with pytest.raises(Busy):
        turn.acquire(0.01)
    turn.release()
    turn.acquire(0.01)
    turn.release()


def test_two_turns_at_one_lock_file_exclude_each_other(tmp_path):
    one, two = FileTurn(tmp_path / "lock"), FileTurn(tmp_path / "lock")
    one.acquire()
    assert not two.try_acquire()
    with pytest.raises(Busy, match="another process"):
        two.acquire(0.01)
    one.close()
    assert two.try_acquire(), "closing a lock file gives its turn back"
    two.close()


def test_a_turn_whose_lock_file_is_closed_fails_at_once_every_time(tmp_path):
    turn = FileTurn(tmp_path / "lock")
    turn.close()
    for _ in range(2):
        with pytest.raises(StorageFailed):
            turn.try_acquire()
        with pytest.raises(StorageFailed):
            turn.acquire(10)


def test_a_long_run_of_writes_gives_way_to_a_process_that_queues(tmp_path, monkeypatch):
    running, queueing = FileTurn(tmp_path / "lock"), FileTurn(tmp_path / "lock")
    waits, look_again, got, done = (threading.Event() for _ in range(4))
    here = threading.current_thread()

    def sleep(_seconds):
        # Who queues looks away until the other one gives way: the worst moment there is.
        if threading.current_thread() is here:
            look_again.set()
        else:
            waits.set()
            assert look_again.wait(60)

    def queue():
        queueing.acquire()
        got.set()
        assert done.wait(60)
        queueing.release()

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(turnstile, "GIVE_WAY_S_MAX", 60)
    running.acquire()
    other = threading.Thread(target=queue)
    other.start()
    assert waits.wait(60)
    running.release()
    running.give_way()
    assert not running.try_acquire(), "the one that queued has it"
    assert got.wait(60)
    done.set()
    other.join(60)
    running.give_way()
    assert running.try_acquire()
    running.close()
    queueing.close()


def test_giving_way_to_nobody_takes_no_time_and_to_a_stopped_one_not_for_ever(tmp_path, monkeypatch):
    running, stopped = FileTurn(tmp_path / "lock"), FileTurn(tmp_path / "lock")
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    running.give_way()
    assert not list(tmp_path.glob("*queue*")), "nobody ever queued"
    running.acquire()
    with pytest.raises(Busy):
        stopped.acquire(0.01)
    slept.clear()
    running.give_way()
    assert not slept, "who has given up queues no more"
    assert stopped._stand_in_line()
    monkeypatch.setattr(turnstile, "GIVE_WAY_S_MAX", 0.01)
    running.give_way()
    assert slept
    running.release()
    stopped.close()
    running.give_way()
    running.close()
