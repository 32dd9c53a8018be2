"""Processes that put and delete overlapping contents while two others collect without pause: no acknowledged artifact
loses a byte, and in the end nothing is left over.
"""

import json
import subprocess
import sys

import pytest

import llmspell

pytestmark = pytest.mark.crash

WRITERS, COLLECTORS, TURNS = 3, 2, 25
WRITER = """
import json, random, sys, llmspell
from llmspell.adapters.sqlite import content_appender
content_appender.PACK_FROM_BYTES = content_appender.FILE_SLICE_BYTES = 50_000  # So that there are packs.
folder, number, turns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
base = random.Random(0).randbytes(400_000)
chance = random.Random(number)
print("ready", flush=True); sys.stdin.readline()
kept = {}
with llmspell.open(folder, durability="process") as store:
    session = store.sessions.open("shared")
    for turn in range(turns):
        start, cut = chance.randrange(100_000), chance.randrange(300_000)
        data = base[start:cut + 100_000] + b"%d/%d" % (number, turn) + base[cut:]
        info = session.artifacts.put(f"{number}-{turn}", data)
        if chance.random() < 0.7:
            session.artifacts.delete(info.id, hard=True)
        else:
            kept[info.id] = info.digest
print(json.dumps(kept))
"""
COLLECTOR = """
import sys, threading, llmspell
from llmspell.errors import Busy
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
removed = 0
with llmspell.open(sys.argv[1], durability="process") as store:
    print("ready", flush=True)
    while not stop.is_set():
        try:
            removed += store.collect().chunks
        except Busy as busy:
            assert busy.code == "collect-running", busy
            stop.wait(0.01)
print(removed)
"""


def start(code, *args):
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_no_acknowledged_artifact_loses_a_byte_to_a_collect_of_another_process(tmp_path):
    folder = tmp_path / "store"
    with llmspell.open(folder) as store:
        store.sessions.create("shared")
    collectors = [start(COLLECTOR, folder) for _ in range(COLLECTORS)]
    writers = [start(WRITER, folder, number, TURNS) for number in range(WRITERS)]
    for process in writers:
        process.stdin.write("go\n")
        process.stdin.flush()
    kept = {}
    for process in writers:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        kept |= json.loads(out)
    removed = 0
    for process in collectors:
        out, _ = process.communicate("stop\n", timeout=120)
        assert process.returncode == 0
        removed += int(out)
    assert removed > 0, "nothing was collected meanwhile: it proves nothing"
    with llmspell.open(folder) as store:
        report = store.verify()
        assert report.ok, [finding.what for finding in report.findings]
        for artifact, digest in kept.items():
            content = store.artifacts.get(artifact)
            assert content.info.digest == digest
            assert len(content.read()) == content.info.size
        store.collect()
        orphans = store.orphans()
        assert (orphans.content_count, orphans.chunks, orphans.files) == (0, 0, [])
        assert store.verify().ok
