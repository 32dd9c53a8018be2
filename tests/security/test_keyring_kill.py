"""A process killed, or a machine that lost power, at each system call of each operation leaves a whole keyring."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("keyring_killed.py")
CALLS_MIN = {"create": 10, "make": 8, "settle": 10, "shred": 20, "erase": 20, "rotate": 20}


@pytest.mark.parametrize("mode", ["before", "after", "half", "power"])
@pytest.mark.parametrize("operation", CALLS_MIN)
def test_a_kill_at_any_call_leaves_the_keyring_as_before_or_as_after(tmp_path, operation, mode):
    ran = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, operation, mode], capture_output=True, text=True, timeout=90, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= CALLS_MIN[operation]
