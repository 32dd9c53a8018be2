"""A signal handler may raise between any two lines of a write: the handle goes on, for the thread it hit and others."""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")

INTERRUPTED = """
import faulthandler, random, signal, sys, threading, warnings
import llmspell
warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines that were interrupted before their first step
faulthandler.dump_traceback_later(100, exit=True)

class Interrupt(BaseException):
    pass

def interrupt(*_):
    raise Interrupt

store = llmspell.open(sys.argv[1], durability="process")
random.seed(int(sys.argv[3]))
over = threading.Event()
done = [0]

def other():
    while not over.is_set():
        try:
            store.state.set("other", done[0])
        except llmspell.StorageFailed as exc:
            assert exc.code == "interrupted", exc
        done[0] += 1

thread = threading.Thread(target=other)
if sys.argv[2] == "two":
    thread.start()
signal.signal(signal.SIGALRM, interrupt)
for number in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-5 + random.random() * 7e-4)
        while True:
            store.state.set("mine", number)
            store.state.get("mine")
    except Interrupt:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
over.set()
if sys.argv[2] == "two":
    thread.join()
store.state.set("after", 1)
with llmspell.open(sys.argv[1], durability="process") as second:
    second.state.set("second", 2)
assert store.state.get("second") == 2
assert store.verify().ok
store.close()
"""


@pytest.mark.parametrize("threads", ["one", "two"])
def test_a_write_that_is_interrupted_anywhere_leaves_a_handle_that_goes_on(tmp_path, threads):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "s"), threads, str(os.getpid())],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
