"""What a type checker makes of the public names: read by mypy in `make types`, never run.

``assert_type`` fails when a result is typed wider than promised. Each ``type: ignore`` marks a call that the checker
must refuse; should it stop refusing, the comment is unused, and that fails too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import llmspell
from llmspell import (
    AgentChange,
    AgentInfo,
    AgentMessage,
    AgentState,
    ArtifactInfo,
    AsyncSession,
    AsyncStore,
    Checkpoint,
    Entry,
    Event,
    HookContext,
    LlmspellError,
    Modified,
    NotFound,
    Page,
    Scope,
    Session,
    SessionInfo,
    StateChange,
    StateEntry,
    Store,
    ToolUsage,
    Verification,
    Written,
)


def opening(folder: Path) -> None:
    assert_type(llmspell.open(folder), Store)
    assert_type(llmspell.open(), Store)
    with llmspell.open(":memory:", create=False, read_only=True, durability="process") as store:
        assert_type(store, Store)
    llmspell.open("agents", durability="fast")  # type: ignore[arg-type]
    llmspell.open("agents", False)  # type: ignore[call-arg]
    llmspell.open("agents", creat=True)  # type: ignore[call-arg]


def state(store: Store) -> None:
    assert_type(store.state.set("topic", {"a": [1, None]}, if_version=1, ttl_s=0.5), int | Written)
    assert_type(store.state.get("topic", default=None), Any)
    assert_type(store.state.entry("topic"), StateEntry | None)
    assert_type(store.state.delete("topic"), bool)
    assert_type(store.state.keys(prefix="a"), list[str])
    assert_type(store.state.items(), list[tuple[str, Any]])
    assert_type(store.state.set_many({"a": 1}), dict[str, int])
    assert_type(store.state.history("topic"), list[StateChange])
    assert_type(store.state_of(Scope.agent("researcher")).clear(), int)
    store.state.set("topic")  # type: ignore[call-arg]
    store.state.set("topic", 1, 2)  # type: ignore[call-arg]
    store.state.set(1, "topic")  # type: ignore[arg-type]
    store.state_of("agent:researcher")  # type: ignore[arg-type]


def sessions(store: Store) -> None:
    session = store.sessions.create("Research", tags=["nlp"], metadata={"user_id": "u"})
    assert_type(session, Session)
    assert_type(session.id, str)
    assert_type(session.info, SessionInfo)
    assert_type(session.suspend(), SessionInfo)
    assert_type(session.checkpoint("before"), int)
    assert_type(session.checkpoints(), list[Checkpoint])
    assert_type(store.sessions.get(session.id), SessionInfo)
    assert_type(store.sessions.list(status="active", limit=10), Page[SessionInfo])
    assert_type(session.timeline(limit=10), Page[Entry])
    with store.session("Research") as entered:
        assert_type(entered, Session)
    session.fail()  # type: ignore[call-arg]
    store.sessions.create("Research", "why", ["nlp"])  # type: ignore[call-arg]


def artifacts(session: Session, path: Path) -> None:
    assert_type(session.artifacts.put("report.md", "# Bees", tags=["draft"]), ArtifactInfo)
    assert_type(session.artifacts.put("model.bin", path), ArtifactInfo)
    content = session.artifacts.get("report.md", version=1)
    assert_type(content.read(), bytes)
    assert_type(content.text(), str)
    assert_type(content.info, ArtifactInfo)
    assert_type(session.artifacts.versions("report.md"), list[ArtifactInfo])
    assert_type(session.artifacts.list(), Page[ArtifactInfo])
    session.artifacts.put("report.md")  # type: ignore[call-arg]


def agents(store: Store) -> None:
    state = AgentState("researcher", conversation=[AgentMessage("user", "hi", {"n": 1})])
    assert_type(store.agents.save(state, if_version=0), int)
    assert_type(store.agents.load("researcher"), AgentState | None)
    assert_type(store.agents.load("researcher", at=7), AgentState | None)
    assert_type(store.agents.append("researcher", "user", "hi", metadata={}), AgentMessage)
    assert_type(store.agents.messages("researcher", limit=5, newest_first=True), list[AgentMessage])
    assert_type(store.agents.update("researcher", lambda found: None, default=state), AgentState)
    assert_type(store.agents.record_tool("researcher", "web", 1.5, ok=False), ToolUsage)
    assert_type(store.agents.list(agent_type="chat"), Page[AgentInfo])
    assert_type(store.agents.history("researcher"), list[AgentChange])
    assert_type(store.agents.exists("researcher"), bool)
    assert_type(store.agents.delete("researcher", if_version=1), bool)
    AgentState("researcher", version=3)  # type: ignore[call-arg]
    store.agents.save("researcher")  # type: ignore[arg-type]
    store.agents.append("researcher", "user")  # type: ignore[call-arg]


def events(store: Store) -> None:
    subscription = store.events.subscribe("session.*")
    for event in subscription:
        assert_type(event, Event)
        assert_type(event.type, str)


def hooks(store: Store) -> None:
    @store.hooks.on("before_state_set", timeout_ms=100)
    def check(context: HookContext) -> Modified | None:
        assert_type(context.point, str)
        return Modified({"value": context.data["value"]})


def care(store: Store) -> None:
    assert_type(store.verify(), Verification)
    assert_type(store.stats(), dict[str, Any])


def errors(store: Store) -> None:
    try:
        store.sessions.get("missing")
    except NotFound as error:
        assert_type(error.code, str)
        assert_type(error.hint, str | None)
        assert_type(error.details, dict[str, Any])
        caught: LlmspellError = error
        del caught


async def asynchronous() -> None:
    async with await llmspell.open_async("agents") as store:
        assert_type(store, AsyncStore)
        assert_type(await store.state.set("topic", "bees"), int | Written)
        async with store.session("Research") as session:
            assert_type(session, AsyncSession)
            assert_type(await session.artifacts.put("report.md", b"# Bees"), ArtifactInfo)
            assert_type(await (await session.artifacts.get("report.md")).text(), str)
        async for event in store.events.subscribe("**"):
            assert_type(event, Event)
        store.state.set("topic", "forgotten")  # type: ignore[unused-coroutine]
