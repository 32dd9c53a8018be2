"""Rooms import from rooms below them, never from the package's front door.

``from llmspell import Store`` loads the wiring, whatever the room it stands in; the names of the front door load
lazily, so the import contracts cannot see it. Only what stands above the wiring may come in that way.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Source, Tree

RULE = "front-door"
PACKAGE = "src/llmspell"
CONSTANTS = frozenset({"__version__"})  # stand in the front door itself and load nothing
ABOVE_THE_WIRING = tuple(f"{PACKAGE}/{name}" for name in ("cli/", "demo/", "testing/", "__init__.py", "__main__.py"))


def check(tree: Tree) -> Iterator[Finding]:
    """Imports of ``llmspell`` itself, or of a name that is no module of it, below the wiring."""
    for source in tree.python(PACKAGE):
        if not source.name.startswith(ABOVE_THE_WIRING):
            for node in ast.walk(source.tree):
                for name in _through_the_door(tree, source, node):
                    yield source.finding(RULE, node, f"{name}: import it from the module it lives in")


def _through_the_door(tree: Tree, source: Source, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name == "llmspell" or (alias.name.startswith("llmspell.") and alias.asname is None):
                # `import llmspell.model` binds `llmspell`, and with it every name of the front door.
                yield f"import {alias.name}"
    elif isinstance(node, ast.ImportFrom):
        depth = len(source.name.removeprefix(f"{PACKAGE}/").split("/"))
        if (node.module == "llmspell" and node.level == 0) or (node.module is None and node.level == depth):
            for alias in node.names:
                if alias.name not in CONSTANTS and not _is_module(tree, alias.name):
                    yield f"from llmspell import {alias.name}"


def _is_module(tree: Tree, name: str) -> bool:
    package = tree.root / PACKAGE
    return (package / f"{name}.py").is_file() or (package / name / "__init__.py").is_file()
