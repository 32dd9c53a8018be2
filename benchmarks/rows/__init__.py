"""The rows, one module per part of the table; importing a module registers its rows."""

import importlib

MODULES = (
    "writes",
    "concurrent",
    "reads",
    "artifacts",
    "queries",
    "streams",
    "workload",
    "messages",
    "disk",
    "agents",
    "sessions",
    "forks",
    "care",
    "migrations",
    "guarded",
    "sealed",
    "captures",
    "recovery",
    "hooks",
    "scripts",
    "cycles",
)


def load_all() -> None:
    """Register every row, in the order of the table."""
    for name in MODULES:
        importlib.import_module(f"benchmarks.rows.{name}")
