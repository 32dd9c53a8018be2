"""``llmspell doctor``: is this machine, and this store on it, fit for work.

Looks and changes nothing: it makes no store, and raw database files are only asked for their size.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.cli import printable
from llmspell.cli.exits import FINDINGS, Finished
from llmspell.cli.invocation import Invocation, running
from llmspell.config import unknown_variables
from llmspell.errors import LlmspellError, StoreMissing
from llmspell.opening import open_async
from llmspell.schema import FORMAT

if TYPE_CHECKING:
    from llmspell.sync.faces import Store

SQLITE_SAFE = (3, 51, 3)
"""From this version on SQLite has no known way to lose a WAL that is being reset while somebody reads it."""
WAL_BYTES_MAX = 256 << 20
FREE_BYTES_MIN = 256 << 20
PACKAGES = ("apsw", "lupa", "msgspec", "blake3", "pyfastcdc", "zstandard", "lz4")


def doctor() -> None:
    """Look at versions, settings, files, permissions and free space, and at who has the store open.

    Exit status 3 when it found something to mend.
    """
    run = running.get()
    findings: list[dict[str, Any]] = []
    facts: dict[str, Any] = {"llmspell": _package("llmspell"), "python": platform.python_version()}
    facts |= {"platform": platform.platform(), "packages": {name: _package(name) for name in PACKAGES}}
    facts |= {"sqlite": _sqlite(findings), "lua": _lua(findings), "format": FORMAT}
    facts["config"] = [str(path) for path in run.config.files]
    for name in unknown_variables(os.environ):
        _find(findings, "unknown-variable", f"{name} is set, and is no setting", "see `llmspell config show`")
    _store(run, facts, findings)
    _tell(facts, findings)
    if findings:
        raise Finished(FINDINGS)


def _store(run: Invocation, facts: dict[str, Any], findings: list[dict[str, Any]]) -> None:
    place, origin = run.place()
    facts["store"] = {"path": str(place), "origin": origin, "exists": False}
    try:
        with run.reading() as store:
            facts["store"] |= {"exists": True, "id": store.id, "durability": _durability(run, store.durability)}
            if isinstance(place, Path):
                _keys(store, findings)
    except StoreMissing as exc:
        if origin not in {"default", "nearest"}:
            _found(findings, exc)
        return
    except LlmspellError as exc:
        _found(findings, exc)
    if isinstance(place, Path) and place.is_dir():
        facts["store"] |= _files(place, findings)
        facts["store"]["open_in"] = holders(place)


def _keys(store: Store, findings: list[dict[str, Any]]) -> None:
    """Whether what is sealed can be opened, and by its owner only."""
    status = store.keys.status()
    if not status.private:
        files = " or ".join(filter(None, (status.keyring, status.source)))
        _find(findings, "key-open-to-others", f"others may read a key: {files}", "chmod 600 on both files")


def _durability(run: Invocation, of_store: str) -> str:
    """What a write by this command line would survive; only a scratch store has a say of its own."""
    return of_store if of_store == "none" else run.config.value("durability") or of_store


def _sqlite(findings: list[dict[str, Any]]) -> str:
    """The version of SQLite inside the driver: a store in memory is asked, so no file is needed."""
    import asyncio

    found = asyncio.run(_ask_engine())
    if tuple(int(part) for part in found.split(".")[:3]) < SQLITE_SAFE:
        wanted = ".".join(map(str, SQLITE_SAFE))
        _find(findings, "sqlite-too-old", f"SQLite {found} can lose a WAL; {wanted} and later cannot", "upgrade apsw")
    return found


async def _ask_engine() -> str:
    async with await open_async(":memory:") as store:
        row = await store.journal.database.one("SELECT sqlite_version()")
    return str(row[0]) if row is not None else "0"


def _files(place: Path, findings: list[dict[str, Any]]) -> dict[str, Any]:
    sizes = dict(_sizes(place))
    wal = sum(size for name, size in sizes.items() if name.endswith("-wal"))
    if wal > WAL_BYTES_MAX:
        _find(
            findings, "wal-large", f"the WAL takes {printable.size(wal)}; somebody keeps an old read open",
            "see who has the store open, and end what is stuck",
        )  # fmt: skip
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES_MIN:
        _find(findings, "disk-nearly-full", f"only {printable.size(free)} are free for the store", "free some space")
    for path in [place, *(place / name for name in sizes)]:
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            _find(findings, "no-permission", f"this user may not read and write {path}", "change its owner or mode")
    open_to_all = os.name != "nt" and bool(place.stat().st_mode & 0o002)
    if open_to_all:
        _find(findings, "writable-by-all", f"everybody on this machine may write to {place}", f"chmod o-w {place}")
    return {"bytes": sum(sizes.values()), "wal_bytes": wal, "free_bytes": free, "files": sizes}


def _sizes(place: Path) -> Iterator[tuple[str, int]]:
    for folder, _, names in os.walk(place):
        for name in sorted(names):
            path = Path(folder, name)
            try:
                yield str(path.relative_to(place)), path.stat().st_size
            except FileNotFoundError:  # it was removed meanwhile
                continue


def holders(place: Path) -> list[dict[str, Any]] | None:
    """Processes that have a file of the store open, as far as this user may see; None where that cannot be known."""
    processes = Path("/proc")
    if not (processes / "self" / "fd").is_dir():
        return None
    inside = str(place.resolve()) + os.sep
    others = sorted(int(one.name) for one in processes.iterdir() if one.name.isdigit() and int(one.name) != os.getpid())
    return [
        {"pid": pid, "command": _command(processes / str(pid))}
        for pid in others
        if _holds(processes / str(pid), inside)
    ]


def _holds(process: Path, inside: str) -> bool:
    try:
        return any(str(link.readlink()).startswith(inside) for link in (process / "fd").iterdir())
    except OSError:  # it ended, or belongs to somebody else
        return False


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:200]
    except OSError:
        return ""


def _lua(findings: list[dict[str, Any]]) -> list[str]:
    """Versions of Lua that can be loaded here."""
    from llmspell.script.lua.runtime import MODULES, load_library

    found = []
    for language in MODULES:
        try:
            load_library(language)
        except LlmspellError as exc:
            _found(findings, exc)
        else:
            found.append(language)
    return found


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _find(findings: list[dict[str, Any]], code: str, what: str, hint: str | None) -> None:
    findings.append({"code": code, "message": what, "hint": hint})


def _found(findings: list[dict[str, Any]], error: LlmspellError) -> None:
    _find(findings, error.code, error.message, error.hint)


def _tell(facts: dict[str, Any], findings: list[dict[str, Any]]) -> None:
    out = running.get().out
    store = facts["store"]
    rows = [
        ("llmspell", facts["llmspell"]), ("python", f"{facts['python']} on {facts['platform']}"),
        ("packages", ", ".join(f"{name} {number}" for name, number in facts["packages"].items())),
        ("lua", ", ".join(facts["lua"])), ("sqlite", facts["sqlite"]),
        ("settings", ", ".join(facts["config"]) or "no llmspell.toml"),
        ("store", f"{store['path']} ({store['origin']}){'' if store['exists'] else ', not there yet'}"),
        ("id", store.get("id")), ("format", facts["format"]), ("durability", store.get("durability")),
        ("size", "bytes" in store and f"{printable.size(store['bytes'])}, WAL {printable.size(store['wal_bytes'])}"),
        ("free", "free_bytes" in store and printable.size(store["free_bytes"])),
        ("open in", _open_in(store)),
    ]  # fmt: skip
    out.fields({**facts, "findings": findings}, [(name, what or "") for name, what in rows])
    if not out.json:
        for one in findings:
            out.write(printable.line(f"finding: {one['message']}" + (f" ({one['hint']})" if one["hint"] else "")))
        out.write("nothing to mend" if not findings else printable.count(len(findings), "finding"))


def _open_in(store: dict[str, Any]) -> str:
    if "open_in" not in store:
        return ""
    if store["open_in"] is None:
        return "not known on this system"
    told = [f"{one['pid']} {printable.line(one['command'])}" for one in store["open_in"]]
    return "\n".join(told) or "no other process that this user may see"
