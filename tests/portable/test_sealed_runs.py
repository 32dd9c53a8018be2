"""A run whose record is sealed in part goes on where its session comes back from an encrypted archive."""

import asyncio

import pytest

import llmspell
from llmspell import RetentionPolicy
from llmspell.errors import ScriptFailed
from llmspell.script.host import run_script

KEY = bytes(range(32))
SCRIPT = """
State.set("global", "token", "hush", {state_class = 'sensitive'})
local token = State.get('token')
error('stop')
return token
"""


def test_a_sealed_record_of_a_run_is_archived_with_a_key_only_and_resumed_from_there(tmp_path):
    async def work():
        async with await llmspell.open_async(tmp_path / "store", durability="process") as store:
            with pytest.raises(ScriptFailed) as failed:
                await run_script(store, SCRIPT, name="s.lua")
            (info,) = (await store.sessions.list()).items
            policy = RetentionPolicy(max_count=0, archive_to=tmp_path / "archive")
            report = await store.sessions.cleanup(policy)
            assert report.codes == {info.id: "archive-needs-key"}
            (path,) = (await store.sessions.cleanup(policy, archive_key=KEY)).archived
            assert (await store.sessions.list()).items == []
            await store.sessions.import_(path, key=KEY)
            changed = SCRIPT.replace("error('stop')", "")
            done = await run_script(store, changed, resume=failed.value.details["run"], changed_source=True)
            return done.value

    assert asyncio.run(work()) == "hush"


def test_a_fork_is_archived_without_a_key_when_what_is_sealed_stays_with_its_origin(tmp_path):
    async def work():
        async with await llmspell.open_async(tmp_path / "store", durability="process") as store:
            with pytest.raises(ScriptFailed):
                await run_script(store, SCRIPT, name="s.lua")
            (info,) = (await store.sessions.list()).items
            fork = await store.sessions.fork(info.id)
            await fork.complete()
            policy = RetentionPolicy(max_count=0, statuses=["completed"], archive_to=tmp_path / "archive")
            plan = await store.sessions.cleanup(policy, dry_run=True)
            report = await store.sessions.cleanup(policy)
            return plan.codes, report.codes, len(report.archived), [one["id"] for one in report.deleted] == [fork.id]

    assert asyncio.run(work()) == ({}, {}, 1, True)
