"""One caller reading state, against the bare select."""

from __future__ import annotations

from benchmarks import ours
from benchmarks.compare import BARE, OURS, bare_side, versus
from benchmarks.harness import Bench, Result, at_most, row

GROUP = "One caller reads"


def _register(face: ours.Face) -> None:
    @row(
        f"state-get-{face}",
        f"state.get of one of 10,000 keys, {face} face",
        durability="process",
        group=GROUP,
        budgets={BARE: at_most(2.5)},
    )
    def get(bench: Bench) -> Result:
        return versus(
            bench,
            ours.side(OURS, ours.state_get, "process", face),
            bare_side(bench, ours.state_get, "process", writes=False, operations=10_000),
            [],
        )


_register("sync")
_register("async")
