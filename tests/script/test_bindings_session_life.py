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


def test_lua_sets_a_policy_that_lasts_and_shreds_a_session(tmp_path):
    source = """
    local none = Session.retention()
    Session.set_retention{max_age_s = 3600, statuses = {'completed'}, every_s = 60}
    local set = Session.get_retention()
    local doomed = Session.create{name = 'doomed', state = {k = 'secret text'}}
    local ok, e = pcall(Session.shred, doomed)
    Session.complete(doomed)
    local plan = Session.shred('doomed', {dry_run = true})
    local done = Session.shred(doomed)
    local _, every = pcall(Session.setRetention, {every_s = 60})
    return {next(none) == nil, set.max_age_s, set.every_s, set.statuses[1], e.code, plan.dry_run, plan.state_keys,
      done.state_keys, every.code}
    """

    async def main():
        async with await llmspell.open_async(tmp_path / "s", durability="process") as store:
            return (await run_script(store, source)).value

    assert asyncio.run(main()) == [
        True, 3600, 60, "completed", "session-active", True, 1, 1, "invalid-policy",
    ]  # fmt: skip
    with llmspell.open(tmp_path / "s") as store:
        policy = store.sessions.retention()
        assert (policy.max_age_s, policy.every_s, policy.statuses) == (3600, 60, ("completed",))
        assert store.sessions.list(name="doomed").items == []
        assert "session.shredded" in {entry.kind for entry in store.timeline(limit=500)}
        assert store.verify().ok


def test_a_policy_is_taken_away_by_lua(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "s", durability="process") as store:
            await run_script(store, "Session.set_retention{max_count = 3} Session.set_retention()")

    asyncio.run(main())
    with llmspell.open(tmp_path / "s") as store:
        assert store.sessions.retention() is None
