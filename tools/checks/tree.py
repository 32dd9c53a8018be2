"""The files under judgement: a root folder, its Python files parsed once, and what a check reports about them."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SKIPPED_FOLDERS = frozenset({"__pycache__", "build", "dist", "node_modules"})
TEXT_SUFFIXES = frozenset(
    {".cfg", ".css", ".html", ".in", ".ini", ".js", ".json", ".lua", ".md", ".py", ".pyi", ".sh", ".sql", ".svg"}
    | {".toml", ".ts", ".txt", ".yaml", ".yml"}
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One place that breaks one rule; ``name`` is the path below the root, ``line`` is 1-based."""

    name: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        """``path:line: rule: message``, the form editors jump to."""
        return f"{self.name}:{self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True)
class Source:
    """One text file; ``name`` is its path below the root with forward slashes."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree. Raises SyntaxError as ``ast.parse`` does."""
        return ast.parse(self.text, self.name)

    def finding(self, rule: str, where: ast.AST | int, message: str) -> Finding:
        """A finding in this file at a node or a line."""
        line = where if isinstance(where, int) else getattr(where, "lineno", 1)
        return Finding(self.name, line, rule, message)


class Tree:
    """A checkout (or a planted copy of one)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[Path, Source] = {}

    def python(self, *folders: str) -> Iterator[Source]:
        """Every Python file below these folders of the root, in order of path."""
        return self.texts(*folders, suffixes=frozenset({".py"}))

    def texts(self, *folders: str, suffixes: frozenset[str] = TEXT_SUFFIXES) -> Iterator[Source]:
        """Every file with one of these suffixes below these folders (or exactly these files), in order of path."""
        for folder in folders:
            start = self.root / folder
            paths = [start] if start.is_file() else sorted(start.rglob("*"))
            for path in paths:
                if path.suffix in suffixes and path.is_file() and not self._skipped(path):
                    yield self._source(path)

    def tracked(self) -> Iterator[Source]:
        """Every text file that git would commit: tracked ones, and new ones that are not ignored.

        A tree without git (an unpacked archive) holds nothing else, so there it is every text file.
        """
        if not (self.root / ".git").exists():
            yield from self.texts(".", suffixes=TEXT_SUFFIXES | {""})
            return
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout
        for name in sorted(set(listed.split("\0")) - {""}):
            path = self.root / name
            if path.is_file() and (path.suffix in TEXT_SUFFIXES or not path.suffix):
                yield self._source(path)

    def _skipped(self, path: Path) -> bool:
        parts = path.relative_to(self.root).parts
        return any(part in SKIPPED_FOLDERS or part.startswith(".") for part in parts)

    def _source(self, path: Path) -> Source:
        if path not in self._read:
            name = path.relative_to(self.root).as_posix()
            self._read[path] = Source(name, path.read_text(encoding="utf-8"))
        return self._read[path]
