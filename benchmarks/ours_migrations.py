"""Our side of the row about migrations of stored values."""

from __future__ import annotations

from typing import Any

from benchmarks import ours
from benchmarks.ours import Opened

SCHEMA = "user"
PREFIX = "user:"
FILL_VALUES = 5_000


def catalog() -> Any:
    """Two versions: a renamed field, one of another type, a new one with a default."""
    ours.require()
    from llmspell.schemas.catalog import Catalog
    from llmspell.schemas.schema import Schema

    tags = {"type": "list", "default": []}
    return Catalog().adding_all([
        Schema(SCHEMA, "1.0.0", {"name": "string", "age": "string", "address": {"type": "object"}}),
        Schema(SCHEMA, "2.0.0", {"full_name": "string", "age": "integer", "tags": tags}),
    ])  # fmt: skip


def migration() -> Any:
    """What leads from the first to the second, by four transforms, one of them on a nested path."""
    from llmspell.migration.changing import Convert, Default
    from llmspell.migration.migration import Migration
    from llmspell.migration.moving import Move, Rename

    return Migration(SCHEMA, "1.0.0", "2.0.0", [
        Rename("name", "full_name"), Convert("age", "integer"), Default("tags", []), Move("address.city", "city"),
    ])  # fmt: skip


def fill(it: Opened, count: int) -> None:
    """So many values of version 1, of some 120 bytes."""
    for start in range(0, count, FILL_VALUES):
        it.do(it.store.state.set_many({
            f"{PREFIX}{n:08}": {
                "name": f"name {n}", "age": str(n % 90), "address": {"city": "Bern", "street": f"street {n}"},
                "note": "kept as it is",
            }
            for n in range(start, min(start + FILL_VALUES, count))
        }))  # fmt: skip


def plan(it: Opened) -> Any:
    """The plan for all of them."""
    it.do(it.store.migrations.register(migration()))
    return it.do(it.store.migrations.plan(SCHEMA, "2.0.0", from_version="1.0.0", prefix=PREFIX, catalog=catalog()))
