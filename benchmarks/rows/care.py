"""Care of sessions and artifacts: bundles, collecting, deleting, and asking what became of what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import ours, texts
from benchmarks.harness import Bench, Budget, Comparison, Figure, Result, at_least, at_most, quartiles, row

GROUP = "Care of sessions and artifacts"
MB = 1_000_000
KB_64 = 1 << 16
CONTENTS, KEYS, CHAIN, LINES, ENDED = 200, 1000, 1000, 10_000, 2000
BUDGETS: dict[str, Budget] = {
    "export a session": at_least(50, "MB/s"),
    "import it into another store": at_least(50, "MB/s"),
    "export it encrypted": at_least(50, "MB/s"),
    "export its artifacts as ZIP": at_least(50, "MB/s"),
    "import the ZIP": at_least(50, "MB/s"),
    "compare it with its fork": at_most(100, "ms"),
    "show what differs between two texts of 10,000 lines": at_most(200, "ms"),
    "lineage of the last of 1,000 artifacts": at_most(100, "ms"),
    "cleanup, dry run, of 2,000 ended sessions": at_most(200, "ms"),
    "save all of 100 active sessions": at_most(100, "ms"),
    "delete 200 artifacts for good": at_most(500, "ms"),
    "collect their contents": at_least(50, "MB/s"),
}
ROUNDS = 3


@row(
    "care", "a session of 1,000 keys and 200 artifacts of 64 KiB that do not compress",
    durability="process", group=GROUP, budgets=BUDGETS,
)  # fmt: skip
def care(bench: Bench) -> Result:
    """Each a few times, on a store made for it."""
    spent: dict[str, list[float]] = {name: [] for name in BUDGETS}
    for number in range(ROUNDS):
        once(bench.fresh(f"care-{number}"), spent)
    lines = []
    for name, budget in BUDGETS.items():
        value = quartiles(spent[name])
        figure = Figure(value.median, budget.unit)
        direction = "↑" if budget.kind == "at least" else "↓"
        lines.append(Comparison(name, "process", figure, value.median, direction, "", value.spread))
    return Result(Figure(CONTENTS * KB_64 / MB, "MB"), lines, f"{ROUNDS} rounds")


def once(folder: Path, spent: dict[str, list[float]]) -> None:
    """One round of all, noted under the names of ``BUDGETS``."""
    note = partial(_note, spent)
    with ours.opened(folder, "process", "sync") as it:
        store: Any = it.store
        session = _full_session(store)
        fork = store.sessions.fork(session.id)
        fork.state.set_many({f"key-{number}": {"turn": -number} for number in range(0, KEYS, 10)})
        note("export a session", lambda: store.sessions.export(session.id, folder / "plain"))
        note("export it encrypted", lambda: store.sessions.export(session.id, folder / "sealed", key=bytes(range(32))))
        note("export its artifacts as ZIP", lambda: session.artifacts.export(folder / "files.zip", format="zip"))
        with _other(folder / "other") as other:
            note("import it into another store", lambda: other.sessions.import_(folder / "plain"))
            target = other.sessions.create("files")
            note("import the ZIP", lambda: target.artifacts.import_(folder / "files.zip"))
        note("compare it with its fork", lambda: store.sessions.compare(session.id, fork.id))
        _texts(store, note)
        _chain(store, note)
        _many(store, note)
        store.sessions.delete(fork.id)
        note("delete 200 artifacts for good", lambda: session.artifacts.delete_matching(name="file-*", hard=True))
        note("collect their contents", store.collect)


def _note(spent: dict[str, list[float]], name: str, work: Callable[[], object]) -> None:
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    in_mb = BUDGETS[name].unit == "MB/s"
    spent[name].append(CONTENTS * KB_64 / MB / seconds if in_mb else seconds * 1e3)


@contextmanager
def _other(folder: Path) -> Iterator[Any]:
    folder.mkdir()
    with ours.opened(folder, "process", "sync") as it:
        yield it.store


def _full_session(store: Any) -> Any:
    session = store.sessions.create("full")
    session.state.set_many({f"key-{number}": {"turn": number, "text": "x" * 60} for number in range(KEYS)})
    for number, content in enumerate(texts.noise(CONTENTS, KB_64)):
        session.artifacts.put(f"file-{number:03}.bin", content)
    return session


def _texts(store: Any, note: Callable[[str, Callable[[], object]], None]) -> None:
    session = store.sessions.create("texts")
    lines = [f"line {number} of a text" for number in range(LINES)]
    session.artifacts.put("text.txt", "\n".join(lines))
    session.artifacts.put(
        "text.txt", "\n".join(f"{line}, changed" if n % 100 == 0 else line for n, line in enumerate(lines))
    )
    note("show what differs between two texts of 10,000 lines", lambda: session.artifacts.diff("text.txt", 1, 2))


def _chain(store: Any, note: Callable[[str, Callable[[], object]], None]) -> None:
    session = store.sessions.create("chain")
    last: Any = None
    for number in range(CHAIN):
        last = session.artifacts.put(f"step-{number}", b"x", derived_from=[last.id] if last else [])
    note("lineage of the last of 1,000 artifacts", lambda: store.artifacts.lineage(last.id))


def _many(store: Any, note: Callable[[str, Callable[[], object]], None]) -> None:
    from llmspell import RetentionPolicy

    for number in range(ENDED):
        store.sessions.create(f"ended {number}").complete()
    for number in range(100):
        store.sessions.create(f"active {number}")
    policy = RetentionPolicy(max_count=10)
    note("cleanup, dry run, of 2,000 ended sessions", lambda: store.sessions.cleanup(policy, dry_run=True))
    note("save all of 100 active sessions", store.sessions.save_all_active)
