"""What it costs to keep a value otherwise than plainly, to be no owner, and to look at what was."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.compare import bare_side, microseconds, slower, versus
from benchmarks.harness import Bench, Budget, Comparison, Figure, Result, Runner, Side, at_most, contest, quartiles, row

GROUP = "Guarded values"
PAST = "What was"
OURS = "ours"
OWNER = "the same by the owner, standard class"
ADDED = "time added to that"
EACH = "time for each"
VALUE = {"topic": "durable memory of agents", "turn": 1, "tags": ["a", "b"]}
SCHEMA = {
    "name": "turn", "version": "1.0.0",
    "value": {"type": "object", "fields": {
        "topic": {"type": "string", "length_max": 200}, "turn": {"type": "integer", "min": 0},
        "tags": {"type": "list", "items": "string"}, "mood": {"type": "string", "required": False},
        "score": {"type": "number", "default": 0},
    }},
}  # fmt: skip
Call = Callable[[Any, str], Any]
Prepare = Callable[[Any], Any]


def _nothing(_store: Any) -> None:
    return


def _side(name: str, prepare: Prepare, call: Call) -> Side:
    """``call`` on one of 1,000 keys, on the synchronous face."""

    @contextmanager
    def opening(folder: Path) -> Iterator[Runner]:
        import os

        with tempfile.TemporaryDirectory(dir=folder) as keys, ours.opened(folder, "process", "sync") as it:
            before = os.environ.get("LLMSPELL_KEYS")
            os.environ["LLMSPELL_KEYS"] = keys
            try:
                what = prepare(it.store) or it.store
                names = itertools.cycle([f"key-{n}" for n in range(ours.KEYS)])
                for _ in range(ours.KEYS):
                    it.store.state.set(next(names), VALUE)
                call(what, "key-0")
                yield it.runner(lambda: call(what, next(names)))
            finally:
                os.environ.pop("LLMSPELL_KEYS") if before is None else os.environ.update(LLMSPELL_KEYS=before)

    return Side(name, opening, "process")


def _register(name: str, title: str, prepare: Prepare, call: Call, plain: Call, budget: Budget) -> None:
    @row(f"guarded-{name}", title, durability="process", group=GROUP, budgets={ADDED: budget})
    def guarded(bench: Bench) -> Result:
        timings, _ = contest(bench, [_side(OURS, prepare, call), _side(OWNER, _nothing, plain)])
        pairs = zip(timings[OURS].rounds, timings[OWNER].rounds, strict=True)
        spent = quartiles([(mine - other) * 1e6 for mine, other in pairs])
        more = Comparison(ADDED, "process", None, spent.median, "↓", "", spent.spread)
        return Result(microseconds(timings[OURS]), [slower(timings, OURS, OWNER), more])


def _granted(store: Any) -> Any:
    store.access.grant("agent:reader", "global", {"read", "write", "delete", "list"})
    return store.acting_as("agent:reader")


def _bound(store: Any) -> None:
    store.schemas.register(SCHEMA)
    store.schemas.bind("turn")


def _set(what: Any, key: str) -> Any:
    return what.state.set(key, VALUE)


def _get(what: Any, key: str) -> Any:
    return what.state.get(key)


def _as(state_class: str) -> Call:
    return lambda what, key: what.state.set(f"{state_class}-{key}", VALUE, state_class=state_class)


_register("principal-get", "state.get of a principal that was granted it", _granted, _get, _get, at_most(12, "µs"))
_register("principal-set", "state.set of a principal that was granted it", _granted, _set, _set, at_most(15, "µs"))
_register("schema-set", "state.set held against a schema of five fields", _bound, _set, _set, at_most(40, "µs"))
for _class, _most in (("trusted", 15), ("sensitive", 45), ("external", 60)):
    _register(f"{_class}-set", f"state.set of the class {_class}", _nothing, _as(_class), _set, at_most(_most, "µs"))


def _grown(it: ours.Opened, entries: int) -> int:
    """A store of ``entries`` entries: 1,000 keys of 100 changes each or more; gives the seq in the middle."""
    for start in range(0, entries, ours.KEYS):
        it.store.state.set_many({f"key-{n:04}": {**VALUE, "turn": start} for n in range(ours.KEYS)})
    return int(it.store.stats()["last_seq"]) // 2


def _past_get(size: int) -> ours.Work:
    def work(it: ours.Opened) -> Callable[[], Any]:
        past = it.store.at(_grown(it, size))
        names = itertools.cycle([f"key-{n * 7919 % ours.KEYS:04}" for n in range(ours.KEYS)])
        return lambda: past.state.get(next(names))

    return work


@row(
    "past-get", "get as of the middle of 1,000,000 entries", durability="process", group=PAST,
    budgets={"bare apsw, same rows": at_most(2.5)},
)  # fmt: skip
def past_get(bench: Bench) -> Result:
    """A key's newest entry up to a bound."""
    work = _past_get(bench.size(quick=20_000, default=100_000, full=1_000_000))
    mine = ours.side(OURS, work, "process", "sync")
    return versus(bench, mine, bare_side(bench, work, "process", writes=False, operations=2000), [])


@row(
    "past-page", "1,000 keys with values as of the middle of them", durability="process", group=PAST,
    budgets={EACH: at_most(5, "ms")},
)  # fmt: skip
def past_page(bench: Bench) -> Result:
    """A page of items as it was."""
    size = bench.size(quick=20_000, default=100_000, full=1_000_000)

    def work(it: ours.Opened) -> Callable[[], Any]:
        state = it.store.at(_grown(it, size)).state

        def page() -> Any:
            return state.items()

        return page

    timings, _ = contest(bench, [ours.side(EACH, work, "process", "sync")])
    spent = quartiles([seconds * 1e3 for seconds in timings[EACH].rounds])
    figure = Figure(spent.median, "ms")
    return Result(figure, [Comparison(EACH, "process", figure, spent.median, "↓", "", spent.spread)])
