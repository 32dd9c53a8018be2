"""A process that saves, tags and deletes artifacts of names that other processes work on at the same time.

    python contender.py FACE FOLDER NUMBER ROUNDS DURABILITY

Prints ``ready``, waits for a line on stdin, and at last prints what it was told as one line of JSON. An error that was
not asked for ends it with a traceback.
"""

import asyncio
import json
import random
import sys
from typing import Any

import llmspell
from llmspell.errors import Conflict, NotFound
from llmspell.sync.drive import drive

NAMES = ("one.txt", "two.bin")
"""Here each deletes versions of its own, by number, and brings some of them back."""
SWEPT = "swept.txt"
"""Here everybody deletes all there is, by its name."""
LABELS = ("stable", "best")
UNDELETING_TURNS = 30
"""So long all there was of that name is brought back at times; later that would be thousands of versions each time."""
STRANDS = 4
"""Tasks of a process with the asynchronous face."""


def content(number, strand, turn):
    """Unlike any other; each seventh is large enough for chunks, most of which it shares with the others."""
    return b"%d/%d/%d " % (number, strand, turn) + (random.Random(1).randbytes(40_000) if turn % 7 == 3 else b"")


async def contend(store, number, strand, rounds):
    """One strand's rounds; gives what became of them."""
    chance = random.Random(number * 100 + strand)
    artifacts = (await store.sessions.open("shared")).artifacts
    told: dict[str, Any] = {
        "put": [],
        "live": {name: {} for name in NAMES},
        "swept": 0,
        "tagged": {},
        "set": 0,
        "conflicts": 0,
    }
    for turn in range(rounds):
        name = chance.choice(NAMES)
        own = told["live"][name]
        info = await artifacts.put(name, content(number, strand, turn))
        told["put"].append((name, info.version, turn))
        own[info.version] = turn
        label = chance.choice(LABELS)
        version = chance.choice(list(own))
        assert (await artifacts.tag_version(name, version, label)).version == version
        told["tagged"][f"{name} {label}"] = version
        version = chance.choice(list(own))
        assert await artifacts.delete(name, version=version) == 1
        turn_of = own.pop(version)
        if chance.random() < 0.5:
            assert await artifacts.undelete(name, version=version) == 1
            own[version] = turn_of
        await sweep(artifacts, content(number, strand, turn), turn, chance, told)
        await compare_and_set(store.state, told)
    return told


async def sweep(artifacts, data, turn, chance, told):
    """Save under the name that everybody deletes, and now and then delete whatever has it, or bring it back."""
    told["put"].append((SWEPT, (await artifacts.put(SWEPT, data)).version, 0))
    what = chance.random()
    try:
        if what < 0.2:
            told["swept"] += await artifacts.delete(SWEPT)
        elif what < 0.3 and turn < UNDELETING_TURNS:
            told["swept"] -= await artifacts.undelete(SWEPT)
    except NotFound as error:  # Another was faster, and left nothing to do.
        if error.code != "artifact-not-found":
            raise


async def compare_and_set(state, told):
    """Ask for a conflict, and get one if somebody was faster."""
    entry = await state.entry("contended")
    try:
        await state.set("contended", 0, if_version=0 if entry is None else entry.version)
        told["set"] += 1
    except Conflict:
        told["conflicts"] += 1


def blocking(folder, number, rounds, durability):
    with llmspell.open(folder, durability=durability) as store:
        return [drive(contend(store._store, number, 0, rounds))]


async def looped(folder, number, rounds, durability):
    async with await llmspell.open_async(folder, durability=durability) as store:
        return await asyncio.gather(*(contend(store, number, n, rounds // STRANDS) for n in range(STRANDS)))


def main(face, folder, number, rounds, durability):
    print("ready", flush=True)
    sys.stdin.readline()
    given = folder, int(number), int(rounds), durability
    print(json.dumps(blocking(*given) if face == "sync" else asyncio.run(looped(*given))))


if __name__ == "__main__":
    main(*sys.argv[1:])
