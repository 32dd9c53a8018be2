"""SIGKILL in the middle of a script, again and again, each time in a process of another hash seed and time zone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell.opening import open_async
from tests.script.running import ran
from tests.script.work import WORK, everything, last_run, normal

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).resolve().parents[2]
ATTEMPTS_MAX = 60


def child(path, run, kill_at, when, number):
    environment = os.environ | {
        "PYTHONHASHSEED": str(number * 7919 % 4096), "TZ": ("UTC", "Asia/Tokyo", "America/New_York")[number % 3],
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, str(CHILD), str(path), run, str(kill_at), when], input=WORK, capture_output=True, text=True,
        env=environment, check=False, timeout=100,
    )  # fmt: skip


async def begun(path):
    async with await open_async(path) as store:
        return await last_run(store)


@pytest.mark.parametrize("first, every, when", [(3, 5, "after"), (6, 9, "before")])
def test_killed_every_few_writes_a_script_comes_to_the_end_it_has_unkilled(tmp_path, first, every, when):
    async def uncut():
        async with await open_async(tmp_path / "whole", durability="process") as store:
            return (await ran(store, WORK, name="work.lua")).value

    value = asyncio.run(uncut())
    wanted = normal(asyncio.run(everything(tmp_path / "whole")))
    path = tmp_path / "killed"
    done = child(path, "-", first, when, 0)
    kills = 0
    for number in range(1, ATTEMPTS_MAX):
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        done = child(path, asyncio.run(begun(path)), every, when, number)
    assert done.returncode == 0, done.stderr
    assert kills >= 4
    assert json.loads(done.stdout) == value
    assert normal(asyncio.run(everything(path))) == wanted
