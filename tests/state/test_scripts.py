"""Scripts and sensitive values: what they were given and gave is in no file, and a resumed run has it all the same."""

import asyncio

from llmspell.opening import open_async
from tests.script.running import ran
from tests.script.work import interrupted

CANARY = "canary-55d0a1"
SCRIPT = f"""
Hook.register("before_state_set", function(ctx)
  if ctx.data.key ~= "seen" then State.set("seen", ctx.data.key) end
end)
State.set("global", "p", {{ pw = "{CANARY[:6]}" .. "{CANARY[6:]}" }}, {{ class = "sensitive" }})
local p = State.get("p").pw
State.set("global", "x", {{ password = p }}, {{ class = "external" }})
State.set("done", #p)
return State.get("x").password
"""


def files_of(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_script_leaves_its_secrets_in_no_file(tmp_path):
    async def work():
        async with await open_async(tmp_path / "s", durability="process") as store:
            outcome = await ran(store, SCRIPT, name="s.lua")
            assert outcome.error is None, outcome.error
            assert outcome.value == "[REDACTED]"
            assert await store.state.get("p") == {"pw": CANARY}

    asyncio.run(work())
    assert CANARY.encode() not in files_of(tmp_path)


def test_a_run_with_secrets_goes_on_after_every_cut(tmp_path):
    async def resumed(path, run):
        async with await open_async(path, durability="process") as store:
            again = await ran(store, None, resume=run)
            assert again.error is None, again.error
            assert (again.value, await store.state.get("done")) == ("[REDACTED]", len(CANARY))

    async def work():
        for writes in range(3, 9):
            path = tmp_path / f"cut{writes}"
            run = await interrupted(path, SCRIPT, writes, name="s.lua")
            await resumed(path, run)

    asyncio.run(work())
    assert CANARY.encode() not in files_of(tmp_path)
