"""A file holds one thing: at most 400 lines, a function at most 60, and no module named for being a grab-bag."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Source, Tree

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
GRAB_BAGS = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "misc"})


def check(tree: Tree) -> Iterator[Finding]:
    """Files and functions of the package and of the workshop that outgrew their bound."""
    for source in tree.python("src", "tools"):
        path = PurePosixPath(source.name)
        if GRAB_BAGS & {path.stem, path.parent.name}:
            yield source.finding("grab-bag", 1, "name the module for the one thing it holds")
        lines = source.text.count("\n")
        if lines > FILE_LINES_MAX and not source.text.startswith('"""GENERATED'):
            message = f"the file has {lines} lines, at most {FILE_LINES_MAX}; what grows gets a new file"
            yield source.finding("file-length", FILE_LINES_MAX + 1, message)
        yield from _long_functions(source)


def _long_functions(source: Source) -> Iterator[Finding]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                message = f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"
                yield source.finding("function-length", node, message)
