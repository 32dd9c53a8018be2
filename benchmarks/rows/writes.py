"""One caller writing: state.set, session.create, event append; each durability, each face, against the bare engine."""

from __future__ import annotations

from typing import Literal

from benchmarks import ours, peer_adk, peer_langgraph, peer_openai
from benchmarks.compare import ADDED, OURS, bare_side, peer, versus
from benchmarks.harness import Bench, Result, Side, at_least, at_most, row
from benchmarks.peers import ADK, LANGGRAPH, OPENAI, name_of

GROUP = "One caller writes"
OPERATIONS: dict[str, tuple[str, ours.Work]] = {
    "state-set": ("state.set", ours.state_set),
    "session-create": ("sessions.create", ours.session_create),
    "event-append": ("events.publish", ours.event_publish),
}
Strength = Literal["full", "process"]
WAL_ADK = name_of(ADK, "WAL set here")


ADDED_US: dict[tuple[Strength, ours.Face], tuple[float, float]] = {
    ("process", "sync"): (30, 60),
    ("process", "async"): (30, 60),
    ("full", "sync"): (45, 80),
    ("full", "async"): (120, 150),
}
"""At most so many µs over the bare rows: for a change of one entry, and for a session. The async face at `full` hops to
the writer thread and back.
"""


def creating_peers(durability: Strength) -> list[Side]:
    """Who else creates sessions."""
    sides = [
        peer(name_of(LANGGRAPH), peer_langgraph.create_session, durability),
        peer(WAL_ADK, peer_adk.create_session, durability),
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
    budgets = {ADDED: at_most(ADDED_US[durability, face][creates], "µs")}
    if creates:
        budgets[WAL_ADK] = at_least(5 if durability == "process" else 4)

    @row(f"{name}-{durability}-{face}", f"{title}, {face} face", durability=durability, group=GROUP, budgets=budgets)
    def run(bench: Bench) -> Result:
        return versus(
            bench,
            ours.side(OURS, work, durability, face),
            bare_side(bench, work, durability),
            creating_peers(durability) if creates else [],
            added_too=True,
        )


for _name in OPERATIONS:
    for _durability in ("process", "full"):
        for _face in ("sync", "async"):
            _register(_name, _durability, _face)
