"""``apply`` is the only door into the projections.

Live writing, rebuilding, replaying and restoring give equal tables only because one piece of code writes them. So SQL
that changes a projection's table stands in a file named ``projection.py``, in a function named ``apply...``, or in a
named query that only these use. Which tables are projections the schema says itself: the comment above such a table
begins with "Projection".
"""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Source, Tree

RULE = "apply-is-the-only-door"
SCHEMA = "src/llmspell/schema"
DOOR = "projection.py"
PROJECTION = re.compile(r"^-- Projection\b(?:[^\n]*\n--)*[^\n]*\nCREATE (?:VIRTUAL )?TABLE (\w+)", re.MULTILINE)
NAMED_QUERY = re.compile(r"^-- name: *(\w+)[^\n]*\n", re.MULTILINE)
HOLE = "\x00"  # where an f-string puts a value: the table may be any


def check(tree: Tree) -> Iterator[Finding]:
    """Places outside the projections that write their tables, or use a query that does."""
    tables = {name for source in _schema(tree) for name in PROJECTION.findall(source.text)}
    if not tables:
        for source in _schema(tree):
            yield source.finding(RULE, 1, "no table's comment begins with 'Projection': this check would see nothing")
        return
    writes = _writes_one_of(tables)
    queries = _writing_queries(tree, writes)
    for source in tree.python("src"):
        if PurePosixPath(source.name).name != DOOR:
            applying = _inside_apply(source.tree)
            yield from _literals(source, writes, applying)
            yield from _uses(source, queries, applying)


def _literals(source: Source, writes: re.Pattern[str], applying: set[int]) -> Iterator[Finding]:
    for node, text in _strings(source.tree):
        if id(node) not in applying and (found := writes.search(text)):
            table = found["table"].replace(HOLE, "a computed table")
            yield source.finding(RULE, node, f"SQL that writes {table} outside a {DOOR}")


def _uses(source: Source, queries: dict[str, set[str]], applying: set[int]) -> Iterator[Finding]:
    """Subscripts by the name of a query, ``_SQL["put_row"]``, in files that have those queries at hand."""
    texts = {text for _, text in _strings(source.tree)}
    folder = str(PurePosixPath(source.name).parent)
    at_hand = {
        name
        for room, names in queries.items()
        if room == folder or room.removeprefix("src/").replace("/", ".") in texts
        for name in names
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Subscript) and id(node) not in applying and _text(node.slice) in at_hand:
            yield source.finding(RULE, node, f"the writing query {_text(node.slice)} is used outside a {DOOR}")


def _inside_apply(module: ast.Module) -> set[int]:
    """The nodes inside functions named ``apply...``, by identity."""
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    doors = [node for node in functions if node.name.lstrip("_").startswith("apply")]
    return {id(inner) for door in doors for inner in ast.walk(door)}


def _schema(tree: Tree) -> Iterator[Source]:
    return tree.texts(SCHEMA, suffixes=frozenset({".sql"}))


def _writes_one_of(tables: set[str]) -> re.Pattern[str]:
    verb = r"(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)"
    names = "|".join(sorted(tables, key=len, reverse=True))
    return re.compile(rf"\b{verb}\s+[\"`\[]?(?:main\s*\.\s*)?[\"`\[]?(?P<table>(?:{names})\b|{HOLE})", re.IGNORECASE)


def _writing_queries(tree: Tree, writes: re.Pattern[str]) -> dict[str, set[str]]:
    """Folder of a room -> names of its queries that write a projection."""
    found: dict[str, set[str]] = {}
    for source in tree.texts("src", suffixes=frozenset({".sql"})):
        parts = NAMED_QUERY.split(source.text)
        names = {name for name, body in zip(parts[1::2], parts[2::2], strict=True) if writes.search(body)}
        found.setdefault(str(PurePosixPath(source.name).parent), set()).update(names)
    return found


def _strings(module: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """String literals that are not docstrings; f-strings and concatenations as one text with holes."""
    documentation = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) and id(node) not in documentation:
            text = _text(node)
            if text is not None:
                yield node, text


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or HOLE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        left, right = _text(node.left), _text(node.right)
        if isinstance(node.op, ast.Mod):
            return None if left is None else left.replace("%s", HOLE)
        return None if left is None and right is None else (left or HOLE) + (right or HOLE)
    return None
