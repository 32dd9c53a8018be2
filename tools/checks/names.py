"""What a name in a module stands for: after ``import time as t``, ``t.sleep`` is ``time.sleep``."""

from __future__ import annotations

import ast


class Names:
    """The import aliases of one module, wherever in it they are bound.

    Scopes are not told apart: an alias bound in one function counts for the whole file. For rules that forbid a thing
    this errs on the side of finding it.
    """

    def __init__(self, module: ast.Module) -> None:
        self._origin: dict[str, str] = {}
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.partition(".")[0]
                    self._origin[local] = alias.name if alias.asname else local
            elif isinstance(node, ast.ImportFrom):
                base = "." * node.level + (node.module or "")
                for alias in node.names:
                    joint = "" if base.endswith(".") else "."
                    self._origin[alias.asname or alias.name] = f"{base}{joint}{alias.name}"

    def dotted(self, node: ast.AST) -> str | None:
        """The full dotted name a Name or a chain of Attributes stands for; None for any other expression."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        parts.append(self._origin.get(node.id, node.id))
        return ".".join(reversed(parts))


def imported_modules(module: ast.Module) -> list[tuple[ast.stmt, str]]:
    """Each absolute import statement of a file with each module it names, in source order of the walk."""
    found: list[tuple[ast.stmt, str]] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found.extend((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node, node.module))
    return found
