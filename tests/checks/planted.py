"""Planting of one file in an empty tree, and what one check then says about it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tools.checks.tree import Tree


class Planted:
    """A tree below a temporary folder; ``rules(check)`` are the rules its files break, with their lines."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def plant(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def findings(self, module) -> list[tuple[str, int, str]]:
        return sorted((found.name, found.line, found.rule) for found in module.check(Tree(self.root)))
