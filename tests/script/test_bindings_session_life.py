"""Session functions of many and of whole sessions, from Lua."""

import asyncio

import llmspell
from llmspell.script.grants import Grants
from llmspell.script.host import run_script

SOURCE = """
Session.set_template('t', {tags = {'a'}, state = {n = 1}})
local id = Session.create{name = 'made', template = 't'}
local saved = Session.saveAllActive()
local done = Session.create{name = 'done'}
Session.complete(done)
local plan = Session.cleanup{max_count = 0, dry_run = true}
local report = Session.cleanup{max_count = 0}
local came = Session.import(args.path, {on_conflict = 'rename'})
return {tags = Session.get(id).tags, saved = #saved, plan = #plan.deleted, deleted = #report.deleted,
        came = came.outcome, templates = Session.templates().t.tags[1]}
"""


def test_lua_saves_cleans_imports_and_uses_templates(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "s", durability="process") as store:
            session = await store.sessions.create("x")
            await store.sessions.export(session.id, tmp_path / "b")
            outcome = await run_script(
                store, SOURCE, name="life.lua", args={"path": str(tmp_path / "b")}, grants=Grants((tmp_path,))
            )
            return outcome.value if hasattr(outcome, "value") else outcome

    value = asyncio.run(main())
    assert value == {
        "tags": ["a"], "saved": 3, "plan": 1, "deleted": 1, "came": "renamed", "templates": "a",
    }  # fmt: skip
