"""Four processes write to one store at once: nothing is lost, versions are contiguous, the chain holds."""

import json
import subprocess
import sys

import pytest

import llmspell

pytestmark = pytest.mark.crash

PROCESSES, ROUNDS = 4, 60
WRITER = """
import json, sys, asyncio, llmspell
folder, number, rounds, face, durability = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()

def blocking():
    with llmspell.open(folder, durability=durability) as store:
        session = store.sessions.open("shared")
        versions = []
        for n in range(rounds):
            store.state.set(f"own-{number}-{n}", n)
            store.state.update("count", lambda v: (v or 0) + 1)
            versions.append(session.artifacts.put("shared.txt", f"{number}/{n}").version)
            store.events.publish("tick", {"process": number, "n": n})
        return versions

async def looped():
    async with await llmspell.open_async(folder, durability=durability) as store:
        session = await store.sessions.open("shared")
        async def one(n):
            await store.state.set(f"own-{number}-{n}", n)
            await store.state.update("count", lambda v: (v or 0) + 1)
            await store.events.publish("tick", {"process": number, "n": n})
            return (await session.artifacts.put("shared.txt", f"{number}/{n}")).version
        return await asyncio.gather(*(one(n) for n in range(rounds)))

print(json.dumps(blocking() if face == "sync" else asyncio.run(looped())))
"""


@pytest.mark.parametrize("durability", ["full", "process"])
def test_four_processes_lose_nothing_and_number_versions_without_gaps(tmp_path, durability):
    folder = tmp_path / "store"
    with llmspell.open(folder) as store:
        store.sessions.create("shared")
        before = store.stats()["last_seq"]
    faces = ["sync", "async", "sync", "async"]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(number), str(ROUNDS), faces[number], durability],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    outs = [writer.communicate(timeout=100)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * PROCESSES
    total = PROCESSES * ROUNDS
    versions = sorted(version for out in outs for version in json.loads(out))
    assert versions == list(range(1, total + 1))
    with llmspell.open(folder) as store:
        assert store.state.get("count") == total
        assert len(store.state.keys(prefix="own-")) == total
        contents = {
            store.artifacts.get(info.id).text()
            for info in store.sessions.open("shared").artifacts.versions("shared.txt")
        }
        assert contents == {f"{number}/{n}" for number in range(PROCESSES) for n in range(ROUNDS)}
        with store.events.subscribe("tick", from_position="start") as subscription:
            seen = [subscription.receive(timeout_s=20) for _ in range(total)]
        assert [event.seq for event in seen] == sorted(event.seq for event in seen)
        for number in range(PROCESSES):
            mine = sorted(event.data["n"] for event in seen if event.data["process"] == number)
            assert mine == list(range(ROUNDS))
        report = store.verify()
        assert report.ok, report.findings
        assert report.checked["entries"] == before + 4 * total
