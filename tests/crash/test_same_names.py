"""Eight processes save, tag and delete artifacts of the same names: versions are contiguous, nobody meets an error that
was not asked for, and nothing is lost.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import llmspell
from tests.crash.contender import LABELS, NAMES, STRANDS, SWEPT, content

pytestmark = pytest.mark.crash

PROCESSES = 8
CONTENDER = Path(__file__).with_name("contender.py")


def contend(folder, rounds, durability, deadline_s):
    """What every strand of every process was told: (process, strand) and what it had done."""
    running = [
        subprocess.Popen(
            [sys.executable, "-B", str(CONTENDER), ("sync", "async")[number % 2], str(folder), str(number),
             str(rounds), durability],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    outs = [process.communicate(timeout=deadline_s)[0] for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES
    return {(number, strand): told for number, out in enumerate(outs) for strand, told in enumerate(json.loads(out))}


def is_what_they_were_told(store, told):
    artifacts = store.sessions.open("shared").artifacts
    for name in (*NAMES, SWEPT):
        given = sorted(version for one in told.values() for put, version, _ in one["put"] if put == name)
        assert given == list(range(1, len(given) + 1)), "a version was given twice, or never"
        live = [info.version for info in artifacts.versions(name)] if name != SWEPT else left(artifacts)
        deleted = [info.version for info in artifacts.deleted(name=name)]
        assert sorted([*live, *deleted]) == given, "a version was lost"
    for name in NAMES:
        wanted = {
            int(version): content(number, strand, turn)
            for (number, strand), one in told.items() for version, turn in one["live"][name].items()
        }  # fmt: skip
        assert {info.version: store.artifacts.get(info.id).read() for info in artifacts.versions(name)} == wanted
        for label, version in artifacts.labels(name).items():
            assert version in {one["tagged"].get(f"{name} {label}") for one in told.values()}
        assert artifacts.labels(name).keys() <= set(LABELS)
    assert len(artifacts.deleted(name=SWEPT)) == sum(one["swept"] for one in told.values())
    assert store.state.entry("contended").version == sum(one["set"] for one in told.values())


def left(artifacts):
    try:
        return [info.version for info in artifacts.versions(SWEPT)]
    except llmspell.NotFound:
        return []


def is_whole(store):
    report = store.verify()
    assert report.ok, report.findings
    store.collect()
    orphans = store.orphans()
    assert (orphans.content_count, orphans.chunks, orphans.in_progress) == (0, 0, False)
    artifacts = store.sessions.open("shared").artifacts
    for name in NAMES:
        if artifacts.deleted(name=name):
            artifacts.undelete(name)
        versions = artifacts.versions(name)
        assert [info.version for info in versions] == list(range(1, len(versions) + 1))
        assert all(len(store.artifacts.get(info.id).read()) == info.size for info in versions)


@pytest.mark.parametrize(
    ("rounds", "durability"),
    [
        (24, "process"),
        (12, "full"),
        pytest.param(1000, "process", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        pytest.param(1000, "full", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_eight_processes_on_the_same_names_lose_nothing(tmp_path, rounds, durability):
    folder = tmp_path / "store"
    with llmspell.open(folder) as store:
        store.sessions.create("shared")
    told = contend(folder, rounds, durability, 100 if rounds < 100 else 1700)
    assert len(told) == PROCESSES // 2 * (1 + STRANDS)
    assert sum(len(one["put"]) for one in told.values()) == PROCESSES * rounds * 2
    with llmspell.open(folder) as store:
        is_what_they_were_told(store, told)
        is_whole(store)
