"""What 400 turns of 2 KB take on disk, closed and at rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import ours_messages, peer_adk, peer_langgraph, peer_openai, texts
from benchmarks.harness import Bench, Budget, Comparison, Figure, Result, Skipped, at_most, row
from benchmarks.machine import disk_bytes
from benchmarks.peers import ADK, LANGGRAPH, OPENAI, name_of

GROUP = "Disk"
TURNS = 400
TEXT = "the text itself"
MB = 1_000_000
Writer = Callable[[Path, list[str]], None]


def _register(name: str, title: str, turns: Callable[[int], list[str]], budget: Budget) -> None:
    @row(f"disk-{name}", title, durability="process", group=GROUP, budgets={TEXT: budget})
    def disk(bench: Bench) -> Result:
        written = turns(TURNS)
        text = sum(len(turn.encode()) for turn in written)
        peers: list[tuple[str, Writer]] = [
            (name_of(LANGGRAPH), peer_langgraph.write_turns),
            (name_of(ADK), peer_adk.write_turns),
            (name_of(OPENAI), peer_openai.write_turns),
        ]
        lines = []
        for peer, write in peers:
            try:
                size = _size(bench, write, written)
            except Skipped as why:
                lines.append(Comparison(peer, "process", note=f"skipped: {why}"))
            else:
                lines.append(Comparison(peer, "process", Figure(size / MB, "MB"), size / text, "of the text"))
        try:
            size = _size(bench, ours_messages.write_turns, written)
        except Skipped as why:
            return Result(None, lines, f"ours skipped: {why}")
        mine = Comparison(TEXT, "-", Figure(text / MB, "MB"), size / text, "of the text")
        return Result(Figure(size / MB, "MB"), [mine, *lines])


def _size(bench: Bench, write: Writer, turns: list[str]) -> int:
    folder = bench.fresh("disk")
    write(folder, turns)
    return disk_bytes(folder)


_register("english", "400 turns of 2 KB English text", texts.turns, at_most(1.0))
_register("incompressible", "400 turns of 2 KB that do not compress", texts.incompressible_turns, at_most(1.35))
