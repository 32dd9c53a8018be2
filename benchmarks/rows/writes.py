"""One caller writing: state.set, session.create, event append; each durability, each face, against the bare engine."""

from __future__ import annotations

from typing import Literal

from benchmarks import ours, peer_adk, peer_langgraph, peer_openai
from benchmarks.compare import BARE, BEST, OURS, bare_side, peer, versus
from benchmarks.harness import Bench, Budget, Result, Side, at_least, at_most, row
from benchmarks.peers import ADK, LANGGRAPH, OPENAI, name_of

GROUP = "One caller writes"
OPERATIONS: dict[str, tuple[str, ours.Work]] = {
    "state-set": ("state.set", ours.state_set),
    "session-create": ("sessions.create", ours.session_create),
    "event-append": ("events.publish", ours.event_publish),
}
Strength = Literal["full", "process"]


def bare_budget(durability: Strength, face: ours.Face) -> Budget:
    """At `process` 1.8x; at `full` 2.2x for the async face, which hops to the writer thread, 1.3x inline."""
    if durability == "process":
        return at_most(1.8)
    return at_most(2.2 if face == "async" else 1.3)


def creating_peers(durability: Strength) -> list[Side]:
    """Who else creates sessions."""
    sides = [
        peer(name_of(LANGGRAPH), peer_langgraph.create_session, durability),
        peer(name_of(ADK, "WAL set here"), peer_adk.create_session, durability),
        peer(name_of(OPENAI), peer_openai.create_session, durability),
    ]
    if durability == "full":
        sides.append(
            peer(name_of(ADK, "as it comes (journal: delete)"), peer_adk.create_session, "full", as_it_comes=True)
        )
    return sides


def _register(name: str, durability: Strength, face: ours.Face) -> None:
    title, work = OPERATIONS[name]
    creates = name == "session-create"
    budgets = {BARE: bare_budget(durability, face)} | ({BEST: at_least(5)} if creates else {})

    @row(f"{name}-{durability}-{face}", f"{title}, {face} face", durability=durability, group=GROUP, budgets=budgets)
    def run(bench: Bench) -> Result:
        return versus(
            bench,
            ours.side(OURS, work, durability, face),
            bare_side(bench, work, durability),
            creating_peers(durability) if creates else [],
            best_of=[name_of(LANGGRAPH), name_of(ADK, "WAL set here")],
        )


for _name in OPERATIONS:
    for _durability in ("process", "full"):
        for _face in ("sync", "async"):
            _register(_name, _durability, _face)
