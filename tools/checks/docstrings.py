"""What is public has a docstring: modules, classes, functions and methods that a reader can reach by public names.

A name is private when it, its class or a folder above begins with an underscore. Overloads, setters and what is
defined inside a function need none.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Source, Tree

RULE = "docstring"
EXEMPTING_DECORATORS = frozenset({"overload", "override", "setter", "deleter"})
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def check(tree: Tree) -> Iterator[Finding]:
    """Public definitions of the package and the workshop that say nothing."""
    for source in tree.python("src", "tools"):
        parts = source.name.removesuffix(".py").split("/")
        if any(_private(part) for part in parts):
            continue
        if _says_nothing(source.tree):
            yield source.finding(RULE, 1, "the module does not say why it exists and what must stay true in it")
        yield from _undocumented(source, source.tree)


def _undocumented(source: Source, parent: ast.Module | ast.ClassDef) -> Iterator[Finding]:
    for node in ast.iter_child_nodes(parent):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if _says_nothing(node) and not EXEMPTING_DECORATORS & _decorators(node):
            yield source.finding(RULE, node, f"{node.name} is public and has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(source, node)


def _says_nothing(node: Documented) -> bool:
    return not (ast.get_docstring(node) or "").strip()


def _private(part: str) -> bool:
    return part.startswith("_") and part not in {"__init__", "__main__"}


def _decorators(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    names = set()
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Attribute):
            names.add(decorator.attr)
        elif isinstance(decorator, ast.Name):
            names.add(decorator.id)
    return names
