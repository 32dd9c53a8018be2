"""What secrets cost: a store that is encrypted whole, rotating, shredding, looking through texts; and migrations one by
one and backwards.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import ours, ours_migrations, texts
from benchmarks.compare import microseconds, slower
from benchmarks.harness import (
    Bench,
    Budget,
    Comparison,
    Figure,
    Result,
    Runner,
    Side,
    at_least,
    at_most,
    contest,
    quartiles,
    row,
)

GROUP = "Secrets, encryption and other migrations"
KEY = bytes(range(32))
PLAIN, SEALED, ADDED = "the same in a plain store", "ours", "time added to that"
VALUE = {"topic": "durable memory of agents", "turn": 1, "tags": ["a", "b"]}
SESSIONS, KEYS, VALUES = 200, 1000, 10_000
ROUNDS = 3


def _side(name: str, work: ours.Work, *, encrypt: bool) -> Side:
    options: dict[str, Any] = {"encrypt": True, "key": KEY} if encrypt else {}

    @contextmanager
    def opening(folder: Path) -> Iterator[Runner]:
        with ours.opened(folder, "process", "sync", **options) as it:
            yield it.runner(work(it))

    return Side(name, opening, "process")


def _set(it: ours.Opened) -> Callable[[], Any]:
    names = itertools.cycle([f"key-{n}" for n in range(KEYS)])
    return lambda: it.store.state.set(next(names), VALUE)


def _get(it: ours.Opened) -> Callable[[], Any]:
    for n in range(KEYS):
        it.store.state.set(f"key-{n}", VALUE)
    names = itertools.cycle([f"key-{n}" for n in range(KEYS)])
    return lambda: it.store.state.get(next(names))


def _put(it: ours.Opened) -> Callable[[], Any]:
    session = it.store.sessions.create("encrypted")
    numbers, contents = itertools.count(), texts.noise(256, 1 << 16)
    return lambda: session.artifacts.put(f"file-{(n := next(numbers))}", n.to_bytes(8, "big") + contents[n % 256])


def _register(name: str, title: str, work: ours.Work, budget: Budget) -> None:
    @row(f"encrypted-{name}", f"{title}, in a store that is encrypted whole", durability="process", group=GROUP,
         budgets={ADDED: budget})  # fmt: skip
    def encrypted(bench: Bench) -> Result:
        timings, _ = contest(bench, [_side(SEALED, work, encrypt=True), _side(PLAIN, work, encrypt=False)])
        pairs = zip(timings[SEALED].rounds, timings[PLAIN].rounds, strict=True)
        spent = quartiles([(mine - other) * 1e6 for mine, other in pairs])
        more = Comparison(ADDED, "process", None, spent.median, "↓", "", spent.spread)
        return Result(microseconds(timings[SEALED]), [slower(timings, SEALED, PLAIN), more])


_register("set", "state.set", _set, at_most(150, "µs"))
_register("get", "state.get", _get, at_most(5, "µs"))
_register("put", "put 64 KiB that do not compress", _put, at_most(1200, "µs"))

SECRETS: dict[str, Budget] = {
    "rotate the master key over 200 sessions with sealed values": at_most(100, "ms"),
    "shred a session of 1,000 sealed values": at_most(500, "ms"),
    "look through 100 KB of text for secrets": at_most(100, "ms"),
    "migrate a value when it is read": at_most(500, "µs"),
    "take a migration of 10,000 values back": at_least(5000, "/s"),
}


@row("secrets", "keys, shredding, redaction, migrations one by one and backwards", durability="process", group=GROUP,
     budgets=SECRETS)  # fmt: skip
def secrets(bench: Bench) -> Result:
    """Each a few times, on a store made for it."""
    found: dict[str, list[float]] = {name: [] for name in SECRETS}
    for number in range(ROUNDS):
        for values in (_keys(bench.fresh(f"keys-{number}")), _moved(bench.fresh(f"moved-{number}"))):
            for name, each in values.items():
                found[name].append(each)
    lines = []
    for name, budget in SECRETS.items():
        value = quartiles(found[name])
        direction = "↑" if budget.kind == "at least" else "↓"
        lines.append(
            Comparison(name, "process", Figure(value.median, budget.unit), value.median, direction, "", value.spread)
        )
    return Result(Figure(SESSIONS, "sessions"), lines, f"{ROUNDS} rounds")


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _keys(folder: Path) -> dict[str, float]:
    from llmspell import Redactor

    (folder / "old").write_bytes(KEY)
    (folder / "new").write_bytes(KEY[::-1])
    for name in ("old", "new"):
        (folder / name).chmod(0o600)
    text = " ".join(message["content"] for message in texts.messages(1000))[:100_000]
    with ours.opened(folder, "process", "sync", key=folder / "old") as it:
        store: Any = it.store
        for number in range(SESSIONS - 1):
            other = store.sessions.create(f"session {number}")
            other.state.set("secret", {"number": number}, state_class="sensitive")
        session = store.sessions.create("to be shredded")
        values = {f"key-{n}": VALUE for n in range(KEYS)}
        session.state.set_many(values, state_class="sensitive")
        session.complete()
        rotated = _seconds(lambda: store.keys.rotate(folder / "new"))
        shredded = _seconds(lambda: store.sessions.shred(session.id))
    redactor = Redactor()
    return {
        "rotate the master key over 200 sessions with sealed values": rotated * 1e3,
        "shred a session of 1,000 sealed values": shredded * 1e3,
        "look through 100 KB of text for secrets": _seconds(lambda: redactor.redact(text)) * 1e3,
    }


def _moved(folder: Path) -> dict[str, float]:
    from llmspell.model.scope import GLOBAL

    names = [f"{ours_migrations.PREFIX}{n:08}" for n in range(1000)]
    with _filled(folder / "one by one") as it:
        lazily = it.store.migrations.lazily(ours_migrations.plan(it), scope=GLOBAL)
        read = _seconds(lambda: [lazily.get(name) for name in names])
    with _filled(folder / "back") as it:
        report = it.store.migrations.apply(ours_migrations.plan(it))
        back = _seconds(lambda: it.store.migrations.rollback(report.id))
    return {
        "migrate a value when it is read": read * 1e6 / len(names),
        "take a migration of 10,000 values back": report.changed / back,
    }


@contextmanager
def _filled(folder: Path) -> Iterator[ours.Opened]:
    folder.mkdir()
    with ours.opened(folder, "process", "sync") as it:
        ours_migrations.fill(it, VALUES)
        yield it
