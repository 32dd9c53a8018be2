"""The course of the demo: put the sources in, start the script, kill it half way, resume it, look at what was kept."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.demo.sources import bundled, given
from llmspell.errors import InvalidInput, ScriptFailed
from llmspell.sync.opening import open as open_store

if TYPE_CHECKING:
    from llmspell.sync.faces import Store

SESSION = "research"
_WAIT_S = 60.0
Say = Callable[[str], None]


def run_demo(paths: list[str], folder: str | None, say: Say) -> dict[str, Any]:
    """Run the demo over ``paths`` (none: the library's own text) in a new store; gives the figures it printed."""
    began = time.perf_counter()
    sources = given(paths) if paths else bundled()
    place = _place(folder)
    figures: dict[str, Any] = {"store": str(place), "sources": len(sources)}
    with open_store(place) as store:
        session = store.sessions.create(SESSION, tags=["demo"], description="Word statistics")
        size = 0
        for path in sources:
            size += session.artifacts.put(path.name if paths else _name(path), path, type="user_input").size
        figures |= {"session": session.id, "bytes": size}
        say(f"store      {place}")
        say(f"session    {SESSION} {session.id}: {len(sources)} sources, {size / 1e6:.1f} MB")
    with as_file(files("llmspell.demo").joinpath("research.lua")) as script:
        figures["killed_after"] = _killed(place, script, len(sources))
        if _unfinished(place, session.id):
            say(f"run        killed with SIGKILL after source {figures['killed_after']} of {len(sources)}")
            _resumed(place, session.id, script, say)
        else:
            say("run        had finished before it could be killed: try more or longer files")
    with open_store(place, create=False) as store:
        figures |= _look(store, session.id, say)
    figures["seconds"] = round(time.perf_counter() - began, 2)
    say("")
    say(f"done in {figures['seconds']} s. Look around:")
    for command in (f"timeline {SESSION} --limit 20", f"artifact versions report.md --session {SESSION}", "verify"):
        say(f"  llmspell --store {place} {command}")
    return figures


def _place(folder: str | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="llmspell-demo-")) / "store"
    place = Path(folder)
    if place.exists() and any(place.iterdir()):
        raise InvalidInput(f"{place} is not empty; the demo makes a store of its own", code="not-empty")
    return place


def _name(path: Path) -> str:
    return path.parent.name + "/" + path.name if path.parent.name in {"asyncio", "logging", "pydoc_data"} else path.name


def _command(place: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "llmspell", "--store", str(place), *words]


def _killed(place: Path, script: Path, sources: int) -> int:
    """Start the script in a process of its own, follow its events from here, and kill it when it is half through."""
    enough = max(1, sources // 2)
    with open_store(place, create=False) as store, store.events.subscribe("research.source_done") as events:
        child = subprocess.Popen(
            _command(place, "--quiet", "run", str(script), "--session", SESSION),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            deadline = time.monotonic() + _WAIT_S
            while (event := events.receive(timeout_s=0.2)) is None or event.data["sources"] < enough:
                if child.poll() is not None or time.monotonic() > deadline:
                    break
        finally:
            child.kill()
            _, errors = child.communicate()
    if child.returncode == 0:
        return sources
    if event is None:
        raise ScriptFailed(f"the script did not start: {errors.decode(errors='replace')[-500:]}")
    return int(event.data["sources"])


def _unfinished(place: Path, session: str) -> bool:
    with open_store(place, create=False) as store:
        return not store.timeline(session=session, kinds=["run.finished"], limit=1).items


def _resumed(place: Path, session: str, script: Path, say: Say) -> None:
    done = subprocess.run(
        _command(place, "--quiet", "run", str(script), "--resume", session), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ScriptFailed(f"the resumed run failed: {done.stderr[-1000:]}")
    say("resume     in a new process: finished, without repeating what was done")


def _look(store: Store, session_id: str, say: Say) -> dict[str, Any]:
    session = store.sessions.open(session_id)
    versions = session.artifacts.versions("report.md")
    stats, page = store.stats(), session.timeline(limit=10_000)
    say("")
    say("timeline   the last steps:")
    for entry in page.items[-8:]:
        say(f"  {entry.seq:>5}  {entry.kind:<22} {_told(entry)}")
    kinds: dict[str, int] = {}
    for entry in page.items:
        kinds[entry.kind] = kinds.get(entry.kind, 0) + 1
    say("")
    say(
        f"kept       {len(page.items)} entries: "
        + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    )
    sizes = stats["bytes"]
    say(
        f"content    {sizes['artifacts'] / 1e6:.2f} MB given, {sizes['artifacts_unique'] / 1e6:.2f} MB different,"
        f" {sizes['artifacts_stored'] / 1e6:.2f} MB stored (compression {stats['compression_ratio'] or 1:.1f}x)"
    )
    say(
        f"report     {len(versions)} versions; the newest was made from"
        f" {len(versions[-1].metadata['lineage']['sources'])} sources"
    )
    log = store.state_of(_research()).get("log")
    say(f"hook       wrote {len(log)} lines of log from {kinds.get('event.published', 0)} events")
    verdict = store.verify()
    say(
        f"verify     {'clean' if verdict.ok else 'DAMAGED'}: "
        + ", ".join(f"{n} {what}" for what, n in verdict.checked.items())
    )
    return {
        "entries": len(page.items), "kinds": kinds, "versions": len(versions), "log_lines": len(log),
        "verified": verdict.ok,
        "words": session.state.get("words/total"), "status": str(session.info.status), "content": sizes,
        "lineage": versions[-1].metadata["lineage"]["sources"],
    }  # fmt: skip


def _research() -> Any:
    from llmspell.model.scope import Scope

    return Scope.custom("research")


def _told(entry: Any) -> str:
    data = entry.data
    if entry.kind == "state.set":
        return f"{data['scope'].partition(':')[0]} {data['key']}"
    if entry.kind == "artifact.stored":
        return f"{data['name']} v{data['version']} ({data['size']:,} bytes)"
    if entry.kind == "event.published":
        return f"{data['type']} {data['data'].get('name', '')}" if isinstance(data["data"], dict) else data["type"]
    return ""
