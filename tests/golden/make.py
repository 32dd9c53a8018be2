"""Make the golden store of this version's format: ``python -m tests.golden.make``.

Only while the format is not released. That of a released one is never made again: see README.md.
"""

import asyncio
import json
import os
import tempfile
from pathlib import Path

from llmspell.model.clock import ManualClock
from llmspell.model.ids import SequentialIds
from llmspell.opening import open_async
from llmspell.schema import FORMAT
from tests.golden.content import KEY, fill
from tests.golden.store import KEYS, RECORDED, STORE, digest, dump_tables, folder_of, lines_of, look, pack, recorded

RELEASED = frozenset()
"""Formats that a released version wrote. A release adds its own."""
PACKED_BYTES_MAX = 300_000


async def make(folder):
    """Write a golden store into ``folder``; gives what its rooms answer afterwards."""
    clock, ids = ManualClock(step_ns=1000), SequentialIds()
    async with await open_async(folder, key=KEY, clock=clock, ids=ids) as store:
        await fill(store, clock)
    async with await open_async(folder, key=KEY, clock=clock, read_only=True) as store:
        report = await store.verify()
        assert report.ok, [finding.what for finding in report.findings]
        return await look(store)


def main():
    """Make, pack and record it."""
    if FORMAT in RELEASED:
        raise SystemExit(f"format {FORMAT} is released: its golden store is never made again")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / STORE
        os.environ["LLMSPELL_KEYS"] = str(Path(scratch) / KEYS)
        seen = asyncio.run(make(folder))
        packed = pack(Path(scratch))
        dump = list(lines_of(dump_tables(folder), seen))
    if len(packed) > PACKED_BYTES_MAX:
        raise SystemExit(f"the packed store has {len(packed)} bytes; it may have {PACKED_BYTES_MAX}")
    target = folder_of(FORMAT)
    target.mkdir(exist_ok=True)
    (target / "store.zip").write_bytes(packed)
    (target / "dump.jsonl").write_text("\n".join(dump) + "\n", "utf-8")
    known = recorded() if RECORDED.is_file() else {}
    known[FORMAT] = digest(FORMAT)
    RECORDED.write_text(json.dumps({str(number): known[number] for number in sorted(known)}, indent=1) + "\n", "utf-8")
    print(f"format {FORMAT}: {len(packed)} bytes packed, {len(dump)} lines of dump")


if __name__ == "__main__":
    main()
