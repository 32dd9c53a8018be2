"""Our side of the rows about agents' records."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import ours, texts
from benchmarks.ours import Opened

AGENT = "researcher"
TURNS = 50
"""Turns of a typical record."""


def typical(turns: int = TURNS) -> Any:
    """A record of an agent at work: 2 KB a turn, some variables, tools and their usage, a configuration."""
    llmspell = ours.require()
    state = llmspell.AgentState(AGENT, agent_type="research", tools=["web", "files", "python"])
    state.conversation = [message(llmspell, number, text) for number, text in enumerate(texts.turns(turns))]
    state.context_variables = {f"variable {number}": {"value": "bees", "n": number} for number in range(20)}
    state.tool_usage = {tool: llmspell.ToolUsage(7, 1, 1234.5) for tool in state.tools}
    state.configuration = {"model": "small", "temperature": 0.2, "system": "Be brief. " * 50}
    state.workflow_progress = {"plan": ["read", "think", "write"], "step": 1}
    return state


def message(llmspell: Any, number: int, text: str) -> Any:
    """One turn of a conversation."""
    return llmspell.AgentMessage("assistant" if number % 2 else "user", text)


def save(it: Opened) -> Callable[[], Any]:
    """Save a typical record in which one message is new, one is forgotten and one variable changed."""
    llmspell = ours.require()
    state = typical()
    it.do(it.store.agents.save(state))
    fresh = zip(itertools.count(), itertools.cycle(texts.turns(200)), strict=False)

    def operation() -> Any:
        number, text = next(fresh)
        state.conversation[1:2] = []
        state.conversation.append(message(llmspell, number, f"{number} {text}"))
        state.context_variables["turn"] = number
        return it.store.agents.save(state)

    return operation


def load(it: Opened) -> Callable[[], Any]:
    """Load a record of 400 turns of 2 KB, every hash checked."""
    it.do(it.store.agents.save(typical(400)))
    return lambda: it.store.agents.load(AGENT)


def append(it: Opened) -> Callable[[], Any]:
    """Append a message of 200 characters to an agent's conversation."""
    llmspell = ours.require()
    it.do(it.store.agents.save(llmspell.AgentState(AGENT)))
    messages = itertools.cycle(texts.messages(200))

    def operation() -> Any:
        one = next(messages)
        return it.store.agents.append(AGENT, one["role"], one["content"])

    return operation


def record_tool(it: Opened) -> Callable[[], Any]:
    """Count a call of a tool."""
    llmspell = ours.require()
    it.do(it.store.agents.save(llmspell.AgentState(AGENT)))
    return lambda: it.store.agents.record_tool(AGENT, "web", 12.5)


def write_turns(folder: Path, turns: list[str]) -> None:
    """Keep an agent's conversation by saving its record after each turn, for the disk row."""
    llmspell = ours.require()
    with ours.opened(folder, "process", "sync") as it:
        state = llmspell.AgentState(AGENT)
        for number, text in enumerate(turns):
            state.conversation.append(message(llmspell, number, text))
            it.store.agents.save(state)
