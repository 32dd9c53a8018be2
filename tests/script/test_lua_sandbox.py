"""Every attack runs in a process of its own that is killed at a deadline: a hang or a crash fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.script.attack_ends import Stopped
from tests.script.attacks import ATTACKS

DEADLINE_S = 30
PEAK_MIB = 400
RUNNER = Path(__file__).with_name("attempt.py")


def attempt(version, source):
    process = subprocess.run(
        [sys.executable, RUNNER, version], input=source, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout)


def check(version, name):
    source, expected = ATTACKS[name]
    outcome = attempt(version, source)
    if isinstance(expected, Stopped):
        assert outcome.get("code", outcome.get("value")) in expected.codes, outcome
    else:
        assert outcome.get("value") == expected, outcome
    assert outcome["peak_mib"] < PEAK_MIB


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_ends_within_the_sandbox_of_lua_55(name):
    check("5.5", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_ends_within_the_sandbox_of_lua_54(name):
    check("5.4", name)
