"""What is imported is declared, and what is declared is imported.

An editable environment holds many packages that nobody declared, so a missing dependency shows up on a user's machine
first; one that nothing imports any more is downloaded by every user for nothing. The tests may use the ``test`` extra
besides, because the README's test command installs no more.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tools.checks.names import imported_modules

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tools.checks.tree import Finding, Source, Tree

RULE = "dependency"
OURS = frozenset({"llmspell", "tools", "tests", "benchmarks"})
# In the standard library of a newer Python than this check may be running on.
STANDARD = sys.stdlib_module_names | {"compression", "annotationlib"}
# Plug-ins that pytest finds by itself.
NEVER_IMPORTED = frozenset({"pytest-timeout", "pytest-randomly", "pytest-xdist", "pytest"})


def check(tree: Tree) -> Iterator[Finding]:
    """Undeclared imports, and requirements that nothing imports."""
    for source in tree.texts("pyproject.toml", suffixes=frozenset({".toml"})):
        project = tomllib.loads(source.text).get("project", {})
        extras = project.get("optional-dependencies", {})
        core = _names(project.get("dependencies", []))
        tested = core | _names(extras.get("test", []))
        every = core | {name for lines in extras.values() for name in _names(lines)}
        used = yield from _undeclared(tree, "src", every)
        used |= yield from _undeclared(tree, "tests", tested)
        for name in sorted(tested - used - NEVER_IMPORTED):
            yield source.finding(RULE, _line(source, name), f"{name} is declared and nothing imports it")


def _undeclared(tree: Tree, folder: str, declared: set[str]) -> Generator[Finding, None, set[str]]:
    used: set[str] = set()
    # Scripts that a test starts import what lies beside them.
    neighbours = {PurePosixPath(source.name).stem for source in tree.python(folder)} if folder == "tests" else set()
    for source in tree.python(folder):
        used |= _named(source) & declared
        for node, module in imported_modules(source.tree):
            if module.partition(".")[0] in STANDARD | OURS | neighbours:
                continue
            found = _candidates(node, module) & declared
            used |= found
            if not found:
                yield source.finding(RULE, node, f"{module} is imported and not declared in pyproject.toml")
    return used


def _named(source: Source) -> set[str]:
    """Distributions whose modules stand in a literal, such as ``"lupa.lua54"``: loaded by name."""
    texts = (node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant))
    dotted = [text.split(".") for text in texts if isinstance(text, str) and re.fullmatch(r"[\w.]+", text)]
    return {_canonical(".".join(parts[:count])) for parts in dotted for count in (1, 2)}


def _candidates(node: ast.stmt, module: str) -> set[str]:
    """The names its distribution may have: ``apsw.ext`` is found by one part, ``from backports import zstd`` by two."""
    full = [f"{module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else [module]
    return {_canonical(".".join(name.split(".")[:count])) for name in full for count in (1, 2)}


def _names(requirements: list[str]) -> set[str]:
    return {_canonical(re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0]) for line in requirements}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _line(source: Source, name: str) -> int:
    pattern = re.compile(name.replace("-", "[-_.]"), re.IGNORECASE)
    return next((number for number, line in enumerate(source.text.splitlines(), 1) if pattern.search(line)), 1)
