"""Artifacts of 10 KB: put and get, against the bare engine and ADK's file service."""

from __future__ import annotations

from typing import Literal

from benchmarks import ours, peer_adk
from benchmarks.compare import ADDED, BARE, BEST, OURS, bare_side, peer, versus
from benchmarks.harness import Bench, Result, at_least, at_most, row
from benchmarks.peers import ADK, name_of

GROUP = "Artifacts of 10 KB"
AT_FULL = name_of(ADK, "fsync added here")


def _register_put(durability: Literal["process", "full"], face: ours.Face, limit: float) -> None:
    @row(
        f"artifact-put-{durability}-{face}",
        f"put 10 KB under a new name, {face} face",
        durability=durability,
        group=GROUP,
        budgets={ADDED: at_most(limit, "µs"), BEST: at_least(2.5)},
    )
    def put(bench: Bench) -> Result:
        name = AT_FULL if durability == "full" else name_of(ADK)
        return versus(
            bench,
            ours.side(OURS, ours.artifact_put, durability, face),
            bare_side(bench, ours.artifact_put, durability, operations=500),
            [peer(name, peer_adk.put_artifact, durability)],
            best_of=[name],
            added_too=True,
        )


def _register_get(face: ours.Face) -> None:
    @row(
        f"artifact-get-{face}",
        f"get 10 KB with its bytes, {face} face",
        durability="process",
        group=GROUP,
        budgets={BARE: at_most(5)},
    )
    def get(bench: Bench) -> Result:
        return versus(
            bench,
            ours.side(OURS, ours.artifact_get, "process", face),
            bare_side(bench, ours.artifact_get, "process", writes=False, operations=500),
            [peer(name_of(ADK), peer_adk.get_artifact, "process")],
        )


for _face in ("sync", "async"):
    _register_put("process", _face, 150)
    _register_put("full", _face, 250)
    _register_get(_face)
