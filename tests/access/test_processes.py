"""What one process changes about access holds in every other one, at once; and what is owed to the audit is kept."""

import subprocess
import sys

import pytest

import llmspell
from llmspell.errors import AccessDenied
from llmspell.model.scope import Scope

pytestmark = pytest.mark.crash

WAIT_S = 100
READER = """
import sys, llmspell
from llmspell.model.scope import Scope
with llmspell.open(sys.argv[1]) as store:
    board = store.acting_as("agent:b").state_of(Scope.agent("a"))
    for line in sys.stdin:
        try:
            print(board.get("k"), flush=True)
        except llmspell.AccessDenied as error:
            print(error.code, flush=True)
"""
DENIED = """
import os, signal, sys, llmspell
from llmspell.model.scope import Scope
store = llmspell.open(sys.argv[1])
b = store.acting_as("agent:b")
for name in ("x", "y"):
    try:
        b.state_of(Scope.agent(name)).get("k")
    except llmspell.AccessDenied:
        pass
os.kill(os.getpid(), signal.SIGKILL)
"""
MANY = """
import sys, llmspell
from llmspell.model.scope import Scope
name, count = sys.argv[2], int(sys.argv[3])
with llmspell.open(sys.argv[1], durability="process") as store:
    owner = store.acting_as(f"agent:{name}")
    for n in range(count):
        owner.access.grant("agent:guest", f"agent:{name}", {"read", "write"})
        owner.access.revoke("agent:guest", f"agent:{name}", {"write"} if n == count - 1 else None)
"""


def test_another_process_learns_of_every_change_before_its_next_read(tmp_path):
    folder = str(tmp_path / "store")
    with llmspell.open(folder) as store:
        store.state_of(Scope.agent("a")).set("k", "of a")
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

        def asked():
            reader.stdin.write("read\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        try:
            assert asked() == "access-denied"
            store.access.grant("agent:b", "agent:a", {"read"})
            assert asked() == "of a"
            store.access.cut_off("agent:b")
            assert asked() == "principal-cut-off"
            store.access.restore("agent:b")
            assert asked() == "of a"
            store.access.revoke("agent:b", "agent:a")
            assert asked() == "access-denied"
            store.access.set_boundary("agent:a", "read-only")
            assert asked() == "of a"
            store.access.set_boundary("agent:a", "strict")
            assert asked() == "access-denied"
        finally:
            reader.stdin.close()
            assert reader.wait(WAIT_S) == 0
            reader.stdout.close()
        actions = {record.action for record in store.access.audit(principal="agent:b")}
        assert actions == {"granted", "revoked", "cut_off", "restored", "used", "denied"}
        assert store.verify().ok


def test_a_refusal_is_in_the_journal_although_the_process_is_killed_right_after_it(tmp_path):
    folder = str(tmp_path / "store")
    with llmspell.open(folder):
        pass
    killed = subprocess.run([sys.executable, "-c", DENIED, folder], timeout=WAIT_S, check=False)
    assert killed.returncode == -9
    with llmspell.open(folder) as store:
        assert {one.scope for one in store.access.audit() if one.action == "denied"} == {"agent:x", "agent:y"}
        assert store.verify().ok


def test_repeated_refusals_are_counted_and_none_is_lost(tmp_path):
    with llmspell.open(tmp_path / "store") as store:
        b = store.acting_as("agent:b")
        for _ in range(500):
            with pytest.raises(AccessDenied):
                b.state_of(Scope.agent("a")).get("k")
    with llmspell.open(tmp_path / "store") as store:
        records = store.access.audit(principal="agent:b").items
        assert sum(one.count for one in records) == 500
        assert len(records) < 100


def test_grants_of_several_processes_leave_one_truth(tmp_path):
    folder = str(tmp_path / "store")
    with llmspell.open(folder):
        pass
    names = ["one", "two"]
    granting = [subprocess.Popen([sys.executable, "-c", MANY, folder, name, "40"]) for name in names]
    assert [one.wait(WAIT_S) for one in granting] == [0, 0]
    with llmspell.open(folder) as store:
        held = {(one.scope, one.rights) for one in store.access.grants(principal="agent:guest")}
        assert held == {("agent:one", ("read",)), ("agent:two", ("read",))}
        assert store.verify().ok


def test_a_handle_that_only_reads_checks_as_well_and_writes_nothing(tmp_path):
    with llmspell.open(tmp_path / "store") as store:
        store.state_of(Scope.agent("a")).set("k", 1)
        store.access.grant("agent:b", "agent:a", {"read"})
        before = store.stats()["last_seq"]
    with llmspell.open(tmp_path / "store", read_only=True) as store:
        assert store.acting_as("agent:b").state_of(Scope.agent("a")).get("k") == 1
        with pytest.raises(AccessDenied):
            store.acting_as("agent:c").state_of(Scope.agent("a")).get("k")
        assert store.stats()["last_seq"] == before
