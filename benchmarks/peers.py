"""The peers: what they need to be compared fairly, and the reason when they are not here.

Each peer is measured *as it comes*, and at *equal durability* where that takes a setting its own API does not offer:
then :func:`equal` adds pragmas to the connections it opens itself (`sqlite3.connect` is the door all three use).
What each does by default, read from the connection at run time and printed with the table:

- LangGraph SqliteSaver and OpenAI Agents SQLiteSession: WAL, ``synchronous=FULL``. That is `full`.
- Google ADK SqliteSessionService: rollback journal, ``synchronous=FULL``, one new connection for every call. That is
  `full` too, with more syncs than WAL needs. At equal durability here: WAL, and a connection of ours held open so that
  its close does not checkpoint each time.
- Google ADK FileArtifactService: no fsync at all. That is `process`. For `full` the harness syncs what it wrote.
"""

from __future__ import annotations

import functools
import importlib
import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Durability, Skipped
from benchmarks.machine import version

LANGGRAPH = "langgraph-checkpoint-sqlite"
ADK = "google-adk"
OPENAI = "openai-agents"
SYNCHRONOUS = {"full": "FULL", "process": "NORMAL", "none": "OFF"}

_pragmas: dict[str, tuple[str, ...]] = {}


def name_of(package: str, how: str = "") -> str:
    """How a peer is named in the table: short name, version, and how it was set up."""
    short = {LANGGRAPH: "LangGraph", ADK: "ADK", OPENAI: "OpenAI Agents"}[package]
    return f"{short} {version(package) or ''}".strip() + (f", {how}" if how else "")


def require(package: str, module: str) -> Any:
    """Import a peer's module, or raise :class:`Skipped` with how to install it."""
    if version(package) is None:
        raise Skipped("not installed (pip install -r benchmarks/requirements.txt)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(module)
        except ImportError as error:
            raise Skipped(f"{module} does not import: {error}") from error


@contextmanager
def equal(path: Path, durability: Durability) -> Iterator[None]:
    """Until closed, every connection that anyone opens to ``path`` runs in WAL at this durability.

    Holds one connection open meanwhile, so that a peer that opens one per call does not checkpoint at each close.
    """
    _watch_connects()
    _pragmas[str(path)] = "PRAGMA journal_mode=WAL", f"PRAGMA synchronous={SYNCHRONOUS[durability]}"
    try:
        with closing(sqlite3.connect(str(path))) as keeper:
            keeper.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield
    finally:
        del _pragmas[str(path)]


@functools.cache
def _watch_connects() -> None:
    original: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
        connection = original(database, *args, **options)
        for pragma in _pragmas.get(str(database), ()):
            connection.execute(pragma)
        return connection

    sqlite3.connect = connect  # type: ignore[assignment]  # a stand-in with the same behaviour


def journal_of(path: Path) -> str:
    """The journal mode a peer left its file in, for the notes of the table."""
    with closing(sqlite3.connect(str(path))) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def sync_tree(folder: Path) -> None:
    """Make every file and folder below ``folder`` durable: what a peer without fsync would have to add."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
