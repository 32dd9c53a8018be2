"""Agents' records: saving and loading one, appending to it, and what a conversation takes on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from benchmarks import ours, ours_agents, texts
from benchmarks.harness import Bench, Budget, Comparison, Figure, Result, at_most, contest, quartiles, row
from benchmarks.machine import disk_bytes

GROUP = "Agents"
TURNS = 400
TEXT = "the text itself"
EACH = "time for each"
MB = 1_000_000
Strength = Literal["process", "full"]


def _register_time(name: str, title: str, work: ours.Work, durability: Strength, limit_us: float) -> None:
    @row(
        f"agent-{name}-{durability}", title, durability=durability, group=GROUP, budgets={EACH: at_most(limit_us, "µs")}
    )
    def timed(bench: Bench) -> Result:
        timings, _ = contest(bench, [ours.side(EACH, work, durability)])
        spent = quartiles([seconds * 1e6 for seconds in timings[EACH].rounds])
        figure = Figure(spent.median, "µs")
        return Result(figure, [Comparison(EACH, durability, figure, spent.median, "↓", "", spent.spread)])


def _register_disk(name: str, title: str, turns: Callable[[int], list[str]], budget: Budget) -> None:
    @row(f"agent-disk-{name}", title, durability="process", group=GROUP, budgets={TEXT: budget})
    def disk(bench: Bench) -> Result:
        ours.require()
        written = turns(TURNS)
        text = sum(len(turn.encode()) for turn in written)
        folder = bench.fresh("disk")
        ours_agents.write_turns(folder, written)
        size = disk_bytes(folder)
        return Result(
            Figure(size / MB, "MB"), [Comparison(TEXT, "-", Figure(text / MB, "MB"), size / text, "of the text")]
        )


STRENGTHS: tuple[Strength, ...] = ("process", "full")
for _durability in STRENGTHS:
    _register_time(
        "save", f"save a record of {ours_agents.TURNS} turns with one new", ours_agents.save, _durability, 100_000
    )
_register_time("append", "append a message to an agent", ours_agents.append, "process", 100)
_register_time("tool", "count a call of an agent's tool", ours_agents.record_tool, "process", 120)
_register_time("load", f"load a record of {TURNS} turns of 2 KB, hashes checked", ours_agents.load, "process", 20_000)
_register_disk("english", "an agent saved after each of 400 turns of 2 KB English", texts.turns, at_most(1.0))
_register_disk("incompressible", "the same of turns that do not compress", texts.incompressible_turns, at_most(1.35))
