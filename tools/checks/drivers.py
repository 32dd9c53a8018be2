"""Drivers are imported in their adapter only: the rest of the package speaks to ports.

Imports by name are found wherever they stand (also lazy ones inside functions), and so is ``import_module`` with a
literal name.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tools.checks.names import Names, imported_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Source, Tree

RULE = "driver-import"
# Driver -> the folders (or files) of the package that may import it.
HOMES = {
    "apsw": ("src/llmspell/adapters/",),
    "sqlite3": ("src/llmspell/adapters/",),
    "psycopg": ("src/llmspell/adapters/",),
    "obstore": ("src/llmspell/adapters/",),
    "lupa": ("src/llmspell/script/lua/", "src/llmspell/script/lua.py"),
}
BY_NAME = frozenset({"importlib.import_module", "__import__"})


def check(tree: Tree) -> Iterator[Finding]:
    """Imports of a driver outside its home."""
    for source in tree.python("src"):
        for node, module in [*imported_modules(source.tree), *_imports_by_name(source)]:
            homes = HOMES.get(module.partition(".")[0])
            if homes is not None and not source.name.startswith(homes):
                yield source.finding(RULE, node, f"{module} is imported outside {' and '.join(homes)}")


def _imports_by_name(source: Source) -> list[tuple[ast.AST, str]]:
    names = Names(source.tree)
    return [
        (node, node.args[0].value)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and names.dotted(node.func) in BY_NAME
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
