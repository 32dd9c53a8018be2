"""A script with hooks, events, artifacts and sessions, and what is to be compared after it was interrupted."""

import asyncio

from llmspell.model.ids import id_text
from llmspell.opening import open_async
from tests.script.running import dies_after, effects_of, ran

WORK = """
local seen = 0
Hook.register('after_event_publish', function(ctx)
  local n = (State.get('custom:log', 'n') or 0) + 1
  State.set('custom:log', 'n', n)
  State.set('custom:log', 'item' .. n, ctx.data.data)
  seen = seen + 1
end)
Hook.register('before_state_set', function(ctx)
  if ctx.data.scope ~= 'global' then return end
  local c = (State.get('custom:count', 'c') or 0) + 1
  State.set('custom:count', 'c', c)
  return {type = 'modified', data = {value = {v = ctx.data.value, c = c}}}
end)
local child = Session.create{name = 'child', state = {x = 1}}
Session.setCurrent(child)
Artifact.store(nil, 'data', 'a.txt', string.rep('long text ', 1000))
Session.setCurrent(nil)
local ids = {}
local sub = Event.subscribe('tick.*')
for i = 1, 2 do
  State.set('k' .. i, math.random(1000000))
  Event.publish('tick.n', i)
  ids[#ids + 1] = Event.receive(sub, 5000).data
  local r = Artifact.store('', 'data', 'r.txt', 'version ' .. i .. string.rep('x', 2000))
  ids[#ids + 1] = #Artifact.get(r).content
  State.delete('k' .. i - 1)
end
State.set_many('custom:x', {a = 1, b = 2})
Session.complete(child)
State.set('done', {ids = ids, seen = seen})
return {ids = ids, seen = seen, clock = os.time() > 0}
"""


async def interrupted(path, source, writes, **options):
    """A run on a store that takes only so many writes; the run's id if it had begun."""
    async with await open_async(path, durability="process") as store:
        await store.state.exists("x")
        dies_after(store, writes)
        outcome = await ran(store, source, **options)
        assert outcome.error is not None
        return await last_run(store)


async def last_run(store):
    rows = await store.journal.database.read(
        lambda view: view.all("SELECT id FROM run ORDER BY started_seq DESC LIMIT 1")
    )
    return id_text(rows[0][0]) if rows else None


async def resumed(path, target, **options):
    async with asyncio.timeout(60), await open_async(path, durability="process") as store:
        return await ran(store, None, resume=target, **options)


async def everything(path):
    async with await open_async(path) as store:
        entries = (await store.timeline(limit=10_000)).items
        report = await store.verify()
        assert report.ok, report.findings
        return effects_of(entries)


def normal(effects):
    """Effects but for what chance decides: random values, and the ids of sessions in scopes."""

    def plain(about):
        scope = {"scope": about["scope"].partition(":")[0]} if about.get("scope", "").startswith("session:") else {}
        return {name: value for name, value in about.items() if name != "value"} | scope

    return [(kind, plain(about)) for kind, about in effects]
