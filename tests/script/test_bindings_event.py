"""Event, as scripts see it."""

import pytest

from tests.script.running import appeared, failure, go, ran, value


def test_an_event_has_the_fields_of_the_original_project():
    script = """
    local sub = Event.subscribe('data.*')
    local sent = Event.publish('data.ready', {n = 1}, {tags = {'t'}, source = 'me', target = 'you',
      priority = 3, ttl_seconds = 60})
    local e = Event.receive(sub, 1000)
    return {sent, e.event_type, e.type, e.data.n, type(e.timestamp), math.type(e.sequence), type(e.correlation_id),
      e.metadata.tags, e.metadata.source, e.metadata.target, e.metadata.priority, type(e.id), e.serialization_version}
    """
    assert value(script) == [
        True, "data.ready", "data.ready", 1, "string", "integer", "string", ["t"], "me", "you", 3, "string", "1.0",
    ]  # fmt: skip


def test_receive_gives_nil_when_none_comes_in_time():
    assert value("return Event.receive(Event.subscribe('none.*'), 10) == nil") is True


def test_after_unsubscribe_receive_is_an_error():
    script = """
    local sub = Event.subscribe('a.*')
    local first, second = Event.unsubscribe(sub), Event.unsubscribe(sub)
    local ok, e = pcall(Event.receive, sub, 10)
    return {first, second, ok, e.code, #Event.list_subscriptions()}
    """
    assert value(script) == [True, False, False, "subscription-not-found", 0]


@pytest.mark.parametrize(
    "pattern, event, matches",
    [("*.error", "tool.error", True), ("*.error", "a.b.error", False), ("**.error", "a.b.error", True),
     ("a.{b,c}", "a.c", True), ("a.?", "a.bc", False), ("a.[bc]", "a.b", True), ("*", "a.b", False)],
)  # fmt: skip
def test_a_pattern_matches_what_it_says(pattern, event, matches):
    script = f"local s = Event.subscribe('{pattern}') Event.publish('{event}') return Event.receive(s, 20) ~= nil"
    assert value(script) is matches


def test_events_of_the_store_arrive_in_the_same_order():
    script = """
    local sub = Event.subscribe('{state.*,session.*,mine.*}')
    State.set('k', 1)
    Event.publish('mine.one')
    local id = Session.create{name = 'n'}
    local types = array{}
    for i = 1, 3 do types[i] = Event.receive(sub, 2000).type end
    return types
    """
    assert value(script) == ["state.set", "mine.one", "session.created"]


def test_many_events_are_published_together():
    script = """
    local sub = Event.subscribe('m.*')
    local seqs = Event.publish_many{{type = 'm.a', data = 1}, {event_type = 'm.b', tags = {'t'}}}
    local a, b = Event.receive(sub, 2000), Event.receive(sub, 2000)
    return {#seqs, seqs[2] - seqs[1], a.data, b.type, b.metadata.tags}
    """
    assert value(script) == [2, 1, 1, "m.b", ["t"]]


def test_a_burst_is_kept_in_order_within_the_stated_buffer():
    script = """
    local sub = Event.subscribe('b.*', {buffer = 10000})
    local batch = {}
    for i = 1, 5000 do batch[i] = {type = 'b.n', data = i} end
    Event.publish_many(batch)
    for i = 1, 5000 do
      local e = Event.receive(sub, 5000)
      if e.data ~= i then return {i, e.data} end
    end
    return Event.get_stats().event_bus_stats.dropped
    """
    assert value(script) == 0


def test_a_function_is_called_with_each_event_while_the_script_waits():
    script = """
    local seen = array{}
    local id = Event.on('x.*', function(event)
      seen[#seen + 1] = event.data
      State.set('seen', seen)
    end)
    for i = 1, 3 do Event.publish('x.y', i) end
    while #seen < 3 do Utils.sleep(1) end
    local ok, e = pcall(Event.receive, id, 1)
    return {seen, State.get('seen'), e.code, Event.list_subscriptions()[1].callback}
    """
    assert value(script) == [[1, 2, 3], [1, 2, 3], "callback-subscription", True]


def test_a_failing_function_does_not_end_its_subscription(caplog):
    script = """
    local n = 0
    Event.on('x.*', function(event) n = n + 1 if event.data == 1 then error('first') end end)
    Event.publish('x.y', 1) Event.publish('x.y', 2)
    while n < 2 do Utils.sleep(1) end
    return n
    """
    assert value(script) == 2
    assert "script.lua:3: first" in caplog.text


def test_events_of_python_reach_a_waiting_script():
    async def work(store):
        import asyncio

        script = asyncio.create_task(
            ran(store, "local s = Event.subscribe('py.*') State.set('up', 1) return Event.receive(s, 20000).data")
        )
        await appeared(store, key="up")
        await store.events.publish("py.hello", {"from": "python"})
        return (await script).value

    assert go(work) == {"from": "python"}


def test_a_correlation_that_is_given_is_the_events():
    script = """
    local id = Utils.uuid()
    local sub = Event.subscribe('c.*')
    Event.publish('c.x', 1, {correlation_id = id})
    return Event.receive(sub, 1000).correlation_id == id
    """
    assert value(script) is True
    assert failure("Event.publish('a.b', 1, {correlation_id = 'none'})").code == "invalid-id"


@pytest.mark.parametrize("call", ["Event.publish('state.set', 1)", "Event.publish('', 1)", "Event.subscribe('')"])
def test_a_type_that_is_none_is_refused(call):
    assert failure(call).code in {"reserved-type", "invalid-argument", "invalid-pattern"}


def test_counters_and_lists_have_the_original_shape():
    script = """
    local sub = Event.subscribe('a.*', {language = 'lua'})
    Event.publish('a.b') Event.receive(sub, 1000)
    local stats, list = Event.getStats(), Event.listSubscriptions()
    return {stats.event_bus_stats.events_processed, stats.bridge_stats.active_subscriptions,
      stats.bridge_stats.subscriptions_by_language.lua, list[1].id == sub, list[1].pattern, list[1].language}
    """
    assert value(script) == [1, 1, 1, True, "a.*", "lua"]


def test_a_script_does_not_receive_the_entries_of_its_own_record():
    script = """
    local sub = Event.subscribe('**')
    State.set('k', 1)
    local types = array{}
    for i = 1, 2 do local e = Event.receive(sub, 50) types[i] = e and e.type or 'none' end
    return types
    """
    assert value(script) == ["state.set", "none"]
