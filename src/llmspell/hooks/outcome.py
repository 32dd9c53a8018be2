"""What a run of a point's hooks came to, for the room that asked; and what is said about a hook that failed."""

from __future__ import annotations

from typing import Any

import msgspec

from llmspell.errors import Vetoed
from llmspell.hooks.hook import Hook
from llmspell.hooks.results import Cancel, HookResult, Redirect, Replace

Record = tuple[Hook, str, int, str]
"""Hook, verdict, nanoseconds and reason of one call: what a report is made of, if somebody wants it."""


class HookReport(msgspec.Struct, frozen=True):
    """How one call of one hook went.

    ``verdict`` is the result's name (``continue``, ``modified`` …), ``failed``, ``barred`` (its breaker was open) or
    ``overruled`` (another hook's result stood instead); ``reason`` is what was said about it, "" when nothing was.
    """

    hook_id: str
    name: str
    verdict: str
    elapsed_ms: float
    reason: str = ""


class HookFailure(msgspec.Struct, frozen=True):
    """A failure kept away from the operation. ``message`` is cut to a stated length, ``error`` is the original.

    ``code`` says what kind: ``hook-raised``, ``hook-late``, ``hook-stuck``, ``circuit-open`` (slow calls opened the
    breaker), or the code of the rule that the result broke (``invalid-result``, ``value-too-large`` …).
    """

    hook_id: str
    name: str
    point: str
    code: str
    message: str
    elapsed_ms: float
    on_failure: str
    breaker: str | None
    session: str | None
    correlation_id: str | None
    error: BaseException | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What the hooks of a point decided.

    ``data`` is the context's data with all modifications, ``changed`` the names of the modified fields. ``decision`` is
    the result that ended the run (Cancel, Replace, at handed points also Redirect, Retry, Fork, Cache), None when all
    went on, and ``by`` the name of the hook that gave it. ``redirected_to`` is the target that Redirects of the run led
    to; ``data`` is about that target then.
    """

    point: str
    data: dict[str, Any]
    changed: frozenset[str] = frozenset()
    decision: HookResult | None = None
    by: str | None = None
    redirected_to: str | None = None
    records: tuple[Record, ...] = ()

    @property
    def reports(self) -> tuple[HookReport, ...]:
        """How each call went, in the order they were made; hooks that were asked again have one for each time."""
        return tuple(
            HookReport(hook.id, hook.name, verdict, elapsed_ns / 1e6, reason)
            for hook, verdict, elapsed_ns, reason in self.records
        )

    @property
    def cancelled(self) -> str | None:
        """The reason of the refusal, None when nothing refused."""
        return self.decision.reason if isinstance(self.decision, Cancel) else None

    @property
    def replaced(self) -> Replace | None:
        """The result to give without running the operation (``.replaced.result``), None when it is to run."""
        return self.decision if isinstance(self.decision, Replace) else None

    @property
    def redirect(self) -> str | None:
        """The other target to use, None when it is the one that was asked for."""
        return self.decision.target if isinstance(self.decision, Redirect) else self.redirected_to

    def raise_if_cancelled(self) -> None:
        """Raises Vetoed, with the hook's name and reason, when a hook refused."""
        reason = self.cancelled
        if reason is not None:
            raise Vetoed(
                f"the hook {self.by!r} refused at {self.point}: {reason}", point=self.point, hook=self.by, reason=reason
            )
