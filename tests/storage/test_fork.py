"""A forked child uses nothing of its parent's store: it is refused, also to open it, and the parent goes on."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")

CHILD = """
import os, sys, threading, warnings
import llmspell
warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forking with threads: that is what is tested

folder, where = sys.argv[1], sys.argv[2]
store = llmspell.open(folder if where == "file" else ":memory:")
store.state.set("a", 1)
session = store.sessions.create("s")
large = os.urandom(200_000)
session.artifacts.put("large.bin", large)
hold = sys.argv[3] == "hold"
engine = store._store._files.engine
if hold:  # another thread of the parent is in the middle of a write
    engine.turn.acquire()
    writer = threading.Thread(target=store.state.set, args=("b", 2))
    writer.start()
    while not repr(store._store._database._mutex).startswith("<locked"):
        pass

child = os.fork()
if child == 0:
    codes = set()
    for call in (
        lambda: store.state.set("a", 2),
        lambda: store.state.get("a"),
        lambda: store.state.keys(),
        lambda: store.sessions.list(),
        lambda: session.artifacts.put("x", b"x"),
        lambda: session.artifacts.put("y", os.urandom(200_000)),
        lambda: store.timeline(),
    ):
        try:
            call()
            codes.add("allowed")
        except llmspell.LlmspellError as exc:
            codes.add(exc.code)
    status = 0 if codes == {"forked"} else 1
    if status:
        print("the child met", codes, file=sys.stderr)
    store.close()
    if where == "file":
        for read_only in (False, True):
            try:
                llmspell.open(folder, read_only=read_only)
            except llmspell.StorageFailed as exc:
                assert exc.code == "forked"
            else:
                status = 1
                print("the child opened a file whose locks it only believes to have", file=sys.stderr)
        with llmspell.open(folder + " of its own") as own:
            own.state.set("child", 1)
    os._exit(status)

_, status = os.waitpid(child, 0)
if hold:
    engine.turn.release()
    writer.join()
    assert store.state.get("b") == 2
assert os.waitstatus_to_exitcode(status) == 0, "the child failed"
store.state.set("a", 3)
assert store.state.get("a") == 3
assert session.artifacts.get("large.bin").read() == large
assert store.verify().ok
store.close()
"""


@pytest.mark.parametrize("where,hold", [("file", "free"), ("file", "hold"), ("memory", "free")])
def test_a_forked_child_is_refused_and_the_parent_goes_on(tmp_path, where, hold):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "s"), where, hold],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


CLOSED = """
import os, sys
import llmspell

llmspell.open(sys.argv[1]).close()
child = os.fork()
if child == 0:
    with llmspell.open(sys.argv[1]) as store:
        store.state.set("child", 1)
    os._exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, "the child failed"
with llmspell.open(sys.argv[1]) as store:
    assert store.state.get("child") == 1
"""


def test_a_store_that_was_closed_before_the_fork_is_opened_in_the_child(tmp_path):
    command = [sys.executable, "-c", CLOSED, str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
