"""The enabled hooks of one point in their order, and how their answers are put together.

A chain is immutable: registering or disabling a hook makes a new one, and a run keeps the one it began with.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from llmspell.errors import InvalidInput
from llmspell.hooks.hook import Hook
from llmspell.hooks.judge import Judge
from llmspell.model.telling import told

Mode = Literal["sequential", "parallel", "first_match", "voting"]
MODES: tuple[Mode, ...] = ("sequential", "parallel", "first_match", "voting")


class Composition(msgspec.Struct, frozen=True):
    """How a point's hooks decide together.

    ``sequential``: one after the other, each sees what those before it changed, a decision ends the run.
    ``first_match``: the same, and the first that has anything to say (a change included) is the last that is asked.
    ``parallel``: all at once on the same data; any Cancel refuses, otherwise the first decision in order stands, and of
    two changes of one field the first in order.
    ``voting``: all at once; equal answers are one ballot, all Cancels are one, those who abstain or fail do not count;
    the largest ballot stands if its share reaches ``threshold``, Cancel before others and the first in order before
    later ones when equal. A hook that fails with ``on_failure="deny"`` votes Cancel.
    """

    mode: Mode = "sequential"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidInput(
                f"hooks compose as {', '.join(MODES)}; found {told(self.mode)}", code="invalid-composition"
            )
        if type(self.threshold) not in {int, float} or not 0 < self.threshold <= 1:
            raise InvalidInput("a threshold is a share above 0 up to 1", code="invalid-composition")


class Chain:
    """What ``Hooks.armed`` holds for a point that has enabled hooks."""

    __slots__ = ("composition", "hooks", "judge")

    def __init__(self, hooks: tuple[Hook, ...], composition: Composition, judge: Judge) -> None:
        self.hooks = hooks
        self.composition = composition
        self.judge = judge
