"""Writes ``src/llmspell/sync/faces.py``: the synchronous face of every asynchronous class, from its source.

    python tools/make_sync.py            write the file
    python tools/make_sync.py --check    fail when it is not what this would write

Each public coroutine becomes a method of the same name, arguments and docstring that drives it; generators become
iterators; what returns an asynchronous handle returns its synchronous one. Nothing is written twice by hand.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "llmspell"
TARGET = PACKAGE / "sync" / "faces.py"


@dataclass(frozen=True)
class Face:
    """One class to mirror: its module, both names, its rooms (attribute: face), and what is not mirrored or by hand."""

    module: str
    source: str
    name: str
    rooms: dict[str, str] = field(default_factory=dict)
    plain: tuple[str, ...] = ()
    skip: frozenset[str] = frozenset()
    base: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    """Modules and names of the classes that the source is put together from, whose methods are mirrored too."""


FACES = (
    Face("llmspell.hooks.registry", "Hooks", "StoreHooks", skip=frozenset({"run", "close"})),
    Face(
        "llmspell.state.service", "AsyncState", "State", plain=("scope",),
        parts=(("llmspell.state.defaults", "Defaulting"),),
    ),
    Face("llmspell.agentstate.service", "AsyncAgents", "Agents"),
    Face("llmspell.artifacts.content_handle", "AsyncContent", "Content", plain=("info",)),
    Face(
        "llmspell.artifacts.service", "AsyncArtifacts", "Artifacts",
        skip=frozenset({"get_many", "inside"}), base="ArtifactsByHand",
        parts=(
            ("llmspell.artifacts.finding.face", "Querying"),
            ("llmspell.artifacts.relations.face", "Relating"),
            ("llmspell.artifacts.grants.face", "Granting"),
            ("llmspell.artifacts.bundles.face", "Bundling"),
            ("llmspell.artifacts.revising", "Revising"),
        ),
    ),
    Face(
        "llmspell.artifacts.captures.service", "AsyncCaptures", "Captures",
        parts=(("llmspell.artifacts.captures.ruling", "Ruling"),),
    ),
    Face("llmspell.events.service", "AsyncEvents", "Events", skip=frozenset({"subscribe", "subscribe_blocking"}),
    base="EventsByHand"),
    Face(
        "llmspell.sessions.session", "AsyncSession", "Session",
        rooms={"state": "State", "artifacts": "Artifacts", "captures": "Captures", "events": "Events"},
        plain=("info", "id"), base="SessionByHand",
        skip=frozenset({"enter", "leave", "context", "state", "artifacts", "captures", "events"}),
    ),
    Face("llmspell.sessions.service", "AsyncSessions", "Sessions"),
    Face("llmspell.security.care", "AsyncKeys", "Keys"),
    Face(
        "llmspell.migration.service", "AsyncMigrations", "Migrations",
        parts=(("llmspell.migration.on_read", "OnRead"),),
    ),
    Face("llmspell.access.service", "AsyncAccess", "Access"),
    Face("llmspell.principals.sharing", "AsyncSharing", "Sharing"),
    Face("llmspell.principals.state", "AsyncPrincipalState", "PrincipalState", plain=("scope",)),
    Face("llmspell.access.service", "AsyncPrincipalAccess", "PrincipalAccess"),
    Face(
        "llmspell.principals.events", "AsyncPrincipalEvents", "PrincipalEvents", base="PrincipalEventsByHand",
        skip=frozenset({"subscribe", "subscribe_blocking", "may_see"}),
    ),
    Face(
        "llmspell.principals.sharing", "AsyncPrincipalSharing", "PrincipalSharing", base="PrincipalSharingByHand",
        skip=frozenset({"request", "asking"}),
    ),
    Face(
        "llmspell.principals.handle", "AsyncPrincipal", "Principal",
        rooms={
            "own": "PrincipalState", "state": "PrincipalState", "access": "PrincipalAccess",
            "events": "PrincipalEvents", "sharing": "PrincipalSharing",
        },
        plain=("principal",),
    ),
    Face("llmspell.migration.lazily", "AsyncLazyState", "LazyState", plain=("scope",)),
    Face("llmspell.migration.lazy_agents", "AsyncLazyAgents", "LazyAgents"),
    Face("llmspell.registry.service", "AsyncSchemas", "Schemas"),
    Face("llmspell.state.past", "AsyncPastState", "PastState", plain=("scope",)),
    Face("llmspell.views", "AsyncView", "View", rooms={"state": "PastState"}, plain=("seq", "time")),
    Face(
        "llmspell.store", "AsyncStore", "Store",
        rooms={
            "state": "State", "artifacts": "Artifacts", "captures": "Captures", "events": "Events",
            "sessions": "Sessions",
            "agents": "Agents", "hooks": "StoreHooks", "keys": "Keys", "access": "Access", "sharing": "Sharing",
            "schemas": "Schemas", "migrations": "Migrations",
        },
        skip=frozenset({"start", "session", "captures", "artifacts_of", "events_of"}), base="StoreByHand",
    ),
)  # fmt: skip
PLAIN = {
    "scope": "Whose state this is.",
    "info": "The fields, as of the last step through this handle.",
    "id": "The session's id.",
    "hooks": "The hooks of this handle.",
    "state": "The keys of its scope.",
    "artifacts": "Its artifacts.",
    "captures": "Which outputs of tools, agents and users become artifacts.",
    "events": "Its events.",
    "sessions": "All sessions.",
    "keys": "The keys that sensitive values are sealed with.",
    "agents": "The records of all agents.",
    "migrations": "Migrations of stored values.",
    "access": "Who may do what.",
    "schemas": "Schemas of values.",
    "sharing": "Ways to work together.",
    "own": "The state of its own scope.",
    "seq": "The last entry that it shows.",
    "time": "Its moment, aware UTC.",
    "principal": "Who this handle acts as, as text.",
}
"""What the plain attributes of the handles are."""
NAMES = {face.source: face.name for face in FACES} | {"AsyncIterator": "Iterator"}

HEADER = '''"""GENERATED by tools/make_sync.py from the asynchronous classes; do not edit.

