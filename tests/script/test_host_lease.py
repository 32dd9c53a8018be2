"""The lease of a run: one holder at a time, given back by its death."""

import os
import signal
import subprocess
import sys

import pytest

from llmspell.errors import Busy
from llmspell.script.lease import Lease

HOLD = """
import sys, time
from pathlib import Path
from llmspell.script.lease import Lease
Lease("store", Path(sys.argv[1]), "run").acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path):
    first, second = Lease("store", tmp_path, "run"), Lease("store", tmp_path, "run")
    first.acquire()
    with pytest.raises(Busy) as caught:
        second.acquire()
    assert caught.value.code == "run-busy"
    Lease("store", tmp_path, "other").acquire()
    first.release()
    second.acquire()
    second.release()
    second.release()


def test_nothing_is_left_of_a_lease(tmp_path):
    lease = Lease("store", tmp_path, "run")
    lease.acquire()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run.lock"]
    lease.release()
    assert list((tmp_path / "runs").iterdir()) == []


def test_stores_in_memory_have_leases_too():
    lease = Lease("store", None, "run-in-memory")
    lease.acquire()
    with pytest.raises(Busy):
        Lease("store", None, "run-in-memory").acquire()
    lease.release()


def test_the_lease_of_a_killed_process_is_free(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy):
            Lease("other-process", tmp_path, "run").acquire()
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    lease = Lease("other-process", tmp_path, "run")
    lease.acquire()
    lease.release()
