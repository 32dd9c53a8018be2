"""What a golden store holds: every kind of entry, every class of state, sessions of each status, content of each form.

What a room can write that is not here is not held to stay readable. So whoever adds a kind, a class, a status or a form
of content adds it here; ``test_golden`` names what is missing.
"""

import contextlib
import random
import tempfile
from pathlib import Path

from llmspell import AgentMessage, AgentState, RetentionPolicy, SessionConfig
from llmspell.artifacts.finding import index as artifact_index
from llmspell.errors import LlmspellError, ScriptFailed
from llmspell.migration.migration import Migration
from llmspell.migration.moving import Rename
from llmspell.model.scope import Scope
from llmspell.script.host import run_script
from llmspell.sessions import index as session_index

KEY = bytes(range(32))
"""The master key of every golden store. It protects nothing: it is in this file."""
SMALL = "small content\n"
LONG = "a line that repeats, and so is compressed well\n" * 40
NAMED = {
    "résumé": "naïve Prüfung",
    "отчёт": "ёлка и щука",
    "ᾠδή": "τῷ λόγῳ",
    "報告書": "東京の天気",
    "हिन्दी": "पढ़ाई का नोट",
}
CHUNKED = random.Random(1).randbytes(40_000)
FAILS_ONCE = """
local id = Session.get('later').id
State.set('from script', {n = 1, list = {1, 2}})
Artifact.store('text', 'said.txt', 'by a script')
Event.publish('script.said', {text = 'hello'})
return {done = true, got = State.get('from script').n, found = id ~= nil}
"""


