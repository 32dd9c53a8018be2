"""Scripts and sensitive values: what they were given and gave is in no file, and a resumed run has it all the same."""

import asyncio

import pytest

from llmspell.model.scope import Scope
from llmspell.opening import open_async
from tests.script.running import failure, ran
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


RULE = f"""
local made = State.set_default_class("agent:a", "sensitive")
State.set("agent:a", "k", "{CANARY[:6]}" .. "{CANARY[6:]}")
return {{made, State.setDefaultClass("agent:a", "sensitive"), State.default_class("agent:a"), State.getDefaultClass()}}
"""


def test_a_script_says_how_new_keys_of_a_scope_are_kept_and_it_holds_for_good(tmp_path):
    async def work():
        async with await open_async(tmp_path / "s", durability="process") as store:
            outcome = await ran(store, RULE, name="s.lua")
            assert outcome.error is None, outcome.error
            assert outcome.value == [True, False, "sensitive", "standard"]
        assert CANARY.encode() not in files_of(tmp_path)
        async with await open_async(tmp_path / "s", durability="process") as store:
            again = 'State.set("agent:a", "k2", "' + CANARY + '") return State.default_class("agent:a")'
            assert (await ran(store, again)).value == "sensitive"
            state = store.state_of(Scope.agent("a"))
            entries = [await state.entry(key) for key in ("k", "k2")]
            assert [(one.state_class, one.value) for one in entries] == [("sensitive", CANARY)] * 2
            ended = 'return {State.set_default_class("agent:a", "standard"), State.set_default_class("external")}'
            assert (await ran(store, ended)).value == [True, True]
            assert (await state.default_class(), await store.state.default_class()) == ("standard", "external")

    asyncio.run(work())


def test_a_rule_that_a_script_sets_is_made_once_wherever_it_is_cut(tmp_path):
    async def work():
        for writes in range(2, 8):
            path = tmp_path / f"cut{writes}"
            run = await interrupted(path, RULE, writes, name="s.lua")
            async with await open_async(path, durability="process") as store:
                again = await ran(store, None, resume=run)
                assert again.error is None, again.error
                assert again.value == [True, False, "sensitive", "standard"], writes
                assert again.kinds.count("state.default_set") == 1

    asyncio.run(work())


@pytest.mark.parametrize(
    ("call", "code"),
    [("('agent:a', 'ephemeral')", "invalid-class"), ("('agent:a', 'secret')", "invalid-class"),
     ("()", "invalid-argument"), ("('agent:', 'sensitive')", "invalid-scope"), ("('agent:a', 5)", "invalid-argument")],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused_by_name(call, code):
    assert failure(f"State.set_default_class{call}").code == code
