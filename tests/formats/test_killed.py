"""kill -9 at every write-side call of a migration: the store has the old format or the newest, and all its data."""

import shutil
import subprocess
import sys

import pytest

import llmspell
from tests.crash import sweep
from tests.formats import migrated
from tests.formats.migrated import CHAIN, number, opened, rows, told
from tests.formats.test_migrations import is_whole

pytestmark = pytest.mark.crash

SLICE = 5
"""In the ordinary run every fifth call is tried."""
DEADLINE_S = 60


@pytest.fixture(autouse=True)
def _strace():
    reason = sweep.missing()
    if reason is not None:
        pytest.skip(reason)


def killed(folder, nth):
    """Whether the process that migrates the store came to its ``nth`` write-side call, and so was killed at it."""
    command = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={sweep.WRITES}",
               "-e", f"inject={sweep.WRITES}:signal=KILL:when={nth}",
               sys.executable, "-B", migrated.__file__, str(folder), "now"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False, timeout=DEADLINE_S)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode in (0, -9, 137), done.returncode
    return done.returncode != 0


def check(folder):
    """Main is of format 1 or 4, content of 1 or 3 and never behind main, and the next opening makes it whole."""
    formats = number(folder), number(folder, "content.db")
    assert formats in {(1, 1), (1, 3), (4, 3)}, formats
    columns = [row[1] for row in rows(folder, "PRAGMA table_info(meta)")]
    assert ("note" in columns) == (formats[0] == 4)
    if formats == (1, 1):
        with llmspell.open(folder) as store:
            assert is_whole(store)
    with opened(folder, CHAIN) as store:
        assert told(store) == [(1, 4)]
        assert is_whole(store)
    return formats


def sweep_all(folder, tmp_path, start, step):
    """Kill later and later until a run ends by itself; gives the formats that were found."""
    found, nth = set(), start
    while True:
        copy = tmp_path / f"at-{nth}"
        shutil.copytree(folder, copy)
        was_killed = killed(copy, nth)
        found.add(check(copy))
        shutil.rmtree(copy)
        if not was_killed:
            return found
        nth += step


def test_a_migration_killed_at_any_write_is_whole_or_did_not_happen(folder, tmp_path):
    assert sweep_all(folder, tmp_path, 3, SLICE) >= {(1, 1), (4, 3)}


@pytest.mark.slow
def test_a_migration_killed_at_each_write_is_whole_or_did_not_happen(folder, tmp_path):
    assert sweep_all(folder, tmp_path, 1, 1) == {(1, 1), (1, 3), (4, 3)}
