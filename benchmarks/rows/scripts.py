"""What a Lua host call costs over the operation it asks for."""

from __future__ import annotations

from typing import Any


def run_script(store: Any, source: str) -> Any:
    """Run a Lua source in an engine of its own on this store."""
    from llmspell.script import run  # type: ignore[attr-defined]  # until the room lands

    return run(store, source)
