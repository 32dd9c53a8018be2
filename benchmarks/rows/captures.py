"""What it costs to offer an output, beside putting it without asking anybody."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from benchmarks import ours, texts
from benchmarks.compare import ADDED, added, microseconds, slower
from benchmarks.harness import Bench, Budget, Result, at_most, contest, row

GROUP = "Captures of 2 KB"
OURS = "ours"
PLAIN = "artifacts.put of the same"
RULES: tuple[dict[str, Any], ...] = (
    {"name": "errors", "errors": True}, {"name": "images", "mime_types": ["image/*"], "action": "skip"},
    {"name": "web", "sources": ["tool"], "names": ["web_*"]},
)  # fmt: skip


def _offering(**fields: Any) -> ours.Work:
    def work(it: ours.Opened) -> Callable[[], Any]:
        session, outputs = it.do(it.store.sessions.create("captures")), itertools.cycle(_outputs())
        it.do(it.store.captures.set_rules([*RULES, {"name": "rest", **fields}]))
        return lambda: session.captures.offer(next(outputs), source="tool", name="search")

    return work


def _putting(it: ours.Opened) -> Callable[[], Any]:
    session, outputs = it.do(it.store.sessions.create("puts")), itertools.cycle(_outputs())
    return lambda: session.artifacts.put("tool/search", next(outputs), type="tool_result", mime_type="text/plain")


def _outputs() -> list[str]:
    return [f"{n} {text}"[:2048] for n, text in enumerate(texts.turns(4096))]


def _register(name: str, title: str, work: ours.Work, budget: Budget) -> None:
    @row(f"capture-{name}", title, durability="process", group=GROUP, budgets={ADDED: budget})
    def capture(bench: Bench) -> Result:
        timings, _ = contest(
            bench, [ours.side(OURS, work, "process", "sync"), ours.side(PLAIN, _putting, "process", "sync")]
        )
        return Result(microseconds(timings[OURS]), [slower(timings, OURS, PLAIN), added(timings, OURS, PLAIN)])


_register("put", "an offer that is captured, searched for secrets", _offering(), at_most(600, "µs"))
_register("keep", "an offer that is captured as it is", _offering(privacy="keep"), at_most(120, "µs"))
_register("skip", "an offer that its rule skips", _offering(action="skip"), at_most(0, "µs"))
