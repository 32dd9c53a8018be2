"""A session that has one of everything a user can write, each with a word that is nowhere else, and the search for it.

Contents are random and payloads not compressed, so that nothing but encryption hides them from the search.
"""

import asyncio
import random

import pytest

from llmspell import AgentState, Scope
from llmspell.model import limits
from llmspell.opening import open_async
from tests.script.running import ran

PLACES = (
    "name", "description", "tag", "metadata", "config", "creator", "reason", "key", "value", "sensitive", "long",
    "deleted", "outside", "artifact", "type", "about", "arttag", "artmeta", "label", "small", "checkpoint", "event",
    "eventdata", "correlation", "updated", "argument", "result", "source",
)  # fmt: skip
ELSEWHERE = ("global", "agent", "message")
"""What the session writes about things that are not its own."""
BIG = random.Random(7).randbytes(24 << 20)
"""Content that goes on in a pack; pieces of it are looked for."""
PIECES = [BIG[at : at + 24] for at in range(0, len(BIG), 1 << 20)]


def word(place):
    return f"canary-{place}-5e1f"


def found(folder):
    """The places whose word, and the pieces of the big content, that stand in any file below a folder."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    words = {place for place in (*PLACES, *ELSEWHERE) if any(word(place).encode() in one for one in files)}
    return words, sum(any(piece in one for one in files) for piece in PIECES)


SCRIPT = f"""
local x = "{word("source")}"
State.get("{word("argument")}")
return "{word("result")}"
"""


async def fill(folder, **options):
    """A store with such a session, completed, among others' rows; gives the session's id."""
    async with await open_async(folder, durability="process", **options) as store:
        other = await store.sessions.create("other")
        for number in range(200):
            await other.state.set(f"k{number}", "o" * number)
        session = await store.sessions.create(
            word("name"), description=word("description"), tags=[word("tag")], metadata={"m": word("metadata")},
            config={"c": word("config")}, created_by=word("creator"),
        )  # fmt: skip
        await _write(store, session, other)
        with store.correlate(word("correlation")):
            await session.state.set("correlated", 1)
        with_run = await ran(store, SCRIPT, name="s.lua", session=session.id)
        assert with_run.error is None, with_run.error
        session = await store.sessions.open(session.id)
        if str(session.info.status) in {"active", "suspended"}:
            await session.fail(word("reason"))
        return session.id


async def _write(store, session, other):
    for number in range(60):
        await session.state.set(f"{word('key')}{number}", word("value"))
        await other.state.set(f"between{number}", "b" * number * 9)
    await session.state.set("sensitive", word("sensitive"), state_class="sensitive")
    await session.state.set("long", word("long") + random.Random(3).randbytes(2000).hex())
    await session.state.set(word("deleted"), 1)
    await session.state.delete(word("deleted"))
    await store.state_of(Scope.session(session.id)).set("from outside", word("outside"))
    await session.update(metadata={"m": word("updated")})
    small = await session.artifacts.put(
        word("artifact"), word("small"), type="agent_output", description=word("about"), tags=[word("arttag")],
        metadata={"m": word("artmeta")},
    )  # fmt: skip
    await session.state.set("naming", 1, artifacts=[small.id])
    await session.artifacts.put("typed", "x", mime_type=f"text/{word('type')}", derived_from=[small.id])
    await session.artifacts.tag_version(word("artifact"), 1, word("label"))
    await session.artifacts.put("big", BIG, compression="none")
    await session.checkpoint(word("checkpoint"))
    session.enter(session)
    await store.state.set("global", word("global"))
    await store.agents.save(AgentState(word("agent"), "helper"))
    await store.agents.append(word("agent"), "user", word("message"))
    session.leave()
    await session.events.publish(f"user.{word('event')}", {"d": word("eventdata")})


def filled(folder, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "PAYLOAD_COMPRESS_BYTES_MIN", 1 << 40)
        return asyncio.run(fill(folder, **options))
