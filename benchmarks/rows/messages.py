"""Messages: appending, loading 1,000 with every hash checked, listing 1,000 sessions."""

from __future__ import annotations

from benchmarks import ours, ours_messages, peer_adk, peer_langgraph, peer_openai
from benchmarks.compare import BEST, OURS, bare_side, peer, versus
from benchmarks.harness import Bench, Durability, Result, Side, at_least, row
from benchmarks.peers import ADK, LANGGRAPH, OPENAI, name_of

GROUP = "Messages and sessions, beside the peers"
SESSIONS_AT_ONCE = 64
MESSAGES = 1000
SESSIONS = 1000
LANG, WAL_ADK, OPEN = name_of(LANGGRAPH), name_of(ADK, "WAL set here"), name_of(OPENAI)


def appending_peers(durability: Durability) -> list[Side]:
    """Who else appends messages."""
    sides = [
        peer(LANG, peer_langgraph.append_message, durability),
        peer(WAL_ADK, peer_adk.append_message, durability),
        peer(OPEN, peer_openai.append_message, durability),
    ]
    if durability == "full":
        sides.append(
            peer(name_of(ADK, "as it comes (journal: delete)"), peer_adk.append_message, "full", as_it_comes=True)
        )
    return sides


def _register_alone(durability: Durability, face: ours.Face, limit: float) -> None:
    @row(
        f"message-append-{durability}-{face}",
        f"append a message, one caller, {face} face",
        durability=durability,
        group=GROUP,
        budgets={BEST: at_least(limit)},
    )
    def alone(bench: Bench) -> Result:
        return versus(
            bench,
            ours.side(OURS, ours.message_append, durability, face),
            bare_side(bench, ours.message_append, durability),
            appending_peers(durability),
            best_of=[LANG, WAL_ADK, OPEN],
        )


FACES: tuple[ours.Face, ...] = ("sync", "async")
for _face in FACES:
    _register_alone("full", _face, 1.0)
    _register_alone("process", _face, 2.5)


@row(
    "message-append-64-full",
    "append a message, 64 sessions at once (per message)",
    durability="full",
    group=GROUP,
    budgets={BEST: at_least(4)},
)
def at_once(bench: Bench) -> Result:
    """Sixty-four tasks, each appending to its own session, on each side's async face."""
    return versus(
        bench,
        ours.many(OURS, [ours.message_appender(n) for n in range(SESSIONS_AT_ONCE)], "full"),
        None,
        [
            peer(LANG, peer_langgraph.append_at_once, "full", sessions=SESSIONS_AT_ONCE),
            peer(WAL_ADK, peer_adk.append_message, "full", sessions=SESSIONS_AT_ONCE),
            peer(OPEN, peer_openai.append_message, "full", sessions=SESSIONS_AT_ONCE),
        ],
        best_of=[LANG, WAL_ADK, OPEN],
    )


def _register_load(face: ours.Face) -> None:
    @row(
        f"load-1000-messages-{face}",
        f"load a session of 1,000 messages, every hash checked, {face} face",
        durability="process",
        group=GROUP,
        budgets={WAL_ADK: at_least(5), LANG: at_least(1), OPEN: at_least(0.5)},
    )
    def load(bench: Bench) -> Result:
        return versus(
            bench,
            ours.side(OURS, ours_messages.load(MESSAGES), "process", face),
            bare_side(bench, ours_messages.load(MESSAGES), "process", writes=False, operations=20),
            [
                peer(LANG, peer_langgraph.load_session, "process", messages=MESSAGES),
                peer(WAL_ADK, peer_adk.load_session, "process", messages=MESSAGES),
                peer(OPEN, peer_openai.load_session, "process", messages=MESSAGES),
            ],
        )


def _register_list(face: ours.Face) -> None:
    @row(
        f"list-1000-sessions-{face}",
        f"list 1,000 sessions, {face} face",
        durability="process",
        group=GROUP,
        budgets={BEST: at_least(4)},
    )
    def listing(bench: Bench) -> Result:
        return versus(
            bench,
            ours.side(OURS, ours_messages.listing(SESSIONS), "process", face),
            bare_side(bench, ours_messages.listing(SESSIONS), "process", writes=False, operations=20),
            [
                peer(LANG, peer_langgraph.list_sessions, "process", sessions=SESSIONS),
                peer(WAL_ADK, peer_adk.list_sessions, "process", sessions=SESSIONS),
            ],
            best_of=[LANG, WAL_ADK],
        )


for _face in FACES:
    _register_load(_face)
    _register_list(_face)