The synchronous face: the same names, arguments and docstrings without ``await``.
"""

from __future__ import annotations

'''


def main(argv: list[str]) -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = formatted(generate())
    if parser.parse_args(argv).check:
        if TARGET.exists() and TARGET.read_text("utf-8") == text:
            return 0
        sys.stderr.write(f"{TARGET.relative_to(ROOT)} is stale: run python tools/make_sync.py\n")
        return 1
    TARGET.write_text(text, "utf-8")
    return 0


def generate() -> str:
    """The whole module as text, before formatting."""
    classes = [ClassWriter(face).text() for face in FACES]
    body = "\n\n".join(classes)
    return HEADER + "\n".join(imports(body)) + "\n\n" + body + "\n"


def formatted(text: str) -> str:
    """As the project's formatter wants it."""
    tidy = _ruff(["check", "--select", "I,F401", "--fix-only", "--quiet"], text)
    return _ruff(["format"], tidy)


def _ruff(words: list[str], text: str) -> str:
    command = [sys.executable, "-m", "ruff", *words, "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def source_of(module: str) -> ast.Module:
    """The parsed source of one of our modules."""
    return ast.parse((PACKAGE.parent / (module.replace(".", "/") + ".py")).read_text("utf-8"))


def class_of(module: str, name: str) -> ast.ClassDef:
    """A class of one of our modules."""
    return next(node for node in source_of(module).body if isinstance(node, ast.ClassDef) and node.name == name)


def imports(body: str) -> list[str]:
    """Import lines for the names that annotations and defaults use, as the sources import them."""
    known: dict[str, str] = {}
    sources = [(face.module, face.source) for face in FACES] + [part for face in FACES for part in face.parts]
    for module, source in sources:
        for node in ast.walk(source_of(module)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
                known |= {alias.name: node.module for alias in node.names}
        for item in source_of(module).body:
            if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
                known[item.targets[0].id] = module
            elif isinstance(item, ast.ClassDef) and item.name != source:
                known[item.name] = module
    known |= {"Iterator": "collections.abc", "AbstractContextManager": "contextlib", "Any": "typing"}
    code = re.sub(r'"""(?:.|\n)*?"""', "", body)
    used = set(re.findall(r"\b[A-Za-z_]\w*\b", code))
    own = {face.name for face in FACES} | {face.source for face in FACES}
    lines = ["from functools import cached_property", "from typing import TYPE_CHECKING"]
    lines.append("from llmspell.sync.drive import drive, iterate")
    lines.append("from llmspell.sync.by_hand import ArtifactsByHand, EventsByHand, PrincipalEventsByHand")
    lines.append("from llmspell.sync.by_hand import PrincipalSharingByHand, SessionByHand, StoreByHand")
    runtime = {name for name in used & known.keys() if re.search(rf"=\s*{name}\b(?!\[)", code)}
    lines += [f"from {known[name]} import {name}" for name in sorted(runtime - own)]
    lines.append("if TYPE_CHECKING:")
    typed = (used & known.keys()) - own - runtime - {"TYPE_CHECKING", "cached_property"}
    lines += [f"    from {known[name]} import {name}" for name in sorted(typed)]
    lines += [f"    from {face.module} import {face.source}" for face in FACES]
    return lines


class ClassWriter:
    """Writes one class."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.node = class_of(face.module, face.source)

    def text(self) -> str:
        """The class."""
        face = self.face
        base = f"({face.base})" if face.base else ""
        lines = [f"class {face.name}{base}:", f"    {self.doc(self.node)}", ""]
        lines += [f"    def __init__(self, inner: {face.source}) -> None:"]
        if face.base:
            lines.append("        super().__init__(inner)")
        lines.append("        self._inner = inner")
        for room, kind in face.rooms.items():
            lines += ["", "    @cached_property", f"    def {room}(self) -> {kind}:"]
            lines += [f'        """{PLAIN[room]}"""', f"        return {kind}(self._inner.{room})"]
        for name in face.plain:
            lines += ["", "    @property", f"    def {name}(self) -> {self.attribute(name)}:"]
            lines += [f'        """{PLAIN[name]}"""', f"        return self._inner.{name}"]
        nodes = [*(class_of(*part) for part in face.parts), self.node]
        own = {item.name for item in self.node.body if isinstance(item, ast.AsyncFunctionDef)}
        for node, item in ((one, item) for one in nodes for item in one.body):
            if isinstance(item, ast.AsyncFunctionDef | ast.FunctionDef) and not item.name.startswith("_"):
                if node is not self.node and item.name in own:
                    continue  # The part only says that it needs it.
                lines += ["", *self.method(item)] if item.name not in face.skip else []
        return "\n".join(lines)

    def attribute(self, name: str) -> str:
        """The annotation of a plain attribute, looked up in ``__init__``'s arguments; Any when it has none there."""
        fixed = {
            "hooks": "Hooks",
            "id": "str",
            "principal": "str",
            "info": "SessionInfo" if self.face.name == "Session" else "ArtifactInfo",
        }
        return fixed.get(name, "Scope" if name == "scope" else "Any")

    def method(self, item: ast.AsyncFunctionDef | ast.FunctionDef) -> list[str]:
        """One method with its body."""
        decorators = {ast.unparse(node) for node in item.decorator_list}
        returns = ast.unparse(item.returns) if item.returns else "None"
        lines = ["    @property"] if "property" in decorators else []
        if "contextmanager" in decorators:
            returns = returns.replace("Iterator[", "AbstractContextManager[")
        args = renamed(ast.unparse(item.args))
        lines += [f"    def {item.name}({args}) -> {renamed(returns)}:", f"        {self.doc(item)}"]
        call = f"self._inner.{item.name}" + ("" if "property" in decorators else f"({self.passed(item)})")
        if isinstance(item, ast.AsyncFunctionDef):
            call = f"iterate({call})" if returns.startswith("AsyncIterator") else f"drive({call})"
        kind = NAMES.get(returns)
        result = f"{kind}({call})" if kind and kind != "Iterator" else call
        lines.append(f"        {result}" if returns == "None" else f"        return {result}")
        return lines

    @staticmethod
    def passed(item: ast.AsyncFunctionDef | ast.FunctionDef) -> str:
        """The arguments, handed on."""
        args = item.args
        parts = [arg.arg for arg in args.args if arg.arg != "self"]
        parts += [f"*{args.vararg.arg}"] if args.vararg else []
        parts += [f"{arg.arg}={arg.arg}" for arg in args.kwonlyargs]
        parts += [f"**{args.kwarg.arg}"] if args.kwarg else []
        return ", ".join(parts)

    @staticmethod
    def doc(node: ast.ClassDef | ast.AsyncFunctionDef | ast.FunctionDef) -> str:
        """The docstring as source, in the words of this face."""
        text = ast.get_docstring(node, clean=False) or ""
        text = renamed(text).replace("async with", "with").replace("await ", "")
        text = text.replace(
            "on asyncio, its rooms as attributes. Belongs to the event loop it was opened in.",
            "for threads, its rooms as attributes.",
        )
        text = text.replace(
            "``llmspell.open_async``; it is an async context manager", "``llmspell.open``; it is a context manager"
        )
        return f'"""{text}"""'


def renamed(text: str) -> str:
    """Names of asynchronous classes replaced by their synchronous ones."""
    for source, name in NAMES.items():
        text = re.sub(rf"\b{source}\b", name, text)
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
