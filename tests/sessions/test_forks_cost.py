"""What a fork costs does not depend on its history, other sessions pay nothing, and other processes see it at once."""

import subprocess
import sys

import pytest

import llmspell
from tests.rooms.conftest import sql

ROWS_BYTES_MAX = 4096
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"


def bytes_of_rows(run):
    """Bytes in the columns of all rows of all tables."""
    total = 0
    for (name,) in run(_TABLES).fetchall():
        columns = [row[1] for row in run(f"PRAGMA table_info({name})").fetchall()]
        if columns:
            sizes = " + ".join(f"coalesce(octet_length({column}), 0)" for column in columns)
            total += run(f"SELECT coalesce(sum({sizes}), 0) FROM {name}").fetchone()[0]  # noqa: S608 - names of our own schema
    return total


@pytest.mark.parametrize("entries", [10, 3000])
def test_a_fork_is_as_few_rows_whatever_its_history(face, store, entries):
    origin = store.sessions.create("origin", description="d" * 100, metadata={"k": "v" * 100})
    for number in range(0, entries, 500):
        origin.state.set_many({f"key {number + one}": one for one in range(min(500, entries))})
    run = sql(face, store)
    before, last = bytes_of_rows(run), store.stats()["last_seq"]
    store.sessions.fork(origin.id)
    assert store.stats()["last_seq"] == last + 1
    assert 0 < bytes_of_rows(run) - before <= ROWS_BYTES_MAX


def test_a_session_that_is_no_fork_asks_nothing_more_for_what_it_does(face, store):
    plain, origin = store.sessions.create("plain"), store.sessions.create("origin", state={"k": 1})
    fork = store.sessions.fork(origin.id)
    fork.state.get("k")
    connection = face.core(store)._files.engine.writer
    asked = []

    def trace(_, statement, __):
        asked.append(statement)
        return True

    for one in (plain, origin):
        one.state.set("warm", 1)
        connection.exec_trace = trace
        one.state.set("warm", 2)
        connection.exec_trace = None
    assert len(asked) > 4
    assert not [statement for statement in asked if "fork_level" in statement]


CHILD = """
import sys, llmspell
with llmspell.open(sys.argv[1]) as store:
    fork = store.sessions.open(sys.argv[2])
    print(fork.state.get("k"), fork.artifacts.get("a").text(), sorted(fork.state.keys()))
    fork.state.set("from child", 1)
    print(store.sessions.fork(fork.id, name="of child").id)
"""


def test_another_process_sees_a_fork_and_what_it_forks_is_seen_here(tmp_path):
    with llmspell.open(tmp_path / "store") as store:
        origin = store.sessions.create("origin", state={"k": 1})
        origin.artifacts.put("a", b"text")
        fork = store.sessions.fork(origin.id)
        origin.state.set("k", 2)
        done = subprocess.run(
            [sys.executable, "-c", CHILD, tmp_path / "store", fork.id], capture_output=True, text=True, check=True,
            timeout=60,
        )  # fmt: skip
        first, second = done.stdout.splitlines()
        assert first == "1 text ['k']"
        assert fork.state.get("from child") == 1
        of_child = store.sessions.open(second)
        assert of_child.state.items() == [("from child", 1), ("k", 1)]
        fork.state.set("from child", 2)
        assert of_child.state.get("from child") == 1
        assert store.verify().ok
