"""A process that runs or resumes a script and kills itself at its n-th write: ``child.py STORE RUN|- KILL_AT WHEN``."""

import asyncio
import json
import os
import signal
import sys

from llmspell.opening import open_async
from llmspell.script.host import run_script


class Deadly:
    """A store's database whose ``n``-th write is the last thing this process does: ``before`` or ``after`` it."""

    def __init__(self, database, n, when):
        self._database = database
        self._left = n
        self._when = when

    def __getattr__(self, name):
        return getattr(self._database, name)

    async def write(self, unit, *, strong=False):
        self._left -= 1
        if self._left == 0 and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        value = await self._database.write(unit, strong=strong)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return value


async def main(path, run, kill_at, when):
    async with await open_async(path, durability="process") as store:
        store.journal.database = Deadly(store.journal.database, int(kill_at), when)
        if run == "-":
            result = await run_script(store, sys.stdin.read(), name="work.lua")
        else:
            result = await run_script(store, None, resume=run)
        print(json.dumps(result.value))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