def half_noise(count=700):
    """42 kB that any codec brings to half, so that they are chunks and not a row of the main file."""
    noise = random.Random(3)
    return b"".join(noise.randbytes(300) + bytes(300) for _ in range(count // 10))


def packed(blocks=800):
    """Over 8 MiB as they are, so that the last part goes to a pack; nearly all of it zeros, which a zip makes small."""
    noise = random.Random(2)
    for number in range(blocks):
        yield b"block %06d " % number + noise.randbytes(32) + bytes(12 << 10)


async def fill(store, clock):
    """Write everything, room by room. The clock stands still but for what is said here."""
    await _state(store, clock)
    await _sessions(store, clock)
    await _artifacts(store)
    await _agents(store)
    await _events(store)
    await _schemas(store)
    await _migrations(store)
    await _access(store, clock)
    await _runs(store)
    await _indexed(store)
    clock.jump(-7200)  # The wall clock falls back by two hours: an entry says so, and times do not decrease.
    await store.state.set("after the jump", 1)
    clock.advance(8000)  # What expired has expired again, and closing the store writes that.


async def _state(store, clock):
    state = store.state
    for name, value in {"null": None, "true": True, "int": 2**70, "float": 0.1, "text": "Grüße 🐝", "list": [1, [2]],
                        "object": {"b": 1, "a": {"deep": []}}, "empty": ""}.items():  # fmt: skip
        await state.set(f"value/{name}", value)
    await state.set("long", LONG)
    await state.set("changed", 1)
    clock.advance(1)
    await state.set("changed", 2, if_version=1)
    await state.set("gone", "was here")
    await state.delete("gone")
    await state.set("class/trusted", {"n": 1}, state_class="trusted")
    await state.set("class/standard", {"n": 2}, state_class="standard")
    await state.set("class/sensitive", {"password": "not a real one"}, state_class="sensitive")
    await state.set("class/sensitive long", "sealed " * 400, state_class="sensitive")
    await store.state_of(Scope.agent("private")).set_default_class("sensitive")
    await store.state_of(Scope.agent("private")).set("by default", "sealed as its scope says")
    await state.set("class/external", {"password": "replaced", "kept": 1}, state_class="external")
    await state.set("expires late", 1, ttl_s=10**9)
    await state.set("expires soon", 1, ttl_s=5)
    clock.advance(10)  # The entry of it is written when the store is closed.
    for scope in (Scope.agent("a: b%"), Scope.user("u"), Scope.shared("board"), Scope.step("flow", "draft")):
        await store.state_of(scope).set("mine", str(scope))
    await store.state_of(Scope.user("u")).copy_to(Scope.user("copy"))
    await store.state_of(Scope.user("copy")).move_to(Scope.user("moved"))
    await state.set_many({"many/1": 1, "many/2": 2})
    await store.state_of(Scope.user("cleared")).set("k", 1)
    await store.state_of(Scope.user("cleared")).clear()


async def _sessions(store, clock):
    sessions = store.sessions
    await sessions.create("active", description="as it began", tags=["a", "b"], metadata={"n": 1}, state={"k": 1},
                          created_by="user:u", config={"own": True})  # fmt: skip
    parent = await sessions.create("suspended")
    await parent.suspend()
    child = await sessions.create("completed", parent=parent.id)
    await child.update(description="changed", tags=["c"], metadata={"n": 2})
    clock.advance(1)
    await child.complete()
    failed = await sessions.create("failed")
    await failed.fail("the reason")
    archived = await sessions.create("archived")
    await archived.complete()
    await archived.archive()
    back = await sessions.create("unarchived")
    await back.complete()
    await back.archive()
    await back.unarchive()
    resumed = await sessions.create("resumed", state={"k": "first"})
    await resumed.suspend()
    await resumed.resume()
    await resumed.save()
    await resumed.checkpoint("one")
    await resumed.state.set("k", "second")
    await resumed.state.set("new", 1)
    await resumed.restore("one")
    await resumed.state.set("secret", "not a real one", state_class="sensitive")
    await _forks(store)
    doomed = await sessions.create("deleted", state={"k": 1})
    await doomed.artifacts.put("gone.txt", "gone with its session")
    await sessions.delete(doomed.id)
    with tempfile.TemporaryDirectory() as folder:
        await sessions.export("suspended", Path(folder) / "it.bundle")
        await sessions.import_(Path(folder) / "it.bundle", on_conflict="rename")
    await sessions.set_template("job", {"tags": ["job"], "metadata": {"from": "a template"}})
    await (await sessions.create("one job", template="job")).complete()
    await sessions.set_retention(RetentionPolicy(max_age_s=1e9), every_s=86_400)
    await sessions.cleanup(RetentionPolicy(rule=lambda info: info.name == "one job"))
    await _life(store, clock)
    shredded = await sessions.create("shredded", state={"k": 1})
    await shredded.complete()
    await sessions.shred(shredded.id)


async def _life(store, clock):
    sessions = store.sessions
    saver = sessions.neighbours.saver
    failing = await sessions.create("unsaved", config=SessionConfig(auto_save_interval_s=3600))
    await failing.state.set("k", 1)
    files, saver._files = saver._files, _Full(saver._files)
    clock.advance(3601)
    saver.tick()
    saver._files = files


class _Full:
    """Files whose disk takes nothing strong."""

    read_only = False

    def __init__(self, files):
        self._files = files

    def commit(self, units, *, strong=False, wait_s=None):
        if strong:
            raise LlmspellError("full", code="disk-full")
        return self._files.commit(units, wait_s=wait_s)


async def _forks(store):
    origin = await store.sessions.create("forked", state={"k": 1, "changed": 1}, tags=["a"])
    await origin.state.set("sealed", "not a real one", state_class="sensitive")
    for version in range(3):
        await origin.artifacts.put("inherited.txt", f"version {version}")
    await origin.artifacts.put("dropped.txt", "dropped by the fork")
    await origin.artifacts.tag_version("inherited.txt", 1, "first")
    await origin.checkpoint("to fork")
    await origin.state.set("changed", 2)
    fork = await store.sessions.fork(origin.id, "to fork", name="fork")
    await fork.state.set("own", 1)
    await fork.state.delete("k")
    await fork.artifacts.update("inherited.txt", version=1, description="of the fork")
    await fork.artifacts.delete("inherited.txt", version=2)
    await fork.artifacts.undelete("inherited.txt", version=2)
    await fork.artifacts.delete("dropped.txt")
    await fork.artifacts.put("inherited.txt", "of the fork")
    await fork.restore("to fork")
    await store.sessions.fork(fork.id, name="fork of a fork")
    await store.sessions.delete((await store.sessions.fork(fork.id, name="deleted fork")).id)


async def _artifacts(store):
    work = await store.sessions.open("active")
    first = await work.artifacts.put(
        "notes.txt", SMALL, type="text", description="first", tags=["t"], metadata={"n": 1}
    )
    await work.artifacts.put("notes.txt", SMALL + "more\n", derived_from=[first.id])
    await work.artifacts.put("notes.txt", LONG)
    await work.artifacts.update("notes.txt", description="newest", tags=["u"], metadata={"n": 2})
    await work.artifacts.tag_version("notes.txt", 1, "good")
    await work.artifacts.restore_version("notes.txt", 2)
    await work.artifacts.delete("notes.txt", version=3)
    for form in ("none", "zstd", "lz4", "gzip"):
        await work.artifacts.put(f"by {form}.txt", form + LONG, compression=form)  # small: a row of the main file
        await work.artifacts.put(f"chunks by {form}.bin", form.encode() + half_noise(), compression=form)
    await work.artifacts.put("empty.bin", b"")
    await work.artifacts.put("chunked.bin", CHUNKED)
    await work.artifacts.put("chunked.bin", CHUNKED[:20_000] + b"in the middle" + CHUNKED[20_000:])
    await work.artifacts.put("packed.bin", packed(), compression="none")
    await work.artifacts.put("gone.txt", "deleted whole")
    await work.artifacts.delete("gone.txt")
    await work.artifacts.put("back.txt", "deleted and brought back")
    await work.artifacts.delete("back.txt")
    await work.artifacts.undelete("back.txt")
    await work.artifacts.put("erased.txt", "deleted for good")
    await work.artifacts.delete("erased.txt", hard=True)
    await work.artifacts.set_quota(total_bytes_max=1 << 30)
    await store.captures.set_rules([
        {"name": "images", "mime_types": ["image/*"], "action": "skip", "record_skips": True},
        {"name": "all", "store_as": "captured/{name}", "count_max": 10},
    ])  # fmt: skip
    await work.captures.set_rules([{"name": "sealed", "sources": ["user"], "privacy": "seal"}])
    await work.captures.offer({"answer": 42, "password": "hunter2secret"}, source="tool", name="search", cause=1)
    await work.captures.offer("to be sealed", source="user")
    await work.captures.offer(b"", source="tool", name="shot", mime_type="image/png", error=True)
    await work.state.set("about it", 1, artifacts=[first.id])
    await work.artifacts.put("draft.txt", "a name of its own")
    await work.artifacts.rename("draft.txt", "final.txt")
    for kind in ("depends_on", "child_of"):
        await work.artifacts.relate("final.txt", kind, "packed.bin")
    await work.artifacts.unrelate("final.txt", "child_of", "packed.bin")
    guest = (await store.sessions.open("resumed")).id
    for right in ("read", "write"):
        await work.artifacts.grant("final.txt", guest, right)
    await work.artifacts.grant("packed.bin", guest, "admin", expires_in_s=86_400.0)
    await work.artifacts.revoke("final.txt", guest)


async def _indexed(store):
    """What is found by words, with accents and letters of several scripts, in the indexes and behind them."""
    for name, text in NAMED.items():
        session = await store.sessions.create(f"session {name}", description=text)
        await session.artifacts.put(f"{name}.md", text, description=text, tags=[name])
    for step in (artifact_index.step, session_index.step):
        while await store.journal.database.write(step):
            pass
    late = await store.sessions.create("späte Sitzung")
    await late.artifacts.put("später.md", "not in the index when the store was closed")


async def _agents(store):
    agent = AgentState("planner", agent_type="thinker", custom_data={"n": 1})
    agent.conversation = [AgentMessage("system", "be brief"), AgentMessage("user", {"ask": "bees"})]
    await store.agents.save(agent)
    await store.agents.append("planner", "assistant", LONG)

    def edit(state):
        state.conversation[:1] = [AgentMessage("system", "be briefer")]
        state.custom_data = {"n": 2}

    await store.agents.update("planner", edit)
    await store.agents.record_tool("planner", "search", 12.5)
    await store.agents.record_tool("planner", "search", 3, ok=False)
    await store.agents.save(AgentState("retired"))
    await store.agents.delete("retired")


async def _events(store):
    await store.events.publish("news.small", {"n": 1}, tags=["t"], target="agent:planner", priority=3)
    await store.events.publish("news.long", {"text": LONG})
    with store.correlate("outer"), store.correlate("inner"):
        await store.events.publish("news.correlated", 1)
        await store.state.set("correlated", 1)


async def _schemas(store):
    fields = {"topic": {"type": "string", "length_min": 1}, "turns": {"type": "integer", "min": 0, "default": 0}}
    for version in ("1.0.0", "1.1.0"):
        value = {"type": "object", "fields": {**fields, "tags": {"type": "list", "items": "string", "required": False}}}
        await store.schemas.register({"name": "talk", "version": version, "value": value})
        fields["closed"] = {"type": "boolean", "default": False}
    await store.schemas.bind("talk", prefix="talks/")
    await store.schemas.bind("talk", "1.0.0", scope=Scope.user("u"))
    await store.schemas.bind("talk", prefix="not any more/")
    await store.schemas.unbind(prefix="not any more/")
    await store.state.set("talks/bees", {"topic": "bees", "tags": ["nature"]})


async def _migrations(store):
    for version, field in (("1.0.0", "name"), ("2.0.0", "full_name")):
        await store.schemas.register({"name": "person", "version": version, "fields": {field: "string"}})
    await store.migrations.register(Migration("person", "1.0.0", "2.0.0", [Rename("name", "full_name")]))
    await store.state.set_many({f"people/{n}": {"name": f"n{n}"} for n in range(6)})
    await store.state.set("people/4", {"name": 4})
    plan = await store.migrations.plan("person", "2.0.0", from_version="1.0.0", prefix="people/")
    with contextlib.suppress(LlmspellError):
        await store.migrations.apply(plan, batch=2, rollback_on_failure=False)
    await store.state.set("people/4", {"name": "n4"})
    done = await store.migrations.apply(plan, batch=2)

    def interrupt(_done, _total):
        raise InterruptedError

    with contextlib.suppress(InterruptedError):
        await store.migrations.rollback(done.id, batch=2, progress=interrupt)
    await store.migrations.rollback(done.id)
    await store.migrations.apply(plan, batch=4)


async def _access(store, clock):
    await store.access.grant("agent:writer", "agent:planner", {"read", "write", "list"}, expires_in_s=5 * 10**8)
    await store.access.grant("agent:boss", "workflow:flow", {"read"}, children=True)
    writer = store.acting_as("agent:writer")
    await writer.access.grant("tool:speller", "agent:planner", {"read"}, expires_in_s=4 * 10**8)
    await writer.state_of(Scope.agent("planner")).set("from writer", 1)
    with contextlib.suppress(LlmspellError):
        await writer.state_of(Scope.user("u")).get("mine")
    await store.access.set_boundary("global", "read-only")
    await store.access.grant("agent:gone", "agent:planner", {"read"}, expires_in_s=4 * 10**8)
    await store.access.revoke("agent:gone", "agent:planner")
    await store.access.cut_off("tool:speller")
    await store.access.cut_off("agent:boss")
    await store.access.restore("agent:boss")
    clock.advance(5)  # What was used and denied is written a second later.


async def _runs(store):
    try:
        await run_script(store, FAILS_ONCE, name="golden.lua", args={"n": 1}, config={"own": 1})
    except ScriptFailed:
        pass
    else:
        raise AssertionError("the script was to fail: it asks for a session that comes later")
    await store.sessions.create("later")
    await run_script(store, None, resume="golden")
