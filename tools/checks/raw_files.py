"""Nobody touches our database files behind SQLite's back (rule R7 of the format).

Closing any descriptor of a database file drops the POSIX locks this process holds on it, also those of SQLite; a second
writer then gets in and acknowledged writes are lost. So no code of the package opens, reads, copies, moves or truncates
a file named like a database (``*.db``, ``-wal``, ``-shm``, ``-journal``), whatever the way: raw bytes are read through
SQLite or in a child process.

An expression is taken for such a file when a literal in it ends like one, when it mentions a name such as ``db_path``
or ``wal_file``, or when a name in it was assigned (anywhere in the file) from such an expression.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tools.checks.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Tree

RULE = "raw-database-file"
FILE_NAME = re.compile(r"\.(?:db|sqlite3?)(?:-wal|-shm|-journal)?$|-(?:wal|shm)$")
VARIABLE = re.compile(r"(?:^|_)(?:db|database|wal|shm)_?(?:path|file|filename)$", re.IGNORECASE)
FUNCTIONS = frozenset(
    {"open", "io.open", "os.open", "os.truncate", "os.rename", "os.replace", "os.link", "mmap.mmap", "codecs.open"}
    | {"builtins.open", "os.sendfile", "os.copy_file_range", "gzip.open", "aiofiles.open"}
    | {f"shutil.{name}" for name in ("copy", "copy2", "copyfile", "copyfileobj", "move")}
)
METHODS = frozenset(
    {"open", "read_bytes", "read_text", "write_bytes", "write_text", "touch", "rename", "replace", "hardlink_to"}
)


def check(tree: Tree) -> Iterator[Finding]:
    """Calls in the package that handle a database file as a file."""
    for source in tree.python("src"):
        names = Names(source.tree)
        suspects = _suspects(source.tree)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and _touches(node, names, suspects):
                message = "a database file is opened without SQLite: its closing drops this process's locks"
                yield source.finding(RULE, node, message)


def _touches(call: ast.Call, names: Names, suspects: frozenset[str]) -> bool:
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    if names.dotted(call.func) in FUNCTIONS:
        return any(_is_database(argument, suspects) for argument in arguments)
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in METHODS:
        return False
    # `path.replace(target)` moves a file; `text.replace(a, b)` takes two arguments and is a string's.
    if call.func.attr == "replace" and len(arguments) != 1:
        return False
    return _is_database(call.func.value, suspects)


def _is_database(expression: ast.expr, suspects: frozenset[str]) -> bool:
    for node in ast.walk(expression):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and FILE_NAME.search(node.value):
            return True
        if isinstance(node, ast.Name) and (node.id in suspects or VARIABLE.search(node.id)):
            return True
        if isinstance(node, ast.Attribute) and (node.attr in suspects or VARIABLE.search(node.attr)):
            return True
    return False


def _suspects(module: ast.Module) -> frozenset[str]:
    """Names assigned from an expression that names a database file, until no assignment adds one."""
    suspects: frozenset[str] = frozenset()
    while True:
        found = suspects | {
            name
            for targets, value in _assignments(module)
            if _names_a_file(value, suspects)
            for target in targets
            for name in _bound(target)
        }
        if found == suspects:
            return suspects
        suspects = frozenset(found)


def _names_a_file(value: ast.expr, suspects: frozenset[str]) -> bool:
    """``Path("x.db")`` and ``path.with_name("x.db")`` are files; ``connect("x.db")`` is not."""
    if isinstance(value, ast.Await):
        return False
    if not isinstance(value, ast.Call):
        return _is_database(value, suspects)
    name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    path_makers = {"Path", "PurePath", "with_name", "with_suffix", "joinpath", "join", "fspath", "resolve", "absolute"}
    return name in path_makers and _is_database(value, suspects)


def _assignments(module: ast.Module) -> Iterator[tuple[list[ast.expr], ast.expr]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Assign):
            yield node.targets, node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            yield [node.target], node.value


def _bound(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
