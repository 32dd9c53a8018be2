"""Tables that are made when they are first needed, because an empty one takes pages of the file too.

A statement that names a table which is not there fails when it is prepared: before it did anything. In a transaction
that writes, the table is made then and there, and goes with the transaction if that fails. In one that only reads, an
empty one is made in memory, which goes with it in any case: nothing is written, and the next reader looks anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import apsw

from llmspell.schema import later_tables

Execute = Callable[..., apsw.Cursor]
_MISSING = re.compile(r"^no such table: (?:main\.)?(\w+)$")
_TEMPORARY = (
    (re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE), r"CREATE TEMP TABLE \1"),
    (re.compile(r"^CREATE VIRTUAL TABLE (\w+)", re.MULTILINE), r"CREATE VIRTUAL TABLE temp.\1"),
    (re.compile(r"^CREATE INDEX (\w+)", re.MULTILINE), r"CREATE INDEX temp.\1"),
)


def made(execute: Execute, sql: str, args: Sequence[Any], exc: apsw.SQLError) -> apsw.Cursor:
    """A statement of a transaction that writes again, with the tables that it misses made. Raises ``exc``, which it
    raised before, if that is of another kind.
    """
    while True:
        execute(_script(exc))
        try:
            return execute(sql, args)
        except apsw.SQLError as again:
            exc = again


def pretended(execute: Execute, sql: str, args: Sequence[Any], exc: apsw.SQLError) -> apsw.Cursor:
    """A statement of a transaction that reads again, over empty tables for those that it misses, for as long as the
    transaction lasts. Raises ``exc`` as ``made``.
    """
    while True:
        script = _temporary(_script(exc))
        execute("PRAGMA query_only=OFF")
        try:
            execute(script)
        finally:
            execute("PRAGMA query_only=ON")
        try:
            return execute(sql, args)
        except apsw.SQLError as again:
            exc = again


def is_missing(exc: apsw.SQLError) -> bool:
    """Whether it is about such a table."""
    found = _MISSING.match(str(exc))
    return found is not None and found[1] in later_tables()


def _script(exc: apsw.SQLError) -> str:
    found = _MISSING.match(str(exc))
    if found is None or found[1] not in later_tables():
        raise exc
    return later_tables()[found[1]]


@cache
def _temporary(script: str) -> str:
    for pattern, made in _TEMPORARY:
        script = pattern.sub(made, script)
    return script
