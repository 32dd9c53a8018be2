"""The store's own tables, and a small reader of .sql files.

A queries file is a run of blocks, each headed ``-- name: find_key`` (and, where it helps, more comment lines).
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

FORMAT = 1
"""Version of the tables; a store of a higher one is refused by name."""
APPLICATION_ID = 0x4C4C4D53
"""``LLMS``: marks our SQLite files, so that a foreign one is recognised."""

_LATER = re.compile(r"^-- later: .*\n", re.MULTILINE)
_TABLE = re.compile(r"^CREATE (?:VIRTUAL )?TABLE (\w+)", re.MULTILINE)
_BLOCK = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def script(name: str) -> str:
    """The text of a .sql file of this package."""
    return files(__name__).joinpath(name).read_text("utf-8")


@cache
def first_tables() -> str:
    """What every store has from the beginning."""
    return _LATER.split(script("main.sql"))[0]


@cache
def first_names() -> tuple[str, ...]:
    """The tables of ``first_tables``."""
    return tuple(_TABLE.findall(first_tables()))


@cache
def later_tables() -> dict[str, str]:
    """By the name of a table that is made when it is first needed: what makes it, and those it goes with."""
    return {table: group for group in _LATER.split(script("main.sql"))[1:] for table in _TABLE.findall(group)}


@cache
def queries(package: str) -> dict[str, str]:
    """The named queries of ``queries.sql`` in a room's package."""
    text = files(package).joinpath("queries.sql").read_text("utf-8")
    parts = _BLOCK.split(text)[1:]
    return {name: body.strip().rstrip(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
