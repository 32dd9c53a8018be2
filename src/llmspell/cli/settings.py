"""``llmspell config``: the settings that hold here, and who said so."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from llmspell.cli import printable
from llmspell.cli.invocation import running
from llmspell.cli.output import Column

app = App(name="config", help="Settings: from llmspell.toml, LLMSPELL_… variables and options, the later the stronger.")


@app.command(name="show")
def show() -> None:
    """Show every setting with its value and where it was said."""
    run = running.get()
    columns = (
        Column("key", lambda item: item["key"]),
        Column("value", lambda item: "-" if item["value"] is None else item["value"]),
        Column("origin", lambda item: item["origin"]),
    )
    run.out.items([_effective(item.to_dict()) for item in run.config], columns, next_cursor=None, nothing="no settings")
    for path in run.config.files:
        run.out.note(f"read {path}")


def _effective(item: dict[str, Any]) -> dict[str, Any]:
    """The store as it would be opened, when no setting names one; `durability` as stores have it by themselves."""
    if item["key"] != "store" or item["value"] is not None:
        return item
    place, origin = running.get().place()
    return {**item, "value": printable.block(str(place)), "origin": origin}
